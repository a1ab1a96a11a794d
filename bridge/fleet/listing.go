package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
)

// filterID tells lists apart; the limit is that of a part.
func filterID(f *report.Filter) uint64 {
	all := *f
	all.Limit = 0
	h := fnv.New64a()
	_, _ = h.Write([]byte(all.Values().Encode()))
	return h.Sum64()
}

// Page gives the rows of a part of the list that a filter wants to emit, at most
// size of them. An empty cursor is of the first part.
func (f *Fleet) Page(ctx context.Context, filter *report.Filter, from string, size int,
	emit func(*report.Row) error) (*report.Part, error) {
	return f.part(ctx, filter, from, size, f.listed, func(l *listing, rows []listed, filter *report.Filter) (cursor, error) {
		return f.emitListed(ctx, rows, filter, emit)
	})
}

// lister finds the rows that a filter wants, in order.
type lister func(ctx context.Context, filter *report.Filter, l *listing) ([]place, error)

// part finds a part of a list and lets it be emitted, which returns a cursor that
// is behind the last row.
func (f *Fleet) part(ctx context.Context, filter *report.Filter, from string, size int, find lister,
	emit func(*listing, []listed, *report.Filter) (cursor, error)) (*report.Part, error) {
	if size < 1 || size > report.MaxPart {
		return nil, fmt.Errorf("a part of a list has 1 to %d rows, not %d", report.MaxPart, size)
	}
	want := cursor{Of: filterID(filter)}
	if from != "" {
		c, err := parseCursor(from)
		if err != nil || c.Of != want.Of {
			return nil, ErrCursor
		}
		want = c
	}
	f.Drain()
	whole := *filter
	whole.Limit = 0
	l, begin, err := f.listing(ctx, &whole, &want, find)
	if err != nil {
		return nil, err
	}
	begin = min(begin, len(l.rows))
	end := min(begin+size, len(l.rows))
	p := &report.Part{First: begin, Total: len(l.rows)}
	last, err := emit(l, l.rows[begin:end], &whole)
	if err != nil {
		return nil, err
	}
	if end < len(l.rows) {
		last.List, last.Of, last.Index = l.id, l.of, uint32(end)
		p.Next = last.String()
	}
	if begin > 0 {
		p.Prev = (&cursor{List: l.id, Of: l.of, Index: uint32(max(begin-size, 0))}).String()
	}
	return p, nil
}

// listing returns the list that a cursor is of, and where its part begins.
func (f *Fleet) listing(ctx context.Context, filter *report.Filter, c *cursor, find lister) (*listing, int, error) {
	if l := f.listings.find(c.List, c.Of, f.now()); l != nil {
		return l, int(c.Index), nil
	}
	l := &listing{of: c.Of, used: f.now()}
	var id [8]byte
	_, _ = rand.Read(id[:])
	l.id = binary.BigEndian.Uint64(id[:])
	begin := int(c.Index)
	places, err := find(ctx, filter, l)
	if err != nil {
		return nil, 0, err
	}
	if c.Behind {
		at, found := slices.BinarySearchFunc(places, c, func(p place, c *cursor) int {
			return cmp.Or(cmp.Compare(p.order[0], c.Order[0]), cmp.Compare(p.order[1], c.Order[1]), cmp.Compare(p.mark, c.Mark))
		})
		begin = at
		if found {
			begin++
		}
	}
	l.rows = rowsOf(places)
	f.listings.keep(l)
	return l, begin, nil
}

func rowsOf(places []place) []listed {
	rows := make([]listed, len(places))
	for i, p := range places {
		rows[i] = listed{uint32(p.at), p.mark}
	}
	return rows
}

// listed lists the clients of this gateway.
func (f *Fleet) listed(ctx context.Context, filter *report.Filter, _ *listing) ([]place, error) {
	if filter.Address.IsValid() {
		return f.placesOf(ctx, filter)
	}
	return f.places(ctx, filter, f.names.Load(), uint32(f.now().Unix()))
}

// placesOf finds the one client that has an address.
func (f *Fleet) placesOf(ctx context.Context, filter *report.Filter) (list []place, err error) {
	err = f.each(ctx, uint32(f.now().Unix()), func(at int, c *inventory.Client) {
		if c.Prefix.IsValid() && c.Prefix.Contains(filter.Address) {
			list = append(list, place{at: at, mark: markOf(&c.Key)})
		}
	})
	return list, err
}

// emitListed gives rows that are as they were listed, and returns a cursor that
// is behind the last one.
func (f *Fleet) emitListed(ctx context.Context, part []listed, filter *report.Filter,
	emit func(*report.Row) error) (last cursor, err error) {
	n, now := *f.names.Load(), uint32(f.now().Unix())
	f.resolving(ctx, filter, &n)
	clients := make([]inventory.Client, len(part))
	used := 0
	f.mu.Lock()
	for _, p := range part {
		c := &clients[used]
		if f.inventory.Read(int(p.at), now, c) && markOf(&c.Key) == p.mark && filter.Match(c, n.Labels, now) {
			used++
			last = cursor{Behind: true, Order: filter.Order(c, n.Labels), Mark: p.mark}
		}
	}
	f.mu.Unlock()
	var row report.Row
	for i := range clients[:used] {
		row.Fill(&clients[i], &n)
		if err := emit(&row); err != nil {
			return last, err
		}
	}
	return last, ctx.Err()
}
