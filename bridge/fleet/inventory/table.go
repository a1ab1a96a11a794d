package inventory

import (
	"errors"
	"fmt"

	"ntsbridge/bridge/ntp"
)

// Options shape an inventory.
type Options struct {
	Capacity  int       // clients, 64 to 16777216
	Seed      [2]uint64 // random and secret: places clients in the tables
	Addresses Addresses // what counts as one client, and what is kept of it
}

// Size limits of Options.Capacity.
const (
	MinCapacity = 64
	MaxCapacity = 1 << 24
)

// perClient is how many means a client may have.
const perClient = 8

// Inventory is the table. It is not safe for concurrent use.
type Inventory struct {
	opt     Options
	clients *slab[client]
	means   *slab[means]
	crowds  *slab[crowd]
	index   index
	filter  *filter
	names   *names
	ranks   [rankCount]int
	hand    int // where the next search for somebody to forget begins
	full    Full
	dirty   []uint32
	gone    []Key
}

// Full says what was not kept for want of room. Forgotten and Means are what an
// answer "not seen" must not be built on.
type Full struct {
	Forgotten     uint64 `json:"forgotten"`      // clients above the rank of strangers
	LastForgotten uint32 `json:"last_forgotten"` // when the last one was, seconds since 1970; 0: never
	Strangers     uint64 `json:"strangers"`      // strangers that made room or found none
	Probation     uint64 `json:"probation"`      // packets of strangers seen for the first time in a table with little room
	Means         uint64 `json:"means"`          // means of a client that were dropped
	LastMeans     uint32 `json:"last_means"`     // when the last one of those that had been answered was, seconds since 1970; 0: never
	Crowds        uint64 `json:"crowds"`         // addresses with several hosts that could not be told apart
	Names         uint64 `json:"names"`          // names that Autokey told
}

// dropped counts a means that is dropped. One that was never answered says
// nothing about a client that this server has.
func (f *Full) dropped(m *means, now uint32) {
	f.Means++
	if m.served != 0 {
		f.LastMeans = max(f.LastMeans, now)
	}
}

// New makes an empty inventory.
func New(opt Options) (*Inventory, error) {
	if opt.Capacity < MinCapacity || opt.Capacity > MaxCapacity {
		return nil, fmt.Errorf("inventory: %d clients: must be %d to %d", opt.Capacity, MinCapacity, MaxCapacity)
	}
	if opt.Seed == [2]uint64{} {
		return nil, errors.New("inventory: the seed is zero, it must be random")
	}
	n := opt.Capacity
	return &Inventory{opt: opt, clients: newSlab[client](n), means: newSlab[means](n + n/4), crowds: newSlab[crowd](max(n/64, 16)),
		index: newIndex(n, opt.Seed), filter: newFilter(n), names: newNames(max(n/16, 256))}, nil
}

// Full returns what was not kept.
func (v *Inventory) Full() Full { return v.full }

// SetFull restores what was not kept before a restart.
func (v *Inventory) SetFull(f Full) { v.full = f }

// Len returns the number of clients.
func (v *Inventory) Len() int { return v.clients.used() }

// Ranks returns the number of clients of each rank.
func (v *Inventory) Ranks() [4]int { return v.ranks }

// Capacity returns how many clients there is room for.
func (v *Inventory) Capacity() int { return v.opt.Capacity }

// seconds returns a timestamp as seconds since 1970, good until 2106.
func seconds(t ntp.Timestamp) uint32 { return t.Seconds() - unixEpoch }

const unixEpoch = 2208988800

func (v *Inventory) find(addr *[16]byte, bitsOf uint8, h uint64) uint32 {
	for i := h & v.index.mask; ; i = (i + 1) & v.index.mask {
		ref := v.index.slots[i]
		if ref == 0 {
			return 0
		}
		if c := v.clients.at(ref); c.addr == *addr && c.bits == bitsOf {
			return ref
		}
	}
}

func (v *Inventory) link(ref uint32, h uint64) {
	i := h & v.index.mask
	for v.index.slots[i] != 0 {
		i = (i + 1) & v.index.mask
	}
	v.index.slots[i] = ref
}

// unlink takes a client out and moves up those that probed past it.
func (v *Inventory) unlink(ref uint32) {
	x := &v.index
	c := v.clients.at(ref)
	i := x.hash(&c.addr, c.bits) & x.mask
	for x.slots[i] != ref {
		i = (i + 1) & x.mask
	}
	for j := (i + 1) & x.mask; x.slots[j] != 0; j = (j + 1) & x.mask {
		o := v.clients.at(x.slots[j])
		home := x.hash(&o.addr, o.bits) & x.mask
		if (j-home)&x.mask >= (j-i)&x.mask {
			x.slots[i] = x.slots[j]
			i = j
		}
	}
	x.slots[i] = 0
}

func (v *Inventory) promote(c *client, rank Rank) {
	if rank > c.rank {
		v.ranks[c.rank]--
		v.ranks[rank]++
		c.rank = rank
	}
}

// findMeans finds a means. An NTS packet whose cookie nobody could open is
// counted to the AEAD that the client is known to use.
func (v *Inventory) findMeans(c *client, kind ntp.Kind, key uint32) *means {
	for ref := c.means; ref != 0; {
		m := v.means.at(ref)
		if m.kind == kind && (m.key == key || kind == ntp.KindNTS && (key == 0 || m.key == 0)) {
			if m.key == 0 {
				m.key = key
			}
			return m
		}
		ref = m.next
	}
	return nil
}

// touch remembers that a client has to be stored.
func (v *Inventory) touch(ref uint32, c *client) {
	if c.flags&flagDirty == 0 {
		c.flags |= flagDirty
		v.dirty = append(v.dirty, ref)
	}
}
