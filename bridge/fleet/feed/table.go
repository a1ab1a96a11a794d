package feed

import (
	"encoding/binary"
	"math/bits"

	"ntsbridge/bridge/ntp"
)

// apart is how many packets of one client, means and outcome are kept one by
// one between two readings: a start with four packets in two seconds is told
// from its gaps.
const apart = 4

// Table is what one worker saw between two readings.
type Table struct {
	slots  []Sighting // the first used ones
	used   int
	common int      // strangers may use this many
	index  []uint16 // by hash: slot + 1
	mask   uint64
	seed   [2]uint64
	lost   Lost
}

// Lost counts packets that found the table full.
type Lost struct {
	Strangers uint64 // not authenticated
	Proved    uint64
}

// Size limits of a table, sightings.
const (
	MinSize = 64
	MaxSize = 32768
)

func newTable(size int, seed [2]uint64) *Table {
	size = min(max(size, MinSize), MaxSize)
	indexSize := 1 << bits.Len(uint(2*size-1))
	return &Table{slots: make([]Sighting, size), common: size - size/8, index: make([]uint16, indexSize),
		mask: uint64(indexSize - 1), seed: seed}
}

// Note adds a judged request; Worth must have been true of it.
func (t *Table) Note(req *ntp.Request, v *ntp.Verdict, sent ntp.Timestamp, association uint32) {
	addr := req.From.Addr().As16()
	key := MeansKey(req, v)
	h := t.hash(&addr, uint64(key)<<16|uint64(v.Kind)<<8|uint64(v.Reason))
	for {
		e := &t.index[h&t.mask]
		if *e == 0 {
			if s := t.fresh(v); s != nil {
				s.Fill(req, v, sent, association)
				s.nth = 1
				*e = uint16(t.used)
			}
			return
		}
		s := &t.slots[*e-1]
		if s.Addr == addr && s.Key == key && s.Kind == v.Kind && s.Reason == v.Reason {
			t.again(e, s, req, v, sent, association)
			return
		}
		h++
	}
}

// again notes another packet of a client that is in the table.
func (t *Table) again(e *uint16, s *Sighting, req *ntp.Request, v *ntp.Verdict, sent ntp.Timestamp, association uint32) {
	count, nth := s.Count, s.nth
	if nth < apart {
		if next := t.room(v); next != nil {
			s, count, nth = next, 0, nth+1
			*e = uint16(t.used)
		}
	}
	s.Fill(req, v, sent, association)
	s.Count, s.nth = count+1, nth
}

// fresh returns a slot for a client that is not in the table, or counts it as
// lost.
func (t *Table) fresh(v *ntp.Verdict) *Sighting {
	s := t.room(v)
	switch {
	case s != nil:
	case proved(v):
		t.lost.Proved++
	default:
		t.lost.Strangers++
	}
	return s
}

// room returns the next free slot that a packet of this verdict may have.
func (t *Table) room(v *ntp.Verdict) *Sighting {
	if t.used >= t.common && (t.used == len(t.slots) || !proved(v)) {
		return nil
	}
	t.used++
	return &t.slots[t.used-1]
}

func proved(v *ntp.Verdict) bool { return provedBy(v.Kind, v.Reason) }

// hash spreads clients over the index. It is seeded, so that nobody can choose
// addresses that meet in it.
func (t *Table) hash(addr *[16]byte, means uint64) uint64 {
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(addr[:8])^t.seed[0]^mix0, binary.LittleEndian.Uint64(addr[8:])^t.seed[1]^mix1)
	hi, lo = bits.Mul64(hi^lo^means, t.seed[0]^mix2)
	return hi ^ lo
}

// clear empties the table.
func (t *Table) clear() {
	clear(t.index)
	t.used, t.lost = 0, Lost{}
}

// Numbers with as many ones as zeros, as wyhash has them, so that the product
// mixes whatever the seed is.
const (
	mix0 = 0xa0761d6478bd642f
	mix1 = 0xe7037ed1a0b428db
	mix2 = 0x8ebc6af09c88c6e3
)
