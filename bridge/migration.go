package bridge

import (
	"net"
	"net/netip"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
	"ntsbridge/bridge/ntp"
)

// openMigration goes on with the steps of the migration, before anything is
// answered. It rests on the inventory: without one nobody is refused.
func (b *Bridge) openMigration(cfg *config.Config) {
	if !cfg.Fleet.Enabled {
		return
	}
	o := migration.Options{Dir: cfg.StateDir, Each: b.fleet.Each, Ours: b.isOurs, Facts: b.gateFacts,
		Synchronised: b.clock.Synchronised, Log: b.log.Named("fleet"),
		Where: func() stage.Where { return stage.Where{Labels: b.parts.Load().names.Labels} },
		Enforce: func(r *stage.Resolver, list []stage.Refusal) {
			if r == nil {
				b.server.SetOverlay(nil)
				return
			}
			b.server.SetOverlay(r.Compile(list))
		}}
	o.Happened = b.happened
	o.NoPrograms = migration.NoPrograms(cfg.Sandbox)
	b.openSite(cfg)
	o.Site = b.site
	b.migration = migration.Open(o, time.Now())
	if b.site != nil {
		b.site.Run()
	}
	b.migration.Run()
}

// migrationAnswers are what the local API answers about the migration.
func (b *Bridge) migrationAnswers() control.Fleet {
	m := b.migration
	if m == nil {
		return control.Fleet{}
	}
	return control.Fleet{Declared: m.Declared, Seat: m.Seat, History: m.History,
		Status: func(brief bool) *steer.Status { return m.Status(time.Now(), brief) },
		Ask:    func(who string, r *migration.Request) (*migration.Answer, error) { return m.Ask(time.Now(), who, r) }}
}

// gateFacts are what gates rest on beside the clients.
func (b *Bridge) gateFacts(now time.Time) gate.Facts {
	watched, full := b.fleet.Watching()
	f := gate.Facts{Full: full, KECapacity: migration.KECapacity(), Elsewhere: b.elsewhere(now), Watched: intervals(watched)}
	f.Certificate = b.firstCertificate(now)
	return f
}

// elsewhere tells whom other gateways of the site answered lately; nil: it has
// none. A file that cannot be read says nothing, which keeps gates shut.
func (b *Bridge) elsewhere(now time.Time) func(netip.Prefix) bool {
	files := b.parts.Load().cfg.Fleet.OtherGateways
	if len(files) == 0 {
		return nil
	}
	o := b.others.Load()
	if o == nil || now.Sub(o.at).Abs() > time.Minute {
		seen, errs := readOthers(files)
		for _, err := range errs {
			b.log.Named("fleet").Warn("the clients of another gateway are not known", "error", err)
		}
		o = &others{at: now, seen: seen}
		b.others.Store(o)
	}
	return func(p netip.Prefix) bool { return o.seen.Has(p, uint32(now.Unix())) }
}

// isOurs tells whether a reference identifier is that of an address of this
// host.
func (b *Bridge) isOurs(refid uint32) bool {
	ids := b.ourIDs.Load()
	if ids == nil || time.Since(ids.at) > time.Minute {
		ids = &ourIDs{at: time.Now(), ids: map[uint32]bool{}}
		list, _ := net.InterfaceAddrs() // without, the listen addresses count
		for _, a := range list {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				ids.ids[ntp.ReferenceID(p.Addr())] = true
			}
		}
		for _, a := range b.server.Addresses() {
			ids.ids[ntp.ReferenceID(a.Addr())] = true
		}
		b.ourIDs.Store(ids)
	}
	return ids.ids[refid]
}
