package site

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet"
	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/ntp"
)

// listed is gateway a of a site of three with so many clients: a third asks c
// alone, a third a and b, a third all.
func listed(b testing.TB, clients int) (*fleet.Fleet, *Site) {
	b.Helper()
	at := inventory.Addresses{TemporaryPrefix: 64}
	names := &report.Names{Labels: label.NewSet(nil)}
	f, err := fleet.Open(fleet.Config{Enabled: true, Clients: clients, Addresses: at}, names, hclog.NewNullLogger())
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	v, err := inventory.New(inventory.Options{Capacity: clients, Seed: [2]uint64{1, 2}, Addresses: at})
	if err != nil {
		b.Fatal(err)
	}
	var lists [2][Buckets][]fact
	for i := range clients {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if i%3 > 0 {
			s := feed.Sighting{Addr: a.As16(), Received: ntp.TimestampFromTime(now), Sent: ntp.TimestampFromTime(now),
				Kind: ntp.KindSymmetric, Key: uint32(1 + i%50), Count: 1, Octets: 68, MAC: 16, Action: ntp.Answer}
			s.Header[0], s.Header[3] = 4<<3|3, 32
			v.See(&s)
		}
		for g := range lists {
			if i%3 != g {
				c := client(netip.PrefixFrom(a, 32).String(), used(ntp.KindSymmetric, uint32(1+i%50)))
				k := bucketOf(&c.Key)
				lists[g][k] = append(lists[g][k], newFact(c))
			}
		}
	}
	var list []inventory.Stored
	keep := func(k inventory.Key, r []byte) { list = append(list, inventory.Stored{Key: k, Record: bytes.Clone(r)}) }
	v.Changes(keep, func(inventory.Key) {})
	if full, err := f.Import(list); err != nil || full > 0 {
		b.Fatal(full, err)
	}
	s := &Site{opt: Options{Now: time.Now}, others: map[string]*member{}}
	s.opt.Etcd.Name = "a"
	for g, name := range []string{"b", "c"} {
		s.opt.Etcd.Gateways = append(s.opt.Etcd.Gateways, config.Gateway{Name: name})
		for k := range lists[g] {
			s.member(name).buckets[k] = encode(lists[g][k])
		}
	}
	return f, s
}

// BenchmarkClients writes the table of a site of 300,000 clients.
func BenchmarkClients(b *testing.B) {
	const clients = 300_000
	f, s := listed(b, clients)
	busy, rounds := cpuTime(), 0
	for b.Loop() {
		rounds++
		w, err := report.NewWriter(io.Discard, "table", time.Now())
		if err != nil {
			b.Fatal(err)
		}
		if err := f.StreamSite(context.Background(), &report.Filter{LegacyOnly: true, Site: true}, "a", s.View(), w.Row); err != nil {
			b.Fatal(err)
		}
		if w.Count() != clients {
			b.Fatal(w.Count())
		}
	}
	b.ReportMetric(float64((cpuTime()-busy).Milliseconds())/float64(rounds), "cpu-ms/op")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Parts of a list of the site have each client once, wherever it is known, in
// each order; also where the list was forgotten, and with a column for each
// gateway.
func TestPartsOfTheSite(t *testing.T) {
	const clients = 900
	for _, sort := range report.Sorts {
		f, s := listed(t, clients)
		filter, all := &report.Filter{Site: true, ByGateway: true, Sort: sort}, map[string]bool{}
		seen, next := map[int]int{}, ""
		for parts := 0; ; parts++ {
			p, err := f.PageSite(t.Context(), filter, "a", s.View(), next, 100, func(r *report.Row) error {
				seen[len(r.Means[0].Gateways)]++
				all[r.Address] = true
				return nil
			})
			if err != nil || p.Total != clients || p.First != 100*parts {
				t.Fatal(sort, p, err)
			}
			if next = p.Next; next == "" || parts > 10 {
				break
			}
		}
		if len(all) != clients || seen[1] != clients/3 || seen[2] != clients/3 || seen[3] != clients/3 {
			t.Errorf("%s: %d of %d clients; by gateways that know them: %v", sort, len(all), clients, seen)
		}
	}
	f, s := listed(t, clients)
	p, err := f.PageSite(t.Context(), &report.Filter{Site: true, Address: netip.MustParseAddr("10.0.0.3")}, "a", s.View(), "", 10,
		func(*report.Row) error { return nil })
	if err != nil || p.Total != 1 {
		t.Error(p, err) // it asks the others alone
	}
	if _, err := f.Page(t.Context(), &report.Filter{}, p.Next+"x", 10, nil); err == nil {
		t.Error("a cursor of the site")
	}
}

// BenchmarkPart reads a part of a list of 300,000 clients: the first makes the
// list, the others go on.
func BenchmarkPart(b *testing.B) {
	f, s := listed(b, 300_000)
	filter, none := &report.Filter{Site: true, ByGateway: true}, func(*report.Row) error { return nil }
	var next string
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			p, err := f.PageSite(b.Context(), filter, "a", s.View(), "", 100, none)
			if err != nil {
				b.Fatal(err)
			}
			next = p.Next
		}
	})
	b.Run("next", func(b *testing.B) {
		for b.Loop() {
			if _, err := f.PageSite(b.Context(), filter, "a", s.View(), next, 100, none); err != nil {
				b.Fatal(err)
			}
		}
	})
}
