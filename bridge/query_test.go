package bridge

import (
	"net/netip"
	"strings"
	"testing"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/ntp"
)

// readSystem is ntpq's request for the system variables.
var readSystem = []byte{0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}

func TestQueryFromThisHost(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	b := startBridge(t, cfg)
	defer b.Close()
	for range 2 {
		p := exchange(t, b, readSystem)
		if len(p) < 12 || p[0] != 0x16 || p[1] != 0x82 || !strings.Contains(string(p), `version="ntsbridge `) ||
			!strings.Contains(string(p), "stratum=10,") {
			t.Fatalf("answer %q", p)
		}
		if p[5] != 0x10|byte(control.EventClockSync) {
			t.Errorf("status %x, want one event clock_sync", p[4:6])
		}
		if err := b.Reload(cfg); err != nil { // forgets no event
			t.Fatal(err)
		}
	}
	stats := b.ServerStats()
	if stats.Modes[ntp.ModeControl] != 2 || stats.Queries.OctetsIn != 24 || stats.Queries.OctetsOut < 400 {
		t.Errorf("%d of mode 6, %+v", stats.Modes[ntp.ModeControl], stats.Queries)
	}
}

func TestQueryRefusedByRule(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, t.TempDir())
	rule := cfg.Access.Default
	rule.Prefixes = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	cfg.Access.Rules = []config.AccessRule{rule}
	b := startBridge(t, cfg)
	defer b.Close()
	if p := exchange(t, b, readSystem); p != nil {
		t.Errorf("answer %q against a rule without query", p)
	}
	if n := b.ServerStats().Count("none", "denied"); n != 1 {
		t.Errorf("%d denied", n)
	}
}
