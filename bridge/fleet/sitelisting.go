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
// behind the last one. While some are emitted, the next ones are read.
func (f *Fleet) emitSite(ctx context.Context, l *listing, part []listed, filter *report.Filter, self string, o Others,
	emit func(*report.Row) error) (last cursor, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := &siteReader{f: f, l: l, filter: filter, self: self, others: o, now: uint32(f.now().Unix()), names: *f.names.Load()}
	f.resolving(ctx, filter, &r.names)
	work, inOrder := make(chan *siteShare), make(chan *siteShare, siteReaders)
	parts := len(part)/shareSize + 1
	for range min(siteReaders, parts) {
		go func() {
			for s := range work {
				r.read(s)
				close(s.done)
			}
		}()
	}
	go func() {
		defer close(inOrder)
		defer close(work)
		free := make(chan *siteShare, 2*siteReaders)
		for range min(cap(free), parts) {
			free <- &siteShare{free: free}
		}
		for listed := range slices.Chunk(part, shareSize) {
			var s *siteShare
			select {
			case <-ctx.Done():
				return
			case s = <-free:
			}
			s.listed, s.done = listed, make(chan struct{})
			work <- s
			inOrder <- s
		}
	}()
	for s := range inOrder {
		<-s.done
		for i := 0; i < s.used && err == nil; i++ {
			if err = emit(&s.rows[i]); err != nil {
				stop()
			}
		}
		if s.used > 0 {
			last = s.last
		}
		s.free <- s
	}
	if err == nil {
		err = ctx.Err()
	}
	return last, err
}

// siteReader reads rows of a list of the site again, a share at a time.
type siteReader struct {
	f      *Fleet
	l      *listing
	filter *report.Filter
	self   string // this gateway
	others Others
	now    uint32
	names  report.Names
}

// siteShare is a share of a list while it is read.
type siteShare struct {
	listed  []listed
	rows    [shareSize]report.Row
	used    int           // of rows
	last    cursor        // behind the last of them
	done    chan struct{} // closed when it is read
	free    chan *siteShare
	clients [shareSize]inventory.Client
	keys    [shareSize]inventory.Key
	known   [shareSize]bool // that this gateway knows it
	own     inventory.Client
}

// read fills the rows of a share with those that are as they were listed.
func (r *siteReader) read(s *siteShare) {
	r.readOwn(s)
	r.others.Near(s.keys[:len(s.listed)])
	s.used = 0
	for i, p := range s.listed {
		c := &s.clients[i]
		s.own.Means = s.own.Means[:0]
		switch {
		case s.known[i]:
			s.own.Means = append(s.own.Means, c.Means...)
			r.others.Add(c)
		case int32(p.at) >= 0: // it was forgotten
			continue
		case !r.others.Find(&s.keys[i], r.l.others[-1-int32(p.at)].hashed, c):
			continue
		}
		if !r.filter.Match(c, r.names.Labels, r.now) {
			continue
		}
		s.last = cursor{Behind: true, Order: r.filter.Order(c, r.names.Labels), Mark: p.mark}
		row := &s.rows[s.used]
		row.Fill(c, &r.names)
		if r.filter.ByGateway {
			row.ByGateway(c, r.self, &s.own, r.others.Names(), r.others.Of)
		}
		s.used++
	}
}

// readOwn reads what this gateway knows of a share. Of a client that others knew
// it may know something since.
func (r *siteReader) readOwn(s *siteShare) {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	for i, p := range s.listed {
		c := &s.clients[i]
		if at := int32(p.at); at >= 0 {
			s.known[i] = r.f.inventory.Read(int(at), r.now, c) && markOf(&c.Key) == p.mark
			s.keys[i] = c.Key
		} else {
			s.keys[i] = r.l.others[-1-at].key
			s.known[i] = r.f.inventory.FindKey(&s.keys[i], r.now, c)
		}
	}
}
