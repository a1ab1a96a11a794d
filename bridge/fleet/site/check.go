package site

import (
	"context"
	"time"
)

// How often etcd, and the size of its database, is looked at.
const (
	checkInterval = 5 * time.Second
	sizeInterval  = 10 * time.Minute
)

// check asks for something now and then, so that an etcd that was restored is
// noticed, and how large its database is.
func (n *session) check(ctx context.Context) error {
	if time.Since(n.checked) < checkInterval {
		return nil
	}
	first := n.checked.IsZero()
	n.checked = time.Now()
	s := n.site
	s.mu.Lock()
	key, revision := n.lastKey, n.lastRevision
	s.mu.Unlock()
	if key == "" {
		return nil
	}
	r, err := n.get(ctx, key)
	if err != nil {
		return err
	}
	s.mu.Lock()
	since := n.lastKey != key || n.lastRevision != revision
	s.mu.Unlock()
	if !since && (len(r.Kvs) == 0 || r.Kvs[0].ModRevision != revision) { // nobody else writes it
		return errWentBack
	}
	if !first && time.Since(n.sized) < sizeInterval {
		return nil
	}
	n.sized = time.Now()
	_ = n.ask(ctx, func(ctx context.Context) error { // a user of etcd may not be allowed to ask that
		r, err := n.client.Status(ctx, n.member)
		if err == nil {
			s.mu.Lock()
			s.size = r.DbSize
			s.mu.Unlock()
		}
		return err
	})
	return nil
}
