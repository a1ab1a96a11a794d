package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/ntp"
)

// Summary is hosts by their best and their worst means, now and at times before.
type Summary struct {
	At        Time              `json:"at"`
	Clients   int               `json:"clients"` // rows
	Capacity  int               `json:"capacity"`
	Watched   Time              `json:"watched_since"` // when watching began
	Gaps      []Gap             `json:"gaps"`          // of the last 30 days
	Full      inventory.Full    `json:"full"`
	Lost      uint64            `json:"lost_packets"` // that the inventory had no time or room to look at, since the start
	Groups    []Group           `json:"groups"`       // the first is all clients
	Since     map[string]Time   `json:"since"`        // what day, week and month are compared with; null: nothing is known
	Notes     []string          `json:"notes"`        // what must be known before the figures are believed
	by        map[string]*Group // by name
	moments   [len(Moments)]uint32
	labels    *label.Set // clients are grouped by; nil: by labelName
	labelled  map[*label.Label]*Group
	labelName func(*inventory.Client) string
	past      [len(Moments)]*Snapshot // nil: derived from what each client used when
	byLabel   bool
}

// Gap is a stretch of time that nobody watched.
type Gap struct {
	From Time `json:"from"`
	To   Time `json:"to"`
}

// Moments are the times of the columns, before now.
var Moments = [4]time.Duration{0, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour}

// momentNames are what JSON calls them.
var momentNames = [4]string{"now", "day", "week", "month"}

// Group is the clients of one label or prefix.
type Group struct {
	Name  string                    `json:"name"`
	Best  map[string]map[string]int `json:"best"`  // class: moment: clients
	Worst map[string]map[string]int `json:"worst"` // the same by the worst means
	best  tally
	worst tally
}

// tally counts clients by place in classOrder and moment, for Finish to put into
// the maps: a site has a million of them.
type tally [5][len(Moments)]int

func (t *tally) into(m map[string]map[string]int) {
	for class := range t {
		for moment, n := range t[class] {
			if n > 0 {
				add(m, classOrder[class], momentNames[moment], n)
			}
		}
	}
	*t = tally{}
}

// NewSummary begins a summary. By says how clients are grouped: "label", or the
// length of an IPv4 and an IPv6 prefix such as "24,48".
func NewSummary(now time.Time, by string, n *Names) (*Summary, error) {
	s := &Summary{At: Time(now.Unix()), by: make(map[string]*Group), Groups: nil}
	for i, d := range Moments {
		s.moments[i] = uint32(now.Add(-d).Unix())
	}
	switch v4, v6, ok := parseLengths(by); {
	case by == "" || by == "label":
		s.byLabel, s.labels, s.labelled = true, n.Labels, map[*label.Label]*Group{}
	case ok:
		s.labelName = func(c *inventory.Client) string {
			if !c.Prefix.IsValid() {
				return "(hashed)"
			}
			length := v6
			if c.Prefix.Addr().Is4() {
				length = v4
			}
			p, _ := c.Prefix.Addr().Prefix(min(length, c.Prefix.Bits()))
			return p.String()
		}
	default:
		return nil, fmt.Errorf("%q is no way to group: label, or two lengths of prefixes such as 24,48", by)
	}
	return s, nil
}

func parseLengths(s string) (v4, v6 int, ok bool) {
	n, err := fmt.Sscanf(s, "%d,%d", &v4, &v6)
	return v4, v6, n == 2 && err == nil && v4 >= 0 && v4 <= 32 && v6 >= 0 && v6 <= 128
}

// Add takes a client.
func (s *Summary) Add(c *inventory.Client) {
	s.Clients++
	all, own := s.group("all"), s.groupOf(c)
	for i, at := range s.moments {
		if s.past[i] != nil {
			continue
		}
		best, worst, seen := classesAt(c, at)
		if !seen {
			continue
		}
		for _, g := range []*Group{all, own} {
			g.best[best][i]++
			g.worst[worst][i]++
		}
	}
}

// classOf is the place in classOrder of a means that was answered.
func classOf(k ntp.Kind) int {
	switch k {
	case ntp.KindNTS:
		return 4
	case ntp.KindSymmetric:
		return 3
	case ntp.KindAutokey:
		return 2
	}
	return 1
}

// classesAt returns a client's best and worst means at a moment, by classOrder:
// those that it was answered by both before and after the moment, or in the week
// before it. A client that only was refused counts as such.
func classesAt(c *inventory.Client, at uint32) (best, worst int, seen bool) {
	lo, hi := len(classOrder), -1
	for i := range c.Means {
		m := &c.Means[i]
		if m.First > at || m.Last+classSpan < at {
			continue
		}
		class := 0
		if m.Answered > 0 {
			class = classOf(m.Kind)
		}
		lo, hi = min(lo, class), max(hi, class)
	}
	if hi < 0 {
		return 0, 0, false
	}
	if lo == 0 && hi > 0 { // what was refused does not count beside what was answered
		lo = hi
		for i := range c.Means {
			if m := &c.Means[i]; m.Answered > 0 && m.First <= at && m.Last+classSpan >= at {
				lo = min(lo, classOf(m.Kind))
			}
		}
	}
	return hi, lo, true
}

func add(m map[string]map[string]int, class, moment string, n int) {
	if m[class] == nil {
		m[class] = make(map[string]int)
	}
	m[class][moment] += n
}

// groupOf returns the group of a client.
func (s *Summary) groupOf(c *inventory.Client) *Group {
	if !s.byLabel {
		return s.group(s.labelName(c))
	}
	l := s.labels.Lookup(c.Prefix)
	g := s.labelled[l]
	if g == nil {
		name := "(no label)"
		if l != nil {
			name = l.String()
		}
		g = s.group(name)
		s.labelled[l] = g
	}
	return g
}

func (s *Summary) group(name string) *Group {
	g := s.by[name]
	if g == nil {
		g = &Group{Name: name, Best: make(map[string]map[string]int), Worst: make(map[string]map[string]int)}
		s.by[name] = g
	}
	return g
}

// Finish puts the groups in order, "all" first, and notes what limits the
// figures.
func (s *Summary) Finish() *Summary {
	s.group("all")
	for _, g := range s.by {
		g.best.into(g.Best)
		g.worst.into(g.Worst)
	}
	s.compare()
	for _, g := range s.by {
		s.Groups = append(s.Groups, *g)
	}
	slices.SortFunc(s.Groups, func(a, b Group) int {
		switch {
		case a.Name == "all":
			return -1
		case b.Name == "all":
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	s.Notes = []string{}
	for i, d := range Moments[1:] {
		if s.Since[momentNames[i+1]] == 0 {
			s.Notes = append(s.Notes, fmt.Sprintf("nothing is known of %s ago: watching began %s", days(d), s.Watched))
			break
		}
	}
	for _, g := range s.Gaps {
		s.Notes = append(s.Notes, fmt.Sprintf("nobody watched from %s to %s", g.From, g.To))
	}
	if s.Full.Forgotten > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d clients were forgotten for want of room, the last one %s: raise fleet.clients",
			s.Full.Forgotten, Time(s.Full.LastForgotten)))
	}
	if n := s.Full.Strangers + s.Full.Probation; n > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d packets of strangers found no room; some of them may be clients: raise fleet.clients", n))
	}
	if s.Lost > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%d packets came faster than they could be looked at", s.Lost))
	}
	return s
}

func days(d time.Duration) string {
	if d == 24*time.Hour {
		return "a day"
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}

// compare puts the days that were kept into their columns, and says what each
// column is compared with.
func (s *Summary) compare() {
	s.Since = make(map[string]Time)
	for i, at := range s.moments {
		if i == 0 {
			continue
		}
		name, past := momentNames[i], s.past[i]
		switch {
		case past != nil:
			s.Since[name] = past.At
		case uint32(s.Watched) <= at:
			s.Since[name] = Time(at)
		default:
			s.Since[name] = 0
		}
		if past == nil {
			continue
		}
		for group, counts := range past.Groups {
			g := s.group(group)
			for class, n := range counts.Best {
				add(g.Best, class, name, n)
			}
			for class, n := range counts.Worst {
				add(g.Worst, class, name, n)
			}
		}
	}
}

// WriteSummary writes a table per group: classes of means, clients now, and the
// change since a day, a week and a month.
func WriteSummary(w io.Writer, s *Summary, groups bool) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "Hosts\tby\tnow\tday\tweek\tmonth")
	for i := range s.Groups {
		if i > 0 && !groups {
			break
		}
		g := &s.Groups[i]
		for _, side := range []struct {
			name   string
			counts map[string]map[string]int
		}{{"best", g.Best}, {"worst", g.Worst}} {
			for _, class := range slices.Backward(classOrder) {
				n := side.counts[class]
				if n == nil {
					continue
				}
				fmt.Fprintf(t, "%s\t%s %s\t%d", g.Name, side.name, class, n["now"])
				for _, m := range momentNames[1:] {
					if s.Since[m] == 0 {
						fmt.Fprint(t, "\t?")
					} else {
						fmt.Fprintf(t, "\t%+d", n["now"]-n[m])
					}
				}
				fmt.Fprintln(t)
			}
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range s.Notes {
		if _, err := fmt.Fprintln(w, "Note:", n); err != nil {
			return err
		}
	}
	return nil
}
