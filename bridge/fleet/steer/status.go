package steer

import (
	"time"

	"ntsbridge/bridge/fleet/plan"
)

// Status is the migration as people see it.
type Status struct {
	Time     time.Time     `json:"time"`
	Plan     string        `json:"plan"` // name, empty: none declared
	Declared Declared      `json:"declared"`
	Advance  string        `json:"advance"`
	Window   string        `json:"window"` // "open", or why not
	Held     string        `json:"held,omitempty"`
	Problems []string      `json:"problems,omitempty"`
	Places   []PlaceStatus `json:"places"`
}

// windowOpen is what Status.Window says while steps may begin.
const windowOpen = "open"

// PlaceStatus is one means of one group.
type PlaceStatus struct {
	Group     string        `json:"group"`
	Means     string        `json:"means"`
	Stage     string        `json:"stage"`
	Round     int           `json:"round"`
	Since     time.Time     `json:"since"`
	Target    string        `json:"target"`
	Clients   int           `json:"clients"`           // that use the means now, without those
	Protected int           `json:"protected"`         // that are protected
	Refuses   uint32        `json:"refuses,omitempty"` // step that refuses now
	Refused   uint64        `json:"refused"`           // packets by it
	Held      string        `json:"held,omitempty"`
	Hurt      []HurtSeen    `json:"hurt,omitempty"`
	Running   *RunningState `json:"running,omitempty"`
	Next      *Preview      `json:"next,omitempty"`
}

// RunningState is a step that is being tried.
type RunningState struct {
	ID         uint32        `json:"id"`
	Stage      string        `json:"stage"`
	Phase      string        `json:"phase"` // refusing, watching
	Began      time.Time     `json:"began"`
	Refuses    time.Time     `json:"refuses_until"` // of what goes on after it: ends
	Ends       time.Time     `json:"ends"`
	Clients    int           `json:"clients"`
	Poll       time.Duration `json:"poll"`
	Hurt       int           `json:"hurt"`
	CannotTell int           `json:"cannot_tell"`  // of them cannot show that they are hurt
	Proves     float64       `json:"proves_about"` // share of them that it can prove something about
	// HurtClients are those that are hurt, the first 100.
	HurtClients []HurtSeen `json:"hurt_clients,omitempty"`
}

// Brief tells where everything stands, without what is in the way of next steps
// and how many clients there are: it does not read the inventory.
func (c *Controller) Brief(now Moment) *Status {
	s := c.head(now)
	for _, p := range c.state.Places {
		if c.group(p) != nil {
			s.Places = append(s.Places, c.placeStatus(now, p, nil, nil))
		}
	}
	return s
}

// Status tells where everything stands. It reads the inventory.
func (c *Controller) Status(now Moment) *Status {
	s := c.head(now)
	if c.plan == nil {
		return s
	}
	seated := c.rosters(now, c.state.Places)
	var idle []*Place
	for _, p := range c.state.Places {
		if c.running[p] == nil {
			idle = append(idle, p)
		}
	}
	views, _ := c.previews(now, idle, seated)
	for _, p := range c.state.Places {
		s.Places = append(s.Places, c.placeStatus(now, p, seated[p], views[p]))
	}
	return s
}

// head is what a status says of the whole plan.
func (c *Controller) head(now Moment) *Status {
	s := &Status{Time: now.Wall.UTC(), Places: []PlaceStatus{}, Held: c.state.Held}
	if c.unkept != nil {
		s.Problems = append(s.Problems, "the state cannot be written: "+c.unkept.Error())
	}
	if len(c.untold) > 0 {
		s.Problems = append(s.Problems, "the history cannot be written")
	}
	if c.plan == nil {
		return s
	}
	s.Plan, s.Declared, s.Advance, s.Window = c.state.PlanName, c.state.Declared, "manual", windowOpen
	if c.plan.Automatic {
		s.Advance = "automatic"
	}
	if open, why := c.plan.Windows.Open(now.Wall); !open {
		s.Window = why
	}
	return s
}

func (c *Controller) placeStatus(now Moment, p *Place, seated *roster, v *Preview) PlaceStatus {
	g := c.group(p)
	o := PlaceStatus{Group: p.Group, Means: p.Means, Stage: p.Stage, Round: p.Round, Since: p.Since, Held: p.Held, Hurt: p.Hurt,
		Target: g.Targets[p.means()].Stage.String()}
	if seated != nil && seated.err == nil {
		o.Clients, o.Protected = len(seated.list), len(seated.protected)
	}
	if st := c.standing[p]; st != nil {
		o.Refuses, o.Refused = st.ID, st.Refused()
	}
	if r := c.running[p]; r != nil {
		o.Running = &RunningState{ID: r.id, Stage: r.name(), Phase: "watching", Began: r.began.Wall.UTC(), Ends: r.ends(now), Refuses: r.refusesUntil(now),
			Clients: len(r.members), Poll: r.Timing.Poll, Hurt: len(r.hurt), CannotTell: r.unclear, Proves: r.Timing.Share,
			HurtClients: r.hurt[:min(len(r.hurt), maxHurtKept)]}
		o.Refused = r.step.Refused()
		if r.refusing {
			o.Running.Phase, o.Refuses = "refusing", r.id
		}
		return o
	}
	o.Next = v
	return o
}

// Plan returns the declared plan, nil if there is none, with its text.
func (c *Controller) Plan() (p *plan.Plan, name, text string) {
	return c.plan, c.state.PlanName, c.state.Plan
}

// Refusing returns the steps that refuse now, by group and means.
func (c *Controller) Refusing() map[uint32]string {
	list := map[uint32]string{}
	for _, r := range c.refusals() {
		list[r.Step.ID] = r.Group + " by " + r.Means.String()
	}
	return list
}

// Figures are the migration as a metric shows it, without a look at the
// inventory: as of the last tick.
type Figures struct {
	Declared bool
	Held     bool // everything is
	Unkept   bool // state or history cannot be written
	Places   []PlaceFigures
}

// PlaceFigures are those of one means of one group.
type PlaceFigures struct {
	Group, Means  string
	Stage, Target plan.Stage
	Round         int
	Held          bool
	Refused       uint64 // packets, by the step in force
	// Of the step that is being tried; Trying is empty if there is none.
	Trying     string // its stage
	Refusing   bool   // else it watches
	Ends       time.Time
	Clients    int
	Hurt       int
	CannotTell int
	BackedOut  int       // clients that the last step hurt, until the group is resumed
	NotBefore  time.Time // of the plan; zero: none
	Shut       int       // gates before the next step that were shut when they were looked at last
}

// Figures returns the migration as a metric shows it.
func (c *Controller) Figures(now Moment) *Figures {
	f := &Figures{Declared: c.plan != nil, Held: c.state.Held != "", Unkept: c.unkept != nil || len(c.untold) > 0}
	for _, p := range c.state.Places {
		g := c.group(p)
		if g == nil {
			continue
		}
		o := PlaceFigures{Group: p.Group, Means: p.Means, Stage: p.stage(), Target: g.Targets[p.means()].Stage, Round: p.Round,
			Held: p.Held != "", BackedOut: len(p.Hurt), NotBefore: g.Targets[p.means()].NotBefore, Shut: c.shut[p]}
		if s := c.standing[p]; s != nil {
			o.Refused = s.Refused()
		}
		if r := c.running[p]; r != nil {
			o.Refused, o.Trying, o.Refusing, o.Ends = r.step.Refused(), r.Stage.String(), r.refusing, r.ends(now)
			o.Clients, o.Hurt, o.CannotTell = len(r.members), len(r.hurt), r.unclear
		}
		f.Places = append(f.Places, o)
	}
	return f
}
