package association

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// finder finds the addresses of a source's name and says which of them to use.
// A pool has several members that share one.
type finder struct {
	name    string
	network string // ip, ip4 or ip6
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)
	now     func() time.Time

	mu       sync.Mutex
	known    []netip.Addr
	used     map[netip.Addr]bool
	bad      map[netip.Addr]time.Time // when it turned out so
	resolved time.Time
}

// resolveInterval is the least time between two questions for a name, and
// badTime how long an address that was bad is not tried while there are others.
const (
	resolveInterval = 64 * time.Second
	badTime         = time.Hour
)

// errNoAddress says that all addresses of a name are in use, or were bad a
// short time ago.
var errNoAddress = errors.New("no other address")

// networks are those that package net asks for, by our words for families.
var networks = map[string]string{"ipv4": "ip4", "ipv6": "ip6"}

func newFinder(name, family string) *finder {
	network, ok := networks[family]
	if !ok {
		network = "ip"
	}
	return &finder{name: name, network: network, lookup: net.DefaultResolver.LookupNetIP, now: time.Now,
		used: make(map[netip.Addr]bool), bad: make(map[netip.Addr]time.Time)}
}

// take returns an address that nobody uses, and marks it as used. It asks for
// the name when the addresses known do not suffice.
func (f *finder) take(ctx context.Context) (netip.Addr, error) {
	if addr, ok := f.takeKnown(false); ok {
		return addr, nil
	}
	err := f.resolve(ctx)
	if addr, ok := f.takeKnown(false); ok {
		return addr, nil
	}
	if err != nil {
		return netip.Addr{}, err
	}
	// One that was bad is better than none, if nobody uses another.
	if addr, ok := f.takeKnown(true); ok {
		return addr, nil
	}
	return netip.Addr{}, fmt.Errorf("%s: %w", f.name, errNoAddress)
}

// takeKnown takes a known address; last says that a bad one will do when no
// address at all is in use.
func (f *finder) takeKnown(last bool) (netip.Addr, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if last && len(f.used) > 0 {
		return netip.Addr{}, false
	}
	i := slices.IndexFunc(f.known, func(a netip.Addr) bool { return !f.used[a] && (last || f.good(a)) })
	if i < 0 {
		return netip.Addr{}, false
	}
	f.used[f.known[i]] = true
	return f.known[i], true
}

func (f *finder) good(a netip.Addr) bool {
	since, bad := f.bad[a]
	return !bad || f.now().Sub(since) > badTime
}

// release says that an address is not used any more; bad, that it should not
// be for some time.
func (f *finder) release(a netip.Addr, bad bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.used, a)
	if bad {
		f.bad[a] = f.now()
	}
}

// other reports whether there is another address to use instead of those in
// use; it asks for the name again.
func (f *finder) other(ctx context.Context) bool {
	// What cannot be resolved leaves what is known.
	_ = f.resolve(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.known, func(a netip.Addr) bool { return !f.used[a] && f.good(a) })
}

// stands asks for the name now, and reports whether an address is still one of
// its; without an answer it is.
func (f *finder) stands(ctx context.Context, addr netip.Addr) bool {
	f.mu.Lock()
	f.resolved = time.Time{}
	f.mu.Unlock()
	err := f.resolve(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	return err != nil || slices.Contains(f.known, addr.Unmap())
}

// resolve asks for the name, unless that was done a short time ago.
func (f *finder) resolve(ctx context.Context) error {
	if addr, err := netip.ParseAddr(f.name); err == nil {
		f.mu.Lock()
		f.known = []netip.Addr{addr.Unmap()}
		f.mu.Unlock()
		return nil
	}
	f.mu.Lock()
	recent := !f.resolved.IsZero() && f.now().Sub(f.resolved) < resolveInterval
	f.mu.Unlock()
	if recent {
		return nil
	}
	found, err := f.lookup(ctx, f.network, f.name)
	if err != nil {
		return fmt.Errorf("name resolution: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resolved, f.known = f.now(), nil
	for _, a := range found {
		if a = a.Unmap(); !slices.Contains(f.known, a) {
			f.known = append(f.known, a)
		}
	}
	return nil
}
