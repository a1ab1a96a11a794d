package bridge

import (
	"strings"

	"ntsbridge/bridge/control"
)

// leapShown is what ntpq is shown of leap seconds: of Autokey's file, or else
// what its client side was told.
func (b *Bridge) leapShown() control.LeapTable {
	b.inForce.Lock()
	defer b.inForce.Unlock()
	p := b.parts.Load()
	if p.leap.TAI == 0 && p.client != nil {
		leap := p.client.Leap()
		return control.LeapTable{TAI: leap.TAIOffset, Last: leap.LastLeap, Expire: leap.Expiry}
	}
	return p.leap
}

// autokeyShown is what ntpq is shown of Autokey, nil: it is off.
func (b *Bridge) autokeyShown() (s *control.AutokeySystem) {
	b.inForce.Lock()
	defer b.inForce.Unlock()
	p := b.parts.Load()
	if p.autokey != nil {
		s = control.ShowAutokeyServer(p.autokey.Status(), p.autokey.Updated(), p.autokeyConfig.Host, p.autokeyConfig.Digest)
	}
	c := p.client
	if c == nil {
		return s
	}
	if s == nil {
		s = &control.AutokeySystem{Host: c.Name(), Flags: uint32(c.Status()),
			Digest: strings.ToLower(p.cfg.Autokey.Digest), Signature: c.Signature().String(), Update: c.Updated()}
	}
	s.Certificates = nil
	for _, e := range c.Certificates() {
		s.Certificates = append(s.Certificates, control.ShowCertificate(e.Certificate, control.CertificateFlags(e.Flags)))
	}
	return s
}
