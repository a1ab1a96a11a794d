package sim

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var (
	full  = flag.Bool("full", false, "all scenarios and seeds")
	only  = flag.String("only", "", "scenarios, by comma")
	seeds = flag.Int("seeds", 7, "seeds per scenario")
)

func TestTable(t *testing.T) {
	if !*full {
		t.Skip()
	}
	all := Scenarios()
	for _, n := range NoisyScenarios() {
		fmt.Println(n.Name, n.Limit*1e6, n.Chrony*1e6)
		all = append(all, n.Scenario)
	}
	all = append(all, Hard()...)
	for _, s := range all {
		if *only != "" && !strings.Contains(","+*only+",", ","+s.Name+",") {
			continue
		}
		var runs []Metrics
		excess, exat, uns := 0.0, 0, 0
		ev := map[int]int{}
		for seed := 1; seed <= *seeds; seed++ {
			p := NewProduct(s)
			r := Run(s, p, uint64(seed))
			runs = append(runs, r.Metrics(s))
			if r.Excess > excess {
				excess, exat = r.Excess, r.ExcessAt
			}
			uns += r.Unsynchronised
			for _, e := range p.Events {
				ev[int(e.Kind)]++
			}
		}
		m := Median(runs)
		fmt.Fprintf(os.Stdout, "%-13s rms %7.2f max %8.1f freq %6.1f conv %5.0f %5.0f %5.0f steps %.0f pk %.0f excess %.3f@%d uns %d ev %v win %.3g\n", s.Name, m.RMS*1e6, m.Max*1e6, m.Frequency*1e9,
			m.Converged[0], m.Converged[1], m.Converged[2], m.Steps, m.Packets, excess, exat, uns, ev, m.Windows)
	}
}
