package discipline

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"path/filepath"
	"testing"
	"time"
)

// invariants are the rules that a discipline of the system clock must never
// break, each with the tests of this package and of the simulator that show
// it. In the simulator the auditor of TestChaos checks, at each call, 1 to 5, 7,
// 8, 10 to 12 and 14, TestRandomScenarios and TestHardScenarios 10.
var invariants = []struct {
	number int
	rule   string
	tests  []string
	beside string // what of it others have to show
}{
	{1, "no offset beyond the panic threshold is applied", []string{"TestPanicAfterSynchronisation", "TestPanicAtStart", "TestChaos"}, ""},
	{2, "steps only by the rules, announced before", []string{"TestStepOnlyAtStart", "TestStepIsAnnounced", "TestStepAnyTime",
		"TestStepNeedsWitnesses",
		"TestStepNeedsSamples", "TestStepByTheOnesThatHaveASay", "TestCommandsWithinLimits", "TestStepMixesNoTimes", "TestChaos"},
		"the log: clock driver"},
	{3, "bounded slew; the clock stays monotonic; a dead daemon does little harm", []string{"TestCommandsWithinLimits", "TestStartSlewEnds",
		"TestCertainOffsetIsCorrectedFast", "TestHardScenarios", "TestChaos"}, ""},
	{4, "bounded frequency and changes of it; beyond the bound the alarm",
		[]string{"TestFrequencyChangesWithinItsDeviation", "TestSavedFrequency", "TestWrongSavedFrequency",
			"TestCommandsWithinLimits", "TestFastOscillatorIsCorrectedExactly", "TestFarOscillators", "TestOscillatorBeyondTheLimit"}, ""},
	{5, "a strict majority, or no update", []string{"TestSelection", "TestLiarAnswersFirst", "TestHoldWithoutMajority",
		"TestNothingIsFollowedWithHalfLying",
		"TestMixes", "TestReferenceClockFails", "TestSelectionDoesNotMoveTheClock", "TestSilentSourcesLoseTheirVote",
		"TestShorterPollsSilenceNobody",
		"TestStallSilencesNobody", "TestMinorityMovesNothing", "TestChaos"}, ""},
	{6, "packet checks before any statistics", []string{"TestBogusSamplesChangeNothing", "TestAnySample", "TestChaos"},
		"origin, replay, mode, version, authentication, address: associations in bridge/source"},
	{7, "kiss-o'-death", []string{"TestDenied", "TestChaos"},
		"RATE: bridge/clock/schedule; origin and authentication of the kiss, NTS NAK: bridge/source"},
	{8, "poll intervals within limits, randomised", []string{"TestPollLimits", "TestPollsAreRandomised", "TestChaos"},
		"bursts: bridge/clock/schedule"},
	{9, "leap seconds", []string{"TestLeapPlan", "TestLeapSecond", "TestSelection"},
		"tables, smearing, the kernel: bridge/clock/leap, clock driver"},
	{10, "honest uncertainty", []string{"TestBoundRestsOnNoSingleSource", "TestBoundHoldsWithHalfLying", "TestBoundHoldsWhenDragged",
		"TestHoldover",
		"TestUpstreamIsIncluded", "TestRandomScenarios", "TestHardScenarios", "TestChaos"}, "maxerror in the kernel: clock driver"},
	{11, "nothing served before the first update, nothing of the future",
		[]string{"TestNothingServedBeforeTheFirstUpdate", "TestStepIsAnnounced", "TestChaos"},
		"timestamps of one clock: bridge/server"},
	{12, "suspend and pause are no frequency", []string{"TestGap", "TestShortGap", "TestLiarAnswersFirstAfterGap", "TestHardScenarios",
		"TestChaos"},
		"noticing it: clock driver"},
	{13, "foreign changes are noticed within a second and corrected", []string{"TestForeignChanges", "TestHardScenarios", "TestChaos"},
		"reading back what is in force: clock driver"},
	{14, "nothing but numbers", []string{"TestNumericGuard", "TestAnySample", "TestChaos"}, ""},
	{15, "exit leaves the frequency and no slew", []string{"TestExitLeavesTheFrequency"},
		"kernel PLL off, drift file written atomically: clock driver"},
}

// Each invariant has tests, and they are there.
func TestEveryInvariantHasATest(t *testing.T) {
	there := map[string]bool{}
	for _, pattern := range []string{"*_test.go", "../sim/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, name := range files {
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok {
					there[f.Name.Name] = true
				}
			}
		}
	}
	for i, invariant := range invariants {
		if invariant.number != i+1 || len(invariant.tests) == 0 {
			t.Errorf("invariant %d (%s) is out of order or has no test", invariant.number, invariant.rule)
		}
		for _, name := range invariant.tests {
			if !there[name] {
				t.Errorf("invariant %d (%s): there is no %s", invariant.number, invariant.rule, name)
			}
		}
	}
}

// An exchange under way while the clock is stepped counts as if nothing had
// happened: it was measured on the base.
func TestStepMixesNoTimes(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4, poll4)
	r.system = 20
	r.run(1)
	under := r.sample(r.servers[1]) // sent before the step
	for len(r.steps) == 0 && r.now < 30e9 {
		r.run(1)
	}
	if len(r.steps) != 1 {
		t.Fatalf("steps %v, want one", r.steps)
	}
	before := r.d.offset(r.reading())
	r.d.Sample(under)
	if moved := math.Abs(r.d.offset(r.reading()) - before); moved > 2e-3 {
		t.Errorf("the estimate moved by %v by a sample that was under way at the step", moved)
	}
	r.run(100)
	if len(r.steps) != 1 || math.Abs(r.system) > 2e-3 {
		t.Errorf("steps %v, error %v", r.steps, r.system)
	}
}

// Who has not answered for eight requests, or for eight intervals, has no vote
// any more, and has it again with the next answer.
func TestSilentSourcesLoseTheirVote(t *testing.T) {
	r := newRig(t, DefaultConfig(), sources(3)...)
	r.run(600)
	r.servers[0].silent, r.servers[1].silent = true, true
	r.run(16 * 10)
	for id := range SourceID(2) {
		if got := r.state(id); got != Unreachable {
			t.Errorf("source %d is %v", id, got)
		}
	}
	r.servers[2].silent = true // nobody is left: held, and not asked at all any more
	r.run(16 * 10)
	if got := r.state(2); got != Unreachable {
		t.Errorf("source 2 is %v", got)
	}
	last := r.status().Reference
	r.servers[1].silent = false
	r.run(20)
	if r.state(1) != Selected || r.status().Reference == last {
		t.Errorf("source 1 is %v after it came back", r.state(1))
	}
	r.honest(t)
}

func TestPollsAreRandomised(t *testing.T) {
	intervals := map[time.Duration]bool{}
	for _, random := range []float64{0, 0.25, 0.5, 0.75, 0.999} {
		r := newRig(t, DefaultConfig(), SourceConfig{MinPoll: 6, MaxPoll: 6})
		r.run(1000)
		interval := r.planned(r.servers[0], random)
		if seconds := interval.Seconds(); seconds < 0.97*64 || seconds > 1.03*64 {
			t.Errorf("%v s", seconds)
		}
		intervals[interval] = true
	}
	if len(intervals) < 5 {
		t.Errorf("%d different intervals of 5", len(intervals))
	}
}

// What the source says of its own root belongs to ours.
func TestUpstreamIsIncluded(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4)
	r.servers[0].change = func(x *Sample) { x.Stratum, x.RootDelay, x.RootDispersion = 3, 20e-3, 10e-3 }
	r.run(1000)
	st := r.status()
	if st.Stratum != 4 || st.RootDelay < 22e-3 || st.RootDispersion < 10e-3 || st.Distance() < 21e-3 {
		t.Errorf("%+v", st)
	}
	r.servers[0].silent = true
	r.run(200)
	if later := r.status(); later.RootDispersion < st.RootDispersion+180*15e-6 {
		t.Errorf("root dispersion %v, before it %v", later.RootDispersion, st.RootDispersion)
	}
}
