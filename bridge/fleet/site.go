package fleet

import (
	"context"
	"sync"
	"sync/atomic"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
)

// Others is what the other gateways of a site know of clients, as of a moment.
// Several goroutines ask at once, each of other clients.
type Others interface {
	// Names are the gateways that know something.
	Names() []string
	// Add adds to a row of this gateway what the others know of it.
	Add(c *inventory.Client)
	// RestOf gives one of so many parts of the clients that only others know, once
	// Add was told of all that this one does.
	RestOf(part, parts int, see func(c *inventory.Client))
	// Find makes a row of what the others know of a client; false: nothing.
	Find(k *inventory.Key, hashed bool, c *inventory.Client) bool
	// Near brings what is known of clients near, before Add or Find ask for each.
	// What it returns says nothing.
	Near(keys []inventory.Key) uint8
	// Of returns what one gateway knows of a client.
	Of(gateway string, c *inventory.Client) (inventory.Client, bool)
}

// Clients of a site are read by siteReaders goroutines, since most of the time
// goes by waiting for memory, and shareSize at once.
const (
	siteReaders = 2
	shareSize   = 256
)

// clientShare is some rows of a list with the places that they are at.
type clientShare struct {
	clients []inventory.Client
	places  []int
	keys    []inventory.Key
}

func newShare() *clientShare {
	return &clientShare{make([]inventory.Client, shareSize), make([]int, 0, shareSize), make([]inventory.Key, shareSize)}
}

// eachOfSite gives the clients of all gateways to see, in no order; those that
// this one does not know have places below 0.
func (f *Fleet) eachOfSite(ctx context.Context, now uint32, o Others, see func(at int, c *inventory.Client)) error {
	var from atomic.Int64
	own := func(_ int, s *clientShare) (end bool) {
		end = f.readShare(&from, now, s)
		o.Near(s.keys[:len(s.places)])
		for i := range s.places {
			o.Add(&s.clients[i])
		}
		return end
	}
	if err := shares(ctx, func(part int, next func() *clientShare, send func(*clientShare)) {
		for end := false; !end; {
			s := next()
			if s == nil {
				return
			}
			end = own(part, s)
			send(s)
		}
	}, see); err != nil {
		return err
	}
	return shares(ctx, func(part int, next func() *clientShare, send func(*clientShare)) {
		s := next()
		o.RestOf(part, siteReaders, func(c *inventory.Client) {
			if s == nil {
				return
			}
			to := &s.clients[len(s.places)]
			means := append(to.Means[:0], c.Means...)
			*to = *c
			to.Means = means
			if s.places = append(s.places, -1); len(s.places) == shareSize {
				send(s)
				s = next()
			}
		})
		if s != nil {
			send(s)
		}
	}, see)
}

// shares lets siteReaders goroutines fill shares, and gives what is in them to
// see. next returns nil when nobody wants any more.
func shares(ctx context.Context, fill func(part int, next func() *clientShare, send func(*clientShare)),
	see func(int, *inventory.Client)) error {
	full, free := make(chan *clientShare, 2*siteReaders), make(chan *clientShare, 2*siteReaders)
	for range cap(free) {
		free <- newShare()
	}
	next := func() *clientShare {
		select {
		case <-ctx.Done():
			return nil
		case s := <-free:
			s.places = s.places[:0]
			return s
		}
	}
	var all sync.WaitGroup
	for part := range siteReaders {
		all.Go(func() { fill(part, next, func(s *clientShare) { full <- s }) })
	}
	go func() { all.Wait(); close(full) }()
	for s := range full {
		for i, at := range s.places {
			see(at, &s.clients[i])
		}
		free <- s
	}
	return ctx.Err()
}

// readShare reads as many rows as there is room for from a place on, which it
// moves. end: there are no more.
func (f *Fleet) readShare(from *atomic.Int64, now uint32, s *clientShare) (end bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, all := int(from.Load()), f.inventory.Places()
	for ; len(s.places) < shareSize && at < all; at++ {
		n := len(s.places)
		if f.inventory.Read(at, now, &s.clients[n]) {
			s.keys[n] = s.clients[n].Key
			s.places = append(s.places, at)
		}
	}
	from.Store(int64(at))
	return at >= all
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
