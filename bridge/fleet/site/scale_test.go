package site_test

import (
	"bytes"
	"context"
	"io"
	"math"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet"
	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/site"
	"ntsbridge/bridge/fleet/site/etcdtest"
	"ntsbridge/bridge/ntp"
)

const (
	scaleClients = 300_000
	scaleDay     = 86400
)

// scaled are the clients of a gateway of three: each client asks two of them, by a
// key, and a third of them by NTS too. day is when they were seen last.
type scaled struct {
	number int
	day    atomic.Uint32
	share  atomic.Uint32 // of 100, how many were seen on that day already
}

func (g *scaled) each(see func(*inventory.Client)) error {
	var c inventory.Client
	day := g.day.Load()
	for i := range scaleClients {
		if i%3 == g.number {
			continue
		}
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		c = inventory.Client{Prefix: netip.PrefixFrom(a, 32), Hosts: 1, Addresses: 1, Means: c.Means[:0]}
		b := a.As16()
		copy(c.Key[:], b[:])
		c.Key[16] = 128
		last := day
		if uint32(i%100) >= g.share.Load() {
			last--
		}
		c.Means = append(c.Means, inventory.Means{Kind: ntp.KindSymmetric, Key: uint32(1 + i%50), First: (day - 200) * scaleDay,
			Last:   last * scaleDay,
			Served: last * scaleDay, Answered: 9, Proved: true, Program: "ntpd 4.2"})
		if i%9 == 0 {
			c.Means = append(c.Means, inventory.Means{Kind: ntp.KindNTS, Key: 15, First: (day - 20) * scaleDay, Last: last * scaleDay,
				Served: last * scaleDay, Answered: 9, Proved: true, Program: "chrony"})
		}
		c.Last = last * scaleDay
		see(&c)
	}
	return nil
}

// TestLongScale: three gateways of a site with 300,000 clients, over a day whose
// first hour is driven in half a minute: what etcd has to take and to keep, and
// how long lists of the site take.
func TestLongScale(t *testing.T) {
	if os.Getenv("NTSBRIDGE_INTEROP_LONG") == "" {
		t.Skip("NTSBRIDGE_INTEROP_LONG is not set")
	}
	c := etcdtest.Start(t, 3)
	today := uint32(time.Now().Unix() / scaleDay)
	var sites []*site.Site
	var loads []*scaled
	for n, name := range []string{"a", "b", "d"} {
		e := c.Config(name, "a", "b", "d")
		e.FactsInterval = 10 * time.Second
		g := &scaled{number: n}
		g.day.Store(today)
		s := site.Open(site.Options{Etcd: e, Dir: t.TempDir(), Each: g.each, Log: hclog.NewNullLogger(),
			History: func() *history.File { return nil },
			About: func(now time.Time) site.About {
				return site.About{Synchronised: true, Watched: []gate.Interval{{Start: 1, End: uint32(now.Unix())}}}
			}})
		s.Run()
		t.Cleanup(s.Close)
		sites, loads = append(sites, s), append(loads, g)
	}
	writes := func() (n uint64) {
		for _, s := range sites {
			n += s.Figures().Writes
		}
		return n
	}
	settled := func(what string) {
		t.Helper()
		for end := time.Now().Add(10 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
			pending, told := 0, true
			for _, s := range sites {
				pending += s.Figures().Pending
				told = told && s.Figures().Writes >= 512
			}
			if told && pending == 0 {
				return
			}
			if time.Now().After(end) {
				t.Fatal(what)
			}
		}
	}
	size := func() int64 {
		r, err := c.Client().Status(t.Context(), c.Members[0].URL)
		if err != nil {
			t.Fatal(err)
		}
		return r.DbSize
	}
	began := time.Now()
	settled("the first telling")
	first := time.Since(began)
	t.Logf("told anew: %d keys in %v (%.1f a second), etcd has %.1f MB", writes(), first.Round(time.Second), float64(writes())/first.Seconds(),
		float64(size())/1e6)
	// Midnight: all clients are seen on a new day, within some polls.
	before, began := writes(), time.Now()
	for share := range uint32(5) {
		for _, g := range loads {
			g.share.Store(20 * (share + 1))
		}
		time.Sleep(3 * time.Second)
	}
	time.Sleep(15 * time.Second) // facts_interval of the test is 10 s
	settled("midnight")
	n := writes() - before
	t.Logf("a day's change of all clients: %d keys, in %v; with facts_interval 15m at most %.1f a second, over a day %.2f", n,
		time.Since(began).Round(time.Second), float64(3*512)/900, float64(n)/86400)
	if mb := float64(size()) / 1e6; mb > 200 {
		t.Errorf("etcd has %.1f MB", mb)
	} else {
		t.Logf("etcd has %.1f MB, nothing compacted", mb)
	}
	if rate := float64(n) / time.Since(began).Seconds(); rate > 20 {
		t.Errorf("%.1f writes a second in the worst minute", rate)
	}
	for _, s := range sites { // that look at their clients each two seconds here
		s.Close()
	}
	timeLists(t, sites[0], loads[0])
}

// timeLists measures lists of the site from a gateway with an inventory of its
// own.
func timeLists(t *testing.T, s *site.Site, g *scaled) {
	f, err := fleet.Open(fleet.Config{Enabled: true, Clients: scaleClients + 1000, Addresses: inventory.Addresses{TemporaryPrefix: 64}},
		&report.Names{Labels: label.NewSet(nil)}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	v, err := inventory.New(inventory.Options{Capacity: scaleClients + 1000, Seed: [2]uint64{1, 2},
		Addresses: inventory.Addresses{TemporaryPrefix: 64}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	_ = g.each(func(c *inventory.Client) {
		v.See(sighting(c, now))
	})
	var list []inventory.Stored
	v.Changes(func(k inventory.Key, record []byte) {
		list = append(list, inventory.Stored{Key: k, Record: bytes.Clone(record)})
	},
		func(inventory.Key) {})
	if full, err := f.Import(list); err != nil || full > 0 {
		t.Fatal(full, err)
	}
	for _, format := range []string{"table", "json", "csv"} {
		best := time.Duration(math.MaxInt64)
		for range 3 { // the machine has other work
			busy := cpu()
			w, err := report.NewWriter(io.Discard, format, now)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.StreamSite(context.Background(), &report.Filter{LegacyOnly: true, Site: true}, "a", s.View(), w.Row); err != nil {
				t.Fatal(err)
			}
			best = min(best, cpu()-busy)
			if w.Count() != scaleClients {
				t.Errorf("%d clients", w.Count())
			}
		}
		t.Logf("clients --site --legacy-only, %s: %v of CPU time", format, best.Round(time.Millisecond))
		if best > 2*time.Second {
			t.Errorf("%s: %v", format, best)
		}
	}
	began := time.Now()
	sum, err := f.SummarySite(context.Background(), "label", 1, s.View())
	if err != nil || sum.Clients != scaleClients {
		t.Fatal(sum, err)
	}
	t.Logf("summary --site: %v", time.Since(began).Round(time.Millisecond))
}

func sighting(c *inventory.Client, at time.Time) *feed.Sighting {
	s := &feed.Sighting{Addr: c.Prefix.Addr().As16(), Received: ntp.TimestampFromTime(at), Sent: ntp.TimestampFromTime(at),
		Kind: ntp.KindSymmetric,
		Key:  c.Means[0].Key, Count: 1, Octets: 68, MAC: 16, Action: ntp.Answer}
	s.Header[0], s.Header[3] = 4<<3|3, 32
	return s
}

// cpu is the CPU time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
