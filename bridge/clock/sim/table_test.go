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
	for _, s := range Scenarios() {
		if *only != "" && !strings.Contains(","+*only+",", ","+s.Name+",") {
			continue
		}
		var runs []Metrics
		excess := 0.0
		ev := map[int]int{}
		for seed := 1; seed <= *seeds; seed++ {
			p := NewProduct(s)
			r := Run(s, p, uint64(seed))
			runs = append(runs, r.Metrics(s))
			excess = max(excess, r.Excess)
			for _, e := range p.Events {
				ev[int(e.Kind)]++
			}
		}
		m := Median(runs)
		fmt.Fprintf(os.Stdout, "%-10s rms %7.2f max %8.1f freq %6.1f conv %5.0f %5.0f %5.0f steps %.0f pk %.0f excess %.3f ev %v win %.3g\n", s.Name, m.RMS*1e6, m.Max*1e6, m.Frequency*1e9,
			m.Converged[0], m.Converged[1], m.Converged[2], m.Steps, m.Packets, excess, ev, m.Windows)
	}
}
