package page

import (
	"context"
	"time"

	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/steer"
)

// makeTime bounds the making of a report, whoever asked went away or not.
const makeTime = 10 * time.Second

// made returns a report that is kept, or makes it.
func made[T any](p *Page, k *report1[T], make func(context.Context) (T, error)) (T, error) {
	return k.get(p.options.Now(), func() (T, error) {
		ctx, cancel := context.WithTimeout(context.Background(), makeTime)
		defer cancel()
		return make(ctx)
	})
}

func (p *Page) summary() (*report.Summary, error) {
	return made(p, &p.kept.summary, func(ctx context.Context) (*report.Summary, error) { return p.src.Inventory.Summary(ctx, "label") })
}

func (p *Page) keyList() ([]*report.Key, error) { return made(p, &p.kept.keys, p.src.Inventory.Keys) }

func (p *Page) siteSummary() (*report.Summary, error) {
	return made(p, &p.kept.siteSummary, func(ctx context.Context) (*report.Summary, error) {
		return p.src.Inventory.Site.Summary(ctx, "label")
	})
}

func (p *Page) siteDays() ([]report.DayCount, error) {
	return made(p, &p.kept.siteDays, p.src.Inventory.Site.Days)
}

func (p *Page) siteKeys() ([]*report.Key, error) {
	return made(p, &p.kept.siteKeys, p.src.Inventory.Site.Keys)
}

func (p *Page) status() *steer.Status {
	s, _ := p.kept.status.get(p.options.Now(), func() (*steer.Status, error) { return p.src.Fleet.Status(false), nil })
	return s
}
