package inventory

import (
	"encoding/binary"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/ntp"
)

// restartSpan is how long after its last use a thread that is displaced may
// still be another host's, seconds.
const restartSpan = 4096

// follow finds out which host a packet is from. It returns true if an origin
// chain went on: the host has got one of our answers.
func (v *Inventory) follow(c *client, s *feed.Sighting, now uint32) (echoed bool) {
	switch {
	case s.Association != 0:
		v.thread(c, threadKeys, s.Association, s.Association, now)
	case chained(&s.Header):
		origin := hash32(binary.BigEndian.Uint64(s.Header[24:]))
		next := origin
		if s.Sent != 0 && s.Action == ntp.Answer {
			next = hash32(uint64(s.Sent))
		}
		return v.thread(c, threadChain, origin, next, now)
	}
	return false
}

// chained tells whether a request is of a program that repeats our transmit
// timestamp as its origin: ntpd, which is also the one that tells its precision.
func chained(h *[ntp.HeaderLen]byte) bool {
	return int8(h[3]) < 0 && int8(h[3]) != ntpdatePrecision
}

// hash32 makes an identifier of a timestamp, never 0.
func hash32(t uint64) uint32 {
	if t == 0 {
		return 0
	}
	return max(1, uint32(t*0x9e3779b97f4a7c15>>32))
}

// thread takes a packet that goes on with id and will go on with next. id 0
// begins something. It returns true if id was known.
func (v *Inventory) thread(c *client, kind threadKind, id, next, now uint32) (known bool) {
	if c.crowd != 0 {
		return v.crowds.at(c.crowd).step(kind, id, next, now)
	}
	t, before := &c.threads[0], &c.threads[1]
	if id != 0 && t.is(kind, id) {
		t.id = [2]uint32{next, t.id[0]}
		return true
	}
	known = id != 0 && before.is(kind, id)
	if !known && (before.kind == threadFree || now-c.before > restartSpan) {
		*before, c.before = *t, c.last
		*t = inlineThread{[2]uint32{next, next}, kind}
		return false
	}
	// Either the one before is alive after all, or a third one came while both
	// were: several hosts.
	if c.crowd, _ = v.crowds.take(); c.crowd == 0 {
		v.full.Crowds++
		*before, c.before = *t, c.last
		*t = inlineThread{[2]uint32{next, next}, kind}
		return known
	}
	d := v.crowds.at(c.crowd)
	for i, old := range c.threads {
		if old.kind != threadFree {
			last := c.last
			if i == 1 {
				last = c.before
			}
			d.threads[i] = thread{id: old.id, first: min(last, now) - 1, last: last, kind: old.kind}
		}
	}
	return d.step(kind, id, next, now)
}

// step is thread for a crowd.
func (d *crowd) step(kind threadKind, id, next, now uint32) bool {
	if t := d.find(kind, id); id != 0 && t != nil {
		t.id, t.last = [2]uint32{next, t.id[0]}, now
		return true
	}
	d.begin(kind, next, now)
	return false
}
