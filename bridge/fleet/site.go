package fleet

import (
	"context"
	"slices"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
)

// Others is what the other gateways of a site know of clients, as of a moment.
type Others interface {
	// Names are the gateways that know something.
	Names() []string
	// Add adds to a row of this gateway what the others know of it.
	Add(c *inventory.Client)
	// Rest gives the clients that only others know, each with a number from 0 on,
	// by which At reads it again.
	Rest(see func(number int, c *inventory.Client))
	At(number int, c *inventory.Client)
	// Find makes a row of what the others know of a client; false: nothing.
	Find(k *inventory.Key, hashed bool, c *inventory.Client) bool
	// Of returns what one gateway knows of a client.
	Of(gateway string, c *inventory.Client) (inventory.Client, bool)
}

// eachOfSite gives the clients of all gateways to see; those that this one does
// not know have numbers below 0.
func (f *Fleet) eachOfSite(ctx context.Context, now uint32, o Others, see func(at int, c *inventory.Client)) error {
	if err := f.each(ctx, now, func(at int, c *inventory.Client) { o.Add(c); see(at, c) }); err != nil {
		return err
	}
	o.Rest(func(number int, c *inventory.Client) { see(-1-number, c) })
	return ctx.Err()
}

// StreamSite is Stream over all gateways. self is the name of this one, for the
// columns that filter.ByGateway asks for.
func (f *Fleet) StreamSite(ctx context.Context, filter *report.Filter, self string, o Others, emit func(*report.Row) error) error {
	f.Drain()
	now := uint32(f.now().Unix())
	n := *f.names.Load()
	f.resolving(ctx, filter, &n)
	var list []place
	if err := f.eachOfSite(ctx, now, o, func(at int, c *inventory.Client) {
		if filter.Address.IsValid() && !(c.Prefix.IsValid() && c.Prefix.Contains(filter.Address.Unmap())) {
			return
		}
		if filter.Match(c, n.Labels, now) {
			list = append(list, place{filter.Order(c, n.Labels), at, markOf(&c.Key)})
		}
	}); err != nil {
		return err
	}
	slices.SortFunc(list, comparePlaces)
	if filter.Limit > 0 && len(list) > filter.Limit {
		list = list[:filter.Limit]
	}
	var c, own inventory.Client
	var row report.Row
	for i, p := range list {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		own.Means = own.Means[:0]
		if p.at < 0 {
			o.At(-1-p.at, &c)
		} else {
			f.mu.Lock()
			ok := f.inventory.Read(p.at, now, &c)
			f.mu.Unlock()
			if !ok {
				continue
			}
			own.Means = append(own.Means, c.Means...)
			o.Add(&c)
			if !filter.Match(&c, n.Labels, now) {
				continue
			}
		}
		row.Fill(&c, &n)
		if filter.ByGateway {
			row.ByGateway(&c, self, &own, o.Names(), o.Of)
		}
		if err := emit(&row); err != nil {
			return err
		}
	}
	return nil
}

// KeysSite is Keys over all gateways.
func (f *Fleet) KeysSite(ctx context.Context, have map[uint32]string, o Others) ([]*report.Key, error) {
	f.Drain()
	k := report.NewKeys(f.names.Load(), have)
	if err := f.eachOfSite(ctx, uint32(f.now().Unix()), o, func(_ int, c *inventory.Client) { k.Add(c) }); err != nil {
		return nil, err
	}
	return k.Rows(), nil
}

// SummarySite is Summary over all gateways. What was before is told by what each
// client used when; since is when all gateways watch without a long gap.
func (f *Fleet) SummarySite(ctx context.Context, by string, since report.Time, o Others) (*report.Summary, error) {
	f.Drain()
	now := f.now()
	s, err := report.NewSummary(now, by, f.names.Load())
	if err != nil {
		return nil, err
	}
	if err := f.eachOfSite(ctx, uint32(now.Unix()), o, func(_ int, c *inventory.Client) { s.Add(c) }); err != nil {
		return nil, err
	}
	f.mu.Lock()
	s.Full, s.Capacity = f.inventory.Full(), f.inventory.Capacity()
	f.mu.Unlock()
	s.Watched, s.Gaps = since, []report.Gap{}
	return s.Finish(), nil
}

// DaysSite is Days over all gateways, of which no snapshots are kept: each day is
// told by what each client used when. since is when all gateways watch without a
// long gap.
func (f *Fleet) DaysSite(ctx context.Context, since report.Time, o Others) ([]report.DayCount, error) {
	f.Drain()
	now := f.now()
	d := report.NewPastDays(now, since, daysKept)
	if err := f.eachOfSite(ctx, uint32(now.Unix()), o, func(_ int, c *inventory.Client) { d.Add(c) }); err != nil {
		return nil, err
	}
	return d.Counts(), nil
}
