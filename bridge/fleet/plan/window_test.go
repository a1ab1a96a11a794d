package plan

import (
	"testing"
	"time"
)

// On the days on which the clock of a place is put forward and back, hours are
// those of its clock: the window of a night is an hour shorter or longer, and a
// step fits if all of it does. A frozen day has 23 or 25 hours.
func TestWindowsOverSummerTime(t *testing.T) {
	p := parse(t, `
windows: {days: [sun], hours: "01:00-04:00", timezone: Europe/Berlin}
groups: [{name: a, keys: [1], stages: {symmetric: warn}}]`)
	w := &p.Windows
	for _, x := range []struct {
		name  string
		start time.Time // 01:00 in Berlin
		long  time.Duration
	}{
		{"forward", time.Date(2027, 3, 28, 0, 0, 0, 0, time.UTC), 2 * time.Hour},
		{"back", time.Date(2026, 10, 24, 23, 0, 0, 0, time.UTC), 4 * time.Hour},
		{"any other", time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC), 3 * time.Hour},
	} {
		if open, _ := w.Open(x.start.Add(-time.Second)); open {
			t.Errorf("%s: open before its time", x.name)
		}
		if !w.Fits(x.start, x.long) || w.Fits(x.start, x.long+time.Minute) {
			t.Errorf("%s: %v fit, and no minute more", x.name, x.long)
		}
		for at := x.start; at.Before(x.start.Add(x.long)); at = at.Add(time.Minute) {
			if open, why := w.Open(at); !open {
				t.Fatalf("%s: %v: %s", x.name, at, why)
			}
		}
		if open, _ := w.Open(x.start.Add(x.long)); open {
			t.Errorf("%s: open after its time", x.name)
		}
		// A step that is too long for the short night waits for the next week.
		next, ok := w.Next(x.start.Add(-time.Hour), 3*time.Hour)
		if wait := next.Sub(x.start); !ok || (wait > 24*time.Hour) != (x.long < 3*time.Hour) {
			t.Errorf("%s: three hours fit at %v", x.name, next)
		}
	}
	p = parse(t, `
windows: {timezone: Europe/Berlin, freeze: [{from: 2027-03-28, to: 2027-03-28, why: inventory}]}
groups: [{name: a, keys: [1], stages: {symmetric: warn}}]`)
	from, to := time.Date(2027, 3, 27, 23, 0, 0, 0, time.UTC), time.Date(2027, 3, 28, 22, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]bool{from.Add(-time.Second): true, from: false, to.Add(-time.Second): false, to: true} {
		if open, why := p.Windows.Open(at); open != want {
			t.Errorf("%v: open %v, %s", at, open, why)
		}
	}
}
