package association

import (
	"context"
	"net/netip"

	"ntsbridge/bridge/source"
)

// hub is who gets the packets of peers and broadcast servers.
type hub struct {
	*source.Hub
	shared *shared
	port   *latePort
	cancel context.CancelFunc
	begins bool // associations that no configuration names
}

// newHub makes a hub that gets nothing until open. begin and ended are of
// associations that no configuration names.
func newHub(s *shared, c *Config, begin func(*source.Hub, source.Packet) (*source.Peer, error), ended func(netip.Addr, error)) *hub {
	ctx, cancel := context.WithCancel(context.Background())
	h := &hub{shared: s, port: &latePort{port: s.port(0, nil)}, cancel: cancel, begins: c.Passive.Enabled}
	cfg := source.HubConfig{Port: h.port, Max: c.Passive.Max, OnEnd: ended}
	if h.begins {
		cfg.Passive = begin
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
		h.shared.env.UDP.Handle(nil)
	}
	h.cancel()
}

// latePort is a port that keeps its handler until it is told to register it.
type latePort struct {
	port
	handler source.Handler
}

// Handle implements source.Port.
func (p *latePort) Handle(h source.Handler) { p.handler = h }
