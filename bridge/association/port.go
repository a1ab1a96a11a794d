package association

import (
	"net/netip"
	"sync/atomic"

	"ntsbridge/bridge/server"
	"ntsbridge/bridge/source"
)

// port is the server's UDP port as associations see it.
type port struct {
	udp  *server.Server
	ttl  uint8          // of packets sent, 0: the kernel's default
	sent *atomic.Uint64 // packets, if not nil
	kind source.StampKind
}

func (s *shared) port(ttl uint8, sent *atomic.Uint64) port {
	kind := source.StampKernel
	if !s.env.KernelTimestamps {
		kind = source.StampDaemon
	}
	return port{s.env.UDP, ttl, sent, kind}
}

// Handle implements source.Port.
func (p port) Handle(h source.Handler) {
	if h == nil {
		p.udp.Handle(nil)
		return
	}
	p.udp.Handle(func(m *server.Peering) bool {
		return h(source.Packet{Data: m.Data, From: m.From, To: m.To, Destination: m.Destination, Received: m.Received, Kind: p.kind})
	})
}

// Send implements source.Port.
func (p port) Send(packet []byte, from netip.Addr, to netip.AddrPort) error {
	err := p.udp.Send(packet, server.Sending{From: from, To: to, TTL: p.ttl})
	if err == nil && p.sent != nil {
		p.sent.Add(1)
	}
	return err
}

// Join implements source.Port.
func (p port) Join(group netip.Addr) error { return p.udp.Join(group) }
