package bridge

import (
	"context"
	"reflect"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/nke/acme"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/nke"
)

// certificates are all that this daemon shows or serves.
func (b *Bridge) certificates() (list []control.Certificate) {
	now := time.Now()
	add := func(use string, status []nke.CertificateStatus) {
		for i := range status {
			c := &status[i]
			shown := control.Certificate{Use: use, File: c.Files.Certificate, Names: append([]string{}, c.Names...), Issuer: c.Issuer,
				Key: c.Key, NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), DaysLeft: c.DaysLeft, Problems: []string{}}
			for _, x := range c.Complaints {
				shown.Problems = append(shown.Problems, x.Text)
			}
			list = append(list, shown)
		}
	}
	if b.ke != nil {
		add("nts", b.ke.Status(now).Certificates)
	}
	p := b.parts.Load()
	if p.cfg.API.Certificate != "" {
		add("api", b.api.Certificates(now))
	}
	if m := p.set.Autokey; m != nil && m.Host.Certificate != nil {
		c := m.Host.Certificate
		shown := control.Certificate{Use: "autokey", Names: []string{c.Subject}, Issuer: c.Issuer, Key: "host key", Problems: []string{},
			NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), DaysLeft: daysLeft(c.NotAfter, now)}
		if shown.DaysLeft < 0 {
			shown.Problems = append(shown.Problems, "it is past: clients refuse it")
		}
		list = append(list, shown)
	}
	return list
}

func daysLeft(end, now time.Time) int {
	d := end.Sub(now)
	if d < 0 {
		return -1 - int(-d/(24*time.Hour))
	}
	return int(d / (24 * time.Hour))
}

// firstCertificate is when the first certificate of NTS-KE ends; zero: there is
// none.
func (b *Bridge) firstCertificate(now time.Time) (first time.Time) {
	if !b.serving.Load() || b.ke == nil {
		return first
	}
	for _, c := range b.ke.Status(now).Certificates {
		if first.IsZero() || c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	return first
}

// keepCertificate lets the certificate that an authority gives be got and
// renewed as the configuration says. What it cannot do is its own failure.
func (b *Bridge) keepCertificate(cfg *config.Config) {
	a := cfg.NTS.ACME
	running := b.acme.Load()
	if running != nil && reflect.DeepEqual(running.cfg, a) {
		running.manager.Look()
		return
	}
	b.acme.Store(nil)
	running.stop()
	if b.ke == nil || a.Directory == "" {
		return
	}
	log := b.log.Named("acme")
	key, err := material.BindingKey(cfg)
	if err != nil {
		log.Error("no certificate by ACME", "error", err)
		return
	}
	manager, err := acme.New(acme.Config{Directory: a.Directory, Contact: a.Contact, Names: a.Names, Challenge: a.Challenge,
		Listen: a.Listen, Hook: a.Hook, Bundle: a.CABundle, BindingID: a.BindingID, BindingKey: key, Dir: cfg.StateDir,
		Ready: b.clock.Synchronised, Issued: func() { _ = b.ke.Reload() }, Logger: log})
	if err != nil {
		log.Error("no certificate by ACME", "error", err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	k := &acmeKeeper{cfg: a, manager: manager, cancel: cancel, done: make(chan struct{})}
	go func() { defer close(k.done); manager.Run(ctx) }()
	b.acme.Store(k)
}

// showACME tells how it stands; nil if no authority is asked.
func (b *Bridge) showACME() *control.NTSACME {
	k := b.acme.Load()
	if k == nil {
		return nil
	}
	s := k.manager.Status()
	return &control.NTSACME{Directory: k.cfg.Directory, Names: k.cfg.Names, Tried: s.Tried, Next: s.Next, Error: s.Error,
		Waiting: s.Tried.IsZero() && s.Next.IsZero()}
}

// Whether the certificate that was made here is to be renewed is looked at so
// often; after a failure
// hourly.
const (
	renewalInterval = 10 * time.Minute
	renewalAgain    = time.Hour
)

// renewSelfMade makes the certificate of the state directory anew in time. The
// clock has to be right for that.
func (b *Bridge) renewSelfMade(p *parts, now time.Time) {
	if !p.cfg.NTS.Enabled || len(p.cfg.NTS.Certificates) > 0 || p.cfg.NTS.ACME.Directory != "" || b.ke == nil || p.set.Undated ||
		!b.clock.Synchronised() {
		return
	}
	if !b.renewal.IsZero() && now.Sub(b.renewal) < renewalInterval {
		return
	}
	b.renewal = now
	why, err := material.RenewSelfMade(p.cfg, now)
	switch {
	case err != nil:
		b.renewal = now.Add(renewalAgain - renewalInterval)
		b.log.Error("the certificate made here cannot be renewed", "error", err, "again", renewalAgain.String())
	case why != "":
		b.log.Warn("the certificate made here is renewed, with the same key", "reason", why)
		_ = b.ke.Reload() // which logs
	}
}
