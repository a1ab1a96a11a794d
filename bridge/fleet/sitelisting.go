package fleet

import (
	"context"
	"slices"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
)

// PageSite is Page over all gateways. self is the name of this one, for the
// columns that filter.ByGateway asks for.
func (f *Fleet) PageSite(ctx context.Context, filter *report.Filter, self string, o Others, from string, size int,
	emit func(*report.Row) error) (*report.Part, error) {
	find := func(ctx context.Context, filter *report.Filter, l *listing) ([]place, error) {
		return f.listedOfSite(ctx, filter, o, l)
	}
	return f.part(ctx, filter, from, size, find, func(l *listing, rows []listed, filter *report.Filter) (cursor, error) {
		return f.emitSite(ctx, l, rows, filter, self, o, emit)
	})
}

// listedOfSite finds the rows of all gateways that a filter wants, in order.
func (f *Fleet) listedOfSite(ctx context.Context, filter *report.Filter, o Others, l *listing) (list []place, err error) {
	if filter.Address.IsValid() {
		key, hashed := f.cfg.Addresses.KeyOf(filter.Address)
		l.others = append(l.others, otherKey{key, hashed})
		return []place{{at: -1, mark: markOf(&key)}}, nil
	}
	now, labels := uint32(f.now().Unix()), f.names.Load().Labels
	err = f.eachOfSite(ctx, now, o, func(at int, c *inventory.Client) {
		if !filter.Match(c, labels, now) {
			return
		}
		if at < 0 {
			l.others = append(l.others, otherKey{c.Key, c.Hashed})
			at = -len(l.others)
		}
		list = append(list, place{filter.Order(c, labels), at, markOf(&c.Key)})
	})
	slices.SortFunc(list, comparePlaces)
	return list, err
}

// emitSite gives rows that are as they were listed, and returns a cursor that is
// behind the last one.
func (f *Fleet) emitSite(ctx context.Context, l *listing, part []listed, filter *report.Filter, self string, o Others,
	emit func(*report.Row) error) (last cursor, err error) {
	n, now := *f.names.Load(), uint32(f.now().Unix())
	f.resolving(ctx, filter, &n)
	var c, own inventory.Client
	var row report.Row
	for i, p := range part {
		if i%1024 == 0 && ctx.Err() != nil {
			return last, ctx.Err()
		}
		if !f.readSite(l, p, now, o, &c, &own) || !filter.Match(&c, n.Labels, now) {
			continue
		}
		last = cursor{Behind: true, Order: filter.Order(&c, n.Labels), Mark: p.mark}
		row.Fill(&c, &n)
		if filter.ByGateway {
			row.ByGateway(&c, self, &own, o.Names(), o.Of)
		}
		if err := emit(&row); err != nil {
			return last, err
		}
	}
	return last, ctx.Err()
}

// readSite reads a row of a list of the site into c, and what this gateway knows
// of it into own.
func (f *Fleet) readSite(l *listing, p listed, now uint32, o Others, c, own *inventory.Client) (ok bool) {
	own.Means = own.Means[:0]
	if int32(p.at) >= 0 {
		f.mu.Lock()
		ok = f.inventory.Read(int(p.at), now, c)
		f.mu.Unlock()
		ok = ok && markOf(&c.Key) == p.mark
	} else {
		k := &l.others[-1-int32(p.at)]
		f.mu.Lock()
		ok = f.inventory.FindKey(&k.key, now, c) // it may have come here since
		f.mu.Unlock()
		if !ok {
			return o.Find(&k.key, k.hashed, c)
		}
	}
	if ok {
		own.Means = append(own.Means, c.Means...)
		o.Add(c)
	}
	return ok
}
