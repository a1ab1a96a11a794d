package control

import (
	"slices"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// signs are chronyc's states for ours.
var signs = map[discipline.SelectState]SourceState{
	discipline.Unusable: StateUnusable, discipline.Unreachable: StateUnusable,
	discipline.Excluded: StateUnusable, discipline.Falseticker: StateFalseticker,
	discipline.Inconsistent: StateTooVariable, discipline.NotPreferred: StateNotCombined,
	discipline.Selected: StateCombined,
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
	discipline.NoMajority:   "no majority of sources agrees",
	discipline.ByOption:     "noselect",
	discipline.ByMode:       "not authenticated (clock.auth_select)",
	discipline.BySmear:      "smears leap seconds, other sources do not",
	discipline.KeepsRate:    "local: keeps the rate of the clock, its time is not followed",
	discipline.EnoughBetter: "agrees, but enough sources of less asymmetry and noise are followed",
}

// whyNot says why a source is not followed.
func whyNot(d *discipline.SourceStatus) string {
	if why, ok := outvoted[d.Rule]; ok && d.State != discipline.Inconsistent {
		return why
	}
	return reasons[d.State]
}

// selectLetters are those of chronyc's selectdata.
var selectLetters = map[discipline.SelectState]string{
	discipline.Unusable: "M", discipline.Unreachable: "S", discipline.Excluded: "N", discipline.Falseticker: "x",
	discipline.Inconsistent: "~", discipline.NotPreferred: "P", discipline.Selected: "+",
}

// authModes are chronyc's modes of authentication.
var authModes = map[ntp.Kind]AuthMode{ntp.KindNone: AuthNone, ntp.KindSymmetric: AuthSymmetric,
	ntp.KindNTS: AuthNTS, ntp.KindAutokey: AuthAutokey}

// eachSource makes a line of a report for each source that time comes from.
func eachSource[T any](s *Snapshot, line func(*SourceSnapshot) T) []T {
	list := []T{}
	for i := range s.Sources {
		if source := &s.Sources[i]; source.Timed() {
			list = append(list, line(source))
		}
	}
	return list
}

// SourceList makes chronyc's sources report.
func (s *Snapshot) SourceList() []Source { return eachSource(s, s.source) }

// SourceStatsList makes chronyc's sourcestats report.
func (s *Snapshot) SourceStatsList() []SourceStats { return eachSource(s, s.sourceStats) }

// AuthDataList makes chronyc's authdata report.
func (s *Snapshot) AuthDataList() []AuthData { return eachSource(s, s.authData) }

// SelectDataList makes chronyc's selectdata report.
func (s *Snapshot) SelectDataList() []SelectData { return eachSource(s, s.selectData) }

// called returns the names of a source: a pool's member goes by its address.
func (s *SourceSnapshot) called() (name, address string) {
	if s.Status != nil && s.Status.Server.IsValid() {
		address = s.Status.Server.Addr().String()
	}
	if s.Pool && address != "" {
		return address, address
	}
	return s.Name, address
}

func (s *Snapshot) source(from *SourceSnapshot) Source {
	v := Source{Mode: ModeServer, State: StateUnusable, Poll: from.MinPoll, LastRx: -1, Why: from.Why}
	v.Name, v.Address = from.called()
	switch {
	case from.HostMode == ntp.ModeSymmetricActive || from.HostMode == ntp.ModeSymmetricPassive:
		v.Mode = ModePeer
	case from.Clock != nil:
		v.Mode = ModeReferenceClock
	}
	from.measured(&v)
	f := from.Follow
	if f == nil {
		return v
	}
	if v.State = signs[f.State]; f.State == discipline.Selected && s.follows(f) {
		v.State = StateSelected
	}
	if from.Clock == nil { // else its own
		v.Poll, v.Reach = f.Poll, f.Reach
	}
	if why := whyNot(&f.SourceStatus); f.State != discipline.Unusable || v.Why == "" {
		v.Why = why
	}
	if s.waits(f) {
		v.State, v.Why = StateUnusable, "waits until more sources have answered: no majority can be told yet"
	}
	if f.Age >= 0 {
		v.LastRx = int64(f.Age.Seconds())
	}
	if f.Samples > 0 {
		v.Offset, v.Error = s.ahead(f), f.Distance
	}
	return v
}

// firstRequests is how many requests without an answer make a source one that
// the others do not wait for any more.
const firstRequests = 4

// waits reports whether a source is outvoted only because others were not heard
// yet: with two that differ nobody can tell which is wrong.
func (s *Snapshot) waits(f *FollowedByClock) bool {
	if f.State != discipline.Falseticker || f.Rule != discipline.NoMajority {
		return false
	}
	return slices.ContainsFunc(s.Sources, func(o SourceSnapshot) bool {
		heard := o.Follow != nil && o.Follow.Samples > 0
		asked := o.Status != nil && (o.Status.Err != nil || o.Status.Sent >= firstRequests)
		return o.Timed() && !heard && !asked && o.Why == "" && !o.Options.NoSelect && o.Clock == nil
	})
}

// measured fills in what the last measurement said.
func (s *SourceSnapshot) measured(v *Source) {
	var failed error
	switch c := s.Clock; {
	case c != nil:
		v.Poll, v.Reach, v.Stratum, failed = int(c.Poll), c.Reach, c.Stratum, c.Err
		if m := c.Last; m != nil {
			v.Measured, v.Offset = 0-m.Offset.Seconds(), 0-m.Offset.Seconds()
			v.Error = c.Delay.Seconds()/2 + m.Dispersion.Seconds()
		}
	case s.Status != nil:
		v.Poll, v.Reach, failed = int(s.Status.Poll), s.Status.Reach, s.Status.Err
		if m := s.Status.Last; m != nil {
			v.Stratum, v.Measured, v.Offset = m.Header.Stratum, 0-m.Offset.Seconds(), 0-m.Offset.Seconds()
			v.Error = m.RootDistance().Seconds()
		}
	}
	if v.Why == "" && failed != nil {
		v.Why = explained(failed)
	}
}

// explained is what an error of a source means, in the words of query.
func explained(err error) string { return source.Diagnose(err).Text }

// ahead is by how much the local clock is ahead of a source, s.
func (s *Snapshot) ahead(f *FollowedByClock) float64 {
	if s.Clock == nil {
		return 0 - f.Offset
	}
	return s.Clock.SystemOffset - f.Offset
}

func (s *Snapshot) sourceStats(from *SourceSnapshot) SourceStats {
	v := SourceStats{}
	v.Name, v.Address = from.called()
	f := from.Follow
	if f == nil {
		return v
	}
	if f.Samples == 0 || s.Clock == nil {
		return v
	}
	v.Samples, v.Runs, v.Span = uint64(f.Residuals.Samples), uint64(f.Residuals.Runs), uint64(f.Residuals.Span)
	v.Frequency, v.Skew = (f.Frequency-(s.Clock.Frequency-s.Clock.Residual))*ppm, f.Skew*ppm
	v.Offset, v.Deviation, v.Error = s.ahead(f), f.Residuals.Deviation, f.Distance
	return v
}

func (s *Snapshot) selectData(from *SourceSnapshot) SelectData {
	line := s.source(from)
	v := SelectData{State: "M", Name: line.Name, Address: line.Address, LastRx: line.LastRx, Leap: ntp.LeapUnknown,
		Authenticated: from.Clock == nil && (from.Auth == ntp.KindSymmetric || from.Auth == ntp.KindNTS),
		Configured:    from.Options, Effective: from.Options, Why: line.Why}
	switch {
	case from.Clock != nil && from.Clock.Last != nil:
		v.Leap = from.Clock.Last.Leap
	case from.Status != nil && from.Status.Last != nil:
		v.Leap = from.Status.Last.Header.Leap
	}
	f := from.Follow
	if f == nil {
		return v
	}
	switch v.State = selectLetters[f.State]; {
	case line.State == StateSelected:
		v.State = "*"
	case s.waits(f):
		v.State = "W"
	}
	if f.Samples > 0 {
		v.Low, v.High = s.ahead(f)-f.Distance, s.ahead(f)+f.Distance
	}
	return v
}

// authData reports how an association is authenticated.
func (s *Snapshot) authData(from *SourceSnapshot) AuthData {
	v := AuthData{Mode: authModes[from.Auth], Last: -1, Why: from.Why}
	v.Name, v.Address = from.called()
	if v.Mode == AuthNone {
		v.Why = ""
	} else if v.Why == "" && from.Status != nil && from.Status.Err != nil {
		v.Why = explained(from.Status.Err)
	}
	switch from.Auth {
	case ntp.KindSymmetric:
		v.KeyID, v.Type, v.KeyLength = from.KeyID, MACNumber(from.Algorithm), from.KeyBits
	case ntp.KindAutokey:
		v.LegacySigned, v.KeyLength = true, 32
		if k := from.Autokey; k != nil && k.Status&autokey.Status(autokey.FlagCOOK) != 0 {
			v.Cookies, v.CookieLength = 1, 4
		}
	case ntp.KindNTS:
		if n := from.NTS; n != nil {
			v.KeyID, v.Type, v.KeyLength, v.Attempts, v.NAKs = n.KeyID, uint16(n.AEAD), n.KeyLen, n.Attempts, n.NAKs
			v.Cookies, v.CookieLength = n.Cookies, n.CookieLen
			if n.AEAD != 0 {
				v.Last = int64((s.Uptime - n.LastKE) / time.Second)
			}
		}
	}
	return v
}
