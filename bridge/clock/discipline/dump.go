package discipline

import (
	"fmt"
	"math"
)

func (d *Discipline) Dump() {
	for _, m := range d.joint.members {
		fmt.Printf("  %v w %.3g", m.wander, math.Exp(m.weight))
	}
	fmt.Println()
	for _, s := range d.sources {
		fmt.Println("  ", d.joint.x, s.own.x, s.own.familyWeights(), math.Sqrt(s.observed), s.path.window.jitter(), s.state)
	}
}
