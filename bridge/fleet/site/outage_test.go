package site

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet/site/etcdtest"
	"ntsbridge/bridge/ntp"
)

// TestKilled: members die. One of three is not noticed; without a majority the
// lock is lost before another could have it, and all is well afterwards.
func TestKilled(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	c := etcdtest.Start(t, 3)
	a := newGateway(t, c.Config("a", "a", "b"), client("192.0.2.1/32", used(ntp.KindNone, 0)))
	b := newGateway(t, c.Config("b", "a", "b"))
	a.SetPlaces(standing)
	b.SetPlaces(standing)
	await(t, "both are here", func() bool { return a.open() && b.open() })
	c.Members[2].Kill()
	a.note("one member is dead")
	await(t, "it goes on", func() bool { text, err := b.trail(); return err == nil && strings.Contains(text, "one member") })
	if err := a.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Members[1].Signal(syscall.SIGSTOP) // as a disk that hangs
	began := time.Now()
	await(t, "the lock is lost", func() bool { a.Keep(true); return !a.Holds() })
	if d := time.Since(began); d > a.etcd.Lease {
		t.Errorf("the lock was given up after %v, and the lease is %v", d, a.etcd.Lease)
	}
	if e := a.evidence(); !strings.Contains(e, "etcd is away") {
		t.Error(e)
	}
	waits, err := a.Order(t.Context(), Order{Do: "hold", Group: "g", Who: "me"}, true)
	if !waits || err != nil {
		t.Error(waits, err)
	}
	if err := a.Declare(t.Context(), &Plan{Text: "x"}); err == nil {
		t.Error("a plan was declared without etcd")
	}
	a.note("without etcd")
	a.mu.Lock()
	a.clients = append(a.clients, client("192.0.2.9/32", used(ntp.KindNone, 0)))
	a.mu.Unlock()
	a.restart() // what waits is on the disk
	a.SetPlaces(standing)
	c.Members[1].Signal(syscall.SIGCONT)
	c.Members[2].Start("existing")
	await(t, "both are here again", func() bool { return a.open() && b.open() })
	await(t, "the order came", func() bool { o, _ := b.Orders(); return len(o) == 1 && o[0].Gateway == "a" })
	await(t, "the client came", func() bool { return len(b.all()) == 2 })
	await(t, "the history came", func() bool {
		text, err := b.trail()
		return err == nil && strings.HasSuffix(text, "a without etcd\n")
	})
}

// TestCutOff: a gateway that alone does not reach etcd gives the lock up before
// its lease ends there, and another one takes it then; compaction meanwhile
// costs nothing.
func TestCutOff(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	c := etcdtest.Start(t, 1)
	path := c.Members[0].Path()
	cut := c.Config("a", "a", "b")
	cut.Endpoints = []string{path.URL}
	a := newGateway(t, cut, client("192.0.2.1/32", used(ntp.KindNone, 0)))
	b := newGateway(t, c.Config("b", "a", "b"), client("192.0.2.2/32", used(ntp.KindNone, 0)))
	a.SetPlaces(standing)
	b.SetPlaces(standing)
	await(t, "both are here", func() bool { return a.open() && b.open() })
	if err := a.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	path.Cut(true)
	await(t, "b has the lock", func() bool {
		a.Keep(true)
		mine := a.Holds()
		err := b.Acquire(t.Context())
		if err == nil && mine && a.Holds() {
			t.Fatal("two have the lock")
		}
		return err == nil
	})
	await(t, "b heard that a is gone", func() bool { return strings.Contains(b.evidence(), "a is gone") })
	await(t, "a says that it sees nobody but itself", func() bool {
		st := a.Status()
		return !st.Connected && st.Gateways[0].Here && st.Gateways[0].Why == "" && !st.Gateways[1].Here && st.Gateways[1].Why != ""
	})
	for i := range 30 {
		b.note(fmt.Sprint(i))
	}
	k := c.Client()
	await(t, "the history of b is there", func() bool { text, err := b.trail(); return err == nil && strings.Count(text, "\n") == 30 })
	r, err := k.Get(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Compact(t.Context(), r.Header.Revision); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Defragment(t.Context(), c.Members[0].URL); err != nil {
		t.Fatal(err)
	}
	path.Cut(false)
	await(t, "a is back", func() bool { return strings.HasPrefix(a.evidence(), "all") && strings.HasPrefix(b.evidence(), "all") })
	if text, err := a.trail(); err != nil || strings.Count(text, "\n") != 30 {
		t.Error(text, err)
	}
	if a.Holds() || !b.Holds() {
		t.Error("the lock moved")
	}
}

// TestKnownLast: what the others told stays known while etcd cannot be read whole.
func TestKnownLast(t *testing.T) {
	t.Parallel()
	c := etcdtest.Start(t, 1)
	a := newGateway(t, c.Config("a", "a", "b"))
	newGateway(t, c.Config("b", "a", "b"), client("192.0.2.1/32", used(ntp.KindNone, 0)))
	await(t, "a knows the client of b", func() bool { return len(a.all()) == 1 })
	n := a.current()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.load(ctx); err == nil {
		t.Fatal("all was read")
	}
	if len(a.all()) != 1 {
		t.Error("what was known is forgotten")
	}
}

// TestRestored: a backup is put back. The later plan, orders, history and clients
// come back from the gateways.
func TestRestored(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	c := etcdtest.Start(t, 1)
	a := newGateway(t, c.Config("a", "a", "b"), client("192.0.2.1/32", used(ntp.KindNone, 0)))
	b := newGateway(t, c.Config("b", "a", "b"))
	a.SetPlaces(standing)
	b.SetPlaces(standing)
	declare := func(text string) {
		t.Helper()
		if err := a.Declare(t.Context(), &Plan{Name: "p", Text: text, Who: "me"}); err != nil {
			t.Fatal(err)
		}
		for _, g := range []*gateway{a, b} {
			await(t, text, func() bool { p := g.Following(); return p != nil && p.Text == text })
			g.Followed(g.Following())
		}
	}
	await(t, "etcd is here", func() bool { return a.open() && b.open() })
	declare("old")
	a.note("before")
	await(t, "merged", func() bool { text, _ := b.trail(); return text == "a before\n" })
	backup := filepath.Join(t.TempDir(), "backup")
	c.Snapshot(backup)
	declare("new")
	if _, err := b.Order(t.Context(), Order{Do: "hold", Who: "me"}, false); err != nil {
		t.Fatal(err)
	}
	a.note("after a")
	b.note("after b")
	a.mu.Lock()
	a.clients = append(a.clients, client("192.0.2.9/32", used(ntp.KindNone, 0)))
	a.mu.Unlock()
	await(t, "the client came", func() bool { return len(b.all()) == 2 })
	await(t, "merged", func() bool { text, _ := b.trail(); return strings.Count(text, "\n") == 3 })
	await(t, "the order came", func() bool { o, _ := a.Orders(); return len(o) == 1 })
	c.Restore(backup)
	await(t, "both are here again", func() bool { return a.open() && b.open() })
	late := newGateway(t, c.Config("c", "a", "b", "c"))
	await(t, "a stranger learns the later plan and order", func() bool {
		p := late.Following()
		o, _ := late.Orders()
		return p != nil && p.Text == "new" && len(o) == 1
	})
	await(t, "the client is there", func() bool { return len(late.all()) == 2 })
	await(t, "the history is there", func() bool {
		text, err := late.trail()
		return err == nil && strings.Count(text, "\n") == 3 && strings.Contains(text, "a after a") && strings.Contains(text, "b after b")
	})
}

// TestHungDisk: the disk of a member hangs, which keeps its connections, answers
// nothing and may take itself for the leader. While it is one of three, the gateway
// that tries a step keeps the lock, and nobody else gets it; without a majority
// the lock is given up before another one could have it.
func TestHungDisk(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	disks := []*etcdtest.Disk{etcdtest.NewDisk(t), etcdtest.NewDisk(t), etcdtest.NewDisk(t)}
	c := etcdtest.StartOn(t, disks...)
	leader, _ := c.Leader()
	at := func(m *etcdtest.Member) int { return slices.Index(c.Members, m) }
	configure := func(name string) config.Etcd {
		e := c.Config(name, "a", "b")
		e.Timeout, e.Lease = time.Second, 9*time.Second
		// Whatever is asked first: both begin with the leader.
		e.Endpoints = append(slices.Clone(e.Endpoints[at(leader):]), e.Endpoints[:at(leader)]...)
		n := first(name, len(e.Endpoints))
		e.Endpoints = append(slices.Clone(e.Endpoints[len(e.Endpoints)-n:]), e.Endpoints[:len(e.Endpoints)-n]...)
		return e
	}
	a, b := bothOpen(t, configure("a"), configure("b"))
	if m := a.current().member; m != leader.URL {
		t.Fatalf("a is at %s, and the leader is %s", m, leader.URL)
	}
	if err := a.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	disks[at(leader)].Hang(true)
	sessions := a.Figures().Sessions
	await(t, "another member serves a", func() bool {
		a.Keep(true)
		if !a.Holds() {
			t.Fatal("the lock was lost, with two of three members")
		}
		return a.Figures().Sessions > sessions && a.Figures().Connected
	})
	if err := b.Acquire(t.Context()); err == nil {
		t.Error("two have the lock")
	}
	a.note("with two members")
	await(t, "it goes on", func() bool {
		a.Keep(true)
		text, err := b.trail()
		return err == nil && strings.Contains(text, "with two")
	})
	if !a.Holds() {
		t.Error("the lock was lost, with two of three members")
	}
	for i := range disks {
		if i != at(leader) {
			disks[i].Hang(true)
			break
		}
	}
	began := time.Now()
	await(t, "the lock is given up", func() bool { a.Keep(true); return !a.Holds() })
	if d := time.Since(began); d > 2*a.etcd.Lease { // reads go on until something is written
		t.Errorf("the lock was given up after %v, and the lease is %v", d, a.etcd.Lease)
	}
	if err := b.Acquire(t.Context()); err == nil {
		t.Error("b got the lock without a majority")
	}
	a.note("with one member")
	for _, d := range disks {
		d.Hang(false)
	}
	await(t, "both are here again", func() bool { return a.open() && b.open() })
	await(t, "what was done meanwhile is told", func() bool {
		text, err := b.trail()
		return err == nil && strings.HasSuffix(text, "a with one member\n") && strings.Count(text, "with two") == 1
	})
}

// bothOpen starts two gateways, of which the first has a client, and waits until
// steps may begin.
func bothOpen(t *testing.T, first, second config.Etcd) (a, b *gateway) {
	t.Helper()
	a = newGateway(t, first, client("192.0.2.1/32", used(ntp.KindNone, 0)))
	b = newGateway(t, second)
	a.SetPlaces(standing)
	b.SetPlaces(standing)
	await(t, "both are here", func() bool { return a.open() && b.open() })
	return a, b
}

// TestSlowDisk: the disks of members are slow, and hang no longer than an answer may
// take. With one of three that is so, and that leads, all goes on; where all
// are, what gateways tell takes longer, the lock is kept, and nothing is told
// twice.
func TestSlowDisk(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	disks := []*etcdtest.Disk{etcdtest.NewDisk(t), etcdtest.NewDisk(t), etcdtest.NewDisk(t)}
	c := etcdtest.StartOn(t, disks...)
	configure := func(name string) config.Etcd {
		e := c.Config(name, "a", "b")
		e.Timeout, e.Lease = 3*time.Second, 12*time.Second
		return e
	}
	a, b := bothOpen(t, configure("a"), configure("b"))
	if err := a.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	leader, _ := c.Leader()
	at := slices.Index(c.Members, leader)
	told := func(what string) {
		t.Helper()
		began := time.Now()
		a.note(what)
		await(t, what+" is told", func() bool {
			if a.Keep(true); !a.Holds() {
				t.Fatal("the lock was lost: ", what)
			}
			text, err := b.trail()
			return err == nil && strings.HasSuffix(text, "a "+what+"\n")
		})
		t.Logf("%s: told after %v", what, time.Since(began).Round(time.Millisecond))
	}
	told("before")
	var mend []func()
	defer func() {
		for _, end := range mend {
			end()
		}
	}()
	mend = append(mend, disks[at].Slow(600*time.Millisecond))
	told("while the leader is slow")
	for i := range disks {
		if i != at {
			mend = append(mend, disks[i].Slow(300*time.Millisecond))
		}
	}
	for _, what := range []string{"while all are slow", "and still are"} {
		told(what)
	}
	if err := b.Acquire(t.Context()); err == nil {
		t.Error("two have the lock")
	}
	for _, end := range mend {
		end()
	}
	mend = nil
	told("after")
	await(t, "both are here", func() bool { return a.open() && b.open() })
	if text, err := b.trail(); err != nil || strings.Count(text, "\n") != 5 {
		t.Errorf("%q, %v", text, err)
	}
}
