package site

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ntsbridge/bridge/fleet/history"
)

// Bounds of what is merged in one transaction.
const (
	mergeEntries = 50
	mergeOctets  = 700 << 10
)

// mergeHistory appends what this gateway wrote down to the history of the site.
func (n *session) mergeHistory(ctx context.Context) error {
	s := n.site
	f := s.opt.History()
	if f == nil {
		return nil
	}
	s.mu.Lock()
	from, end := s.merged, s.end
	endRevision, mergedRevision := n.seen[keyEnd], n.seen[dirMerged+s.opt.Etcd.Name]
	s.mu.Unlock()
	local := f.End()
	if local.Lines == from.Number && local.Hash == from.Hash {
		return nil
	}
	list, err := s.unmerged(ctx, n, f, from)
	if err != nil || len(list) == 0 {
		return err
	}
	var ops []clientv3.Op
	octets := 0
	for _, e := range list {
		own := merged{e.Number, e.Hash}
		e.Gateway, e.Origin = s.opt.Etcd.Name, e.Hash
		line, next, err := e.After(end)
		if err != nil { // a line that is too long by what was added
			e.Evidence = nil
			if line, next, err = e.After(end); err != nil {
				return err
			}
		}
		if octets += len(line); len(ops) > 0 && octets > mergeOctets {
			break
		}
		end, from = next, own
		ops = append(ops, clientv3.OpPut(s.key(dirEntries, fmt.Sprintf("%016d", end.Lines)), string(line)))
	}
	endText, err := json.Marshal(end)
	if err != nil {
		return err
	}
	fromText, err := json.Marshal(from)
	if err != nil {
		return err
	}
	own := s.key(dirMerged, s.opt.Etcd.Name)
	ops = append(ops, clientv3.OpPut(s.key(keyEnd), string(endText)), clientv3.OpPut(own, string(fromText)))
	ok, err := n.write(ctx, []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(s.key(keyEnd)), "=", endRevision),
		clientv3.Compare(clientv3.ModRevision(own), "=", mergedRevision)}, ops...)
	if err != nil || !ok { // the watch will tell what was written meanwhile, and it is tried again
		return err
	}
	return n.reread(ctx, keyEnd, dirMerged+s.opt.Etcd.Name)
}

// reread reads some keys before the watch tells them.
func (n *session) reread(ctx context.Context, names ...string) error {
	for _, name := range names {
		r, err := n.get(ctx, n.site.key(name))
		if err != nil {
			return err
		}
		n.site.mu.Lock()
		for _, kv := range r.Kvs {
			n.see(string(kv.Key), kv.Value, kv.ModRevision, true)
		}
		n.site.mu.Unlock()
	}
	return nil
}

// unmerged are the next entries of this gateway's record that the site does not
// have. If the record is not the one of before, as after it was put aside or
// restored, those count that the site has not by their hash.
func (s *Site) unmerged(ctx context.Context, n *session, f *history.File, from merged) (list []*history.Entry, err error) {
	continues := from.Number == 0
	_, err = f.Read(func(e *history.Entry) error {
		if e.Number == from.Number {
			continues = e.Hash == from.Hash
		}
		if e.Number > from.Number && len(list) < mergeEntries {
			list = append(list, e)
		}
		return nil
	})
	if err != nil || continues {
		return list, err
	}
	has := map[string]bool{}
	if _, err := n.entries(ctx, func(e *history.Entry) error {
		if e.Gateway == s.opt.Etcd.Name {
			has[e.Origin] = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	list = nil
	_, err = f.Read(func(e *history.Entry) error {
		if !has[e.Hash] && len(list) < mergeEntries {
			list = append(list, e)
		}
		return nil
	})
	if len(list) == 0 && err == nil { // the site has all of it: go on from its end
		end := f.End()
		text, _ := json.Marshal(merged{end.Lines, end.Hash})
		if _, err := n.write(ctx, nil, clientv3.OpPut(s.key(dirMerged, s.opt.Etcd.Name), string(text))); err != nil {
			return nil, err
		}
		err = n.reread(ctx, dirMerged+s.opt.Etcd.Name)
		return nil, err
	}
	return list, err
}

// entries reads the history of the site, and verifies it.
func (n *session) entries(ctx context.Context, see func(*history.Entry) error) (history.End, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(n.lines(ctx, w)) }()
	defer r.Close()
	return history.Verify(r, see)
}

// lines writes the lines of the history, of one revision.
func (n *session) lines(ctx context.Context, w io.Writer) error {
	s := n.site
	from, end := s.key(dirEntries), clientv3.GetPrefixRangeEnd(s.key(dirEntries))
	revision := int64(0)
	for {
		r, err := n.get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(20), clientv3.WithRev(revision))
		if err != nil {
			return err
		}
		if revision == 0 {
			revision = r.Header.Revision
		}
		for _, kv := range r.Kvs {
			if _, err := w.Write(kv.Value); err != nil {
				return err
			}
		}
		if !r.More || len(r.Kvs) == 0 {
			return nil
		}
		from = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	}
}

// History gives the history of the site to see, verifying it.
func (s *Site) History(ctx context.Context, see func(*history.Entry) error) (history.End, error) {
	n := s.soon(ctx)
	if n == nil {
		return history.End{}, s.awayError()
	}
	return n.entries(ctx, see)
}
