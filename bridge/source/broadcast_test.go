package source

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// heard is a broadcast client whose delay is known, and its server.
type heard struct {
	t      *testing.T
	clock  *fakeClock
	wire   *wire
	server *BroadcastServer
	client *BroadcastClient
}

func newHeard(t *testing.T) *heard {
	t.Helper()
	h := &heard{t: t, clock: newFakeClock(), wire: new(wire)}
	auth, err := NewSymmetric(testKey(t))
	if err != nil {
		t.Fatal(err)
	}
	h.server, err = NewBroadcastServer(BroadcastServerConfig{
		Destination: netip.MustParseAddrPort("192.0.2.255:123"), Auth: auth, Poll: 4, Clock: h.clock, Port: h.wire,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.client, err = NewBroadcastClient(BroadcastClientConfig{
		Server: netip.MustParseAddrPort("192.0.2.1:123"), Auth: SymmetricBroadcast{auth}, NoExchange: true, Delay: 4 * time.Millisecond,
		Clock: h.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// send makes a broadcast.
func (h *heard) send() []byte {
	h.t.Helper()
	if err := h.server.send(16 * time.Second); err != nil {
		h.t.Fatal(err)
	}
	return h.wire.last()
}

func (h *heard) take(p []byte) (*Sample, error) {
	pair := h.clock.Pair()
	return h.client.judge(queued{append([]byte(nil), p...), netip.MustParseAddr("192.0.2.255"), daemonStamp(pair), pair})
}

func TestBroadcastMeasures(t *testing.T) {
	h := newHeard(t)
	for range 5 {
		h.clock.step(16 * time.Second)
		p := h.send()
		h.clock.step(4 * time.Millisecond)
		s, err := h.take(p)
		if err != nil || s == nil || !s.Broadcast || s.Delay != 8*time.Millisecond || s.Header.Stratum != 3 {
			t.Fatalf("%+v, %v", s, err)
		}
		if s.Offset < -time.Microsecond || s.Offset > time.Microsecond {
			t.Errorf("offset %v", s.Offset)
		}
	}
}

// TestBroadcastRefuses: CVE-2015-7973 (repeated broadcasts) and 2015-7979 (a
// wrong MAC must not end the association).
func TestBroadcastRefuses(t *testing.T) {
	h := newHeard(t)
	h.clock.step(16 * time.Second)
	first := h.send()
	if s, err := h.take(first); s == nil {
		t.Fatal(err)
	}
	for range 3 {
		h.clock.step(16 * time.Second)
		if s, err := h.take(first); s != nil || !errors.Is(err, ErrOrigin) {
			t.Errorf("repeated: %+v, %v", s, err)
		}
	}
	second := h.send()
	bad := append([]byte(nil), second...)
	bad[len(bad)-1] ^= 1
	for name, p := range map[string][]byte{"wrong MAC": bad, "no MAC": second[:48],
		"crypto-NAK": append(append([]byte(nil), second[:48]...), 0, 0, 0, 0), "short": second[:20]} {
		if s, err := h.take(p); s != nil || err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if s, err := h.take(second); s == nil {
		t.Error(err)
	}
	early := h.send()
	h.clock.step(time.Second)
	if s, err := h.take(early); s != nil || err == nil {
		t.Errorf("before its time: %+v", s)
	}
}

func TestBroadcastServerIsSilentWithoutTime(t *testing.T) {
	h := newHeard(t)
	h.clock.state.Leap = ntp.LeapUnknown
	if err := h.server.send(16 * time.Second); err != nil {
		t.Fatal(err)
	}
	if len(h.wire.sent) != 0 {
		t.Errorf("%d broadcasts", len(h.wire.sent))
	}
}

// A recorded broadcast of a time when the server sent more often does not make
// the present ones lost.
func TestBroadcastIsNotLostByARecordedOne(t *testing.T) {
	h := newHeard(t)
	h.clock.step(16 * time.Second)
	recorded := h.send()
	if s, err := h.take(recorded); s == nil {
		t.Fatal(err)
	}
	h.server.cfg.Poll = 6
	h.clock.step(64 * time.Second)
	if s, err := h.take(h.send()); s == nil {
		t.Fatal(err)
	}
	h.clock.step(70 * time.Second) // more than four of the recorded one's intervals
	if s, err := h.take(recorded); s != nil || !errors.Is(err, ErrOrigin) {
		t.Errorf("recorded: %+v, %v", s, err)
	}
}
