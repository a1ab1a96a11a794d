package clock

import "math"

// Units and limits of adjtimex(2). USER_HZ is 100 on all of Go's Linux ports.
const (
	nominalTick  = 10_000       // us in a tick of USER_HZ
	tickRate     = 1e-4         // s/s for each us of the tick
	mostTicks    = 1000         // from the nominal tick: 10 %
	freqUnit     = 1e-6 / 65536 // s/s: 2^-16 ppm
	mostFreq     = 500 << 16    // 500 ppm
	maxRate      = 0.1          // s/s, what the tick can do
	maxFrequency = mostFreq * freqUnit
)

// splitRate returns the tick, us, and the frequency, 2^-16 ppm, of a rate
// correction. The tick stays nominal as long as the frequency can do it alone,
// since programs that look at the clock know the frequency only.
func splitRate(rate float64) (tick, freq int64) {
	rate = min(max(rate, -maxRate), maxRate)
	ticks := 0.0
	if math.Abs(rate) > maxFrequency {
		ticks = min(max(math.Round(rate/tickRate), -mostTicks), mostTicks)
	}
	freq = int64(math.Round((rate - ticks*tickRate) / freqUnit))
	return nominalTick + int64(ticks), min(max(freq, -mostFreq), mostFreq)
}

// joinRate is the rate correction of a tick and a frequency.
func joinRate(tick, freq int64) float64 {
	return float64(tick-nominalTick)*tickRate + float64(freq)*freqUnit
}
