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

// BenchmarkClients writes the table of a site of 300,000 clients, of which each
// asks two of three gateways.
func BenchmarkClients(b *testing.B) {
	const clients = 300_000
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
	busy, rounds := cpuTime(), 0
	for b.Loop() {
		rounds++
		w, err := report.NewWriter(io.Discard, "table", now)
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
