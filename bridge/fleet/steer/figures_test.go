package steer_test

import (
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
)

// Gates that are shut are told without being asked for, within the hour; so is
// the date of the plan.
func TestShutGatesAreTold(t *testing.T) {
	w := newWorld(t, "", 5)
	env, shut := w.environment(), false
	env.Gates = func(_ steer.Moment, _ *stage.Resolver, steps []*steer.Step) (list [][]gate.Result) {
		for range steps {
			list = append(list, []gate.Result{{Name: "watched", Open: !shut}, {Name: "quiet_days", Open: true}})
		}
		return list
	}
	w.c = steer.New(env, nil, w.now)
	dated := strings.Replace(testPlan, "{symmetric: removed}", "{symmetric: {stage: removed, not_before: 2026-12-01}}", 1)
	if _, err := w.c.Apply(w.now, "fleet.yaml", []byte(dated), by); err != nil {
		t.Fatal(err)
	}
	w.advance()
	w.run(time.Second)
	if p := w.c.Figures(w.now).Places[0]; p.Shut != 0 || !p.NotBefore.Equal(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)) {
		t.Fatalf("%+v", p)
	}
	shut = true
	w.run(time.Hour)
	if p := w.c.Figures(w.now).Places[0]; p.Shut != 1 {
		t.Errorf("%+v", p)
	}
}

// A step that was backed out is told until the group is resumed.
func TestBackOutIsTold(t *testing.T) {
	w := canaryDone(t, 20)
	w.clients[9].gives = 3
	w.advance()
	w.run(14 * testPoll)
	if p := w.c.Figures(w.now).Places[0]; p.Trying != "" || p.BackedOut != 1 || !p.Held {
		t.Fatalf("%+v", p)
	}
	w.boot()
	if p := w.c.Figures(w.now).Places[0]; p.BackedOut != 1 {
		t.Errorf("after a restart: %+v", p)
	}
	if _, err := w.c.Resume(w.now, "fra", by); err != nil {
		t.Fatal(err)
	}
	if p := w.c.Figures(w.now).Places[0]; p.BackedOut != 0 {
		t.Errorf("after resume: %+v", p)
	}
}
