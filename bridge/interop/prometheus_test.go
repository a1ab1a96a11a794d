package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// prometheusRoot has the programs; they run on the machine itself.
const prometheusRoot = "bookworm-prometheus"

// prometheusProgram returns one of them.
func prometheusProgram(t *testing.T, name string) string {
	t.Helper()
	p := RequirePeers(t)
	path := filepath.Join(p.root(prometheusRoot), "usr/bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run bridge/interop/peers.sh", err)
	}
	return path
}

// TestPrometheusRules checks the rules, and that each alert fires and is silent
// where it must.
func TestPrometheusRules(t *testing.T) {
	dir := filepath.Join(repository(), "configs", "prometheus")
	tool := prometheusProgram(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "rules.yaml"}, {"test", "rules", "rules_test.yaml"}} {
		cmd := exec.Command(tool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	tests, err := os.ReadFile(filepath.Join(dir, "rules_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range alertExpressions(t) {
		for _, what := range []string{"fires", "is silent"} {
			if !strings.Contains(string(tests), "name: "+name+" "+what+"\n") {
				t.Errorf("no test in which %s %s", name, what)
			}
		}
	}
}

func alertExpressions(t *testing.T) map[string]string {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	text, err := os.ReadFile(filepath.Join(repository(), "configs", "prometheus", "rules.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			all[r.Alert] = r.Expr
		}
	}
	return all
}

// dashboardExpressions are the queries of the dashboard, as Grafana would fill
// them in.
func dashboardExpressions(t *testing.T) map[string]string {
	t.Helper()
	var file struct {
		Panels []struct {
			Title   string
			Targets []struct{ RefID, Expr string }
		}
	}
	text, err := os.ReadFile(filepath.Join(repository(), "configs", "prometheus", "dashboard.json"))
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, p := range file.Panels {
		for _, target := range p.Targets {
			all[p.Title+" "+target.RefID] = strings.NewReplacer("$instance", ".*", "$__rate_interval", "1m").Replace(target.Expr)
		}
	}
	return all
}

// freePort returns a port that nobody has at the moment.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startPlain runs a program on the machine until the test ends.
func startPlain(t *testing.T, dir string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, filepath.Base(args[0])+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		log.Close()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s:\n%s", args[0], text[max(0, len(text)-4000):])
		}
	})
}

// mayBeEmpty are queries without a result where all is well, or there is no etcd:
// that they can be evaluated is all.
var mayBeEmpty = regexp.MustCompile(`autokey_operations|reason!="ok"|_site_|_step_|_backed_out_`)

// TestPrometheus scrapes a daemon by a real Prometheus: promtool finds nothing
// to say of the metrics, every query of the dashboard has a result, and every
// expression of an alert can be evaluated.
func TestPrometheus(t *testing.T) {
	tool, program := prometheusProgram(t, "promtool"), prometheusProgram(t, "prometheus")
	bridge, err := build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	serving, ntp, ke, web, metrics := freePort(t), freePort(t), freePort(t), freePort(t), freePort(t)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if out, err := exec.Command(bridge, "keygen", "--keysdir="+dir, "-s", "tick", "-p", "secret").CombinedOutput(); err != nil {
		t.Fatalf("keygen: %v: %s", err, out)
	}
	upstream := write("upstream.yaml", fmt.Sprintf(
		"server: {listen: [\"127.0.0.1:%d\"]}\nclock: {mode: local}\nnts: {enabled: false}\n", serving))
	for _, d := range []string{"s1", "r1", "s2", "r2", "data"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	startPlain(t, path("s1"), bridge, "serve", "-c", upstream, "--state-dir", path("s1"), "--run-dir", path("r1"))
	config := write("ntsbridge.yaml", fmt.Sprintf(`server: {listen: ["127.0.0.1:%d"]}
clock: {mode: discipline}
nts: {listen: ["127.0.0.1:%d"], names: [localhost]}
autokey: {enabled: true, keysdir: %q, host: tick, password_file: %q}
metrics: {listen: ["127.0.0.1:%d"]}
sources: [{server: 127.0.0.1, port: %d, minpoll: 0, maxpoll: 1, iburst: true}]
`, ntp, ke, dir, write("password", "secret\n"), metrics, serving))
	startPlain(t, path("s2"), bridge, "serve", "--no-clock", "-c", config, "--state-dir", path("s2"), "--run-dir", path("r2"))
	address := fmt.Sprintf("127.0.0.1:%d", metrics)
	Await(t, limit, Condition{"synchronised", func() error {
		text, err := get("http://" + address + "/metrics")
		if err == nil && !strings.Contains(text, "\nntsbridge_clock_synchronised 1\n") {
			err = errors.New("not synchronised")
		}
		return err
	}})
	ask := func() {
		_ = exec.Command(bridge, "query", "--port", fmt.Sprint(ntp), "127.0.0.1").Run()
		_ = exec.Command(bridge, "query", "--auth", "nts", "--port", fmt.Sprint(ntp), "--nts-port", fmt.Sprint(ke), "127.0.0.1").Run()
	}
	ask()
	plan := write("plan.yaml", "groups: [{name: all, prefixes: [127.0.0.0/8], stages: {none: warn}}]\n")
	apply := exec.Command(bridge, "fleet", "apply", plan, "--reason", "to be shown", "--run-dir", path("r2"))
	if out, err := apply.CombinedOutput(); err != nil {
		t.Errorf("fleet apply: %v: %s", err, out)
	}
	text, err := get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	check := exec.Command(tool, "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	if found := regexp.MustCompile(`(?m)^ntsbridge_[^#]*127\.0\.0\.1[^"]`).FindString(text); found != "" {
		t.Errorf("an address in a label: %s", found)
	}
	rules := filepath.Join(repository(), "configs", "prometheus", "rules.yaml")
	file := write("prometheus.yml", fmt.Sprintf("global: {scrape_interval: 1s}\nrule_files: [%s]\nscrape_configs:\n- job_name: ntsbridge\n"+
		"  static_configs: [{targets: [%q]}]\n", rules, address))
	startPlain(t, path("data"), program, "--config.file="+file, "--storage.tsdb.path="+path("data"),
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", web), "--log.level=warn")
	evaluate := func(expr string) (results int, err error) {
		text, err := get(fmt.Sprintf("http://127.0.0.1:%d/api/v1/query?query=%s", web, url.QueryEscape(expr)))
		var answer struct {
			Status, Error string
			Data          struct{ Result []any }
		}
		if err == nil {
			err = json.Unmarshal([]byte(text), &answer)
		}
		if err == nil && answer.Status != "success" {
			err = errors.New(answer.Error)
		}
		return len(answer.Data.Result), err
	}
	var shown []Condition
	for name, expr := range dashboardExpressions(t) {
		shown = append(shown, Condition{"dashboard: " + name, func() error {
			n, err := evaluate(expr)
			if err == nil && n == 0 && !mayBeEmpty.MatchString(expr) {
				err = fmt.Errorf("%s has no result", expr)
			}
			return err
		}})
	}
	Await(t, limit, shown...)
	for name, expr := range alertExpressions(t) {
		if _, err := evaluate(expr); err != nil {
			t.Errorf("alert %s: %v", name, err)
		}
	}
}

func get(address string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var b strings.Builder
	if _, err := io.Copy(&b, answer.Body); err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusBadRequest {
		return "", fmt.Errorf("%s: %s", answer.Status, b.String())
	}
	return b.String(), nil
}
