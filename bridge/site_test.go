package bridge

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/site/etcdtest"
	"ntsbridge/bridge/material"
)

const sitePlan = `version: 1
groups:
  - name: lab
    prefixes: ["192.0.2.0/24"]
    stages: {symmetric: {stage: refuse}}
`

// startGateway starts a daemon that is one of several.
func startGateway(t *testing.T, e config.Etcd) *Bridge {
	t.Helper()
	cfg := testConfig(t, t.TempDir())
	cfg.Fleet.Etcd = e
	return startBridge(t, cfg)
}

// A site of two daemons and a real etcd: a plan that is declared on one is that
// of both, so are orders; without etcd both start and serve, and say what is
// wrong.
func TestGateways(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	c := etcdtest.Start(t, 1)
	a, b := startGateway(t, c.Config("a", "a", "b")), startGateway(t, c.Config("b", "a", "b"))
	defer a.Close()
	defer b.Close()
	connected := func(g *Bridge) func() bool { return func() bool { return g.site.Status().Connected } }
	wait(t, "etcd is here", connected(a))
	wait(t, "etcd is here", connected(b))
	ask := func(g *Bridge, r migration.Request) (string, error) {
		t.Helper()
		r.Reason = "test"
		answer, err := g.migration.Ask(time.Now(), "tester", &r)
		if err != nil {
			return "", err
		}
		for _, f := range answer.Findings {
			if f.Wrong {
				t.Fatal(f.Text)
			}
		}
		return answer.Done, nil
	}
	done, err := ask(a, migration.Request{Do: migration.Apply, Name: "p.yaml", Plan: sitePlan})
	if err != nil || !strings.Contains(done, "all gateways") {
		t.Fatal(done, err)
	}
	wait(t, "b has the plan", func() bool { return b.migration.Declared() == sitePlan })
	if _, err := ask(b, migration.Request{Do: migration.Hold, Group: "lab"}); err != nil {
		t.Fatal(err)
	}
	wait(t, "a holds", func() bool {
		s := a.migration.Status(time.Now(), true)
		return len(s.Places) == 1 && s.Places[0].Held != ""
	})
	if _, err := ask(a, migration.Request{Do: migration.Resume, Group: "lab"}); err != nil {
		t.Fatal(err)
	}
	wait(t, "b goes on", func() bool { return b.migration.Status(time.Now(), true).Places[0].Held == "" })
	if _, err := ask(a, migration.Request{Do: migration.Advance, Group: "lab"}); err != nil { // to warn
		t.Fatal(err)
	}
	var text strings.Builder
	wait(t, "both are seen to stand where they do", func() bool {
		text.Reset()
		s, err := control.NewClient(a.parts.Load().cfg.Control.Socket).Site()
		return err == nil && control.WriteSite(&text, s) == nil && strings.Contains(text.String(), "lab    symmetric  warn  observe")
	})
	wait(t, "no gateway hurries ahead", func() bool {
		_, err := ask(a, migration.Request{Do: migration.Advance, Group: "lab"})
		if err == nil {
			t.Fatal("one gateway hurries ahead")
		}
		return strings.Contains(err.Error(), "b stands at observe with lab by symmetric")
	})
	wait(t, "the history is of both", func() bool {
		text.Reset()
		err := control.NewClient(b.parts.Load().cfg.Control.Socket).SiteHistory(t.Context(), &text)
		return err == nil && strings.Contains(text.String(), `"gateway":"a"`) && strings.Contains(text.String(), `"gateway":"b"`)
	})

	exchange(t, b, plainRequest())
	client := control.NewClient(a.parts.Load().cfg.Control.Socket)
	wait(t, "a knows the client of b", func() bool {
		text.Reset()
		err := client.Clients(t.Context(), &report.Filter{Site: true, ByGateway: true, LegacyOnly: true}, "csv", &text)
		return err == nil && strings.Contains(text.String(), ",a,b\n") && strings.Contains(text.String(), "127.0.0.1,")
	})
	if s, err := client.SummarySite("label"); err != nil || s.Clients != 1 || len(s.Notes) == 0 {
		t.Error(s, err)
	}
	if _, err := client.KeysSite(); err != nil {
		t.Error(err)
	}
	c.Members[0].Signal(syscall.SIGSTOP)
	d := startGateway(t, c.Config("d", "a", "b", "d"))
	defer d.Close()
	exchange(t, d, plainRequest())
	exchange(t, a, plainRequest())
	wait(t, "it is said that etcd is away", func() bool {
		return strings.Contains(strings.Join(a.status().Problems, "\n"), "etcd is away") &&
			strings.Contains(strings.Join(d.status().Problems, "\n"), "etcd is away")
	})
	if done, err := ask(a, migration.Request{Do: migration.Hold}); err != nil || !strings.Contains(done, "when etcd is back") {
		t.Error(done, err)
	}
	if _, err := ask(a, migration.Request{Do: migration.Resume}); err == nil || !strings.Contains(err.Error(), "etcd is away") {
		t.Error(err)
	}
	c.Members[0].Signal(syscall.SIGCONT)
	wait(t, "b holds", func() bool { return b.migration.Status(time.Now(), true).Held != "" })
}

// What is wrong with etcd is a warning of check, told only where it is asked;
// a gateway that is not declared is not served by it; nothing keeps serve from
// starting.
func TestCheckEtcd(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, t.TempDir())
	cfg.Fleet.Etcd = config.Default().Fleet.Etcd
	e := &cfg.Fleet.Etcd
	e.Endpoints, e.Name, e.Gateways = []string{"http://127.0.0.1:1"}, "a", []config.Gateway{{Name: "a"}}
	e.Timeout = time.Second
	has := func(offline bool, grade material.Grade, text string) bool {
		for _, f := range Check(cfg, "x.yaml", Options{NoClock: true}, offline).Findings {
			if f.Grade == material.NoStart {
				t.Error(f)
			}
			if f.Grade == grade && strings.Contains(f.Text, text) {
				return true
			}
		}
		return false
	}
	if !has(false, material.Warning, "connection refused") {
		t.Error("nothing is said of an etcd that is not there")
	}
	if has(true, material.Warning, "etcd") {
		t.Error("etcd was asked offline")
	}
	e.Name = "z"
	if !has(true, material.NotServed, "has no z") {
		t.Error("a stranger among the gateways is not told")
	}
	e.Name, e.Endpoints, e.CA = "a", []string{"https://127.0.0.1:1"}, "/nonexistent"
	if !has(true, material.Warning, "fleet.etcd.ca") {
		t.Error("a missing file is not told")
	}
	b := startBridge(t, cfg)
	defer b.Close()
	exchange(t, b, plainRequest())
	other := *cfg
	other.Fleet.Etcd.Prefix = "/other"
	if err := b.Reload(&other); err == nil || !strings.Contains(err.Error(), "fleet.etcd") {
		t.Errorf("a reload changed fleet.etcd: %v", err)
	}
}
