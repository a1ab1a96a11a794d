package plan

import "time"

// Windows say when steps may run. The zero value: always.
type Windows struct {
	Days     [7]bool // by time.Weekday; none: all
	From, To int     // minutes of the day; To 0: to its end, To < From: over midnight
	Zone     *time.Location
	Freezes  []Freeze
}

// Freeze is a time in which no step runs.
type Freeze struct {
	From, To time.Time
	Why      string
	Line     int
}

// Open tells whether a step may run at a time, and if not, why.
func (w *Windows) Open(t time.Time) (open bool, why string) {
	t = t.In(w.zone())
	if f := w.frozen(t); f != nil {
		why = "frozen from " + f.From.In(w.zone()).Format(stamp) + " to " + f.To.In(w.zone()).Format(stamp)
		if f.Why != "" {
			why += " (" + f.Why + ")"
		}
		return false, why
	}
	m, day := t.Hour()*60+t.Minute(), t.Weekday()
	if w.night() {
		if m < w.To { // of the night that began on the day before
			m, day = m+24*60, (day+6)%7
		}
		if m < w.From {
			return false, "not at this time of the day"
		}
	} else if m < w.From || w.To > 0 && m >= w.To {
		return false, "not at this time of the day"
	}
	if w.Days != ([7]bool{}) && !w.Days[day] {
		return false, "not on a " + day.String()
	}
	return true, ""
}

// night tells whether the hours go over midnight.
func (w *Windows) night() bool { return w.To > 0 && w.To < w.From }

// stamp is how times are told to people.
const stamp = "2006-01-02 15:04 MST"

func (w *Windows) zone() *time.Location {
	if w.Zone == nil {
		return time.UTC
	}
	return w.Zone
}

func (w *Windows) frozen(t time.Time) *Freeze {
	for i := range w.Freezes {
		if f := &w.Freezes[i]; !t.Before(f.From) && t.Before(f.To) {
			return f
		}
	}
	return nil
}

// Fits tells whether a step that begins at t and takes so long is over before
// the windows close.
func (w *Windows) Fits(t time.Time, long time.Duration) bool {
	for end := t.Add(long); t.Before(end); {
		if open, _ := w.Open(t); !open {
			return false
		}
		if t = w.change(t); t.IsZero() {
			return true
		}
	}
	return true
}

// change returns the next time after t at which windows may open or close; zero:
// never.
func (w *Windows) change(t time.Time) time.Time {
	if w.always() {
		return time.Time{}
	}
	t = t.In(w.zone())
	midnight := 24 * 60
	if w.Days == ([7]bool{}) && w.From == 0 && (w.To == 0 || w.To == 24*60) {
		midnight = 400 * 24 * 60 // freezes alone close it
	}
	soon := later(t, midnight)
	for _, m := range []int{w.From, w.To} {
		if at := later(t, m); m > 0 && m < 24*60 && at.After(t) && at.Before(soon) {
			soon = at
		}
	}
	// Summer time begins or ends: the hours are elsewhere then.
	if _, shift := t.ZoneBounds(); !shift.IsZero() && shift.Before(soon) {
		soon = shift
	}
	for i := range w.Freezes {
		for _, at := range []time.Time{w.Freezes[i].From, w.Freezes[i].To} {
			if at.After(t) && at.Before(soon) {
				soon = at
			}
		}
	}
	return soon
}

// later returns the time at which a clock of t's day shows so many minutes, if
// nothing shifts it before.
func later(t time.Time, minutes int) time.Time {
	since := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second +
		time.Duration(t.Nanosecond())
	return t.Add(time.Duration(minutes)*time.Minute - since)
}

func (w *Windows) always() bool {
	return w.Days == [7]bool{} && w.From == 0 && w.To == 0 && len(w.Freezes) == 0
}

// Longest returns how long the longest window is that no freeze shortens, 0:
// without end.
func (w *Windows) Longest() time.Duration {
	free := *w
	free.Freezes, free.Zone = nil, nil // summer time makes some nights longer
	t := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	longest, run := time.Duration(0), time.Duration(0)
	for end := t.AddDate(0, 0, 14); t.Before(end); {
		next := free.change(t)
		if open, _ := free.Open(t); next.IsZero() || open && run+next.Sub(t) >= 14*24*time.Hour {
			return 0
		} else if open {
			run += next.Sub(t)
			longest = max(longest, run)
		} else {
			run = 0
		}
		t = next
	}
	return longest
}

// Next returns the next time from t on at which a step of this length fits; ok is
// false if there is none within 400 days.
func (w *Windows) Next(t time.Time, long time.Duration) (next time.Time, ok bool) {
	begin, opened := t, false
	for end := t.Add(400 * 24 * time.Hour); t.Before(end); {
		open, _ := w.Open(t)
		if open && !opened {
			begin = t
		}
		opened = open
		change := w.change(t)
		if opened && (change.IsZero() || change.Sub(begin) >= long) {
			return begin, true
		}
		if change.IsZero() {
			break
		}
		t = change
	}
	return t, false
}
