package discipline

import (
	"time"

	"ntsbridge/bridge/ntp"
)

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
