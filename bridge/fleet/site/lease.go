package site

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sys/unix"
)

// lease is the right of this gateway to its name, and to the lock, for a time. It
// outlives the session in which it was taken: when one member of etcd hangs, the
// next one renews it.
type lease struct {
	id      clientv3.LeaseID
	lasts   time.Duration // as etcd counts it
	renewed atomic.Int64  // when etcd was asked for what renewed it last, of uptime
	gone    atomic.Bool   // it is not ours any more, for certain or perhaps
	locked  atomic.Bool   // the lock is ours by it

	revision int64 // of etcd, as the session before saw it last
	cluster  uint64
	told     bool // all that is known of clients was told once
}

// uptime is a clock that nobody sets and that goes on while this machine sleeps,
// as etcd's does.
func uptime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	}
	return time.Duration(t.Nano())
}

// alive tells whether the lease is ours for certain: two thirds of it, counted
// from when the last renewal was asked for. What has ended once stays so.
func (l *lease) alive() bool {
	if l == nil || l.gone.Load() {
		return false
	}
	if l.silent() >= l.lasts*2/3 {
		l.gone.Store(true)
		return false
	}
	return true
}

// silent is for how long it was not renewed.
func (l *lease) silent() time.Duration { return uptime() - time.Duration(l.renewed.Load()) }

// grant takes a new lease.
func (n *session) grant(ctx context.Context) (*lease, error) {
	l := &lease{lasts: n.site.opt.Etcd.Lease.Truncate(time.Second)}
	asked := uptime()
	err := n.ask(ctx, func(ctx context.Context) error {
		r, err := n.client.Grant(ctx, int64(l.lasts/time.Second))
		if err == nil {
			l.id = r.ID
		}
		return err
	})
	l.renewed.Store(int64(asked))
	return l, err
}

// stay renews the lease until something is wrong, which it tells.
func (n *session) stay(ctx context.Context, failed chan<- error) {
	ticker := time.NewTicker(n.lease.lasts / 6)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := n.renew(ctx); err != nil {
			failed <- err
			return
		}
	}
}

// renew renews the lease. A member that led, and whose disk hangs or that nobody
// else reaches, may go on renewing leases while the others have chosen another
// leader, by which they end. So a renewal counts only when a majority confirms
// afterwards that the member is of the same term, and has our name with that lease.
func (n *session) renew(ctx context.Context) error {
	l := n.lease
	asked := uptime()
	var r *etcdserverpb.LeaseKeepAliveResponse
	if err := n.ask(ctx, func(ctx context.Context) (err error) {
		r, err = n.keepAlive(ctx)
		return err
	}); err != nil {
		return fmt.Errorf("the lease is not renewed: %w", err)
	}
	if r.TTL <= 0 {
		return errLost
	}
	g, err := n.get(ctx, n.site.key(dirGateways, n.site.opt.Etcd.Name))
	if err != nil {
		return err
	}
	switch {
	case len(g.Kvs) == 0 || clientv3.LeaseID(g.Kvs[0].Lease) != l.id:
		return errLost
	case g.Header.RaftTerm == r.Header.RaftTerm:
		l.renewed.Store(int64(asked))
	}
	return nil
}

// keepAlive asks once, at the member of this session: what the library has for it
// tries again without end while nobody answers.
func (n *session) keepAlive(ctx context.Context) (*etcdserverpb.LeaseKeepAliveResponse, error) {
	stream, err := etcdserverpb.NewLeaseClient(n.client.ActiveConnection()).LeaseKeepAlive(ctx)
	if err != nil {
		return nil, rpctypes.Error(err)
	}
	if err := stream.Send(&etcdserverpb.LeaseKeepAliveRequest{ID: int64(n.lease.id)}); err != nil {
		return nil, rpctypes.Error(err)
	}
	r, err := stream.Recv()
	if err == nil {
		_ = stream.CloseSend()
	}
	return r, rpctypes.Error(err)
}

// drop gives up the lease if an error says that it is of no use any more.
func (n *session) drop(err error) {
	if n.lease != nil && (errors.Is(err, errLost) || errors.Is(err, errWentBack) || errors.Is(err, errTaken)) {
		n.lease.gone.Store(true)
		n.revoke()
	}
}

// revoke gives the lease back, so that the others need not wait for its end.
func (n *session) revoke() {
	if n.lease == nil {
		return
	}
	n.lease.gone.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), min(n.site.opt.Etcd.Timeout, time.Second))
	defer cancel()
	_, _ = n.client.Revoke(ctx, n.lease.id) // else it ends by itself
}
