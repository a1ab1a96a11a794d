package bridge

import (
	"context"
	"reflect"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/nke/acme"
)

// acmeKeeper is the manager of the certificate that an authority gives.
type acmeKeeper struct {
	cfg     config.ACME
	manager *acme.Manager
	cancel  context.CancelFunc
	done    chan struct{}
}

func (k *acmeKeeper) stop() {
	if k != nil {
		k.cancel()
		<-k.done
	}
}

// keepCertificate lets the certificate that an authority gives be got and
// renewed as the configuration says. What it cannot do is its own failure.
func (b *Bridge) keepCertificate(cfg *config.Config) {
	a := cfg.NTS.ACME
	running := b.acme.Load()
	if running != nil && reflect.DeepEqual(running.cfg, a) {
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
