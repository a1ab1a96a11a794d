package server

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// ZeroSeedClient is an address that has sent Autokey packets with a cookie of
// seed 0, which it got from an ntpd.
type ZeroSeedClient struct {
	Address netip.Addr
	Seen    time.Time // last
	Refused bool      // the last one
}

// Shape of the table.
const (
	zeroSeedSets = 512
	zeroSeedWays = 8
)

// zeroSeedTable remembers such addresses, at most 4096, the latest of each set.
// Only packets with such a cookie come here, which have proved their address.
type zeroSeedTable struct {
	seed maphash.Seed
	sets [zeroSeedSets]zeroSeedSet
}

type zeroSeedSet struct {
	mu      sync.Mutex
	clients [zeroSeedWays]ZeroSeedClient
}

func newZeroSeedTable() *zeroSeedTable { return &zeroSeedTable{seed: maphash.MakeSeed()} }

func (t *zeroSeedTable) note(a netip.Addr, now time.Time, refused bool) {
	s := &t.sets[maphash.Comparable(t.seed, a)%zeroSeedSets]
	s.mu.Lock()
	defer s.mu.Unlock()
	place := 0
	for i := range s.clients {
		if s.clients[i].Address == a {
			place = i
			break
		}
		if s.clients[i].Seen.Before(s.clients[place].Seen) {
			place = i
		}
	}
	s.clients[place] = ZeroSeedClient{a, now, refused}
}

// since returns the addresses seen since a time, sorted.
func (t *zeroSeedTable) since(at time.Time) []ZeroSeedClient {
	var list []ZeroSeedClient
	for i := range t.sets {
		set := &t.sets[i]
		set.mu.Lock()
		for _, c := range set.clients {
			if c.Address.IsValid() && !c.Seen.Before(at) {
				list = append(list, c)
			}
		}
		set.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b ZeroSeedClient) int { return a.Address.Compare(b.Address) })
	return list
}
