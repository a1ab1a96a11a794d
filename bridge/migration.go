package bridge

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
	"ntsbridge/bridge/fleet/store"
	"ntsbridge/bridge/material"
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
	return control.Fleet{Declared: m.Declared, History: m.History,
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

func intervals(watched []store.Interval) []gate.Interval {
	list := make([]gate.Interval, 0, len(watched))
	for _, w := range watched {
		list = append(list, gate.Interval{Start: w.Start, End: w.End})
	}
	return list
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

// others are the clients of other gateways.
type others struct {
	at   time.Time
	seen gate.Elsewhere
}

func readOthers(files []string) (seen gate.Elsewhere, errs []error) {
	seen = gate.Elsewhere{}
	for _, path := range files {
		f, err := os.Open(path)
		if err == nil {
			err = seen.Read(f)
			_ = f.Close()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
	}
	return seen, errs
}

// checkOthers says which of fleet.other_gateways cannot be read now.
func (p *parts) checkOthers() {
	for i, path := range p.cfg.Fleet.OtherGateways {
		if _, errs := readOthers([]string{path}); len(errs) > 0 {
			p.set.Find(material.Warning, fmt.Sprintf("fleet.other_gateways[%d]", i), errs[0])
		}
	}
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

// ourIDs are the reference identifiers of this host's addresses.
type ourIDs struct {
	at  time.Time
	ids map[uint32]bool
}

// checkPlan says what is wrong with fleet.plan. It never keeps anything from
// being served: only what was declared with `fleet apply` counts.
func (p *parts) checkPlan() {
	p.checkOthers()
	p.checkSite()
	path := p.cfg.Fleet.Plan
	if path == "" {
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		p.set.Find(material.Warning, "fleet.plan", err)
		return
	}
	if _, findings := plan.Parse(path, text); findings.Err() != nil {
		p.set.Find(material.Warning, "fleet.plan", findings.Err())
	}
}
