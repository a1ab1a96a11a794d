package association

import (
	"context"
	"net/netip"
	"sync/atomic"

	"ntsbridge/bridge/server"
	"ntsbridge/bridge/source"
)

// hub is who gets the packets of peers and broadcast servers.
type hub struct {
	*source.Hub
	set    *Set
	port   *latePort
	cancel context.CancelFunc
	begins bool // associations that no configuration names
}

// newHub makes a hub that gets nothing until open.
func (s *Set) newHub(c *Config) *hub {
	ctx, cancel := context.WithCancel(context.Background())
	h := &hub{set: s, port: &latePort{port: s.port(0, nil)}, cancel: cancel, begins: c.Passive.Enabled}
	cfg := source.HubConfig{Port: h.port, Max: c.Passive.Max, OnEnd: s.ended}
	if h.begins {
		cfg.Passive = s.beginPassive
	}
	var err error
	if h.Hub, err = source.NewHub(ctx, cfg); err != nil {
		panic("association: " + err.Error()) // it has a port
	}
	return h
}

// open makes packets come, from whoever had them before.
func (h *hub) open() {
	if h.port.handler != nil {
		h.port.port.Handle(h.port.handler)
	}
}

// close ends the hub; last says that nobody follows it.
func (h *hub) close(last bool) {
	if last {
		h.set.env.UDP.Handle(nil)
	}
	h.cancel()
}

// currentHub returns the one that packets come to; nil: none.
func (s *Set) currentHub() *hub {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hub
}

// latePort is a port that keeps its handler until it is told to register it.
type latePort struct {
	port
	handler source.Handler
}

// Handle implements source.Port.
func (p *latePort) Handle(h source.Handler) { p.handler = h }

// port is the server's UDP port as associations see it.
type port struct {
	udp  *server.Server
	ttl  uint8          // of packets sent, 0: the kernel's default
	sent *atomic.Uint64 // packets, if not nil
	kind source.StampKind
}

func (s *Set) port(ttl uint8, sent *atomic.Uint64) port {
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
