package fleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
)

// A list that somebody reads part by part is frozen: who is on it, and in which
// order, is decided when the first part is read, so that no client is told
// twice or left out because it asked for time meanwhile. What is told of each
// is as of when its part is read; who is not there any more, or not as wanted,
// is left out. Lists that nobody goes on with are forgotten; then the list is
// made anew, and goes on behind the last row by the order that this had.
const (
	maxListings   = 16
	maxListed     = 4 << 20 // rows of all of them, 8 octets each
	listingExpiry = 10 * time.Minute
)

type listings struct {
	mu   sync.Mutex
	list []*listing // used last at the end
}

type listing struct {
	id     uint64
	of     uint64 // the filter
	used   time.Time
	rows   []listed
	others []otherKey // rows of a list of the site that this gateway did not know
}

// size is what it weighs, rows.
func (l *listing) size() int { return len(l.rows) + 3*len(l.others) }

// listed is a row by its place, with a mark of whom the place was of.
type listed struct{ at, mark uint32 }

func markOf(k *inventory.Key) uint32 {
	h := fnv.New32a()
	_, _ = h.Write(k[:])
	return h.Sum32()
}

// keep takes a list, and lets go of those that are in its way.
func (s *listings) keep(l *listing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := l.size()
	for i := len(s.list) - 1; i >= 0; i-- {
		if total += s.list[i].size(); total > maxListed || len(s.list)-i >= maxListings {
			s.list = slices.Delete(s.list, 0, i+1)
			break
		}
	}
	if l.size() <= maxListed {
		s.list = append(s.list, l)
	}
}

func (s *listings) find(id, of uint64, now time.Time) *listing {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range s.list {
		if l.id == id && l.of == of {
			l.used = now
			s.list = append(slices.Delete(s.list, i, i+1), l)
			return l
		}
	}
	return nil
}

func (s *listings) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(l *listing) bool { return now.Sub(l.used) > listingExpiry })
}

// cursor is where a part of a list begins.
type cursor struct {
	List   uint64
	Of     uint64 // the filter
	Index  uint32
	Behind bool // of the row before: its order and mark
	Order  [2]uint64
	Mark   uint32
}

const cursorLen = 1 + 8 + 8 + 4 + 1 + 16 + 4

// ErrCursor says that a cursor is none, or of another list.
var ErrCursor = errors.New("the cursor is not of this list: ask without it")

func (c *cursor) String() string {
	b := binary.BigEndian.AppendUint64([]byte{1}, c.List)
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, c.Of), c.Index)
	behind := byte(0)
	if c.Behind {
		behind = 1
	}
	b = binary.BigEndian.AppendUint64(append(b, behind), c.Order[0])
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, c.Order[1]), c.Mark)
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(s string) (c cursor, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != cursorLen || b[0] != 1 || b[21] > 1 {
		return c, ErrCursor
	}
	u := binary.BigEndian
	return cursor{u.Uint64(b[1:]), u.Uint64(b[9:]), u.Uint32(b[17:]), b[21] == 1, [2]uint64{u.Uint64(b[22:]), u.Uint64(b[30:])},
		u.Uint32(b[38:])}, nil
}

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

func comparePlaces(a, b place) int {
	return cmp.Or(cmp.Compare(a.order[0], b.order[0]), cmp.Compare(a.order[1], b.order[1]), cmp.Compare(a.mark, b.mark))
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
