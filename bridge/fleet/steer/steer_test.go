package steer_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
)

const testPlan = `
protected: [10.0.0.7]
groups:
  - name: fra
    prefixes: [10.0.0.0/8]
    stages: {symmetric: removed}
    canary: {share: 10%, max: 5}
    brown_out: {lengths: [10 polls, 20 polls]}
    back_out: {others: 1%}
`

// A group goes from the first to the last stage: each step ends by itself, the
// whole group is refused in brown-outs alone, and nobody protected ever is.
func TestFromObserveToRemoved(t *testing.T) {
	w := newWorld(t, testPlan, 100)
	want := []struct {
		stage    string
		refusing int
		long     time.Duration
	}{{"warn", 0, 0}, {"canary", 5, 22}, {"brown-out", 99, 22}, {"brown-out", 99, 32}, {"refuse", 99, 22}, {"removed", 99, 0}}
	for i, step := range want {
		w.advance()
		if n := w.refusing(); n != step.refusing {
			t.Fatalf("%d %s: %d clients refused, want %d", i, step.stage, n, step.refusing)
		}
		w.run(step.long*testPoll + 2*time.Second)
		if p := w.place(); p.Stage != step.stage || p.Running != nil {
			t.Fatalf("%d: stands at %+v, want %s", i, p, step.stage)
		}
		if step.stage != "refuse" && step.stage != "removed" && w.refusing() != 0 {
			t.Fatalf("%d %s: refusal goes on", i, step.stage)
		}
		w.run(testPoll)
	}
	if w.clients[7].refused != 0 {
		t.Error("the protected client was refused")
	}
	if _, err := w.c.Advance(w.now, "fra", "", by); err == nil || !strings.Contains(err.Error(), "reached") {
		t.Errorf("behind the end: %v", err)
	}
	if p := w.place(); p.Refuses == 0 || p.Refused == 0 {
		t.Errorf("%+v", p)
	}
	w.check()
}

// A client that gives up ends the step at once, for all; the group is held; once
// it has moved, the same step goes well.
func TestBackOut(t *testing.T) {
	w := newWorld(t, testPlan, 50)
	w.advance()
	w.advance()
	w.run(23 * testPoll)
	k := w.clients[20]
	k.gives = 3
	w.advance()
	w.run(10*testPoll + 2*time.Second)
	w.run(2 * testPoll)
	p := w.place()
	if p.Stage != "canary" || p.Running != nil || p.Held == "" || len(p.Hurt) != 1 || p.Hurt[0].Client != "10.0.0.20" {
		t.Fatalf("%+v", p)
	}
	if w.refusing() != 0 {
		t.Fatal("refusal goes on")
	}
	if _, err := w.c.Advance(w.now, "fra", "", by); !errors.Is(err, steer.ErrShut) {
		t.Fatalf("a held group advances: %v", err)
	}
	w.move(k)
	if _, err := w.c.Resume(w.now, "fra", by); err != nil {
		t.Fatal(err)
	}
	w.run(5 * testPoll)
	w.advance()
	w.run(22*testPoll + 2*time.Second)
	if p := w.place(); p.Stage != "brown-out" || p.Round != 1 {
		t.Fatalf("%+v", p)
	}
	w.check()
}

// Below the limit a step goes on: one of 200 is not more than 1 %.
func TestBelowTheLimit(t *testing.T) {
	w := newWorld(t, testPlan, 200)
	w.advance()
	w.advance()
	w.run(23 * testPoll)
	w.clients[20].gives = 3
	w.advance()
	w.run(22*testPoll + 2*time.Second)
	if p := w.place(); p.Stage != "brown-out" {
		t.Fatalf("%+v", p)
	}
}

// A client that asked before the step and moved to NTS in it is not hurt.
func TestMovedIsNotHurt(t *testing.T) {
	w := newWorld(t, testPlan, 20)
	w.advance()
	w.advance()
	w.run(23 * testPoll)
	w.advance()
	w.run(5 * testPoll)
	w.move(w.clients[3])
	w.run(18 * testPoll)
	if p := w.place(); p.Stage != "brown-out" {
		t.Fatalf("%+v", p)
	}
}

// Whenever the gateway is killed, whatever the disk and the clock do, nobody is
// refused afterwards who was not before, and no refusal is without its step.
func TestFaults(t *testing.T) {
	seeds := uint64(30)
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t, testPlan, 40)
		for range 60 {
			w.faultOrStep(r)
			before := w.refusing()
			if r.IntN(4) == 0 { // kill -9
				standing := w.place().Stage == "refuse" || w.place().Stage == "removed"
				w.boot()
				w.declareAgain()
				switch after := w.refusing(); {
				case after > before:
					t.Fatalf("seed %d: %d refused after a kill, %d before", seed, after, before)
				case after > 0 && !standing:
					t.Fatalf("seed %d: a step that was running refuses %d after a kill", seed, after)
				}
			}
			if w.clients[7].refused > 0 {
				t.Fatalf("seed %d: the protected client was refused", seed)
			}
		}
		w.disk.full = false
		w.run(testPoll)
		w.check()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// declareAgain declares the plan if a rollback on a full disk took it away with
// the rest of the state.
func (w *world) declareAgain() {
	w.t.Helper()
	if p, _, _ := w.c.Plan(); p != nil {
		return
	}
	w.disk.full = false
	if _, err := w.c.Apply(w.now, "fleet.yaml", []byte(testPlan), by); err != nil {
		w.t.Fatal(err)
	}
}

// faultOrStep does something at random and lets time go by.
func (w *world) faultOrStep(r *rand.Rand) {
	switch r.IntN(10) {
	case 0:
		w.disk.full = !w.disk.full
	case 1: // the system clock is stepped
		w.now.Wall = w.now.Wall.Add(time.Duration(r.IntN(7200)-3600) * time.Second)
	case 2:
		w.blind = errors.New("the store is gone")
	case 3:
		_, _ = w.c.Rollback(w.now, "fra", "", by)
	case 4:
		_, _ = w.c.Hold(w.now, "fra", by)
	case 5:
		w.now.Synchronised = !w.now.Synchronised
	default:
		w.blind, w.now.Synchronised = nil, true
		_, _ = w.c.Resume(w.now, "fra", by)
		_, _ = w.c.Advance(w.now, "fra", "", by)
	}
	w.run(time.Duration(r.IntN(25)) * testPoll)
}

// What cannot be written does not begin.
func TestFullDiskBeginsNothing(t *testing.T) {
	w := newWorld(t, testPlan, 20)
	w.advance()
	w.disk.full = true
	if _, err := w.c.Advance(w.now, "fra", "", by); !errors.Is(err, errFull) || w.refusing() != 0 {
		t.Fatalf("%v, %d refused", err, w.refusing())
	}
	w.disk.full = false
	w.advance()
	w.run(22 * testPoll) // with a full disk in between, the canary ends all the same
	w.disk.full = true
	w.run(testPoll)
	if p := w.place(); p.Running != nil || w.refusing() != 0 {
		t.Fatalf("%+v", p)
	}
	w.disk.full = false
	w.run(time.Second)
	if last := w.told[len(w.told)-1]; last.What != history.Passed {
		t.Errorf("the last thing told is %+v", last)
	}
}

func TestGatesAndForce(t *testing.T) {
	w := newWorld(t, "", 20)
	env := w.environment()
	shut := true
	env.Gates = func(_ steer.Moment, _ *stage.Resolver, steps []*steer.Step) (list [][]gate.Result) {
		for range steps {
			list = append(list, []gate.Result{{Name: "watched", Open: !shut, Evidence: "watched for 3 hours of 7 days"}})
		}
		return list
	}
	w.c = steer.New(env, nil, w.now)
	if _, err := w.c.Advance(w.now, "fra", "", by); !errors.Is(err, steer.ErrNoPlan) {
		t.Fatal(err)
	}
	if _, err := w.c.Apply(w.now, "fleet.yaml", []byte(testPlan), by); err != nil {
		t.Fatal(err)
	}
	w.advance()
	if _, err := w.c.Advance(w.now, "fra", "", by); !errors.Is(err, steer.ErrShut) || !strings.Contains(err.Error(), "3 hours of 7 days") {
		t.Fatal(err)
	}
	if _, err := w.c.Advance(w.now, "fra", "", steer.By{Who: "user 0", Force: true}); err == nil || !strings.Contains(err.Error(), "--reason") {
		t.Fatal(err)
	}
	w.run(2 * testPoll)
	if _, err := w.c.Advance(w.now, "fra", "", steer.By{Who: "user 0", Force: true, Reason: "lab"}); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range w.told {
		words = append(words, e.What)
	}
	if got := strings.Join(words, " "); !strings.HasSuffix(got, "gate-shut forced began") {
		t.Errorf("told %s", got)
	}
}

// Windows: a step that does not fit does not begin, and one whose window closes,
// by a step of the clock, ends.
func TestWindows(t *testing.T) {
	w := newWorld(t, "windows: {hours: \"08:00-10:00\"}\n"+testPlan, 20) // it is 09:02
	w.advance()
	w.advance() // 23 min 28 s
	w.run(2 * testPoll)
	w.now.Wall = w.now.Wall.Add(2 * time.Hour)
	w.run(time.Minute)
	if p := w.place(); p.Running != nil || p.Stage != "warn" || w.refusing() != 0 {
		t.Fatalf("%+v", p)
	}
	if _, err := w.c.Advance(w.now, "fra", "", by); !errors.Is(err, steer.ErrShut) || !strings.Contains(err.Error(), "2026-12-02T08:00:00Z") {
		t.Fatal(err)
	}
}

func TestRollbackAndApply(t *testing.T) {
	w := newWorld(t, testPlan, 20)
	for _, long := range []time.Duration{0, 23, 23, 33, 23} {
		w.advance()
		w.run(long * testPoll)
	}
	if p := w.place(); p.Stage != "refuse" || w.refusing() != 19 {
		t.Fatalf("%+v", p)
	}
	w.boot()
	if w.refusing() != 19 {
		t.Fatal("a restart forgot the refusal")
	}
	larger := strings.Replace(testPlan, "10.0.0.0/8", "0.0.0.0/0", 1)
	if _, err := w.c.Apply(w.now, "fleet.yaml", []byte(larger), by); err == nil || !strings.Contains(err.Error(), "a group of their own") {
		t.Fatalf("a group that refuses grows: %v", err)
	}
	w.disk.full = true
	_, err := w.c.Rollback(w.now, "fra", "", by)
	if !errors.Is(err, errFull) || w.refusing() != 0 {
		t.Fatalf("%v, %d refused", err, w.refusing())
	}
	w.boot()
	if w.refusing() != 0 {
		t.Fatal("a restart brought back what was rolled back")
	}
}

func TestAutomatic(t *testing.T) {
	w := newWorld(t, "advance: automatic\n"+testPlan, 20)
	w.run(130 * testPoll)
	if p := w.place(); p.Stage != "removed" {
		t.Fatalf("%+v", p)
	}
	w.check()
}

// Where nobody can tell who a step would refuse, none begins: an inventory of
// hashes, and rows that are partly in the group.
func TestNobodyKnowsWhom(t *testing.T) {
	for name, spoil := range map[string]func(*inventory.Client){
		"hash": func(k *inventory.Client) { k.Hashed, k.Prefix = true, netip.Prefix{} },
		"part": func(k *inventory.Client) { k.Prefix = netip.MustParsePrefix("10.0.0.0/7") },
	} {
		w := newWorld(t, testPlan, 20)
		w.advance()
		spoil(&w.clients[3].row)
		if _, err := w.c.Advance(w.now, "fra", "", by); err == nil || !strings.Contains(err.Error(), name) || w.refusing() != 0 {
			t.Errorf("%s: %v, %d refused", name, err, w.refusing())
		}
	}
}

// Rows that stand for many addresses are no canary, and a group of nothing else
// has none: that is no reason to go on without one.
func TestCanaryOfCrowds(t *testing.T) {
	w := newWorld(t, testPlan, 20)
	w.advance()
	for _, k := range w.clients[:19] {
		k.row.Addresses = 60
	}
	w.advance()
	if n := w.refusing(); n != 1 {
		t.Errorf("%d clients are in the canary, want the one that is no crowd", n)
	}
	if _, err := w.c.Hold(w.now, "fra", by); err != nil {
		t.Fatal(err)
	}
	if _, err := w.c.Resume(w.now, "fra", by); err != nil {
		t.Fatal(err)
	}
	w.clients[19].row.Addresses = 60
	if _, err := w.c.Advance(w.now, "fra", "", by); !errors.Is(err, steer.ErrShut) || !strings.Contains(err.Error(), "raise canary.max") {
		t.Errorf("%v, stands at %+v", err, w.place())
	}
}

// What a screen shows is what comes over the socket: nothing is lost on the way.
func TestStatusText(t *testing.T) {
	w := newWorld(t, testPlan, 100)
	w.advance()
	sent, err := json.Marshal(w.c.Status(w.now))
	if err != nil {
		t.Fatal(err)
	}
	var s steer.Status
	if err := json.Unmarshal(sent, &s); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := s.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	want := "fra by symmetric: next is canary (5 clients, 10m40s of refusal and 12m48s of watching, in polls of 1m4s); " +
		"5 of them would not show that they are hurt; " +
		"`ntsbridge fleet advance fra --means symmetric` begins it"
	if !strings.Contains(text.String(), want) {
		t.Errorf("%s\nwant %s", &text, want)
	}
}

// FuzzParseState: no panic, and a state that is read can be gone on from.
func FuzzParseState(f *testing.F) {
	w := newWorld(f, testPlan, 3)
	w.advance()
	w.advance()
	f.Add(string(w.disk.state))
	f.Add(`{"version":1,"places":[null]}`)
	f.Add(`{"version":1,"plan":"x","places":[{"group":"a","means":"none","stage":"refuse","stand":{"id":3}}]}`)
	env := w.environment()
	env.Record, env.Keep = func(*history.Entry) error { return nil }, func([]byte) error { return nil }
	f.Fuzz(func(t *testing.T, text string) {
		s, err := steer.ParseState([]byte(text))
		if err != nil {
			return
		}
		c := steer.New(env, s, w.now)
		c.Tick(w.now)
		c.Status(w.now)
	})
}
