package server

import (
	"net/netip"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// Workers that serve are alive, idle or asked; one that hangs is not; and being
// asked does not keep them from stopping.
func TestAlive(t *testing.T) {
	s, err := New(Options{Workers: 3}, &State{}, &ntp.ClockState{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	bound, err := s.Listen([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("127.0.0.2:0")})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := s.Alive(10 * time.Second); err != nil {
			t.Fatal(err)
		}
	}
	stuck := &worker{socket: s.groups[bound[0]][0].socket}
	s.mu.Lock()
	s.groups[bound[0]] = append(s.groups[bound[0]], stuck)
	s.mu.Unlock()
	if err := s.Alive(20 * time.Millisecond); err == nil {
		t.Error("a worker that nobody runs is alive")
	}
	s.mu.Lock()
	s.groups[bound[0]] = s.groups[bound[0]][:3]
	s.mu.Unlock()
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.Close() }()
	for {
		select {
		case <-stopped:
			return
		default:
			_ = s.Alive(10 * time.Second)
		}
	}
}
