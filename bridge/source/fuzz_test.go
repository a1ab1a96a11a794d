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
		peer.sentAt[0] = clock.now
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
		c.open, c.nonce, c.t1 = true, 0x0123456789abcdef, clock.now
		if s, j := c.judge(received{p, clock.now}); s != nil && (j.Err != nil || s.Header.Origin != c.nonce || s.Delay <= 0) {
			t.Fatalf("client: %+v", s)
		}
	})
}
