package inventory

import (
	"encoding/binary"
	"errors"
	"fmt"

	"ntsbridge/bridge/ntp"
)

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
