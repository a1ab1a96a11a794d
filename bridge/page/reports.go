package page

import (
	"context"
	"time"

	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/steer"
)

// makeTime bounds the making of a report, whoever asked went away or not.
const makeTime = 10 * time.Second

func (p *Page) summary() (*report.Summary, error) {
	return p.kept.summary.get(p.options.Now(), func() (*report.Summary, error) {
		ctx, cancel := context.WithTimeout(context.Background(), makeTime)
		defer cancel()
		return p.src.Inventory.Summary(ctx, "label")
	})
}

func (p *Page) keyList() ([]*report.Key, error) {
	return p.kept.keys.get(p.options.Now(), func() ([]*report.Key, error) {
		ctx, cancel := context.WithTimeout(context.Background(), makeTime)
		defer cancel()
		return p.src.Inventory.Keys(ctx)
	})
}

func (p *Page) status() *steer.Status {
	s, _ := p.kept.status.get(p.options.Now(), func() (*steer.Status, error) { return p.src.Fleet.Status(false), nil })
	return s
}
