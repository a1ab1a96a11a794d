package fleet

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/store"
	"ntsbridge/bridge/ntp"
)

// lockShare is how many places are read while the mutex is held.
const lockShare = 2048

// each gives every client to see, some thousand at a time; a client that comes or
// goes meanwhile may be missed. What see gets is used again.
func (f *Fleet) each(ctx context.Context, now uint32, see func(at int, c *inventory.Client)) error {
	var c inventory.Client
	for place := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.mu.Lock()
		end := min(place+lockShare, f.inventory.Places())
		if place >= end {
			f.mu.Unlock()
			return nil
		}
		for ; place < end; place++ {
			if f.inventory.Read(place, now, &c) {
				see(place, &c)
			}
		}
		f.mu.Unlock()
	}
}

// Stream gives the rows that a filter wants to emit, in its order. The row that
// emit gets is used again.
func (f *Fleet) Stream(ctx context.Context, filter *report.Filter, emit func(*report.Row) error) error {
	f.Drain()
	now := uint32(f.now().Unix())
	n := *f.names.Load()
	f.resolving(ctx, filter, &n)
	if filter.Address.IsValid() {
		c, ok := f.Find(filter.Address)
		if !ok {
			return nil
		}
		return emit(report.NewRow(&c, &n))
	}
	places, err := f.places(ctx, filter, &n, now)
	if err != nil {
		return err
	}
	return f.emit(ctx, places, filter, &n, now, emit)
}

// places finds the rows that are wanted and puts them in order.
func (f *Fleet) places(ctx context.Context, filter *report.Filter, n *report.Names, now uint32) (list []place, err error) {
	err = f.each(ctx, now, func(at int, c *inventory.Client) {
		if filter.Match(c, n.Labels, now) {
			list = append(list, place{filter.Order(c, n.Labels), at, markOf(&c.Key)})
		}
	})
	slices.SortFunc(list, comparePlaces)
	if filter.Limit > 0 && len(list) > filter.Limit {
		list = list[:filter.Limit]
	}
	return list, err
}

// emit reads places again, some hundred at a time. One that has another client
// by now is told as that, if it is wanted too.
func (f *Fleet) emit(ctx context.Context, places []place, filter *report.Filter, n *report.Names, now uint32,
	emit func(*report.Row) error) error {
	clients := make([]inventory.Client, lockShare/8)
	var row report.Row
	for part := range slices.Chunk(places, len(clients)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		used := 0
		f.mu.Lock()
		for _, p := range part {
			if c := &clients[used]; f.inventory.Read(p.at, now, c) && filter.Match(c, n.Labels, now) {
				used++
			}
		}
		f.mu.Unlock()
		for i := range clients[:used] {
			row.Fill(&clients[i], n)
			if err := emit(&row); err != nil {
				return err
			}
		}
	}
	return nil
}

// Keys returns the keys with who uses them. have are those of the key table.
func (f *Fleet) Keys(ctx context.Context, have map[uint32]string) ([]*report.Key, error) {
	f.Drain()
	k := report.NewKeys(f.names.Load(), have)
	if err := f.each(ctx, uint32(f.now().Unix()), func(_ int, c *inventory.Client) { k.Add(c) }); err != nil {
		return nil, err
	}
	return k.Rows(), nil
}

// gapLeast is the shortest gap in watching that is told, and gapSpan for how long.
const (
	gapLeast = 30 * time.Second
	gapSpan  = 30 * 24 * time.Hour
)

// Summary returns hosts by their means.
func (f *Fleet) Summary(ctx context.Context, by string) (*report.Summary, error) {
	f.Drain()
	now := f.now()
	s, err := report.NewSummary(now, by, f.names.Load())
	if err != nil {
		return nil, err
	}
	s.Compare(f.disk.snapshotOf)
	if err := f.each(ctx, uint32(now.Unix()), func(_ int, c *inventory.Client) { s.Add(c) }); err != nil {
		return nil, err
	}
	f.mu.Lock()
	s.Full, s.Capacity = f.inventory.Full(), f.inventory.Capacity()
	f.mu.Unlock()
	s.Lost = f.lost.Load()
	watched, behind := f.disk.Watched()
	Watch(s, watched, now)
	s.Finish()
	if behind != nil {
		s.Notes = append(s.Notes, "the store is not up to date: "+behind.Error())
	}
	return s, nil
}

// Watch puts into a summary when watching was.
func Watch(s *report.Summary, watched []store.Interval, now time.Time) {
	s.Gaps = []report.Gap{}
	s.Watched = report.Time(now.Unix())
	if len(watched) > 0 {
		s.Watched = report.Time(watched[0].Start)
	}
	for _, g := range store.Gaps(watched, gapLeast) {
		if now.Sub(time.Unix(int64(g.End), 0)) < gapSpan {
			s.Gaps = append(s.Gaps, report.Gap{From: report.Time(g.Start), To: report.Time(g.End)})
		}
	}
}

// Find returns the row of an address.
func (f *Fleet) Find(addr netip.Addr) (inventory.Client, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inventory.Find(addr, uint32(f.now().Unix()))
}

// Import merges records, such as of a capture, and returns how many there was no
// room for.
func (f *Fleet) Import(list []inventory.Stored) (full int, err error) {
	for i := range list {
		f.mu.Lock()
		noRoom, err := f.inventory.Merge(list[i].Key, list[i].Record)
		f.mu.Unlock()
		if err != nil {
			return full, err
		}
		if noRoom {
			full++
		}
	}
	return full, nil
}

// Recent is a client as lists of the most recently used show it.
type Recent struct {
	Addr        netip.AddrPort
	First, Last ntp.Timestamp
	Count       uint64 // of packets
	Dropped     uint64 // of them
	Mode        ntp.Mode
	Version     uint8
	Interval    time.Duration // between its packets, 0: not known
	Handshakes  uint64        // of NTS-KE
	Failures    uint64        // of them
	LastKE      time.Time     // zero: never
}

// Recent returns clients that have an address of their own, at most so many: those
// seen last.
func (f *Fleet) Recent(most int) []Recent {
	f.Drain()
	var list []Recent
	_ = f.each(context.Background(), uint32(f.now().Unix()), func(_ int, c *inventory.Client) {
		if !c.Prefix.IsValid() || !c.Prefix.IsSingleIP() || len(c.Means) == 0 {
			return
		}
		r := Recent{First: stamp(c.First), Last: stamp(c.Last), Failures: uint64(c.KE.Failures),
			Handshakes: uint64(c.KE.Handshakes) + uint64(c.KE.Failures)}
		if c.KE.Last > 0 {
			r.LastKE = time.Unix(int64(c.KE.Last), 0)
		}
		var last uint32
		for i := range c.Means {
			m := &c.Means[i]
			r.Count += uint64(m.Answered) + m.Refusals()
			r.Dropped += m.Refusals()
			if m.Last >= last {
				last, r.Mode, r.Version, r.Interval = m.Last, m.Mode, m.Version, m.Interval
				r.Addr = netip.AddrPortFrom(c.Prefix.Addr(), m.Port)
			}
		}
		list = append(list, r)
	})
	if len(list) > most {
		slices.SortFunc(list, func(a, b Recent) int { return cmp.Compare(b.Last, a.Last) })
		list = list[:most]
	}
	return list
}

func stamp(seconds uint32) ntp.Timestamp { return ntp.TimestampFromUnix(int64(seconds), 0) }

// ErrOff says that no inventory is kept.
var ErrOff = errors.New("the inventory is off")

// Each gives every client to see, which must not keep it, with all that was
// answered before.
func (f *Fleet) Each(see func(*inventory.Client)) error {
	if f == nil || !f.on.Load() {
		return ErrOff
	}
	f.Drain()
	return f.each(context.Background(), uint32(f.now().Unix()), func(_ int, c *inventory.Client) { see(c) })
}

// Watching returns when the inventory was watching, and what it had no room for.
func (f *Fleet) Watching() ([]store.Interval, inventory.Full) {
	watched, _ := f.disk.Watched()
	f.mu.Lock()
	defer f.mu.Unlock()
	return watched, f.inventory.Full()
}

// Size is how full the inventory is.
type Size struct {
	Clients, Room int
	Full          inventory.Full
	Lost          uint64 // packets that it had no time to look at
	Behind        error  // why the store is not up to date; nil: it is
}

// Size returns it without looking at any client.
func (f *Fleet) Size() (s Size) {
	if f == nil || !f.on.Load() {
		return s
	}
	_, s.Behind = f.disk.Watched()
	s.Lost = f.lost.Load()
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Clients, s.Room, s.Full = f.inventory.Len(), f.inventory.Capacity(), f.inventory.Full()
	return s
}
