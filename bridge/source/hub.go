package source

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// HubConfig says which associations may begin by a packet that comes.
type HubConfig struct {
	Port Port // required
	// Passive makes the association for a peer that sends in symmetric active
	// mode and is not known; nil, or an error: none. The packet is not
	// authenticated yet, and may have been recorded: see Greet.
	Passive func(*Hub, Packet) (*Peer, error)
	// Broadcast makes the association for a broadcast server that is not
	// known; nil, or an error: none.
	Broadcast func(Packet) (*BroadcastClient, error)
	// Max is how many associations may begin so. Default: 16.
	Max int
	// OnEnd is called when such an association ends. May be nil.
	OnEnd func(netip.Addr, error)
}

// defaultEphemeral bounds associations that strangers can cause.
const defaultEphemeral = 16

// runner is an association that the hub gives packets to.
type runner interface {
	Deliver(Packet)
	Run(context.Context) error
}

// Hub gives the packets that come to port 123 to their associations, by source
// address, and begins associations where it is allowed.
type Hub struct {
	cfg HubConfig
	ctx context.Context

	mu        sync.Mutex
	known     map[netip.Addr]runner
	ephemeral int
	done      sync.WaitGroup
	secret    [16]byte // of greetings
}

// NewHub registers a hub with its port. Associations that it begins end with
// ctx; Wait waits for them.
func NewHub(ctx context.Context, cfg HubConfig) (*Hub, error) {
	if cfg.Port == nil {
		return nil, errors.New("source: no port")
	}
	if cfg.Max == 0 {
		cfg.Max = defaultEphemeral
	}
	h := &Hub{cfg: cfg, ctx: ctx, known: make(map[netip.Addr]runner)}
	_, _ = rand.Read(h.secret[:]) // never fails
	cfg.Port.Handle(h.Receive)
	return h, nil
}

// Add makes packets from an address go to a configured peer or broadcast
// client. The caller runs it.
func (h *Hub) Add(addr netip.Addr, r interface{ Deliver(Packet) }) error {
	addr = addr.Unmap().WithZone("")
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known[addr] != nil {
		return fmt.Errorf("source: there is an association with %v already", addr)
	}
	h.known[addr] = configured{r}
	return nil
}

// configured is an association that somebody else runs.
type configured struct{ inner interface{ Deliver(Packet) } }

func (c configured) Deliver(p Packet)        { c.inner.Deliver(p) }
func (configured) Run(context.Context) error { return nil }

// Remove forgets an association.
func (h *Hub) Remove(addr netip.Addr) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.known, addr.Unmap().WithZone(""))
}

// Wait waits until the associations that the hub began have ended.
func (h *Hub) Wait() { h.done.Wait() }

// Receive implements Handler.
func (h *Hub) Receive(p Packet) bool {
	if !forAssociation(p.Data) || h.ctx.Err() != nil {
		return false
	}
	addr := p.From.Addr().Unmap().WithZone("")
	h.mu.Lock()
	r := h.known[addr]
	taken := false
	if r == nil {
		r, taken = h.begin(addr, p)
	}
	h.mu.Unlock()
	if r != nil {
		r.Deliver(p)
	}
	return r != nil || taken
}

// begin begins an association if that is allowed; taken says that the packet
// was handled though none begins. The caller holds h.mu.
func (h *Hub) begin(addr netip.Addr, p Packet) (begun runner, taken bool) {
	if h.ephemeral >= h.cfg.Max || !authenticable(p.Data) {
		return nil, false
	}
	var r runner
	switch mode := ntp.ModeOf(p.Data); {
	case mode == ntp.ModeSymmetricActive && h.cfg.Passive != nil:
		peer, err := h.cfg.Passive(h, p)
		if err != nil || peer == nil {
			return nil, errors.Is(err, errGreeted)
		}
		r = peer
	case mode == ntp.ModeBroadcast && h.cfg.Broadcast != nil:
		client, err := h.cfg.Broadcast(p)
		if err != nil || client == nil {
			return nil, false
		}
		r = client
	default:
		return nil, false
	}
	h.known[addr] = r
	h.ephemeral++
	h.done.Go(func() {
		err := r.Run(h.ctx)
		h.mu.Lock()
		h.ephemeral--
		delete(h.known, addr)
		h.mu.Unlock()
		if h.cfg.OnEnd != nil {
			h.cfg.OnEnd(addr, err)
		}
	})
	return r, true
}

// authenticable reports whether a packet carries a MAC at all: a crypto-NAK or
// an unauthenticated packet never begins anything (CVE-2015-7871).
func authenticable(p []byte) bool {
	l := ntp.Classify(p, noKeys{})
	return l.Defect == ntp.ReasonOK && (l.Kind == ntp.KindSymmetric || l.Kind == ntp.KindAutokey)
}

// errNotBegun says that a packet does not begin an association.
var errNotBegun = errors.New("source: the packet begins no association")

// SymmetricAuth returns the authenticator for a peer or broadcast server whose
// packet has a good MAC of one of the keys, as ntpd asks for before it makes a
// passive or broadcast client association.
func SymmetricAuth(p Packet, keys *symkey.Table) (*Symmetric, error) {
	l := ntp.Classify(p.Data, keys)
	key := keys.Lookup(l.KeyID)
	if l.Defect != ntp.ReasonOK || l.Kind != ntp.KindSymmetric || key == nil {
		return nil, errNotBegun
	}
	if !key.Allows(p.From.Addr()) || !key.Verify(p.Data, l.MAC, symkey.NewScratch()) {
		return nil, errNotBegun
	}
	return NewSymmetric(key)
}
