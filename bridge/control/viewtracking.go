package control

import (
	"math"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
)

const ppm = 1e6

// Tracking reports on the clock: as the discipline estimates it, or if there
// is none what is served.
func (s *Snapshot) Tracking() *Tracking {
	state := s.Served
	t := &Tracking{Leap: state.Leap, RootDelay: state.RootDelay.Seconds(),
		RootDispersion: state.RootDispersion.Seconds() + state.Drift*s.At.Sub(state.Updated.Time(s.At)).Seconds()}
	if state.Synchronised() {
		t.ReferenceID, t.Stratum = ReferenceID(state.ReferenceID), state.Stratum
		t.ReferenceName = config.RefID(state.ReferenceID).String()
		t.ReferenceTime = state.Reference.Time(s.At)
	}
	if s.Clock == nil {
		return t
	}
	r := s.Clock
	t.SystemOffset, t.LastOffset, t.RMSOffset = r.SystemOffset, r.LastOffset, r.RMSOffset
	t.Frequency, t.Residual, t.Skew = r.Frequency*ppm, r.Residual*ppm, r.Skew*ppm
	t.UpdateInterval, t.Poll = r.UpdateInterval, r.Poll
	t.Updates, t.Steps, t.Foreign = uint64(r.Updates), uint64(r.Steps), uint64(r.Foreign)
	t.Held = held(r, s.Panic)
	if t.Held != "" && r.Synchronised && !r.Fallback {
		t.Held += "; what is served rests on what was known before, and its root distance grows"
	}
	if !s.Steers || !state.Synchronised() {
		return t
	}
	if r.Synchronised && !r.Fallback {
		// As of now, as is the offset: what is served is up to a second older.
		t.RootDelay, t.RootDispersion = r.RootDelay, r.RootDispersion
	}
	if best := r.Selected; best != (clock.SourceInfo{}) {
		t.ReferenceName = best.Name
		if best.Address.IsValid() {
			t.ReferenceAddress = best.Address.String()
		}
	}
	return t
}

// heldBy says by what rule nobody is followed.
var heldBy = map[discipline.Rule]string{
	discipline.NoRule:          "no source is followed",
	discipline.NoMajority:      "no majority of the sources agrees",
	discipline.TooFew:          "fewer sources agree than clock.min_sources",
	discipline.RequiredMissing: "none of the sources agrees of which one is required (require, or authenticated ones and reference clocks by clock.auth_select: mix)",
	discipline.NobodyUsable:    "no source is usable",
}

// held says why the clock is left alone; empty: it is not.
func held(r *clock.TrackingReport, panic time.Duration) string {
	switch {
	case r.Refused:
		return "the sources ask for more than clock.max_change"
	case panic > 0 && math.Abs(r.SystemOffset) > panic.Seconds():
		return "the offset is beyond clock.panic"
	case r.Held:
		return heldBy[r.Why]
	case r.Beyond:
		return "the oscillator is beyond clock.max_drift_ppm"
	case r.Alarm:
		return "another program steers the clock"
	}
	return ""
}

// follows reports whether a source is the one that the clock follows before
// others.
func (s *Snapshot) follows(f *FollowedByClock) bool {
	return s.Clock != nil && f.Info == s.Clock.Selected && s.Clock.Selected != (clock.SourceInfo{})
}

// Timed reports whether somebody gives us time by it: not so broadcasts that
// are sent.
func (s *SourceSnapshot) Timed() bool { return s.HostMode != ntp.ModeBroadcast }
