package site

import (
	"context"
	"encoding/json"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ntsbridge/bridge/fleet/history"
)

// member is a gateway as etcd tells of it.
type member struct {
	here    *presence // nil: it is not
	since   time.Time // of that, as it was seen here
	ahead   time.Duration
	skewed  bool // ahead is known
	places  Places
	buckets [Buckets][]byte
	told    uint64 // changes of them
}

func (s *Site) member(name string) *member {
	m := s.others[name]
	if m == nil {
		m = &member{}
		s.others[name] = m
	}
	return m
}

// seePresence takes gateways/NAME; value is nil when it is gone. fresh says that
// it was written this moment.
func (s *Site) seePresence(name string, value []byte, fresh bool) {
	m := s.member(name)
	now := s.opt.Now()
	var p *presence
	if value != nil {
		p = new(presence)
		if json.Unmarshal(value, p) != nil {
			return
		}
	}
	if (p == nil) != (m.here == nil) {
		m.since = now
		if p == nil {
			s.opt.Log.Warn("site: a gateway is gone", "gateway", name)
		} else if fresh {
			s.opt.Log.Info("site: a gateway is here", "gateway", name)
		}
	}
	if m.here = p; p != nil && fresh {
		m.ahead, m.skewed = p.Time.Sub(now), true
	}
}

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
			if string(kv.Key) == s.key(keyShared) {
				shared = kv.Value
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
