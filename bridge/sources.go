package bridge

import (
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/association"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/material"
)

// buildSources makes the specifications of sources and broadcasts of what was
// loaded for them.
func (p *parts) buildSources(hclog.Logger, time.Time) error {
	for i, s := range p.cfg.Sources {
		p.addSource(association.Spec{Config: s}, &p.set.Sources[i])
	}
	for i, b := range p.cfg.Broadcast {
		p.addSource(association.Spec{Broadcast: netip.AddrPortFrom(b.Destination, uint16(b.Port)), TTL: uint8(b.TTL), Config: config.Source{
			Server: b.Destination.String(), Port: b.Port, Auth: b.Auth, Key: b.Key, Version: b.Version, MinPoll: b.Poll, MaxPoll: b.Poll}},
			&p.set.Broadcasts[i])
	}
	return nil
}

func (p *parts) addSource(spec association.Spec, m *material.Source) {
	spec.Key, spec.TLS, spec.Credentials = m.Key, m.TLS, m.Credentials
	spec.Digest, spec.Groups, spec.Err = m.Digest, m.Groups, m.Err
	p.sources = append(p.sources, spec)
}
