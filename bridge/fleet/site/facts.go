package site

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

// Buckets is over how many keys the clients of a gateway are spread, by a hash
// of their addresses. With 300,000 clients each has some 600, 8 KB.
const Buckets = 512

const day = 86400 // s

// fact is what is told of a client. Days are those since 1970.
type fact struct {
	key    inventory.Key
	hashed bool
	group  string // of Autokey
	means  []factMeans
}

type factMeans struct {
	kind                ntp.Kind
	key                 uint32
	proved, answered    bool
	zeroSeed            bool
	first, last, served uint32 // served 0: never
	program             string
}

// keyHash is FNV-1a of a key.
type keyHash uint64

func hashOf(k *inventory.Key) keyHash {
	h := uint64(14695981039346656037)
	for _, b := range k {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return keyHash(h)
}

// bucket is where a client is.
func (h keyHash) bucket() int { return int((h ^ h>>32) % Buckets) }

// bucketOf is the bucket of a key.
func bucketOf(k *inventory.Key) int { return hashOf(k).bucket() }

// newFact is what is told of a row.
func newFact(c *inventory.Client) fact {
	f := fact{key: c.Key, hashed: c.Hashed, group: c.Group, means: make([]factMeans, len(c.Means))}
	for i := range c.Means {
		m := &c.Means[i]
		f.means[i] = factMeans{kind: m.Kind, key: m.Key, proved: m.Proved, answered: m.Answered > 0, zeroSeed: m.ZeroSeed,
			first: min(m.First, m.Last) / day, last: m.Last / day, served: min(m.Served, m.Last) / day, program: m.Program}
	}
	return f
}

// Forms of addresses.
const (
	formIPv4 = iota
	formIPv6
	formPrefix
	formHashed
	formMask  = 0x0f
	formGroup = 0x80 // the number of a group follows
)

// Flags of means, behind the kind.
const (
	meansKind   = 0x07
	meansProved = 1 << (iota + 2)
	meansAnswered
	meansServed
	meansZeroSeed
)

const (
	factsVersion = 1
	firstDay     = 18262 // 2020-01-01: days are counted from it
	maxMeans     = 255
	maxFactText  = 255
)

// encode writes the clients of a bucket, in order of their keys, so that the same
// clients give the same octets.
func encode(list []fact) []byte {
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b fact) int { return bytes.Compare(a.key[:], b.key[:]) })
	texts := textsOf(list)
	out := []byte{factsVersion}
	out = binary.AppendUvarint(out, uint64(len(texts)))
	at := make(map[string]uint64, len(texts))
	for i, s := range texts {
		at[s] = uint64(i + 1)
		out = append(binary.AppendUvarint(out, uint64(len(s))), s...)
	}
	out = binary.AppendUvarint(out, uint64(len(list)))
	for i := range list {
		out = list[i].append(out, at)
	}
	return out
}

// textsOf returns the names that facts have, each once, in order.
func textsOf(list []fact) []string {
	seen := map[string]bool{}
	for i := range list {
		seen[list[i].group] = true
		for k := range list[i].means {
			seen[list[i].means[k].program] = true
		}
	}
	var texts []string
	for s := range seen {
		if s != "" && len(s) <= maxFactText {
			texts = append(texts, s)
		}
	}
	slices.Sort(texts)
	return texts
}

func (f *fact) append(out []byte, at map[string]uint64) []byte {
	form := byte(formPrefix)
	addr := netip.AddrFrom16([16]byte(f.key[:16]))
	switch {
	case f.hashed:
		form = formHashed
	case f.key[16] == 128 && addr.Is4In6():
		form = formIPv4
	case f.key[16] == 128:
		form = formIPv6
	}
	group := at[f.group]
	if group > 0 {
		form |= formGroup
	}
	out = append(out, form)
	switch form & formMask {
	case formIPv4:
		out = append(out, f.key[12:16]...)
	case formIPv6:
		out = append(out, f.key[:16]...)
	default:
		out = append(out, f.key[:]...)
	}
	if group > 0 {
		out = binary.AppendUvarint(out, group)
	}
	means := f.means[:min(len(f.means), maxMeans)]
	out = append(out, byte(len(means)))
	for i := range means {
		out = means[i].append(out, at)
	}
	return out
}

func (m *factMeans) append(out []byte, at map[string]uint64) []byte {
	flags := byte(m.kind) & meansKind
	for _, x := range []struct {
		is   bool
		flag byte
	}{{m.proved, meansProved}, {m.answered, meansAnswered}, {m.served > 0, meansServed}, {m.zeroSeed, meansZeroSeed}} {
		if x.is {
			flags |= x.flag
		}
	}
	out = append(out, flags)
	out = binary.AppendUvarint(out, uint64(m.key))
	out = binary.AppendUvarint(out, uint64(m.first-min(m.first, firstDay)))
	out = binary.AppendUvarint(out, uint64(m.last-min(m.last, max(m.first, firstDay))))
	if m.served > 0 {
		out = binary.AppendUvarint(out, uint64(m.last-min(m.last, m.served)))
	}
	return binary.AppendUvarint(out, at[m.program])
}

var errFacts = errors.New("what a gateway told of its clients cannot be read")

// reader reads what encode wrote; after an error it gives zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.rest) {
		r.bad = true
		return make([]byte, min(n, 17))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) octet() byte { return r.take(1)[0] }

func (r *reader) number(most uint64) uint64 {
	if len(r.rest) > 0 && r.rest[0] < 0x80 && !r.bad { // most are short
		n := uint64(r.rest[0])
		r.rest = r.rest[1:]
		r.bad = n > most
		if r.bad {
			return 0
		}
		return n
	}
	n, size := binary.Uvarint(r.rest)
	if r.bad || size <= 0 || n > most {
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// readBucket gives what a bucket has to see, with where it begins; the memory of
// what see gets is used again. It returns the bucket's names, for factAt.
func readBucket(b []byte, see func(at int, f *fact)) (names []string, err error) {
	if len(b) == 0 {
		return nil, nil
	}
	r := &reader{rest: b}
	if r.octet() != factsVersion {
		return nil, errFacts
	}
	names = []string{""}
	for n := r.number(uint64(len(b))); n > 0 && !r.bad; n-- {
		names = append(names, string(r.take(int(r.number(maxFactText)))))
	}
	var f fact
	for n := r.number(uint64(len(b))); n > 0 && !r.bad; n-- {
		at := len(b) - len(r.rest)
		if r.fact(names, &f); !r.bad {
			see(at, &f)
		}
	}
	if r.bad || len(r.rest) > 0 {
		return nil, errFacts
	}
	return names, nil
}

// fact reads what is told of a client into f, whose memory it uses again.
func (r *reader) fact(names []string, f *fact) {
	*f = fact{means: f.means[:0]}
	form := r.octet()
	switch form & formMask {
	case formIPv4:
		copy(f.key[:], "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff")
		copy(f.key[12:], r.take(4))
		f.key[16] = 128
	case formIPv6:
		copy(f.key[:], r.take(16))
		f.key[16] = 128
	case formHashed, formPrefix:
		copy(f.key[:], r.take(17))
		f.hashed = form&formMask == formHashed
		if f.key[16] > 128 {
			r.bad = true
		}
	default:
		r.bad = true
	}
	if form&formGroup != 0 {
		f.group = names[r.number(uint64(len(names)-1))]
	}
	for count := r.octet(); count > 0 && !r.bad; count-- {
		f.means = append(f.means, factMeans{})
		r.means(names, &f.means[len(f.means)-1])
	}
}

// maxDay bounds days: the year 2106, where 32 bits of seconds end.
const maxDay = 1<<32/day - 1

func (r *reader) means(names []string, m *factMeans) {
	flags := r.octet()
	m.kind = ntp.Kind(flags & meansKind)
	m.proved, m.answered, m.zeroSeed = flags&meansProved != 0, flags&meansAnswered != 0, flags&meansZeroSeed != 0
	m.key = uint32(r.number(1<<32 - 1))
	m.first = uint32(r.number(maxDay-firstDay)) + firstDay
	m.last = m.first + uint32(r.number(uint64(maxDay-m.first)))
	if flags&meansServed != 0 {
		m.served = m.last - uint32(r.number(uint64(m.last)))
	}
	m.program = names[r.number(uint64(len(names)-1))]
	if m.kind >= ntp.KindCount {
		r.bad = true
	}
}

// prefix is the network of a client, not valid if it is hashed.
func (f *fact) prefix() netip.Prefix {
	if f.hashed {
		return netip.Prefix{}
	}
	a, n := netip.AddrFrom16([16]byte(f.key[:16])), int(f.key[16])
	if a.Is4In6() && n >= 96 {
		a, n = a.Unmap(), n-96
	}
	return netip.PrefixFrom(a, n)
}

// begin makes a row of a client, of which merge tells.
func (f *fact) begin(c *inventory.Client) {
	*c = inventory.Client{Key: f.key, Hashed: f.hashed, Prefix: f.prefix(), Hosts: 1, Addresses: 1, Means: c.Means[:0]}
}

// merge adds to a row what another gateway knows. Of a day the last moment
// counts, at most now: what was used on a day may have been used just then.
func (f *fact) merge(c *inventory.Client, now uint32) {
	if c.Group == "" {
		c.Group = f.group
	}
	for i := range f.means {
		m := &f.means[i]
		if m.first > now/day+1 || m.last > now/day+1 {
			continue // a wrong clock
		}
		moment := func(d uint32) uint32 { return min(now, d*day+day-1) }
		at := slices.IndexFunc(c.Means, func(e inventory.Means) bool { return e.Kind == m.kind && e.Key == m.key })
		if at < 0 {
			at = len(c.Means)
			c.Means = append(c.Means, inventory.Means{Kind: m.kind, Key: m.key, First: moment(m.first), Away: true})
		}
		e := &c.Means[at]
		e.First, e.Last = min(e.First, moment(m.first)), max(e.Last, moment(m.last))
		if m.served > 0 {
			e.Served = max(e.Served, moment(m.served))
		}
		if m.answered {
			e.Answered = max(e.Answered, 1)
		}
		e.Proved, e.ZeroSeed, e.Program = e.Proved || m.proved, e.ZeroSeed || m.zeroSeed, cmp.Or(e.Program, m.program)
		if c.First == 0 || e.First < c.First {
			c.First = e.First
		}
		c.Last = max(c.Last, e.Last)
	}
}
