package keyring

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/fleet/report"
	"ntsbridge/symkey"
)

// Held is a key that a key file has.
type Held struct {
	Key     *symkey.Key
	File    string
	Trusted bool
	// Made is when the key can have been made at the latest: what ntp-keygen noted
	// in the file, else when the file changed last.
	Made  time.Time
	Exact bool // Made is what ntp-keygen noted
	// Sources are those of our own that use the key.
	Sources []string
}

// Limits are from when on something is a finding.
type Limits struct {
	Age    time.Duration // of a key
	Unused time.Duration // since its last use
	Shared int           // clients that share it
}

// DefaultLimits are a year, 90 days, and any sharing.
var DefaultLimits = Limits{Age: 365 * 24 * time.Hour, Unused: 90 * 24 * time.Hour, Shared: 2}

// Audited is a key with what speaks against it. It has no secret.
type Audited struct {
	ID       uint32         `json:"key"`
	Digest   string         `json:"digest"`
	Bits     int            `json:"bits"`
	File     string         `json:"file"`
	Trusted  bool           `json:"trusted"`
	Made     report.Time    `json:"made"`       // at the latest, null: not known
	Exact    bool           `json:"made_exact"` // that is when it was made
	Clients  int            `json:"clients"`
	Labels   map[string]int `json:"labels"`
	Last     report.Time    `json:"last_used"`
	Sources  []string       `json:"own_sources"`
	SameAs   []uint32       `json:"same_secret_as"`
	Findings []string       `json:"findings"`
}

// Audit judges the keys of the key files. used is what the inventory knows of
// each; nil: there is none, and nothing is said of use. watched is since when it
// watches.
func Audit(keys []Held, used []*report.Key, watched time.Time, l Limits, now time.Time) []*Audited {
	use := map[uint32]*report.Key{}
	for _, k := range used {
		if k.Kind == "symmetric" {
			use[k.Key] = k
		}
	}
	list := make([]*Audited, 0, len(keys))
	for i := range keys {
		h := &keys[i]
		a := &Audited{ID: h.Key.ID(), Digest: h.Key.Algorithm(), Bits: h.Key.Bits(), File: h.File, Trusted: h.Trusted, Exact: h.Exact,
			Labels: map[string]int{}, Sources: append([]string{}, h.Sources...), SameAs: []uint32{}, Findings: []string{}}
		if !h.Made.IsZero() {
			a.Made = report.Time(h.Made.Unix())
		}
		for j := range keys {
			if j != i && h.Key.SameSecret(keys[j].Key) {
				a.SameAs = append(a.SameAs, keys[j].Key.ID())
			}
		}
		a.Findings = append(a.Findings, h.Key.Weaknesses()...)
		a.aged(h, l, now)
		if used != nil {
			a.used(use[a.ID], watched, l, now)
		}
		a.shared()
		list = append(list, a)
	}
	slices.SortFunc(list, func(x, y *Audited) int { return int(int64(x.ID) - int64(y.ID)) })
	return list
}

func (a *Audited) find(format string, values ...any) {
	a.Findings = append(a.Findings, fmt.Sprintf(format, values...))
}

func (a *Audited) aged(h *Held, l Limits, now time.Time) {
	if h.Made.IsZero() || now.Sub(h.Made) <= l.Age {
		return
	}
	a.find("made %d days ago%s: roll it (keys roll %d)", days(now.Sub(h.Made)), map[bool]string{false: " or earlier"}[h.Exact], a.ID)
}

func (a *Audited) used(k *report.Key, watched time.Time, l Limits, now time.Time) {
	if k != nil {
		a.Clients, a.Last = k.Clients, k.Last
		maps.Copy(a.Labels, k.Labels)
	}
	if a.Clients >= l.Shared && l.Shared > 0 {
		text := fmt.Sprintf("%d clients share it: each of them can pose as the server to the others", a.Clients)
		if owners := len(a.Labels); owners > 1 {
			text += fmt.Sprintf("; they are of %d labels, give each one of its own", owners)
		}
		a.Findings = append(a.Findings, text)
	}
	since := watched
	if a.Last != 0 {
		since = time.Unix(int64(a.Last), 0)
	}
	switch idle := now.Sub(since); {
	case watched.IsZero() || idle <= l.Unused:
	case len(a.Sources) > 0:
	default:
		a.find("no client has used it for %d days: retire it (keys retire %d)", days(idle), a.ID)
	}
	if !a.Trusted && a.Clients > 0 {
		a.find("clients have used it, and it is not in keys.trusted any more")
	}
}

func (a *Audited) shared() {
	if len(a.SameAs) > 0 {
		var ids []string
		for _, id := range a.SameAs {
			ids = append(ids, fmt.Sprint(id))
		}
		a.find("its secret is also that of key %s: retiring one takes nothing from who has it", strings.Join(ids, ", "))
	}
	if len(a.Sources) > 0 && a.Clients > 0 {
		a.find("clients have it, and our own source %s too: a client can pose as that source to us", strings.Join(a.Sources, ", "))
	}
}

func days(d time.Duration) int { return int(d / (24 * time.Hour)) }
