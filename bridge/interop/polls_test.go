package interop

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// TestPollsOnTheWire: with iburst real servers are asked four times 2 s apart,
// without it at minpoll; packets tell the exponent that is polled by. A server
// that says RATE, of a source with one fixed interval, is asked on.
func TestPollsOnTheWire(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server, strict, client := n.Host("true"), n.Host("strict"), n.Host("client")
	n.Names()
	chronyServer(server, Chronyd46)
	strict.Write("drift", "0.000\n")
	strict.Write("ntp.conf", localClock+"tos mindist 0.1 maxdist 16\ndisable kernel\ndriftfile /mnt/drift\n"+
		"restrict default limited kod nomodify\nrestrict 127.0.0.1\ndiscard average 5 minimum 2\n")
	strict.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")
	wire, kisses := server.Record(), strict.Record()
	f := startFollower(client, followerYAML("", fmt.Sprintf(`sources:
  - {server: %q, minpoll: 6, maxpoll: 10, iburst: true}
  - {server: %q, minpoll: 6, maxpoll: 10}
  - {server: %q, minpoll: 1, maxpoll: 1}
`, server.IPv4, server.IPv6, strict.IPv4)))
	began := time.Now()
	requests := func(from netip.Addr) []Packet {
		return wire.Packets(func(p Packet) bool { return p.From.Addr() == from && ntp.ModeOf(p.Payload) == ntp.ModeClient })
	}
	isRate := func(p Packet) bool {
		var h ntp.Header
		h.Decode(p.Payload)
		return p.From.Addr() == strict.IPv4 && h.Mode == ntp.ModeServer && h.Stratum == 0 && h.ReferenceID == ntp.KissCode("RATE")
	}
	Await(t, chaosLimit,
		Condition{"iburst", func() error {
			if got := len(requests(client.IPv4)); got < 5 {
				return fmt.Errorf("%d requests", got)
			}
			return nil
		}},
		Condition{"asked on after RATE", func() error {
			said := kisses.Packets(isRate)
			if len(said) == 0 {
				return fmt.Errorf("no RATE yet")
			}
			after := kisses.Packets(func(p Packet) bool {
				return p.To.Addr() == strict.IPv4 && ntp.ModeOf(p.Payload) == ntp.ModeClient && p.At.After(said[0].At)
			})
			if len(after) < 8 {
				return fmt.Errorf("%d requests after it", len(after))
			}
			return nil
		}})
	if got := len(requests(client.IPv6)); got != 1 && time.Since(began) < 60*time.Second {
		t.Errorf("%d requests without iburst in %v", got, time.Since(began))
	}
	burst := requests(client.IPv4)
	for i, p := range burst {
		if poll := int8(p.Payload[2]); poll != 6 {
			t.Errorf("request %d tells poll exponent %d", i+1, poll)
		}
		if i > 0 && i < 4 {
			if gap := p.At.Sub(burst[i-1].At); gap < 1900*time.Millisecond || gap > 5*time.Second {
				t.Errorf("request %d comes after %v", i+1, gap)
			}
		}
	}
	if !strings.Contains(f.Log(), "kiss code RATE") {
		t.Error("the log does not tell of RATE")
	}
}
