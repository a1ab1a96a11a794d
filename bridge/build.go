package bridge

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
	"ntsbridge/bridge/statedir"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
	"ntsbridge/symkey"
)

// build makes all parts, or none and an error. It touches nothing that runs;
// what it finds questionable it logs.
func build(cfg *config.Config, previous *parts, log hclog.Logger, now time.Time) (*parts, error) {
	p := &parts{cfg: cfg, state: &server.State{}}
	var running *statedir.Store
	if previous != nil {
		running = previous.store
	}
	var err error
	if p.store, err = statedir.Open(cfg.StateDir, running); err != nil {
		return nil, err
	}
	for _, step := range []func(hclog.Logger, time.Time) error{
		p.buildLeap, p.buildAccess, p.buildKeys, p.buildAutokey, p.buildNTS, p.buildSources, p.buildReferenceClocks,
	} {
		if err := step(log, now); err != nil {
			return nil, err
		}
	}
	for _, notice := range p.store.Notices() {
		log.Warn("state directory", "notice", notice)
	}
	if err := p.store.Commit(); err != nil || !cfg.NTS.Enabled {
		return p, err
	}
	_, err = nke.LoadCertificates(p.ke.Certificates)
	return p, err
}

func (p *parts) buildAccess(_ hclog.Logger, _ time.Time) (err error) {
	if p.state.Access, err = p.cfg.AccessTable(); err != nil {
		return err
	}
	l := limiterConfig(p.cfg)
	if _, err := rand.Read(l.Seed[:]); err != nil {
		return err
	}
	p.state.Limiter, err = access.NewLimiter(l)
	return err
}

func (p *parts) buildKeys(log hclog.Logger, _ time.Time) error {
	trusted, err := p.cfg.TrustedKeys()
	if err != nil {
		return err
	}
	var keys []*symkey.Key
	for _, f := range p.cfg.Keys.Files {
		file, err := config.ReadKeyFile(f)
		if err != nil {
			return fmt.Errorf("key file: %w", err)
		}
		for _, finding := range file.Findings {
			log.Warn("key file", "file", f.Path, "line", finding.Line, "finding", finding.Text)
		}
		keys = append(keys, file.Keys...)
	}
	if len(p.cfg.Keys.Files) == 0 && p.cfg.Keys.Generate {
		// The file is ours: every key in it may be used.
		trusted = symkey.TrustAll
		if keys, p.made.Key, err = loadGeneratedKeys(p.store, generatedKeyFile(p.cfg)); err != nil {
			return err
		}
	}
	p.state.Keys, err = symkey.NewTable(keys, trusted)
	return err
}

func generatedKeyFile(cfg *config.Config) string { return filepath.Join(cfg.StateDir, "ntp.keys") }

func (p *parts) buildAutokey(log hclog.Logger, now time.Time) error {
	a := &p.cfg.Autokey
	if !a.Enabled {
		return nil
	}
	options, err := p.cfg.AutokeyOptions(now)
	if err != nil {
		return fmt.Errorf("autokey: password file: %w", err)
	}
	host, err := keyfile.LoadHost(os.DirFS(a.KeysDir), options)
	if err != nil {
		return fmt.Errorf("autokey: keysdir %s: %w", a.KeysDir, err)
	}
	for _, f := range host.Findings {
		log.Warn("autokey key set", "file", f.File, "finding", f.Text)
	}
	digest, ok := autokey.ParseDigest(a.Digest)
	if !ok {
		return fmt.Errorf("autokey: digest %q is not known; use the one of the clients' crypto line, MD5 if it has none", a.Digest)
	}
	seeds, err := loadSeeds(p.store, a.SeedFile)
	if err != nil {
		return err
	}
	budget, err := autokeyBudget(p.cfg)
	if err != nil {
		return err
	}
	if p.state.Excess, err = access.NewPool(access.Bucket{Rate: float64(a.Budget.Excess), Burst: a.Budget.Excess}); err != nil {
		return err
	}
	cfg := autokey.Config{Host: host, Digest: digest, Seed: seeds[0], OlderSeeds: seeds[1:], Budget: budget}
	if a.Seed == config.SeedZero {
		cfg.Seed, cfg.OlderSeeds = 0, seeds
		log.Warn("Autokey trial: cookies are made from seed 0, which anybody can compute, so that an ntpd can serve here again; end it with autokey.seed: own")
	}
	if a.Takeover.Enabled {
		cfg.Takeover, cfg.TakeoverEnd = true, ntp.TimestampFromTime(a.Takeover.Until)
		log.Warn("Autokey takeover: cookies of seed 0, which anybody can compute, are accepted for clients that ntpd served before",
			"until", a.Takeover.Until.Format(time.DateOnly))
	}
	if a.LeapFile != "" {
		text, err := os.ReadFile(a.LeapFile)
		if err != nil {
			return fmt.Errorf("autokey: leap file: %w", err)
		}
		if cfg.Leap, err = leapValues(a.LeapFile, text, now); err != nil {
			return err
		}
		p.leap = leapTable(cfg.Leap, text)
	}
	return p.setAutokey(cfg)
}

// setAutokey makes the Autokey server anew. The state must not be in use yet.
func (p *parts) setAutokey(cfg autokey.Config) (err error) {
	if p.autokey, err = autokey.NewServer(cfg, rand.Reader); err != nil {
		return err
	}
	p.autokeyConfig, p.state.Autokey = cfg, p.autokey
	return nil
}

func (p *parts) buildNTS(log hclog.Logger, now time.Time) error {
	n := &p.cfg.NTS
	if !n.Enabled {
		return nil
	}
	var aeads []aead.ID
	for _, id := range n.AEADs {
		aeads = append(aeads, aead.ID(id))
	}
	var err error
	if p.state.NTS, err = nts.NewServer(aeads); err != nil {
		return err
	}
	if p.secret, p.made.CookieSecret, err = loadCookieSecret(p.store, n.Cookies.SecretFile); err != nil {
		return err
	}
	ring, err := p.ring(now)
	if err != nil {
		return err
	}
	p.state.NTS.SetRing(ring)
	files, made, err := certificates(p.cfg, p.store, now)
	if err != nil {
		return err
	}
	p.made.Certificate = made
	port := uint16(n.Port)
	if port == 0 && p.cfg.Server.Listen[0].Port() != config.PortNTP {
		port = p.cfg.Server.Listen[0].Port()
	}
	ke, err := nts.NewKEServer(aeads, n.Server, port)
	if err != nil {
		return err
	}
	p.ke = nke.Config{Listen: n.Listen, Certificates: files, KE: ke, Ring: p.state.NTS.Ring,
		Allow: allowKE(p.state.Access), Limits: keLimits(p.cfg), Logger: log.Named("nts-ke")}
	return nil
}

func (p *parts) ring(now time.Time) (*nts.Ring, error) {
	c := &p.cfg.NTS.Cookies
	return nts.NewRing(p.secret, c.Rotation, c.Kept, now)
}

// allowKE admits to NTS-KE whom the access rules admit to NTS.
func allowKE(table *access.Table) func(netip.Addr) ntp.Reason {
	return func(addr netip.Addr) ntp.Reason {
		_, reason := table.Lookup(netip.AddrPortFrom(addr, 0)).Judge(ntp.KindNTS, 4)
		return reason
	}
}

func keLimits(cfg *config.Config) nke.Limits {
	l := &cfg.NTS.Limits
	limits := nke.Limits{Connections: l.Connections, ConnectionsPerPrefix: l.PerPrefix, Burst: l.Burst,
		IPv4Prefix: cfg.RateLimit.IPv4Prefix, IPv6Prefix: cfg.RateLimit.IPv6Prefix,
		Prefixes: l.Clients, Timeout: l.Timeout, Rate: -1}
	if l.Interval > 0 {
		limits.Rate = 1 / l.Interval.Seconds()
	}
	return limits
}

// certificates returns the configured files, or those of the state directory,
// made on the first start.
func certificates(cfg *config.Config, store *statedir.Store, now time.Time) (files []nke.Files, made bool, err error) {
	for _, c := range cfg.NTS.Certificates {
		files = append(files, nke.Files{Certificate: c.Cert, Key: c.Key})
	}
	if len(files) > 0 {
		return files, false, nil
	}
	if !cfg.NTS.Generate {
		return nil, false, errors.New("nts: no certificate; name one in nts.certificates, or set nts.generate or nts.enabled: false")
	}
	f := generatedCertificate(cfg)
	key, _, err := store.Load(statedir.File{Path: f.Key, What: "private key of NTS", Mode: statedir.Secret, Make: nke.NewKey,
		Loss: "every NTS client needs the new certificate"})
	if err != nil {
		return nil, false, err
	}
	_, made, err = store.Load(statedir.File{Path: f.Certificate, What: "certificate of NTS", Mode: statedir.Public,
		Loss: "every NTS client needs the new certificate",
		Make: func() ([]byte, error) { return nke.NewSelfSigned(key, selfSignedNames(cfg), now) }})
	return []nke.Files{f}, made, err
}

func generatedCertificate(cfg *config.Config) nke.Files {
	return nke.Files{Certificate: filepath.Join(cfg.StateDir, "nts.crt"), Key: filepath.Join(cfg.StateDir, "nts.key")}
}

// selfSignedNames are the configured names and every address of this host, so
// that clients without DNS can use it too.
func selfSignedNames(cfg *config.Config) []string {
	names := append([]string(nil), cfg.NTS.Names...)
	if len(names) == 0 {
		names = append(names, "localhost")
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return names
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() {
			names = append(names, ip.IP.String())
		}
	}
	return names
}
