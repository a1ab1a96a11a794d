package discipline

import "math"

// Saved is what is worth keeping over a restart: the drift file.
type Saved struct {
	Frequency float64   // of the oscillator, s/s
	Variance  float64   // of Frequency, (s/s)^2
	Weights   []float64 // log weights of the hypotheses of wander
	At        int64     // Unix time, ns
}

// doubt is the deviation that a restart adds to a saved frequency, s/s: a
// machine that was off is cold, and its oscillator some tenths of a ppm away.
const doubt = 0.5e-6

// Save returns what to keep, and false while nothing is known.
func (d *Discipline) Save(r Reading) (Saved, bool) {
	if !d.started {
		return Saved{}, false
	}
	_, y := d.joint.estimate(d.seconds(d.standard.seen(r.Raw)))
	s := Saved{Frequency: y + d.standard.rate, Variance: d.joint.yVar, At: r.System}
	for _, m := range d.joint.members[:d.joint.permanent] {
		s.Weights = append(s.Weights, m.weight)
	}
	return s, true
}

// Restore starts with what was saved, before the first sample. What is out of
// range is ignored, and it says so by false.
func (d *Discipline) Restore(s Saved, now int64) bool {
	if d.begun || !(math.Abs(s.Frequency) <= d.config.MaxDrift) || !(s.Variance >= 0) || math.IsInf(s.Variance, 0) {
		return false
	}
	variance := s.Variance + doubt*doubt
	if d.weighted(s.Weights) {
		variance += d.walk() * max(float64(now-s.At)/1e9, 0)
	}
	d.joint.restored = true
	d.joint.startY, d.joint.startYVar = s.Frequency, min(variance, startFrequency*startFrequency)
	return true
}

// weighted takes over the weights of hypotheses, if they are ours.
func (d *Discipline) weighted(weights []float64) bool {
	if len(weights) != d.joint.permanent {
		return false
	}
	for _, w := range weights {
		if !(w <= 0 && w > math.Inf(-1)) {
			return false
		}
	}
	d.joint.priors = append([]float64(nil), weights...)
	for i, m := range d.joint.members[:d.joint.permanent] {
		m.weight = max(weights[i], leastWeight)
	}
	return true
}

// walk is the average variance of the frequency's walk in a second.
func (d *Discipline) walk() float64 {
	sum, walk := 0.0, 0.0
	for _, m := range d.joint.members[:d.joint.permanent] {
		w := math.Exp(m.weight)
		sum += w
		walk += w * m.wander.frequency * m.wander.frequency
	}
	return walk / sum
}
