package plan

import (
	"fmt"
	"strings"
	"time"
)

// LeastPolls is from how many unanswered polls on a silence proves something:
// no client of 27 that were tried shows anything before eight.
const LeastPolls = 10

// WatchPolls is how long clients are watched after a step that ended.
const WatchPolls = 12

// DenyEffects says what the kiss code DENY does to whom, as it was seen.
const DenyEffects = "ntpd-rs without NTS stops asking until somebody restarts it; systemd-timesyncd goes to its next server for good, " +
	"if it has one; openntpd stays away for 50 to 55 minutes; ntpd, chrony, ntpsec and busybox ask on as if there were silence"

// check looks at what the parts of a plan mean together.
func (r *reader) check(p *Plan) {
	names := map[string]int{}
	for i, g := range p.Groups {
		path := fmt.Sprintf("groups[%d]", i)
		r.checkName(g, path, names)
		r.checkReach(g, path)
		for m := range MeansCount {
			r.checkTarget(g, Means(m), path+".stages."+Means(m).String())
		}
		r.checkLengths(g, path, &p.Windows)
		if g.BackOut.SilentPolls < 4 {
			r.fail(g.Line, path+".back_out.silent_polls", "must be at least 4: ntpd with iburst asks after one, one and two of its polls")
		}
	}
	r.checkOverlaps(p)
	for i := range p.Protected {
		e := &p.Protected[i]
		if e.Everywhere() && len(e.Keys)+len(e.AutokeyGroups) == 0 {
			r.fail(e.Line, fmt.Sprintf("protected[%d]", i), "says nothing of whom: it needs prefixes, labels, keys or autokey_groups")
		}
	}
	if p.Automatic && p.Windows.always() {
		r.warn(0, "advance", "automatic, and without windows: steps may begin at any hour; windows: {days: ..., hours: ...} bounds them")
	}
}

func (r *reader) checkName(g *Group, path string, names map[string]int) {
	switch {
	case g.Name == "":
		r.fail(g.Line, path, "needs a name")
	case strings.ContainsAny(g.Name, " \t/\"'") || strings.HasPrefix(g.Name, "-"):
		r.fail(g.Line, path+".name", "%q: a name has no spaces, quotes or slashes, and does not begin with -", short(g.Name))
	case names[g.Name] > 0:
		r.fail(g.Line, path+".name", "%q is the name of the group in line %d already", g.Name, names[g.Name])
	}
	names[g.Name] = g.Line
}

// checkReach looks for means that a group says something of, but has nobody.
func (r *reader) checkReach(g *Group, path string) {
	if g.Everywhere() && len(g.Keys)+len(g.AutokeyGroups) == 0 {
		r.fail(g.Line, path, "says nothing of whom: it needs prefixes, labels, keys or autokey_groups; everybody is prefixes: [0.0.0.0/0, \"::/0\"]")
		return
	}
	named := [MeansCount]bool{Symmetric: len(g.Keys) > 0, Autokey: len(g.AutokeyGroups) > 0}
	any := false
	for m := range MeansCount {
		t := &g.Targets[m]
		any = any || t.Line > 0
		if t.Stage != Observe && g.Everywhere() && !named[m] {
			r.fail(t.Line, path+".stages."+Means(m).String(), "the group names neither prefixes nor labels, so it has nobody by these means; add prefixes")
		}
	}
	if !any {
		r.fail(g.Line, path+".stages", "is missing: which means is to reach which stage, such as {symmetric: refuse}")
	}
}

func (r *reader) checkTarget(g *Group, m Means, path string) {
	t := &g.Targets[m]
	if !t.Deny {
		return
	}
	if t.Stage != Removed {
		r.fail(t.Line, path+".deny", "DENY is for the stage removed alone; before, refusal is silence, since a client that gets a kiss may be lost: %s", DenyEffects)
		return
	}
	r.warn(t.Line, path+".deny", "%s", DenyEffects)
}

// checkLengths looks at canary and brown-outs.
func (r *reader) checkLengths(g *Group, path string, w *Windows) {
	if !g.reaches(CanaryRefusal) {
		return
	}
	if g.Canary.Polls < LeastPolls {
		r.fail(g.Line, path+".canary.polls", "%d polls prove nothing: no client shows anything before 8 unanswered requests; write at least %d",
			g.Canary.Polls, LeastPolls)
	}
	if !g.reaches(BrownOutRefusal) {
		return
	}
	if len(g.BrownOut.Lengths) == 0 {
		r.fail(g.Line, path+".brown_out.lengths", "must not be empty: a refusal that was never tried ends by hurting somebody for good")
	}
	for i, l := range g.BrownOut.Lengths {
		at := fmt.Sprintf("%s.brown_out.lengths[%d]", path, i)
		line := max(l.Line, 0)
		if line == 0 {
			line = g.Line
		}
		switch {
		case l.Polls > 0 && l.Polls < LeastPolls:
			r.fail(line, at, "%d polls prove nothing: no client shows anything before 8 unanswered requests; write at least %d polls", l.Polls, LeastPolls)
		case l.Time > 0 && ProvesUpTo(l.Time) < time.Second:
			r.fail(line, at, "%v is less than %d polls of any client; write %d polls", l.Time, LeastPolls, LeastPolls)
		case l.Time > 0:
			r.warn(line, at, "%v is %d polls of a client that asks every %v, and proves nothing about those that ask less often; `%d polls` fits each",
				l.Time, LeastPolls, ProvesUpTo(l.Time).Round(time.Second), LeastPolls)
		}
		if i > 0 && shorter(l, g.BrownOut.Lengths[i-1]) {
			r.warn(line, at, "is shorter than the one before: lengths should grow")
		}
		if long := w.Longest(); l.Time > 0 && long > 0 && l.Time > long {
			r.fail(line, at, "%v does not fit into the windows, which are %v long", l.Time, long)
		}
	}
}

func shorter(a, b Length) bool {
	return a.Polls > 0 && b.Polls > 0 && a.Polls < b.Polls || a.Time > 0 && b.Time > 0 && a.Time < b.Time
}

func (g *Group) reaches(s Stage) bool {
	for i := range g.Targets {
		if g.Targets[i].Stage >= s {
			return true
		}
	}
	return false
}
