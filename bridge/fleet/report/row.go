package report

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

// NewRow makes the row of a client.
func NewRow(c *inventory.Client, n *Names) *Row {
	r := new(Row)
	r.Fill(c, n)
	return r
}

// Fill makes r the row of a client, in the memory that r has: a list of a million
// rows needs but one.
func (r *Row) Fill(c *inventory.Client, n *Names) {
	*r = Row{Address: c.Name(), First: Time(c.First), Last: Time(c.Last), Rank: c.Rank.String(), Hosts: c.Hosts, Estimate: c.Estimate,
		Means: r.Means[:0], Names: r.Names[:0], KE: KE{Offered: r.KE.Offered[:0]}, key: c.Prefix.Addr()}
	if c.Addresses > 1 || c.Prefix.IsValid() && !c.Prefix.IsSingleIP() {
		r.Addresses = c.Addresses
	}
	if l := n.Labels.Lookup(c.Prefix); l != nil {
		r.Label = Label{l.Owner, l.Site, l.Note}
	}
	if c.Host != "" {
		r.Names = append(r.Names, c.Host)
	}
	for i := range c.Means {
		r.Means = slices.Grow(r.Means, 1)[:i+1]
		r.Means[i].fill(&c.Means[i], c, n)
		r.interval = max(r.interval, c.Means[i].Interval)
	}
	// The means that was used last comes first.
	if len(r.Means) > 1 {
		slices.SortStableFunc(r.Means, func(a, b Means) int { return compare(b.Last, a.Last) })
	}
	r.Implementation = r.programs()
	r.KE.fill(&c.KE, n)
	if c.Upstream.Told {
		r.Upstream = newUpstream(&c.Upstream)
	}
	r.Best, r.Worst = classes(c)
	r.addNames(n)
}

// Clone returns a row that Fill does not overwrite.
func (r *Row) Clone() *Row {
	c := *r
	c.Names, c.Means, c.KE.Offered = slices.Clone(r.Names), slices.Clone(r.Means), slices.Clone(r.KE.Offered)
	for i := range c.Means {
		m := &c.Means[i]
		m.Modes, m.Refused = slices.Clone(m.Modes), maps.Clone(m.Refused)
	}
	return &c
}

// programs names the programs that the means show, that of the last one first.
func (r *Row) programs() (text string) {
	var seen [8]string
	n := 0
	for i := range r.Means {
		p := r.Means[i].Implementation
		if p == "" || slices.Contains(seen[:n], p) || n == len(seen) {
			continue
		}
		seen[n] = p
		n++
		if n == 1 {
			text = p
		} else {
			text += ", " + p
		}
	}
	return text
}

func (r *Means) fill(m *inventory.Means, c *inventory.Client, n *Names) {
	clear(r.Refused)
	*r = Means{Kind: m.Kind.String(), First: Time(m.First), Last: Time(m.Last), Answered: m.Answered,
		LastAnswered: Time(m.Served), Unanswered: m.Unanswered, Poll: float64(m.Interval.Round(100*time.Millisecond)) / 1e9,
		Versions: m.Versions, Modes: r.Modes[:0], Refused: r.Refused,
		Octets: [2]uint16{m.MinOctets, m.MaxOctets}, Kisses: m.Kisses, Reaction: m.Reaction, Implementation: m.Program, Evidence: m.Why,
		number: m.Key}
	switch m.Kind {
	case ntp.KindNone:
		r.Account = m.Key
	case ntp.KindSymmetric:
		r.Key, r.Digest = m.Key, n.digest(m)
	case ntp.KindAutokey:
		r.Scheme, r.Group = m.Scheme.String(), c.Group
		r.NTPDCookie = m.ZeroSeed
	case ntp.KindNTS:
		r.AEAD = n.aeadName(m.Key)
	}
	for _, f := range m.Refused() {
		if r.Refused == nil {
			r.Refused = make(map[string]uint32)
		}
		r.Refused[inventory.ReasonName(f.Reason)] = f.Count
	}
	for i := range 8 {
		if m.Modes>>i&1 == 1 {
			r.Modes = append(r.Modes, i)
		}
	}
}

func (k *KE) fill(e *inventory.KeyExchange, n *Names) {
	*k = KE{Handshakes: e.Handshakes, Last: Time(e.Last), Failures: e.Failures, Result: e.Result.String(), SNI: e.SNI, Offered: k.Offered}
	for _, id := range e.Offered {
		k.Offered = append(k.Offered, n.aeadName(uint32(id)))
	}
}

func newUpstream(u *inventory.Upstream) *Upstream {
	b := [4]byte{byte(u.RefID >> 24), byte(u.RefID >> 16), byte(u.RefID >> 8), byte(u.RefID)}
	text := netip.AddrFrom4(b).String()
	if word := strings.TrimRight(string(b[:]), "\x00"); u.Stratum <= 1 && word != "" && !strings.ContainsFunc(word,
		func(r rune) bool { return r <= ' ' || r > '~' }) {
		text = word
	}
	return &Upstream{RefID: text, Stratum: u.Stratum, Leap: uint8(u.Leap), Set: Time(u.Reference)}
}

// classes returns the best and the worst means that a client was answered by in
// the last week of its life.
func classes(c *inventory.Client) (best, worst string) {
	lo, hi := len(classOrder), 0
	for i := range c.Means {
		m := &c.Means[i]
		if m.Served == 0 || m.Served+classSpan < c.Last {
			continue
		}
		at := slices.Index(classOrder, m.Kind.String())
		lo, hi = min(lo, at), max(hi, at)
	}
	if lo == len(classOrder) {
		lo = 0
	}
	return classOrder[hi], classOrder[lo]
}

// addNames adds the host names that DNS knows, if they are wanted.
func (r *Row) addNames(n *Names) {
	if n.Resolve == nil || !r.key.IsValid() || !isAddress(r) {
		return
	}
	for _, name := range n.Resolve(r.key) {
		if !slices.Contains(r.Names, name) {
			r.Names = append(r.Names, name)
		}
	}
}
