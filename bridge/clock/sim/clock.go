package sim

import (
	"math"
	"math/rand/v2"
)

// second is a second of true time, which is counted in nanoseconds from 0.
const second = int64(1e9)

// Epochs give readings the size of real ones: a discipline must not lose
// nanoseconds in them.
const (
	rawEpoch  = 12_345 * second        // free-running base at true time 0
	unixEpoch = 1_790_000_000 * second // Unix time at true time 0
)

// Oscillator describes the client's oscillator.
type Oscillator struct {
	Frequency float64                 // relative frequency error at the start, s/s
	Wander    float64                 // random walk of the frequency, 1/sqrt(s)
	Trend     func(t float64) float64 // deterministic part, s/s, of true time; may be nil
}

// clock is the client's oscillator with the two clocks that count it: the
// free-running base and the disciplined system clock. Errors are kept, never
// readings: a float64 near today's Unix time has 0.24 us resolution.
type clock struct {
	osc    Oscillator
	random *rand.Rand

	now       int64   // true time, nanoseconds
	frequency float64 // of the oscillator, constant within a second
	walk      float64 // sum of the wander so far
	rate      float64 // commanded, s/s
	raw       float64 // error of the free-running base, s
	system    float64 // error of the system clock, s
}

func newClock(osc Oscillator, offset float64, random *rand.Rand) *clock {
	c := &clock{osc: osc, random: random, raw: offset, system: offset}
	c.newSecond()
	return c
}

// newSecond draws the frequency of the second that starts now.
func (c *clock) newSecond() {
	if c.now > 0 {
		c.walk += c.osc.Wander * c.random.NormFloat64()
	}
	c.frequency = c.osc.Frequency + c.walk
	if c.osc.Trend != nil {
		c.frequency += c.osc.Trend(float64(c.now) / 1e9)
	}
}

// systemRate is the derivative of the system clock's error.
func (c *clock) systemRate() float64 { return (1+c.frequency)*(1+c.rate) - 1 }

// advance lets true time pass; it must not cross the start of a second.
func (c *clock) advance(to int64) {
	dt := float64(to-c.now) / 1e9
	c.raw += dt * c.frequency
	c.system += dt * c.systemRate()
	c.now = to
}

// readRaw and readSystem return what the clocks show, nanoseconds.
func (c *clock) readRaw() int64    { return rawEpoch + c.now + int64(math.Round(c.raw*1e9)) }
func (c *clock) readSystem() int64 { return unixEpoch + c.now + int64(math.Round(c.system*1e9)) }
