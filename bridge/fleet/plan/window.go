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
	end := t.Add(long)
	for ; t.Before(end); t = t.Add(time.Minute) {
		if open, _ := w.Open(t); !open {
			return false
		}
		if end.Sub(t) > 31*24*time.Hour {
			return w.always()
		}
	}
	return true
}

func (w *Windows) always() bool {
	return w.Days == [7]bool{} && w.From == 0 && w.To == 0 && len(w.Freezes) == 0
}

// Longest returns how long the longest window is, 0: without end.
func (w *Windows) Longest() time.Duration {
	if w.From == 0 && w.To == 0 {
		if w.Days == ([7]bool{}) || w.Days == [7]bool{true, true, true, true, true, true, true} {
			return 0
		}
		run, longest := 0, 0
		for i := range 14 {
			if !w.Days[i%7] {
				run = 0
				continue
			}
			run++
			longest = max(longest, run)
		}
		return time.Duration(min(longest, 7)) * 24 * time.Hour
	}
	to := w.To
	if to == 0 {
		to = 24 * 60
	} else if w.night() {
		to += 24 * 60
	}
	return time.Duration(to-w.From) * time.Minute
}

// Next returns the next time from t on at which a step of this length fits, to
// the quarter of an hour; ok is false if there is none within 400 days.
func (w *Windows) Next(t time.Time, long time.Duration) (next time.Time, ok bool) {
	end := t.Add(400 * 24 * time.Hour)
	for ; t.Before(end); t = t.Truncate(15 * time.Minute).Add(15 * time.Minute) {
		if open, _ := w.Open(t); open && w.Fits(t, long) {
			return t, true
		}
	}
	return t, false
}
