package site

import (
	"context"
	"slices"
	"time"
)

// Plan is a declared plan.
type Plan struct {
	Name, Text  string
	Who, Reason string
	Force       bool
	At          uint64 // its number
}

// Declare tells all gateways of a plan. This one follows it like the others.
func (s *Site) Declare(ctx context.Context, p *Plan) error {
	n := s.soon(ctx)
	if n == nil {
		return s.awayError()
	}
	return n.change(ctx, func(d *Shared) error {
		d.Plan, d.PlanName, d.PlanAt = p.Text, p.Name, d.Sequence+1
		d.Who, d.Reason, d.Force, d.Declared = p.Who, p.Reason, p.Force, s.opt.Now().UTC()
		return nil
	})
}

// Following returns the plan that is to be followed and is not yet; nil: none.
func (s *Site) Following() *Plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.kept.Shared
	if d.PlanAt <= s.kept.Plan {
		return nil
	}
	return &Plan{Name: d.PlanName, Text: d.Plan, Who: d.Who, Reason: d.Reason, Force: d.Force, At: d.PlanAt}
}

// Followed says that a plan is followed now.
func (s *Site) Followed(p *Plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept.Plan = p.At
	s.keep()
	s.poke()
}

// Declared reports whether the site has a plan, as far as is known; known is
// false until etcd was read once.
func (s *Site) Declared() (is, known bool) {
	n := s.current()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept.Shared.PlanAt > 0, n != nil
}

// Order tells all gateways what an operator wants. With urgent set it waits for
// etcd if that is away, which is told; else it fails.
func (s *Site) Order(ctx context.Context, o Order, urgent bool) (waits bool, err error) {
	o.Gateway, o.Time = s.opt.Etcd.Name, s.opt.Now().UTC()
	n := s.soon(ctx)
	if n == nil {
		err = s.awayError()
	} else {
		err = n.change(ctx, func(d *Shared) error { d.order(o); return nil })
	}
	if err == nil || !urgent {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.kept.Waiting
	*w = slices.DeleteFunc(*w, func(e Order) bool { return e.Do == o.Do && e.Group == o.Group && e.Means == o.Means })
	*w = append(*w, o)
	*w = (*w)[max(0, len(*w)-maxWaiting):]
	s.keep()
	return true, nil
}

// Orders returns those that are to be done here, and whether some before them
// were missed. Those of this gateway were done when they were given.
func (s *Site) Orders() (list []Order, missed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.kept.Shared
	for _, o := range d.Orders {
		if o.Number > s.kept.Order {
			list = append(list, o)
		}
	}
	missed = len(list) > 0 && s.kept.Order > 0 && list[0].Number > s.kept.Order+1
	return list, missed
}

// Ordered says that the orders up to a number were done.
func (s *Site) Ordered(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept.Order = max(s.kept.Order, number)
	s.keep()
}

// SetPlaces says where the groups stand here.
func (s *Site) SetPlaces(p Places) {
	if s == nil {
		return
	}
	s.mu.Lock()
	changed := !slices.Equal(p.Where, s.places.Where) || p.Held != s.places.Held
	s.places = p
	s.mu.Unlock()
	if changed {
		s.poke()
	}
}

// Timeout is how long a request may take, with what it may have to wait for.
func (s *Site) Timeout() time.Duration { return 2 * s.opt.Etcd.Timeout }
