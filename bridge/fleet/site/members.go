package site

import (
	"context"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ntsbridge/bridge/fleet/history"
)

// load reads all keys. What was known of others before is forgotten once all is
// read, and not before: if that fails, it is what was known last.
func (n *session) load(ctx context.Context) error {
	s := n.site
	all, revision, err := n.readAll(ctx)
	if err != nil {
		return err
	}
	var shared []byte
	locked := false
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.others
	s.others = map[string]*member{}
	s.end, s.merged, s.lock = history.End{}, merged{}, ""
	s.secrets = sealed{}
	for _, kv := range all {
		n.see(string(kv.Key), kv.Value, kv.ModRevision, false)
		switch string(kv.Key) {
		case s.key(keyShared):
			shared = kv.Value
		case s.key(keyLock):
			locked = clientv3.LeaseID(kv.Lease) == n.lease.id
		}
	}
	n.revision = revision
	n.locked.Store(locked)        // by a session before
	for name, m := range before { // since when somebody is gone outlives a session
		if o := s.member(name); (o.here == nil) == (m.here == nil) {
			o.since = m.since
		}
	}
	s.seeShared(shared)
	return nil
}

// readAll reads all keys, of one revision.
func (n *session) readAll(ctx context.Context) (all []*mvccpb.KeyValue, revision int64, err error) {
	from := n.site.key("")
	end := clientv3.GetPrefixRangeEnd(from)
	for {
		opts := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(pageKeys),
			clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend), clientv3.WithRev(revision)}
		r, err := n.get(ctx, from, opts...)
		if err != nil {
			return nil, 0, err
		}
		if revision == 0 {
			revision = r.Header.Revision
		}
		all = append(all, r.Kvs...)
		if !r.More || len(r.Kvs) == 0 {
			return all, revision, nil
		}
		from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	}
}

// pageKeys is how many keys are read at once: 64 buckets of 600 clients are 0.5 MB.
const pageKeys = 64
