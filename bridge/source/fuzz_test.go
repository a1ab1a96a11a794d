package source

import (
	"net/netip"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// FuzzJudge feeds packets to associations of every mode. Without the key
// nothing but an unauthenticated client may take time from them.
func FuzzJudge(f *testing.F) {
	t := new(testing.T)
	clock := newFakeClock()
	peer := newSide(t, clock, ntp.ModeSymmetricActive)
	h := newHeard(t)
	good := newSide(t, clock, ntp.ModeSymmetricActive).packet(t)
	f.Add(good)
	f.Add(good[:48])
	f.Add(h.send())
	f.Add(append(encode(ntp.Header{Mode: ntp.ModeServer, Version: 4, Stratum: 1}), 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, p []byte) {
		clock.step(time.Minute)
		peer.sent[0] = ownPacket{clock.now, daemonStamp(clock.Pair()), clock.Pair()}
		if s, j := peer.take(p); s != nil {
			t.Fatalf("peer: %+v %+v", s, j)
		}
		h.clock.step(time.Minute)
		before := h.client.latest
		if s, _ := h.take(p); s != nil && s.Kind != ntp.KindSymmetric || h.client.latest < before {
			t.Fatalf("broadcast: %+v", s)
		}
		c, err := NewClient(ClientConfig{Server: netip.MustParseAddrPort("192.0.2.1:123"), Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		pair := clock.Pair()
		c.socket = &socket{clock: clock}
		c.answered = &request{times: exchanged{t1: daemonStamp(pair), t2: clock.now, t4: daemonStamp(pair)},
			departure: departure{before: pair}, end: pair}
		c.request = &request{open: true, nonce: 0x0123456789abcdef, echo: 0xfedcba9876543211,
			departure: departure{before: pair, at: stamp{pair.System, pair.Raw, StampKernel}}}
		s, j := c.judge(received{p, daemonStamp(pair), pair})
		if s != nil && (j.Err != nil || s.Header.Origin != c.request.nonce && s.Header.Origin != c.request.echo ||
			s.Delay <= 0 || s.Delay > defaultMaxDelay) {
			t.Fatalf("client: %+v", s)
		}
		if s == nil && j.Err == nil && c.request.outcome == nothing {
			t.Fatalf("client: neither a sample nor an error: %+v", j)
		}
		if s, _ := c.judge(received{p, daemonStamp(pair), pair}); s != nil {
			t.Fatalf("client: the packet counted twice: %+v", s)
		}
	})
}
