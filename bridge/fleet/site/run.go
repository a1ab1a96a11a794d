package site

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Open makes a site. It asks nothing of etcd yet, and cannot fail.
func Open(opt Options) *Site {
	s := &Site{opt: opt, done: make(chan struct{}), wake: make(chan struct{}, 1), seed: maphash.MakeSeed(),
		others: map[string]*member{}, whys: map[string]error{}, why: errors.New("it was not asked yet")}
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

// How long a session that failed is waited for.
const (
	retryLeast = 500 * time.Millisecond
	retryMost  = 10 * time.Second
)

func (s *Site) run() {
	defer close(s.done)
	members := s.opt.Etcd.Endpoints
	at := first(s.opt.Etcd.Name, len(members))
	wait, failed := retryLeast, 0
	for s.ctx.Err() == nil {
		began := time.Now()
		member := members[at%len(members)]
		err := s.session(member)
		s.away(member, err)
		at++
		if failed++; time.Since(began) > time.Minute {
			wait, failed = retryLeast, 1
		}
		pause := retryLeast / 5
		if failed >= len(members) { // none of them
			pause, wait = wait, min(2*wait, retryMost)
		}
		select {
		case <-s.ctx.Done():
		case <-time.After(pause):
		}
	}
}

// first is the member that a gateway asks first: not all the same one.
func first(name string, members int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return int(h.Sum32() % uint32(members))
}

// away notes that a member cannot be used, and why.
func (s *Site) away(member string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	before := s.why
	if !strings.Contains(err.Error(), member) && !errors.Is(err, errTaken) {
		err = fmt.Errorf("%s: %w", member, err)
	}
	s.whys[member] = err
	var all []string
	for _, m := range s.opt.Etcd.Endpoints {
		if e := s.whys[m]; e != nil && !slices.Contains(all, e.Error()) {
			all = append(all, e.Error())
		}
	}
	s.why = errors.New(strings.Join(all, "; "))
	if s.live != nil {
		s.since = s.opt.Now()
	}
	if s.live != nil || before == nil || before.Error() != s.why.Error() {
		until := "no step begins and none is on trial here"
		if l := s.lease; l.alive() && l.locked.Load() {
			until = fmt.Sprintf("the step on trial ends in %v if no member does", (l.lasts*2/3 - l.silent()).Round(time.Second))
		} else {
			s.lock = ""
		}
		s.opt.Log.Warn("site: a member of etcd does not serve this gateway, and the next one is asked: clients are served as before, "+until,
			"reason", err)
	}
	s.live = nil
}

// session works with a member until something is wrong.
func (s *Site) session(member string) (err error) {
	client, err := s.connect(member)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	n := &session{site: s, client: client, member: member, seen: map[string]int64{}}
	defer func() { n.finish(err) }()
	failed := make(chan error, 1)
	if err := n.begin(ctx, failed); err != nil {
		if why := tryMember(&s.opt.Etcd, member); why != nil && s.ctx.Err() == nil && !errors.Is(err, errLost) {
			return fmt.Errorf("%s: %w", member, why)
		}
		return err
	}
	watch := client.Watch(clientv3.WithRequireLeader(ctx), s.key(""), clientv3.WithPrefix(), clientv3.WithRev(n.revision+1))
	s.mu.Lock()
	s.live, s.why, s.since = n, nil, s.opt.Now()
	clear(s.whys)
	s.mu.Unlock()
	s.asked.sessions.Add(1)
	s.opt.Log.Info("site: etcd is here", "gateway", s.opt.Etcd.Name, "member", member, "gateways", s.Here())
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-failed:
			return err
		case w, ok := <-watch:
			if err := n.changed(w, ok); err != nil {
				return err
			}
			continue
		case <-ticker.C:
		case <-s.wake:
		}
		if !n.alive() {
			return errLost
		}
		if err := n.work(ctx); err != nil {
			return err
		}
	}
}

// begin takes a lease, or goes on with that of the session before, claims the name
// and reads all there is.
func (n *session) begin(ctx context.Context, failed chan<- error) (err error) {
	s := n.site
	if l := s.lease; l.alive() {
		n.lease, n.revision, n.cluster = l, l.revision, l.cluster
		err = n.renew(ctx)
	} else {
		n.lease, err = n.grant(ctx)
		s.mu.Lock()
		s.lease = n.lease
		s.mu.Unlock()
	}
	if err != nil {
		return err
	}
	go n.stay(ctx, failed)
	if err := n.claim(ctx); err != nil {
		return err
	}
	return n.load(ctx)
}

// finish ends a session. Its lease is left to the next one, if it is good for it.
func (n *session) finish(err error) {
	s := n.site
	s.mu.Lock()
	if n.lease != nil {
		n.lease.revision, n.lease.cluster = n.revision, n.cluster
	}
	s.mu.Unlock()
	if s.ctx.Err() != nil {
		n.revoke()
		return
	}
	n.drop(err)
}

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
