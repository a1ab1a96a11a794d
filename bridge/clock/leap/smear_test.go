package leap

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ntsbridge/bridge/ntp"
)

var (
	insert = Event{date("2017-01-01"), ntp.LeapInsert}
	remove = Event{date("2017-01-01"), ntp.LeapDelete}
	ntpd   = Smear{Interval: 24 * time.Hour, Shape: Cosine, Placement: Before}
)

// The standard smear as Google describes it: noon to noon, 86401 seconds in
// the time of 86400.
func TestStandardSmear(t *testing.T) {
	noon := date("2016-12-31").Add(12 * time.Hour)
	for _, c := range []struct {
		at     time.Duration // since the noon before, on the system clock
		want   float64
		active bool
	}{
		{-time.Second, 0, false},
		{0, 0, true},
		{6 * time.Hour, -21600.0 / 86401, true},
		{12*time.Hour - 1, -43200.0 / 86401, true},
		{12 * time.Hour, 1 - 43201.0/86401, true},
		{18 * time.Hour, 1 - 64801.0/86401, true},
		{24*time.Hour - time.Second, 1 - 86400.0/86401, true},
		{24 * time.Hour, 0, false},
		{48 * time.Hour, 0, false},
	} {
		got, active := Standard.Offset(insert, noon.Add(c.at))
		if math.Abs(got.Seconds()-c.want) > 3e-9 || active != c.active {
			t.Errorf("%v after noon: %v %v, want %v s %v", c.at, got, active, c.want, c.active)
		}
	}
}

// As ntpd computes it: -(1 - cos(pi t/w))/2, ending at midnight.
func TestSmearOfNtpd(t *testing.T) {
	begin := insert.At.Add(-24 * time.Hour)
	for _, after := range []time.Duration{0, time.Second, time.Hour, 12 * time.Hour, 23 * time.Hour, 24*time.Hour - time.Second} {
		want := -(1 - math.Cos(math.Pi*after.Seconds()/86400)) / 2
		got, active := ntpd.Offset(insert, begin.Add(after))
		if math.Abs(got.Seconds()-want) > 2e-9 || !active {
			t.Errorf("%v after the beginning: %v %v, want %v s", after, got, active, want)
		}
	}
	for _, at := range []time.Time{begin.Add(-1), insert.At, insert.At.Add(time.Hour)} {
		if got, active := ntpd.Offset(insert, at); got != 0 || active {
			t.Errorf("%v: %v %v, want nothing", at, got, active)
		}
	}
}

// For every smear and event, served time runs through the leap second without
// a step and never faster or slower than MaxRate, and is UTC outside of it.
func TestServedTimeIsContinuous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Smear{
			Interval:  time.Duration(rapid.Int64Range(60, 14*86400).Draw(t, "interval")) * time.Second,
			Shape:     Shape(rapid.IntRange(0, 1).Draw(t, "shape")),
			Placement: Placement(rapid.IntRange(0, 2).Draw(t, "placement")),
		}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		e := insert
		if rapid.Bool().Draw(t, "negative") {
			e = remove
		}
		// A clock that counts through: real seconds since the leap second began.
		system := func(real float64) time.Time {
			ns := time.Duration(math.Round(real * 1e9))
			if e.Leap == ntp.LeapInsert && real >= 1 {
				ns -= time.Second
			}
			if e.Leap == ntp.LeapDelete && real < 0 {
				ns -= time.Second
			}
			return e.At.Add(ns)
		}
		served := func(real float64) float64 {
			now := system(real)
			offset, _ := s.Offset(e, now)
			return now.Sub(e.At).Seconds() + offset.Seconds()
		}
		limit := 1.02*s.MaxRate() + 1e-8
		w := s.Interval.Seconds() + 2
		real := rapid.Float64Range(-w, w).Draw(t, "real")
		steps := []float64{real}
		if e.Leap == ntp.LeapDelete {
			steps = append(steps, -0.5)
		}
		for _, from := range steps {
			to := from + 1
			if e.Leap == ntp.LeapInsert && (from >= -1 && from < 1) {
				continue // the inserted second has no number of its own
			}
			if rate := served(to) - served(from) - 1; math.Abs(rate) > limit {
				t.Fatalf("%+v: from %v s: rate %v, limit %v", s, from, rate, limit)
			}
		}
		if e.Leap == ntp.LeapInsert {
			// Across the inserted second.
			if rate := (served(1) - served(-1)) / 2; math.Abs(rate-1) > limit {
				t.Fatalf("%+v: over the leap second %v", s, rate)
			}
		}
		for _, far := range []float64{-w - 2, w + 2} {
			if offset, active := s.Offset(e, system(far)); offset != 0 || active {
				t.Fatalf("%+v: %v at %v s", s, offset, far)
			}
		}
	})
}

// What the server makes of a state within the next second is the smear.
func TestStateFollowsTheSmear(t *testing.T) {
	for _, s := range []Smear{Standard, ntpd, {2 * time.Hour, Cosine, After}, {2 * time.Hour, Linear, Before}} {
		for _, e := range []Event{insert, remove} {
			for at := -13 * time.Hour; at < 13*time.Hour; at += 17*time.Minute + 300*time.Millisecond {
				now := e.At.Add(at)
				state := s.State(e, now)
				c := ntp.ClockState{Updated: ntp.TimestampFromTime(now), Smear: state}
				for _, ahead := range []time.Duration{0, 400 * time.Millisecond, time.Second} {
					then := ntp.TimestampFromTime(now.Add(ahead))
					want, _ := s.Offset(e, now.Add(ahead))
					if got := c.Served(then).Sub(then); (got - want).Abs() > 50*time.Nanosecond {
						t.Fatalf("%+v at %v+%v: %v, want %v", s, at, ahead, got, want)
					}
				}
				if !state.Enabled || state.Alarm {
					t.Fatalf("%+v at %v: %+v", s, at, state)
				}
			}
		}
	}
}

func TestAlarmAroundTheLeapSecond(t *testing.T) {
	for before, want := range map[time.Duration]bool{
		time.Hour: false, 3 * time.Second: false, 2 * time.Second: true, time.Second: true, 1: true, 0: false, -time.Second: false,
	} {
		if got := Standard.State(insert, insert.At.Add(-before)).Alarm; got != want {
			t.Errorf("%v before midnight: alarm %v", before, got)
		}
	}
	for before, want := range map[time.Duration]bool{4 * time.Second: false, 3 * time.Second: true, time.Second: true, 0: false} {
		if got := Standard.State(remove, remove.At.Add(-before)).Alarm; got != want {
			t.Errorf("negative, %v before midnight: alarm %v", before, got)
		}
	}
	if state := (Smear{}).State(insert, insert.At.Add(-time.Second)); state != (ntp.Smear{}) {
		t.Errorf("without a smear: %+v", state)
	}
	if state := Standard.State(Event{}, insert.At); state != (ntp.Smear{Enabled: true}) {
		t.Errorf("without a leap second: %+v", state)
	}
}

func TestSmearLimits(t *testing.T) {
	for _, bad := range []Smear{{Interval: time.Second}, {Interval: -time.Hour}, {Interval: 365 * 24 * time.Hour},
		{Interval: time.Hour, Shape: 9}, {Interval: time.Hour, Placement: 9}, {Shape: Cosine}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if (Smear{}).Validate() != nil || Standard.Validate() != nil {
		t.Error("good ones are refused")
	}
	if rate := Standard.MaxRate(); math.Abs(rate-11.57e-6) > 1e-8 || Standard.Warning() != "" {
		t.Errorf("standard smear: rate %v, %q", rate, Standard.Warning())
	}
	if (Smear{Interval: 50 * time.Minute, Shape: Cosine}).Warning() == "" {
		t.Error("no warning of a rate that clients cannot follow")
	}
}

func TestNearest(t *testing.T) {
	table := parse(t, "list", file(t, "leap-seconds.list"))
	for day, want := range map[string]string{"2026-11-22": "2017-01-01", "2016-09-01": "2017-01-01",
		"2015-08-01": "2015-07-01", "1900-01-01": "1972-07-01"} {
		if e, ok := table.Nearest(date(day)); !ok || !e.At.Equal(date(want)) || e.Leap != ntp.LeapInsert {
			t.Errorf("%s: %v %v", day, e, ok)
		}
	}
}
