package discipline

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ntsbridge/bridge/ntp"
)

// Samples that no exchange can have change nothing.
func TestBogusSamplesChangeNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Sample)
		want   Verdict
	}{
		"duplicate":             {func(*Sample) {}, Disordered},
		"older":                 {func(x *Sample) { x.T1 -= 5e9; x.T4 -= 5e9 }, Disordered},
		"arrives before sent":   {func(x *Sample) { x.T1 += 1e9; x.T4 = x.T1 - 1 }, Disordered},
		"server turned back":    {func(x *Sample) { later(x); x.T3 = x.T2 - 1 }, Disordered},
		"negative delay":        {func(x *Sample) { later(x); x.T3 = x.T2 + 1e9 }, NegativeDelay},
		"an hour under way":     {func(x *Sample) { later(x); x.T4 += 3600e9 }, Disordered},
		"an hour in the server": {func(x *Sample) { later(x); x.T3 += 3600e9 }, Disordered},
		"end of the integers":   {func(x *Sample) { later(x); x.T2, x.T3 = math.MaxInt64, math.MaxInt64 }, Disordered},
		"start of the integers": {func(x *Sample) { later(x); x.T2, x.T3 = math.MinInt64, math.MinInt64 }, Disordered},
		"nobody's":              {func(x *Sample) { later(x); x.Source = 9 }, UnknownSource},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, DefaultConfig(), poll4)
			r.run(200)
			x := r.sample(r.servers[0])
			r.d.Sample(x)
			tracking := r.d.Tracking(r.reading())
			source, _ := r.d.Source(0, r.rawNow())
			c.change(&x)
			if got := r.d.Sample(x); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
			if diff := cmp.Diff(tracking, r.d.Tracking(r.reading())); diff != "" {
				t.Error(diff)
			}
			if now, _ := r.d.Source(0, r.rawNow()); now != source {
				t.Errorf("%+v became %+v", source, now)
			}
		})
	}
}

// later makes a sample one of a second later.
func later(x *Sample) { x.T1 += 1e9; x.T2 += 1e9; x.T3 += 1e9; x.T4 += 1e9 }

// No sample whatever brings anything but numbers out.
func TestAnySample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d, err := New(DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		for i := range SourceID(3) {
			if err := d.AddSource(i, poll4); err != nil {
				t.Fatal(err)
			}
		}
		raw, system := rigRaw, rigUnix
		any64 := rapid.OneOf(rapid.Float64(), rapid.Just(math.NaN()), rapid.Just(math.Inf(1)))
		for range rapid.IntRange(1, 60).Draw(t, "samples") {
			step := rapid.Int64Range(1, 100e9).Draw(t, "step")
			raw, system = raw+step, system+step
			x := Sample{
				Source: SourceID(rapid.IntRange(0, 3).Draw(t, "source")),
				T1:     Instant(raw - rapid.Int64Range(-1e6, 20e9).Draw(t, "round")), T4: Instant(raw),
				T2:        system + rapid.Int64().Draw(t, "offset")/(1<<rapid.IntRange(0, 60).Draw(t, "scale")),
				Stratum:   uint8(rapid.IntRange(0, 17).Draw(t, "stratum")),
				RootDelay: any64.Draw(t, "root delay"), RootDispersion: any64.Draw(t, "root dispersion"),
				Leap: ntp.Leap(rapid.IntRange(0, 3).Draw(t, "leap")),
			}
			x.T3 = x.T2 + rapid.Int64Range(-1, 1e7).Draw(t, "turnaround")
			d.Sample(x)
			r := Reading{Raw: Instant(raw), System: system}
			a, st := d.Tick(r), d.Status(r)
			if !(math.Abs(a.Rate) <= 1.1e-3) || !(st.Distance() >= 0) || math.IsInf(st.Distance(), 0) {
				t.Fatalf("action %+v, status %+v", a, st)
			}
			if poll := d.Poll(x.Source); poll != poll4.MinPoll && x.Source < 3 {
				t.Fatalf("poll exponent %d", poll)
			}
			if tr := d.Tracking(r); math.IsNaN(tr.Frequency + tr.SystemOffset + tr.Skew + tr.RMSOffset + tr.Deviation) {
				t.Fatalf("%+v", tr)
			}
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"slew beyond the tick": func(c *Config) { c.MaxSlew = 0.2 },
		"no slew":              func(c *Config) { c.MaxSlew = 0 },
		"no number":            func(c *Config) { c.Panic = math.NaN() },
		"growth below 1":       func(c *Config) { c.PollGrowth = 0.9 },
		"no sources":           func(c *Config) { c.MinSources = 0 },
	} {
		c := DefaultConfig()
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	d, _ := New(DefaultConfig())
	for name, c := range map[string]SourceConfig{
		"too short": {MinPoll: -7, MaxPoll: 5}, "reversed": {MinPoll: 6, MaxPoll: 5}, "too long": {MinPoll: 6, MaxPoll: 18},
		"asymmetry": {MinPoll: 6, MaxPoll: 6, Asymmetry: 0.6}, "noise": {MinPoll: 6, MaxPoll: 6, Noise: -1},
	} {
		if d.AddSource(1, c) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if d.AddSource(1, poll4) != nil || d.AddSource(1, poll4) == nil {
		t.Error("a source must be added once, and not twice")
	}
}
