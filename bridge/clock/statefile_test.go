package clock

import (
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func goodState() Saved {
	return Saved{Known: true, Frequency: 12.5e-6, Skew: 0.03125e-6, Weights: []float64{0, -1.5, -12}, Kernel: -12.5e-6,
		At: time.Date(2026, 7, 14, 12, 0, 0, 5, time.UTC), Synchronised: time.Date(2026, 7, 14, 11, 59, 59, 0, time.UTC)}
}

func TestStateRoundTrip(t *testing.T) {
	want := goodState()
	got, err := parseState(want.format())
	if err != nil || math.Abs(got.Frequency-want.Frequency) > 1e-18 || math.Abs(got.Skew-want.Skew) > 1e-18 {
		t.Fatalf("got %+v, %v", got, err)
	}
	got.Frequency, got.Skew, got.Kernel = want.Frequency, want.Skew, want.Kernel
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Each value is judged on its own: the time of the last synchronisation is
// worth keeping when the frequency is not.
func TestStateOutOfRange(t *testing.T) {
	for _, c := range []struct{ name, text, err string }{
		{"frequency", `{"version":1,"frequency_ppm":100001,"synchronised":"2026-07-14T11:59:59Z"}`, "100001 ppm"},
		{"skew", `{"version":1,"frequency_ppm":5,"skew_ppm":-1,"synchronised":"2026-07-14T11:59:59Z"}`, "skew"},
		{"weights", `{"version":1,"frequency_ppm":5,"weights":[0.5],"synchronised":"2026-07-14T11:59:59Z"}`, "weight 0.5"},
		{"kernel", `{"version":1,"kernel_ppm":1e9,"synchronised":"2026-07-14T11:59:59Z"}`, "kernel_ppm"},
		{"saved", `{"version":1,"saved":"1970-01-01T00:00:01Z","synchronised":"2026-07-14T11:59:59Z"}`, "saved"},
	} {
		s, err := parseState([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v", c.name, err)
		}
		if s.Synchronised.Year() != 2026 {
			t.Errorf("%s: synchronised %v", c.name, s.Synchronised)
		}
		if s.Known && c.name != "weights" || len(s.Weights) > 0 || s.Kernel != 0 {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
	for _, text := range []string{"", "{", `{"version":2}`, `{"version":1,"frequency_ppm":"x"}`} {
		if s, err := parseState([]byte(text)); err == nil || s.Known {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
	}
}

func TestStateTooLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path, []byte(strings.Repeat(" ", maxStateFile+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(path); err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("error %v", err)
	}
}

func FuzzState(f *testing.F) {
	good := goodState()
	f.Add(good.format())
	f.Add([]byte(`{"version":1,"frequency_ppm":700,"skew_ppm":1e300,"weights":[1,-1e9],"kernel_ppm":-1e300,"saved":"9999-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, _ := parseState(text)
		if s.Known && (checkFrequency(s.Frequency, s.Skew) != nil || checkWeights(s.Weights) != nil) || math.Abs(s.Kernel) > maxRate {
			t.Fatalf("out of range: %+v", s)
		}
		for _, at := range []time.Time{s.At, s.Synchronised} {
			if !at.IsZero() && (at.Before(leastTime) || at.After(mostTime)) {
				t.Fatalf("time %v", at)
			}
		}
		if again, err := parseState(s.format()); err != nil || again.Known != s.Known || !again.Synchronised.Equal(s.Synchronised) {
			t.Fatalf("%+v written and read again is %+v, %v", s, again, err)
		}
	})
}

func FuzzDrift(f *testing.F) {
	f.Add("-41.250\n")
	f.Add("           41.250000             0.031000\n")
	f.Add("500.000 0\n\x00")
	f.Add("NaN")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDrift(text)
		if err != nil {
			return
		}
		if checkFrequency(d.frequency, d.skew) != nil {
			t.Fatalf("out of range: %+v", d)
		}
		again, err := parseDrift(d.String())
		if err != nil || again.form != d.form || math.Abs(again.frequency-d.frequency) > 0.6e-9 {
			t.Fatalf("%+v written and read again is %+v, %v", d, again, err)
		}
	})
}

func TestReferenceID(t *testing.T) {
	for _, c := range []struct {
		info SourceInfo
		want uint32
	}{
		{SourceInfo{Address: netip.MustParseAddr("192.0.2.7")}, 0xc0000207},
		{SourceInfo{Address: netip.MustParseAddr("::ffff:192.0.2.7")}, 0xc0000207},
		{SourceInfo{Refclock: "PPS"}, 0x50505300},
		{SourceInfo{Refclock: "PHC0!"}, 0x50484330},
		{SourceInfo{}, 0},
	} {
		if got := c.info.ReferenceID(); got != c.want {
			t.Errorf("%+v: %08x, want %08x", c.info, got, c.want)
		}
	}
	// MD5 of sixteen octets, the address in network order.
	if got := (SourceInfo{Address: netip.MustParseAddr("::1")}).ReferenceID(); got != loopbackDigest {
		t.Errorf("::1: %08x, want %08x", got, uint32(loopbackDigest))
	}
}

// loopbackDigest is the beginning of md5sum's answer for the octets of ::1.
const loopbackDigest = 0xcf404dc8
