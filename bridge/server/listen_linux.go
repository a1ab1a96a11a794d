package server

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Listening is another set of listen addresses. Its sockets are open, and
// nobody reads from the new ones yet.
type Listening struct {
	srv    *Server
	next   map[netip.AddrPort][]*worker
	opened []*worker
	bound  []netip.AddrPort
}

// Listen makes addresses the set of listen addresses: Prepare and Commit.
func (s *Server) Listen(addresses []netip.AddrPort) ([]netip.AddrPort, error) {
	l, err := s.Prepare(addresses)
	if err != nil {
		return nil, err
	}
	l.Commit()
	return l.bound, nil
}

// Prepare opens what another set of listen addresses needs. If one cannot be
// opened nothing changes. Port 0 takes a free port. There is at most one
// Listening at a time that was neither committed nor aborted.
func (s *Server) Prepare(addresses []netip.AddrPort) (*Listening, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("server is closed")
	}
	l := &Listening{srv: s, next: make(map[netip.AddrPort][]*worker, len(addresses))}
	for _, a := range addresses {
		if err := l.add(a); err != nil {
			l.Abort()
			return nil, err
		}
	}
	return l, nil
}

// add takes an address over, or opens it. The caller holds the server's mutex.
func (l *Listening) add(a netip.AddrPort) (err error) {
	group, ok := l.srv.groups[a]
	if !ok {
		if group, err = l.srv.openGroup(a, !l.overlaps(a)); err != nil {
			return err
		}
		l.opened = append(l.opened, group...)
		if others := sharers([]netip.AddrPort{group[0].socket.listen}); len(others) > 0 {
			return fmt.Errorf("listen %v: %v has it too and would get a part of the requests; stop it or choose another address", a,
				others[0])
		}
	}
	a = group[0].socket.listen
	if _, twice := l.next[a]; twice {
		return fmt.Errorf("listen %v: named twice", a)
	}
	l.next[a] = group
	l.bound = append(l.bound, a)
	return nil
}

// overlaps reports whether a socket of ours has a part of an address.
func (l *Listening) overlaps(a netip.AddrPort) bool {
	for _, groups := range []map[netip.AddrPort][]*worker{l.srv.groups, l.next} {
		for other := range groups {
			if overlap(a, other) {
				return true
			}
		}
	}
	return false
}

// Addresses are those bound, in the order in which they were asked for.
func (l *Listening) Addresses() []netip.AddrPort { return l.bound }

// Abort closes what Prepare opened.
func (l *Listening) Abort() {
	if l != nil {
		closeAll(l.opened)
	}
}

// Commit serves on the new set. Sockets that stay are not touched; those no
// longer wanted are closed when it returns.
func (l *Listening) Commit() {
	s := l.srv
	s.mu.Lock()
	s.publish(l.bound, l.next)
	for _, w := range l.opened {
		go w.run()
	}
	for a, group := range s.groups {
		if _, stays := l.next[a]; !stays {
			s.ending = append(s.ending, group...)
		}
	}
	s.groups = l.next
	s.mu.Unlock()
	if s.opt.Beside != nil {
		s.opt.Beside.Listen(l.bound)
	}
	s.retire()
}

// retire waits for the workers that are ending and keeps their counts.
func (s *Server) retire() {
	s.mu.Lock()
	ending := slices.Clone(s.ending)
	s.mu.Unlock()
	for _, w := range ending { // all at once
		w.interrupt()
	}
	for _, w := range ending {
		<-w.done
		s.mu.Lock()
		if i := slices.Index(s.ending, w); i >= 0 { // nobody else has counted it
			w.count.addTo(&s.retired)
			s.ending = slices.Delete(s.ending, i, i+1)
		}
		s.mu.Unlock()
	}
}
