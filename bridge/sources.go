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
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// firstRetry and lastRetry bound the time between two tries to find a source
// and, with NTS, to establish keys with it.
const (
	firstRetry = 2 * time.Second
	lastRetry  = 1024 * time.Second
)

// sourceSpec is a configured source or broadcast with everything that it needs.
type sourceSpec struct {
	cfg         config.Source
	id          uint16 // association ID, which ntpq shows
	key         *symkey.Key
	tls         *tls.Config
	credentials *autokey.Credentials
	digest      autokey.Digest
	groups      []*keyfile.Group
	broadcast   netip.AddrPort // valid: not a source, but where broadcasts go to
	ttl         uint8          // of them
	finder      *finder        // of the server's addresses; members of a pool share one
}

// mode is that of the packets that the association sends or, in the mode
// that ntpd calls broadcast client, waits for.
func (s *sourceSpec) mode() ntp.Mode {
	switch {
	case s.broadcast.IsValid():
		return ntp.ModeBroadcast
	case s.cfg.Mode == config.ModePeer:
		return ntp.ModeSymmetricActive
	case s.cfg.Mode == config.ModeBroadcast:
		return modeBroadcastClient
	}
	return ntp.ModeClient
}

// modeBroadcastClient is ntpd's MODE_BCLIENT, which is never on the wire.
const modeBroadcastClient ntp.Mode = 6

// buildSources makes the specifications of sources and broadcasts, after keys
// and Autokey files.
func (p *parts) buildSources(_ hclog.Logger, now time.Time) error {
	for _, s := range p.cfg.Sources {
		spec := &sourceSpec{cfg: s}
		if err := p.buildSource(spec, now); err != nil {
			return fmt.Errorf("source %s: %w", s.Server, err)
		}
	}
	for _, b := range p.cfg.Broadcast {
		spec := &sourceSpec{broadcast: netip.AddrPortFrom(b.Destination, uint16(b.Port)), ttl: uint8(b.TTL), cfg: config.Source{
			Server: b.Destination.String(), Port: b.Port, Auth: b.Auth, Key: b.Key, Version: b.Version, MinPoll: b.Poll, MaxPoll: b.Poll}}
		if err := p.buildSource(spec, now); err != nil {
			return fmt.Errorf("broadcast %v: %w", b.Destination, err)
		}
	}
	return nil
}

// buildSource completes a specification and adds it.
func (p *parts) buildSource(spec *sourceSpec, now time.Time) (err error) {
	switch s := &spec.cfg; s.Auth {
	case ntp.KindSymmetric:
		if spec.key = p.state.Keys.Lookup(uint32(s.Key)); spec.key == nil {
			err = fmt.Errorf("key %d is in no key file, or not in keys.trusted", s.Key)
		}
	case ntp.KindAutokey:
		if p.client == nil {
			p.client, err = p.clientCredentials(now)
		}
		if err == nil {
			spec.credentials = p.client
			err = spec.loadGroups(p.cfg)
		}
	case ntp.KindNTS:
		spec.tls, err = trustedBy(s.TrustedCertificates)
	}
	spec.finder = newFinder(spec.cfg.Server, spec.cfg.Family)
	p.sources = append(p.sources, spec)
	spec.id = uint16(len(p.sources))
	return err
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
func (s *sourceSpec) loadGroups(cfg *config.Config) error {
	var ok bool
	if s.digest, ok = autokey.ParseDigest(cfg.Autokey.Digest); !ok {
		return fmt.Errorf("digest %q is not known", cfg.Autokey.Digest)
	}
	if s.cfg.Ident == "" {
		return nil
	}
	for _, scheme := range []keyfile.Scheme{keyfile.IFF, keyfile.GQ, keyfile.MV} {
		g, err := keyfile.LoadGroup(os.DirFS(cfg.Autokey.KeysDir), scheme, s.cfg.Ident)
		if err == nil {
			s.groups = append(s.groups, g)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keysdir %s: %w", cfg.Autokey.KeysDir, err)
		}
	}
	if len(s.groups) == 0 {
		return fmt.Errorf("keysdir %s has no group file ntpkey_{iff,gq,mv}par_%s; get it from the group's server", cfg.Autokey.KeysDir, s.cfg.Ident)
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
	if leap := p.client.Leap(); p.cfg.Autokey.LeapFile == "" && leap != p.config.Leap {
		p.config.Leap = leap
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
	cfg := p.config
	cfg.Cache = p.client.Cache()
	state := *p.state
	p.state = &state // the old one is in use
	if err := p.setAutokey(cfg); err != nil {
		return false, err
	}
	return true, errors.Join(p.autokey.SignatureUpdate(now), p.buildQuery(nil, time.Time{}))
}

// showClient adds the client side of Autokey to what ntpq is shown.
func (p *parts) showClient(_ ntp.Timestamp, s *control.SystemVariables) {
	c := p.client
	if c == nil {
		return
	}
	if s.Autokey == nil {
		s.Autokey = &control.AutokeySystem{Host: c.Name(), Flags: uint32(c.Status()),
			Digest: strings.ToLower(p.cfg.Autokey.Digest), Signature: c.Signature().String(), Update: c.Updated()}
	}
	s.Autokey.Certificates = nil
	for _, e := range c.Certificates() {
		s.Autokey.Certificates = append(s.Autokey.Certificates, control.ShowCertificate(e.Certificate, control.CertificateFlags(e.Flags)))
	}
	if s.TAI == 0 {
		leap := c.Leap()
		s.TAI, s.LeapSeconds, s.LeapExpire = leap.TAIOffset, leap.LastLeap, leap.Expiry
	}
}
