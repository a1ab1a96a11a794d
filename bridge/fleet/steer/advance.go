package steer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
)

// Preview is the next step of a place, and what is in its way.
type Preview struct {
	Step     *Step         `json:"-"`
	Stage    string        `json:"stage"`
	Round    int           `json:"round,omitempty"`
	Clients  int           `json:"clients"`      // that it would refuse and that are active
	Takes    time.Duration `json:"takes"`        // refusal and watching, nanoseconds
	Refusal  time.Duration `json:"refusal"`      // of it
	Poll     time.Duration `json:"poll"`         // that both are counted in
	Share    float64       `json:"proves_about"` // share of them that it can prove something about
	Mute     int           `json:"mute"`         // of them would not show that they are hurt
	Idle     int           `json:"idle"`         // more that asked in the last 30 days, and cannot be tried
	Blocked  []string      `json:"blocked,omitempty"`
	Gates    []gate.Result `json:"gates,omitempty"`
	members  []*member
	protects []*member
	large    int // clients that stand for more addresses than a canary may have
}

// Open tells whether the step may begin without force.
func (v *Preview) Open() bool { return len(v.Blocked) == 0 && gate.Open(v.Gates) }

// Advance begins the next step of a group, by one of its means; empty: the only
// one that has a next step.
func (c *Controller) Advance(now Moment, group, means string, by By) (string, error) {
	places, err := c.find(group, means)
	if err != nil {
		return "", err
	}
	p, err := c.advanceable(places)
	if err != nil {
		return "", err
	}
	return c.advance(now, p, by)
}

// advanceable returns the one place of several that has a next step.
func (c *Controller) advanceable(places []*Place) (*Place, error) {
	var open []*Place
	for _, p := range places {
		if _, _, ok := next(c.group(p), p); ok {
			open = append(open, p)
		}
	}
	switch {
	case len(open) == 0:
		return nil, fmt.Errorf("%s has reached what the plan wants", places[0].Group)
	case len(open) > 1:
		return nil, fmt.Errorf("%s may advance by %s and by %s: say which with --means", open[0].Group, open[0].Means, open[1].Means)
	}
	return open[0], nil
}

func (c *Controller) advance(now Moment, p *Place, by By) (string, error) {
	if r := c.running[p]; r != nil {
		return "", fmt.Errorf("%s by %s is in %s until %s", p.Group, p.Means, r.name(), r.ends(now).Format(time.RFC3339))
	}
	v, err := c.preview(now, p)
	if err != nil {
		return "", err
	}
	evidence, err := json.Marshal(map[string]any{"blocked": v.Blocked, "gates": v.Gates, "clients": v.Clients})
	if err != nil {
		return "", err
	}
	entry := history.Entry{Who: by.Who, Group: p.Group, Means: p.Means, Stage: v.name(), Why: by.Reason, Evidence: evidence}
	if !v.Open() {
		entry.What = history.Refused
		if !by.Force {
			if by.Who != ourselves {
				c.note(now, &entry)
			}
			return "", v.shut(p)
		}
		if by.Reason == "" {
			return "", errors.New("--force needs --reason, which the history keeps")
		}
		entry.What = history.Forced
		if err := c.record(now, &entry); err != nil {
			return "", err
		}
	}
	return c.begin(now, p, v, by, evidence)
}

func (v *Preview) name() string {
	if v.Round > 0 {
		return fmt.Sprintf("%s %d", v.Stage, v.Round)
	}
	return v.Stage
}

// idle tells of clients that a step cannot try.
func (v *Preview) idle() string {
	if v.Idle == 0 {
		return ""
	}
	return fmt.Sprintf(" now (%d did in the last %d days, and are not tried)", v.Idle, idleDays)
}

func (v *Preview) shut(p *Place) error {
	text := ""
	for _, b := range v.Blocked {
		text += "\n" + b
	}
	for line := range strings.Lines(gate.Shut(v.Gates)) {
		text += "\ngate " + strings.TrimSuffix(line, "\n")
	}
	return fmt.Errorf("%s of %s by %s does not begin, %w:%s", v.name(), p.Group, p.Means, ErrShut, text)
}

// preview finds the next step of a place and what is in its way.
func (c *Controller) preview(now Moment, p *Place) (*Preview, error) {
	views, errs := c.previews(now, []*Place{p}, nil)
	return views[p], errs[p]
}

// previews finds the next steps of some places, in one pass over the inventory
// for who they are about, unless seated tells, and one for all gates.
func (c *Controller) previews(now Moment, places []*Place, seated map[*Place]*roster) (map[*Place]*Preview, map[*Place]error) {
	views, errs := map[*Place]*Preview{}, map[*Place]error{}
	var refusing []*Place
	for _, p := range places {
		g := c.group(p)
		if g == nil {
			errs[p] = ErrNoPlan
			continue
		}
		s, round, ok := next(g, p)
		if !ok {
			errs[p] = fmt.Errorf("%s by %s has reached what the plan wants: %s", p.Group, p.Means, p.Stage)
			continue
		}
		views[p] = &Preview{Step: &Step{Group: g, Means: p.means(), Stage: s, Round: round, Refused: p.spans()},
			Stage: s.String(), Round: round}
		if s >= plan.CanaryRefusal {
			refusing = append(refusing, p)
		}
	}
	if seated == nil && len(refusing) > 0 {
		seated = c.rosters(now, refusing)
	}
	var steps []*Step
	var gated []*Preview
	for _, p := range refusing {
		v := views[p]
		if errs[p] = c.choose(v, seated[p]); errs[p] != nil {
			delete(views, p)
			continue
		}
		steps, gated = append(steps, v.Step), append(gated, v)
	}
	for p, v := range views {
		c.blocked(now, p, v)
	}
	if c.env.Gates != nil && len(steps) > 0 {
		for i, results := range c.env.Gates(now, c.resolver, steps) {
			gated[i].Gates = results
		}
	}
	c.countShut(places, views)
	return views, errs
}

// countShut notes how many gates of the places were found shut.
func (c *Controller) countShut(places []*Place, views map[*Place]*Preview) {
	if c.shut == nil {
		c.shut = map[*Place]int{}
	}
	for _, p := range places {
		delete(c.shut, p)
		if v := views[p]; v != nil {
			for i := range v.Gates {
				if !v.Gates[i].Open {
					c.shut[p]++
				}
			}
		}
	}
}

// choose finds the clients of a step and how long it takes.
func (c *Controller) choose(v *Preview, from *roster) error {
	s := v.Step
	if from.err != nil {
		return from.err
	}
	members := from.list
	if s.Stage == plan.CanaryRefusal {
		if members = c.canary(s, members); len(members) == 0 {
			v.large = len(from.list)
		}
	}
	polls := make([]time.Duration, len(members))
	for i, m := range members {
		polls[i] = m.poll
		if m.mute {
			v.Mute++
		}
	}
	length, atMost := plan.Length{Polls: s.Group.Canary.Polls}, time.Duration(0)
	switch s.Stage {
	case plan.BrownOutRefusal:
		length, atMost = s.Group.BrownOut.Lengths[s.Round-1], s.Group.BrownOut.AtMost
	case plan.Refuse, plan.Removed:
		length = plan.Length{Polls: plan.LeastPolls}
	}
	s.Timing = length.For(polls, atMost)
	if len(members) == 0 || s.Stage == plan.Removed {
		s.Timing.Time, s.Timing.Watch = 0, 0 // there is nobody to be tried
	}
	v.members, v.protects, v.Clients, v.Idle = members, from.protected, len(members), from.idle
	v.Takes, v.Share, v.Refusal, v.Poll = s.Timing.Whole(), s.Timing.Share, s.Timing.Time, s.Timing.Poll
	return nil
}

// canary keeps the members that a canary has.
func (c *Controller) canary(s *Step, members []*member) (chosen []*member) {
	candidates := make([]stage.Candidate, 0, len(members))
	for i, m := range members { // those of one client stand together
		if i == 0 || members[i-1].prefix != m.prefix {
			candidates = append(candidates, stage.Candidate{Prefix: m.prefix, Count: m.count})
		}
	}
	s.Only = stage.Canary(c.env.Key, s.Means, candidates, s.Group.Canary.Share, s.Group.Canary.Max)
	if s.Only == nil {
		s.Only = []netip.Prefix{}
	}
	only := make(map[netip.Prefix]bool, len(s.Only))
	for _, p := range s.Only {
		only[p] = true
	}
	for _, m := range members {
		if only[m.prefix] {
			chosen = append(chosen, m)
		}
	}
	return chosen
}

// blocked says what keeps a step from beginning, beside the gates.
func (c *Controller) blocked(now Moment, p *Place, v *Preview) {
	add := func(format string, args ...any) { v.Blocked = append(v.Blocked, fmt.Sprintf(format, args...)) }
	if c.state.Held != "" {
		add("everything is held: %s; `ntsbridge fleet resume` lets it go on", c.state.Held)
	}
	if p.Held != "" && p.Held != c.state.Held {
		add("held: %s; `ntsbridge fleet resume %s` lets it go on", p.Held, p.Group)
	}
	if v.Step.Stage < plan.CanaryRefusal {
		return
	}
	if !now.Synchronised {
		add("the clock of this host is not synchronised: dates and windows cannot be judged")
	}
	if t := v.Step.Group.Targets[p.means()]; now.Wall.Before(t.NotBefore) {
		add("not before %s", t.NotBefore.UTC().Format(time.RFC3339))
	}
	for other, r := range c.running {
		if other.Group == p.Group && other != p {
			add("%s is in %s by %s", p.Group, r.name(), other.Means)
		}
	}
	if v.large > 0 {
		add("each of its %d clients stands for more addresses than the canary may have (%d): raise canary.max", v.large, v.Step.Group.Canary.Max)
	}
	w := &c.plan.Windows
	if open, why := w.Open(now.Wall); !open {
		add("no window is open: %s%s", why, c.nextWindow(now, v))
	} else if !w.Fits(now.Wall, v.Takes) {
		add("it takes %v, and the window closes before%s", v.Takes.Round(time.Second), c.nextWindow(now, v))
	}
}

func (c *Controller) nextWindow(now Moment, v *Preview) string {
	if at, ok := c.plan.Windows.Next(now.Wall, v.Takes); ok {
		return "; the next one that is long enough opens " + at.UTC().Format(time.RFC3339)
	}
	return "; no window within a year is long enough"
}

// begin starts a step: recorded and kept first, in force last.
func (c *Controller) begin(now Moment, p *Place, v *Preview, by By, evidence json.RawMessage) (string, error) {
	if c.env.Admit != nil && v.Step.Stage >= plan.CanaryRefusal {
		if err := c.env.Admit(); err != nil {
			return "", fmt.Errorf("the step did not begin: %w", err)
		}
	}
	id := c.state.LastStep + 1
	entry := &history.Entry{Who: by.Who, What: history.Began, Group: p.Group, Means: p.Means, Step: id, Stage: v.name(), Why: by.Reason,
		Evidence: evidence}
	if v.Step.Stage == plan.Warn {
		entry.What = history.Warned
	}
	if err := c.record(now, entry); err != nil {
		return "", err
	}
	before := *p
	c.state.LastStep = id
	kept := &KeptStep{ID: id, Stage: v.Stage, Round: v.Round, Began: now.Wall.UTC(), Forced: by.Force,
		Deny: v.Step.Group.Targets[p.means()].Deny}
	p.Hurt = nil
	p.Refused = slices.Clone(p.Refused)
	switch {
	case v.Step.Stage == plan.Warn:
		p.reach(plan.Warn, 0, now.Wall)
	case v.Step.Stage == plan.Removed:
		p.Stand = kept
		p.reach(plan.Removed, 0, now.Wall)
	default:
		kept.Deny = false
		p.Step = kept
		p.refuses(now.Wall)
	}
	if err := c.keep(false); err != nil {
		held := p.Held
		*p = before
		p.Held = held
		c.note(now, &history.Entry{Who: ourselves, What: history.Ended, Group: p.Group, Means: p.Means, Step: id, Stage: v.name(),
			Why: "it did not begin: " + err.Error()})
		return "", fmt.Errorf("the step did not begin, since it cannot be kept: %w", err)
	}
	if p.Step == nil {
		c.surveySoon(now)
		c.stand(p)
		c.enforce()
		return fmt.Sprintf("step %d: %s by %s is in %s", id, p.Group, p.Means, v.name()), nil
	}
	r := &running{Step: *v.Step, id: id, step: &access.Step{ID: id}, began: now, at: now, refusing: true, refused: v.Step.Refused,
		index: make(map[memberKey]*member, len(v.members)+len(v.protects)), only: make(map[netip.Prefix]bool, len(v.Step.Only))}
	for _, p := range r.Only {
		r.only[p] = true
	}
	r.add(v.members...)
	r.add(v.protects...)
	c.running[p] = r
	c.enforce()
	if v.Takes == 0 {
		c.tickPlace(now, p, r, nil)
		return fmt.Sprintf("step %d: nobody uses %s in %s%s; it is in %s", id, p.Means, p.Group, v.idle(), v.name()), nil
	}
	return fmt.Sprintf("step %d: %s of %s by %s began: %d clients, %v of refusal, watched until %s%s", id, v.name(), p.Group, p.Means, v.Clients,
		r.Timing.Time.Round(time.Second), r.ends(now).UTC().Format(time.RFC3339), r.proves()), nil
}

// stand puts a step in force that refuses for good.
func (c *Controller) stand(p *Place) {
	if p.Stand != nil && c.standing[p] == nil || p.Stand != nil && c.standing[p].ID != p.Stand.ID {
		c.standing[p] = &access.Step{ID: p.Stand.ID, Deny: p.Stand.Deny}
	}
}
