package sim

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"ntsbridge/bridge/clock/discipline"
)

var (
	full  = flag.Bool("full", false, "all scenarios with all seeds, printed as a table")
	part  = flag.String("part", "", "of the table that part: anchors, adaptive, noise, hard, beyond, field")
	only  = flag.String("only", "", "of them those whose name contains this, or one of these (a,b)")
	seeds = flag.Int("seeds", 0, "number of seeds; 0: as many as each scenario needs")
)

// TestFastScenarios holds the discipline to its targets in short scenarios.
func TestFastScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("the medians of seven seeds: it runs without -short, in make unit")
	}
	for _, s := range Fast() {
		r := Measure(s, SeedsFor(s), chronyLike())
		for _, f := range r.Failures() {
			t.Errorf("%s: %s", s.Name, f)
		}
	}
}

// TestHardScenarios holds it to the bound, and to a return to good time, where
// clocks and networks misbehave.
func TestHardScenarios(t *testing.T) {
	list := Hard()
	for _, s := range list[:some(len(list), 6)] {
		r := Run(s, NewProduct(s), 1)
		if r.Excess > 1 {
			t.Errorf("%s: error %.2f times the claimed bound at %d s", s.Name, r.Excess, r.ExcessAt)
		}
		if last, _ := rms(r.Error[len(r.Error)-1000:]); !r.Synchronised || last > 1e-3 {
			t.Errorf("%s: synchronised %v, error %v in the end", s.Name, r.Synchronised, last)
		}
		if len(r.Steps) > 0 {
			t.Errorf("%s: steps %v", s.Name, r.Steps)
		}
	}
}

// TestFieldScenarios holds it to what is accepted of what was seen in the field,
// with some tolerance for the luck of one seed.
func TestFieldScenarios(t *testing.T) {
	for _, f := range Field() {
		if !slices.Contains(fastField, f.Name) || testing.Short() && f.Length > 30000 {
			continue
		}
		f.Most *= 1.7
		f.Honest *= 2
		r := f.Measure(1, chronyLike())
		for _, missed := range append(r.Failures(), f.Failures(&r)...) {
			t.Errorf("%s: %s", f.Name, missed)
		}
	}
}

// The first answers may be the delayed ones: after 100 s of the start among
// spikes the clock must be near all the same.
func TestStartAmongSpikes(t *testing.T) {
	s := find(t, "spikes")
	s.Length, s.WarmUp = 400, 100
	for seed := range uint64(some(200, 20)) {
		r := Run(s, NewProduct(s), seed+1)
		if m := r.Metrics(s); m.Max > 10e-3 || r.Excess > 1 {
			t.Errorf("seed %d: error %v, %.2f times the claimed bound", seed+1, m.Max, r.Excess)
		}
	}
}

// Equal seeds give equal runs.
func TestDeterminism(t *testing.T) {
	s := find(t, "start100ms")
	a, b := Run(s, NewProduct(s), 5), Run(s, NewProduct(s), 5)
	for i := range a.Error {
		if a.Error[i] != b.Error[i] {
			t.Fatalf("runs differ at %d s: %v and %v", i, a.Error[i], b.Error[i])
		}
	}
	if c := Run(s, NewProduct(s), 6); c.Error[len(c.Error)-1] == a.Error[len(a.Error)-1] {
		t.Error("another seed gave the same run")
	}
}

// TestTable prints all scenarios beside the anchors and judges them.
func TestTable(t *testing.T) {
	if !*full {
		t.Skip("the whole table is made by make sim")
	}
	for _, p := range []struct {
		name  string
		print func(*testing.T)
	}{{"anchors", anchored}, {"adaptive", adaptive}, {"noise", noisy}, {"hard", hard}, {"beyond", beyond}, {"field", field}} {
		if *part == "" || *part == p.name {
			p.print(t)
		}
	}
}

// anchored judges the scenarios in which others were measured.
func anchored(t *testing.T) {
	fmt.Fprintln(os.Stdout, Header)
	for _, s := range Scenarios() {
		if wanted(s) {
			r := measured(s, chronyLike())
			report(t, &r, r.Failures())
		}
	}
}

// hard judges what happens to clocks and networks in the field.
func hard(t *testing.T) {
	fmt.Fprintln(os.Stdout, "\nHard cases, without anchors")
	for _, s := range Hard() {
		if wanted(s) {
			r := measured(s, chronyLike())
			report(t, &r, r.Failures())
		}
	}
}

// beyond judges what nobody measured with another program.
func beyond(t *testing.T) {
	fmt.Fprintln(os.Stdout, "\nBeyond the anchors: RMS against limit A where it is defined")
	for _, j := range Beyond() {
		if !wanted(j.Scenario) {
			continue
		}
		r := measured(j.Scenario, chronyLike())
		missed := append(r.Failures(), j.Failures(&r)...)
		if j.Limit > 0 {
			fmt.Fprintf(os.Stdout, "limit A %7.2f, ratio %.2f: ", j.Limit*1e6, r.RMS/j.Limit)
		}
		report(t, &r, missed)
	}
}

// field judges what was seen in the field.
func field(t *testing.T) {
	fmt.Fprintln(os.Stdout, "\nFrom the field: beside chronyd 4.3 where it was measured")
	for _, f := range Field() {
		if !wanted(f.Scenario) {
			continue
		}
		n := cmp.Or(*seeds, f.Seeds)
		if n == 0 {
			n = 3
			if f.Honest > 0 { // their RMS differs much from seed to seed
				n = 7
			}
		}
		r := f.Measure(n, chronyLike())
		if f.Chrony > 0 {
			fmt.Fprintf(os.Stdout, "chronyd %8.2f, ratio %5.2f: ", f.Chrony*1e6, r.RMS/f.Chrony)
		}
		if f.Event > 0 {
			fmt.Fprintf(os.Stdout, "settled in %.0f s, chronyd %.0f: ", r.Settled, f.ChronyS)
		}
		fmt.Fprintf(os.Stdout, "dev %.2f: ", r.Reported)
		report(t, &r, append(r.Failures(), f.Failures(&r)...))
	}
}

func wanted(s *Scenario) bool {
	return slices.ContainsFunc(strings.Split(*only, ","), func(part string) bool { return strings.Contains(s.Name, part) })
}

func measured(s *Scenario, policy discipline.Config) Result {
	n := *seeds
	if n == 0 {
		n = SeedsFor(s)
	}
	return Measure(s, n, policy)
}

func report(t *testing.T, r *Result, missed []string) {
	verdict := "  ok"
	if len(missed) > 0 {
		verdict = "  MISSED: " + strings.Join(missed, "; ")
		t.Errorf("%s: %s", r.Scenario.Name, strings.Join(missed, "; "))
	}
	fmt.Fprintln(os.Stdout, r.Row()+verdict)
}

// adaptive judges the poll interval that adapts.
func adaptive(t *testing.T) {
	s := find(t, "wanauto")
	if !wanted(s) {
		return
	}
	fmt.Fprintln(os.Stdout, "\nAdaptive polls (wanauto): growth of the error allowed between polls")
	for _, target := range AdaptiveTargets {
		policy := chronyLike()
		policy.PollGrowth = target.Growth
		r := measured(s, policy)
		missed := r.Failures()
		if r.RMS > target.RMS || r.Packets > target.Packets {
			missed = append(missed, fmt.Sprintf("%.0f us with %.0f packets, target %.0f with %.0f", r.RMS*1e6, r.Packets, target.RMS*1e6,
				target.Packets))
		}
		fmt.Fprintf(os.Stdout, "growth %.2f: ", target.Growth)
		report(t, &r, missed)
	}
}

// noisy judges noises that are not exponential.
func noisy(t *testing.T) {
	fmt.Fprintln(os.Stdout, "\nOther noises: RMS against limit A of the noise")
	for _, n := range NoisyScenarios() {
		if !wanted(n.Scenario) {
			continue
		}
		r := measured(n.Scenario, chronyLike())
		missed := r.Failures()
		if r.RMS > NoiseTolerance*n.Limit {
			missed = append(missed, fmt.Sprintf("RMS %.3g, limit %.3g", r.RMS, n.Limit))
		}
		fmt.Fprintf(os.Stdout, "limit A %7.2f, ratio %.2f: ", n.Limit*1e6, r.RMS/n.Limit)
		if n.Chrony > 0 {
			fmt.Fprintf(os.Stdout, "chronyd %.1f, ratio %.2f: ", n.Chrony*1e6, r.RMS/n.Chrony)
		}
		report(t, &r, missed)
	}
}
