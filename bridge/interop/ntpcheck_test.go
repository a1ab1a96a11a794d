package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ntpcheckModule is the module that ntpcheck comes with: the one of go.mod.
const ntpcheckModule = "github.com/facebook/time"

// installNtpcheck builds ntpcheck, of the version that we are built with too.
func installNtpcheck(t *testing.T) string {
	t.Helper()
	list := exec.Command("go", "list", "-m", "-f", "{{.Version}}", ntpcheckModule)
	list.Dir = repository()
	version, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	install := exec.Command("go", "install", ntpcheckModule+"/cmd/ntpcheck@"+strings.TrimSpace(string(version)))
	install.Dir, install.Env = dir, append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("ntpcheck cannot be had: %v: %s", err, out))
	}
	return filepath.Join(dir, "ntpcheck")
}

// facebook's ntpcheck reads a daemon with a source over mode 6, and finds it well.
func TestLongNtpcheck(t *testing.T) {
	requireLong(t)
	check := installNtpcheck(t)
	bridge, err := build()
	if err != nil {
		t.Fatal(err)
	}
	serving, asked := freePort(t), freePort(t)
	for name, text := range map[string]string{
		"upstream": fmt.Sprintf("server: {listen: [\"127.0.0.1:%d\"]}\nclock: {mode: local}\nnts: {enabled: false}\n", serving),
		// ntpcheck takes a poll of 0 for none.
		"asked": fmt.Sprintf("server: {listen: [\"127.0.0.1:%d\"]}\nclock: {mode: discipline}\nnts: {enabled: false}\n"+
			"sources: [{server: 127.0.0.1, port: %d, minpoll: 3, maxpoll: 4, iburst: true}]\n", asked, serving),
	} {
		dir := t.TempDir()
		config := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, d := range []string{"state", "run"} {
			if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		startPlain(t, dir, bridge, "serve", "--no-clock", "-c", config, "--state-dir", filepath.Join(dir, "state"),
			"--run-dir", filepath.Join(dir, "run"))
	}
	run := func(command string) (string, error) {
		out, err := exec.Command(check, command, "-S", fmt.Sprintf("127.0.0.1:%d", asked)).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("ntpcheck %s: %w: %s", command, err, out)
		}
		return string(out), err
	}
	Await(t, limit, Condition{"diag", func() error {
		out, err := run("diag")
		for _, want := range []string{"[ OK ] Clock is syncing to 127.0.0.1", "[ OK ] Leap indicator is set to 'none'",
			"[ OK ] Tracking offset is ", "[ OK ] Sys Peer offset is ", "[ OK ] All 1 peers are OK (have 'flash' indicator set to 0)"} {
			if err == nil && !strings.Contains(out, want) {
				err = fmt.Errorf("no %q in\n%s", want, out)
			}
		}
		return err
	}})
	for command, keys := range map[string][]string{
		"peerstats":   {"ntp.peers.127_0_0_1.delay", "ntp.peers.127_0_0_1.offset", "ntp.peers.127_0_0_1.stratum"},
		"serverstats": {"ntp.server.packets_received", "ntp.server.packets_dropped"},
		"stats":       {"ntp.sys.offset", "ntp.sys.frequency", "ntp.peer.count", "ntp.correction"},
	} {
		out, err := run(command)
		var values map[string]any
		if err == nil {
			err = json.Unmarshal([]byte(out), &values)
		}
		for _, key := range keys {
			if _, ok := values[key]; !ok {
				t.Errorf("%s: no %s: %v: %s", command, key, err, out)
			}
		}
	}
}
