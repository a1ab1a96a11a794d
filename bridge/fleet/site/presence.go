package site

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

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
			return fmt.Errorf("%w %s, too, since %s: give each its own fleet.etcd.name", errTaken, p.Name,
				p.Started.UTC().Format(time.RFC3339))
		}
	}
	text, _ := n.presence()
	var t *clientv3.TxnResponse
	err = n.ask(ctx, func(ctx context.Context) error {
		t, err = n.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
			Then(clientv3.OpPut(key, text, clientv3.WithLease(n.lease.id))).Commit()
		return err
	})
	if err == nil && !t.Succeeded {
		err = errConflict
	}
	if err == nil {
		s.mu.Lock()
		n.claimed = t.Header.Revision
		s.mu.Unlock()
	}
	return err
}

// presentInterval is how late something of a gateway may be told, when nothing changes.
const presentInterval = time.Minute

// presence is the value of gateways/NAME, and what of it does not change by time.
func (n *session) presence() (text, same string) {
	s := n.site
	now := s.opt.Now()
	p := presence{Name: s.opt.Etcd.Name, Time: now.UTC(), About: s.opt.About(now)}
	s.mu.Lock()
	s.scheme = p.Addresses
	p.ID, p.Plan, p.Told = s.kept.ID, s.kept.Plan, n.lease.told
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
	ok, err := n.write(ctx, nil, clientv3.OpPut(s.key(dirGateways, s.opt.Etcd.Name), text, clientv3.WithLease(n.lease.id)))
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
