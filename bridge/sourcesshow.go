package bridge

import (
	"net/netip"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// associations returns what ntpq shows.
func (p *pollers) associations(ntp.Timestamp) []control.Association {
	best := best(p.steering)
	var list []control.Association
	for _, a := range p.list {
		if a.spec.cfg.Mode == config.ModePool && a.runner.Load() == nil {
			continue // a pool with fewer addresses than it may have
		}
		list = append(list, a.show(best))
	}
	for _, c := range p.clocks {
		list = append(list, c.show(best))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.passive {
		list = append(list, a.show(best))
	}
	return list
}

// best is the source that the clock follows before others; zero: none.
func best(s *follow.Steering) clock.SourceInfo {
	t, _ := s.Report()
	return t.Selected
}

// tallies are ntpq's marks for what the discipline thinks of a source.
var tallies = map[discipline.SelectState]control.Selection{
	discipline.Falseticker: control.SelectFalsetick, discipline.Inconsistent: control.SelectOutlier,
	discipline.NotPreferred: control.SelectOutlier, discipline.Selected: control.SelectCandidate,
}

// showFollow fills in what the discipline thinks of a source.
func showFollow(f *follow.Source, v *control.Association, best clock.SourceInfo) {
	r, ok := f.Report()
	if !ok {
		return
	}
	v.HostPoll, v.Jitter = uint8(max(r.Poll, 0)), seconds(r.Jitter)
	v.Status.Selection = tallies[r.State]
	if r.State == discipline.Selected && r.Info == best {
		v.Status.Selection = control.SelectSystemPeer
	}
}

// show is a reference clock as ntpq shows it.
func (c *referenceClock) show(best clock.SourceInfo) control.Association {
	s := c.clock.Status()
	v := control.Association{ID: c.id, SourceName: s.Name, HostMode: ntp.ModeClient, PeerMode: ntp.ModeServer,
		HostPoll: uint8(max(s.Poll, 0)), PeerPoll: uint8(max(s.Poll, 0)), Stratum: s.Stratum, Leap: ntp.LeapUnknown, Reach: s.Reach,
		ReferenceClock: true, ReferenceID: c.clock.ReferenceID(), RootDelay: c.clock.Delay(),
		Status: control.PeerStatus{Configured: true, Event: control.PeerMobilized}}
	if s.Reach != 0 {
		v.Status.Event = control.PeerReachable
	}
	if m := s.Last; m != nil {
		v.Leap, v.Offset, v.Dispersion, v.Jitter = m.Leap, m.Offset, m.Dispersion, m.Deviation
		v.Filter[0] = control.FilterSample{Offset: m.Offset, Dispersion: m.Dispersion}
	}
	showFollow(c.followed, &v, best)
	v.HostPoll = uint8(max(s.Poll, 0))
	return v
}

func (a *association) show(best clock.SourceInfo) control.Association {
	cfg := &a.spec.cfg
	v := control.Association{ID: a.spec.id, SourceName: cfg.Server, HostMode: a.mode, TTL: a.spec.ttl,
		HostPoll: uint8(cfg.MinPoll), Stratum: ntp.StratumUnsynchronised, Leap: ntp.LeapUnknown,
		Status: control.PeerStatus{Configured: !a.ephemeral, Event: control.PeerMobilized, Broadcast: a.mode == ntp.ModeBroadcast}}
	switch cfg.Auth {
	case ntp.KindSymmetric:
		v.KeyID = uint32(cfg.Key)
	case ntp.KindAutokey:
		v.Autokey = &control.AutokeyAssociation{Ident: cfg.Ident}
		a.showAutokey(v.Autokey)
	}
	if local := a.local.Load(); local != nil {
		v.Destination = netip.AddrPortFrom(*local, config.PortNTP)
	}
	if r := a.runner.Load(); r != nil {
		showStatus((*r).Status(), &v)
	}
	showFollow(a.followed.Load(), &v, best)
	return v
}

func (a *association) showAutokey(v *control.AutokeyAssociation) {
	s := a.autokey.Load()
	if s == nil {
		return
	}
	v.Host, v.Flags = s.Host, uint32(s.Status)
	if s.Status != 0 {
		v.Signature = s.Signature.String()
	}
	if s.HasValues {
		v.Values = &control.AutokeyReceived{Sequence: int32(s.Values.Sequence), KeyID: s.Values.KeyID, Timestamp: s.ValuesAt}
	}
}

func showStatus(s source.Status, v *control.Association) {
	v.Source = s.Server
	v.HostPoll, v.Reach = uint8(max(s.Poll, 0)), s.Reach
	v.PacketsSent, v.PacketsIn, v.BadAuth = s.Sent, s.Received, s.Refused
	if s.Reach != 0 {
		v.Status.Event = control.PeerReachable
	}
	m := s.Last
	if m == nil {
		return
	}
	h := &m.Header
	v.Status.Authentic = m.Kind != ntp.KindNone
	v.Leap, v.Stratum, v.Precision, v.PeerMode, v.PeerPoll = h.Leap, h.Stratum, h.Precision, h.Mode, uint8(h.Poll)
	v.RootDelay, v.RootDispersion = h.RootDelay.Duration(), h.RootDispersion.Duration()
	v.ReferenceID, v.Reference, v.Received = h.ReferenceID, h.Reference, m.At
	v.Offset, v.Delay, v.Dispersion = m.Offset, m.Delay, m.Dispersion
	v.Filter[0] = control.FilterSample{Delay: m.Delay, Offset: m.Offset, Dispersion: m.Dispersion}
}
