package plan

import (
	"fmt"
	"slices"
	"time"
)

// ProvesUpTo returns the longest poll interval about whose clients a refusal of
// this length proves something.
func ProvesUpTo(long time.Duration) time.Duration { return long / LeastPolls }

// Cover is the share of a group's clients for which a length in polls is made
// long enough; the rest polls so seldom that they would make it last for days.
const Cover = 0.95

// Timing is what a length means for the clients of a group.
type Timing struct {
	Poll  time.Duration // interval that polls are counted in
	Time  time.Duration // how long clients are refused
	Watch time.Duration // and watched afterwards
	Polls float64       // Time in Poll
	Share float64       // of the clients about which it can prove something
}

// Whole is how long a step with this timing takes.
func (t *Timing) Whole() time.Duration { return t.Time + t.Watch }

// DefaultPoll is taken for clients whose interval is not known: ntpd's largest
// by default, 2^10 s.
const DefaultPoll = 1024 * time.Second

// For turns a length into time. polls are the intervals of the clients that
// are to be refused, 0 for one that is not known; none at all counts as one
// that is not known. atMost bounds it, 0: not bounded.
func (l Length) For(polls []time.Duration, atMost time.Duration) Timing {
	sorted := make([]time.Duration, 0, max(1, len(polls)))
	for _, p := range polls {
		if p <= 0 {
			p = DefaultPoll
		}
		sorted = append(sorted, p)
	}
	if len(sorted) == 0 {
		sorted = append(sorted, DefaultPoll)
	}
	slices.Sort(sorted)
	t := Timing{Poll: sorted[min(len(sorted)-1, int(Cover*float64(len(sorted))))]}
	if t.Time = l.Time; l.Polls > 0 {
		t.Time = time.Duration(l.Polls) * t.Poll
	}
	if atMost > 0 {
		t.Time = min(t.Time, atMost)
	}
	t.Watch = WatchPolls * t.Poll
	t.Polls = float64(t.Time) / float64(t.Poll)
	proved := 0
	for proved < len(sorted) && sorted[proved] <= ProvesUpTo(t.Time) {
		proved++
	}
	t.Share = float64(proved) / float64(len(sorted))
	return t
}

// String returns a length as plans have it.
func (l Length) String() string {
	if l.Polls > 0 {
		return fmt.Sprintf("%d polls", l.Polls)
	}
	return l.Time.String()
}

// Lengths returns what the steps of a group refuse for, canary first.
func (g *Group) Lengths() []Length {
	return append([]Length{{Polls: g.Canary.Polls}}, g.BrownOut.Lengths...)
}

// Prove says what each length of each group can prove, given the poll intervals
// of the clients that it would refuse by each means, and how many of them would
// not show that they are hurt.
func (p *Plan) Prove(file string, polls func(g *Group, m Means) (list []time.Duration, mute int)) Findings {
	r := &reader{file: file}
	for i, g := range p.Groups {
		for m := range Means(MeansCount) {
			if g.Targets[m].Stage < BrownOutRefusal {
				continue
			}
			list, mute := polls(g, m)
			if len(list) == 0 {
				r.warn(g.Line, fmt.Sprintf("groups[%d]", i), "%s: no client uses %v now", g.Name, m)
				continue
			}
			if mute > 0 && g.Gates.AnotherServer == AnotherOfNone {
				r.warn(g.Line, fmt.Sprintf("groups[%d].gates.another_server", i), "%d of %d clients by %v would not show that they are hurt (chrony, ntpsec, "+
					"SNTP): canary and brown-out prove of them that they come back, and no more; `another_server: mute` asks of them that they have "+
					"another server", mute, len(list), m)
			}
			for k, l := range g.BrownOut.Lengths {
				r.prove(g, l, l.For(list, g.BrownOut.AtMost), fmt.Sprintf("groups[%d].brown_out.lengths[%d]", i, k), &p.Windows)
			}
		}
	}
	return r.findings.sorted()
}

func (r *reader) prove(g *Group, l Length, t Timing, path string, w *Windows) {
	line := l.Line
	if line == 0 {
		line = g.Line
	}
	if t.Share < Cover {
		r.warn(line, path, "%v is %.1f polls of %v: it can prove something about %.0f%% of the clients of %s; `%d polls` without at_most would about %.0f%%",
			l, t.Polls, t.Poll, t.Share*100, g.Name, LeastPolls, Cover*100)
	}
	if long := w.Longest(); long > 0 && t.Whole() > long {
		r.fail(line, path, "%v and the watch of %d polls after it take %v, and the windows are %v long: longer hours, or fewer polls", l, WatchPolls,
			t.Whole(), long)
	}
}
