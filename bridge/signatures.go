package bridge

import (
	"errors"
	"time"

	"ntsbridge/bridge/control"

	"ntsbridge/autokey"
	"ntsbridge/bridge/ntp"
)

// relay gives out what the Autokey client side has fetched.
func (b *Bridge) relay(p *parts, now time.Time) error {
	replaced, err := p.relay(ntp.TimestampFromTime(now), b.clock.Synchronised())
	if replaced {
		b.server.SetState(p.state)
		b.sources.SetAutokey(p.autokey)
	}
	return errors.Join(err, b.updateSignatures(p.autokey))
}

// updateSignatures makes an Autokey server sign its values, which it does
// when the clock is first synchronised.
func (b *Bridge) updateSignatures(a *autokey.Server) error {
	if a == nil || !b.clock.Synchronised() || a.Updated() != 0 {
		return nil
	}
	return a.SignatureUpdate(ntp.TimestampFromTime(time.Now()))
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
