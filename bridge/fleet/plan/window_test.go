package plan

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawWindows(t *rapid.T) *Windows {
	w := &Windows{}
	for i := range w.Days {
		w.Days[i] = rapid.Bool().Draw(t, "day")
	}
	if rapid.Bool().Draw(t, "all days") {
		w.Days = [7]bool{}
	}
	if rapid.Bool().Draw(t, "hours") {
		w.From, w.To = rapid.IntRange(0, 47).Draw(t, "from")*30, rapid.IntRange(1, 48).Draw(t, "to")*30
		if w.From == w.To {
			w.From = 0
		}
	}
	name := rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "Australia/Lord_Howe"}).Draw(t, "zone")
	var err error
	if w.Zone, err = time.LoadLocation(name); err != nil {
		t.Fatal(err)
	}
	if rapid.Bool().Draw(t, "freeze") {
		from := time.Date(2027, 3, 20, 0, 0, 0, 0, w.Zone).Add(time.Duration(rapid.IntRange(0, 20*24).Draw(t, "freeze from")) * time.Hour)
		w.Freezes = []Freeze{{From: from, To: from.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "frozen")) * time.Hour)}}
	}
	return w
}

// Whether and when a step fits is what looking at each minute says, over the
// days on which clocks are put forward and back.
func TestWindowsAgainstMinutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWindows(t)
		at := time.Date(2027, 3, 24, 0, 0, 0, 0, time.UTC).AddDate(0, rapid.SampledFrom([]int{0, 7}).Draw(t, "month"), 0).
			Add(time.Duration(rapid.IntRange(0, 12*24*60).Draw(t, "at")) * time.Minute)
		long := time.Duration(rapid.IntRange(1, 60*60).Draw(t, "long")) * time.Minute
		fits := func(at time.Time) bool {
			for end := at.Add(long); at.Before(end); at = at.Add(time.Minute) {
				if open, _ := w.Open(at); !open {
					return false
				}
			}
			return true
		}
		if got, want := w.Fits(at, long), fits(at); got != want {
			t.Fatalf("%v for %v: fits %v, by minutes %v", at, long, got, want)
		}
		next, ok := w.Next(at, long)
		if ok && !fits(next) {
			t.Fatalf("%v for %v: not at %v", at, long, next)
		}
		run, begin := time.Duration(0), at
		for m := at; m.Before(at.AddDate(0, 0, 10)); m = m.Add(time.Minute) {
			if open, _ := w.Open(m); !open {
				run, begin = 0, m.Add(time.Minute)
			} else if run += time.Minute; run >= long {
				if !ok || !next.Equal(begin) {
					t.Fatalf("%v for %v: next %v %v, by minutes %v", at, long, next, ok, begin)
				}
				return
			}
		}
		if ok && next.Before(at.AddDate(0, 0, 10).Add(-long)) {
			t.Fatalf("%v for %v: next %v, by minutes none", at, long, next)
		}
	})
}

// How long windows are counts what goes over midnight, and a step that fits
// nowhere is found out soon.
func TestLongestWindow(t *testing.T) {
	day := 24 * time.Hour
	for text, want := range map[string]time.Duration{
		`{hours: "09:00-16:00"}`:                         7 * time.Hour,
		`{hours: "00:00-24:00"}`:                         0,
		`{days: [mon, tue, wed, thu, fri]}`:              5 * day,
		`{days: [mon, tue], hours: "00:00-24:00"}`:       2 * day,
		`{days: [sat, sun, mon], hours: "00:00-23:00"}`:  23 * time.Hour,
		`{days: [fri, sat, sun, mon]}`:                   4 * day,
		`{days: [fri], hours: "22:00-06:00"}`:            8 * time.Hour,
		`{freeze: [{from: 2026-01-01, to: 2026-01-02}]}`: 0,
	} {
		p := parse(t, "windows: "+text+"\ngroups: [{name: a, keys: [1], stages: {symmetric: warn}}]")
		if got := p.Windows.Longest(); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		if at, ok := p.Windows.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), 399*day); ok != (want == 0) {
			t.Errorf("%s: 399 days fit at %v: %v", text, at, ok)
		}
	}
}

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
