package nke

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// refusal says why a connection is not served.
type refusal uint8

const (
	admitted     refusal = iota
	tooMany              // all connections taken
	tooManyOfOne         // all connections of the prefix taken
	tooFast              // rate of the prefix
)

// gate counts connections by prefix and holds a token bucket for each. Its
// table is bounded: the prefix that was quiet for the longest time goes first,
// which forgives it at most a burst.
type gate struct {
	mu       sync.Mutex
	active   int
	prefixes map[netip.Prefix]*list.Element
	recent   list.List // of *client, least recent in front
}

type client struct {
	prefix netip.Prefix
	active int
	tokens float64
	filled time.Time
}

func newGate() *gate {
	return &gate{prefixes: make(map[netip.Prefix]*list.Element)}
}

func (l *Limits) prefix(a netip.Addr) netip.Prefix {
	bits := l.IPv6Prefix
	if a.Is4() {
		bits = l.IPv4Prefix
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

// enter admits a connection of the prefix at time now; leave must follow.
func (g *gate) enter(l *Limits, p netip.Prefix, now time.Time) refusal {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.active >= l.Connections {
		return tooMany
	}
	c := g.client(l, p, now)
	if c.active >= l.ConnectionsPerPrefix {
		return tooManyOfOne
	}
	if l.Rate > 0 {
		elapsed := max(now.Sub(c.filled), 0).Seconds()
		c.tokens = min(c.tokens+elapsed*l.Rate, float64(l.Burst))
		c.filled = now
		if c.tokens < 1 {
			return tooFast
		}
		c.tokens--
	}
	c.active++
	g.active++
	return admitted
}

// client returns the entry of the prefix, a fresh one if there is none.
func (g *gate) client(l *Limits, p netip.Prefix, now time.Time) *client {
	if e := g.prefixes[p]; e != nil {
		g.recent.MoveToBack(e)
		return e.Value.(*client)
	}
	for e := g.recent.Front(); e != nil && g.recent.Len() >= l.Prefixes; {
		next := e.Next()
		if old := e.Value.(*client); old.active == 0 {
			g.recent.Remove(e)
			delete(g.prefixes, old.prefix)
		}
		e = next
	}
	c := &client{prefix: p, tokens: float64(l.Burst), filled: now}
	g.prefixes[p] = g.recent.PushBack(c)
	return c
}

// leave ends a connection that enter admitted.
func (g *gate) leave(p netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.active--
	if e := g.prefixes[p]; e != nil {
		e.Value.(*client).active--
	}
}

// connections returns the number of connections being served.
func (g *gate) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.active
}
