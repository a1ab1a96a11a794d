package steer_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/steer"
	"ntsbridge/bridge/ntp"
)

// step is what refuses a client of the group now.
func (w *world) step() *access.Step {
	return w.rules.Lookup(netip.AddrPortFrom(w.clients[1].row.Prefix.Addr(), 123)).Refuses(ntp.KindSymmetric, 5)
}

// DENY goes out in the stage removed alone, and not any more once the plan wants
// less, whatever is killed in between; all before is silence.
func TestDenyInRemovedAlone(t *testing.T) {
	text := strings.Replace(testPlan, "{symmetric: removed}", "{symmetric: {stage: removed, deny: true}}", 1)
	w := newWorld(t, text, 20)
	for _, long := range []time.Duration{1, 11, 23, 33, 23} {
		w.advance()
		for range long {
			w.run(testPoll)
			if s := w.step(); s != nil && s.Deny {
				t.Fatalf("DENY in %+v", w.place())
			}
		}
		w.run(11 * testPoll)
	}
	w.boot()
	if s := w.step(); w.place().Stage != "refuse" || s == nil || s.Deny {
		t.Fatalf("refused by %+v in %s", s, w.place().Stage)
	}
	w.advance()
	for range 2 {
		if s := w.step(); s == nil || !s.Deny {
			t.Fatalf("removed, and refused by %+v", s)
		}
		w.boot()
	}
	less := strings.Replace(text, "stage: removed, deny: true", "stage: refuse", 1)
	if _, err := w.c.Apply(w.now, "fleet.yaml", []byte(less), by); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if s := w.step(); s == nil || s.Deny {
			t.Fatalf("the plan wants refusal alone, and there is %+v", s)
		}
		w.boot()
	}
}

// No step that refuses begins before its date, by hand, by itself, or with a clock
// that nobody knows to be right; a warning may.
func TestNotBefore(t *testing.T) {
	text := "advance: automatic\n" + strings.Replace(testPlan, "{symmetric: removed}", "{symmetric: {stage: removed, not_before: 2026-12-01T10:00:00Z}}", 1)
	w := newWorld(t, text, 20) // it is 09:02
	w.run(57 * time.Minute)
	if p := w.place(); p.Stage != "warn" || w.refusing() > 0 {
		t.Fatalf("%+v", p)
	}
	if _, err := w.c.Advance(w.now, "fra", "", by); !errors.Is(err, steer.ErrShut) || !strings.Contains(err.Error(), "not before 2026-12-01T10:00:00Z") {
		t.Error(err)
	}
	w.now.Synchronised = false
	w.run(10 * time.Minute)
	if w.refusing() > 0 {
		t.Fatalf("with a clock that is not synchronised: %+v", w.place())
	}
	w.now.Synchronised = true
	w.run(2 * time.Minute)
	if w.refusing() == 0 {
		t.Errorf("after its date: %+v", w.place())
	}
}

// A protected client is no part of a step, and one that falls silent by itself
// ends it all the same: the plan allows none to be hurt.
func TestProtectedThatFallsSilent(t *testing.T) {
	w := canaryDone(t, 20)
	w.advance()
	w.run(5 * testPoll)
	w.clients[7].gone = true
	w.run(10 * testPoll)
	p := w.place()
	if p.Running != nil || len(p.Hurt) != 1 || !p.Hurt[0].Protected ||
		!strings.Contains(p.Held, "1 protected clients hurt, at most 0 may be") {
		t.Errorf("%+v", p)
	}
	if w.clients[7].refused > 0 {
		t.Error("it was refused")
	}
}

// A plan that cannot be kept is not declared, and a group that cannot be kept as
// resumed is held on.
func TestFullDiskDeclaresNothing(t *testing.T) {
	w := canaryDone(t, 20)
	if _, err := w.c.Hold(w.now, "fra", by); err != nil {
		t.Fatal(err)
	}
	w.stateFull = true // the history still finds room
	other := strings.Replace(testPlan, "removed", "warn", 1)
	if _, err := w.c.Apply(w.now, "fleet.yaml", []byte(other), by); !errors.Is(err, errFull) {
		t.Fatal(err)
	}
	if _, _, text := w.c.Plan(); text != testPlan || w.place().Target != "removed" || w.place().Stage != "canary" {
		t.Errorf("half a plan is in force: %+v", w.place())
	}
	if _, err := w.c.Resume(w.now, "fra", by); !errors.Is(err, errFull) || w.place().Held == "" {
		t.Errorf("%v, held %q", err, w.place().Held)
	}
	w.stateFull = false
	if _, err := w.c.Apply(w.now, "fleet.yaml", []byte(other), by); err != nil || w.place().Target != "warn" {
		t.Errorf("%v, %+v", err, w.place())
	}
	w.check()
}
