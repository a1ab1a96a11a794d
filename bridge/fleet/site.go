package fleet

import (
	"context"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
)

// Others is what the other gateways of a site know of clients, as of a moment.
type Others interface {
	// Names are the gateways that know something.
	Names() []string
	// Add adds to a row of this gateway what the others know of it.
	Add(c *inventory.Client)
	// Rest gives the clients that only others know.
	Rest(see func(c *inventory.Client))
	// Find makes a row of what the others know of a client; false: nothing.
	Find(k *inventory.Key, hashed bool, c *inventory.Client) bool
	// Of returns what one gateway knows of a client.
	Of(gateway string, c *inventory.Client) (inventory.Client, bool)
}

// eachOfSite gives the clients of all gateways to see; those that this one does
// not know have places below 0.
func (f *Fleet) eachOfSite(ctx context.Context, now uint32, o Others, see func(at int, c *inventory.Client)) error {
	if err := f.each(ctx, now, func(at int, c *inventory.Client) { o.Add(c); see(at, c) }); err != nil {
		return err
	}
	o.Rest(func(c *inventory.Client) { see(-1, c) })
	return ctx.Err()
}

// StreamSite is Stream over all gateways. self is the name of this one, for the
// columns that filter.ByGateway asks for.
func (f *Fleet) StreamSite(ctx context.Context, filter *report.Filter, self string, o Others, emit func(*report.Row) error) error {
	f.Drain()
	var l listing
	list, err := f.listedOfSite(ctx, filter, o, &l)
	if err != nil {
		return err
	}
	if filter.Limit > 0 && len(list) > filter.Limit {
		list = list[:filter.Limit]
	}
	_, err = f.emitSite(ctx, &l, rowsOf(list), filter, self, o, emit)
	return err
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
