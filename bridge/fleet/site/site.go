package site

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
)

// Options are what a site works with.
type Options struct {
	Etcd config.Etcd
	Dir  string // state directory
	// Each gives every client of this gateway to see.
	Each func(see func(*inventory.Client)) error
	// About tells of this gateway.
	About func(now time.Time) About
	// History is the record of this gateway, nil: it cannot be opened now.
	History func() *history.File
	// Secrets hands out cookie secret and Autokey seed; nil: they are left to files.
	Secrets *Secrets
	Log     hclog.Logger
	Now     func() time.Time // the system clock; nil: time.Now
}

// Site is this gateway among the others. Its methods are safe for concurrent
// use; of a nil Site they say that this gateway is alone.
type Site struct {
	opt    Options
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{}
	seed   maphash.Seed
	start  time.Time
	asked  askedFigures

	mu       sync.Mutex
	kept     kept
	unkept   error
	live     *session // nil: etcd is away
	since    time.Time
	why      error  // it is away
	broken   string // in etcd
	less     bool   // etcd knows less than this gateway of what is shared
	others   map[string]*member
	places   Places // of this gateway, as they are to be told
	lock     string // who has it
	wanted   time.Time
	end      history.End // of the site's history
	merged   merged
	pending  int
	size     int64
	secrets  sealed // as in etcd
	unshared string // why they are not shared
}

// askedFigures count requests.
type askedFigures struct {
	sessions, requests, failures, writes atomic.Uint64
	latency, answered                    atomic.Int64
}

// Open makes a site. It asks nothing of etcd yet, and cannot fail.
func Open(opt Options) *Site {
	s := &Site{opt: opt, done: make(chan struct{}), wake: make(chan struct{}, 1), seed: maphash.MakeSeed(),
		others: map[string]*member{}, why: errors.New("it was not asked yet")}
	if s.opt.Now == nil {
		s.opt.Now = time.Now
	}
	s.since = s.opt.Now()
	s.start = s.since
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.readKept()
	return s
}

// Run talks to etcd until Close.
func (s *Site) Run() { go s.run() }

// Close ends it; the others see at once that this gateway is gone.
func (s *Site) Close() {
	if s == nil {
		return
	}
	s.cancel()
	<-s.done
}

// Name is what this gateway is called; empty: it is alone.
func (s *Site) Name() string {
	if s == nil {
		return ""
	}
	return s.opt.Etcd.Name
}

// How long a session that failed is waited for.
const (
	retryLeast = 500 * time.Millisecond
	retryMost  = 10 * time.Second
)

func (s *Site) run() {
	defer close(s.done)
	wait := retryLeast
	for s.ctx.Err() == nil {
		began := time.Now()
		err := s.session()
		s.away(err)
		if time.Since(began) > time.Minute {
			wait = retryLeast
		}
		select {
		case <-s.ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, retryMost)
	}
}

// away notes that etcd cannot be used, and why.
func (s *Site) away(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	if s.live != nil || s.why == nil || s.why.Error() != err.Error() {
		s.opt.Log.Warn("site: etcd is away: clients are served as before, no step begins and those on trial end", "reason", err)
	}
	if s.live != nil {
		s.since = s.opt.Now()
	}
	s.live, s.why, s.lock = nil, err, ""
}

// poke lets the session look what is to be done.
func (s *Site) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// session is one lease of this gateway.
type session struct {
	site    *Site
	client  *clientv3.Client
	lease   clientv3.LeaseID
	renewed atomic.Int64 // when etcd last said so, ns of time.Now without the wall clock
	epoch   time.Time
	lost    chan struct{} // closed when the lease is
	locked  atomic.Bool   // the lock is ours

	revision     int64 // of etcd, as last seen
	cluster      uint64
	seen         map[string]int64 // revision of the keys that are compared
	writing      sync.Mutex       // held while something is written
	changing     sync.Mutex       // held while what all share is changed; taken before writing
	lastKey      string           // that was written last of those that only this gateway writes
	lastRevision int64
	buckets      [Buckets]bucket
	scanned      time.Time
	sent         time.Time // of the presence
	about        string    // as it was sent
	sentAt       string    // places, likewise
	checked      time.Time
	sized        time.Time
	handed       time.Time // secrets
	told         bool      // all that is known of clients was told once
}

// session works until something is wrong.
func (s *Site) session() error {
	client, err := s.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	n := &session{site: s, client: client, epoch: time.Now(), lost: make(chan struct{}), seen: map[string]int64{}}
	if err := n.begin(ctx); err != nil {
		if why := unreachable(&s.opt.Etcd); why != nil && s.ctx.Err() == nil {
			return why
		}
		return err
	}
	defer n.finish()
	watch := client.Watch(clientv3.WithRequireLeader(ctx), s.key(""), clientv3.WithPrefix(), clientv3.WithRev(n.revision+1))
	s.mu.Lock()
	s.live, s.why, s.since = n, nil, s.opt.Now()
	s.mu.Unlock()
	s.asked.sessions.Add(1)
	s.opt.Log.Info("site: etcd is here", "gateway", s.opt.Etcd.Name, "gateways", s.Here())
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-n.lost:
			return errLost
		case w, ok := <-watch:
			if err := n.changed(w, ok); err != nil {
				return err
			}
			continue
		case <-ticker.C:
		case <-s.wake:
		}
		if !n.alive() {
			return fmt.Errorf("it has not answered for %v", time.Since(n.epoch.Add(time.Duration(n.renewed.Load()))).Round(time.Second))
		}
		if err := n.work(ctx); err != nil {
			return err
		}
	}
}

// begin takes a lease, claims the name and reads all there is.
func (n *session) begin(ctx context.Context) error {
	e := &n.site.opt.Etcd
	asked := time.Since(n.epoch)
	var grant *clientv3.LeaseGrantResponse
	err := n.ask(ctx, func(ctx context.Context) (err error) {
		grant, err = n.client.Grant(ctx, int64(e.Lease/time.Second))
		return err
	})
	if err != nil {
		return err
	}
	n.lease = grant.ID
	n.renewed.Store(int64(asked))
	answers, err := n.client.KeepAlive(ctx, n.lease)
	if err != nil {
		return err
	}
	go n.stay(answers)
	if err := n.claim(ctx); err != nil {
		return errors.Join(err, n.revoke())
	}
	return n.load(ctx)
}

// stay notes when etcd last renewed the lease.
func (n *session) stay(answers <-chan *clientv3.LeaseKeepAliveResponse) {
	defer close(n.lost)
	for range answers {
		n.renewed.Store(int64(time.Since(n.epoch)))
		n.site.asked.answered.Store(time.Now().UnixNano())
	}
}

// alive tells whether the lease is ours for certain: two thirds of it, counted
// from the last answer.
func (n *session) alive() bool {
	return time.Since(n.epoch)-time.Duration(n.renewed.Load()) < n.site.opt.Etcd.Lease*2/3
}

// finish gives the lease back, so that the others need not wait for its end.
func (n *session) finish() {
	s := n.site
	s.mu.Lock()
	if s.live == n {
		s.live = nil
		s.why = errLost
		s.since = s.opt.Now()
	}
	s.mu.Unlock()
	_ = n.revoke()
}

func (n *session) revoke() error {
	ctx, cancel := context.WithTimeout(context.Background(), min(n.site.opt.Etcd.Timeout, time.Second))
	defer cancel()
	_, err := n.client.Revoke(ctx, n.lease)
	return err
}

// ask does one request within the time that it may take.
func (n *session) ask(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, n.site.opt.Etcd.Timeout)
	defer cancel()
	began := time.Now()
	err := do(ctx)
	a := &n.site.asked
	a.requests.Add(1)
	if err != nil {
		a.failures.Add(1)
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("no answer within %v", n.site.opt.Etcd.Timeout)
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
// The name must be ours still, and the last write of a key that only this gateway
// writes must be there: else etcd is one of the past.
func (n *session) write(ctx context.Context, compare []clientv3.Cmp, ops ...clientv3.Op) (ok bool, err error) {
	s := n.site
	n.writing.Lock() // what was written last is compared
	defer n.writing.Unlock()
	name := s.key(dirGateways, s.opt.Etcd.Name)
	s.mu.Lock()
	key, revision := cmp.Or(n.lastKey, name), n.lastRevision
	s.mu.Unlock()
	compare = append(slices.Clip(compare), clientv3.Compare(clientv3.LeaseValue(name), "=", n.lease))
	if revision > 0 {
		compare = append(compare, clientv3.Compare(clientv3.ModRevision(key), "=", revision))
	}
	floor := n.floor()
	var r *clientv3.TxnResponse
	err = n.ask(ctx, func(ctx context.Context) error {
		r, err = n.client.Txn(ctx).If(compare...).Then(ops...).Else(clientv3.OpGet(name), clientv3.OpGet(key)).Commit()
		return err
	})
	if err == nil {
		err = n.header(r.Header, floor)
	}
	if err != nil {
		return false, err
	}
	if r.Succeeded {
		s.asked.writes.Add(uint64(len(ops)))
		n.wrote(ops, r.Header.Revision)
		return true, nil
	}
	own, last := r.Responses[0].GetResponseRange().Kvs, r.Responses[1].GetResponseRange().Kvs
	switch {
	case len(own) == 0 || clientv3.LeaseID(own[0].Lease) != n.lease:
		return false, errLost
	case revision > 0 && (len(last) == 0 || last[0].ModRevision != revision):
		return false, errWentBack
	}
	return false, nil
}

// wrote notes the last write of a key that only this gateway writes.
func (n *session) wrote(ops []clientv3.Op, revision int64) {
	s := n.site
	own := []string{s.key(dirGateways, s.opt.Etcd.Name), s.key(dirPlaces, s.opt.Etcd.Name), s.key(dirMerged, s.opt.Etcd.Name)}
	for _, o := range ops {
		key := string(o.KeyBytes())
		if o.IsPut() && (slices.Contains(own, key) || strings.HasPrefix(key, s.key(dirClients, s.opt.Etcd.Name, "/"))) {
			s.mu.Lock()
			if revision > n.lastRevision {
				n.lastKey, n.lastRevision = key, revision
			}
			s.mu.Unlock()
			return
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
