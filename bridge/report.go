package bridge

import (
	"math"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/ntp"
)

const ppm = 1e6

// tracking reports on the clock: as the discipline estimates it, or if there
// is none what is served.
func (b *Bridge) tracking() *control.Tracking {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	state := b.look()
	t := &control.Tracking{Leap: state.Leap, RootDelay: state.RootDelay.Seconds(),
		RootDispersion: state.RootDispersion.Seconds() + state.Drift*now.Sub(state.Updated.Time(now)).Seconds()}
	if state.Synchronised() {
		t.ReferenceID, t.Stratum = control.ReferenceID(state.ReferenceID), state.Stratum
		t.ReferenceName = config.RefID(state.ReferenceID).String()
		t.ReferenceTime = state.Reference.Time(now)
	}
	r, ok := b.clock.Steering().Report()
	if !ok {
		return t
	}
	t.SystemOffset, t.LastOffset, t.RMSOffset = r.SystemOffset, r.LastOffset, r.RMSOffset
	t.Frequency, t.Residual, t.Skew = r.Frequency*ppm, r.Residual*ppm, r.Skew*ppm
	t.UpdateInterval, t.Poll = r.UpdateInterval, r.Poll
	t.Updates, t.Steps, t.Foreign = uint64(r.Updates), uint64(r.Steps), uint64(r.Foreign)
	t.Held = held(&r, b.parts.cfg.Clock.Panic)
	if b.clock.Steers() && state.Synchronised() && r.Synchronised && !r.Fallback {
		// As of now, as is the offset: what is served is up to a second older.
		t.RootDelay, t.RootDispersion = r.RootDelay, r.RootDispersion
	}
	if s := r.Selected; b.clock.Steers() && state.Synchronised() && s != (clock.SourceInfo{}) {
		t.ReferenceName = s.Name
		if s.Address.IsValid() {
			t.ReferenceAddress = s.Address.String()
		}
	}
	return t
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
	case r.Alarm:
		return "another program steers the clock"
	}
	return ""
}

// discipline is the report for ntpq; nil if the clock is not ours.
func (b *Bridge) discipline() *control.Tracking {
	if !b.clock.Steers() {
		return nil
	}
	return b.tracking()
}

// sourceReports are what the four reports on sources are made of, in the order
// of the configuration.
type sourceReports struct {
	sources []control.Source
	stats   []control.SourceStats
	auth    []control.AuthData
	choice  []control.SelectData
}

func (b *Bridge) reports() *sourceReports {
	r := new(sourceReports)
	tracking, _ := b.clock.Steering().Report()
	if p := b.pollers.Load(); p != nil {
		for _, a := range p.all() {
			a.report(r, &tracking, p.clock.Uptime())
		}
		for _, c := range p.clocks {
			c.report(r, &tracking)
		}
	}
	return r
}

// all returns all associations that get time from somebody.
func (p *pollers) all() []*association {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []*association
	for _, a := range p.list {
		if a.mode == ntp.ModeBroadcast || a.spec.cfg.Mode == config.ModePool && a.runner.Load() == nil {
			continue
		}
		list = append(list, a)
	}
	return append(list, p.passive...)
}

// signs are chronyc's states for ours.
var signs = map[discipline.SelectState]control.SourceState{
	discipline.Unusable: control.StateUnusable, discipline.Unreachable: control.StateUnusable,
	discipline.Excluded: control.StateUnusable, discipline.Falseticker: control.StateFalseticker,
	discipline.Inconsistent: control.StateTooVariable, discipline.NotPreferred: control.StateNotCombined,
	discipline.Selected: control.StateCombined,
}

// reasons say why a source is not selected.
var reasons = map[discipline.SelectState]string{
	discipline.Unusable:     "no usable answer yet",
	discipline.Unreachable:  "does not answer",
	discipline.Excluded:     "excluded by noselect, clock.auth_select or smeared time",
	discipline.Falseticker:  "no majority of sources agrees",
	discipline.Inconsistent: "too far from the others for its distance",
	discipline.NotPreferred: "agrees, but others are preferred",
}

// outvoted says by what rule a source is not followed, where there are several.
var outvoted = map[discipline.Rule]string{
	discipline.ByMajority: "disagrees with the majority",
	discipline.ByTrusted:  "disagrees with the majority of the sources with trust",
	discipline.ByAuthenticated: "disagrees with the majority of authenticated servers and reference clocks, " +
		"which are trusted beside other servers (clock.auth_select: mix)",
	discipline.NoMajority: "no majority of sources agrees",
	discipline.ByOption:   "noselect",
	discipline.ByMode:     "not authenticated (clock.auth_select)",
	discipline.BySmear:    "smears leap seconds, other sources do not",
}

// heldBy says by what rule nobody is followed.
var heldBy = map[discipline.Rule]string{
	discipline.NoRule:          "no source is followed",
	discipline.NoMajority:      "no majority of the sources agrees",
	discipline.TooFew:          "fewer sources agree than clock.min_sources",
	discipline.RequiredMissing: "none of the sources agrees of which one is required (require, or authenticated ones and reference clocks by clock.auth_select: mix)",
	discipline.NobodyUsable:    "no source is usable",
}

// whyNot says why a source is not followed.
func whyNot(d *discipline.SourceStatus) string {
	if why, ok := outvoted[d.Rule]; ok && d.State != discipline.Inconsistent {
		return why
	}
	return reasons[d.State]
}

// report adds what is known of an association.
func (a *association) report(r *sourceReports, t *clock.TrackingReport, uptime time.Duration) {
	cfg := &a.spec.cfg
	source := control.Source{Mode: control.ModeServer, State: control.StateUnusable, Name: cfg.Server, Poll: cfg.MinPoll, LastRx: -1}
	stats := control.SourceStats{Name: cfg.Server}
	choice := control.SelectData{State: "M", Name: cfg.Server, LastRx: -1, Leap: ntp.LeapUnknown,
		Authenticated: cfg.Auth == ntp.KindSymmetric || cfg.Auth == ntp.KindNTS,
		Configured:    control.Options{NoSelect: cfg.NoSelect, Prefer: cfg.Prefer, Trust: cfg.Trust, Require: cfg.Require}}
	if a.mode == ntp.ModeSymmetricActive || a.mode == ntp.ModeSymmetricPassive {
		source.Mode = control.ModePeer
	}
	if runner := a.runner.Load(); runner != nil {
		s := (*runner).Status()
		source.Address, source.Poll, source.Reach = s.Server.Addr().String(), int(s.Poll), s.Reach
		if m := s.Last; m != nil {
			source.Stratum, source.Measured, source.Offset = m.Header.Stratum, -m.Offset.Seconds(), -m.Offset.Seconds()
			source.Error, choice.Leap = m.RootDistance().Seconds(), m.Header.Leap
		}
		if s.Err != nil {
			source.Why = s.Err.Error()
		}
		if cfg.Mode == config.ModePool {
			source.Name, stats.Name, choice.Name = source.Address, source.Address, source.Address
		}
	}
	if err := a.lost.Load(); err != nil {
		source.Why = (*err).Error()
	}
	if d, ok := a.followed.Load().Report(); ok {
		showFollowed(d, t, &source, &stats, &choice)
		stats.Span = uint64(a.followed.Load().Span().Seconds())
	}
	stats.Address, choice.Address, choice.LastRx = source.Address, source.Address, source.LastRx
	choice.Effective, choice.Why = choice.Configured, source.Why
	r.sources, r.stats, r.choice = append(r.sources, source), append(r.stats, stats), append(r.choice, choice)
	r.auth = append(r.auth, a.authData(source.Name, source.Address, uptime))
}

// showFollowed fills in what the discipline knows of a source.
func showFollowed(d clock.SourceReport, t *clock.TrackingReport, source *control.Source, stats *control.SourceStats, choice *control.SelectData) {
	source.State, source.Poll, source.Reach = signs[d.State], d.Poll, d.Reach
	if d.State == discipline.Selected && d.Info == t.Selected {
		source.State = control.StateSelected
	}
	if why := whyNot(&d.SourceStatus); d.State != discipline.Unusable || source.Why == "" {
		source.Why = why
	}
	choice.State = selectLetters[d.State]
	if source.State == control.StateSelected {
		choice.State = "*"
	}
	if d.Age >= 0 {
		source.LastRx = int64(d.Age.Seconds())
	}
	if d.Samples == 0 {
		return
	}
	ahead := t.SystemOffset - d.Offset
	source.Offset, source.Error = ahead, d.Distance
	choice.Low, choice.High = ahead-d.Distance, ahead+d.Distance
	stats.Samples = uint64(d.Samples)
	stats.Frequency, stats.Skew = (d.Frequency-(t.Frequency-t.Residual))*ppm, d.Skew*ppm
	stats.Offset, stats.Deviation = ahead, d.Jitter
}

// selectLetters are those of chronyc's selectdata.
var selectLetters = map[discipline.SelectState]string{
	discipline.Unusable: "M", discipline.Unreachable: "S", discipline.Excluded: "N", discipline.Falseticker: "x",
	discipline.Inconsistent: "~", discipline.NotPreferred: "P", discipline.Selected: "+",
}

// authModeNames are chronyc's modes of authentication.
var authModeNames = map[ntp.Kind]control.AuthMode{ntp.KindNone: control.AuthNone, ntp.KindSymmetric: control.AuthSymmetric,
	ntp.KindNTS: control.AuthNTS, ntp.KindAutokey: control.AuthAutokey}

// authData returns how an association is authenticated.
func (a *association) authData(name, address string, uptime time.Duration) control.AuthData {
	d := control.AuthData{Name: name, Address: address, Mode: authModeNames[a.spec.cfg.Auth], Last: -1}
	switch a.spec.cfg.Auth {
	case ntp.KindSymmetric:
		d.KeyID = uint32(a.spec.cfg.Key)
		if k := a.spec.key; k != nil {
			d.Type, d.KeyLength = control.MACNumber(k.Algorithm()), k.Bits()
		}
	case ntp.KindAutokey:
		d.LegacySigned, d.KeyLength = true, 32
		if s := a.autokey.Load(); s != nil && s.Status&autokey.Status(autokey.FlagCOOK) != 0 {
			d.Cookies, d.CookieLength = 1, 4
		}
	case ntp.KindNTS:
		n := a.nts.Load()
		if n == nil {
			break
		}
		s := n.Status()
		d.KeyID, d.Type, d.KeyLength, d.Attempts, d.NAKs = s.KeyID, uint16(s.AEAD), s.KeyLen, s.Attempts, s.NAKs
		d.Cookies, d.CookieLength = s.Cookies, s.CookieLen
		if s.AEAD != 0 {
			d.Last = int64((uptime - s.LastKE).Seconds())
		}
	}
	return d
}
