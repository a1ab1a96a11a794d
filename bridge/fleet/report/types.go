package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/label"
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
	NTPDCookie     bool              `json:"ntpd_cookie,omitempty"` // its Autokey cookie is of an ntpd: good during a takeover only
	AEAD           string            `json:"aead,omitempty"`
	Account        uint32            `json:"account,omitempty"` // kind none: MS-SNTP, the relative identifier of the account
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
	Gateways       []GatewayUse      `json:"gateways,omitempty"` // of a list of the site, if that is asked for
	number         uint32            // key of the inventory
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
	year, month, day := t.time().Date()
	s := int(uint32(t) % 86400)
	b = strconv.AppendInt(append(b, '"'), int64(year), 10)
	b = appendTwo(append(b, '-'), int(month))
	b = appendTwo(append(b, '-'), day)
	b = appendTwo(append(b, 'T'), s/3600)
	b = appendTwo(append(b, ':'), s/60%60)
	b = appendTwo(append(b, ':'), s%60)
	return append(b, 'Z', '"')
}

func appendTwo(b []byte, n int) []byte { return append(b, '0'+byte(n/10), '0'+byte(n%10)) }

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

func isAddress(r *Row) bool {
	return !strings.Contains(r.Address, "/") && !strings.HasPrefix(r.Address, "hash:")
}

func compare[T ~uint32 | ~uint64 | ~int64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (r *Row) packets() (n uint64) {
	for i := range r.Means {
		n += uint64(r.Means[i].Answered)
	}
	return n + r.refused()
}

func (r *Row) refused() (n uint64) {
	for i := range r.Means {
		for _, c := range r.Means[i].Refused {
			n += uint64(c)
		}
	}
	return n
}

// reasons are the reasons of refusals in order.
func (m *Means) reasons() []string {
	if len(m.Refused) == 0 {
		return nil
	}
	list := make([]string, 0, len(m.Refused))
	for r := range m.Refused {
		list = append(list, r)
	}
	slices.Sort(list)
	return list
}

// Ago is a time as it is told at now: "5s", "12m", "3h", "4d"; "-" for never.
func Ago(t Time, now time.Time) string {
	if t == 0 {
		return "-"
	}
	d := max(now.Sub(t.time()), 0)
	unit, letter := 24*time.Hour, "d"
	switch {
	case d < 2*time.Minute:
		unit, letter = time.Second, "s"
	case d < 2*time.Hour:
		unit, letter = time.Minute, "m"
	case d < 48*time.Hour:
		unit, letter = time.Hour, "h"
	}
	return strconv.FormatInt(int64(d/unit), 10) + letter
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// classOrder are the classes of means from worst to best.
var classOrder = []string{"refused", "none", "autokey", "symmetric", "nts"}

// classSpan is how far back from its last packet a client's means count,
// seconds: one that it has not used for so long is behind it.
const classSpan = 7 * 86400

// GatewayUse is when a gateway saw a means of a client last; other gateways than
// the one that is asked know days only.
type GatewayUse struct {
	Gateway string `json:"gateway"`
	Last    Time   `json:"last"`
}
