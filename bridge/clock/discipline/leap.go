package discipline

import (
	"time"

	"ntsbridge/bridge/ntp"
)

// leapMargin is how far around a leap second nothing is learned, ns: servers
// apply it early, late or not at once.
const leapMargin = int64(2e9)

// leapGuard knows the leap second that is armed, or was the last one.
type leapGuard struct {
	armed   bool
	applied bool
	at      int64 // Unix time of the month that begins after it, ns
	by      int64 // seconds inserted, 1 or -1
}

// touches tells whether an exchange lies around the leap second, or after it
// while the clock has not had it yet.
func (g *leapGuard) touches(s *Sample) bool {
	if !g.armed || s.T3 < g.at-leapMargin-max(-g.by, 0)*1e9 {
		return false
	}
	return !g.applied || s.T2 <= g.at+leapMargin
}

// LeapPlan decides on a leap second at the end of this month. now is Unix
// time, ns; table is what a valid table of leap seconds says of this month's
// end, and known whether there is one: it wins over what sources announce. The
// answer is LeapNone but on the last day of a month (UTC).
func (d *Discipline) LeapPlan(now int64, table ntp.Leap, known bool) (leap ntp.Leap, at int64) {
	t := time.Unix(0, now).UTC()
	next := time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	if next.Sub(t) > 24*time.Hour {
		return ntp.LeapNone, 0
	}
	leap = table
	if !known {
		leap = ntp.LeapNone
		if len(d.selected) > 0 {
			leap = d.leap
		}
	}
	if leap != ntp.LeapInsert && leap != ntp.LeapDelete {
		return ntp.LeapNone, 0
	}
	return leap, next.UnixNano()
}

// ArmLeap says that the clock is going to have a leap second before the Unix
// time at, ns. Samples around it will be dropped. LeapNone disarms.
func (d *Discipline) ArmLeap(leap ntp.Leap, at int64) {
	d.leaps = leapGuard{}
	switch leap {
	case ntp.LeapInsert:
		d.leaps = leapGuard{armed: true, at: at, by: 1}
	case ntp.LeapDelete:
		d.leaps = leapGuard{armed: true, at: at, by: -1}
	}
}

// LeapApplied says that the system clock has had the leap second that was
// armed. The frame of the estimator moves with it: to the filters nothing
// happened.
func (d *Discipline) LeapApplied() {
	if !d.leaps.armed || d.leaps.applied {
		return
	}
	d.leaps.applied = true
	d.epoch += d.leaps.by * 1e9
	d.last.System -= d.leaps.by * 1e9
}
