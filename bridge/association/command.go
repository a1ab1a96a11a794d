package association

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// ErrNoSource says that no source has the name or address.
var ErrNoSource = errors.New("no source has that name or address")

// matching returns the associations of a source by its name as configured or
// its address; empty: all.
func (s *Set) matching(source string) ([]*association, error) {
	address, _ := netip.ParseAddr(source)
	var found []*association
	for _, a := range s.configured() {
		here := source == "" || a.spec.Config.Server == source
		if r := a.runner.Load(); r != nil && address.IsValid() {
			here = here || (*r).Status().Server.Addr() == address.Unmap()
		}
		if here && !a.spec.Broadcast.IsValid() {
			found = append(found, a)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: %q", ErrNoSource, source)
	}
	return found, nil
}

// SetOnline lets sources be asked, or not any more (chronyc's online and
// offline), until the next restart. Empty: all.
func (s *Set) SetOnline(source string, online bool) error {
	found, err := s.matching(source)
	for _, a := range found {
		a.offline.Store(!online)
		a.tellOnline()
	}
	return err
}

// tellOnline tells who runs.
func (a *association) tellOnline() {
	if r := a.runner.Load(); r != nil {
		if c, ok := (*r).(interface{ SetOnline(bool) }); ok {
			c.SetOnline(!a.offline.Load())
		}
	}
}

// Burst asks sources several times at once (chronyc's burst). Empty: all.
func (s *Set) Burst(source string, good, most int) error {
	found, err := s.matching(source)
	if err != nil {
		return err
	}
	var failed []error
	asked := 0
	for _, a := range found {
		r := a.runner.Load()
		if r == nil {
			continue
		}
		if c, ok := (*r).(interface{ Burst(good, most int) error }); ok {
			if err := c.Burst(good, most); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", a.spec.Config.Server, err))
				continue
			}
			asked++
		}
	}
	if asked == 0 && len(failed) == 0 {
		return errors.New("none of them can be asked at the moment")
	}
	return errors.Join(failed...)
}

// Reset forgets what was measured of all sources that are asked, and asks them
// again (chronyc's reset sources).
func (s *Set) Reset() {
	for _, a := range s.configured() {
		if r := a.runner.Load(); r != nil && a.followed.Load() != nil {
			select {
			case a.reset <- struct{}{}:
			default:
			}
		}
	}
}

// OnOffline lets those sources be asked that the routes of this host reach, and
// the others not (chronyc's onoffline).
func (s *Set) OnOffline() {
	for _, a := range s.configured() {
		r := a.runner.Load()
		if r == nil || a.spec.Broadcast.IsValid() {
			continue
		}
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort((*r).Status().Server)) // sends nothing
		if err == nil {
			c.Close()
		}
		a.offline.Store(err != nil)
		a.tellOnline()
	}
}

// Refresh asks for the names of sources anew, and leaves addresses that are
// not theirs any more (chronyc's refresh).
func (s *Set) Refresh() {
	for _, a := range s.configured() {
		select {
		case a.renew <- struct{}{}:
		default:
		}
	}
}
