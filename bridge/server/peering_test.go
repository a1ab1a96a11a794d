package server

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// peeringServer has more workers than one on an unspecified address, and gives
// packets of associations to the channel if their poll field is 3.
func peeringServer(t *testing.T, listen string) (*Server, netip.AddrPort, <-chan Peering) {
	t.Helper()
	s, bound := start(t, Options{Workers: 4}, testState(t), listen)
	got := make(chan Peering, 64)
	s.Handle(func(p *Peering) bool {
		if p.Data[2] != 3 {
			return false
		}
		q := *p
		q.Data = bytes.Clone(p.Data)
		got <- q
		return true
	})
	return s, bound[0], got
}

func peeringPacket(mode ntp.Mode, poll byte) []byte {
	p := request(4, mode, 77)
	p[2] = poll
	return p
}

func receivePeering(t *testing.T, got <-chan Peering) Peering {
	t.Helper()
	select {
	case p := <-got:
		return p
	case <-time.After(10 * time.Second):
		t.Fatal("the packet did not come to the handler")
	}
	return Peering{}
}

func TestPacketsOfAssociations(t *testing.T) {
	s, bound, got := peeringServer(t, "0.0.0.0:0")
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.7"), bound.Port())
	c := dial(t, to)
	from := c.LocalAddr().(*net.UDPAddr).AddrPort()
	for _, mode := range []ntp.Mode{ntp.ModeSymmetricActive, ntp.ModeSymmetricPassive, ntp.ModeServer, ntp.ModeBroadcast} {
		want := peeringPacket(mode, 3)
		if _, err := c.Write(want); err != nil {
			t.Fatal(err)
		}
		p := receivePeering(t, got)
		if !bytes.Equal(p.Data, want) || p.From != from || p.To != to.Addr() || p.Destination != to.Addr() || p.Received == 0 {
			t.Errorf("mode %d: handler got %+v", mode, p)
		}
	}
	// Others are served or dropped as ever, and mode 3 is not even shown.
	if h := decode(t, ask(t, c, peeringPacket(ntp.ModeClient, 3))); h.Mode != ntp.ModeServer {
		t.Errorf("client got mode %d", h.Mode)
	}
	if h := decode(t, ask(t, c, peeringPacket(ntp.ModeSymmetricActive, 4))); h.Mode != ntp.ModeSymmetricPassive {
		t.Errorf("an unknown peer without MAC got mode %d", h.Mode)
	}
	for _, mode := range []ntp.Mode{ntp.ModeServer, ntp.ModeBroadcast} {
		if _, err := c.Write(peeringPacket(mode, 4)); err != nil {
			t.Fatal(err)
		}
	}
	ask(t, c, peeringPacket(ntp.ModeClient, 4)) // answered after them, by the same worker
	if len(got) != 0 {
		t.Errorf("handler got %d packets more", len(got))
	}
	n := s.Counters()
	if n.Dropped() != 6 || reasonTotal(n, ntp.ReasonMode) != 2 || n.Modes[ntp.ModeBroadcast] != 2 || n.Received != 9 {
		t.Errorf("counters: dropped %d, of them for the mode %d; by mode %v; received %d", n.Dropped(), reasonTotal(n,
			ntp.ReasonMode), n.Modes, n.Received)
	}
}

// The kernel gives a copy of a broadcast to every socket of the port; the
// handler must see one, or it would take the others for replays.
func TestBroadcastComesOnce(t *testing.T) {
	s, bound, got := peeringServer(t, "0.0.0.0:0")
	broadcast := netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), bound.Port())
	for i := range 8 {
		p := peeringPacket(ntp.ModeBroadcast, 3)
		p[1] = byte(i)
		if err := s.Send(p, Sending{From: netip.MustParseAddr("127.0.0.9"), To: broadcast, TTL: 3}); err != nil {
			t.Fatal(err)
		}
		q := receivePeering(t, got)
		if q.Data[1] != byte(i) || q.Destination != broadcast.Addr() || q.From.Addr() != netip.MustParseAddr("127.0.0.9") ||
			q.From.Port() != bound.Port() || !q.To.IsLoopback() || q.To == q.Destination {
			t.Errorf("broadcast %d came as %+v", i, q)
		}
	}
	s.Close() // the workers have looked at everything
	if n := s.Counters(); n.Received != 8 || n.Modes[ntp.ModeBroadcast] != 8 || len(got) != 0 {
		t.Errorf("received %d, by mode %v, %d left", n.Received, n.Modes, len(got))
	}
	if err := s.Send(peeringPacket(ntp.ModeBroadcast, 3), Sending{To: broadcast}); err == nil {
		t.Error("a closed server sends")
	}
}

func TestSendChoosesTheSocket(t *testing.T) {
	s, bound := start(t, Options{}, testState(t), "127.0.0.3:0", "0.0.0.0:0")
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	to := c.LocalAddr().(*net.UDPAddr).AddrPort()
	for _, test := range []struct {
		from string
		want netip.AddrPort
	}{
		{"127.0.0.3", bound[0]},
		{"127.0.0.4", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.4"), bound[1].Port())},
	} {
		if err := s.Send([]byte("packet"), Sending{From: netip.MustParseAddr(test.from), To: to}); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, from, err := c.ReadFromUDPAddrPort(make([]byte, 64))
		if err != nil || from != test.want {
			t.Errorf("from %s: came from %v, want %v (%v)", test.from, from, test.want, err)
		}
	}
	if err := s.Send([]byte("packet"), Sending{To: netip.MustParseAddrPort("[::1]:123")}); err == nil {
		t.Error("no IPv6 socket, and yet sent")
	}
}

func TestMulticastNeedsAnUnspecifiedAddress(t *testing.T) {
	s, _ := start(t, Options{}, testState(t), "127.0.0.1:0")
	if err := s.Join(netip.MustParseAddr("224.0.1.1")); err == nil {
		t.Error("joined on 127.0.0.1")
	}
}
