package report

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/ntp"
)

// Row is one client as JSON has it.
type Row struct {
	Address        string     `json:"address"` // an address, a prefix that stands for several, or "hash:..."
	Names          []string   `json:"names"`
	Label          Label      `json:"label"`
	Implementation string     `json:"implementation"` // empty: not known
	Means          []Means    `json:"means"`
	KE             KE         `json:"nts_ke"`
	First          Time       `json:"first"`
	Last           Time       `json:"last"`
	Rank           string     `json:"rank"`
	Hosts          int        `json:"hosts"`               // behind the address, at least
	Estimate       int        `json:"hosts_estimate"`      // by how often it asks, 0: no estimate
	Addresses      int        `json:"addresses,omitempty"` // behind the row, about, if it is a prefix
	Upstream       *Upstream  `json:"upstream,omitempty"`  // whom it said it follows
	Best           string     `json:"best"`                // best means that it used in the last 7 days of its life
	Worst          string     `json:"worst"`
	key            netip.Addr // for sorting
	interval       time.Duration
}

// Label is what a label file says.
type Label struct {
	Owner string `json:"owner"`
	Site  string `json:"site"`
	Note  string `json:"note"`
}

// String is a label as tables show it.
func (l *Label) String() string {
	v := label.Label{Owner: l.Owner, Site: l.Site, Note: l.Note}
	return v.String()
}

// Means is one means of a client as JSON has it.
type Means struct {
	Kind           string            `json:"kind"` // none, symmetric, autokey, nts
	Key            uint32            `json:"key,omitempty"`
	Digest         string            `json:"digest,omitempty"`
	Scheme         string            `json:"scheme,omitempty"`
	Group          string            `json:"group,omitempty"`
	AEAD           string            `json:"aead,omitempty"`
	First          Time              `json:"first"`
	Last           Time              `json:"last"`
	Answered       uint32            `json:"answered"`
	Refused        map[string]uint32 `json:"refused"`
	LastAnswered   Time              `json:"last_answered"`
	Unanswered     uint16            `json:"unanswered"` // in a row, until now
	Poll           float64           `json:"poll"`       // seconds, 0: not known
	Versions       string            `json:"versions"`
	Modes          []int             `json:"modes"`
	Octets         [2]uint16         `json:"octets"` // least and most of a request
	Kisses         uint16            `json:"kisses,omitempty"`
	Reaction       string            `json:"reaction,omitempty"`
	Implementation string            `json:"implementation"`
	Evidence       string            `json:"evidence"`
}

// KE is NTS-KE as JSON has it.
type KE struct {
	Handshakes uint32   `json:"handshakes"`
	Last       Time     `json:"last"`
	Failures   uint16   `json:"failures"`
	Result     string   `json:"result,omitempty"`
	Offered    []string `json:"aeads,omitempty"`
	SNI        string   `json:"sni,omitempty"`
}

// Upstream is whom an ntpd said it follows, in its last request.
type Upstream struct {
	RefID   string `json:"refid"`
	Stratum uint8  `json:"stratum"`
	Leap    uint8  `json:"leap"`
	Set     Time   `json:"set"` // when its clock was last set by that
}

// Time is seconds since 1970, 0 for never, which JSON has as null.
type Time uint32

// MarshalJSON writes RFC 3339 in UTC, or null.
func (t Time) MarshalJSON() ([]byte, error) { return t.appendJSON(nil), nil }

func (t Time) appendJSON(b []byte) []byte {
	if t == 0 {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = t.time().AppendFormat(b, time.RFC3339)
	return append(b, '"')
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = 0
		return nil
	}
	v, err := time.Parse(`"`+time.RFC3339+`"`, string(b))
	*t = Time(v.Unix())
	return err
}

func (t Time) time() time.Time { return time.Unix(int64(t), 0).UTC() }

// String is what tables show: "-" for never.
func (t Time) String() string {
	if t == 0 {
		return "-"
	}
	return t.time().Format("2006-01-02 15:04:05")
}

// Names tells what numbers are called that the inventory has as numbers.
type Names struct {
	Labels  *label.Set
	Digest  func(key uint32) string   // of a symmetric key, empty if there is none of that number
	Resolve func(netip.Addr) []string // host names, nil: not asked for
	AEAD    func(id uint16) string    // IANA's name

}

// aeadName names an AEAD.
func (n *Names) aeadName(id uint32) string {
	if id == 0 {
		return ""
	}
	if n.AEAD != nil {
		return n.AEAD(uint16(id))
	}
	return fmt.Sprint(id)
}

// digest names the digest of a key: from the key table, else by the length of the
// MAC as far as that tells.
func (n *Names) digest(m *inventory.Means) string {
	if n.Digest != nil {
		if d := n.Digest(m.Key); d != "" {
			return d
		}
	}
	switch m.MAC {
	case 0:
		return ""
	case 16:
		return "MD5 or AES128CMAC"
	case 20:
		return "SHA1 or cut to 160 bits"
	}
	return fmt.Sprintf("%d bits", 8*int(m.MAC))
}

// NewRow makes the row of a client.
func NewRow(c *inventory.Client, n *Names) *Row {
	r := &Row{Address: address(c), First: Time(c.First), Last: Time(c.Last), Rank: c.Rank.String(), Hosts: c.Hosts, Estimate: c.Estimate,
		Means: make([]Means, 0, len(c.Means)), key: c.Prefix.Addr()}
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
		m := newMeans(&c.Means[i], c, n)
		r.Means = append(r.Means, m)
		r.interval = max(r.interval, c.Means[i].Interval)
	}
	// The means that was used last comes first.
	if len(r.Means) > 1 {
		slices.SortStableFunc(r.Means, func(a, b Means) int { return compare(b.Last, a.Last) })
	}
	r.Implementation = r.programs()
	r.KE = newKE(&c.KE, n)
	if c.Upstream.Told {
		r.Upstream = newUpstream(&c.Upstream)
	}
	r.Best, r.Worst = classes(c)
	r.addNames(n)
	return r
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

func address(c *inventory.Client) string {
	switch {
	case c.Hashed:
		return "hash:" + hex.EncodeToString(c.Key[:8])
	case c.Prefix.IsSingleIP():
		return c.Prefix.Addr().String()
	}
	return c.Prefix.String()
}

func newMeans(m *inventory.Means, c *inventory.Client, n *Names) Means {
	r := Means{Kind: m.Kind.String(), First: Time(m.First), Last: Time(m.Last), Answered: m.Answered,
		LastAnswered: Time(m.Served), Unanswered: m.Unanswered, Poll: float64(m.Interval.Round(100*time.Millisecond)) / 1e9,
		Versions: m.Versions,
		Octets:   [2]uint16{m.MinOctets, m.MaxOctets}, Kisses: m.Kisses, Reaction: m.Reaction, Implementation: m.Program, Evidence: m.Why}
	switch m.Kind {
	case ntp.KindSymmetric:
		r.Key, r.Digest = m.Key, n.digest(m)
	case ntp.KindAutokey:
		r.Scheme, r.Group = m.Scheme.String(), c.Group
	case ntp.KindNTS:
		r.AEAD = n.aeadName(m.Key)
	}
	for i, f := range m.Refused() {
		if i == 0 {
			r.Refused = make(map[string]uint32)
		}
		r.Refused[inventory.ReasonName(f.Reason)] = f.Count
	}
	for i := range 8 {
		if m.Modes>>i&1 == 1 {
			r.Modes = append(r.Modes, i)
		}
	}
	return r
}

func newKE(e *inventory.KeyExchange, n *Names) KE {
	k := KE{Handshakes: e.Handshakes, Last: Time(e.Last), Failures: e.Failures, Result: e.Result.String(), SNI: e.SNI}
	for _, id := range e.Offered {
		k.Offered = append(k.Offered, n.aeadName(uint32(id)))
	}
	return k
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

// classOrder are the classes of means from worst to best.
var classOrder = []string{"refused", "none", "autokey", "symmetric", "nts"}

// classSpan is how far back from its last packet a client's means count,
// seconds: one that it has not used for so long is behind it.
const classSpan = 7 * 86400

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
