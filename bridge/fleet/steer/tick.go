package steer

import (
	"encoding/json"
	"fmt"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/plan"
)

// running is a step that is being tried.
type running struct {
	Step
	id        uint32
	step      *access.Step
	began     Moment
	refusing  bool
	stopped   uint32 // when refusal ended, seconds since 1970
	looked    time.Duration
	members   []*member
	protected []*member
	hurt      []HurtSeen // as of the last look
	unclear   int        // members of which nothing can be said
}

func (r *running) name() string {
	if r.Round > 0 {
		return fmt.Sprintf("%v %d", r.Stage, r.Round)
	}
	return r.Stage.String()
}

func (r *running) elapsed(now Moment) time.Duration { return now.Uptime - r.began.Uptime }

func (r *running) ends(now Moment) time.Time {
	return now.Wall.Add(r.Timing.Whole() - r.elapsed(now)).UTC()
}

// Tick does what is due. It is to be called every second or so.
func (c *Controller) Tick(now Moment) {
	if c.unkept != nil {
		_ = c.keep(false)
	}
	_ = c.flush()
	for _, p := range c.state.Places {
		if r := c.running[p]; r != nil {
			c.tickPlace(now, p, r)
		}
	}
	c.remind(now)
	c.automatic(now)
}

// How often the clients of a step are looked at: each half of a poll, within
// these bounds.
const (
	lookLeast = time.Second
	lookMost  = 30 * time.Second
)

func (c *Controller) tickPlace(now Moment, p *Place, r *running) {
	elapsed := r.elapsed(now)
	over := elapsed >= r.Timing.Whole()
	stops := r.refusing && elapsed >= r.Timing.Time && r.Stage < plan.Refuse
	if due := min(max(r.Timing.Poll/2, lookLeast), lookMost); !over && !stops && now.Uptime-r.looked < due {
		return
	}
	r.looked = now.Uptime
	if len(r.members)+len(r.protected) > 0 {
		if err := c.look(now, r, over); err != nil {
			c.end(now, p, history.Ended, "the inventory cannot be asked, so nobody would see who is hurt: "+err.Error())
			return
		}
	}
	if why := c.tooMany(r); why != "" {
		c.backOut(now, p, r, why)
		return
	}
	if r.refusing && !stops && r.Stage < plan.Refuse {
		if open, why := c.plan.Windows.Open(now.Wall); !open && now.Synchronised {
			c.end(now, p, history.Ended, "the window has closed: "+why)
			return
		}
	}
	if stops {
		r.refusing, r.stopped = false, uint32(now.Wall.Unix())
		c.enforce()
		c.note(now, c.entry(p, r, history.Watching, "refusal has ended"))
	}
	if over {
		c.pass(now, p, r)
	}
}

func (c *Controller) entry(p *Place, r *running, what, why string) *history.Entry {
	evidence, _ := json.Marshal(map[string]any{"clients": len(r.members), "refused": r.step.Refused(), "hurt": r.hurt,
		"cannot_tell": r.unclear})
	return &history.Entry{Who: ourselves, What: what, Group: p.Group, Means: p.Means, Step: r.id, Stage: r.name(), Why: why,
		Evidence: evidence}
}

// pass ends a step that went well.
func (c *Controller) pass(now Moment, p *Place, r *running) {
	delete(c.running, p)
	p.reach(r.Stage, r.Round, now.Wall)
	if r.Stage == plan.Refuse {
		p.Stand = p.Step
		c.standing[p] = r.step // its count goes on
	}
	p.Step = nil
	c.enforce()
	_ = c.keep(false)
	c.note(now, c.entry(p, r, history.Passed, fmt.Sprintf("%d clients, %d hurt", len(r.members), len(r.hurt))))
}

// end ends a step before its time; it was not passed.
func (c *Controller) end(now Moment, p *Place, what, why string) {
	r := c.running[p]
	delete(c.running, p)
	p.Step = nil
	c.enforce()
	_ = c.keep(false) // on the disk it runs: a restart ends it, too
	c.note(now, c.entry(p, r, what, why))
}

// backOut ends a step since clients were hurt, and holds the group.
func (c *Controller) backOut(now Moment, p *Place, r *running, why string) {
	p.Hurt = r.hurt[:min(len(r.hurt), maxHurtKept)]
	p.Held = "step " + fmt.Sprint(r.id) + " was backed out: " + why
	c.end(now, p, history.BackedOut, why)
}

// maxHurtKept bounds the list of clients that a place keeps.
const maxHurtKept = 100

// tooMany says why a step must end, empty if it need not.
func (c *Controller) tooMany(r *running) string {
	protected := 0
	for i := range r.hurt {
		if r.hurt[i].Protected {
			protected++
		}
	}
	others := len(r.hurt) - protected
	limit := &r.Group.BackOut
	switch {
	case protected > limit.Protected:
		return fmt.Sprintf("%d protected clients hurt, at most %d may be", protected, limit.Protected)
	case float64(others) > limit.Others*float64(len(r.members)):
		return fmt.Sprintf("%d of %d clients hurt, at most %g%% may be", others, len(r.members), 100*limit.Others)
	}
	return ""
}

// automaticInterval is how often steps that take themselves are tried.
const automaticInterval = time.Minute

// automatic takes the steps that a plan lets be taken by themselves.
func (c *Controller) automatic(now Moment) {
	if c.plan == nil || !c.plan.Automatic || !now.Synchronised || now.Uptime-c.tried < automaticInterval && c.tried != 0 {
		return
	}
	c.tried = now.Uptime
	for _, p := range c.state.Places {
		g := c.group(p)
		if g == nil || c.running[p] != nil || p.Held != "" || c.state.Held != "" {
			continue
		}
		if _, _, ok := next(g, p); ok {
			_, _ = c.advance(now, p, By{Who: ourselves, Reason: "advance: automatic"})
		}
	}
}

// remindInterval is how often is told who still uses a means in stage warn.
const remindInterval = 24 * time.Hour

// remind tells of those in stage warn and beyond that are not refused.
func (c *Controller) remind(now Moment) {
	if c.plan == nil || now.Wall.Sub(c.warned) < remindInterval && !now.Wall.Before(c.warned) {
		return
	}
	c.warned = now.Wall
	for _, p := range c.state.Places {
		g := c.group(p)
		if g == nil || p.stage() < plan.Warn || p.Stand != nil {
			continue
		}
		members, _, err := c.members(now, g, p.means())
		if err != nil || len(members) == 0 {
			continue
		}
		names := []string{}
		for _, m := range members[:min(len(members), maxHurtKept)] {
			names = append(names, clientName(m.prefix))
		}
		evidence, _ := json.Marshal(map[string]any{"clients": len(members), "first": names})
		c.note(now, &history.Entry{Who: ourselves, What: history.Warned, Group: p.Group, Means: p.Means, Stage: p.Stage,
			Why: fmt.Sprintf("%d clients still use it", len(members)), Evidence: evidence})
	}
}
