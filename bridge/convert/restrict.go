package convert

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Flags of a restriction, ntpd's words.
type restrictSet uint32

const (
	flagIgnore restrictSet = 1 << iota
	flagNoServe
	flagNoTrust
	flagVersion
	flagNoPeer
	flagNoEPeer
	flagNoQuery
	flagNoModify
	flagNoTrap
	flagLowPrioTrap
	flagNoMRUList
	flagLimited
	flagKod
	flagFlake
	flagMSSNTP
	flagSourcePort // ntpport; part of the entry's identity
	flagFuzz
	flagEPeer
)

var restrictFlag = map[string]restrictSet{
	"ignore": flagIgnore, "noserve": flagNoServe, "notrust": flagNoTrust, "version": flagVersion, "nopeer": flagNoPeer,
	"noepeer": flagNoEPeer, "noquery": flagNoQuery, "nomodify": flagNoModify, "notrap": flagNoTrap,
	"lowpriotrap": flagLowPrioTrap, "nomrulist": flagNoMRUList, "limited": flagLimited, "kod": flagKod, "flake": flagFlake,
	"mssntp": flagMSSNTP, "ntpport": flagSourcePort, "serverresponse fuzz": flagFuzz, "epeer": flagEPeer,
}

func (s restrictSet) has(f restrictSet) bool { return s&f != 0 }

// String lists the words in the order of their bits.
func (s restrictSet) String() string {
	var words []string
	for word, f := range restrictFlag {
		if s.has(f) {
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		return "no flags"
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Compare(restrictFlag[a], restrictFlag[b]) })
	return strings.Join(words, " ")
}

// restriction is one entry of ntpd's list, after merging.
type restriction struct {
	addr, mask netip.Addr // of one family; addr has no bits outside mask
	flags      restrictSet
	lines      []*Statement // that made it, in file order
}

// highestBit returns the place behind the last one bit, and the number of ones.
func highestBit(mask netip.Addr) (last, ones int) {
	raw := mask.AsSlice()
	for i := range len(raw) * 8 {
		if raw[i/8]>>(7-i%8)&1 != 0 {
			last = i + 1
			ones++
		}
	}
	return last, ones
}

// masked128 returns an address with the bits outside the mask cleared.
func masked128(a, mask netip.Addr) netip.Addr {
	raw, m := a.AsSlice(), mask.AsSlice()
	for i := range raw {
		raw[i] &= m[i]
	}
	out, _ := netip.AddrFromSlice(raw)
	return out
}

// restrictList is ntpd's list for both families. ntpd searches it in order: by
// address, mask and ntpport, all descending; the first match decides.
type restrictList struct {
	entries []*restriction
	source  *Statement // the template, nil without

	index map[restrictKey]*restriction
	masks []restrictKey // the different masks, without addresses
}

// restrictKey is the identity of an entry.
type restrictKey struct {
	addr, mask netip.Addr
	fromNTP    bool
}

func (e *restriction) key() restrictKey {
	return restrictKey{e.addr, e.mask, e.flags.has(flagSourcePort)}
}

// before reports whether ntpd finds e before other.
func (e *restriction) before(other *restriction) bool {
	if c := bytes.Compare(e.addr.AsSlice(), other.addr.AsSlice()); c != 0 {
		return c > 0
	}
	if c := bytes.Compare(e.mask.AsSlice(), other.mask.AsSlice()); c != 0 {
		return c > 0
	}
	return e.flags.has(flagSourcePort) && !other.flags.has(flagSourcePort)
}

// first returns the entry that ntpd finds first for an address, of those whose
// mask has no ones behind the given number of bits.
func (l *restrictList) first(a netip.Addr, fromNTP bool, bits int) *restriction {
	var best *restriction
	for _, k := range l.masks {
		if k.mask.Is4() != a.Is4() || k.fromNTP && !fromNTP {
			continue
		}
		if last, _ := highestBit(k.mask); last > bits {
			continue
		}
		k.addr = masked128(a, k.mask)
		if e := l.index[k]; e != nil && (best == nil || e.before(best)) {
			best = e
		}
	}
	return best
}

// lookup returns the entry that decides for a packet; there always is one.
func (l *restrictList) lookup(from netip.AddrPort) *restriction {
	return l.first(from.Addr(), from.Port() == 123, 128)
}

// winner returns the entry that decides for a whole prefix, entries below it
// left out.
func (l *restrictList) winner(p netip.Prefix, fromNTP bool) *restriction {
	return l.first(p.Addr(), fromNTP, p.Bits())
}

// add merges flags into the entry for an address and mask.
func (l *restrictList) add(addr, mask netip.Addr, flags restrictSet, line *Statement) {
	e := &restriction{addr: masked128(addr, mask), mask: mask, flags: flags}
	if there := l.index[e.key()]; there != nil {
		e = there
		e.flags |= flags
	} else {
		l.insert(e)
	}
	if line != nil {
		e.lines = append(e.lines, line)
	}
}

func (l *restrictList) insert(e *restriction) {
	if l.index == nil {
		l.index = make(map[restrictKey]*restriction)
	}
	k := e.key()
	l.index[k] = e
	l.entries = append(l.entries, e)
	k.addr = netip.Addr{}
	if !slices.Contains(l.masks, k) {
		l.masks = append(l.masks, k)
	}
}

// without returns the list less some entries.
func (l *restrictList) without(left []*restriction) *restrictList {
	rest := &restrictList{source: l.source}
	for _, e := range l.entries {
		if !slices.Contains(left, e) {
			rest.insert(e)
		}
	}
	return rest
}

var (
	any4   = netip.IPv4Unspecified()
	any6   = netip.IPv6Unspecified()
	host4  = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	host6  = netip.AddrFrom16([16]byte(bytes.Repeat([]byte{255}, 16)))
	local4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	local6 = netip.IPv6Loopback()
)

func hostMask(a netip.Addr) netip.Addr {
	if a.Is4() {
		return host4
	}
	return host6
}

// flagsOf returns the flags of a restrict statement.
func flagsOf(s *Statement) (flags restrictSet) {
	for _, o := range s.Options {
		flags |= restrictFlag[o.Name]
	}
	return flags
}

// target is what a restrict statement is for.
type target struct {
	addrs []netip.Addr // with one mask each
	masks []netip.Addr
	name  string // not resolved: the line has no effect here
	bad   string // why ntpd ignores the line
}

// defaultTarget is restrict default.
func defaultTarget(family string) target {
	switch family {
	case "-4":
		return target{addrs: []netip.Addr{any4}, masks: []netip.Addr{any4}}
	case "-6":
		return target{addrs: []netip.Addr{any6}, masks: []netip.Addr{any6}}
	}
	return target{addrs: []netip.Addr{any4, any6}, masks: []netip.Addr{any4, any6}}
}

// resolver returns the addresses of a name, as far as they are known.
type resolver func(name string) []netip.Addr

// targetOf finds what a restrict statement is for. cidr allows a prefix
// length, as ntpsec does.
func targetOf(s *Statement, resolve resolver, cidr bool) target {
	if s.Keyword {
		return defaultTarget(s.Family)
	}
	text := s.Address
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		if !cidr {
			return target{name: s.Address, bad: "ntpd 4.2.8 takes ADDRESS/BITS for a host name, does not find it, and ignores the line"}
		}
		return target{addrs: []netip.Addr{p.Addr()}, masks: []netip.Addr{prefixMask(p.Addr(), p.Bits())}}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return namedTarget(s, resolve)
	}
	addr = addr.WithZone("")
	if addr.Is4In6() {
		addr = addr.Unmap()
	}
	if s.Mask == "" {
		return target{addrs: []netip.Addr{addr}, masks: []netip.Addr{hostMask(addr)}}
	}
	mask, err := netip.ParseAddr(strings.Trim(s.Mask, "[]"))
	if err != nil || mask.Is4() != addr.Is4() {
		return target{bad: fmt.Sprintf("%s is no mask for %s: ntpd ignores the line", printable(s.Mask), addr)}
	}
	return target{addrs: []netip.Addr{addr}, masks: []netip.Addr{mask}}
}

func prefixMask(a netip.Addr, bits int) netip.Addr {
	p, _ := hostMask(a).Prefix(bits)
	return p.Addr()
}

// namedTarget is a restriction by name: every address of it gets a host mask,
// but the first one keeps a mask that is given.
func namedTarget(s *Statement, resolve resolver) target {
	var t target
	for _, a := range resolve(s.Address) {
		a = a.Unmap()
		if s.Family == "-4" && !a.Is4() || s.Family == "-6" && a.Is4() {
			continue
		}
		mask := hostMask(a)
		if given, err := netip.ParseAddr(s.Mask); err == nil && len(t.addrs) == 0 && given.Is4() == a.Is4() {
			mask = given
		}
		t.addrs, t.masks = append(t.addrs, a), append(t.masks, mask)
	}
	if len(t.addrs) == 0 {
		t.name = s.Address
	}
	return t
}

// remove takes flags away from the entry of an address: unrestrict. Without
// flags the entry goes as a whole.
func (l *restrictList) remove(addr, mask netip.Addr, s *Statement) (found bool) {
	k := restrictKey{masked128(addr, mask), mask, s.flag("ntpport")}
	e := l.index[k]
	if e == nil {
		return false
	}
	e.lines = append(e.lines, s)
	if f := flagsOf(s); f != 0 {
		e.flags &^= f
		return true
	}
	if mask != any4 && mask != any6 { // ntpsec leaves its default alone
		*l = *l.without([]*restriction{e})
	}
	return true
}

// put sets the flags of an entry, whatever they were.
func (l *restrictList) put(addr, mask netip.Addr, flags restrictSet, s *Statement) {
	l.add(addr, mask, 0, s)
	l.index[restrictKey{masked128(addr, mask), mask, false}].flags = flags
}

// removeBelow drops the entries inside a prefix.
func (l *restrictList) removeBelow(p netip.Prefix) {
	var gone []*restriction
	for _, e := range l.entries {
		if bits, _ := highestBit(e.mask); bits > p.Bits() && p.Contains(e.addr) {
			gone = append(gone, e)
		}
	}
	if len(gone) > 0 {
		*l = *l.without(gone)
	}
}
