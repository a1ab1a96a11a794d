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

// status is where the migration stands: as of now but for what costs a pass over
// all clients, which is kept as long as nothing has moved.
func (p *Page) status() *steer.Status {
	s := p.src.Fleet.Status(true)
	if s.Plan == "" {
		return s
	}
	for try := 0; ; try++ {
		whole, _ := p.kept.status.get(p.options.Now(), func() (*steer.Status, error) { return p.src.Fleet.Status(false), nil })
		if fill(s, whole) {
			return s
		}
		if try > 0 {
			return whole // it moves as fast as it is looked at
		}
		p.kept.status.forget()
	}
}

// fill puts clients and next steps into a brief status; false: the whole one is
// of before something was done.
func fill(s, whole *steer.Status) bool {
	if s.Plan != whole.Plan || s.Held != whole.Held || s.Window != whole.Window || !s.Declared.Time.Equal(whole.Declared.Time) ||
		len(s.Places) != len(whole.Places) {
		return false
	}
	for i := range s.Places {
		p, w := &s.Places[i], &whole.Places[i]
		if p.Group != w.Group || p.Means != w.Means || p.Stage != w.Stage || p.Round != w.Round || p.Held != w.Held ||
			(p.Running == nil) != (w.Running == nil) {
			return false
		}
		p.Clients, p.Protected = w.Clients, w.Protected
		if p.Running == nil {
			p.Next = w.Next
		}
	}
	return true
}
