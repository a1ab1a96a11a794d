package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Change is one difference between two plans.
type Change struct {
	Group string // empty: of the whole plan
	What  string // option, such as stages.symmetric
	From  string
	To    string
	// Refuses tells that clients may be refused that could not before, or
	// sooner, or with less care.
	Refuses bool
}

// String returns a line for people.
func (c Change) String() string {
	s := c.What
	if c.Group != "" {
		s = c.Group + ": " + s
	}
	switch {
	case c.From == "":
		s = "+ " + s + ": " + c.To
	case c.To == "":
		s = "- " + s + ": " + c.From
	default:
		s = "~ " + s + ": " + c.From + " -> " + c.To
	}
	if c.Refuses {
		s += "   (may refuse more)"
	}
	return s
}

// Diff tells what changes from one plan to the next; old may be nil.
func Diff(old, next *Plan) (list []Change) {
	if old == nil {
		old = &Plan{}
	}
	d := differ{list: &list}
	d.text("advance", advance(old), advance(next), next.Automatic && !old.Automatic)
	d.text("windows", old.Windows.String(), next.Windows.String(), !old.Windows.always())
	d.text("protected", protectedText(old), protectedText(next), fewer(old.Protected, next.Protected))
	d.text("notify", strings.Join(append(slices.Clone(old.Notify.Command), old.Notify.Webhook), " "),
		strings.Join(append(slices.Clone(next.Notify.Command), next.Notify.Webhook), " "), false)
	for _, g := range old.Groups {
		if next.Group(g.Name) == nil {
			list = append(list, Change{Group: g.Name, What: "group", From: g.Selector.String()})
		}
	}
	for _, g := range next.Groups {
		d.group(old.Group(g.Name), g)
	}
	return list
}

// differ collects changes.
type differ struct {
	list  *[]Change
	name  string
	fresh bool // the group is new
}

func (d *differ) text(what, from, to string, refuses bool) {
	if from != to {
		*d.list = append(*d.list, Change{d.name, what, strings.TrimSpace(from), strings.TrimSpace(to), refuses})
	}
}

func (d differ) group(old, next *Group) {
	d.name = next.Name
	if old == nil {
		old, d.fresh = &Group{}, true
		d.text("group", "", next.Selector.String(), false)
	} else {
		d.text("group", old.Selector.String(), next.Selector.String(), true)
	}
	for m := range Means(MeansCount) {
		from, to := &old.Targets[m], &next.Targets[m]
		d.text("stages."+m.String(), d.of(from.String()), to.String(), to.Stage > from.Stage || to.Stage == from.Stage && to.NotBefore.Before(from.NotBefore))
		if from.Deny != to.Deny {
			d.text("stages."+m.String()+".deny", fmt.Sprint(from.Deny), fmt.Sprint(to.Deny), to.Deny)
		}
	}
	if d.fresh {
		return
	}
	d.text("canary", old.Canary.String(), next.Canary.String(), next.Canary.Share > old.Canary.Share || next.Canary.Max > old.Canary.Max)
	d.text("brown_out", old.BrownOut.String(), next.BrownOut.String(), false)
	d.text("back_out", old.BackOut.String(), next.BackOut.String(), next.BackOut.Others > old.BackOut.Others ||
		next.BackOut.Protected > old.BackOut.Protected || next.BackOut.SilentPolls > old.BackOut.SilentPolls)
	d.text("gates", old.Gates.String(), next.Gates.String(), old.Gates.Weaker(&next.Gates))
}

// of hides what a group had that was not there.
func (d *differ) of(s string) string {
	if d.fresh {
		return ""
	}
	return s
}

func advance(p *Plan) string {
	if p.Automatic {
		return "automatic"
	}
	return "manual"
}

// String returns what selects, on one line.
func (s *Selector) String() string {
	var parts []string
	for _, p := range s.Prefixes {
		parts = append(parts, p.String())
	}
	for _, l := range s.Labels {
		parts = append(parts, "label "+l)
	}
	for _, k := range s.Keys {
		parts = append(parts, fmt.Sprintf("key %d", k))
	}
	for _, a := range s.AutokeyGroups {
		parts = append(parts, "Autokey group "+a)
	}
	return strings.Join(parts, ", ")
}

// String returns stage and date.
func (t *Target) String() string {
	if t.Line == 0 {
		return ""
	}
	if t.NotBefore.IsZero() {
		return t.Stage.String()
	}
	return t.Stage.String() + ", not before " + t.NotBefore.UTC().Format(time.RFC3339)
}

func (c Canary) String() string {
	return fmt.Sprintf("%g%%, at most %d clients, %d polls", c.Share*100, c.Max, c.Polls)
}

func (b BrownOut) String() string {
	var parts []string
	for _, l := range b.Lengths {
		parts = append(parts, l.String())
	}
	s := strings.Join(parts, ", ")
	if b.AtMost > 0 {
		s += ", at most " + b.AtMost.String()
	}
	return s
}

func (b BackOut) String() string {
	return fmt.Sprintf("silent for %d polls; protected %d, others %g%%", b.SilentPolls, b.Protected, b.Others*100)
}

func (g *Gates) String() string {
	return fmt.Sprintf("better means %g%% for %d days; quiet %d days; watched %d days, gaps up to %v; no forgotten %v; another server %v; NTS-KE %gx, certificate %d days",
		g.BetterShare*100, g.BetterDays, g.QuietDays, g.WatchedDays, g.LongestGap, g.NoForgotten, g.AnotherServer, g.KEHeadroom,
		g.CertificateDays)
}

// Weaker tells whether other asks for less.
func (g *Gates) Weaker(other *Gates) bool {
	return other.BetterShare < g.BetterShare || other.BetterDays < g.BetterDays || other.QuietDays < g.QuietDays ||
		other.WatchedDays < g.WatchedDays || other.LongestGap > g.LongestGap || g.NoForgotten && !other.NoForgotten ||
		other.AnotherServer < g.AnotherServer || other.KEHeadroom < g.KEHeadroom || other.CertificateDays < g.CertificateDays
}

// String returns windows on one line.
func (w *Windows) String() string {
	if w.always() {
		return "always"
	}
	var parts []string
	for i, d := range w.Days {
		if d {
			parts = append(parts, dayNames[i])
		}
	}
	if w.From != 0 || w.To != 0 {
		parts = append(parts, fmt.Sprintf("%02d:%02d-%02d:%02d %v", w.From/60, w.From%60, w.To/60, w.To%60, w.zone()))
	}
	for _, f := range w.Freezes {
		parts = append(parts, "frozen "+f.From.UTC().Format(time.RFC3339)+" to "+f.To.UTC().Format(time.RFC3339))
	}
	return strings.Join(parts, ", ")
}

func protectedText(p *Plan) string {
	var parts []string
	for i := range p.Protected {
		parts = append(parts, p.Protected[i].Selector.String())
	}
	return strings.Join(parts, "; ")
}

// fewer tells whether something of old is not protected in next any more, by
// its text.
func fewer(old, next []Protected) bool {
	for i := range old {
		if !slices.ContainsFunc(next, func(p Protected) bool { return p.Selector.String() == old[i].Selector.String() }) {
			return true
		}
	}
	return false
}
