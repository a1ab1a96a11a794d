package clock

import (
	"fmt"
	"math"

	"ntsbridge/bridge/clock/discipline"
)

// refuse judges an update before the discipline acts on it.
func (d *Driver) refuse(r discipline.Reading) error {
	m, f := &d.config.MaxChange, &d.refusal
	if m.Offset == 0 || !d.fed {
		return nil
	}
	t := d.d.Tracking(r)
	if t.Updates < m.Start || math.Abs(t.SystemOffset) <= m.Offset {
		if f.active {
			d.log.Info("sources agree with the clock again", "seconds", t.SystemOffset)
		}
		f.active = false
		return nil
	}
	f.active = true
	f.times++
	if m.Ignore >= 0 && f.times > m.Ignore {
		return fmt.Errorf("%w: %.6f s, allowed are %g s; see that the sources are right, and set the clock by hand or restart",
			ErrMaxChange, t.SystemOffset, m.Offset)
	}
	if d.limits.allow("maxchange", int64(r.Raw)) {
		d.log.Error("sources ask for a larger change of the clock than allowed: refused", "seconds", t.SystemOffset,
			"allowed", m.Offset, "times", f.times)
	}
	return nil
}
