package migration

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/ntp"
)

const benchClients = 100_000

// largeSite is an inventory of a large site: each client asked ten times, by a key.
func largeSite(b *testing.B, now time.Time) *inventory.Inventory {
	v, err := inventory.New(inventory.Options{Capacity: benchClients, Seed: [2]uint64{1, 2}})
	if err != nil {
		b.Fatal(err)
	}
	for i := range benchClients {
		s := feed.Sighting{Kind: ntp.KindSymmetric, Key: 1 + uint32(i%10), MAC: 20, Octets: 68, Count: 1, Reason: ntp.ReasonOK}
		s.Addr = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).As16()
		s.Header[0], s.Header[2], s.Header[3] = 4<<3|3, 6, 32
		binary.BigEndian.PutUint64(s.Header[40:], uint64(i)*0x9e3779b97f4a7c15)
		for k := range 10 {
			s.Received = ntp.TimestampFromTime(now.Add(time.Duration(k-10) * 64 * time.Second))
			if !v.See(&s) {
				b.Fatal("an inventory with room takes nobody")
			}
		}
	}
	return v
}

// BenchmarkStatus tells where 30 means of 10 groups stand, of 100,000 clients
// with all gates, as `fleet status` asks.
func BenchmarkStatus(b *testing.B) {
	now := time.Now()
	v := largeSite(b, now)
	m := Open(Options{Dir: b.TempDir(), Log: hclog.NewNullLogger(),
		Each: func(see func(*inventory.Client)) error {
			var c inventory.Client
			for i := range v.Places() {
				if v.Read(i, uint32(now.Unix()), &c) {
					see(&c)
				}
			}
			return nil
		},
		Where: func() stage.Where { return stage.Where{} },
		Facts: func(time.Time) gate.Facts {
			return gate.Facts{KECapacity: 1000, Watched: []gate.Interval{{Start: uint32(now.Unix()) - 90*86400, End: uint32(now.Unix())}}}
		},
		Ours:    func(uint32) bool { return false },
		Enforce: func(*stage.Resolver, []stage.Refusal) {}, Synchronised: func() bool { return true },
	}, now)
	defer m.Close()
	plan := "gates: {quiet_days: 30}\ncanary: {share: 50%, max: 50000}\ngroups:\n"
	for i := range 10 {
		plan += fmt.Sprintf("  - {name: g%d, prefixes: [10.0.%d.0/20, 10.1.%d.0/20], stages: {none: refuse, symmetric: removed, autokey: refuse}}\n",
			i, 16*i, 16*i)
	}
	if _, err := m.Ask(now, "user 0", &Request{Do: Apply, Name: "fleet.yaml", Plan: plan}); err != nil {
		b.Fatal(err)
	}
	for i := range 10 {
		if _, err := m.Ask(now, "user 0", &Request{Do: Advance, Group: fmt.Sprintf("g%d", i), Means: "symmetric"}); err != nil {
			b.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		s := m.Status(now, false)
		if len(s.Places) != 30 {
			b.Fatal(len(s.Places))
		}
	}
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/(1<<20), "MiB/op")
}
