package site

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"github.com/hashicorp/go-hclog"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/site/etcdtest"
	"ntsbridge/bridge/ntp"
)

// gateway is one of a test.
type gateway struct {
	*Site
	t    testing.TB
	dir  string
	etcd config.Etcd
	file *history.File

	mu      sync.Mutex
	clients []*inventory.Client
	ahead   time.Duration // its clock
	scheme  string        // how it keeps addresses
}

// newGateway starts one; it ends with the test.
func newGateway(t testing.TB, e config.Etcd, clients ...*inventory.Client) *gateway {
	g := &gateway{t: t, dir: t.TempDir(), etcd: e, clients: clients}
	g.start()
	t.Cleanup(func() { g.Close(); g.file.Close() })
	return g
}

func (g *gateway) start() {
	var err error
	if g.file, _, err = history.Open(filepath.Join(g.dir, "history"), time.Now()); err != nil {
		g.t.Fatal(err)
	}
	g.Site = Open(Options{Etcd: g.etcd, Dir: g.dir, Log: testLog(g.t, g.etcd.Name), Now: g.now,
		History: func() *history.File { return g.file },
		Each: func(see func(*inventory.Client)) error {
			g.mu.Lock()
			defer g.mu.Unlock()
			for _, c := range g.clients {
				k := *c
				see(&k)
			}
			return nil
		},
		About: func(now time.Time) About {
			g.mu.Lock()
			defer g.mu.Unlock()
			return About{Addresses: g.scheme, Version: "test", Synchronised: true, Clients: len(g.clients),
				Watched: []gate.Interval{{Start: uint32(now.Unix()) - 100*day, End: uint32(now.Unix())}}}
		}})
	g.Run()
}

// restart ends it and starts it anew in the same directory.
func (g *gateway) restart() {
	g.Close()
	g.file.Close()
	g.start()
}

func (g *gateway) now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Add(g.ahead)
}

func (g *gateway) note(what string) {
	g.t.Helper()
	if err := g.file.Append(&history.Entry{Time: time.Now(), Who: "tester", What: what}); err != nil {
		g.t.Fatal(err)
	}
}

// all are the clients of the site as this gateway sees them, by name.
func (g *gateway) all() map[string]inventory.Client {
	list := map[string]inventory.Client{}
	keep := func(c *inventory.Client) {
		k := *c
		k.Means = append([]inventory.Means{}, c.Means...)
		list[c.Name()] = k
	}
	v := g.View()
	if err := g.opt.Each(func(c *inventory.Client) { v.Add(c); keep(c) }); err != nil {
		g.t.Error(err)
	}
	v.Rest(keep)
	return list
}

// trail is the history of the site, "gateway what".
func (g *gateway) trail() (text string, err error) {
	_, err = g.History(context.Background(), func(e *history.Entry) error {
		text += e.Gateway + " " + e.What + "\n"
		return nil
	})
	return text, err
}

// await waits for a condition.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so: %s", what)
		}
	}
}

// open tells whether a gate is, at the first rung.
func (g *gateway) open() bool { return g.Gate("g", "symmetric", "observe", 0).Open }

func (g *gateway) evidence() string { return g.Gate("g", "symmetric", "observe", 0).Evidence }

var standing = Places{Where: []Place{{Group: "g", Means: "symmetric", Stage: "observe"}}}

func used(kind ntp.Kind, key uint32) inventory.Means {
	now := uint32(time.Now().Unix())
	return inventory.Means{Kind: kind, Key: key, First: now - 10*day, Last: now, Served: now, Answered: 5, Proved: kind != ntp.KindNone}
}

// TestSite: what three gateways agree by, with a real etcd of three members.
func TestSite(t *testing.T) {
	t.Parallel()
	c := etcdtest.Start(t, 3)
	names := []string{"a", "b", "c"}
	a := newGateway(t, c.Config("a", names...), client("192.0.2.1/32", used(ntp.KindSymmetric, 5)),
		client("192.0.2.2/32", used(ntp.KindNone, 0)))
	b := newGateway(t, c.Config("b", names...), client("192.0.2.1/32", used(ntp.KindNTS, 15)),
		client("2001:db8::1/128", used(ntp.KindNone, 0)))
	a.SetPlaces(standing)
	b.SetPlaces(standing)
	await(t, "the gate names who is missing", func() bool {
		e := a.evidence()
		return strings.Contains(e, "c was never seen here") && !strings.Contains(e, "b ")
	})
	k := newGateway(t, c.Config("c", names...))
	k.SetPlaces(standing)
	await(t, "all are here", func() bool { return a.open() && b.open() && k.open() })
	await(t, "all know all clients", func() bool { return len(a.all()) == 3 && len(b.all()) == 3 && len(k.all()) == 3 })
	for _, g := range []*gateway{a, b, k} {
		if m := g.all()["192.0.2.1"].Means; len(m) != 2 {
			t.Errorf("%s: %+v", g.Name(), m)
		}
	}
	// One gateway tries at a time.
	if err := a.Acquire(t.Context()); err != nil || !a.Holds() {
		t.Fatal(err)
	}
	if err := b.Acquire(t.Context()); err == nil || !strings.Contains(err.Error(), ": a;") || b.Holds() {
		t.Errorf("two have the lock: %v", err)
	}
	a.Done()
	await(t, "the lock is free", func() bool { return b.Acquire(t.Context()) == nil })
	if a.Holds() {
		t.Error("a has given it back")
	}
	b.Done()
	// A plan and orders come to all.
	if err := a.Declare(t.Context(), &Plan{Name: "p.yaml", Text: "one", Who: "me"}); err != nil {
		t.Fatal(err)
	}
	for _, g := range []*gateway{a, b, k} {
		await(t, "the plan is known", func() bool { p := g.Following(); return p != nil && p.Text == "one" })
		g.Followed(g.Following())
	}
	if waits, err := b.Order(t.Context(), Order{Do: "hold", Who: "me"}, true); waits || err != nil {
		t.Error(waits, err)
	}
	await(t, "the order is known", func() bool { o, missed := k.Orders(); return len(o) == 1 && !missed && o[0].Gateway == "b" })
	// Many write at once, and nothing is lost or done twice.
	var wait sync.WaitGroup
	for _, g := range []*gateway{a, b, k} {
		for i := range 20 {
			g.note(fmt.Sprint(i))
			wait.Go(func() {
				if err := g.Declare(t.Context(), &Plan{Name: "p", Text: fmt.Sprint(g.Name(), i), Who: "me"}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wait.Wait()
	await(t, "the history is merged", func() bool { text, err := a.trail(); return err == nil && strings.Count(text, "\n") == 60 })
	text, _ := a.trail()
	for _, g := range names {
		last := -1
		for line := range strings.Lines(text) {
			var i int
			if n, _ := fmt.Sscanf(line, g+" %d", &i); n == 1 {
				if i != last+1 {
					t.Errorf("%s: %d after %d", g, i, last)
				}
				last = i
			}
		}
	}
	a.mu.Lock()
	sequence := a.Site.kept.Shared.Sequence
	a.mu.Unlock()
	if sequence < 61 {
		t.Errorf("%d changes", sequence)
	}
	// A gateway that ends is missed at once.
	k.Close()
	await(t, "c is gone", func() bool { return strings.Contains(a.evidence(), "c is gone since") })
	k.start()
	k.SetPlaces(standing)
}

// TestWrongClock: a gateway whose clock is wrong is named, the days that it tells
// and that have not come are not believed; a second one of the same name stays out.
func TestWrongClock(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	c := etcdtest.Start(t, 1)
	a := newGateway(t, c.Config("a", "a", "b"), client("192.0.2.1/32", used(ntp.KindSymmetric, 5)))
	wrong := used(ntp.KindNTS, 15)
	wrong.First, wrong.Last, wrong.Served = wrong.First+400*day, wrong.Last+400*day, wrong.Served+400*day
	b := newGateway(t, c.Config("b", "a", "b"), client("192.0.2.1/32", wrong))
	a.SetPlaces(standing)
	b.SetPlaces(standing)
	await(t, "both are here", a.open)
	if m := a.all()["192.0.2.1"].Means; len(m) != 1 {
		t.Errorf("a means of next year: %+v", m)
	}
	b.mu.Lock()
	b.ahead = time.Hour
	b.mu.Unlock()
	b.Followed(&Plan{At: 0})
	b.Declare(t.Context(), &Plan{Text: "something that is told"})
	b.Followed(b.Following())
	a.Followed(&Plan{At: 1})
	await(t, "the clock is told", func() bool { return strings.Contains(a.evidence(), "b has a clock that is 1h0m0s ahead") })

	double := newGateway(t, c.Config("b", "a", "b"))
	await(t, "the double is told", func() bool { return strings.Contains(double.Problem(), "another gateway is called b, too") })
	if st := b.Status(); !st.Connected {
		t.Errorf("the first one was put out: %+v", st)
	}
}

// TestAddressesApart: what gateways know of clients cannot be put together where they
// keep addresses in different ways, which gates, notes and check say.
func TestAddressesApart(t *testing.T) {
	t.Parallel()
	c := etcdtest.Start(t, 1)
	scheme := func(key string) string {
		a := inventory.Addresses{TemporaryPrefix: 64, HashKey: []byte(key)}
		return a.Scheme()
	}
	a := newGateway(t, c.Config("a", "a", "b", "d"))
	b := newGateway(t, c.Config("b", "a", "b", "d"))
	d := newGateway(t, c.Config("d", "a", "b", "d"))
	schemes := map[*gateway]string{a: scheme("one"), b: scheme("two"), d: scheme("")}
	for g, s := range schemes {
		g.SetPlaces(standing)
		g.mu.Lock()
		g.scheme = s
		g.mu.Unlock()
	}
	await(t, "a says so", func() bool {
		e := a.evidence()
		return strings.Contains(e, "b hashes addresses under another key") && strings.Contains(e, "inventory.key") &&
			strings.Contains(e, "d keeps addresses in another way (full;")
	})
	e := c.Config("a", "a", "b", "d")
	if errs := CheckOthers(t.Context(), &e, schemes[a]); len(errs) != 2 || !strings.Contains(errs[0].Error(), "gateway b hashes") {
		t.Error(errs)
	}
	if scheme("one") != schemes[a] {
		t.Error(schemes[a])
	}
	b.mu.Lock()
	b.scheme = schemes[a]
	b.mu.Unlock()
	await(t, "b has the key", func() bool { return !strings.Contains(a.evidence(), "b hashes") })
}

// testLog writes to the log of a test.
func testLog(t testing.TB, name string) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Name: name, Output: t.Output(), Level: hclog.Debug})
}

// TestAuthentication: an etcd that wants certificates and knows users. One gateway
// is known by its certificate, one by a password; both may use what begins with
// the prefix and nothing else. Who may not is told why, and serves on.
func TestAuthentication(t *testing.T) {
	t.Parallel()
	authority := etcdtest.NewAuthority(t)
	c := etcdtest.StartTLS(t, authority)
	k := c.Client()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(k.RoleAdd(t.Context(), "ntsbridge"))
	must(k.RoleGrantPermission(t.Context(), "ntsbridge", "/site/", clientv3.GetPrefixRangeEnd("/site/"),
		clientv3.PermissionType(clientv3.PermReadWrite)))
	must(k.UserAddWithOptions(t.Context(), "a", "", &clientv3.UserAddOptions{NoPassword: true}))
	must(k.UserAdd(t.Context(), "gateway-b", "the password"))
	must(k.UserAddWithOptions(t.Context(), "root", "", &clientv3.UserAddOptions{NoPassword: true}))
	must(k.UserGrantRole(t.Context(), "a", "ntsbridge"))
	must(k.UserGrantRole(t.Context(), "gateway-b", "ntsbridge"))
	must(k.UserGrantRole(t.Context(), "root", "root"))
	must(k.AuthEnable(t.Context()))

	configure := func(name string) config.Etcd {
		e := c.Config(name, "a", "b")
		e.CA = authority.File
		e.Certificate, e.Key = authority.Issue(name)
		return e
	}
	withPassword := func(text string) config.Etcd {
		e := configure("b")
		e.User, e.PasswordFile = "gateway-b", filepath.Join(t.TempDir(), "password")
		if err := os.WriteFile(e.PasswordFile, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return e
	}
	a := newGateway(t, configure("a"), client("192.0.2.1/32", used(ntp.KindNone, 0)))
	b := newGateway(t, withPassword("the password"))
	a.SetPlaces(standing)
	b.SetPlaces(standing)
	await(t, "both are here", func() bool { return a.open() && b.open() && len(b.all()) == 1 })
	if err := b.Acquire(t.Context()); err != nil {
		t.Error(err)
	}
	for want, e := range map[string]config.Etcd{"authentication failed": withPassword("another one"), "certificate": func() config.Etcd {
		e := configure("b")
		e.Certificate, e.Key = etcdtest.NewAuthority(t).Issue("b") // of a stranger
		return e
	}()} {
		errs := Check(t.Context(), &e, true)
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), want) {
			t.Errorf("%v, want %q", errs, want)
		}
	}
	if e := configure("a"); len(Check(t.Context(), &e, true)) != 0 {
		t.Error(Check(t.Context(), &e, true))
	}
}
