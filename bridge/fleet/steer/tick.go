package steer

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/silence"
)

// running is a step that is being tried.
type running struct {
	Step
	id        uint32
	step      *access.Step
	began     Moment
	at        Moment // of the last tick
	refusing  bool
	stopped   uint32         // when refusal ended, seconds since 1970
	refused   []silence.Span // by steps before this one
	looked    time.Duration
	members   []*member
	protected []*member
	index     map[memberKey]*member // of both
	only      map[netip.Prefix]bool // Only, to look up
	hurt      []HurtSeen            // as of the last look
	unclear   int                   // members that cannot show that they are hurt, as of the last look
}

func (r *running) name() string {
	if r.Round > 0 {
		return fmt.Sprintf("%v %d", r.Stage, r.Round)
	}
	return r.Stage.String()
}

func (r *running) elapsed(now Moment) time.Duration { return now.Uptime - r.began.Uptime }

func (r *running) over(now Moment) bool { return r.elapsed(now) >= r.Timing.Whole() }

// stops tells whether refusal is to end now, and the watch after it to begin.
func (r *running) stops(now Moment) bool {
	return r.refusing && r.elapsed(now) >= r.Timing.Time && r.Stage < plan.Refuse
}

// due tells whether its clients are to be looked at.
func (r *running) due(now Moment) bool {
	return r.over(now) || r.stops(now) || now.Uptime-r.looked >= min(max(r.Timing.Poll/2, lookLeast), lookMost)
}

// stepped tells whether the system clock was stepped since the last tick by so
// much that silences cannot be told any more.
func (r *running) stepped(now Moment) time.Duration {
	jump := now.Wall.Sub(r.at.Wall) - (now.Uptime - r.at.Uptime)
	r.at = now
	if jump.Abs() < max(clockStep, r.Timing.Poll/4) {
		return 0
	}
	return jump
}

// clockStep is below what a step of the system clock does no harm to a watch.
const clockStep = 2 * time.Second

// proves says what a step cannot prove, empty if nothing.
func (r *running) proves() string {
	if r.Timing.Share >= plan.Cover || r.Timing.Time == 0 {
		return ""
	}
	return fmt.Sprintf("; it can prove something about %.0f%% of them only", 100*r.Timing.Share)
}

func (r *running) ends(now Moment) time.Time {
	return now.Wall.Add(r.Timing.Whole() - r.elapsed(now)).UTC()
}

// refusesUntil is when refusal ends, or ended; that of refuse goes on.
func (r *running) refusesUntil(now Moment) time.Time {
	if r.Stage >= plan.Refuse {
		return r.ends(now)
	}
	return now.Wall.Add(r.Timing.Time - r.elapsed(now)).UTC()
}

// Tick does what is due. It is to be called every second or so.
func (c *Controller) Tick(now Moment) {
	if c.unkept != nil {
		_ = c.keep(false)
	}
	_ = c.flush()
	var due []*running
	for _, r := range c.running {
		if r.due(now) {
			due = append(due, r)
			r.looked = now.Uptime
		}
	}
	var err error
	if len(due) > 0 {
		err = c.look(now, due)
	}
	for _, p := range slices.Clone(c.state.Places) {
		if r := c.running[p]; r != nil {
			c.tickPlace(now, p, r, err)
		}
	}
	c.remind(now)
	c.automatic(now)
	c.survey(now)
}

// How often the clients of a step are looked at: each half of a poll, within
// these bounds.
const (
	lookLeast = time.Second
	lookMost  = 30 * time.Second
)

// tickPlace does what is due for a step whose clients were looked at, if that was
// due; blind is why they could not be.
func (c *Controller) tickPlace(now Moment, p *Place, r *running, blind error) {
	jump := r.stepped(now)
	switch {
	case blind != nil && len(r.index) > 0:
		c.end(now, p, history.Ended, "the inventory cannot be asked, so nobody would see who is hurt: "+blind.Error())
		return
	case jump != 0 && len(r.index) > 0:
		c.end(now, p, history.Ended, fmt.Sprintf("the system clock was stepped by %v, so nobody can tell who is silent", jump.Round(time.Millisecond)))
		return
	}
	if why := c.tooMany(r); why != "" {
		c.backOut(now, p, r, why)
		return
	}
	if r.refusing && !r.stops(now) && r.Stage < plan.Refuse {
		if open, why := c.plan.Windows.Open(now.Wall); !open && now.Synchronised {
			c.end(now, p, history.Ended, "the window has closed: "+why)
			return
		}
	}
	if r.stops(now) {
		r.refusing, r.stopped = false, uint32(now.Wall.Unix())
		p.served(now.Wall)
		c.enforce()
		c.note(now, c.entry(p, r, history.Watching, "refusal has ended"))
	}
	if r.over(now) {
		c.pass(now, p, r)
	}
}

func (c *Controller) entry(p *Place, r *running, what, why string) *history.Entry {
	evidence, _ := json.Marshal(map[string]any{"clients": len(r.members), "refused": r.step.Refused(), "hurt": r.hurt,
		"cannot_tell": r.unclear, "proves_about": r.Timing.Share})
	return &history.Entry{Who: ourselves, What: what, Group: p.Group, Means: p.Means, Step: r.id, Stage: r.name(), Why: why,
		Evidence: evidence}
}

// pass ends a step that went well.
func (c *Controller) pass(now Moment, p *Place, r *running) {
	delete(c.running, p)
	c.surveySoon(now)
	p.reach(r.Stage, r.Round, now.Wall)
	if r.Stage == plan.Refuse {
		p.Stand = p.Step
		c.standing[p] = r.step // its count goes on
	}
	p.Step = nil
	c.enforce()
	_ = c.keep(false)
	c.note(now, c.entry(p, r, history.Passed, r.outcome()))
}

// outcome says how a step went, and what it could not show.
func (r *running) outcome() string {
	s := fmt.Sprintf("%d clients, %d hurt", len(r.members), len(r.hurt))
	if r.unclear > 0 {
		s += fmt.Sprintf("; %d could not show whether they were", r.unclear)
	}
	return s + r.proves()
}

// end ends a step before its time; it was not passed.
func (c *Controller) end(now Moment, p *Place, what, why string) {
	r := c.running[p]
	delete(c.running, p)
	p.Step = nil
	if c.standing[p] == nil {
		p.served(now.Wall)
	}
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
	var places []*Place
	for _, p := range c.state.Places {
		if g := c.group(p); g != nil && c.running[p] == nil && p.Held == "" && c.state.Held == "" {
			if _, _, ok := next(g, p); ok {
				places = append(places, p)
			}
		}
	}
	views, _ := c.previews(now, places, nil)
	for _, p := range places {
		if v := views[p]; v != nil && v.Open() { // what began before it may shut it
			_, _ = c.advance(now, p, By{Who: ourselves, Reason: "advance: automatic"})
		}
	}
}

// surveyInterval is how often the gates of all next steps are looked at, so that
// a metric can tell of those that are shut although nobody asks.
const surveyInterval = time.Hour

// surveySoon lets the next tick do that, since groups stand elsewhere now.
func (c *Controller) surveySoon(now Moment) { c.surveyed = now.Uptime - surveyInterval }

func (c *Controller) survey(now Moment) {
	if c.plan == nil || now.Uptime-c.surveyed < surveyInterval {
		return
	}
	c.surveyed = now.Uptime
	var places []*Place
	for _, p := range c.state.Places {
		if c.group(p) != nil && c.running[p] == nil {
			places = append(places, p)
		}
	}
	c.previews(now, places, nil)
}

// remindInterval is how often is told who still uses a means in stage warn.
const remindInterval = 24 * time.Hour

// remind tells of those in stage warn and beyond that are not refused.
func (c *Controller) remind(now Moment) {
	if c.plan == nil || now.Wall.Sub(c.warned) < remindInterval && !now.Wall.Before(c.warned) {
		return
	}
	c.warned = now.Wall
	var places []*Place
	for _, p := range c.state.Places {
		if c.group(p) != nil && p.stage() >= plan.Warn && p.Stand == nil {
			places = append(places, p)
		}
	}
	if len(places) == 0 {
		return
	}
	seated := c.rosters(now, places)
	for _, p := range places {
		members := seated[p].list
		if seated[p].err != nil || len(members) == 0 {
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
