package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

// Key is a symmetric key or an Autokey group with who uses it.
type Key struct {
	Kind    string         `json:"kind"` // symmetric, autokey
	Key     uint32         `json:"key,omitempty"`
	Digest  string         `json:"digest,omitempty"`
	Group   string         `json:"group,omitempty"`
	Known   bool           `json:"known"`   // the key table has it
	Clients int            `json:"clients"` // that were answered by it
	Refused int            `json:"refused"` // clients that asked for it and never were
	Last    Time           `json:"last"`    // answered
	Labels  map[string]int `json:"labels"`  // clients by label
	By      []string       `json:"by"`      // a few of the clients: those that asked in vain, or the last ones
	newest  []keyUse
}

type keyUse struct {
	last    uint32
	address string
}

// keyExamples is how many clients are named for a key.
const keyExamples = 10

// Keys collects the use of keys. Have are the identifiers and digests in the key
// table, so that keys that nobody uses are told too.
type Keys struct {
	names *Names
	list  map[string]*Key
}

// NewKeys begins with the keys that there are.
func NewKeys(n *Names, have map[uint32]string) *Keys {
	k := &Keys{names: n, list: make(map[string]*Key)}
	for id, digest := range have {
		k.list[fmt.Sprint(id)] = &Key{Kind: "symmetric", Key: id, Digest: digest, Known: true, Labels: make(map[string]int)}
	}
	return k
}

// Add takes a client.
func (k *Keys) Add(c *inventory.Client) {
	for i := range c.Means {
		m := &c.Means[i]
		var e *Key
		switch m.Kind {
		case ntp.KindSymmetric:
			e = k.entry(fmt.Sprint(m.Key), func() *Key { return &Key{Kind: "symmetric", Key: m.Key, Digest: k.names.digest(m)} })
		case ntp.KindAutokey:
			e = k.entry("@"+c.Group, func() *Key { return &Key{Kind: "autokey", Group: c.Group, Known: true} })
		default:
			continue
		}
		if m.Answered == 0 {
			e.Refused++
		} else {
			e.Clients++
			e.Last = max(e.Last, Time(m.Served))
			if l := k.names.Labels.Lookup(c.Prefix); l != nil {
				e.Labels[l.String()]++
			} else {
				e.Labels[""]++
			}
		}
		if (m.Answered == 0) == !e.Known || m.Answered > 0 {
			e.example(m.Last, c.Name())
		}
	}
}

func (k *Keys) entry(name string, fresh func() *Key) *Key {
	e := k.list[name]
	if e == nil {
		e = fresh()
		e.Labels = make(map[string]int)
		k.list[name] = e
	}
	return e
}

func (e *Key) example(last uint32, address string) {
	e.newest = append(e.newest, keyUse{last, address})
	if len(e.newest) >= 8*keyExamples {
		e.trim()
	}
}

func (e *Key) trim() {
	slices.SortFunc(e.newest, func(a, b keyUse) int { return compare(b.last, a.last) })
	e.newest = e.newest[:min(len(e.newest), keyExamples)]
}

// Rows returns the keys, symmetric ones by number, then Autokey's groups.
func (k *Keys) Rows() []*Key {
	list := make([]*Key, 0, len(k.list))
	for _, e := range k.list {
		e.trim()
		e.By = make([]string, 0, len(e.newest))
		for _, u := range e.newest {
			e.By = append(e.By, u.address)
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *Key) int {
		if a.Kind != b.Kind {
			return strings.Compare(b.Kind, a.Kind)
		}
		if a.Key != b.Key {
			return compare(a.Key, b.Key)
		}
		return strings.Compare(a.Group, b.Group)
	})
	return list
}

// Unused returns the keys that the table has and nobody used within a time.
func Unused(list []*Key, idle time.Duration, now time.Time) (unused []*Key) {
	for _, k := range list {
		if k.Known && (k.Last == 0 || now.Sub(k.Last.time()) > idle) {
			unused = append(unused, k)
		}
	}
	return unused
}

// WriteKeys writes a line per key.
func WriteKeys(w io.Writer, list []*Key, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "Key\tDigest\tState\tClients\tRefused\tLast used\tBy label\tAsked by")
	for _, k := range list {
		name, state := fmt.Sprint(k.Key), "here"
		if k.Kind == "autokey" {
			name = strings.TrimSpace("autokey " + k.Group)
		}
		switch {
		case !k.Known:
			state = "not here"
		case k.Clients == 0:
			state = "unused"
		}
		by := ""
		if !k.Known {
			by = strings.Join(k.By, " ")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", name, orDash(k.Digest), state, k.Clients, k.Refused, Ago(k.Last, now),
			orDash(labelCounts(k.Labels)), orDash(by))
	}
	return t.Flush()
}

func labelCounts(m map[string]int) string {
	var list []string
	for l, n := range m {
		if l == "" {
			l = "(none)"
		}
		list = append(list, fmt.Sprintf("%s %d", l, n))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
