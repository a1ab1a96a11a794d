// Package restrict is who may have what of ntpd: its list of restrictions, with
// the order in which entries win, the same as access rules for the longest
// prefix, the comparison of the two, and the rules about network interfaces.
// chronyd's allow and deny are lists of the same kind.
package restrict

import (
	"bytes"
	"cmp"
	"fmt"
	"net/netip"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"slices"
	"strconv"
	"strings"
)

// Flags of a restriction, ntpd's words.
type Set uint32

const (
	FlagIgnore Set = 1 << iota
	FlagNoServe
	FlagNoTrust
	flagVersion
	FlagNoPeer
	FlagNoEPeer
	FlagNoQuery
	FlagNoModify
	flagNoTrap
	flagLowPrioTrap
	flagNoMRUList
	FlagLimited
	FlagKod
	FlagFlake
	FlagMSSNTP
	FlagSourcePort // ntpport; part of the entry's identity
	FlagFuzz
	FlagEPeer
)

var restrictFlag = map[string]Set{
	"ignore": FlagIgnore, "noserve": FlagNoServe, "notrust": FlagNoTrust, "version": flagVersion, "nopeer": FlagNoPeer,
	"noepeer": FlagNoEPeer, "noquery": FlagNoQuery, "nomodify": FlagNoModify, "notrap": flagNoTrap,
	"lowpriotrap": flagLowPrioTrap, "nomrulist": flagNoMRUList, "limited": FlagLimited, "kod": FlagKod, "flake": FlagFlake,
	"mssntp": FlagMSSNTP, "ntpport": FlagSourcePort, "serverresponse fuzz": FlagFuzz, "epeer": FlagEPeer,
}

func (s Set) Has(f Set) bool { return s&f != 0 }

// String lists the words in the order of their bits.
func (s Set) String() string {
	var words []string
	for word, f := range restrictFlag {
		if s.Has(f) {
			words = append(words, word)
		}
	}
	if len(words) == 0 {
		return "no flags"
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Compare(restrictFlag[a], restrictFlag[b]) })
	return strings.Join(words, " ")
}

// Entry is one entry of ntpd's list, after merging.
type Entry struct {
	Addr, Mask netip.Addr // of one family; addr has no bits outside mask
	Flags      Set
	Lines      []*syntax.Statement // that made it, in file order
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

// Masked128 returns an address with the bits outside the mask cleared.
func Masked128(a, mask netip.Addr) netip.Addr {
	raw, m := a.AsSlice(), mask.AsSlice()
	for i := range raw {
		raw[i] &= m[i]
	}
	out, _ := netip.AddrFromSlice(raw)
	return out
}

// List is ntpd's list for both families. ntpd searches it in order: by
// address, mask and ntpport, all descending; the first match decides.
type List struct {
	Entries []*Entry
	Source  *syntax.Statement // the template for sources, nil without
	Names   []string          // of sources, for whose addresses the template would make entries

	index map[restrictKey]*Entry
	masks []restrictKey // the different masks, without addresses
}

// restrictKey is the identity of an entry.
type restrictKey struct {
	addr, mask netip.Addr
	fromNTP    bool
}

func (e *Entry) key() restrictKey {
	return restrictKey{e.Addr, e.Mask, e.Flags.Has(FlagSourcePort)}
}

// before reports whether ntpd finds e before other.
func (e *Entry) before(other *Entry) bool {
	if c := bytes.Compare(e.Addr.AsSlice(), other.Addr.AsSlice()); c != 0 {
		return c > 0
	}
	if c := bytes.Compare(e.Mask.AsSlice(), other.Mask.AsSlice()); c != 0 {
		return c > 0
	}
	return e.Flags.Has(FlagSourcePort) && !other.Flags.Has(FlagSourcePort)
}

// first returns the entry that ntpd finds first for an address, of those whose
// mask has no ones behind the given number of bits.
func (l *List) first(a netip.Addr, fromNTP bool, bits int) *Entry {
	var best *Entry
	for _, k := range l.masks {
		if k.mask.Is4() != a.Is4() || k.fromNTP && !fromNTP {
			continue
		}
		if last, _ := highestBit(k.mask); last > bits {
			continue
		}
		k.addr = Masked128(a, k.mask)
		if e := l.index[k]; e != nil && (best == nil || e.before(best)) {
			best = e
		}
	}
	return best
}

// Lookup returns the entry that decides for a packet; there always is one.
func (l *List) Lookup(from netip.AddrPort) *Entry {
	return l.first(from.Addr(), from.Port() == 123, 128)
}

// Winner returns the entry that decides for a whole prefix, entries below it
// left out.
func (l *List) Winner(p netip.Prefix, fromNTP bool) *Entry {
	return l.first(p.Addr(), fromNTP, p.Bits())
}

// Add merges flags into the entry for an address and mask.
func (l *List) Add(addr, mask netip.Addr, flags Set, line *syntax.Statement) {
	e := &Entry{Addr: Masked128(addr, mask), Mask: mask, Flags: flags}
	if there := l.index[e.key()]; there != nil {
		e = there
		e.Flags |= flags
	} else {
		l.insert(e)
	}
	if line != nil {
		e.Lines = append(e.Lines, line)
	}
}

func (l *List) insert(e *Entry) {
	if l.index == nil {
		l.index = make(map[restrictKey]*Entry)
	}
	k := e.key()
	l.index[k] = e
	l.Entries = append(l.Entries, e)
	k.addr = netip.Addr{}
	if !slices.Contains(l.masks, k) {
		l.masks = append(l.masks, k)
	}
}

// without returns the list less some entries.
func (l *List) without(left []*Entry) *List {
	rest := &List{Source: l.Source, Names: l.Names}
	for _, e := range l.Entries {
		if !slices.Contains(left, e) {
			rest.insert(e)
		}
	}
	return rest
}

var (
	Any4   = netip.IPv4Unspecified()
	Any6   = netip.IPv6Unspecified()
	host4  = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	host6  = netip.AddrFrom16([16]byte(bytes.Repeat([]byte{255}, 16)))
	Local4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	Local6 = netip.IPv6Loopback()
)

func hostMask(a netip.Addr) netip.Addr {
	if a.Is4() {
		return host4
	}
	return host6
}

// FlagsOf returns the flags of a restrict statement.
func FlagsOf(s *syntax.Statement) (flags Set) {
	for _, o := range s.Options {
		flags |= restrictFlag[o.Name]
	}
	return flags
}

// Target is what a restrict statement is for.
type Target struct {
	Addrs []netip.Addr // with one mask each
	Masks []netip.Addr
	name  string // not resolved: the line has no effect here
	Bad   string // why ntpd ignores the line
	Lost  string // why the line is for less than is written
}

// defaultTarget is restrict default.
func defaultTarget(family string) Target {
	switch family {
	case "-4":
		return Target{Addrs: []netip.Addr{Any4}, Masks: []netip.Addr{Any4}}
	case "-6":
		return Target{Addrs: []netip.Addr{Any6}, Masks: []netip.Addr{Any6}}
	}
	return Target{Addrs: []netip.Addr{Any4, Any6}, Masks: []netip.Addr{Any4, Any6}}
}

// resolver returns the addresses of a name, as far as they are known.
type resolver func(name string) []netip.Addr

// TargetOf finds what a restrict statement is for. cidr allows a prefix
// length, as ntpsec does.
func TargetOf(s *syntax.Statement, resolve resolver, cidr bool) Target {
	if s.Keyword {
		return defaultTarget(s.Family)
	}
	text := s.Address
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	if cidr && strings.Contains(text, "/") {
		return lengthTarget(s, text, resolve)
	}
	if _, err := netip.ParsePrefix(text); err == nil {
		return Target{name: s.Address, Bad: "ntpd 4.2.8 takes ADDRESS/BITS for a host name, does not find it, and ignores the line"}
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
		return Target{Addrs: []netip.Addr{addr}, Masks: []netip.Addr{hostMask(addr)}}
	}
	mask, err := netip.ParseAddr(strings.Trim(s.Mask, "[]"))
	if err != nil || mask.Is4() != addr.Is4() {
		return Target{Bad: fmt.Sprintf("%s is no mask for %s: ntpd ignores the line", spell.Printable(s.Mask), addr)}
	}
	return Target{Addrs: []netip.Addr{addr}, Masks: []netip.Addr{mask}}
}

// lengthTarget is a restriction of ntpsec with the length of a prefix: a length
// that is none, 0 among them, leaves the address alone (ntpsec 1.2.3, as it runs).
func lengthTarget(s *syntax.Statement, text string, resolve resolver) Target {
	host, length, _ := strings.Cut(text, "/")
	a, err := netip.ParseAddr(host)
	if err != nil {
		if list := resolve(host); len(list) > 0 {
			a = list[0].Unmap()
		} else {
			return Target{name: s.Address}
		}
	}
	if s.Family == "-4" && !a.Is4() || s.Family == "-6" && a.Is4() {
		return Target{Bad: fmt.Sprintf("%s is of the other family: ntpsec ignores the line", a)}
	}
	bits, err := strconv.Atoi(length)
	if err != nil || bits < 1 || bits > a.BitLen() {
		return Target{Addrs: []netip.Addr{a}, Masks: []netip.Addr{hostMask(a)},
			Lost: fmt.Sprintf("ntpsec takes no notice of /%s: the line is for %s alone", spell.Printable(length), a)}
	}
	return Target{Addrs: []netip.Addr{a}, Masks: []netip.Addr{PrefixMask(a, bits)}}
}

func PrefixMask(a netip.Addr, bits int) netip.Addr {
	p, _ := hostMask(a).Prefix(bits)
	return p.Addr()
}

// namedTarget is a restriction by name: every address of it gets a host mask,
// but the first one keeps a mask that is given.
func namedTarget(s *syntax.Statement, resolve resolver) Target {
	var t Target
	for _, a := range resolve(s.Address) {
		a = a.Unmap()
		if s.Family == "-4" && !a.Is4() || s.Family == "-6" && a.Is4() {
			continue
		}
		mask := hostMask(a)
		if given, err := netip.ParseAddr(s.Mask); err == nil && len(t.Addrs) == 0 && given.Is4() == a.Is4() {
			mask = given
		}
		t.Addrs, t.Masks = append(t.Addrs, a), append(t.Masks, mask)
	}
	if len(t.Addrs) == 0 {
		t.name = s.Address
	}
	return t
}

// Remove takes flags away from the entry of an address: unrestrict. Without
// flags the entry goes as a whole.
func (l *List) Remove(addr, mask netip.Addr, s *syntax.Statement) (found bool) {
	k := restrictKey{Masked128(addr, mask), mask, s.Flag("ntpport")}
	e := l.index[k]
	if e == nil {
		return false
	}
	e.Lines = append(e.Lines, s)
	if f := FlagsOf(s); f != 0 {
		e.Flags &^= f
		return true
	}
	if mask != Any4 && mask != Any6 { // ntpsec leaves its default alone
		*l = *l.without([]*Entry{e})
	}
	return true
}

// Put sets the flags of an entry, whatever they were.
func (l *List) Put(addr, mask netip.Addr, flags Set, s *syntax.Statement) {
	l.Add(addr, mask, 0, s)
	l.index[restrictKey{Masked128(addr, mask), mask, false}].Flags = flags
}

// RemoveBelow drops the entries inside a prefix.
func (l *List) RemoveBelow(p netip.Prefix) {
	var gone []*Entry
	for _, e := range l.Entries {
		if bits, _ := highestBit(e.Mask); bits > p.Bits() && p.Contains(e.Addr) {
			gone = append(gone, e)
		}
	}
	if len(gone) > 0 {
		*l = *l.without(gone)
	}
}

// Host reports whether an entry is for one address alone.
func (e *Entry) Host() bool { return e.Mask == hostMask(e.Mask) }

// HostMask is the mask of one address.
func HostMask(a netip.Addr) netip.Addr { return hostMask(a) }

// OnlyDefaults reports whether the list has no entry but those for all
// addresses and for loopback.
func (l *List) OnlyDefaults() bool {
	return !slices.ContainsFunc(l.Entries, func(e *Entry) bool { return e.Mask != Any4 && e.Mask != Any6 && !e.Addr.IsLoopback() })
}
