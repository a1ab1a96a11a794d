package page

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/steer"
)

// migrationView is the board of groups.
type migrationView struct {
	layout
	Status *steer.Status
	Stages []string
	Places []placeView
	Notice *notice
	Hold   string // URLs of what is done to all
	Resume string
}

// placeView is a means of a group on the board.
type placeView struct {
	*steer.PlaceStatus
	ID       string // of its part of the page
	Steps    []stepView
	Actions  []action
	Open     int // gates that are open
	Gates    int
	Progress int // of a running step, percent
	Left     time.Duration
}

// stepView is a stage in the row of a means.
type stepView struct {
	Name, State, Text string // state: done, here, runs, target, beyond, ahead
}

// action is something that somebody may do.
type action struct{ Title, URL, Class string }

func stageNames() (list []string) {
	for s := range plan.StageCount {
		list = append(list, plan.Stage(s).String())
	}
	return list
}

func (p *Page) migration(w http.ResponseWriter, r *http.Request) error {
	if p.src.Fleet.Status == nil {
		return control.ErrNoInventory
	}
	v := &migrationView{layout: p.layout(r, "Migration"), Status: p.status(), Stages: stageNames()}
	v.Notice = p.notices.take(r.URL.Query().Get("done"))
	for i := range v.Status.Places {
		v.Places = append(v.Places, v.place(&v.Status.Places[i], i))
	}
	if v.Status.Plan != "" {
		v.Hold, v.Resume = confirmURL(migration.Hold, "", ""), confirmURL(migration.Resume, "", "")
	}
	p.send(w, "migration", http.StatusOK, v)
	return nil
}

func (v *migrationView) place(s *steer.PlaceStatus, i int) placeView {
	p := placeView{PlaceStatus: s, ID: fmt.Sprintf("place-%d", i)}
	at, target := slices.Index(v.Stages, s.Stage), slices.Index(v.Stages, s.Target)
	trying := -1
	if s.Running != nil {
		for i, name := range v.Stages {
			if s.Running.Stage == name || len(s.Running.Stage) > len(name) && s.Running.Stage[:len(name)+1] == name+" " {
				trying = i
			}
		}
		whole := s.Running.Ends.Sub(s.Running.Began)
		p.Left = max(s.Running.Ends.Sub(v.At).Truncate(time.Second), 0)
		if whole > 0 {
			p.Progress = int(100 * min(max(v.At.Sub(s.Running.Began).Seconds()/whole.Seconds(), 0), 1))
		}
	}
	for i, name := range v.Stages {
		t := stepView{Name: name, State: "ahead", Text: "ahead"}
		switch {
		case i == trying:
			t.State, t.Text = "runs", "being tried: "+s.Running.Phase
		case i == at && i == target:
			t.State, t.Text = "here", "reached, and what the plan wants"
		case i == at:
			t.State, t.Text = "here", "reached"
			if s.Round > 0 {
				t.Text = fmt.Sprintf("round %d passed", s.Round)
			}
		case i < at:
			t.State, t.Text = "done", "passed"
		case i == target:
			t.State, t.Text = "target", "what the plan wants"
		case i > target:
			t.State, t.Text = "beyond", "not wanted"
		}
		p.Steps = append(p.Steps, t)
	}
	if s.Next != nil {
		p.Gates = len(s.Next.Gates)
		for i := range s.Next.Gates {
			if s.Next.Gates[i].Open {
				p.Open++
			}
		}
	}
	p.act()
	return p
}

// act says what can be done.
func (p *placeView) act() {
	if p.Next != nil && p.Held == "" {
		class := "primary"
		if !p.Next.Open() {
			class = ""
		}
		p.Actions = append(p.Actions, action{"Advance to " + p.Next.Stage, confirmURL(migration.Advance, p.Group, p.Means), class})
	}
	if p.Held != "" {
		p.Actions = append(p.Actions, action{"Resume", confirmURL(migration.Resume, p.Group, ""), ""})
	} else {
		p.Actions = append(p.Actions, action{"Hold", confirmURL(migration.Hold, p.Group, ""), ""})
	}
	if p.Running != nil || p.Refuses > 0 || p.Stage != plan.Observe.String() && p.Stage != plan.Warn.String() {
		p.Actions = append(p.Actions, action{"Roll back", confirmURL(migration.Rollback, p.Group, p.Means), "danger"})
	}
}

func confirmURL(do, group, means string) string {
	q := url.Values{"do": {do}}
	if group != "" {
		q.Set("group", group)
	}
	if means != "" {
		q.Set("means", means)
	}
	return "/migration/confirm?" + q.Encode()
}
