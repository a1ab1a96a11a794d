package control

import (
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
)

// Sources that disagree are not an offset beyond the panic threshold.
func TestHeldNamesTheReason(t *testing.T) {
	for _, c := range []struct {
		name  string
		r     clock.TrackingReport
		panic time.Duration
		words string
	}{
		{"nothing", clock.TrackingReport{}, time.Second, ""},
		{"no majority", clock.TrackingReport{Tracking: discipline.Tracking{Held: true, Why: discipline.NoMajority, SystemOffset: 0.5}},
			time.Second, "majority"},
		{"required", clock.TrackingReport{Tracking: discipline.Tracking{Held: true, Why: discipline.RequiredMissing}}, time.Second,
			"auth_select"},
		{"panic", clock.TrackingReport{Tracking: discipline.Tracking{SystemOffset: -2}}, time.Second, "clock.panic"},
		{"no panic threshold", clock.TrackingReport{Tracking: discipline.Tracking{SystemOffset: -2}}, 0, ""},
		{"refused", clock.TrackingReport{Tracking: discipline.Tracking{SystemOffset: 2}, Refused: true}, time.Second, "max_change"},
		{"others", clock.TrackingReport{Alarm: true}, time.Second, "another program"},
	} {
		if got := held(&c.r, c.panic); (c.words == "") != (got == "") || !strings.Contains(got, c.words) {
			t.Errorf("%s: %q, want %q in it", c.name, got, c.words)
		}
	}
}
