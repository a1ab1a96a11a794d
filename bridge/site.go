package bridge

import (
	"context"
	"io"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/site"
)

// openSite makes this gateway one of several; nil: it is alone. Nothing waits
// for etcd.
func (b *Bridge) openSite(cfg *config.Config) {
	e := cfg.Fleet.Etcd
	if !cfg.Fleet.Enabled || !e.Enabled() || stranger(&e) != nil {
		return
	}
	b.site = site.Open(site.Options{Etcd: e, Dir: cfg.StateDir, Log: b.log.Named("fleet"), About: b.aboutUs, Secrets: b.siteSecrets(cfg),
		Each:    func(see func(*inventory.Client)) error { return b.fleet.Each(see) },
		History: func() *history.File { return b.migration.Record() }})
}

// aboutUs is what the other gateways are told of this one.
func (b *Bridge) aboutUs(now time.Time) site.About {
	watched, full := b.fleet.Watching()
	a := site.About{Version: Version(), Synchronised: b.clock.Synchronised(), Clients: b.fleet.Size().Clients, Forgotten: full.Forgotten,
		LastForgot: full.LastForgotten, Watched: intervals(watched), Certificate: b.firstCertificate(now)}
	at := b.parts.Load().fleetConfig().Addresses
	a.Addresses = at.Scheme()
	if a.Watched == nil {
		a.Watched = []gate.Interval{}
	}
	return a
}

// siteAnswers are what the local API answers about all gateways.
func (b *Bridge) siteAnswers() control.Site {
	if b.site == nil {
		return control.Site{}
	}
	return control.Site{Status: b.site.Status, History: b.site.History, Told: func(w io.Writer) error {
		watched, _ := b.fleet.Watching()
		return b.site.WriteTold(w, intervals(watched))
	}}
}

// clientsOfSite are the answers about the clients of all gateways.
func (b *Bridge) clientsOfSite() *control.SiteInventory {
	return &control.SiteInventory{Gateways: func() []string {
		return append([]string{b.site.Name()}, b.site.View().Names()...)
	},
		Stream: func(ctx context.Context, f *report.Filter, emit func(*report.Row) error) error {
			return b.fleet.StreamSite(ctx, f, b.site.Name(), b.site.View(), emit)
		},
		Keys: func(ctx context.Context) ([]*report.Key, error) {
			return b.fleet.KeysSite(ctx, keysOf(b.parts.Load().state.Keys), b.site.View())
		},
		Page: func(ctx context.Context, f *report.Filter, from string, size int, emit func(*report.Row) error) (*report.Part, error) {
			return b.fleet.PageSite(ctx, f, b.site.Name(), b.site.View(), from, size, emit)
		},
		Days: func(ctx context.Context) ([]report.DayCount, error) {
			return b.fleet.DaysSite(ctx, b.siteWatches(), b.site.View())
		},
		Summary: func(ctx context.Context, by string) (*report.Summary, error) {
			s, err := b.fleet.SummarySite(ctx, by, b.siteWatches(), b.site.View())
			if err == nil {
				s.Notes = append(s.Notes, b.site.Notes()...)
			}
			return s, err
		}}
}

// siteWatches is since when all gateways watch without a long gap.
func (b *Bridge) siteWatches() report.Time {
	now := uint32(time.Now().Unix())
	watched, _ := b.fleet.Watching()
	if since := gate.ContinuousSince(b.site.Watched(intervals(watched)), now, time.Hour); since != 0 {
		return report.Time(since)
	}
	return report.Time(now)
}
