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
	return list
}

func (s *Snapshot) association(from *SourceSnapshot) Association {
	v := Association{ID: from.ID, SourceName: from.Name, HostMode: from.HostMode, TTL: from.TTL,
		HostPoll: uint8(max(from.MinPoll, 0)), Stratum: ntp.StratumUnsynchronised, Leap: ntp.LeapUnknown,
		Status: PeerStatus{Configured: !from.Ephemeral, Event: PeerMobilized, Broadcast: from.HostMode == ntp.ModeBroadcast}}
	switch from.Auth {
	case ntp.KindSymmetric:
		v.KeyID = from.KeyID
	case ntp.KindAutokey:
		v.Autokey = from.autokey()
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
	if v.Reach != 0 {
		v.Status.Event = PeerReachable
	}
	s.tally(from, &v)
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
	if m := c.Last; m != nil {
		v.Leap, v.Offset, v.Dispersion, v.Jitter = m.Leap, m.Offset, m.Dispersion, m.Deviation
		v.Filter[0] = FilterSample{Offset: m.Offset, Dispersion: m.Dispersion}
	}
}

// show fills in a server or peer.
func (s *SourceSnapshot) show(v *Association) {
	status := s.Status
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
	v.Filter[0] = FilterSample{Delay: m.Delay, Offset: m.Offset, Dispersion: m.Dispersion}
}
