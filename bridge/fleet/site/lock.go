package site

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// wantedFor is for how long the lock is kept for a step that does not begin.
const wantedFor = 2 * time.Minute

// Acquire takes the right to refuse on trial, which one gateway has at a time.
func (s *Site) Acquire(ctx context.Context) error {
	if s == nil {
		return nil
	}
	n := s.soon(ctx)
	if n == nil {
		return s.awayError()
	}
	s.want()
	return n.acquire(ctx)
}

func (s *Site) want() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = time.Now()
}

func (n *session) acquire(ctx context.Context) error {
	n.writing.Lock()
	defer n.writing.Unlock()
	if n.locked.Load() && n.alive() {
		return nil
	}
	s := n.site
	key := s.key(keyLock)
	r, err := n.transact(ctx, []clientv3.Cmp{clientv3.Compare(clientv3.CreateRevision(key), "=", 0)},
		[]clientv3.Op{clientv3.OpPut(key, s.opt.Etcd.Name, clientv3.WithLease(n.lease.id))}, []clientv3.Op{clientv3.OpGet(key)})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAway, err)
	}
	if r.Succeeded {
		s.mu.Lock()
		s.lock, n.lockRevision = s.opt.Etcd.Name, r.Header.Revision
		n.locked.Store(true)
		s.mu.Unlock()
		return nil
	}
	kvs := r.Responses[1].GetResponseRange().Kvs
	switch {
	case len(kvs) == 0:
		return fmt.Errorf("%w: %w", ErrAway, errLost)
	case clientv3.LeaseID(kvs[0].Lease) == n.lease.id:
		n.locked.Store(true)
		return nil
	case string(kvs[0].Value) == s.opt.Etcd.Name:
		return fmt.Errorf("%w: this one had the lock before it was started anew, and that lease has not ended yet: try again in %v", ErrBusy,
			s.opt.Etcd.Lease)
	}
	return fmt.Errorf("%w: %s; one gateway at a time, so that a client with several servers keeps the others", ErrBusy, kvs[0].Value)
}

// Holds tells whether this gateway may refuse on trial now: it has the lock, by a
// lease that has not ended. A member of etcd that hangs does not take that away.
func (s *Site) Holds() bool {
	if s == nil {
		return true
	}
	s.mu.Lock()
	l := s.lease
	s.mu.Unlock()
	return l != nil && l.locked.Load() && l.alive()
}

// Unlocked says why this gateway does not have the lock.
func (s *Site) Unlocked() string {
	if s.current() == nil {
		return s.awayError().Error()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == "" || s.lock == s.opt.Etcd.Name {
		return "etcd did not renew its lease in time, and is here again"
	}
	return s.lock + " has the lock"
}

// Want asks for the lock soon, for a step that nobody waits for.
func (s *Site) Want() {
	if s != nil {
		s.want()
		s.poke()
	}
}

// Keep is told each second whether something is refused on trial here, or was
// until just now.
func (s *Site) Keep(trying bool) {
	if s != nil && trying {
		s.want()
	}
}

// Done gives the lock back.
func (s *Site) Done() {
	if s == nil {
		return
	}
	s.mu.Lock()
	s.wanted = time.Time{}
	s.mu.Unlock()
	s.poke()
}

// takeLock takes the lock if it is wanted, and gives it back if it is not.
func (n *session) takeLock(ctx context.Context) error {
	s := n.site
	s.mu.Lock()
	wanted := !s.wanted.IsZero() && time.Since(s.wanted) < wantedFor
	free := s.lock == ""
	s.mu.Unlock()
	switch {
	case wanted && !n.locked.Load() && free:
		_ = n.acquire(ctx) // another one may be quicker; a step that waits asks again
	case !wanted && n.locked.Swap(false):
		key := s.key(keyLock)
		_, err := n.write(ctx, []clientv3.Cmp{clientv3.Compare(clientv3.LeaseValue(key), "=", n.lease.id)}, clientv3.OpDelete(key))
		return err
	}
	return nil
}
