package migration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/ntp"
)

// rig is a migration over one client, without a server.
type rig struct {
	*Migration
	refusals []stage.Refusal
	now      time.Time
	means    []inventory.Means // of the client
}

func open(t *testing.T, dir string) *rig {
	t.Helper()
	r := &rig{now: time.Now()}
	wall := uint32(r.now.Unix())
	r.means = []inventory.Means{{Kind: ntp.KindNone, Last: wall, Served: wall, Interval: 64 * time.Second, Program: "chrony"}}
	r.Migration = Open(Options{Dir: dir, Log: hclog.NewNullLogger(),
		Each: func(see func(*inventory.Client)) error {
			see(&inventory.Client{Prefix: netip.MustParsePrefix("10.0.0.1/32"), Addresses: 1, Hosts: 1, Last: uint32(r.now.Unix()), Means: r.means})
			return nil
		},
		Where:   func() stage.Where { return stage.Where{} },
		Facts:   func(time.Time) gate.Facts { return gate.Facts{} },
		Ours:    func(uint32) bool { return false },
		Enforce: func(_ *stage.Resolver, list []stage.Refusal) { r.refusals = list }, Synchronised: func() bool { return true },
	}, r.now)
	t.Cleanup(func() { r.Close() })
	return r
}

func (r *rig) ask(t *testing.T, q Request) *Answer {
	t.Helper()
	a, err := r.Ask(r.now, "user 0", &q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	return a
}

const labPlan = `%s
gates: {better_means: {share: 0}, watched: {days: 0}, another_server: false, nts_ke: {headroom: 0, certificate_days: 0}}
groups: [{name: lab, prefixes: [10.0.0.0/8], stages: {none: removed}}]
`

// Who is named in notify gets each event, as JSON.
func TestNotify(t *testing.T) {
	dir := t.TempDir()
	posted := make(chan history.Entry, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var e history.Entry
		if err := json.Unmarshal(body, &e); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		posted <- e
	}))
	defer hook.Close()
	file := filepath.Join(dir, "told")
	r := open(t, dir)
	notify := fmt.Sprintf("notify: {webhook: %q, command: [sh, -c, %q]}", hook.URL, "cat >> "+file)
	r.ask(t, Request{Do: Apply, Name: "fleet.yaml", Plan: fmt.Sprintf(labPlan, notify)})
	r.ask(t, Request{Do: Advance, Group: "lab"})
	for _, want := range []string{history.Warned} { // of the declared plan, from then on
		select {
		case e := <-posted:
			if e.What != want {
				t.Errorf("told %s, want %s", e.What, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("nobody was told")
		}
	}
	if text, err := os.ReadFile(file); err != nil || strings.Count(string(text), "\n") != 1 {
		t.Errorf("the command got %q, %v", text, err)
	}
}

// A restart in a canary ends it; a state that cannot be read refuses nobody,
// and is kept aside.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir)
	r.ask(t, Request{Do: Apply, Name: "fleet.yaml", Plan: fmt.Sprintf(labPlan, "")})
	r.ask(t, Request{Do: Advance, Group: "lab"})
	r.ask(t, Request{Do: Advance, Group: "lab"})
	if len(r.refusals) != 1 {
		t.Fatalf("%+v", r.refusals)
	}
	r = open(t, dir)
	if s := r.Status(r.now, false); len(r.refusals) != 0 || s.Places[0].Stage != "warn" || s.Places[0].Running != nil {
		t.Fatalf("%+v, %+v", r.refusals, s.Places)
	}
	if err := os.WriteFile(filepath.Join(dir, StateFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = open(t, dir)
	if s := r.Status(r.now, false); s.Plan != "" || len(r.refusals) != 0 {
		t.Fatalf("%+v", s)
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, StateFile+".damaged-*")); len(aside) != 1 {
		t.Errorf("put aside: %v", aside)
	}
	lines := 0
	if _, err := r.History(func(*history.Entry) error { lines++; return nil }); err != nil || lines != 4 {
		t.Errorf("%d lines, %v", lines, err)
	}
}

// Without a directory that can be written nothing begins, and all goes on.
func TestNoDirectory(t *testing.T) {
	r := open(t, filepath.Join(t.TempDir(), "gone"))
	if _, err := r.Ask(r.now, "user 0", &Request{Do: Apply, Name: "f", Plan: fmt.Sprintf(labPlan, "")}); err == nil {
		t.Error("a plan was declared that cannot be kept")
	}
	if s := r.Status(r.now, false); len(s.Problems) == 0 {
		t.Errorf("%+v", s)
	}
}

// What a plan's check says of lengths is of the clients of now.
func TestCheckProves(t *testing.T) {
	r := open(t, t.TempDir())
	text := fmt.Sprintf(labPlan, "brown_out: {lengths: [5m]}")
	a := r.ask(t, Request{Do: Check, Name: "fleet.yaml", Plan: text})
	all := fmt.Sprint(a.Findings)
	if !strings.Contains(all, "about 0% of the clients of lab") {
		t.Error(all)
	}
	if r.Status(r.now, false).Plan != "" {
		t.Error("a check declared a plan")
	}
}

// A label that protected somebody, and that a reload takes away, is a problem of
// the status.
func TestProtectionThatLabelsTakeAway(t *testing.T) {
	r := open(t, t.TempDir())
	labels := []label.Label{{Prefix: netip.MustParsePrefix("10.0.0.1/32"), Site: "scada"}}
	r.opt.Where = func() stage.Where { return stage.Where{Labels: label.NewSet(labels)} }
	r.ask(t, Request{Do: Apply, Name: "fleet.yaml", Plan: "protected: [{labels: [scada]}]\n" + fmt.Sprintf(labPlan, "")})
	if s := r.Status(r.now, false); len(s.Problems) != 0 {
		t.Errorf("%v", s.Problems)
	}
	labels = nil
	r.Resolve()
	if s := r.Status(r.now, false); len(s.Problems) != 1 || !strings.Contains(s.Problems[0], `"scada", so it protects nobody`) {
		t.Errorf("%v", s.Problems)
	}
}

// A label that no file has protects nobody, so the plan is none; a group of one
// has nobody, which is said.
func TestNamesThatNobodyHas(t *testing.T) {
	r := open(t, t.TempDir())
	r.opt.Where = func() stage.Where {
		l := label.Label{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Site: "fra", Owner: "payments"}
		return stage.Where{Labels: label.NewSet([]label.Label{l})}
	}
	for text, want := range map[string]string{
		"protected: [{labels: [scada]}]\ngroups: [{name: a, labels: [fra], stages: {none: refuse}}]":                         `fleet.yaml:1: protected[0].labels: no line of fleet.labels has "scada", so it protects nobody`,
		"groups:\n- {name: a, labels: [fra, berlin], stages: {none: refuse}}":                                                `fleet.yaml:2: groups[0].labels: no line of fleet.labels has "berlin", so nobody is in the group by it`,
		"groups: [{name: a, autokey_groups: [x], stages: {autokey: warn}}]":                                                  `no client has told the Autokey group "x" yet, so nobody is in the group by it so far`,
		"groups:\n- {name: a, labels: [fra], stages: {none: warn}}\n- {name: b, labels: [payments], stages: {none: refuse}}": `fleet.yaml:3: groups[1]: 10.0.0.0/8 (payments/fra) is in the group a by none, too, which comes first`,
		"protected: [{labels: [fra, payments]}]\ngroups: [{name: a, labels: [fra], stages: {none: refuse}}]":                 "",
	} {
		a := r.ask(t, Request{Do: Apply, Name: "fleet.yaml", Plan: text})
		said, refused := "", false
		for _, f := range a.Findings {
			said += f.Text + "\n"
			refused = refused || f.Wrong
		}
		if want == "" && strings.Contains(said, "fleet.labels") || !strings.Contains(said, want) {
			t.Errorf("%s:\n%swant %s", text, said, want)
		}
		if wrong := strings.Contains(want, "protects"); wrong != refused || wrong == (a.Done != "") {
			t.Errorf("%s: done %q\n%s", text, a.Done, said)
		}
	}
}

func TestKECapacity(t *testing.T) {
	if n := KECapacity(); n < 1 {
		t.Errorf("%v handshakes a second", n)
	}
}
