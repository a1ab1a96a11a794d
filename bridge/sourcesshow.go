package bridge

import (
	"net/netip"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// associations returns what ntpq shows.
func (p *pollers) associations(ntp.Timestamp) []control.Association {
	var list []control.Association
	for _, a := range p.list {
		list = append(list, a.show())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.passive {
		list = append(list, a.show())
	}
	return list
}

func (a *association) show() control.Association {
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
