package site

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// session is what this gateway has of one member of etcd.
type session struct {
	site   *Site
	client *clientv3.Client
	member string // its URL
	*lease        // nil until there is one

	revision     int64 // of etcd, as last seen
	cluster      uint64
	seen         map[string]int64 // revision of the keys that are compared
	writing      sync.Mutex       // held while something is written
	changing     sync.Mutex       // held while what all share is changed; taken before writing
	claimed      int64            // revision of gateways/NAME, as this session wrote it last
	lastKey      string           // that was written last of those that only this gateway writes
	lastRevision int64
	lockRevision int64 // of the lock, as it was taken here
	buckets      [Buckets]bucket
	scanned      time.Time
	sent         time.Time // of the presence
	about        string    // as it was sent
	sentAt       string    // places, likewise
	checked      time.Time
	sized        time.Time
	handed       time.Time // secrets
}

// ask does one request within the time that it may take.
func (n *session) ask(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), n.site.opt.Etcd.Timeout)
	defer cancel()
	began := time.Now()
	err := do(ctx)
	a := &n.site.asked
	a.requests.Add(1)
	if err != nil {
		a.failures.Add(1)
		switch {
		case errors.Is(err, rpctypes.ErrLeaseNotFound):
			return errLost
		case errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
			return fmt.Errorf("no answer from %s within %v", n.member, n.site.opt.Etcd.Timeout)
		}
		return err
	}
	a.latency.Store(int64(time.Since(began)))
	a.answered.Store(time.Now().UnixNano())
	return nil
}

// get reads keys.
func (n *session) get(ctx context.Context, key string, opts ...clientv3.OpOption) (r *clientv3.GetResponse, err error) {
	floor := n.floor()
	err = n.ask(ctx, func(ctx context.Context) error {
		r, err = n.client.Get(ctx, key, opts...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, n.header(r.Header, floor)
}

// write does a transaction if all of it is as compared; ok is false if it is not.
// The name must be as this session wrote it, so that what a session before sent
// and a member did late does nothing; and the last write of a key that only this
// gateway writes must be there: else etcd is one of the past.
func (n *session) write(ctx context.Context, compare []clientv3.Cmp, ops ...clientv3.Op) (ok bool, err error) {
	n.writing.Lock() // what was written last is compared
	defer n.writing.Unlock()
	r, err := n.transact(ctx, compare, ops, nil)
	return err == nil && r.Succeeded, err
}

// transact does what write does, and asks for something more if nothing is
// written. The mutex writing is held.
func (n *session) transact(ctx context.Context, compare []clientv3.Cmp, ops, otherwise []clientv3.Op) (*clientv3.TxnResponse, error) {
	s := n.site
	name := s.key(dirGateways, s.opt.Etcd.Name)
	s.mu.Lock()
	claimed, key, revision := n.claimed, n.lastKey, n.lastRevision
	s.mu.Unlock()
	compare = append(slices.Clip(compare), clientv3.Compare(clientv3.ModRevision(name), "=", claimed))
	otherwise = append([]clientv3.Op{clientv3.OpGet(name)}, otherwise...)
	if key != "" {
		compare = append(compare, clientv3.Compare(clientv3.ModRevision(key), "=", revision))
		otherwise = append(otherwise, clientv3.OpGet(key))
	}
	floor := n.floor()
	var r *clientv3.TxnResponse
	err := n.ask(ctx, func(ctx context.Context) (err error) {
		r, err = n.client.Txn(ctx).If(compare...).Then(ops...).Else(otherwise...).Commit()
		return err
	})
	if err == nil {
		err = n.header(r.Header, floor)
	}
	if err != nil {
		return nil, err
	}
	if r.Succeeded {
		s.asked.writes.Add(uint64(len(ops)))
		n.wrote(ops, r.Header.Revision)
		return r, nil
	}
	own := r.Responses[0].GetResponseRange().Kvs
	switch {
	case len(own) == 0 || clientv3.LeaseID(own[0].Lease) != n.lease.id:
		return nil, errLost
	case own[0].ModRevision != claimed:
		return nil, errWentBack
	case key != "":
		last := r.Responses[len(r.Responses)-1].GetResponseRange().Kvs
		if len(last) == 0 || last[0].ModRevision != revision {
			return nil, errWentBack
		}
	}
	return r, nil
}

// wrote notes the last write of a key that only this gateway writes.
func (n *session) wrote(ops []clientv3.Op, revision int64) {
	s := n.site
	name := s.key(dirGateways, s.opt.Etcd.Name)
	own := []string{name, s.key(dirPlaces, s.opt.Etcd.Name), s.key(dirMerged, s.opt.Etcd.Name)}
	s.mu.Lock()
	defer s.mu.Unlock()
	noted := false
	for _, o := range ops {
		key := string(o.KeyBytes())
		if !o.IsPut() {
			continue
		}
		if key == name {
			n.claimed = revision
		}
		if !noted && (slices.Contains(own, key) || strings.HasPrefix(key, s.key(dirClients, s.opt.Etcd.Name, "/"))) {
			n.lastKey, n.lastRevision, noted = key, revision, true
		}
	}
}

// floor is the revision that an answer to a request of now has at least: etcd's
// reads and transactions never go back.
func (n *session) floor() int64 {
	n.site.mu.Lock()
	defer n.site.mu.Unlock()
	return n.revision
}

// header notices that etcd is another one, or of the past.
func (n *session) header(h *etcdserverpb.ResponseHeader, floor int64) error {
	s := n.site
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.cluster != 0 && (h.ClusterId != n.cluster || h.Revision < floor) {
		return errWentBack
	}
	n.cluster = h.ClusterId
	return nil
}
