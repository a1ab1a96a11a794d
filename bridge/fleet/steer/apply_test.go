package steer_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
)

const testLab = "  - {name: lab, prefixes: [10.0.0.0/30], stages: {symmetric: warn}}\n"

// toRefuse takes a world to the stage refuse.
func toRefuse(t *testing.T, text string) *world {
	t.Helper()
	w := newWorld(t, text, 20)
	for _, long := range []time.Duration{0, 23, 23, 33, 23} {
		w.advance()
		w.run(long * testPoll)
	}
	if p := w.place(); p.Stage != "refuse" || p.Running != nil {
		t.Fatalf("%+v", p)
	}
	return w
}

// Nobody comes under a refusal without a step because another plan takes a
// smaller group away, or a protection, or lets a group decide on less.
func TestPlanThatGrowsAGroup(t *testing.T) {
	for name, x := range map[string]struct {
		before, after string
		fine          bool
	}{
		"a smaller group goes":         {testPlan + testLab, testPlan, false},
		"a smaller group shrinks":      {testPlan + testLab, testPlan + strings.Replace(testLab, "/30", "/31", 1), false},
		"a smaller group changes mind": {testPlan + testLab, testPlan + strings.Replace(testLab, "symmetric", "autokey", 1), false},
		"a protection goes":            {testPlan, strings.Replace(testPlan, "10.0.0.7", "10.0.0.99", 1), false},
		"a smaller group comes":        {testPlan, testPlan + testLab, true},
		"another protection":           {testPlan, strings.Replace(testPlan, "[10.0.0.7]", "[10.0.0.7, 10.0.0.9]", 1), true},
		"all is loosened":              {testPlan + testLab, strings.Replace(testPlan, "removed", "warn", 1), true},
	} {
		w := toRefuse(t, x.before)
		before := w.refusing()
		_, err := w.c.Apply(w.now, "fleet.yaml", []byte(x.after), by)
		if x.fine {
			if err != nil || w.refusing() > before {
				t.Errorf("%s: %v, %d refused, %d before", name, err, w.refusing(), before)
			}
			continue
		}
		said := fmt.Sprint(err)
		if !strings.Contains(said, "without a step") || !strings.Contains(said, "10.0.0.") || w.refusing() != before {
			t.Errorf("%s: %v, %d refused, %d before", name, err, w.refusing(), before)
		}
		if _, err = w.c.Apply(w.now, "fleet.yaml", []byte(x.after), steer.By{Who: "user 0", Force: true, Reason: "test"}); err != nil {
			t.Errorf("%s: forced: %v", name, err)
		}
	}
}

// A brown-out whose group grows by another plan ends.
func TestStepWhoseGroupGrowsEnds(t *testing.T) {
	w := newWorld(t, testPlan+testLab, 20)
	w.advance()
	w.advance()
	w.run(23 * testPoll)
	w.advance()
	w.run(testPoll)
	if _, err := w.c.Apply(w.now, "fleet.yaml", []byte(testPlan), by); err != nil {
		t.Fatal(err)
	}
	if p := w.place(); p.Running != nil || w.refusing() != 0 {
		t.Errorf("%+v, %d refused", p, w.refusing())
	}
}

// Labels that change end a step that is being tried, and are told of one that
// refuses for good.
func TestLabelsThatGrowAGroup(t *testing.T) {
	labelled := strings.Replace(testPlan, "prefixes: [10.0.0.0/8]", "labels: [fra]", 1)
	for _, stands := range []bool{false, true} {
		w := newWorld(t, "", 20)
		labels := []label.Label{{Prefix: netip.MustParsePrefix("10.0.0.8/29"), Site: "fra"}}
		env := w.environment()
		env.Where = func() stage.Where { return stage.Where{Labels: label.NewSet(labels)} }
		w.c = steer.New(env, nil, w.now)
		w.run(2 * testPoll)
		if _, err := w.c.Apply(w.now, "fleet.yaml", []byte(labelled), by); err != nil {
			t.Fatal(err)
		}
		long := []time.Duration{0, 23, 1}
		if stands {
			long = []time.Duration{0, 23, 23, 33, 23}
		}
		for _, n := range long {
			w.advance()
			w.run(n * testPoll)
		}
		before := w.refusing()
		w.c.Resolve(w.now)
		if n := w.refusing(); n != before || n == 0 {
			t.Fatalf("the same labels: %d refused, %d before", n, before)
		}
		labels = append(labels, label.Label{Prefix: netip.MustParsePrefix("10.0.0.16/30"), Site: "fra"})
		w.c.Resolve(w.now)
		last := w.told[len(w.told)-1]
		if !stands && (w.refusing() != 0 || last.What != history.Ended) {
			t.Errorf("%d refused, told %+v", w.refusing(), last)
		}
		told := last.What == history.Regrouped && strings.Contains(last.Why, "4 clients, such as 10.0.0.16")
		if stands && (w.refusing() != before+4 || !told) {
			t.Errorf("%d refused, %d before, told %+v", w.refusing(), before, last)
		}
	}
}

// A step that runs while another plan is declared, which leaves its group alone,
// goes on, and goes on being watched.
func TestPlanChangedInAStep(t *testing.T) {
	for name, change := range map[string]string{
		"the same plan": testPlan,
		"another group": testPlan + "  - {name: muc, prefixes: [192.0.2.0/24], stages: {none: warn}}\n",
	} {
		w := canaryDone(t, 20)
		w.advance()
		w.run(2 * testPoll)
		if _, err := w.c.Apply(w.now, "fleet.yaml", []byte(change), by); err != nil {
			t.Fatal(err)
		}
		if p := w.place(); p.Running == nil || w.refusing() != 19 {
			t.Fatalf("%s: %+v", name, p)
		}
		w.clients[9].gives = 4
		w.run(14 * testPoll)
		if p := w.place(); p.Running != nil || len(p.Hurt) != 1 || !strings.Contains(p.Held, "backed out") {
			t.Errorf("%s: nobody saw that a client was hurt: %+v", name, p)
		}
	}
}
