package site

import (
	"context"
	"encoding/json"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// change reads what all share, changes it and writes it, unless another one has
// meanwhile: then again.
func (n *session) change(ctx context.Context, do func(*Shared) error) error {
	s := n.site
	n.changing.Lock() // so that only other gateways can be quicker
	defer n.changing.Unlock()
	for range 20 {
		r, err := n.get(ctx, s.key(keyShared))
		if err != nil {
			return err
		}
		var d Shared
		revision := int64(0)
		if len(r.Kvs) > 0 {
			revision = r.Kvs[0].ModRevision
			_ = json.Unmarshal(r.Kvs[0].Value, &d) // what cannot be read is written anew
		}
		s.mu.Lock()
		if k := s.kept.Shared; k.Sequence > d.Sequence { // of before etcd was restored
			d = k
			d.Orders = append([]Order{}, k.Orders...)
		}
		s.mu.Unlock()
		if err := do(&d); err != nil {
			return err
		}
		d.Sequence++
		text, err := json.Marshal(&d)
		if err != nil {
			return err
		}
		if len(text) > maxShared {
			return fmt.Errorf("plan and orders have %d octets, and etcd takes %d: make the plan shorter", len(text), maxShared)
		}
		ok, err := n.write(ctx, []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(s.key(keyShared)), "=", revision)},
			clientv3.OpPut(s.key(keyShared), string(text)), n.placesOp())
		if err != nil {
			return err
		}
		if ok {
			s.mu.Lock()
			defer s.mu.Unlock()
			n.seen[keyShared] = max(n.seen[keyShared], n.lastRevision)
			s.less = false
			if d.Sequence > s.kept.Shared.Sequence {
				s.kept.Shared = d
				s.keep()
			}
			return nil
		}
		if !n.alive() {
			return errLost
		}
	}
	return errConflict
}

// giveBack writes back what an etcd of the past does not know.
func (n *session) giveBack(ctx context.Context) error {
	s := n.site
	s.mu.Lock()
	_, there := n.seen[keyShared]
	less := s.kept.Shared.Sequence > 0 && (!there || s.less)
	s.mu.Unlock()
	if !less {
		return nil
	}
	return n.change(ctx, func(*Shared) error { return nil })
}

// sendOrders tells what was ordered here while etcd was away.
func (n *session) sendOrders(ctx context.Context) error {
	s := n.site
	s.mu.Lock()
	waiting := append([]Order{}, s.kept.Waiting...)
	s.mu.Unlock()
	if len(waiting) == 0 {
		return nil
	}
	if err := n.change(ctx, func(d *Shared) error {
		for _, o := range waiting {
			d.order(o)
		}
		return nil
	}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept.Waiting = s.kept.Waiting[min(len(waiting), len(s.kept.Waiting)):]
	s.keep()
	return nil
}
