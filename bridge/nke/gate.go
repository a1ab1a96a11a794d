package nke

import (
	"cmp"
	"crypto/rand"
	"net/netip"
	"slices"
	"sync"
	"time"

	"ntsbridge/bridge/access"
)

// refusal says why a connection is not served.
type refusal uint8

const (
	admitted     refusal = iota
	tooMany              // all connections taken, by clients that are not to be put out
	tooManyOfOne         // all connections of the prefix taken
	tooFast              // rate of the prefix
)

// Under pressure, when half of the connections are taken, a client that says
// nothing for helloTime, or is not done after pressedTime, is put out. Without
// pressure it has Limits.Timeout: a lossy link needs a retransmission or two.
const (
	helloTime   = time.Second
	pressedTime = 3 * time.Second
)

// knownShare is the part of the connections, one in so many, that is kept for
// prefixes from which an exchange was completed before.
const knownShare = 8

// gate counts connections by prefix and limits how often a prefix may connect.
// When it is full the oldest unfinished connection of the largest prefix makes
// room, so that who comes with many addresses, or many connections, takes them
// from itself.
type gate struct {
	started time.Time

	mu       sync.Mutex
	shape    access.LimiterConfig
	limiter  *access.Limiter
	visits   []*visit // being served, oldest first
	prefixes map[netip.Prefix]*group
	known    map[netip.Prefix]struct{} // from which an exchange was completed
	order    []netip.Prefix            // of known, a ring
	next     int
}

// levels are the lengths of the prefixes that are compared, the shortest first:
// who has many addresses has them of few networks.
var levels = map[bool][3]int{true: {16, 24, 32}, false: {48, 56, 64}} // by Is4

// group is the connections of a prefix.
type group struct {
	prefix     netip.Prefix
	active     int // counted by Limits.ConnectionsPerPrefix
	unfinished int
	visits     int // that refer to it
}

// visit is one connection.
type visit struct {
	from   netip.Addr
	limit  netip.Prefix // that the limits count by
	groups [4]*group    // by levels, and that of limit
	began  time.Time
	hello  bool // TLS ClientHello has come
	done   bool // the response is written
	out    func()
}

func newGate() *gate {
	return &gate{started: time.Now(), prefixes: make(map[netip.Prefix]*group), known: make(map[netip.Prefix]struct{})}
}

func (l *Limits) prefix(a netip.Addr) netip.Prefix {
	bits := l.IPv6Prefix
	if a.Is4() {
		bits = l.IPv4Prefix
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

// enter admits a connection from an address at time now; leave must follow.
// out ends the connection, when another one is to have its place.
func (g *gate) enter(l *Limits, from netip.Addr, now time.Time, out func()) (*visit, refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	limit := l.prefix(from)
	if p := g.prefixes[limit]; p != nil && p.active >= l.ConnectionsPerPrefix {
		return nil, tooManyOfOne
	}
	if !g.mayConnect(l, from, now) {
		return nil, tooFast
	}
	g.press(l, now)
	room := l.Connections
	if _, known := g.known[limit]; !known {
		room -= l.Connections / knownShare
	}
	for len(g.visits) >= room {
		victim := g.victim()
		if victim == nil {
			return nil, tooMany
		}
		g.putOut(victim)
	}
	v := &visit{from: from, limit: limit, began: now, out: out}
	g.add(v)
	return v, admitted
}

// mayConnect asks the rate of a prefix.
func (g *gate) mayConnect(l *Limits, from netip.Addr, now time.Time) bool {
	if l.Rate <= 0 {
		return true
	}
	shape := access.LimiterConfig{Clients: l.Prefixes, IPv4Prefix: l.IPv4Prefix, IPv6Prefix: l.IPv6Prefix}
	if g.limiter == nil || g.shape != shape {
		g.shape = shape
		_, _ = rand.Read(shape.Seed[:]) // never fails
		limiter, err := access.NewLimiter(shape)
		if err != nil {
			return false // Limits.complete has checked it
		}
		g.limiter = limiter
	}
	return g.limiter.Spend(from, 0, int64(now.Sub(g.started)), access.Bucket{Rate: l.Rate, Burst: l.Burst}, 1)
}

func (g *gate) add(v *visit) {
	g.visits = append(g.visits, v)
	for i, bits := range levels[v.from.Is4()] {
		p, _ := v.from.WithZone("").Prefix(bits)
		v.groups[i] = g.group(p)
	}
	v.groups[3] = g.group(v.limit)
	for _, p := range v.groups {
		p.unfinished++
		p.visits++
	}
	v.groups[3].active++
}

func (g *gate) group(p netip.Prefix) *group {
	if g.prefixes[p] == nil {
		g.prefixes[p] = &group{prefix: p}
	}
	return g.prefixes[p]
}

// press puts out who is too slow while there is pressure.
func (g *gate) press(l *Limits, now time.Time) {
	if len(g.visits) < l.Connections/2 {
		return
	}
	for _, v := range slices.Clone(g.visits) {
		age := now.Sub(v.began)
		if age < helloTime {
			return // the others are younger
		}
		if !v.hello || age >= pressedTime {
			g.putOut(v)
		}
	}
}

// victim returns who makes room: somebody who has the response and is only
// saying goodbye, or the oldest of the largest prefix; nil: nobody.
func (g *gate) victim() *visit {
	var worst *visit
	for _, v := range g.visits {
		if worst == nil || worse(v, worst) {
			worst = v
		}
	}
	return worst
}

// worse tells whether v is to make room before w, which is older.
func worse(v, w *visit) bool {
	if v.done || w.done {
		return v.done && !w.done
	}
	for i := range 3 {
		if c := cmp.Compare(v.groups[i].unfinished, w.groups[i].unfinished); c != 0 {
			return c > 0
		}
	}
	return false
}

func (g *gate) putOut(v *visit) {
	g.remove(v)
	v.out()
}

// clear puts out everybody.
func (g *gate) clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.visits) > 0 {
		g.putOut(g.visits[0])
	}
}

// remove takes a visit out of the books, once.
func (g *gate) remove(v *visit) {
	i := slices.Index(g.visits, v)
	if i < 0 {
		return
	}
	g.visits = slices.Delete(g.visits, i, i+1)
	v.groups[3].active--
	if !v.done {
		g.settle(v)
	}
	for _, p := range v.groups {
		if p.visits--; p.visits == 0 {
			delete(g.prefixes, p.prefix)
		}
	}
}

func (g *gate) settle(v *visit) {
	v.done = true
	for _, p := range v.groups {
		p.unfinished--
	}
}

// greeted notes that the ClientHello has come.
func (g *gate) greeted(v *visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v.hello = true
}

// saidHello reports whether the ClientHello has come.
func (g *gate) saidHello(v *visit) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return v.hello
}

// completed notes that the client has its cookies: its prefix is known from
// now on.
func (g *gate) completed(l *Limits, v *visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !v.done {
		g.settle(v)
	}
	if _, known := g.known[v.limit]; known {
		return
	}
	if len(g.order) < l.Prefixes {
		g.order = append(g.order, v.limit)
	} else {
		g.next %= len(g.order)
		delete(g.known, g.order[g.next])
		g.order[g.next] = v.limit
		g.next++
	}
	g.known[v.limit] = struct{}{}
}

// leave ends a connection that enter admitted.
func (g *gate) leave(v *visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(v)
}

// connections returns the number of connections being served.
func (g *gate) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.visits)
}
