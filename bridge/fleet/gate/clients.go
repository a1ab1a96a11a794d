package gate

import (
	"fmt"
	"math"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/silence"
	"ntsbridge/bridge/ntp"
)

// awayDays is for how long a client must not have been seen, beyond what its
// group's gates ask for, to be no part of the share any more.
const awayDays = 7

// Add takes a row of the inventory. Rows of other groups change nothing.
func (e *Evaluation) Add(c *inventory.Client) {
	member, protected := e.facts.Member(c)
	if !member {
		return
	}
	old := e.legacy(c)
	if protected {
		return // it is never refused, whatever it uses
	}
	if c.Last < e.days(max(e.step.Group.Gates.BetterDays, awayDays)) {
		e.away++
	} else {
		e.share(c, old)
	}
	if old < 0 {
		return
	}
	m := &c.Means[old]
	if last := e.lastUse(c); last > e.days(e.step.Group.Gates.QuietDays) {
		e.quiet.add(c, func() string { return fmt.Sprintf("used it %v ago", e.ago(last)) })
	}
	if e.facts.Refuses(c, m) {
		e.refuse(c, old)
	}
}

// legacy returns the place of the means that the step takes away, the one used
// last, of this gateway before those that only others saw; -1 if the client has
// none.
func (e *Evaluation) legacy(c *inventory.Client) int {
	at := -1
	for i := range c.Means {
		m := &c.Means[i]
		if e.facts.Uses(c, m) && (at < 0 || c.Means[at].Away && !m.Away || c.Means[at].Away == m.Away && m.Last > c.Means[at].Last) {
			at = i
		}
	}
	return at
}

// lastUse is when a client used a means last that the step takes away, on any
// gateway.
func (e *Evaluation) lastUse(c *inventory.Client) (last uint32) {
	for i := range c.Means {
		if m := &c.Means[i]; e.facts.Uses(c, m) {
			last = max(last, m.Last)
		}
	}
	return last
}

// share counts a client for the share of better means.
func (e *Evaluation) share(c *inventory.Client, old int) {
	e.members++
	why, better := notSeen, (*inventory.Means)(nil)
	for i := range c.Means {
		m := &c.Means[i]
		if i == old || !Better(m, e.step.Means) {
			continue
		}
		switch {
		case m.First > e.days(e.step.Group.Gates.BetterDays):
			why, better = tooNew, m
		case e.stale(c, m):
			why, better = tooOld, m
		case old >= 0 && !e.stale(c, &c.Means[old]) && !OneHost(c, &c.Means[old], m):
			why, better = otherHost, m
		default:
			e.better++
			return
		}
	}
	e.worse.add(c, func() string {
		switch why {
		case tooNew:
			return fmt.Sprintf("%v for %v only", better.Kind, e.ago(better.First))
		case tooOld:
			return fmt.Sprintf("%v was last seen %v ago", better.Kind, e.ago(better.Last))
		case otherHost:
			return fmt.Sprintf("%v is in use beside %v, but may be another host's behind the address", better.Kind, c.Means[old].Kind)
		}
		return "no better means was seen"
	})
}

// Why a client has no better means, as its last one tells.
const (
	notSeen = iota
	tooNew
	tooOld
	otherHost
)

// stale reports whether a means is not in use any more while the client is.
func (e *Evaluation) stale(c *inventory.Client, m *inventory.Means) bool {
	limit := max(20*uint32(m.Interval/time.Second), 86400)
	return c.Last > m.Last && c.Last-m.Last > limit
}

// refuse takes a client that the step refuses.
func (e *Evaluation) refuse(c *inventory.Client, old int) {
	e.refused++
	e.exchanges += exchanges(c)
	mute := !silence.Shows(c, old)
	if !mute && e.step.Group.Gates.AnotherServer == plan.AnotherOfMute {
		return
	}
	e.asked++
	if e.facts.Elsewhere != nil && c.Prefix.IsValid() && e.facts.Elsewhere(c.Prefix) {
		return
	}
	judged := silence.Case{Client: c, Now: e.now, Watched: e.watchedSince, Ours: e.facts.Ours}
	if judged.Watched == 0 {
		judged.Watched = e.now // nobody watched: no silence is known
	}
	if e.facts.Refused != nil {
		judged.Refused = e.facts.Refused(c, &c.Means[old])
	}
	switch j := silence.Judge(&judged, old); {
	case j.Verdict.Alternative() && j.Certain, j.Verdict == silence.SwitchedOff:
	case e.inUse(c, old):
	default:
		e.alone.add(c, func() string {
			if mute {
				return fmt.Sprintf("%v: %s; it would not show that it is hurt", j.Verdict, j.Evidence)
			}
			return fmt.Sprintf("%v: %s", j.Verdict, j.Evidence)
		})
	}
}

// inUse reports whether a better means is in use beside the old one.
func (e *Evaluation) inUse(c *inventory.Client, old int) bool {
	if c.Hosts > 1 || c.Addresses > 1 {
		return false // it may be another host's
	}
	gone := e.stale(c, &c.Means[old])
	for i := range c.Means {
		m := &c.Means[i]
		if i != old && Better(m, e.step.Means) && m.Unanswered == 0 && !e.stale(c, m) && (gone || OneHost(c, &c.Means[old], m)) {
			return true
		}
	}
	return false
}

// OneHost tells whether two means that are in use at the same time seem to be of
// one host: nothing shows that there are several behind the address, and no two
// programs ask.
func OneHost(c *inventory.Client, a, b *inventory.Means) bool {
	return max(c.Hosts, c.Addresses, c.Estimate) <= 1 && (a.Program == "" || b.Program == "" || a.Program == b.Program)
}

// Better reports whether a means that a client proved is better than a legacy
// one: NTS than any, a symmetric key than none and Autokey.
func Better(m *inventory.Means, than plan.Means) bool {
	if !m.Proved || m.Answered == 0 {
		return false
	}
	return m.Kind == ntp.KindNTS || m.Kind == ntp.KindSymmetric && than != plan.Symmetric
}

// exchanges is how many NTS-KE a second a client may bring once it is refused:
// ntpd-rs asks each second, others once in a poll.
func exchanges(c *inventory.Client) float64 {
	most := 0.0
	for i := range c.Means {
		if m := &c.Means[i]; m.Kind == ntp.KindNTS {
			rate := 1.0
			if m.Program != inventory.NtpdRs {
				poll := m.Interval.Seconds()
				if poll <= 0 {
					poll = 64
				}
				rate = 1 / poll
			}
			most = math.Max(most, rate)
		}
	}
	return most
}

func (e *Evaluation) ago(t uint32) time.Duration {
	d := time.Duration(e.now-min(t, e.now)) * time.Second
	if d > time.Hour {
		d = d.Round(time.Minute)
	}
	return d
}
