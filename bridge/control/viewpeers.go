package control

import (
	"net/netip"
	"time"

	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
)

// tallies are ntpq's marks for what the discipline thinks of a source.
var tallies = map[discipline.SelectState]Selection{
	discipline.Falseticker: SelectFalsetick, discipline.Inconsistent: SelectOutlier,
	discipline.NotPreferred: SelectOutlier, discipline.Selected: SelectCandidate,
}

// Associations makes what ntpq shows of each association.
func (s *Snapshot) Associations() []Association {
	list := make([]Association, 0, len(s.Sources))
	for i := range s.Sources {
		list = append(list, s.association(&s.Sources[i]))
	}
	if systemPeer(list) == nil && !s.Steers && s.Served.Synchronised() {
		list = append(list, s.clockItself())
	}
	return list
}

// clockID is the association identifier of the clock that is served without
// sources of ours: one that no association gets, since those count from 1.
const clockID = 65535

// ntpdLocalClock is the address of ntpd's local clock, which ntpq shows as
// LOCAL(0).
var ntpdLocalClock = netip.MustParseAddrPort("127.127.1.0:123")

// clockItself is the clock that this host serves though no source of ours is
// followed, as a system peer: monitors ask for one, and an ntpd has its local
// clock there. What another program disciplines has that program's stratum
// and reference.
func (s *Snapshot) clockItself() Association {
	v := Association{ID: clockID, Source: ntpdLocalClock, Destination: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), config.PortNTP),
		Stratum: max(s.Served.Stratum, 1) - 1, Precision: s.Served.Precision, ReferenceClock: true, ReferenceID: ntp.KissCode("LOCL"),
		Reference: s.Served.Reference, Received: ntp.TimestampFromTime(s.At), Leap: s.Served.Leap,
		HostMode: ntp.ModeClient, PeerMode: ntp.ModeServer, HostPoll: ntpdPoll, PeerPoll: ntpdPoll, Reach: 0o377,
		RootDispersion: s.Served.RootDispersion, RootDelay: s.Served.RootDelay, System: SourceLocal,
		Status: PeerStatus{Configured: true, Selection: SelectSystemPeer, Event: ntp.PeerSystemPeer, EventCount: 1}}
	v.Clock = &ClockVariables{Device: "System clock", Stratum: v.Stratum, ReferenceID: v.ReferenceID}
	if s.Local {
		v.RootDispersion, v.RootDelay = 0, 0
		return v
	}
	v.System, v.ReferenceID, v.ReferenceClock = SourceOther, s.Served.ReferenceID, s.Served.Stratum == 1
	return v
}

const (
	// ntpdPoll is the poll exponent that is shown where there is none, and
	// unreachedPoll that of a server that has not answered yet: ntpd's.
	ntpdPoll      = 6
	unreachedPoll = 10
)

func (s *Snapshot) association(from *SourceSnapshot) Association {
	v := Association{ID: from.ID, NTS: from.Auth == ntp.KindNTS, ReferenceID: ntp.KissCode("INIT"), SourceName: from.Name,
		HostMode: from.HostMode, TTL: from.TTL,
		HostPoll: uint8(max(from.MinPoll, 0)), Stratum: ntp.StratumUnsynchronised, Leap: ntp.LeapUnknown,
		Status: PeerStatus{Configured: !from.Ephemeral, Broadcast: from.HostMode == ntp.ModeBroadcast, Event: from.Event,
			EventCount: from.Events}}
	if from.Events == 0 {
		v.Status.Event, v.Status.EventCount = ntp.PeerMobilized, 1
	}
	if _, err := netip.ParseAddr(from.Name); err == nil {
		v.SourceName = "" // srchost is there for who is configured by name
	}
	if from.HostMode == ntp.ModeBroadcast {
		v.ReferenceID = ntp.KissCode("BCST")
	}
	switch from.Auth {
	case ntp.KindSymmetric:
		v.KeyID = from.KeyID
	case ntp.KindAutokey:
		v.Autokey = from.autokey()
		if from.Autokey != nil {
			v.KeyID = from.Autokey.KeyID
		}
	}
	if from.Local.IsValid() {
		v.Destination = netip.AddrPortFrom(from.Local, config.PortNTP)
	}
	switch {
	case from.Clock != nil:
		from.Clock.show(&v)
	case from.Status != nil:
		from.show(&v)
	}
	s.tally(from, &v)
	if v.Received == 0 && !v.ReferenceClock {
		v.PeerPoll = max(unreachedPoll, v.HostPoll)
	}
	return v
}

// tally fills in what the discipline thinks of a source.
func (s *Snapshot) tally(from *SourceSnapshot, v *Association) {
	f := from.Follow
	if f == nil {
		return
	}
	v.Jitter, v.Status.Selection = time.Duration(f.Jitter*float64(time.Second)), tallies[f.State]
	if from.Clock == nil {
		v.HostPoll = uint8(max(f.Poll, 0))
	}
	if s.waits(f) {
		v.Status.Selection = SelectReject
	}
	if f.State == discipline.Selected && s.follows(f) {
		v.Status.Selection = SelectSystemPeer
	}
}

func (s *SourceSnapshot) autokey() *AutokeyAssociation {
	v := &AutokeyAssociation{Ident: s.Ident}
	k := s.Autokey
	if k == nil {
		return v
	}
	v.Host, v.Flags = k.Host, uint32(k.Status)
	if k.Status != 0 {
		v.Signature = k.Signature.String()
	}
	if k.HasValues {
		v.Values = &AutokeyReceived{Sequence: int32(k.Values.Sequence), KeyID: k.Values.KeyID, Timestamp: k.ValuesAt}
	}
	return v
}

// show fills in a reference clock.
func (c *ClockSnapshot) show(v *Association) {
	v.SourceName, v.PeerMode, v.ReferenceClock, v.ReferenceID = c.Name, ntp.ModeServer, true, c.ReferenceID
	v.HostPoll, v.PeerPoll = uint8(max(c.Poll, 0)), uint8(max(c.Poll, 0))
	v.Stratum, v.Reach, v.RootDelay = c.Stratum, c.Reach, c.Delay
	v.Clock = &ClockVariables{Device: c.Name, Polls: c.Samples + c.Missed, NoReply: c.Missed, BadFormat: c.BadForm(), BadData: c.BadData(),
		Stratum: c.Stratum, ReferenceID: c.ReferenceID}
	if m := c.Last; m != nil {
		v.Leap, v.Offset, v.Dispersion, v.Jitter = m.Leap, m.Offset, m.Dispersion, m.Deviation
		v.Filter[0] = FilterSample{Offset: m.Offset, Dispersion: m.Dispersion}
	}
}

// emptyDispersion is that of an empty stage of the clock filter.
const emptyDispersion = 16 * time.Second

// show fills in a server or peer.
func (s *SourceSnapshot) show(v *Association) {
	status := s.Status
	if status.Local.IsValid() {
		v.Destination = netip.AddrPortFrom(status.Local, config.PortNTP)
	}
	v.Source, v.HostPoll, v.Reach = status.Server, uint8(max(status.Poll, 0)), status.Reach
	v.PacketsSent, v.PacketsIn, v.BadAuth = status.Sent, status.Received, status.Refused
	m := status.Last
	if m == nil {
		return
	}
	h := &m.Header
	v.Status.Authentic = m.Kind != ntp.KindNone
	v.Leap, v.Stratum, v.Precision, v.PeerMode, v.PeerPoll = h.Leap, h.Stratum, h.Precision, h.Mode, uint8(h.Poll)
	v.RootDelay, v.RootDispersion = h.RootDelay.Duration(), h.RootDispersion.Duration()
	v.ReferenceID, v.Reference, v.Received = h.ReferenceID, h.Reference, m.At
	v.Offset, v.Delay, v.Dispersion = m.Offset, m.Delay, m.Dispersion
	for i, m := range status.Recent {
		v.Filter[i] = FilterSample{Dispersion: emptyDispersion}
		if m != nil {
			v.Filter[i] = FilterSample{Delay: m.Delay, Offset: m.Offset, Dispersion: m.Dispersion}
		}
	}
}
