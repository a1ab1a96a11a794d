package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ntsbridge/bridge/fleet/history"
)

// changed takes what others have written.
func (n *session) changed(w clientv3.WatchResponse, ok bool) error {
	switch {
	case !ok:
		return errors.New("the watch ended")
	case w.CompactRevision != 0:
		return fmt.Errorf("etcd has forgotten what happened before revision %d (compaction): all is read anew", w.CompactRevision)
	case w.Err() != nil:
		return w.Err()
	}
	s := n.site
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range w.Events {
		value := e.Kv.Value
		if e.Type == clientv3.EventTypeDelete {
			value = nil
		}
		known := n.seen[keyShared]
		n.see(string(e.Kv.Key), value, e.Kv.ModRevision, true)
		if string(e.Kv.Key) == s.key(keyShared) && value != nil && e.Kv.ModRevision >= known { // else of before a write of ours
			s.seeShared(value)
		}
	}
	n.revision = max(n.revision, w.Header.Revision)
	return nil
}

// see takes a key; value is nil when it is gone. The mutex is held.
func (n *session) see(key string, value []byte, revision int64, fresh bool) {
	s := n.site
	name, ok := strings.CutPrefix(key, s.key(""))
	if !ok {
		return
	}
	if value == nil {
		delete(n.seen, name)
	} else {
		n.seen[name] = max(n.seen[name], revision)
	}
	rest := ""
	is := func(dir string) bool { rest, ok = strings.CutPrefix(name, dir); return ok }
	switch {
	case is(dirGateways):
		s.seePresence(rest, value, fresh)
	case is(dirPlaces):
		m := s.member(rest)
		m.places = Places{}
		_ = json.Unmarshal(value, &m.places) // what cannot be read says nothing, which keeps gates shut
	case is(dirClients):
		n.seeBucket(rest, value)
	case name == keyLock && revision < n.lockRevision: // of before it was taken here
	case name == keyLock:
		s.lock = string(value)
		if s.lock != s.opt.Etcd.Name {
			n.locked.Store(false)
		}
	case name == keyEnd:
		s.end = history.End{}
		_ = json.Unmarshal(value, &s.end)
	case name == dirMerged+s.opt.Etcd.Name:
		s.merged = merged{}
		_ = json.Unmarshal(value, &s.merged)
	case name == keySecrets:
		s.secrets = sealed{}
		_ = json.Unmarshal(value, &s.secrets)
	}
	if strings.HasPrefix(name, dirEntries) {
		delete(n.seen, name) // never compared
	}
}

func (n *session) seeBucket(name string, value []byte) {
	s := n.site
	delete(n.seen, dirClients+name)
	gateway, at, ok := parseBucket(name)
	switch {
	case !ok:
	case gateway == s.opt.Etcd.Name:
		n.buckets[at].known = maphash.Bytes(s.seed, value)
		n.buckets[at].there = value != nil
	default:
		s.member(gateway).buckets[at] = value
		s.member(gateway).told++
	}
}

// seeShared takes what all follow. What is older than what was seen before is of
// a restored backup: the later one is written back. The mutex is held.
func (s *Site) seeShared(value []byte) {
	var d Shared
	if value != nil && json.Unmarshal(value, &d) != nil {
		s.broken = "what is shared cannot be read; `ntsbridge fleet apply` writes it anew"
		return
	}
	s.broken, s.less = "", false
	if d.Sequence < s.kept.Shared.Sequence {
		s.opt.Log.Warn("site: etcd knows less than this gateway: it was restored from a backup, and is told anew", "etcd", d.Sequence,
			"here", s.kept.Shared.Sequence)
		s.less = true
		return
	}
	if d.Sequence > s.kept.Shared.Sequence {
		s.kept.Shared = d
		s.keep()
	}
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
