package bridge

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/migration"
)

// Prometheus reads the same on metrics.listen and on the control socket.
func TestMetrics(t *testing.T) {
	t.Parallel()
	_, cfg := followable(t)
	cfg.Metrics.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	b, err := Start(cfg, nullLogger, Options{NoClock: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	wait(t, "synchronised", func() bool { return b.snapshot().Tracking().Synchronised() })
	local := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", cfg.Control.Socket)
	}}}
	plan := "groups: [{name: fra, prefixes: [192.0.2.0/24], stages: {none: {stage: refuse, not_before: 2025-12-31}}}]"
	for _, q := range []migration.Request{{Do: migration.Apply, Name: "fleet.yaml", Plan: plan}, {Do: migration.Advance, Group: "fra"}} {
		if _, err := b.migration.Ask(time.Now(), "user 0", &q); err != nil {
			t.Fatal(err)
		}
	}
	b.migration.Status(time.Now(), false)
	r, err := local.Get("http://localhost/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nntsbridge_clock_synchronised 1\n", "\nntsbridge_source_reach_ratio{member=\"0\",source=\"127.0.0.1\"}",
		"\nntsbridge_source_state{member=\"0\",source=\"127.0.0.2\",state=\"falseticker\"}", "\nntsbridge_packets_received_total ",
		"\nntsbridge_problems ", "\nntsbridge_fleet_stage{group=\"fra\",means=\"none\"} 1\n",
		"\nntsbridge_fleet_target_stage{group=\"fra\",means=\"none\"} 4\n", "\nntsbridge_fleet_step_refusing{group=\"fra\",means=\"none\"} 0\n", "\ngo_goroutines ",
		"\nntsbridge_requests_total{kind=\"nts\",reason=\"ok\",version=\"4\"} 0\n",
		"\nntsbridge_fleet_gates_shut{group=\"fra\",means=\"none\"} 1\n",
		"\nntsbridge_fleet_not_before_timestamp_seconds{group=\"fra\",means=\"none\"} 1.7671", "\nntsbridge_fleet_backed_out_hurt_clients{group=\"fra\",means=\"none\"} 0\n",
		"\nntsbridge_inventory_watched_since_timestamp_seconds ", "\nntsbridge_inventory_store_behind 0\n", "\nntsbridge_inventory_forgotten_clients_total 0\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
