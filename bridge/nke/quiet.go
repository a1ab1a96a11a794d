package nke

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Strangers can cause this many messages of each kind in each interval.
const (
	quietBurst    = 5
	quietInterval = time.Minute
)

// quiet logs what strangers can cause. The messages are constants, so its
// table is bounded.
type quiet struct {
	log   hclog.Logger
	mu    sync.Mutex
	kinds map[string]*quietKind
}

type quietKind struct {
	since      time.Time
	count      int
	suppressed int
}

func newQuiet(log hclog.Logger) *quiet {
	return &quiet{log: log, kinds: make(map[string]*quietKind)}
}

func (q *quiet) warn(message string, args ...any) {
	if ok, more := q.pass(message, time.Now()); ok {
		q.log.Warn(message, append(args, more...)...)
	}
}

func (q *quiet) debug(message string, args ...any) {
	if !q.log.IsDebug() {
		return
	}
	if ok, more := q.pass(message, time.Now()); ok {
		q.log.Debug(message, append(args, more...)...)
	}
}

// pass reports whether a message may be logged now, and what to say about
// those that were not.
func (q *quiet) pass(message string, now time.Time) (ok bool, more []any) {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := q.kinds[message]
	if k == nil {
		k = &quietKind{since: now}
		q.kinds[message] = k
	}
	if now.Sub(k.since) >= quietInterval {
		if k.suppressed > 0 {
			more = []any{"suppressed", k.suppressed}
		}
		*k = quietKind{since: now}
	}
	if k.count == quietBurst {
		k.suppressed++
		return false, nil
	}
	k.count++
	return true, more
}
