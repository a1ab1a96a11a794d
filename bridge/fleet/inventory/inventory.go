package inventory

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ntsbridge/bridge/fleet/feed"
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
	Crowds        uint64 `json:"crowds"`         // addresses with several hosts that could not be told apart
	Names         uint64 `json:"names"`          // names that Autokey told
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

// See takes what a worker saw. It returns false if the client was not taken.
func (v *Inventory) See(s *feed.Sighting) bool {
	now := seconds(s.Received)
	rank := Stranger
	if s.Proved() {
		rank = Authenticated
	}
	ref := v.row(&s.Addr, rank, now)
	if ref == 0 {
		return false
	}
	c := v.clients.at(ref)
	echoed := v.follow(c, s, now)
	m := v.meansFor(ref, c, s, now)
	m.note(s, now)
	if chained(&s.Header) {
		c.note(&s.Header)
	}
	c.last = now
	switch {
	case rank == Authenticated:
	case echoed:
		rank = Answered
	case now-c.first >= regularSpan && now >= c.first && v.packets(c) >= regularPackets:
		rank = Regular
	}
	v.promote(c, rank)
	v.touch(ref, c)
	return true
}

// row finds or makes the row of an address; 0: there is no room for it.
func (v *Inventory) row(addr *[16]byte, rank Rank, now uint32) uint32 {
	place, bitsOf, flags := v.opt.Addresses.place(addr)
	h := v.index.hash(&place, bitsOf)
	ref := v.find(&place, bitsOf, h)
	if ref == 0 {
		if ref = v.admit(h, rank, now); ref == 0 {
			return 0
		}
		c := v.clients.at(ref)
		c.addr, c.bits, c.flags = place, bitsOf, flags|flagUsed
		c.first, c.last = now, now
		v.ranks[Stranger]++
		v.link(ref, h)
	}
	if bitsOf != 128 {
		v.behind(v.clients.at(ref), addr)
	}
	return ref
}

// behind notes one of the addresses that a row stands for.
func (v *Inventory) behind(c *client, addr *[16]byte) {
	if c.crowd == 0 {
		if c.crowd, _ = v.crowds.take(); c.crowd == 0 {
			v.full.Crowds++
			return
		}
	}
	v.crowds.at(c.crowd).note(uint32(v.index.hash(addr, 0) >> 32))
}

func (v *Inventory) promote(c *client, rank Rank) {
	if rank > c.rank {
		v.ranks[c.rank]--
		v.ranks[rank]++
		c.rank = rank
	}
}

// packets returns how many packets of a client there were, up to what matters.
func (v *Inventory) packets(c *client) (n uint64) {
	for ref := c.means; ref != 0; {
		m := v.means.at(ref)
		n += uint64(m.answered) + m.refusals()
		ref = m.next
	}
	return n
}

// meansFor finds or makes the means of a packet.
func (v *Inventory) meansFor(ref uint32, c *client, s *feed.Sighting, now uint32) *means {
	if m := v.findMeans(c, s.Kind, s.Key); m != nil {
		return m
	}
	m := v.addMeans(ref, c, now)
	m.kind, m.key = s.Kind, s.Key
	return m
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

// addMeans makes a means for a client. A client that has too many, or a table
// that is full, lets the least of this client's go: what was never answered
// before what was, then the oldest. The first means of a client always finds
// room, if need be that of a stranger.
func (v *Inventory) addMeans(ref uint32, c *client, now uint32) *means {
	count := 0
	for r := c.means; r != 0; r = v.means.at(r).next {
		count++
	}
	var at uint32
	var m *means
	if count < perClient {
		at, m = v.means.take()
	}
	if m == nil && count > 0 {
		v.full.Means++
		_, m = v.leastMeans(c)
		*m = means{next: m.next, client: ref, first: now, last: now}
		return m
	}
	if m == nil {
		v.forgetForMeans(ref, now)
		at, m = v.means.take()
	}
	*m = means{next: c.means, client: ref, first: now, last: now}
	c.means = at
	return m
}

func (v *Inventory) leastMeans(c *client) (uint32, *means) {
	least := c.means
	for r := v.means.at(least).next; r != 0; r = v.means.at(r).next {
		m, l := v.means.at(r), v.means.at(least)
		if (m.answered == 0) != (l.answered == 0) {
			if m.answered == 0 {
				least = r
			}
		} else if m.last < l.last {
			least = r
		}
	}
	return least, v.means.at(least)
}

// note takes a packet into the row of its means.
func (m *means) note(s *feed.Sighting, now uint32) {
	fraction := uint8(s.Received >> 24)
	if packets := uint64(m.answered) + m.refusals(); packets > 0 && s.Count == 1 {
		if before, at := uint64(m.last)<<8|uint64(m.fraction), uint64(now)<<8|uint64(fraction); at > before {
			m.gap(at - before)
		}
	}
	m.last, m.fraction = now, fraction
	if s.Reason == ntp.ReasonOK {
		m.answered = add32(m.answered, s.Count)
		m.served, m.unanswered = now, 0
	} else {
		m.refuse(s.Reason, s.Count)
		m.unanswered = uint16(min(uint32(m.unanswered)+s.Count, 65535))
	}
	switch s.Action {
	case ntp.KissRate, ntp.KissDeny, ntp.KissRestrict:
		m.kisses, m.kissed = inc16(m.kisses), now
	}
	if s.Proved() {
		m.flags |= meansProved
	}
	m.mac = s.MAC
	if s.Kind == ntp.KindAutokey {
		m.scheme = m.scheme.after(s.Operation)
	}
	m.versions |= 1 << ntp.VersionOf(s.Header[:])
	m.modes |= 1 << ntp.ModeOf(s.Header[:])
	m.maxOctets = max(m.maxOctets, s.Octets)
	if m.minOctets == 0 || s.Octets < m.minOctets {
		m.minOctets = s.Octets
	}
	m.print.take(s, m.answered > s.Count || m.refusals() > 0)
}

// note keeps whom ntpd says it follows.
func (c *client) note(h *[ntp.HeaderLen]byte) {
	c.leap, c.stratum = h[0]>>6, h[1]
	c.refid = binary.BigEndian.Uint32(h[12:])
	c.reference = binary.BigEndian.Uint32(h[16:])
}

// touch remembers that a client has to be stored.
func (v *Inventory) touch(ref uint32, c *client) {
	if c.flags&flagDirty == 0 {
		c.flags |= flagDirty
		v.dirty = append(v.dirty, ref)
	}
}
