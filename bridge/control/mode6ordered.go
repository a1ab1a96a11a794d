package control

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// InterfaceVariables are a line of ntpq's ifstats: an address that is listened
// on.
type InterfaceVariables struct {
	Name                   string // of the interface; v4wildcard and v6wildcard as ntpd has them
	Address                netip.AddrPort
	Broadcast              netip.AddrPort // invalid: none
	Flags                  InterfaceFlags
	TTL                    uint8
	Groups                 int // multicast groups that it is in
	Received, Sent, Failed uint64
	Peers                  int // associations that use it
	Up                     time.Duration
}

// InterfaceFlags are ntpd's flags of an address.
type InterfaceFlags uint32

// The flags, with ntpd's numbers.
const (
	InterfaceUp        InterfaceFlags = 0x01
	InterfaceLoopback  InterfaceFlags = 0x04
	InterfaceBroadcast InterfaceFlags = 0x08
	InterfaceMulticast InterfaceFlags = 0x10
	InterfaceWildcard  InterfaceFlags = 0x80
)

func (v *InterfaceVariables) put(w *queryWriter, index int) {
	name := func(s string) string { return s + "." + strconv.Itoa(index) }
	broadcast := ""
	if v.Broadcast.IsValid() {
		broadcast = v.Broadcast.String()
	}
	w.raw(name("addr"), v.Address.String())
	w.raw(name("bcast"), broadcast)
	w.bool(name("en"), true) // ntpd disables its wildcards; here they serve
	w.quoted(name("name"), v.Name)
	w.hex(name("flags"), uint64(v.Flags))
	w.uint(name("tl"), uint64(v.TTL))
	w.uint(name("mc"), uint64(v.Groups))
	w.uint(name("rx"), v.Received)
	w.uint(name("tx"), v.Sent)
	w.uint(name("txerr"), v.Failed)
	w.uint(name("pc"), uint64(v.Peers))
	w.uint(name("up"), seconds(v.Up))
}

// The words of a request for ordered lists.
const (
	listInterfaces   = "ifstats"
	listRestrictions = "addr_restrictions"
)

// orderedRowLen is more than one row of such a list takes, octets.
const orderedRowLen = 400

// answerOrdered answers ifstats and reslist, for who has the key to ask.
func (q *query) answerOrdered(w *queryWriter, src QuerySource) queryError {
	name, _, e := nextName(string(q.data))
	if e != errNone {
		return e
	}
	switch strings.TrimRight(name, "\x00\r\n ") {
	case "", listInterfaces: // ntpq asks for nothing by name when it wants these
		for i, v := range src.Interfaces() {
			if w.room() < orderedRowLen {
				break
			}
			v.put(w, i)
		}
	case listRestrictions:
		putRestrictions(w, src.Restrictions())
	default:
		return errVariable
	}
	return errNone
}

// putRestrictions writes the rules of access as ntpd's restrictions: those of
// IPv4 first, the longest prefixes before the others, as ntpd looks for one.
func putRestrictions(w *queryWriter, list []RestrictionVariables) {
	for i, v := range slices.SortedStableFunc(slices.Values(list), inNTPDsOrder) {
		r := v.Rule
		if w.room() < orderedRowLen {
			return
		}
		name := func(s string) string { return s + "." + strconv.Itoa(i) }
		w.raw(name("addr"), r.Prefix.Addr().String())
		w.raw(name("mask"), mask(r.Prefix))
		w.uint(name("hits"), v.Hits)
		w.raw(name("flags"), restriction(&r))
	}
}

// RestrictionVariables are a line of ntpq's reslist.
type RestrictionVariables struct {
	Rule access.Rule
	Hits uint64 // requests that it judged since it came into force
}

// inNTPDsOrder compares rules as ntpd sorts its restrictions.
func inNTPDsOrder(a, b RestrictionVariables) int {
	p, q := a.Rule.Prefix, b.Rule.Prefix
	ntpport := func(r *access.Rule) int {
		if r.SourcePort123 {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(p.Addr().BitLen(), q.Addr().BitLen()), q.Addr().Compare(p.Addr()), cmp.Compare(q.Bits(), p.Bits()),
		cmp.Compare(ntpport(&a.Rule), ntpport(&b.Rule)))
}

func mask(p netip.Prefix) string {
	ones := make([]byte, p.Addr().BitLen()/8)
	for i := range p.Bits() {
		ones[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(ones)
	return a.String()
}

// restriction says a rule with ntpd's words. Nobody changes anything over the
// network here, nobody sets traps, and no stranger becomes an association.
func restriction(r *access.Rule) string {
	var words []string
	word := func(is bool, yes, no string) {
		if is && yes != "" {
			words = append(words, yes)
		} else if !is && no != "" {
			words = append(words, no)
		}
	}
	allowed := r.Action == access.Allow
	word(r.SourcePort123, "ntpport", "")
	word(!allowed, "ignore", "")
	word(allowed, "serve", "noserve")
	word(r.Kinds.Has(ntp.KindNone), "trust", "notrust")
	words = append(words, "nopeer", "noepeer")
	word(r.Rate != nil, "limited", "")
	word(r.Query && allowed, "query", "noquery")
	words = append(words, "nomodify", "notrap")
	word(r.Kiss != access.KissNone || r.Rate != nil && r.Rate.Kiss, "kod", "")
	word(r.MinVersion == 4, "version", "")
	word(r.MSSNTP, "mssntp", "")
	return strings.Join(words, " ")
}
