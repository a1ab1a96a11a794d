package audit

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
)

// Report is where a migration stands.
type Report struct {
	Time     time.Time      `json:"time"`
	Plan     string         `json:"plan"`               // name, empty: none was declared
	Gateways []string       `json:"gateways,omitempty"` // that it is of; empty: one alone
	Notes    []string       `json:"notes,omitempty"`    // of what they told
	Declared steer.Declared `json:"declared"`
	Watched  Watched        `json:"watched"`
	History  History        `json:"history"`
	Means    []*Means       `json:"means"`
	Keys     []*Key         `json:"keys"`
}

// Key is what was done to a symmetric key, as the history has it.
type Key struct {
	ID     uint32    `json:"id"`
	What   string    `json:"what"` // key-rolled, key-retired, key-kept
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`
	Forced bool      `json:"forced,omitempty"`
	Why    string    `json:"why,omitempty"`
}

// Watched says for how long the report can speak.
type Watched struct {
	Since     time.Time `json:"since"` // without a gap; zero: not watching
	Gaps      []Gap     `json:"gaps"`  // before, and later than the first day
	Forgotten uint64    `json:"forgotten"`
}

// Gap is a time in which nobody watched.
type Gap struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// History says what the record of the migration is.
type History struct {
	Lines  uint64 `json:"lines"`
	Hash   string `json:"hash"`
	Broken string `json:"broken,omitempty"` // empty: the chain is whole
}

// Means is one legacy means of one group; Group is empty for clients of none.
type Means struct {
	Group     string         `json:"group"`
	Means     string         `json:"means"`
	Stage     string         `json:"stage,omitempty"`
	Since     time.Time      `json:"since,omitzero"`
	Target    string         `json:"target,omitempty"`
	Held      string         `json:"held,omitempty"`
	Clients   int            `json:"clients"`   // that ever used it, without those
	Using     int            `json:"using"`     // that asked by it in the last week; Refused of them get no answer
	Refused   int            `json:"refused"`   //
	Better    int            `json:"better"`    // of Clients, that have better means by now
	Protected int            `json:"protected"` // that the plan protects, and that used it
	Last      *Last          `json:"last,omitempty"`
	Left      bool           `json:"left"` // nobody uses it any more
	Evidence  string         `json:"evidence"`
	Steps     []*Step        `json:"steps"`
	Stands    []GatewayStage `json:"gateways,omitempty"` // where several are reported of
}

// Last is the last packet by a means.
type Last struct {
	Time    time.Time `json:"time"`
	Address string    `json:"address"`
	Program string    `json:"program,omitempty"`
}

// Step is a step as the history has it.
type Step struct {
	ID      uint32    `json:"id"`
	Gateway string    `json:"gateway,omitempty"` // where several are reported of
	Stage   string    `json:"stage"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended,omitzero"`
	Outcome string    `json:"outcome"` // passed, backed-out, ended, rolled-back, in force
	Who     string    `json:"who"`
	Forced  bool      `json:"forced,omitempty"`
	Why     string    `json:"why,omitempty"`
}

// stepKey tells steps of several gateways apart.
type stepKey struct {
	gateway string
	id      uint32
}

// Stand is where a means of a group stands on a gateway of a site.
type Stand struct{ Gateway, Group, Means, Stage string }

// GatewayStage is the same in a row of the report.
type GatewayStage struct {
	Gateway string `json:"gateway"`
	Stage   string `json:"stage"`
}

// Facts are what the report is made from, beside clients and history.
type Facts struct {
	Now      time.Time
	Status   *steer.Status   // nil: nothing was ever declared
	Resolver *stage.Resolver // nil: there is no plan
	Watched  []gate.Interval // in order
	Gateways []string        // of a site; none: one gateway alone
	Stands   []Stand         // of them
	Notes    []string
	Full     inventory.Full
}

// quietDays is for how long nobody may have asked by a means before it is said
// that all have left.
const quietDays = 7

// longestGap is the longest time in which the inventory may not have watched
// without the report saying so: a restart, an update.
const longestGap = time.Hour

// Builder takes clients and history in.
type Builder struct {
	facts  Facts
	now    uint32
	report Report
	since  uint32
	rows   map[[2]string]*Means
	steps  map[stepKey]*Step
	forced uint32 // key whose gate was forced last
}

// New begins a report.
func New(f *Facts) *Builder {
	b := &Builder{facts: *f, now: uint32(f.Now.Unix()), rows: map[[2]string]*Means{}, steps: map[stepKey]*Step{}}
	b.report.Gateways, b.report.Notes = f.Gateways, f.Notes
	b.report.Time, b.report.Keys = f.Now.UTC(), []*Key{}
	b.watched()
	if s := f.Status; s != nil {
		b.report.Plan, b.report.Declared = s.Plan, s.Declared
		for i := range s.Places {
			p := &s.Places[i]
			m := b.row(p.Group, p.Means)
			m.Stage, m.Since, m.Target, m.Held = p.Stage, p.Since, p.Target, p.Held
		}
	}
	for _, s := range f.Stands {
		m := b.row(s.Group, s.Means)
		m.Stands = append(m.Stands, GatewayStage{s.Gateway, s.Stage})
	}
	return b
}

func (b *Builder) watched() {
	w := b.facts.Watched
	b.since = gate.ContinuousSince(w, b.now, longestGap)
	if b.since != 0 {
		b.report.Watched.Since = unix(b.since)
	}
	for i := 1; i < len(w); i++ {
		if from, to := w[i-1].End, w[i].Start; to > from && time.Duration(to-from)*time.Second > longestGap {
			b.report.Watched.Gaps = append(b.report.Watched.Gaps, Gap{unix(from), unix(to)})
		}
	}
	b.report.Watched.Forgotten = b.facts.Full.Forgotten
}

func (b *Builder) row(group, means string) *Means {
	key := [2]string{group, means}
	m := b.rows[key]
	if m == nil {
		m = &Means{Group: group, Means: means, Steps: []*Step{}}
		b.rows[key] = m
	}
	return m
}

// Add takes a client of the inventory in.
func (b *Builder) Add(c *inventory.Client) {
	for i := range c.Means {
		m := &c.Means[i]
		if legacy, ok := plan.MeansOf(m.Kind); ok {
			b.add(c, m, legacy, b.firstOf(c, i, legacy))
		}
	}
}

// firstOf reports whether a means is the first of a client's that counts for
// its group, so that a client with three keys is one client.
func (b *Builder) firstOf(c *inventory.Client, at int, legacy plan.Means) bool {
	group := b.group(c, &c.Means[at], legacy)
	for i := range at {
		if k, ok := plan.MeansOf(c.Means[i].Kind); ok && k == legacy && b.group(c, &c.Means[i], k) == group {
			return false
		}
	}
	return true
}

func (b *Builder) group(c *inventory.Client, m *inventory.Means, legacy plan.Means) string {
	if b.facts.Resolver == nil || !c.Prefix.IsValid() {
		return ""
	}
	if g, _ := b.facts.Resolver.Member(c.Prefix, legacy, m.Key); g != nil {
		return g.Name
	}
	return ""
}

func (b *Builder) add(c *inventory.Client, m *inventory.Means, legacy plan.Means, first bool) {
	r := b.row(b.group(c, m, legacy), legacy.String())
	if b.facts.Resolver != nil && c.Prefix.IsValid() && b.facts.Resolver.Protected(c.Prefix, legacy, m.Key) {
		if first {
			r.Protected++
		}
		return
	}
	if last := unix(m.Last); r.Last == nil || last.After(r.Last.Time) {
		r.Last = &Last{last, c.Name(), m.Program}
	}
	if !first {
		return
	}
	r.Clients++
	if b.now-min(m.Last, b.now) < quietDays*86400 {
		r.Using++
		if m.Unanswered > 0 {
			r.Refused++
		}
	}
	if slices.ContainsFunc(c.Means, func(o inventory.Means) bool { return gate.Better(&o, legacy) && o.Last > m.First }) {
		r.Better++
	}
}

// Entry takes a line of the history in.
func (b *Builder) Entry(e *history.Entry) {
	if e.Key != 0 {
		b.key(e)
		return
	}
	if e.Step == 0 {
		return
	}
	at := stepKey{e.Gateway, e.Step}
	s := b.steps[at]
	switch e.What {
	case history.Began, history.Forced, history.Warned:
		if s == nil {
			s = &Step{ID: e.Step, Gateway: e.Gateway, Stage: e.Stage, Began: e.Time, Outcome: "in force", Who: e.Who}
			b.steps[at] = s
			r := b.row(e.Group, e.Means)
			r.Steps = append(r.Steps, s)
		}
		s.Forced = s.Forced || e.What == history.Forced
		if e.Why != "" {
			s.Why = e.Why
		}
	case history.Passed, history.BackedOut, history.Ended, history.RolledBack:
		if s != nil {
			s.Ended, s.Outcome = e.Time, e.What
			if e.Why != "" {
				s.Why = e.Why
			}
		}
	}
}

func (b *Builder) key(e *history.Entry) {
	switch e.What {
	case history.Forced:
		b.forced = e.Key
	case history.KeyRolled, history.KeyRetired, history.KeyKept:
		k := &Key{ID: e.Key, What: e.What, Time: e.Time, Who: e.Who, Why: e.Why, Forced: b.forced == e.Key}
		b.report.Keys = append(b.report.Keys, k)
		b.forced = 0
	}
}

// Report ends the report. broken is why the history cannot be trusted, nil if
// it can.
func (b *Builder) Report(end history.End, broken error) *Report {
	b.report.History = History{Lines: end.Lines, Hash: end.Hash}
	if broken != nil {
		b.report.History.Broken = broken.Error()
	}
	for _, m := range b.rows {
		b.judge(m)
		b.report.Means = append(b.report.Means, m)
	}
	slices.SortFunc(b.report.Means, func(x, y *Means) int {
		return cmp.Or(cmp.Compare(b2i(x.Group == ""), b2i(y.Group == "")), cmp.Compare(x.Group, y.Group), cmp.Compare(x.Means, y.Means))
	})
	return &b.report
}

// judge says whether the last client has left, and by what evidence.
func (b *Builder) judge(m *Means) {
	if m.Last == nil {
		m.Evidence = "nobody was ever seen with it"
		switch {
		case b.since == 0:
			m.Evidence += ", but the inventory is not watching"
		case b.now-b.since < quietDays*86400:
			m.Evidence += fmt.Sprintf(", but without a gap it was watched only since %s, less than %d days", date(unix(b.since)), quietDays)
		default:
			m.Left = true
			m.Evidence += fmt.Sprintf("; watched without a gap since %s", date(unix(b.since)))
		}
		return
	}
	quiet := b.facts.Now.Sub(m.Last.Time)
	words := fmt.Sprintf("the last packet came %s from %s", date(m.Last.Time), m.Last.Address)
	switch {
	case m.Using > 0 && m.Refused == m.Using:
		m.Evidence = fmt.Sprintf("%d clients ask still, and are not answered; %s", m.Using, words)
	case m.Using > 0:
		m.Evidence = fmt.Sprintf("%d clients used it in the last %d days; %s", m.Using, quietDays, words)
	case quiet < quietDays*24*time.Hour:
		m.Evidence = fmt.Sprintf("%s, less than %d days ago", words, quietDays)
	case b.since == 0:
		m.Evidence = words + "; but the inventory is not watching"
	case unix(b.since).After(m.Last.Time.Add(longestGap)):
		m.Evidence = fmt.Sprintf("%s; nothing since, but without a gap it was watched only since %s", words, date(unix(b.since)))
	case int64(b.facts.Full.LastForgotten) > m.Last.Time.Unix():
		m.Evidence = words + "; nothing since, but the inventory forgot clients for want of room in that time"
	default:
		m.Left = true
		m.Evidence = fmt.Sprintf("%s; nothing since, watched without a gap since %s", words, date(unix(b.since)))
	}
}

func unix(t uint32) time.Time { return time.Unix(int64(t), 0).UTC() }

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
