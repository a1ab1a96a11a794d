package bridge

import (
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/association"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/ntp"
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

// relay gives out what the Autokey client side has fetched: our certificate
// signed by our server and those up to the trusted one, which make us a link
// of a certificate trail (RFC 5906, section 6), and the leap second values if
// no file has them. It reports whether the state was replaced.
func (p *parts) relay(now ntp.Timestamp, synced bool) (replaced bool, err error) {
	if p.client == nil || !synced {
		return false, nil
	}
	if p.client.Updated() == 0 {
		p.client.SignatureUpdate(now)
	}
	if p.autokey == nil {
		return false, nil
	}
	if leap := p.client.Leap(); p.cfg.Autokey.LeapFile == "" && leap != p.autokeyConfig.Leap {
		p.autokeyConfig.Leap = leap
		p.leap = control.LeapTable{TAI: leap.TAIOffset, Last: leap.LastLeap, Expire: leap.Expiry}
		if err := p.autokey.SetLeap(now, leap); err != nil {
			return false, err
		}
	}
	generation := p.client.Generation()
	if generation == p.fetched {
		return false, nil
	}
	p.fetched = generation
	cfg := p.autokeyConfig
	cfg.Cache = p.client.Cache()
	state := *p.state
	p.state = &state // the old one is in use
	if err := p.setAutokey(cfg); err != nil {
		return false, err
	}
	return true, p.autokey.SignatureUpdate(now)
}
