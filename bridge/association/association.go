package association

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"net/netip"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/autokey"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// firstRetry and lastRetry bound the time between two tries to find a source
// and, with NTS, to establish keys with it.
const (
	firstRetry = 2 * time.Second
	lastRetry  = 1024 * time.Second
)

// runner is an association of package source.
type runner interface {
	Run(context.Context) error
	Status() source.Status
}

// association is a source, peer or broadcast that is at work, or would be.
type association struct {
	*shared
	spec      *Spec
	id        uint16 // association ID, which ntpq shows
	mode      ntp.Mode
	ephemeral bool                        // not configured: a passive one
	live      func(context.Context) error // one life of it; nil: others run it
	finder    *finder                     // of the server's addresses; members of a pool share one
	steering  *follow.Steering
	expected  *follow.Expected // stands for it until its address is known
	stop      context.CancelFunc
	done      chan struct{}
	restart   chan struct{} // a broadcast is to begin anew

	runner   atomic.Pointer[runner]
	autokey  atomic.Pointer[autokey.State]
	local    atomic.Pointer[netip.Addr]    // where it matters
	followed atomic.Pointer[follow.Source] // by the discipline; nil: not
	nts      atomic.Pointer[source.NTS]    // nil: other authentication, or none yet; outlives runners
	events   ntp.PeerEvents                // what happened to it, for ntpq
	lost     atomic.Pointer[error]         // why it is not at work; nil: it is
	offline  atomic.Bool                   // it is not to ask
	renew    chan struct{}                 // another address is to be looked for
	reset    chan struct{}                 // measurements are to be forgotten
	troubles troubles                      // that the log was told of
}

func newAssociation(s *shared, spec *Spec, f *finder, id uint16) *association {
	a := &association{shared: s, spec: spec, mode: spec.mode(), finder: f, id: id, restart: make(chan struct{}, 1),
		renew: make(chan struct{}, 1), reset: make(chan struct{}, 1)}
	if spec.Err != nil {
		a.lost.Store(&spec.Err)
	}
	return a
}

// begin puts it to work; it ends with end.
func (a *association) begin() {
	if a.spec.Err != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.stop, a.done = cancel, make(chan struct{})
	go func() {
		defer close(a.done)
		a.keepAlive(ctx)
	}()
}

// end ends it, and returns what tells that it has ended; nil: it never began.
func (a *association) end() <-chan struct{} {
	if a.stop != nil {
		a.stop()
	}
	return a.done
}

// keepAlive finds the server again whenever the association has ended.
func (a *association) keepAlive(ctx context.Context) {
	log := a.env.Log
	defer a.closeNTS(log)
	defer a.expected.Dismiss()
	retry := firstRetry
	for ctx.Err() == nil {
		started := time.Now()
		err := a.live(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errReplaced) || errors.Is(err, errReset) {
			continue
		}
		a.lost.Store(&err)
		wait, why := retry, source.Diagnose(err)
		told := []any{"server", a.spec.Config.Server, "cause", string(why.Cause), "error", why.Text, "what_to_do", why.Remedy}
		var later *source.RetryError
		switch {
		case errors.As(err, &later):
			wait = later.In // the server's own back-off
			log.Warn("no keys for NTS", append(told, "in", wait)...)
		case errors.Is(err, errNoAddress):
			a.expected.Dismiss()
			wait = resolveInterval // a pool with fewer addresses than it may have
			log.Debug("no further address", "server", a.spec.Config.Server)
		case refused(err):
			// Only another configuration makes us ask this server again.
			log.Error("source refuses to serve this host and is not asked any more", told...)
			<-ctx.Done()
			return
		default:
			log.Warn("source is lost and will be looked for again", append(told, "in", retry)...)
		}
		// A silent broadcast server costs nothing: listen again soon.
		if time.Since(started) > lastRetry || a.mode != ntp.ModeClient && time.Since(started) > lastRetry/16 {
			retry, wait = firstRetry, min(wait, firstRetry)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		retry = min(2*retry, lastRetry)
	}
}

// refused reports whether a server told us to go away.
func refused(err error) bool {
	var kiss *source.KissError
	return errors.As(err, &kiss) && (kiss.Code == "DENY" || kiss.Code == "RSTR")
}

// run runs what the life is.
func (a *association) run(ctx context.Context, r runner) error {
	a.runner.Store(&r)
	a.lost.Store(nil)
	a.tellOnline()
	return r.Run(ctx)
}

// expect tells the discipline of a source before anybody is asked.
func (a *association) expect() {
	if a.mode == ntp.ModeBroadcast || a.spec.Err != nil {
		return
	}
	var err error
	if a.expected, err = a.steering.Expect(a.spec.discipline(), a.spec.info(netip.Addr{})); err != nil {
		a.env.Log.Error("source", "server", a.spec.Config.Server, "error", err)
	}
}

// enlist makes the discipline follow an association with an address.
func (a *association) enlist(addr netip.Addr) (*follow.Source, error) {
	f, err := a.steering.Add(a.name(), a.spec.discipline(), a.spec.info(addr), &a.events)
	if err == nil {
		a.expected.Dismiss()
		a.followed.Store(f)
	}
	return f, err
}

// name tells an association from others with the same address.
func (a *association) name() string {
	c := &a.spec.Config
	return c.Mode + " " + c.Auth.String() + " " + strconv.Itoa(c.Key) + " " + strconv.Itoa(c.Port)
}

// sample returns what takes measurements to the discipline.
func (a *association) sample(f *follow.Source) func(source.Sample) {
	return func(s source.Sample) {
		a.troubles.answered()
		n := a.nts.Load()
		f.Sample(s, n != nil && n.Provisional())
	}
}

// missed returns what is told that a request brought no time.
func (a *association) missed(f *follow.Source) func() {
	return func() {
		var err error
		if r := a.runner.Load(); r != nil {
			err = (*r).Status().Err
		}
		f.Missed(err)
	}
}

// note keeps what ntpq shows; it runs in the association's own goroutine.
func (a *association) note(state autokey.State) {
	if old := a.autokey.Swap(&state); old == nil || old.Status != state.Status {
		a.steering.Crypto(a.spec.Config.Server, fmt.Sprintf("autokey flags 0x%x", uint32(state.Status)))
	}
}

// logged is what an association tells its errors to. A cause that is new goes to
// the log in the words of query, with what to do; so does the same one again,
// after an hour.
func (a *association) logged(err error) {
	d := source.Diagnose(err)
	if d.Cause.Unauthentic() {
		a.followed.Load().Event(ntp.PeerBadAuth)
	}
	if !a.troubles.news(d.Cause, err, a.clock.Uptime()) {
		a.env.Log.Debug("source", "server", a.spec.Config.Server, "error", err)
		return
	}
	a.env.Log.Warn("source", "server", a.spec.Config.Server, "cause", string(d.Cause), "error", d.Text, "what_to_do", d.Remedy)
}

// closeNTS keeps unused cookies for the next run.
func (a *association) closeNTS(log hclog.Logger) {
	n := a.nts.Swap(nil)
	if n == nil {
		return
	}
	if err := n.Close(); err != nil {
		log.Warn("cookies were not kept for the next run", "server", a.spec.Config.Server, "error", err)
	}
}

// errReplaced ends an association that is to begin anew at once: a broadcast
// whose Autokey server was replaced, a server for which there is a better one.
var errReplaced = errors.New("replaced")

// errReset ends one that is to begin anew at once with the same server, and
// without what was measured.
var errReset = errors.New("reset")
