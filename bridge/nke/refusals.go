package nke

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Refusal is a client that saw our certificate and ended the handshake: mostly
// it does not trust it. Some tell why by an alert; chronyd just closes.
type Refusal struct {
	From  netip.Addr
	Count int       // since its last exchange that was completed
	First time.Time // of these
	Last  time.Time
	Alert string // the last one that it sent; empty: it closed
}

// Bounds of what is remembered of strangers.
const (
	maxRefusals  = 1024
	maxCompleted = 4096
)

// refusals remembers who ends handshakes, and who completed an exchange. It is
// bounded: of many the most recent ones are kept.
type refusals struct {
	mu        sync.Mutex
	clients   map[netip.Addr]*Refusal
	completed map[netip.Addr]time.Time
	told      time.Time // when the log was told that many refuse us
}

func newRefusals() *refusals {
	return &refusals{clients: make(map[netip.Addr]*Refusal), completed: make(map[netip.Addr]time.Time)}
}

// ended notes that a client ended a handshake, with an alert if it sent one.
func (r *refusals) ended(from netip.Addr, alert string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.clients[from]
	if c == nil {
		if len(r.clients) >= maxRefusals {
			dropOldest(r.clients, func(c *Refusal) time.Time { return c.Last })
		}
		c = &Refusal{From: from, First: now}
		r.clients[from] = c
	}
	c.Count++
	c.Last, c.Alert = now, alert
}

// agreed notes that a client took our certificate.
func (r *refusals) agreed(from netip.Addr, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.clients, from)
	if _, known := r.completed[from]; !known && len(r.completed) >= maxCompleted {
		dropOldest(r.completed, func(at time.Time) time.Time { return at })
	}
	r.completed[from] = now
}

// dropOldest makes room for an eighth, so that it is not done each time.
func dropOldest[T any](m map[netip.Addr]T, at func(T) time.Time) {
	addrs := make([]netip.Addr, 0, len(m))
	for a := range m {
		addrs = append(addrs, a)
	}
	slices.SortFunc(addrs, func(a, b netip.Addr) int { return at(m[a]).Compare(at(m[b])) })
	for _, a := range addrs[:max(1, len(addrs)/8)] {
		delete(m, a)
	}
}

// forget starts anew: another certificate is shown from now on.
func (r *refusals) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.clients)
	clear(r.completed)
	r.told = time.Time{}
}

// Clients that refuse us are many if there are at least so many of them in the
// last two hours, and no fewer than of those that do not. chronyd comes again
// after 17 minutes at first, then after twice as long each time.
const (
	refusalSpan = 2 * time.Hour
	manyRefuse  = 3
)

// list returns who refuses us, who did last first, and whether they are many.
func (r *refusals) list(now time.Time) (list []Refusal, many bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	refusing, agreed := 0, 0
	for _, c := range r.clients {
		list = append(list, *c)
		if now.Sub(c.Last) < refusalSpan {
			refusing++
		}
	}
	for _, at := range r.completed {
		if now.Sub(at) < refusalSpan {
			agreed++
		}
	}
	slices.SortFunc(list, func(a, b Refusal) int {
		return cmp.Or(b.Last.Compare(a.Last), a.From.Compare(b.From))
	})
	return list, refusing >= manyRefuse && refusing >= agreed
}

// tell reports whether the log has to be told that many refuse us: once in
// refusalSpan.
func (r *refusals) tell(now time.Time) (clients int, ok bool) {
	list, many := r.list(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !many || !r.told.IsZero() && now.Sub(r.told) < refusalSpan {
		return 0, false
	}
	r.told = now
	return len(list), true
}
