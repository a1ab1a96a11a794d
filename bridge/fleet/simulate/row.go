package simulate

import (
	"fmt"
	"strings"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/silence"
	"ntsbridge/bridge/ntp"
)

// Outcome is what becomes of a client; the package comment has the meanings.
type Outcome string

// The outcomes.
const (
	Unchanged  Outcome = "unchanged"
	Continues  Outcome = "continues"
	Elsewhere  Outcome = "elsewhere"
	Silent     Outcome = "silent"
	CannotTell Outcome = "cannot-tell"
	Refused    Outcome = "refused"
	Away       Outcome = "away"
)

// Outcomes are all, those that want work first.
var Outcomes = []Outcome{Silent, CannotTell, Elsewhere, Continues, Unchanged, Refused, Away}

// Row is one client under the policy.
type Row struct {
	Address string     `json:"address"`
	Label   string     `json:"label"`
	Program string     `json:"implementation"`
	Outcome Outcome    `json:"outcome"`
	Loses   []Loss     `json:"loses"`
	By      string     `json:"continues_by"` // means that stays, empty: none
	Since   *time.Time `json:"alternative_since"`
	Why     string     `json:"evidence"`
	poll    time.Duration
	nts     bool // it uses NTS
}

// Loss is a means that the policy takes from a client.
type Loss struct {
	Means  string     `json:"means"`
	Reason string     `json:"reason"` // "stage", or what the gateway has against it anyway
	Group  string     `json:"group"`
	Stage  string     `json:"stage"`
	Deny   bool       `json:"deny"`
	Last   *time.Time `json:"last_used"`
}

// InTheWay tells whether somebody has to do something about the client before the
// policy comes.
func (r *Row) InTheWay() bool { return r.Outcome == Silent || r.Outcome == CannotTell }

// Row judges a client.
func (s *Simulation) Row(c *inventory.Client) Row {
	r := Row{Address: c.Name(), Program: programs(c), Loses: []Loss{}, Outcome: Unchanged}
	if l := s.label(c); l != nil {
		r.Label = l.String()
	}
	if s.away(c) {
		r.Outcome, r.Why = Away, fmt.Sprintf("not seen for %d days", (s.now-c.Last)/86400)
		return r
	}
	answered := false
	lost := -1 // that was used last
	for i := range c.Means {
		m := &c.Means[i]
		if !s.uses(c, m) {
			continue
		}
		r.poll = max(r.poll, m.Interval)
		r.nts = r.nts || m.Kind == ntp.KindNTS && m.Answered > 0
		if m.Answered == 0 {
			continue // it was refused before, and nothing is taken from it
		}
		answered = true
		fate, known := s.Fate(c, m)
		if !known {
			r.Outcome, r.Why = CannotTell, "its address is kept as a hash: which group it is in is not known"
			return r
		}
		if fate.Served {
			continue
		}
		r.Loses = append(r.Loses, loss(m, &fate))
		if lost < 0 || m.Last > c.Means[lost].Last {
			lost = i
		}
	}
	switch {
	case lost >= 0:
		s.judge(c, &r, lost)
	case !answered && len(c.Means) > 0:
		r.Outcome, r.Why = Refused, "it is not answered now"
	}
	return r
}

func loss(m *inventory.Means, f *Fate) Loss {
	l := Loss{Means: Named(m), Reason: inventory.ReasonName(f.Reason), Group: f.Group, Deny: f.Deny, Last: at(m.Last)}
	if f.Group != "" {
		l.Stage = f.Stage.String()
	}
	return l
}

// judge tells what a client does that loses a means.
func (s *Simulation) judge(c *inventory.Client, r *Row, lost int) {
	several := max(c.Hosts, c.Addresses, c.Estimate)
	if kept := s.kept(c, lost); kept != nil {
		r.By, r.Since = Named(kept), at(kept.First)
		if r.Outcome, r.Why = Continues, "it uses "+r.By+" already"; several > 1 {
			r.Outcome = CannotTell
			r.Why = fmt.Sprintf("%s is in use, but %d hosts or more are behind the address: it may be another's", r.By, several)
		} else if l := &c.Means[lost]; kept.First <= l.Last && !gate.OneHost(c, l, kept) {
			r.Outcome = CannotTell
			r.Why = fmt.Sprintf("%s is in use by %s at the same time as %s by %s: they may be two hosts", r.By, kept.Program, Named(l), l.Program)
		}
		return
	}
	j := silence.Judge(&silence.Case{Client: c, Now: s.now, Watched: s.watched, Ours: s.policy.Ours}, lost)
	switch r.Why = j.Verdict.String() + ": " + j.Evidence; {
	case several > 1:
		r.Outcome = CannotTell
		r.Why = fmt.Sprintf("%d hosts or more are behind the address", several)
	case j.Verdict.Alternative() && j.Certain:
		r.Outcome, r.Since = Elsewhere, at(j.Since)
	case j.Verdict == silence.SwitchedOff:
		r.Outcome = Away
	default:
		r.Outcome = Silent
	}
}

// kept returns a means that stays and that the client goes on with: one that is
// better than what it loses, or that it has used since.
func (s *Simulation) kept(c *inventory.Client, lost int) (kept *inventory.Means) {
	l := &c.Means[lost]
	than, legacy := plan.MeansOf(l.Kind)
	for i := range c.Means {
		m := &c.Means[i]
		if i == lost || m.Answered == 0 || m.Unanswered > 0 || !s.uses(c, m) {
			continue
		}
		if fate, known := s.Fate(c, m); !known || !fate.Served {
			continue
		}
		newer := m.First > l.Last
		if better := legacy && gate.Better(m, than) && !s.old(c, m); (newer || better) && (kept == nil || m.Last > kept.Last) {
			kept = m
		}
	}
	return kept
}

// old tells whether a client gave up a means while it went on asking.
func (s *Simulation) old(c *inventory.Client, m *inventory.Means) bool {
	return c.Last-min(c.Last, m.Last) > max(20*uint32(m.Interval/time.Second), 86400)
}

// Named is what people call a means.
func Named(m *inventory.Means) string {
	switch m.Kind {
	case ntp.KindSymmetric:
		return fmt.Sprintf("key %d", m.Key)
	case ntp.KindAutokey:
		return strings.TrimSpace("autokey " + m.Scheme.String())
	}
	return m.Kind.String()
}

// programs are those that the means show, that of the one used last first.
func programs(c *inventory.Client) string {
	best, last := "", uint32(0)
	for i := range c.Means {
		if m := &c.Means[i]; m.Program != "" && m.Last >= last {
			best, last = m.Program, m.Last
		}
	}
	return best
}
