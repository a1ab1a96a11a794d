package bridge

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/autokey"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// build makes all parts; nil if serve would not start with them, which the
// findings say. It touches nothing that runs and writes nothing: what it made
// for the state directory is kept by commit.
func build(cfg *config.Config, previous *parts, log hclog.Logger, now time.Time) (*parts, *material.Set) {
	options := material.Options{Now: now}
	if previous != nil {
		options.Running = previous.set.Store
	}
	set := material.Load(cfg, options)
	if set.Findings.Err() != nil {
		return nil, set
	}
	p := &parts{cfg: cfg, set: set, client: set.Client, state: &server.State{Access: set.Access, Keys: set.Keys}}
	for _, step := range []struct {
		option string
		grade  material.Grade
		make   func(hclog.Logger, time.Time) error
	}{
		{"clock.leap", material.NoStart, p.buildLeap},
		{"rate_limit", material.NoStart, p.buildLimiter},
		{"server.ms_sntp", material.NoStart, p.buildSigning},
		{"fleet.privacy", material.NoStart, p.buildHashKey},
		{"autokey", material.NotServed, p.buildAutokey},
		{"nts", material.NoStart, p.buildNTS},
		{"sources", material.NoStart, p.buildSources},
	} {
		if err := step.make(log, now); err != nil {
			set.Find(step.grade, step.option, err)
		}
	}
	p.findNames(previous)
	p.checkPlan()
	if set.Findings.Err() != nil {
		return nil, set
	}
	return p, set
}

// commit writes what was made for the state directory.
func (p *parts) commit() error { return p.set.Store.Commit() }

// logFindings tells of what a start or a reload found.
func logFindings(log hclog.Logger, findings material.Findings) {
	for _, f := range findings {
		switch f.Grade {
		case material.NotServed:
			log.Error("not served", "reason", f.Problem.String())
		case material.Warning:
			log.Warn("check", "finding", f.Problem.String())
		}
	}
}

// worse returns why a reload is refused: it would end what is served now. What
// was broken before, or is so by the passing of time, is no reason.
func worse(old, next material.Findings) error {
	var errs []error
	for _, f := range next {
		same := func(o material.Finding) bool { return o.Grade == f.Grade && o.Path == f.Path && o.Text == f.Text }
		if f.Grade == material.NoStart || f.Grade == material.NotServed && !f.Dated && !slices.ContainsFunc(old, same) {
			errs = append(errs, errors.New(f.Problem.String()))
		}
	}
	return errors.Join(errs...)
}

func (p *parts) buildLimiter(_ hclog.Logger, _ time.Time) error { return p.makeLimiter(nil) }

// makeLimiter makes the rate limiter, in memory that is shared or in its own.
func (p *parts) makeLimiter(memory []byte) (err error) {
	l := limiterConfig(p.cfg)
	if _, err := rand.Read(l.Seed[:]); err != nil {
		return err
	}
	p.state.Limiter, err = access.NewLimiterIn(l, memory)
	return err
}

// buildSigning makes what asks Samba for signatures, if a rule wants any.
func (p *parts) buildSigning(hclog.Logger, time.Time) error {
	if !p.cfg.SignsMSSNTP() {
		return nil
	}
	m := &p.cfg.Server.MSSNTP
	rate, err := access.NewPool(access.Bucket{Rate: float64(m.Rate), Burst: m.Rate})
	p.state.Signing = &server.Signing{Socket: m.Socket, Timeout: m.Timeout, Rate: rate}
	return err
}

func (p *parts) buildAutokey(log hclog.Logger, now time.Time) error {
	m := p.set.Autokey
	if m == nil {
		return nil
	}
	a := &p.cfg.Autokey
	budget, err := autokeyBudget(p.cfg)
	if err != nil {
		return err
	}
	if p.state.Excess, err = access.NewPool(access.Bucket{Rate: float64(a.Budget.Excess), Burst: a.Budget.Excess}); err != nil {
		return err
	}
	cfg := autokey.Config{Host: m.Host, Digest: m.Digest, Seed: m.Seeds[0], OlderSeeds: m.Seeds[1:], Leap: m.Leap, Budget: budget}
	if a.Seed == config.SeedZero {
		cfg.Seed, cfg.OlderSeeds = 0, m.Seeds
	}
	if a.Takeover.Enabled {
		cfg.Takeover, cfg.TakeoverEnd = true, ntp.TimestampFromTime(a.Takeover.Until)
	}
	p.leap = control.LeapTable{TAI: m.Leap.TAIOffset, Last: m.Leap.LastLeap, Expire: m.LeapExpire}
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
	if p.set.NTS.Secret != nil {
		ring, err := p.ring(now)
		if err != nil {
			return err
		}
		p.state.NTS.SetRing(ring)
	}
	port := uint16(n.Port)
	if port == 0 && p.cfg.Server.Listen[0].Port() != config.PortNTP {
		port = p.cfg.Server.Listen[0].Port()
	}
	ke, err := nts.NewKEServer(aeads, n.Server, port)
	if err != nil {
		return err
	}
	p.ke = nke.Config{Listen: n.Listen, FreeBind: p.cfg.Server.FreeBind, Certificates: p.set.NTS.Files, KE: ke, Ring: p.state.NTS.Ring,
		Allow: allowKE(p.state.Access), Limits: keLimits(p.cfg), Logger: log.Named("nts-ke")}
	return nil
}

func (p *parts) ring(now time.Time) (*nts.Ring, error) {
	c := &p.cfg.NTS.Cookies
	return nts.NewRing(p.set.NTS.Secret, p.set.NTS.Previous, c.Rotation, c.Kept, now)
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
