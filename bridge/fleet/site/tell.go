package site

import (
	"context"
	"hash/maphash"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ntsbridge/bridge/fleet/inventory"
)

// tellRate is how many keys are written at once, at most each second: of three
// gateways 18 a second, and on average far fewer.
const tellRate = 6

// scanInterval is how often the clients are looked at.
func (s *Site) scanInterval() time.Duration {
	return min(max(s.opt.Etcd.FactsInterval/5, 2*time.Second), 2*time.Minute)
}

// tellClients tells what has changed of clients. What etcd does not have yet is
// told at once, other changes wait for more of their kind.
func (n *session) tellClients(ctx context.Context) error {
	s := n.site
	if !s.opt.About(s.opt.Now()).Synchronised {
		return nil // nobody knows which day it is
	}
	if n.scanned.IsZero() || time.Since(n.scanned) >= s.scanInterval() {
		if err := n.scan(); err != nil {
			return nil // the inventory is off or cannot be read; About says the rest
		}
	}
	var ops []clientv3.Op
	var written []int
	now, waiting := time.Now(), 0
	for i := range n.buckets {
		b := &n.buckets[i]
		if b.due.IsZero() {
			continue
		}
		waiting++
		if now.Before(b.due) || len(ops) >= tellRate {
			continue
		}
		key := s.bucketKey(s.opt.Etcd.Name, i)
		if b.value == nil {
			ops = append(ops, clientv3.OpDelete(key))
		} else {
			ops = append(ops, clientv3.OpPut(key, string(b.value)))
		}
		written = append(written, i)
	}
	if len(ops) > 0 {
		if !slices.ContainsFunc(ops, clientv3.Op.IsPut) {
			ops = append(ops, n.placesOp())
		}
		ok, err := n.write(ctx, nil, ops...)
		if err == nil && !ok {
			return errLost
		}
		if err != nil {
			return err
		}
	}
	for _, i := range written {
		b := &n.buckets[i]
		*b = bucket{known: maphash.Bytes(s.seed, b.value), there: b.value != nil}
	}
	late := false
	for i := range n.buckets {
		late = late || !n.buckets[i].due.IsZero() && !now.Before(n.buckets[i].due)
	}
	n.lease.told = n.lease.told || !late
	s.mu.Lock()
	s.pending = waiting - len(written)
	s.mu.Unlock()
	return nil
}

// scan looks at all clients, and finds the buckets that have changed.
func (n *session) scan() error {
	s := n.site
	var lists [Buckets][]fact
	if err := s.opt.Each(func(c *inventory.Client) {
		if len(c.Means) > 0 {
			at := bucketOf(&c.Key)
			lists[at] = append(lists[at], newFact(c))
		}
	}); err != nil {
		return err
	}
	now := time.Now()
	n.scanned = now
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range lists {
		b, value := &n.buckets[i], encode(lists[i])
		switch {
		case (value != nil) == b.there && (value == nil || maphash.Bytes(s.seed, value) == b.known):
			b.due, b.value = time.Time{}, nil
			continue
		case !b.due.IsZero():
		case !n.lease.told || !b.there:
			b.due = now
		default:
			b.due = now.Add(s.opt.Etcd.FactsInterval)
		}
		b.value = value
	}
	return nil
}
