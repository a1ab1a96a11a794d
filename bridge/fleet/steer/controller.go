package steer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/silence"
	"ntsbridge/bridge/fleet/stage"
)

// Controller is the migration at work. It is not safe for concurrent use.
type Controller struct {
	env      Environment
	plan     *plan.Plan // declared, nil: none
	resolver *stage.Resolver
	state    *State
	running  map[*Place]*running
	standing map[*Place]*access.Step
	unkept   error            // why the state on the disk is not this one
	untold   []*history.Entry // that could not be recorded yet
	tried    time.Duration    // uptime of the last automatic advance
	warned   time.Time
	surveyed time.Duration  // uptime of the last look at all gates
	shut     map[*Place]int // gates that were shut then, or when somebody asked since
	// Room for judgements, used again and again.
	before inventory.Client
	spans  []silence.Span
}

// By is who asks for something, and why.
type By struct {
	Who    string
	Reason string
	Force  bool
}

const ourselves = "ntsbridge"

// New makes a controller from the state that was kept, nil at a first start or
// if it could not be read: then nobody is refused. Steps that were running have
// ended; what refused for good goes on.
func New(env Environment, kept *State, now Moment) *Controller {
	if env.Judge == nil {
		env.Judge = silence.Judge
	}
	if env.Ours == nil {
		env.Ours = func(uint32) bool { return false }
	}
	c := &Controller{env: env, state: kept, running: map[*Place]*running{}, standing: map[*Place]*access.Step{}, warned: now.Wall,
		surveyed: now.Uptime - surveyInterval}
	if kept == nil {
		c.state = &State{Version: stateVersion}
		c.enforce()
		return c
	}
	c.recover(now)
	return c
}

// recover goes on from a state that was kept.
func (c *Controller) recover(now Moment) {
	if c.state.Plan != "" {
		var findings plan.Findings
		if c.plan, findings = plan.Parse(c.state.PlanName, []byte(c.state.Plan)); c.plan == nil {
			c.note(now, &history.Entry{Who: ourselves, What: history.Recovered,
				Why: "the declared plan cannot be read by this version, so nobody is refused: " + findings.Err().Error()})
		}
	}
	changed := c.dropStrangers(now)
	for _, p := range c.state.Places {
		if s := p.Step; s != nil {
			p.Step, changed = nil, true
			if p.Stand == nil {
				p.served(now.Wall) // at the latest; when it stopped nobody knows
			}
			c.note(now, &history.Entry{Who: ourselves, What: history.Ended, Group: p.Group, Means: p.Means, Step: s.ID, Stage: s.Stage,
				Why: "the gateway stopped in it; whoever it refused is served again"})
		}
	}
	c.resolve()
	for _, p := range c.state.Places {
		if p.Stand != nil && c.group(p) != nil {
			c.standing[p] = &access.Step{ID: p.Stand.ID, Deny: p.Stand.Deny}
		}
	}
	c.enforce()
	if changed {
		c.keep(false)
	}
}

func (c *Controller) resolve() {
	c.resolver = nil
	if c.plan != nil {
		c.resolver = stage.NewResolver(c.plan, c.env.Where())
	}
}

func (c *Controller) group(p *Place) *plan.Group {
	if c.plan == nil {
		return nil
	}
	return c.plan.Group(p.Group)
}

// dropStrangers forgets where groups stand that the plan does not have: the file
// was written by hand, or is of two versions.
func (c *Controller) dropStrangers(now Moment) bool {
	if c.plan == nil {
		return false
	}
	before := len(c.state.Places)
	c.state.Places = slices.DeleteFunc(c.state.Places, func(p *Place) bool {
		stranger := c.group(p) == nil
		if stranger {
			c.note(now, &history.Entry{Who: ourselves, What: history.Recovered, Group: p.Group, Means: p.Means, Stage: p.Stage,
				Why: "the declared plan has no such group: nobody of it is refused"})
		}
		return stranger
	})
	return len(c.state.Places) != before
}

// place returns where a means of a group stands.
func (c *Controller) place(group string, m plan.Means) *Place {
	for _, p := range c.state.Places {
		if p.Group == group && p.means() == m {
			return p
		}
	}
	return nil
}

// refusals are all that refuses now.
func (c *Controller) refusals() (list []stage.Refusal) {
	for _, p := range c.state.Places {
		if c.group(p) == nil {
			continue
		}
		if r := c.running[p]; r != nil && r.refusing {
			list = append(list, stage.Refusal{Step: r.step, Group: p.Group, Means: p.means(), Only: r.Only})
		} else if s := c.standing[p]; s != nil {
			list = append(list, stage.Refusal{Step: s, Group: p.Group, Means: p.means()})
		}
	}
	return list
}

func (c *Controller) enforce() { c.env.Enforce(c.resolver, c.refusals()) }

// keep writes the state. If it cannot be, and looser is set, what is on the disk
// refuses more than this: then it is taken away, so that a restart refuses
// nobody.
func (c *Controller) keep(looser bool) error {
	text, err := json.Marshal(c.state)
	if err == nil {
		err = c.env.Keep(text)
	}
	c.unkept = err
	if err != nil && looser && c.env.Forget != nil {
		if errForget := c.env.Forget(); errForget != nil {
			c.unkept = fmt.Errorf("%w; a restart now would refuse what was rolled back: %w", err, errForget)
		}
	}
	return c.unkept
}

// record writes an entry; it is told only once it is written.
func (c *Controller) record(now Moment, e *history.Entry) error {
	e.Time = now.Wall
	if err := c.flush(); err != nil {
		return err
	}
	if err := c.env.Record(e); err != nil {
		return err
	}
	c.tell(e)
	return nil
}

// maxUntold bounds what waits for the disk.
const maxUntold = 1000

// note records what has happened and cannot be taken back: later, if the disk
// does not take it now.
func (c *Controller) note(now Moment, e *history.Entry) {
	e.Time = now.Wall
	if len(c.untold) < maxUntold {
		c.untold = append(c.untold, e)
	}
	_ = c.flush()
}

func (c *Controller) flush() error {
	for len(c.untold) > 0 {
		if err := c.env.Record(c.untold[0]); err != nil {
			return err
		}
		c.tell(c.untold[0])
		c.untold = c.untold[1:]
	}
	return nil
}

func (c *Controller) tell(e *history.Entry) {
	if c.env.Tell == nil {
		return
	}
	var n plan.Notify
	if c.plan != nil {
		n = c.plan.Notify
	}
	c.env.Tell(e, &n)
}

// Errors of who asks.
var (
	// ErrNoPlan says that no plan was declared.
	ErrNoPlan = errors.New("no plan was declared: `ntsbridge fleet apply FILE` declares one")
	// ErrShut says that a gate is shut, or that something else keeps a step from
	// beginning: a hold, a date, a window.
	ErrShut = errors.New("something is in its way")
)

// find returns the places of a group, or of one of its means.
func (c *Controller) find(group, means string) ([]*Place, error) {
	if c.plan == nil {
		return nil, ErrNoPlan
	}
	if c.plan.Group(group) == nil {
		var names []string
		for _, g := range c.plan.Groups {
			names = append(names, g.Name)
		}
		return nil, fmt.Errorf("the plan has no group %.60q; it has %.400s", group, fmt.Sprint(names))
	}
	var list []*Place
	m, ok := plan.ParseMeans(means)
	if means != "" && !ok {
		return nil, fmt.Errorf("%.40q is no legacy means: none, symmetric, autokey", means)
	}
	for _, p := range c.state.Places {
		if p.Group == group && (means == "" || p.means() == m) {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the plan says nothing of %s by %s", group, means)
	}
	slices.SortFunc(list, func(a, b *Place) int { return cmp.Compare(a.means(), b.means()) })
	return list, nil
}
