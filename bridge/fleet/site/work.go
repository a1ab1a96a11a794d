package site

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// How often things are told and looked at.
const (
	presentInterval = time.Minute // what may be late of a gateway, when nothing changes
	checkInterval   = 5 * time.Second
	sizeInterval    = 10 * time.Minute
)

// work does what is due. An error ends the session.
func (n *session) work(ctx context.Context) error {
	for _, do := range []func(context.Context) error{n.present, n.tellPlaces, n.giveBack, n.sendOrders, n.takeLock, n.mergeHistory,
		n.tellClients, n.handOut, n.check} {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// claim makes this gateway known. A name that another one has is left to it.
func (n *session) claim(ctx context.Context) error {
	s := n.site
	key := s.key(dirGateways, s.opt.Etcd.Name)
	r, err := n.get(ctx, key)
	if err != nil {
		return err
	}
	revision := int64(0)
	if len(r.Kvs) > 0 {
		revision = r.Kvs[0].ModRevision
		var p presence
		if json.Unmarshal(r.Kvs[0].Value, &p) == nil && p.ID != s.kept.ID {
			return fmt.Errorf("another gateway is called %s, too, since %s: give each its own fleet.etcd.name", p.Name,
				p.Started.UTC().Format(time.RFC3339))
		}
	}
	text, _ := n.presence()
	var t *clientv3.TxnResponse
	err = n.ask(ctx, func(ctx context.Context) error {
		t, err = n.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
			Then(clientv3.OpPut(key, text, clientv3.WithLease(n.lease))).Commit()
		return err
	})
	if err == nil && !t.Succeeded {
		err = errConflict
	}
	return err
}

// presence is the value of gateways/NAME, and what of it does not change by time.
func (n *session) presence() (text, same string) {
	s := n.site
	now := s.opt.Now()
	p := presence{Name: s.opt.Etcd.Name, Time: now.UTC(), About: s.opt.About(now)}
	s.mu.Lock()
	p.ID, p.Plan, p.Told = s.kept.ID, s.kept.Plan, n.told
	s.mu.Unlock()
	p.Started = s.start.UTC()
	if k := len(p.Watched); k > maxWatched {
		p.Watched = p.Watched[k-maxWatched:]
	}
	whole, _ := json.Marshal(&p)
	p.Time, p.Clients = time.Time{}, 0
	if k := len(p.Watched); k > 0 {
		p.Watched = append(p.Watched[:k-1:k-1], p.Watched[k-1])
		p.Watched[k-1].End = 0
	}
	rest, _ := json.Marshal(&p)
	return string(whole), string(rest)
}

// maxWatched is how many stretches of watching are told, the last ones.
const maxWatched = 200

// present tells that this gateway is here, and what of it has changed.
func (n *session) present(ctx context.Context) error {
	if time.Since(n.sent) < 2*time.Second {
		return nil
	}
	text, same := n.presence()
	if same == n.about && time.Since(n.sent) < presentInterval {
		return nil
	}
	s := n.site
	ok, err := n.write(ctx, nil, clientv3.OpPut(s.key(dirGateways, s.opt.Etcd.Name), text, clientv3.WithLease(n.lease)))
	if err == nil && !ok {
		return errLost
	}
	n.sent, n.about = time.Now(), same
	return err
}

// placesText is where the groups stand here.
func (n *session) placesText() string {
	s := n.site
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.places
	p.Plan = s.kept.Plan
	text, _ := json.Marshal(&p)
	return string(text)
}

// placesOp goes with writes of what all share, so that check notices when they
// are gone.
func (n *session) placesOp() clientv3.Op {
	return clientv3.OpPut(n.site.key(dirPlaces, n.site.opt.Etcd.Name), n.placesText())
}

// tellPlaces tells where the groups stand here.
func (n *session) tellPlaces(ctx context.Context) error {
	s := n.site
	text := n.placesText()
	if text == n.sentAt {
		return nil
	}
	ok, err := n.write(ctx, nil, clientv3.OpPut(s.key(dirPlaces, s.opt.Etcd.Name), text))
	if err == nil && !ok {
		return errLost
	}
	n.sentAt = text
	return err
}

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
		r, err := n.client.Status(ctx, s.opt.Etcd.Endpoints[0])
		if err == nil {
			s.mu.Lock()
			s.size = r.DbSize
			s.mu.Unlock()
		}
		return err
	})
	return nil
}
