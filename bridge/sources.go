package bridge

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
	"ntsbridge/symkey"
)

// firstRetry and lastRetry bound the time between two tries to find a source
// and, with NTS, to establish keys with it.
const (
	firstRetry = 4 * time.Second
	lastRetry  = 1024 * time.Second
)

// sourceSpec is a configured source with everything that it needs.
type sourceSpec struct {
	cfg         config.Source
	id          uint16 // association ID, which ntpq shows
	key         *symkey.Key
	tls         *tls.Config
	credentials *autokey.Credentials
	digest      autokey.Digest
	groups      []*keyfile.Group
}

// buildSources makes the specifications, after keys and Autokey files.
func (p *parts) buildSources(_ hclog.Logger, now time.Time) error {
	for i, s := range p.cfg.Sources {
		spec := &sourceSpec{cfg: s, id: uint16(i + 1)}
		var err error
		switch s.Auth {
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
		if err != nil {
			return fmt.Errorf("source %s: %w", s.Server, err)
		}
		p.sources = append(p.sources, spec)
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

// association is a source that is being polled.
type association struct {
	spec    *sourceSpec
	client  atomic.Pointer[source.Client]
	autokey atomic.Pointer[autokey.State]
	refused atomic.Uint64 // packets with wrong authentication
}

// pollers run the associations of a configuration until they are stopped.
type pollers struct {
	log    hclog.Logger
	clock  *source.SystemClock
	list   []*association
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func startPollers(specs []*sourceSpec, state *ntp.ClockState, log hclog.Logger) *pollers {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pollers{log: log, clock: source.NewSystemClock(state), cancel: cancel}
	for _, spec := range specs {
		a := &association{spec: spec}
		p.list = append(p.list, a)
		p.done.Go(func() { p.follow(ctx, a) })
	}
	return p
}

func (p *pollers) stop() {
	p.cancel()
	p.done.Wait()
}

// follow keeps an association alive: it finds the server again whenever the
// association has ended.
func (p *pollers) follow(ctx context.Context, a *association) {
	retry := firstRetry
	for ctx.Err() == nil {
		started := time.Now()
		if err := p.associate(ctx, a); ctx.Err() == nil {
			p.log.Warn("source is lost and will be looked for again", "server", a.spec.cfg.Server, "error", err, "in", retry)
		}
		if time.Since(started) > lastRetry {
			retry = firstRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
		retry = min(2*retry, lastRetry)
	}
}

func (p *pollers) associate(ctx context.Context, a *association) error {
	cfg := &a.spec.cfg
	auth, server, err := a.spec.authenticator(ctx)
	if err != nil {
		return err
	}
	client, err := source.NewClient(source.ClientConfig{
		Server: server, Version: uint8(cfg.Version), Auth: auth, Clock: p.clock,
		Polling:  source.Polling{MinPoll: int8(cfg.MinPoll), MaxPoll: int8(cfg.MaxPoll), IBurst: cfg.IBurst},
		OnError:  func(err error) { p.log.Debug("source", "server", cfg.Server, "error", err) },
		OnPacket: func(j source.Judgement) { a.note(auth, j) },
	})
	if err != nil {
		return err
	}
	a.client.Store(client)
	return client.Run(ctx)
}

// note keeps what ntpq shows; it runs in the association's own goroutine.
func (a *association) note(auth source.Authenticator, j source.Judgement) {
	if j.Err != nil {
		a.refused.Add(1)
	}
	if k, ok := auth.(*source.Autokey); ok {
		state := k.Client.State()
		a.autokey.Store(&state)
	}
}

// authenticator makes the one of the source and finds the server's address.
func (s *sourceSpec) authenticator(ctx context.Context) (source.Authenticator, netip.AddrPort, error) {
	if s.cfg.Auth == ntp.KindNTS {
		n, server, err := source.DialNTS(ctx, source.NTSConfig{
			Server: net.JoinHostPort(s.cfg.Server, strconv.Itoa(s.cfg.NTSPort)), TLS: s.tls})
		if err != nil {
			return nil, server, err
		}
		return n, server, nil
	}
	addr, err := resolve(ctx, s.cfg.Server)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	server := netip.AddrPortFrom(addr, uint16(s.cfg.Port))
	switch s.cfg.Auth {
	case ntp.KindSymmetric:
		auth, err := source.NewSymmetric(s.key)
		return auth, server, err
	case ntp.KindAutokey:
		local := netip.IPv4Unspecified() // known when the socket is there
		if addr.Is6() {
			local = netip.IPv6Unspecified()
		}
		client, err := autokey.NewClient(autokey.AssociationConfig{Credentials: s.credentials, Digest: s.digest, ID: s.id,
			Local: local, Remote: addr.WithZone(""), Ident: s.cfg.Ident, Groups: s.groups})
		if err != nil {
			return nil, server, err
		}
		return &source.Autokey{Client: client}, server, nil
	}
	return source.None{}, server, nil
}

func resolve(ctx context.Context, server string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(server); err == nil {
		return addr, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", server)
	if err != nil {
		return netip.Addr{}, err
	}
	return found[0].Unmap(), nil
}

// associations returns what ntpq shows.
func (p *pollers) associations(ntp.Timestamp) []control.Association {
	var list []control.Association
	for _, a := range p.list {
		list = append(list, a.show())
	}
	return list
}

func (a *association) show() control.Association {
	cfg := &a.spec.cfg
	v := control.Association{ID: a.spec.id, SourceName: cfg.Server, HostMode: ntp.ModeClient,
		HostPoll: uint8(cfg.MinPoll), Stratum: ntp.StratumUnsynchronised, Leap: ntp.LeapUnknown,
		Status: control.PeerStatus{Configured: true, Event: control.PeerMobilized}, BadAuth: a.refused.Load()}
	switch cfg.Auth {
	case ntp.KindSymmetric:
		v.KeyID = uint32(cfg.Key)
	case ntp.KindAutokey:
		v.Autokey = &control.AutokeyAssociation{Ident: cfg.Ident}
		if s := a.autokey.Load(); s != nil {
			v.Autokey.Host, v.Autokey.Flags = s.Host, uint32(s.Status)
			if s.Status != 0 {
				v.Autokey.Signature = s.Signature.String()
			}
		}
	}
	if client := a.client.Load(); client != nil {
		a.showClient(client.Status(), &v)
	}
	return v
}

func (a *association) showClient(s source.Status, v *control.Association) {
	v.Source = s.Server
	v.HostPoll, v.Reach = uint8(s.Poll), s.Reach
	v.PacketsSent, v.PacketsIn = s.Sent, s.Received
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
