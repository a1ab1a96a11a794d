package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/steer"
)

// Only what was declared counts: a plan's file that vanishes, or cannot be read as
// one, is found at a start and at a reload, and changes nothing.
func TestPlanFileThatVanishes(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, t.TempDir())
	cfg.Fleet.Plan = filepath.Join(t.TempDir(), "fleet.yaml")
	b := startBridge(t, cfg)
	t.Cleanup(func() { b.Close() })
	plan := "groups: [{name: fra, prefixes: [192.0.2.0/24], stages: {none: warn}}]\n"
	apply := &migration.Request{Do: migration.Apply, Name: "fleet.yaml", Plan: plan}
	if _, err := b.migration.Ask(time.Now(), "user 0", apply); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"": "no such file", "groups: 7": "a plan needs a list of groups", plan: ""} {
		if text != "" {
			if err := os.WriteFile(cfg.Fleet.Plan, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if err := os.Remove(cfg.Fleet.Plan); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if err := b.Reload(cfg); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		found := ""
		for _, f := range b.parts.Load().set.Findings {
			if strings.Contains(fmt.Sprint(f), "fleet.yaml") {
				found += fmt.Sprint(f)
			}
		}
		if !strings.Contains(found, want) || want == "" && found != "" {
			t.Errorf("%q: found %q, want %q", text, found, want)
		}
		if b.migration.Declared() != plan {
			t.Errorf("%q: declared is %q", text, b.migration.Declared())
		}
	}
}

// A client that shows nothing may be refused once another gateway of the site has
// answered it, and not on the word of a list that is wrong.
func TestOtherGateways(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, t.TempDir())
	file := filepath.Join(t.TempDir(), "other.json")
	cfg.Fleet.OtherGateways = []string{file}
	list := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list("{}")
	b := startBridge(t, cfg)
	t.Cleanup(func() { b.Close() })
	found := false
	for _, f := range b.parts.Load().set.Findings {
		found = found || strings.Contains(fmt.Sprint(f), "other_gateways[0]")
	}
	if !found {
		t.Errorf("a list that is wrong is not found: %v", b.parts.Load().set.Findings)
	}
	exchange(t, b, plainRequest())
	a := netip.MustParseAddr("127.0.0.1")
	wait(t, "the client is known", func() bool { _, ok := b.fleet.Find(a); return ok })
	plan := "gates: {better_means: {share: 0}, watched: {days: 0}, nts_ke: {headroom: 0, certificate_days: 0}}\n" +
		"groups: [{name: fra, prefixes: [127.0.0.0/8], stages: {none: refuse}}]"
	ask := func(q *migration.Request, at time.Time) error {
		_, err := b.migration.Ask(at, "user 0", q)
		return err
	}
	now := time.Now()
	if err := errors.Join(ask(&migration.Request{Do: migration.Apply, Name: "fleet.yaml", Plan: plan}, now),
		ask(&migration.Request{Do: migration.Advance, Group: "fra"}, now)); err != nil {
		t.Fatal(err)
	}
	if err := ask(&migration.Request{Do: migration.Advance, Group: "fra"}, now); !errors.Is(err, steer.ErrShut) ||
		!strings.Contains(err.Error(), "another_server") {
		t.Fatalf("a client that shows nothing: %v", err)
	}
	list(fmt.Sprintf(`[{"address":"127.0.0.1","means":[{"kind":"none","last_answered":%q}]}]`, now.UTC().Format(time.RFC3339)))
	if err := ask(&migration.Request{Do: migration.Advance, Group: "fra"}, now.Add(2*time.Minute)); err != nil {
		t.Errorf("a client that another gateway has: %v", err)
	}
}
