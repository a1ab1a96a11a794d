package association

import (
	"net/netip"
	"slices"
	"sync"

	"ntsbridge/autokey"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// Set is all associations of this host. All methods are safe for concurrent
// use, but Prepare, Start and Stop, which have one caller.
type Set struct {
	*shared

	mu       sync.Mutex
	steering *follow.Steering
	groups   []*group
	clocks   []*referenceClock
	passive  []*association
	heard    *hub // nil: nothing comes to the server's port for us
	lastID   uint16
}

// group is a Spec with its associations: one, or the members of a pool.
type group struct {
	spec    *Spec
	members []*association
}

// stalled reports whether no member is at work: refused, lost, or not to be
// made.
func (g *group) stalled() bool {
	return !slices.ContainsFunc(g.members, func(a *association) bool { return a.lost.Load() == nil })
}

// NewSet returns a set without associations.
func NewSet(env Environment) *Set {
	s := &shared{env: env, clock: source.NewSystemClock(nil), joined: make(map[netip.Addr]int)}
	s.config.Store(&Config{})
	return &Set{shared: s}
}

// SetClock replaces what is served, which peers and broadcasts send.
func (s *Set) SetClock(state *ntp.ClockState) { s.clock.SetState(state) }

// SetAutokey tells that another Autokey server answers now. Clients of a
// broadcast ask it for what the broadcast has told the old one, so the
// broadcast tells anew.
func (s *Set) SetAutokey(server *autokey.Server) {
	if s.server.Swap(server) == server {
		return
	}
	for _, a := range s.configured() {
		if a.mode == ntp.ModeBroadcast && a.spec.Config.Auth == ntp.KindAutokey {
			select {
			case a.restart <- struct{}{}:
			default:
			}
		}
	}
}

// configured returns the associations of the configuration, in its order.
func (s *Set) configured() []*association {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*association
	for _, g := range s.groups {
		list = append(list, g.members...)
	}
	return list
}

// Hurry makes all clients ask at once.
func (s *Set) Hurry() {
	for _, a := range s.configured() {
		if r := a.runner.Load(); r != nil {
			if c, ok := (*r).(*source.Client); ok {
				c.Hurry()
			}
		}
	}
}

// Confirm makes all sources judge the dates of certificates by the clock as it
// is now.
func (s *Set) Confirm() {
	for _, a := range s.configured() {
		if n := a.nts.Load(); n != nil {
			n.Confirm()
		}
	}
}

// newID returns an association ID that nobody has. The caller holds s.mu.
func (s *Set) newID() uint16 {
	used := func(id uint16) bool {
		of := func(a *association) bool { return a.id == id }
		return id == 0 || slices.ContainsFunc(s.passive, of) ||
			slices.ContainsFunc(s.groups, func(g *group) bool { return slices.ContainsFunc(g.members, of) }) ||
			slices.ContainsFunc(s.clocks, func(r *referenceClock) bool { return r.id == id })
	}
	for s.lastID++; used(s.lastID); s.lastID++ {
	}
	return s.lastID
}
