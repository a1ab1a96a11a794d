package association

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"
)

// names answers questions for a name from a list that tests change.
type names struct {
	now   time.Time
	addrs []netip.Addr
	err   error
	asked int
}

func (n *names) finder() *finder {
	f := newFinder("pool.example.net", "any")
	f.now = func() time.Time { return n.now }
	f.lookup = func(context.Context, string, string) ([]netip.Addr, error) { n.asked++; return n.addrs, n.err }
	return f
}

func addresses(list ...string) (addrs []netip.Addr) {
	for _, s := range list {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs
}

func taken(t *testing.T, f *finder) netip.Addr {
	t.Helper()
	a, err := f.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Members of a pool have different addresses, and a bad one is replaced.
func TestPoolAddresses(t *testing.T) {
	n := &names{now: time.Unix(1e9, 0), addrs: addresses("192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2")}
	f := n.finder()
	first, second := taken(t, f), taken(t, f)
	if first == second || !second.Is4() {
		t.Errorf("two members have %v and %v", first, second)
	}
	if a, err := f.take(t.Context()); !errors.Is(err, errNoAddress) {
		t.Errorf("a third of two: %v, %v", a, err)
	}
	if n.asked != 1 {
		t.Errorf("the name was asked for %d times within a second", n.asked)
	}
	if f.other(t.Context()) {
		t.Error("another address, where both are used")
	}
	n.now, n.addrs = n.now.Add(resolveInterval), addresses("192.0.2.3", "192.0.2.1")
	if !f.other(t.Context()) {
		t.Error("no other address after the name has a new one")
	}
	f.release(first, true)
	if a := taken(t, f); a != n.addrs[0] {
		t.Errorf("a bad one was replaced by %v", a)
	}
	// It stays bad for some time, and then it may have become good.
	f.release(n.addrs[0], true)
	if a, err := f.take(t.Context()); err == nil {
		t.Errorf("%v was bad a moment ago", a)
	}
	n.now = n.now.Add(badTime + time.Second)
	taken(t, f)
}

// The only address is tried again, bad or not; and no name makes no address.
func TestOnlyAddress(t *testing.T) {
	n := &names{now: time.Unix(1e9, 0), addrs: addresses("192.0.2.1")}
	f := n.finder()
	a := taken(t, f)
	f.release(a, true)
	if b := taken(t, f); b != a {
		t.Errorf("got %v", b)
	}
	literal := newFinder("2001:db8::1", "any")
	if a := taken(t, literal); a != netip.MustParseAddr("2001:db8::1") {
		t.Errorf("got %v", a)
	}
	n = &names{now: time.Unix(1e9, 0), err: errors.New("no such host")}
	if _, err := n.finder().take(t.Context()); !errors.Is(err, n.err) {
		t.Errorf("error %v", err)
	}
}
