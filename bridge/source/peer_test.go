package source

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"ntsbridge/bridge/clock/schedule"
	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// wire is a Port that keeps what is sent.
type wire struct {
	mu      sync.Mutex
	sent    [][]byte
	handler Handler
}

func (w *wire) Handle(h Handler)      { w.handler = h }
func (w *wire) Join(netip.Addr) error { return nil }
func (w *wire) Send(p []byte, _ netip.Addr, _ netip.AddrPort) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, append([]byte(nil), p...))
	return nil
}

func (w *wire) last() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent[len(w.sent)-1]
}

// fakeClock is set by hand.
type fakeClock struct {
	mu     sync.Mutex // now and uptime; who steps it may read them without
	now    ntp.Timestamp
	uptime time.Duration
	state  ntp.ClockState
}

func (c *fakeClock) Now() ntp.Timestamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}
func (c *fakeClock) Uptime() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.uptime
}
func (c *fakeClock) Pair() timebase.Pair {
	c.mu.Lock()
	defer c.mu.Unlock()
	return timebase.Pair{Raw: int64(c.uptime), System: int64(c.now>>32-2208988800)*1e9 + int64(c.now&0xffffffff)*1e9>>32}
}
func (c *fakeClock) State() *ntp.ClockState { return &c.state }
func (c *fakeClock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.uptime = c.now.Add(d), c.uptime+d
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: 4_000_000_000 << 32, state: ntp.ClockState{Stratum: 3, Precision: -20}}
}

func testKey(t *testing.T) *symkey.Key {
	t.Helper()
	k, err := symkey.NewKey(3, "SHA1", []byte("between the two of us"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// side is one end of a symmetric association.
type side struct {
	*Peer
	wire  *wire
	clock *fakeClock
}

func newSide(t *testing.T, clock *fakeClock, mode ntp.Mode) *side {
	t.Helper()
	auth, err := NewSymmetric(testKey(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &side{wire: new(wire), clock: clock}
	s.Peer, err = NewPeer(PeerConfig{
		Peer: netip.MustParseAddrPort("192.0.2.1:123"), Mode: mode, Auth: auth, Clock: clock, Port: s.wire,
		Polling: Polling{MinPoll: schedule.DefaultMinPoll, MaxPoll: schedule.DefaultMaxPoll},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// packet sends and returns what went out.
func (s *side) packet(t *testing.T) []byte {
	t.Helper()
	if err := s.poll(); err != nil {
		t.Fatal(err)
	}
	return s.wire.last()
}

// take hands a packet to s.
func (s *side) take(p []byte) (*Sample, Judgement) {
	pair := s.clock.Pair()
	return s.judge(queued{data: append([]byte(nil), p...), at: daemonStamp(pair), pair: pair})
}

func TestPeersMeasure(t *testing.T) {
	clock := newFakeClock()
	a, b := newSide(t, clock, ntp.ModeSymmetricActive), newSide(t, clock, ntp.ModeSymmetricPassive)
	exchange := func(from, to *side) *Sample {
		clock.step(10 * time.Second)
		p := from.packet(t)
		clock.step(3 * time.Millisecond)
		s, j := to.take(p)
		if j.Err != nil {
			t.Fatal(j.Err)
		}
		return s
	}
	if s := exchange(a, b); s != nil {
		t.Errorf("a sample from the first packet: %+v", s)
	}
	for range 5 {
		for _, s := range []*Sample{exchange(b, a), exchange(a, b)} {
			if s == nil || s.Offset < -2 || s.Offset > 2 || s.Delay < 5990*time.Microsecond ||
				s.Delay > 6010*time.Microsecond || s.Kind != ntp.KindSymmetric {
				t.Fatalf("sample %+v", s)
			}
		}
	}
}

// TestPeerRefuses: only authentic packets change anything, and repeated ones
// do not (CVE-2015-1799).
func TestPeerRefuses(t *testing.T) {
	clock := newFakeClock()
	a, b := newSide(t, clock, ntp.ModeSymmetricActive), newSide(t, clock, ntp.ModeSymmetricActive)
	turn := func() (fromA, fromB []byte) {
		clock.step(10 * time.Second)
		fromA = a.packet(t)
		b.take(fromA)
		clock.step(time.Second)
		fromB = b.packet(t)
		return fromA, fromB
	}
	_, first := turn()
	if s, j := a.take(first); s == nil {
		t.Fatalf("%+v", j)
	}
	_, second := turn()
	origin := a.origin
	for name, p := range map[string][]byte{
		"no MAC":     second[:48],
		"crypto-NAK": append(append([]byte(nil), second[:48]...), 0, 0, 0, 0),
		"wrong MAC":  append(append([]byte(nil), second[:len(second)-1]...), second[len(second)-1]^1),
		"mode":       append([]byte{second[0]&^7 | 3}, second[1:]...),
		"short":      second[:40],
	} {
		if s, j := a.take(p); s != nil || j.Err == nil || a.origin != origin {
			t.Errorf("%s: %+v %+v", name, s, j)
		}
	}
	if s, j := a.take(first); s != nil || !errors.Is(j.Err, ErrOrigin) || a.origin != origin {
		t.Errorf("the first packet again: %+v %+v", s, j)
	}
	if s, j := a.take(second); s == nil {
		t.Errorf("the second packet: %+v", j)
	}
	if s, _ := a.take(second); s != nil {
		t.Error("the second packet twice")
	}
}

func TestHub(t *testing.T) {
	clock, port := newFakeClock(), new(wire)
	key := testKey(t)
	table, err := symkey.NewTable([]*symkey.Key{key}, symkey.TrustAll)
	if err != nil {
		t.Fatal(err)
	}
	begun := 0
	_, err = NewHub(t.Context(), HubConfig{
		Port: port, Max: 2,
		Passive: func(h *Hub, p Packet) (*Peer, error) {
			auth, err := SymmetricAuth(p, table)
			if err != nil {
				return nil, err
			}
			if err := h.Greet(p, auth, clock); err != nil {
				return nil, err
			}
			begun++
			return NewPeer(PeerConfig{Peer: p.From, Mode: ntp.ModeSymmetricPassive, Auth: auth, Clock: clock, Port: port})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	good := newSide(t, clock, ntp.ModeSymmetricActive).packet(t)
	from := func(n byte, p []byte) bool {
		return port.handler(Packet{Data: p, Received: clock.now, From: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, n}), 123)})
	}
	for name, p := range map[string][]byte{
		"nothing": nil, "short": good[:47], "no MAC": good[:48],
		"crypto-NAK": append(append([]byte(nil), good[:48]...), 0, 0, 0, 0), // CVE-2015-7871
		"wrong MAC":  append(append([]byte(nil), good[:len(good)-1]...), good[len(good)-1]^1),
		"client":     append([]byte{good[0]&^7 | 3}, good[1:]...),
		"broadcast":  append([]byte{good[0]&^7 | 5}, good[1:]...),
	} {
		if from(1, p) || begun != 0 {
			t.Errorf("%s: began %d associations", name, begun)
		}
	}
	for n := range byte(100) { // one packet, recorded and sent from everywhere
		if !from(100+n, good) || begun != 0 {
			t.Fatalf("replay %d began an association", n)
		}
	}
	for n := range byte(5) {
		peer := newSide(t, clock, ntp.ModeSymmetricActive)
		clock.step(time.Second)
		took := from(n+1, peer.packet(t))
		if took != (n < 2) {
			t.Errorf("peer %d: taken %v", n+1, took)
		}
		if !took {
			continue
		}
		answer := port.last()
		clock.step(time.Second)
		if _, j := peer.take(answer); j.Err != nil {
			t.Errorf("peer %d refuses the answer: %v", n+1, j.Err)
		}
		second := peer.packet(t)
		if from(200+n, second); begun != int(n) {
			t.Errorf("what peer %d sent began an association with somebody else", n+1)
		}
		if !from(n+1, second) || begun != int(n)+1 {
			t.Errorf("peer %d, which heard us: %d associations", n+1, begun)
		}
	}
	if !from(1, good) || begun != 2 {
		t.Errorf("%d associations, at most 2", begun)
	}
}
