package interop

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestNtpsecReadsMrulist lets ntpsec's ntpq, which asks for the list in its own way
// (fragments, resumed from the last entries, sorted by itself), print our clients.
func TestNtpsecReadsMrulist(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("the list of clients is ntsbridge's")
	}
	s := newSite(t)
	a, b := s.Host("classic"), s.Host("chrony")
	s.Names()
	s.Start()
	clients := []*Client{ntpdClient(a, serverName, "", ""), chronyKeyClient(b, Chronyd46, serverName, 3)}
	Await(t, limit, clients[0].Condition(), clients[1].Condition())
	for _, order := range []string{"", "sort=-lstint", "sort=addr"} {
		Await(t, limit, Condition{"ntpsec's ntpq mrulist " + order, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 4*queryTimeout)
			defer cancel()
			out, err := s.host.Output(ctx, NTPsecNTPQ, "-n", "-c", strings.TrimSpace("mrulist "+order), "127.0.0.1")
			for _, h := range []*Host{a, b} {
				if err == nil && !strings.Contains(out, " "+h.IPv4.String()) {
					err = fmt.Errorf("%v is not in %q", h.IPv4, out)
				}
			}
			return err
		}})
	}
}
