package fleet

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"ntsbridge/bridge/fleet/report"
)

// resolver asks DNS for the names of addresses, and remembers the answers. Only
// who asks for names waits for it.
type resolver struct {
	ask   func(ctx context.Context, addr string) (names []string, err error)
	mu    sync.Mutex
	known map[netip.Addr]resolved
}

type resolved struct {
	names []string
	until time.Time
}

// Limits of the resolver.
const (
	maxKnown      = 20_000
	knownFor      = time.Hour
	unknownFor    = 5 * time.Minute
	resolveWait   = 2 * time.Second
	resolveBudget = 4 * time.Second // for one answer
)

var dns = resolver{ask: net.DefaultResolver.LookupAddr, known: make(map[netip.Addr]resolved)}

// resolving lets names come from DNS if the filter asks for that.
func (f *Fleet) resolving(ctx context.Context, filter *report.Filter, n *report.Names) {
	if !filter.Resolve {
		return
	}
	end := time.Now().Add(resolveBudget)
	n.Resolve = func(a netip.Addr) []string { return dns.lookup(ctx, a, end) }
}

// lookup returns names that are known, or asks if there is time.
func (r *resolver) lookup(ctx context.Context, a netip.Addr, end time.Time) []string {
	now := time.Now()
	r.mu.Lock()
	k, ok := r.known[a]
	r.mu.Unlock()
	if ok && now.Before(k.until) || !now.Before(end) {
		return k.names
	}
	ctx, cancel := context.WithTimeout(ctx, min(resolveWait, end.Sub(now)))
	defer cancel()
	names, err := r.ask(ctx, a.String())
	k = resolved{until: now.Add(unknownFor)}
	if err == nil {
		for _, name := range names {
			k.names = append(k.names, strings.TrimSuffix(name, "."))
		}
		k.until = now.Add(knownFor)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxKnown {
		clear(r.known)
	}
	r.known[a] = k
	return k.names
}
