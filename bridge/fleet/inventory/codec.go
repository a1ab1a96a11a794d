package inventory

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ntsbridge/bridge/ntp"
)

// Key names a row in a store: the address and how many bits of it count.
type Key [17]byte

// Stored is a row's record with its key.
type Stored struct {
	Key    Key    `json:"key"`
	Record []byte `json:"record"`
}

func (c *client) key() (k Key) {
	copy(k[:], c.addr[:])
	k[16] = c.bits
	return k
}

// recordVersion begins each stored record. A later layout reads the earlier.
const recordVersion = 1

// maxRecord bounds a stored record, octets.
const maxRecord = 4096

// ErrRecord says that a stored record cannot be read.
var ErrRecord = errors.New("inventory: damaged record")

// coder writes or reads fields in one order, so that both ways are one text.
type coder struct {
	buf    []byte
	read   bool
	broken bool
}

func (c *coder) uint(v uint64) uint64 {
	if !c.read {
		c.buf = binary.AppendUvarint(c.buf, v)
		return v
	}
	v, n := binary.Uvarint(c.buf)
	if n <= 0 {
		c.broken, c.buf = true, nil
		return 0
	}
	c.buf = c.buf[n:]
	return v
}

// code writes or reads a number of any unsigned type.
func code[T ~uint8 | ~uint16 | ~uint32](c *coder, v *T) {
	u := c.uint(uint64(*v))
	if uint64(T(u)) != u {
		c.broken = true
	}
	*v = T(u)
}

func codeSigned(c *coder, v *int8) {
	u := uint8(*v)
	code(c, &u)
	*v = int8(u)
}

func (c *coder) text(s *string) {
	n := c.uint(uint64(len(*s)))
	if !c.read {
		c.buf = append(c.buf, *s...)
		return
	}
	if n > maxNameLen || n > uint64(len(c.buf)) {
		c.broken, c.buf = true, nil
		return
	}
	*s = string(c.buf[:n])
	c.buf = c.buf[n:]
}

func (k *client) code(c *coder) {
	code(c, &k.first)
	code(c, &k.last)
	for i := range k.threads {
		k.threads[i].code(c)
	}
	code(c, &k.before)
	code(c, &k.refid)
	code(c, &k.reference)
	code(c, &k.handshakes)
	code(c, &k.handshake)
	code(c, &k.failures)
	code(c, &k.rank)
	code(c, &k.offered)
	code(c, &k.result)
	code(c, &k.leap)
	code(c, &k.stratum)
	code(c, &k.flags)
	code(c, &k.sni)
}

func (t *inlineThread) code(c *coder) {
	code(c, &t.kind)
	if t.kind != threadFree {
		code(c, &t.id[0])
		code(c, &t.id[1])
	}
}

func (m *means) code(c *coder) {
	code(c, &m.kind)
	code(c, &m.key)
	code(c, &m.first)
	code(c, &m.last)
	code(c, &m.served)
	code(c, &m.answered)
	code(c, &m.kissed)
	code(c, &m.kisses)
	code(c, &m.unanswered)
	for i := range m.refused {
		code(c, &m.refused[i])
	}
	code(c, &m.minOctets)
	code(c, &m.maxOctets)
	code(c, &m.scheme)
	code(c, &m.mac)
	code(c, &m.versions)
	code(c, &m.modes)
	code(c, &m.fraction)
	code(c, &m.gapCount)
	code(c, &m.flags)
	for i := range m.gaps {
		code(c, &m.gaps[i])
	}
	p := &m.print
	code(c, &p.first)
	code(c, &p.stratum)
	codeSigned(c, &p.poll)
	codeSigned(c, &p.prec)
	code(c, &p.tos)
	code(c, &p.samePort)
	code(c, &p.newPort)
	code(c, &p.port)
	code(c, &p.flags)
}

func (d *crowd) code(c *coder) {
	for i := range d.threads {
		t := &d.threads[i]
		code(c, &t.kind)
		if t.kind == threadFree {
			continue
		}
		code(c, &t.id[0])
		code(c, &t.id[1])
		code(c, &t.first)
		code(c, &t.last)
	}
	for i := range d.seen {
		d.seen[i] = c.uint(d.seen[i])
	}
}

// encode appends a client's record.
func (v *Inventory) encode(dst []byte, k *client) []byte {
	c := &coder{buf: append(dst, recordVersion)}
	stored := *k
	stored.flags &^= flagDirty
	stored.code(c)
	host, group := v.names.name(k.host), v.names.name(k.group)
	c.text(&host)
	c.text(&group)
	count := uint64(0)
	for r := k.means; r != 0; r = v.means.at(r).next {
		count++
	}
	c.uint(count)
	for r := k.means; r != 0; r = v.means.at(r).next {
		v.means.at(r).code(c)
	}
	if k.crowd == 0 {
		c.uint(0)
		return c.buf
	}
	c.uint(1)
	v.crowds.at(k.crowd).code(c)
	return c.buf
}

// decoded is a record that was read and is in no table.
type decoded struct {
	client      client
	host, group string
	means       []means
	crowd       *crowd
}

func decode(key Key, b []byte) (d decoded, err error) {
	if len(b) == 0 || len(b) > maxRecord {
		return d, fmt.Errorf("%w: %d octets", ErrRecord, len(b))
	}
	if b[0] != recordVersion {
		return d, fmt.Errorf("%w: version %d; this program reads version %d", ErrRecord, b[0], recordVersion)
	}
	c := &coder{buf: b[1:], read: true}
	d.client.code(c)
	c.text(&d.host)
	c.text(&d.group)
	n := c.uint(0)
	if n > perClient {
		return d, fmt.Errorf("%w: %d means", ErrRecord, n)
	}
	d.means = make([]means, n)
	for i := range d.means {
		d.means[i].code(c)
	}
	if c.uint(0) == 1 {
		d.crowd = new(crowd)
		d.crowd.code(c)
	}
	if c.broken || len(c.buf) != 0 || !d.sound() {
		return d, fmt.Errorf("%w: %d octets", ErrRecord, len(b))
	}
	d.client.addr, d.client.bits = [16]byte(key[:16]), key[16]
	return d, nil
}

// sound tells whether a record can have been written by encode.
func (d *decoded) sound() bool {
	c := &d.client
	if c.rank >= rankCount || c.result >= uint8(handshakeResults) || c.flags&flagUsed == 0 || c.flags >= flagShort<<1 {
		return false
	}
	for i := range d.means {
		if m := &d.means[i]; m.kind >= ntp.KindCount || m.scheme > schemeSeen || m.gapCount > 2*uint8(len(m.gaps)) {
			return false
		}
	}
	return true
}

// Changes gives each row that changed since the last call, with its record,
// and the keys of rows that were taken out. The record's memory is used again.
func (v *Inventory) Changes(changed func(Key, []byte), gone func(Key)) {
	for _, k := range v.gone {
		gone(k)
	}
	v.gone = v.gone[:0]
	var buf []byte
	for _, ref := range v.dirty {
		c := v.clients.at(ref)
		if c.flags&flagUsed == 0 || c.flags&flagDirty == 0 {
			continue
		}
		c.flags &^= flagDirty
		buf = v.encode(buf[:0], c)
		changed(c.key(), buf)
	}
	v.dirty = v.dirty[:0]
}

// Touch counts every row as changed.
func (v *Inventory) Touch() {
	for i := range v.clients.fresh {
		if c := v.clients.at(uint32(i + 1)); c.flags&flagUsed != 0 {
			v.touch(uint32(i+1), c)
		}
	}
}

// Record appends the record of a row as it is now.
func (v *Inventory) Record(key Key, dst []byte) (record []byte, ok bool) {
	addr := [16]byte(key[:16])
	ref := v.find(&addr, key[16], v.index.hash(&addr, key[16]))
	if ref == 0 {
		return dst, false
	}
	return v.encode(dst, v.clients.at(ref)), true
}

// Restore puts a stored record into the table; a row that is there already is
// replaced. It is not counted as changed. full tells that there was no room.
func (v *Inventory) Restore(key Key, record []byte) (full bool, err error) {
	d, err := decode(key, record)
	if err != nil {
		return false, err
	}
	c := &d.client
	h := v.index.hash(&c.addr, c.bits)
	if ref := v.find(&c.addr, c.bits, h); ref != 0 {
		v.drop(ref)
	}
	return !v.insert(&d, h), nil
}

// Drop takes a row out that the store says is gone.
func (v *Inventory) Drop(key Key) {
	addr := [16]byte(key[:16])
	if ref := v.find(&addr, key[16], v.index.hash(&addr, key[16])); ref != 0 {
		v.drop(ref)
	}
}

func (v *Inventory) drop(ref uint32) {
	v.remove(ref)
	v.gone = v.gone[:len(v.gone)-1]
}

func (v *Inventory) insert(d *decoded, h uint64) bool {
	ref, c := v.clients.take()
	if c == nil && v.makeRoom(d.client.rank, d.client.last) {
		ref, c = v.clients.take()
	}
	if c == nil {
		if d.client.rank > Stranger {
			v.full.Forgotten++
		} else {
			v.full.Strangers++
		}
		return false
	}
	*c = d.client
	c.means, c.crowd = 0, 0
	c.flags &^= flagDirty
	c.host, _ = v.names.number(d.host)
	c.group, _ = v.names.number(d.group)
	v.ranks[c.rank]++
	v.link(ref, h)
	for i := len(d.means) - 1; i >= 0; i-- {
		at, m := v.means.take()
		if m == nil {
			v.full.Means++
			continue
		}
		*m = d.means[i]
		m.client, m.next = ref, c.means
		c.means = at
	}
	if d.crowd != nil {
		if at, m := v.crowds.take(); m != nil {
			*m, c.crowd = *d.crowd, at
		}
	}
	return true
}
