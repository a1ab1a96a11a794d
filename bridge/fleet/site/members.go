package site

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ntsbridge/bridge/fleet/history"
)

// load reads all keys. What was known of others before is forgotten.
func (n *session) load(ctx context.Context) error {
	s := n.site
	fresh := map[string]*member{}
	s.mu.Lock()
	before := s.others
	s.others = fresh
	s.end, s.merged, s.lock = history.End{}, merged{}, ""
	s.secrets = sealed{}
	s.mu.Unlock()
	var shared []byte
	locked := false
	from, revision := s.key(""), int64(0)
	end := clientv3.GetPrefixRangeEnd(from)
	for {
		opts := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(pageKeys),
			clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend)}
		if revision > 0 {
			opts = append(opts, clientv3.WithRev(revision))
		}
		r, err := n.get(ctx, from, opts...)
		if err != nil {
			return err
		}
		if revision == 0 {
			revision = r.Header.Revision
		}
		s.mu.Lock()
		for _, kv := range r.Kvs {
			n.see(string(kv.Key), kv.Value, kv.ModRevision, false)
			switch string(kv.Key) {
			case s.key(keyShared):
				shared = kv.Value
			case s.key(keyLock):
				locked = clientv3.LeaseID(kv.Lease) == n.lease.id
			}
		}
		s.mu.Unlock()
		if !r.More || len(r.Kvs) == 0 {
			break
		}
		from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
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

// pageKeys is how many keys are read at once: 64 buckets of 600 clients are 0.5 MB.
const pageKeys = 64
