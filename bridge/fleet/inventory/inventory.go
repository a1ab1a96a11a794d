package inventory

import (
	"encoding/binary"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/ntp"
)

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
		_, m = v.leastMeans(c)
		v.full.dropped(m, now)
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
		m.cookie(s)
	}
	m.versions |= 1 << ntp.VersionOf(s.Header[:])
	m.modes |= 1 << ntp.ModeOf(s.Header[:])
	m.maxOctets = max(m.maxOctets, s.Octets)
	if m.minOctets == 0 || s.Octets < m.minOctets {
		m.minOctets = s.Octets
	}
	m.print.take(s, m.answered > s.Count || m.refusals() > 0)
}

// cookie notes whether the cookie of an Autokey packet is one that an ntpd gave
// out. A message of the dance has none that counts.
func (m *means) cookie(s *feed.Sighting) {
	switch {
	case s.ZeroSeed:
		m.flags |= meansZeroSeed
	case s.Operation == 0 && s.Reason == ntp.ReasonOK:
		m.flags &^= meansZeroSeed
	}
}

// note keeps whom ntpd says it follows.
func (c *client) note(h *[ntp.HeaderLen]byte) {
	c.leap, c.stratum = h[0]>>6, h[1]
	c.refid = binary.BigEndian.Uint32(h[12:])
	c.reference = binary.BigEndian.Uint32(h[16:])
}
