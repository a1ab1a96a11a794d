package clock

import (
	"math"

	"ntsbridge/bridge/clock/discipline"
)

// Limits of gaps.
const (
	leastSleep = 10e6 // ns that boot time must gain on monotonic time
	leastSkew  = 0.1e9
	lateTick   = 30e9 // ns that a tick may be late before the base is doubted
	rtcError   = 1.0  // s: a clock that ran on in suspend, as the kernel reads it
)

// slept tells the discipline of suspends and pauses. It returns by how much
// the system clock moved against the base.
func (d *Driver) slept(c *Clocks) (jumped int64) {
	raw := float64(c.Raw - d.now.Raw)
	monotonic := float64(c.Monotonic - d.now.Monotonic)
	sleep := float64(c.Boot-d.now.Boot) - monotonic
	skew := monotonic - raw*(1+d.rate)
	lost, uncertain, paused := 0.0, 0.0, d.paused(c)
	switch {
	case sleep > leastSleep:
		lost, uncertain = sleep/1e9, rtcError
	case math.Abs(skew) > leastSkew+1e-3*raw:
		lost, uncertain = skew/1e9, math.Abs(skew)/1e9
	case raw > float64(tickInterval)+lateTick:
		uncertain = raw / 1e9
	case paused != 0:
		uncertain = paused
	default:
		return 0
	}
	d.doubt(c, lost, uncertain)
	jumped = int64(float64(c.System-d.now.System) - raw*(1+d.rate))
	if math.Abs(float64(jumped)) < leastJump*1e9 {
		return 0
	}
	return jumped
}

// doubt makes everything unsynchronised until sources have answered anew.
func (d *Driver) doubt(c *Clocks, lost, uncertain float64) {
	d.wait(c.Raw)
	d.doubted = true
	if d.ever { // else there is nothing to doubt
		d.d.Gap(discipline.Instant(c.Raw), lost, uncertain)
	}
}
