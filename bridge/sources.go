package bridge

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/association"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/ntp"
)

// buildSources makes the specifications of sources and broadcasts, after keys
// and Autokey files. What one of them needs and cannot be loaded is its own
// failure.
func (p *parts) buildSources(log hclog.Logger, now time.Time) error {
	for _, s := range p.cfg.Sources {
		p.addSource(association.Spec{Config: s}, log, now)
	}
	for _, b := range p.cfg.Broadcast {
		p.addSource(association.Spec{Broadcast: netip.AddrPortFrom(b.Destination, uint16(b.Port)), TTL: uint8(b.TTL), Config: config.Source{
			Server: b.Destination.String(), Port: b.Port, Auth: b.Auth, Key: b.Key, Version: b.Version, MinPoll: b.Poll, MaxPoll: b.Poll}}, log, now)
	}
	return nil
}

func (p *parts) addSource(spec association.Spec, log hclog.Logger, now time.Time) {
	if spec.Err = p.loadSource(&spec, now); spec.Err != nil {
		log.Error("source is not asked", "server", spec.Config.Server, "error", spec.Err)
	}
	p.sources = append(p.sources, spec)
}

// loadSource loads what a source needs.
func (p *parts) loadSource(spec *association.Spec, now time.Time) (err error) {
	switch s := &spec.Config; s.Auth {
	case ntp.KindSymmetric:
		if spec.Key = p.state.Keys.Lookup(uint32(s.Key)); spec.Key == nil {
			err = fmt.Errorf("key %d is in no key file, or not in keys.trusted", s.Key)
		}
	case ntp.KindAutokey:
		if p.client == nil {
			p.client, err = p.clientCredentials(now)
		}
		if err == nil {
			spec.Credentials = p.client
			err = p.loadGroups(spec)
		}
	case ntp.KindNTS:
		spec.TLS, err = trustedBy(s.TrustedCertificates)
	}
	return err
}

// buildReferenceClocks looks whether what they need is there; it opens none.
func (p *parts) buildReferenceClocks(hclog.Logger, time.Time) error {
	for i := range p.cfg.ReferenceClocks {
		if p.cfg.ReferenceClocks[i].TAI && p.leaps.Table == nil {
			return fmt.Errorf("reference_clocks[%d].tai: TAI-UTC is not known without a table of leap seconds; "+
				"install tzdata, or name one in clock.leap.file", i)
		}
	}
	return nil
}

// clientCredentials loads the key set of this host for its client side.
func (p *parts) clientCredentials(now time.Time) (*autokey.Credentials, error) {
	options, err := p.cfg.AutokeyOptions(now)
	if err != nil {
		return nil, err
	}
	host, err := keyfile.LoadHost(os.DirFS(p.cfg.Autokey.KeysDir), options)
	if err != nil {
		return nil, fmt.Errorf("keysdir %s: %w", p.cfg.Autokey.KeysDir, err)
	}
	return autokey.NewCredentials(host, rand.Reader)
}

// loadGroups reads the group's parameter files, of which one must be there.
func (p *parts) loadGroups(s *association.Spec) error {
	cfg := p.cfg
	var ok bool
	if s.Digest, ok = autokey.ParseDigest(cfg.Autokey.Digest); !ok {
		return fmt.Errorf("digest %q is not known", cfg.Autokey.Digest)
	}
	if s.Config.Ident == "" {
		return nil
	}
	for _, scheme := range []keyfile.Scheme{keyfile.IFF, keyfile.GQ, keyfile.MV} {
		g, err := keyfile.LoadGroup(os.DirFS(cfg.Autokey.KeysDir), scheme, s.Config.Ident)
		if err == nil {
			s.Groups = append(s.Groups, g)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keysdir %s: %w", cfg.Autokey.KeysDir, err)
		}
	}
	if len(s.Groups) == 0 {
		return fmt.Errorf("keysdir %s has no group file ntpkey_{iff,gq,mv}par_%s; get it from the group's server", cfg.Autokey.KeysDir, s.Config.Ident)
	}
	return nil
}

// trustedBy returns TLS settings that trust the certificates of a PEM file, or
// with no file those of the system.
func trustedBy(path string) (*tls.Config, error) {
	if path == "" {
		return &tls.Config{}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in it; it must be PEM", path)
	}
	return &tls.Config{RootCAs: pool}, nil
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
