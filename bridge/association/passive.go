package association

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/clock/schedule"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// errNotPassive says that a packet may not begin an association.
var errNotPassive = errors.New("no passive association for this packet")

// begin makes the association for a host that no source names, if the access
// rules let it pass and its packet has a MAC of a key that may do that.
func (s *Set) beginPassive(hub *source.Hub, packet source.Packet) (*source.Peer, error) {
	cfg := s.config.Load()
	l := ntp.Classify(packet.Data, cfg.Keys)
	version := ntp.VersionOf(packet.Data)
	rule := cfg.Access.Lookup(packet.From)
	if action, _ := rule.Judge(ntp.KindSymmetric, version); action != ntp.Answer || packet.To != packet.Destination {
		return nil, errNotPassive
	}
	if action, _ := rule.JudgeKey(l.KeyID); action != ntp.Answer || !inRanges(cfg.Passive.Keys, l.KeyID) {
		return nil, errNotPassive
	}
	auth, err := source.SymmetricAuth(packet, cfg.Keys)
	if err != nil {
		return nil, err
	}
	if err := hub.Greet(packet, auth, s.clock); err != nil {
		return nil, err
	}
	var h ntp.Header
	h.Decode(packet.Data)
	poll := min(max(h.Poll, 3), schedule.DefaultMaxPoll)
	a := s.passiveAssociation(packet.From, l.KeyID, int(poll))
	peer, err := source.NewPeer(source.PeerConfig{
		Peer: packet.From, Local: packet.To, Mode: ntp.ModeSymmetricPassive, Version: version, Auth: auth,
		Polling: source.Polling{MinPoll: poll, MaxPoll: schedule.DefaultMaxPoll},
		Clock:   s.clock, Port: s.port(0, nil), OnError: a.logged,
	})
	if err != nil {
		return nil, err
	}
	r := runner(peer)
	a.runner.Store(&r)
	a.local.Store(&packet.To)
	s.mu.Lock()
	defer s.mu.Unlock()
	a.id = s.newID()
	s.passive = append(s.passive, a)
	s.env.Log.Info("a passive association begins", "peer", packet.From, "key", l.KeyID)
	return peer, nil
}

func (s *Set) passiveAssociation(from netip.AddrPort, key uint32, poll int) *association {
	spec := &Spec{Config: config.Source{Server: from.Addr().String(), Port: int(from.Port()), Mode: config.ModePeer,
		Auth: ntp.KindSymmetric, Key: int(key), MinPoll: poll}}
	a := newAssociation(s.shared, spec, nil, 0)
	a.mode, a.ephemeral = ntp.ModeSymmetricPassive, true
	return a
}

func inRanges(ranges []access.KeyRange, id uint32) bool {
	return len(ranges) == 0 || slices.ContainsFunc(ranges, func(r access.KeyRange) bool { return r.Low <= id && id <= r.High })
}

// ended forgets a passive association.
func (s *Set) ended(addr netip.Addr, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passive = slices.DeleteFunc(s.passive, func(a *association) bool { return a.spec.Config.Server == addr.String() })
	s.env.Log.Info("a passive association ended", "peer", addr, "reason", fmt.Sprint(err))
}
