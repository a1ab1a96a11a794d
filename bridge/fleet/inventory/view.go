package inventory

import (
	"cmp"
	"encoding/hex"
	"math"
	"net/netip"
	"slices"
	"time"

	"ntsbridge/bridge/ntp"
)

// Client is a row as it is shown. Times are seconds since 1970, 0: never.
type Client struct {
	Key       Key
	Prefix    netip.Prefix // of one address all bits; not valid if Hashed
	Hashed    bool         // the address is not kept
	First     uint32
	Last      uint32
	Rank      Rank
	Means     []Means
	Hosts     int // behind the address, at least
	Estimate  int // of hosts, by how often it asks for how often it says that it does; 0: none
	Addresses int // that the row stands for, about; 1 for one
	Upstream  Upstream
	KE        KeyExchange
	Host      string // names that Autokey told
	Group     string
}

// Name returns the address of a row, its prefix, or "hash:" and the first half
// of the hash where the address is not kept.
func (c *Client) Name() string {
	switch {
	case c.Hashed:
		return "hash:" + hex.EncodeToString(c.Key[:8])
	case c.Prefix.IsSingleIP():
		return c.Prefix.Addr().String()
	}
	return c.Prefix.String()
}

// Upstream is whom an ntpd says it follows, in its last request.
type Upstream struct {
	Told      bool
	Leap      ntp.Leap
	Stratum   uint8
	RefID     uint32
	Reference uint32 // when its clock was last set, 0: never
}

// KeyExchange is what was seen of NTS-KE.
type KeyExchange struct {
	Handshakes uint32 // that agreed
	Failures   uint16
	Last       uint32
	Result     HandshakeResult
	Offered    []uint16 // AEADs
	SNI        string   // "yes", "no", empty: not known
}

// Means is one means of a client.
type Means struct {
	Kind       ntp.Kind
	Key        uint32 // key identifier; AEAD, 0 if not known; of kind none the account of MS-SNTP
	Scheme     Scheme
	MAC        uint8 // octets
	Proved     bool  // it was authenticated at least once
	ZeroSeed   bool  // Autokey: its cookie is of seed 0, which an ntpd has
	First      uint32
	Last       uint32
	Served     uint32 // when it was last answered
	Answered   uint32
	Unanswered uint16        // packets in a row
	Interval   time.Duration // between polls, 0: not known
	Program    string
	Why        string
	Versions   string
	Modes      uint8 // bit per mode
	MinOctets  uint16
	MaxOctets  uint16
	Kisses     uint16
	Kissed     uint32
	Reaction   string // to kisses: "", "pending", "ignored", "slower", "silent"
	Away       bool   // only other gateways of the site know it, by the day

	Port    uint16 // of its last packet
	Mode    ntp.Mode
	Version uint8

	refused [reasonSlots]Refusal
	gap     time.Duration // median of eight, 0: not known
}

// Refused returns how many packets were refused for which reason.
func (m *Means) Refused() []Refusal {
	n := 0
	for n < len(m.refused) && m.refused[n].Count > 0 {
		n++
	}
	return m.refused[:n]
}

// Refusals returns how many packets were refused in all.
func (m *Means) Refusals() (n uint64) {
	for _, r := range m.refused {
		n += uint64(r.Count)
	}
	return n
}

// Refusal counts packets refused for a reason.
type Refusal struct {
	Reason ntp.Reason
	Count  uint32
}

// Other is the reason of refusals that were not counted apart.
const Other = reasonOther

func reasonOf(r uint32) ntp.Reason { return ntp.Reason(r >> reasonShift) }

// NoAnswer is the reason of requests that nothing answered in a capture: what
// the server had against them is not known.
const NoAnswer = ntp.Reason(30)

// ReasonName returns a reason's name as counters have it.
func ReasonName(r ntp.Reason) string {
	switch r {
	case reasonOther:
		return "other"
	case NoAnswer:
		return "no-answer"
	}
	return r.String()
}

// Places returns how many places rows can have: the range for Read.
func (v *Inventory) Places() int { return v.clients.fresh }

// Read reads the row at a place from 0 on into c, whose memory it uses again;
// false if there is none. now is for what changes with time.
func (v *Inventory) Read(place int, now uint32, c *Client) bool {
	k := v.clients.at(uint32(place + 1))
	if k.flags&flagUsed == 0 {
		return false
	}
	v.read(k, now, c)
	return true
}

// Sorted returns the places of the clients that are wanted, the least order
// first.
func (v *Inventory) Sorted(now uint32, want func(*Client) (order [2]uint64, ok bool)) []int {
	type ordered struct {
		order [2]uint64
		at    int
	}
	var list []ordered
	var c Client
	for i := range v.Places() {
		if !v.Read(i, now, &c) {
			continue
		}
		if order, ok := want(&c); ok {
			list = append(list, ordered{order, i})
		}
	}
	slices.SortFunc(list, func(a, b ordered) int {
		return cmp.Or(cmp.Compare(a.order[0], b.order[0]), cmp.Compare(a.order[1], b.order[1]), cmp.Compare(a.at, b.at))
	})
	places := make([]int, len(list))
	for i := range list {
		places[i] = list[i].at
	}
	return places
}

// Find reads the row of an address.
func (v *Inventory) Find(addr netip.Addr, now uint32) (c Client, ok bool) {
	k, _ := v.opt.Addresses.KeyOf(addr)
	ok = v.FindKey(&k, now, &c)
	return c, ok
}

// FindKey reads the row of a key into c, whose memory it uses again; false if
// there is none.
func (v *Inventory) FindKey(k *Key, now uint32, c *Client) bool {
	place, bitsOf := [16]byte(k[:16]), k[16]
	ref := v.find(&place, bitsOf, v.index.hash(&place, bitsOf))
	if ref != 0 {
		v.read(v.clients.at(ref), now, c)
	}
	return ref != 0
}

func (v *Inventory) read(k *client, now uint32, c *Client) {
	list := c.Means[:0]
	*c = Client{Key: k.key(), Hashed: k.flags&flagHashed != 0, First: k.first, Last: k.last, Rank: k.rank, Hosts: 1, Addresses: 1,
		Host: v.names.name(k.host), Group: v.names.name(k.group)}
	if !c.Hashed {
		c.Prefix = prefixOf(k)
	}
	for r := k.means; r != 0; {
		m := v.means.at(r)
		list = append(list, Means{})
		m.read(now, &list[len(list)-1])
		r = m.next
	}
	c.Means = list
	if k.crowd != 0 {
		d := v.crowds.at(k.crowd)
		// Hosts that were together in the last week of its life.
		since := k.last - min(k.last, 7*86400)
		c.Hosts = max(1, d.together(threadChain, since), d.together(threadKeys, since))
		if k.bits != 128 {
			c.Addresses = max(1, d.addresses())
		}
	}
	c.Estimate = estimate(list)
	if k.refid|k.reference != 0 {
		c.Upstream = Upstream{Told: true, Leap: ntp.Leap(k.leap), Stratum: k.stratum, RefID: k.refid}
		if k.reference != 0 {
			c.Upstream.Reference = k.reference - unixEpoch
		}
	}
	v.readExchange(k, &c.KE)
}

func (v *Inventory) readExchange(k *client, e *KeyExchange) {
	if k.handshake == 0 {
		return
	}
	*e = KeyExchange{Handshakes: k.handshakes, Failures: k.failures, Last: k.handshake, Result: HandshakeResult(k.result)}
	for i, id := range aeads {
		if k.offered>>i&1 == 1 {
			e.Offered = append(e.Offered, id)
		}
	}
	e.SNI = [...]string{"", "yes", "no"}[k.sni%3]
}

func prefixOf(k *client) netip.Prefix {
	a := netip.AddrFrom16(k.addr)
	n := int(k.bits)
	if a.Is4In6() && n >= 96 {
		a, n = a.Unmap(), n-96
	}
	return netip.PrefixFrom(a, n)
}

func (m *means) read(now uint32, o *Means) {
	*o = Means{Kind: m.kind, Key: m.key, Scheme: m.scheme, MAC: m.mac, Proved: m.flags&meansProved != 0,
		ZeroSeed: m.flags&meansZeroSeed != 0,
		First:    m.first, Last: m.last, Served: m.served, Answered: m.answered, Unanswered: m.unanswered,
		Versions: versionNames[m.versions], Modes: m.modes, MinOctets: m.minOctets, MaxOctets: m.maxOctets,
		Kisses: m.kisses, Kissed: m.kissed, Port: m.print.port, Mode: m.print.mode(), Version: m.print.version()}
	for i, r := range m.refused {
		o.refused[i] = Refusal{reasonOf(r), r & reasonMask}
	}
	if m.gapCount >= uint8(len(m.gaps)) {
		o.gap = m.medianGap()
	}
	o.Program, o.Why = m.print.program(m.kind)
	o.Interval = m.interval(tellsPoll(o.Program))
	o.Reaction = m.reaction(now, o.Interval)
}

// versionNames are the texts of all sets of versions.
var versionNames = func() (list [256]string) {
	for i := range list {
		list[i] = shownVersions(uint8(i))
	}
	return list
}()

// reaction tells what a client did after the last kiss: it is silent for eight of
// its intervals, or asks less often, or goes on.
func (m *means) reaction(now uint32, interval time.Duration) string {
	if m.kisses == 0 {
		return ""
	}
	poll := uint32(max(interval/time.Second, 2))
	switch {
	case m.last <= m.kissed && now-m.kissed > 8*poll:
		return "silent"
	case m.last <= m.kissed || m.gapCount == 0:
		return "pending"
	case 2*codedGap(m.gaps[(m.gapCount-1)%uint8(len(m.gaps))]) > 3*interval:
		return "slower"
	}
	return "ignored"
}

// estimate is how many hosts ask, where they say how often each one does.
func estimate(list []Means) (hosts int) {
	for i := range list {
		m := &list[i]
		if tellsPoll(m.Program) && m.Interval > 0 && m.gap > 0 {
			hosts += int(math.Round(float64(m.Interval) / float64(m.gap)))
		}
	}
	if hosts < 2 {
		return 0
	}
	return hosts
}
