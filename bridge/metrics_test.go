package bridge

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
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
		"\nntsbridge_problems ", "\ngo_goroutines "} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
