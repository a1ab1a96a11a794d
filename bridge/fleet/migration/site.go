package migration

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/site"
	"ntsbridge/bridge/fleet/steer"
)

// asksSite are the requests that concern all gateways of a site.
var asksSite = map[string]bool{Apply: true, Advance: true, Hold: true, Resume: true, Rollback: true}

// Record is the history of this gateway, nil: it cannot be opened now.
func (m *Migration) Record() *history.File {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.history
}

// askSite does what somebody asks where there are several gateways. etcd is asked
// without the mutex, so that ticks do not wait for it.
func (m *Migration) askSite(now time.Time, who string, r *Request) (*Answer, error) {
	s := m.opt.Site
	ctx, cancel := context.WithTimeout(context.Background(), s.Timeout())
	defer cancel()
	by := steer.By{Who: who, Reason: r.Reason, Force: r.Force}
	order := site.Order{Do: r.Do, Group: r.Group, Means: r.Means, Who: who, Reason: r.Reason}
	switch r.Do {
	case Apply:
		return m.declare(ctx, now, by, r)
	case Advance:
		if err := s.Acquire(ctx); err != nil {
			return nil, fmt.Errorf("no step begins: %w", err)
		}
		done, err := m.locked(func() (string, error) { return m.c.Advance(m.moment(now), r.Group, r.Means, by) })
		return &Answer{Done: done}, err
	case Resume:
		if _, err := s.Order(ctx, order, false); err != nil {
			return nil, fmt.Errorf("nothing goes on, since the other gateways cannot be told: %w", err)
		}
	}
	done, err := m.locked(func() (string, error) {
		switch r.Do {
		case Hold:
			return m.c.Hold(m.moment(now), r.Group, by)
		case Rollback:
			return m.c.Rollback(m.moment(now), r.Group, r.Means, by)
		}
		return m.c.Resume(m.moment(now), r.Group, by)
	})
	if r.Do == Resume || err != nil && !errors.Is(err, steer.ErrNothing) {
		return &Answer{Done: done}, err
	}
	waits, errTold := s.Order(ctx, order, true)
	switch {
	case errTold != nil:
		return nil, errors.Join(err, errTold)
	case waits:
		done = sentence(done, "the other gateways are told when etcd is back")
	default:
		done = sentence(done, "the other gateways are told")
	}
	return &Answer{Done: done}, nil
}

func sentence(done, more string) string {
	if done == "" {
		return "nobody is refused here; " + more
	}
	return done + "; " + more
}

// locked does something under the mutex, and gives the lock of the site back if
// nothing is tried then.
func (m *Migration) locked(do func() (string, error)) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	done, err := do()
	if !m.c.Trying() {
		m.opt.Site.Done()
	}
	m.tellStandings()
	return done, err
}

// declare tells all gateways of a plan, if this one could follow it; then it does.
func (m *Migration) declare(ctx context.Context, now time.Time, by steer.By, r *Request) (*Answer, error) {
	check := *r
	check.Do = Diff
	m.mu.Lock()
	a, err := m.askOfPlan(m.moment(now), by, &check)
	if err == nil && !by.Force && !wrong(a) {
		err = m.c.MayApply(r.Name, []byte(r.Plan))
	}
	m.mu.Unlock()
	if err != nil || wrong(a) {
		return a, err
	}
	if err := m.opt.Site.Declare(ctx, &site.Plan{Name: r.Name, Text: r.Plan, Who: by.Who, Reason: by.Reason, Force: by.Force}); err != nil {
		return nil, fmt.Errorf("the plan is not declared, since the other gateways cannot be told: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.follow(m.moment(now)); err != nil {
		return nil, fmt.Errorf("the site has the plan, and this gateway follows it as soon as it can: %w", err)
	}
	a.Done = fmt.Sprintf("%s is declared on all gateways: %d changes here", r.Name, len(a.Changes))
	return a, nil
}

func wrong(a *Answer) bool {
	return slices.ContainsFunc(a.Findings, func(f Finding) bool { return f.Wrong })
}

// follow does what the site has agreed and this gateway has not done yet.
func (m *Migration) follow(at steer.Moment) error {
	s := m.opt.Site
	if p := s.Following(); p != nil {
		if _, _, text := m.c.Plan(); text != p.Text {
			if err := m.c.Follow(at, p.Name, []byte(p.Text), steer.By{Who: p.Who, Reason: p.Reason, Force: p.Force}); err != nil {
				return err
			}
		}
		s.Followed(p)
	}
	orders, missed := s.Orders()
	if missed {
		_, _ = m.c.Hold(at, "", steer.By{Who: "ntsbridge", Reason: "orders of the site were missed while this gateway was away"})
	}
	for _, o := range orders {
		if o.Gateway != s.Name() {
			m.obey(at, &o)
		}
		s.Ordered(o.Number)
	}
	return nil
}

// obey does what was ordered on another gateway. What cannot be done here, since
// there is no such group or nobody is refused, is done.
func (m *Migration) obey(at steer.Moment, o *site.Order) {
	by := steer.By{Who: o.Who + " on " + o.Gateway, Reason: o.Reason}
	var err error
	switch o.Do {
	case Hold:
		_, err = m.c.Hold(at, o.Group, by)
	case Resume:
		_, err = m.c.Resume(at, o.Group, by)
	case Rollback:
		_, err = m.c.Rollback(at, o.Group, o.Means, by)
	}
	if err != nil && !errors.Is(err, steer.ErrNothing) {
		m.opt.Log.Warn("fleet: an order of another gateway", "order", o.Do, "group", o.Group, "gateway", o.Gateway, "error", err)
	}
}

// beforeTick ends what is tried if this gateway may not any more, and follows.
func (m *Migration) beforeTick(at steer.Moment) {
	s := m.opt.Site
	if s == nil {
		return
	}
	if m.c.Trying() && !s.Holds() {
		m.c.EndTrials(at, "this gateway cannot tell any more that it is the only one that tries a step: "+s.Unlocked())
	}
	if err := m.follow(at); err != nil && at.Wall.Sub(m.unfollowed) > time.Minute {
		m.unfollowed = at.Wall
		m.opt.Log.Error("fleet: the plan of the site cannot be followed", "error", err)
	}
	if is, known := s.Declared(); known && !is && !m.offering.Load() {
		if _, name, text := m.c.Plan(); text != "" && m.offering.CompareAndSwap(false, true) {
			go m.offer(name, text)
		}
	}
}

// offer makes the plan that this gateway had alone that of the site.
func (m *Migration) offer(name, text string) {
	defer m.offering.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), m.opt.Site.Timeout())
	defer cancel()
	p := &site.Plan{Name: name, Text: text, Who: "ntsbridge", Reason: "the plan that " + m.opt.Site.Name() + " had"}
	if err := m.opt.Site.Declare(ctx, p); err != nil {
		m.opt.Log.Warn("fleet: the plan cannot be offered to the other gateways", "error", err)
	}
}

// afterTick tells the other gateways where the groups stand here.
func (m *Migration) afterTick() {
	s := m.opt.Site
	if s == nil {
		return
	}
	trying := m.c.Trying()
	s.Keep(trying)
	if m.tried && !trying {
		s.Done()
	}
	m.tried = trying
	m.tellStandings()
}

func (m *Migration) tellStandings() {
	list, held := m.c.Standings()
	p := site.Places{Held: held}
	for _, x := range list {
		p.Where = append(p.Where, site.Place{Group: x.Group, Means: x.Means, Stage: x.Stage, Round: x.Round, Rank: x.Rank, Held: x.Held,
			Trying: x.Trying, Refuses: x.Refuses})
	}
	m.opt.Site.SetPlaces(p)
}

// admit tells whether a step that refuses may begin.
func (m *Migration) admit() error {
	s := m.opt.Site
	if s.Holds() {
		return nil
	}
	s.Want() // for one that nobody waits for, which is tried again
	if p := s.Problem(); p != "" {
		return errors.New(p)
	}
	return fmt.Errorf("this gateway has asked for the lock of the site: try again")
}

// siteClients returns how to see all clients of the site, and adds to facts what
// the other gateways tell; the view is nil if this one is alone.
func (m *Migration) siteClients(facts *gate.Facts) (func(func(*inventory.Client)) error, *site.View) {
	s := m.opt.Site
	if s == nil {
		return m.opt.Each, nil
	}
	facts.Watched = s.Watched(facts.Watched)
	facts.Certificate = s.Certificate(facts.Certificate)
	n, last := s.Forgotten()
	facts.Full.Forgotten += n
	facts.Full.LastForgotten = max(facts.Full.LastForgotten, last)
	v := s.View()
	return func(see func(*inventory.Client)) error {
		if err := m.opt.Each(func(c *inventory.Client) { v.Add(c); see(c) }); err != nil {
			return err
		}
		v.Rest(see)
		return nil
	}, v
}

// elsewhere tells whether a gateway that does not refuse a step's means itself
// answered a client lately.
func (m *Migration) elsewhere(v *site.View, step *steer.Step, files func(netip.Prefix) bool) func(netip.Prefix) bool {
	s := m.opt.Site
	refuses := map[string]bool{}
	for _, name := range v.Names() {
		refuses[name] = s.Refuses(name, step.Group.Name, step.Means.String())
	}
	return func(p netip.Prefix) bool {
		return v.Elsewhere(p, func(name string) bool { return refuses[name] }) || files != nil && files(p)
	}
}

// gatewaysGate says whether all gateways are here and have passed what a step
// rests on.
func (m *Migration) gatewaysGate(step *steer.Step) gate.Result {
	rank := steer.Rank(step.Group, step.Stage, step.Round) - 1
	before := "what comes before " + step.Stage.String()
	if step.Stage == plan.BrownOutRefusal {
		before = fmt.Sprintf("what comes before %v %d", step.Stage, step.Round)
	}
	return m.opt.Site.Gate(step.Group.Name, step.Means.String(), before, rank)
}
