package clock_test

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/clock"
)

func TestRestart(t *testing.T) {
	w := newWorld(t, 3)
	w.y = -73e-6
	w.must(3 * time.Hour)
	s, err := clock.ReadState(w.config.StateFile)
	if err != nil || !s.Known || math.Abs(s.Frequency-w.y) > 0.05e-6 {
		t.Fatalf("state %+v, %v", s, err)
	}
	if d := s.Synchronised.UnixNano() - w.systemNow(); d > 0 || d < -2*second {
		t.Errorf("last synchronised %v, %d ns from now", s.Synchronised, d)
	}
	w.tick, w.freq = 10_000, 0 // the machine was rebooted
	w.after(3*time.Hour+500*time.Millisecond, func() {
		if math.Abs((1+w.rate())*(1+w.y)-1) > 0.1e-6 {
			t.Errorf("starts with %v ppm", w.rate()*1e6)
		}
	})
	for _, s := range w.servers {
		s.silent = true
	}
	w.must(4 * time.Hour)
	after, err := clock.ReadState(w.config.StateFile)
	if err != nil || after.Synchronised != s.Synchronised || after.Frequency != s.Frequency {
		t.Errorf("a run without sources spoilt the state: %+v, %v", after, err)
	}
}

// What a run learned that was never synchronised is not worth keeping.
func TestUntrustedIsNotSaved(t *testing.T) {
	w := newWorld(t, 1)
	w.system, w.honest = 5000, false
	w.must(2 * time.Hour)
	if s, err := clock.ReadState(w.config.StateFile); err == nil {
		t.Errorf("saved %+v", s)
	}
}

// The state is saved hourly, not only at the end.
func TestSavedHourly(t *testing.T) {
	w := newWorld(t, 1)
	w.after(3*time.Hour, func() {
		for range 1000 { // it is written beside
			if s, err := clock.ReadState(w.config.StateFile); err == nil && s.Known {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Error("nothing saved after three hours")
	})
	w.must(3*time.Hour + time.Minute)
}

func TestDriftFiles(t *testing.T) {
	for _, c := range []struct {
		name, text string
		form       clock.DriftForm
		fields     int
		sign       float64 // of a fast oscillator
	}{
		{"ntpd", "-41.250\n", clock.DriftChrony, 1, -1},
		{"chrony", "           41.250000             0.031000\n", clock.DriftNTP, 2, 1},
		{"new, ntpd's form", "", clock.DriftNTP, 1, -1},
		{"new, chrony's form", "", clock.DriftChrony, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.y = 41.3e-6
			w.config.DriftFile, w.config.DriftForm = filepath.Join(w.dir, "drift"), c.form
			if c.text != "" {
				if err := os.WriteFile(w.config.DriftFile, []byte(c.text), 0o644); err != nil {
					t.Fatal(err)
				}
				w.after(500*time.Millisecond, func() {
					if math.Abs(w.rate()+41.25e-6) > 0.1e-6 {
						t.Errorf("starts with %v ppm", w.rate()*1e6)
					}
				})
			}
			w.must(2 * time.Hour)
			text, err := os.ReadFile(w.config.DriftFile)
			if err != nil {
				t.Fatal(err)
			}
			numbers := strings.Fields(string(text))
			if ppm, err := strconv.ParseFloat(numbers[0], 64); err != nil || len(numbers) != c.fields || math.Abs(c.sign*ppm-41.3) > 0.05 {
				t.Errorf("written %q", text)
			}
		})
	}
}

// A broken state file hurts nothing.
func TestBrokenFiles(t *testing.T) {
	w := newWorld(t, 1)
	w.config.DriftFile = filepath.Join(w.dir, "drift")
	for path, text := range map[string]string{w.config.StateFile: `{"version":1,"frequency_ppm":700000,"synchronised":"2026-01-01T00:00:00Z"}`,
		w.config.DriftFile: "fast\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := clock.ReadState(w.config.StateFile); err == nil || s.Known || s.Synchronised.Year() != 2026 {
		t.Errorf("state %+v, %v: what is in range counts", s, err)
	}
	w.must(time.Hour)
	w.wantLogged("state of the clock is not used", "700000 ppm is out of range", "drift file is not used")
	w.wantWithin(1e-3)
	if s, err := clock.ReadState(w.config.StateFile); err != nil || !s.Known {
		t.Errorf("not mended: %+v, %v", s, err)
	}
}
