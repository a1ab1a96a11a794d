package discipline

import "math"

// The states of a filter: error, frequency and drift of the free-running
// base, then one bias for each path that feeds it.
const (
	phase     = 0 // s
	frequency = 1 // s/s
	drift     = 2 // 1/s
	clockLen  = 3
)

// driftTime is how long a drift of frequency lasts, s: temperature and load
// keep their direction for about an hour, not for a day. It keeps an
// extrapolated outage from running away.
const driftTime = 3600.0

// wander is a hypothesis of how the oscillator moves.
type wander struct {
	frequency float64 // random walk of the frequency, 1/sqrt(s)
	drift     float64 // random walk of the drift, 1/(s sqrt(s)); 0: no drift
}

// wanders are the hypotheses. Real oscillators at rest wander by 1e-10 (in an
// oven) to 1e-8 (a virtual machine); the grid goes beyond both ends by a
// factor of ten or more, in steps of sqrt(10), between which the error of a
// filter changes by less than 10 % (its dependence on the wander is a fourth
// root). Drifts go from a room's daily rhythm (2 ppm over a day changes its
// slope by 1e-14 per s^2) to a fan's (0.5 ppm in minutes).
var wanders = []wander{
	{1e-11, 0}, {3.16e-11, 0}, {1e-10, 0}, {3.16e-10, 0}, {1e-9, 0}, {3.16e-9, 0},
	{1e-8, 0}, {3.16e-8, 0}, {1e-7, 0}, {3.16e-7, 0}, {1e-6, 0},
	{1e-10, 1e-11}, {1e-10, 3.16e-11}, {1e-10, 1e-10}, {1e-9, 3.16e-10},
}

// ownWanders are the hypotheses of a single source's bank: a coarser grid is
// enough to judge the source.
var ownWanders = []wander{
	{1e-11, 0}, {1e-10, 0}, {1e-9, 0}, {3.16e-9, 0}, {1e-8, 0}, {1e-7, 0}, {1e-6, 0},
	{1e-10, 1e-11}, {1e-10, 3.16e-11}, {1e-10, 1e-10},
}

// kalman is a filter of the clock's state under one hypothesis.
type kalman struct {
	wander wander
	n      int       // states
	mean   []float64 // n
	cov    []float64 // n*n, symmetric
	gain   []float64 // scratch, n
	prior  []float64 // variance of each bias at its start
	weight float64   // log of its probability, up to a constant
}

func newKalman(w wander) *kalman {
	return &kalman{wander: w, n: clockLen, mean: make([]float64, clockLen),
		cov: make([]float64, clockLen*clockLen), gain: make([]float64, clockLen)}
}

func (k *kalman) at(i, j int) *float64 { return &k.cov[i*k.n+j] }

// start forgets all and begins at an offset.
func (k *kalman) start(offset, variance, y, yVariance float64) {
	clear(k.mean)
	clear(k.cov)
	k.mean[phase], k.mean[frequency] = offset, y
	for i, v := range k.prior {
		*k.at(clockLen+i, clockLen+i) = v
	}
	*k.at(phase, phase), *k.at(frequency, frequency) = variance, yVariance
	k.startDrift()
}

// startDrift gives the drift its stationary variance.
func (k *kalman) startDrift() {
	k.mean[drift] = 0
	for i := range k.n {
		*k.at(i, drift), *k.at(drift, i) = 0, 0
	}
	*k.at(drift, drift) = k.wander.drift * k.wander.drift * driftTime / 2
}

// transition returns what of the drift adds to phase and frequency after dt
// seconds, and what is left of it.
func transition(dt float64) (toPhase, toFrequency, left float64) {
	left = math.Exp(-dt / driftTime)
	toFrequency = driftTime * (1 - left)
	if dt < 1e-3*driftTime {
		return dt * dt / 2, toFrequency, left
	}
	return driftTime * (dt - toFrequency), toFrequency, left
}

// predict lets dt seconds pass.
func (k *kalman) predict(dt float64) {
	toPhase, toFrequency, left := 0.0, 0.0, 1.0
	if k.wander.drift > 0 {
		toPhase, toFrequency, left = transition(dt)
	}
	m := k.mean
	m[phase] += dt*m[frequency] + toPhase*m[drift]
	m[frequency] += toFrequency * m[drift]
	m[drift] *= left
	n := k.n
	x, y, d := k.cov[:n], k.cov[n:2*n], k.cov[2*n:3*n]
	for i := range n {
		x[i] += dt*y[i] + toPhase*d[i]
		y[i] += toFrequency * d[i]
		d[i] *= left
	}
	for i := 0; i < n*n; i += n {
		row := k.cov[i : i+clockLen]
		row[0] += dt*row[1] + toPhase*row[2]
		row[1] += toFrequency * row[2]
		row[2] *= left
	}
	k.diffuse(dt)
}

// diffuse adds the process noise of dt seconds: the integrals of a random
// walk of the frequency and of the drift. The drift's are without its decay
// and so end with driftTime.
func (k *kalman) diffuse(dt float64) {
	q := k.wander.frequency * k.wander.frequency
	*k.at(phase, phase) += q * dt * dt * dt / 3
	*k.at(phase, frequency) += q * dt * dt / 2
	*k.at(frequency, phase) += q * dt * dt / 2
	*k.at(frequency, frequency) += q * dt
	if k.wander.drift == 0 {
		return
	}
	q = k.wander.drift * k.wander.drift
	t := min(dt, driftTime)
	*k.at(phase, phase) += q * t * t * t / 20 * dt * dt
	*k.at(phase, frequency) += q * t * t / 8 * dt * dt
	*k.at(frequency, phase) += q * t * t / 8 * dt * dt
	*k.at(frequency, frequency) += q * t * t / 3 * dt
	*k.at(phase, drift) += q * t * t * t / 6
	*k.at(drift, phase) += q * t * t * t / 6
	*k.at(frequency, drift) += q * t * t / 2
	*k.at(drift, frequency) += q * t * t / 2
	*k.at(drift, drift) += q * t
}

// measured returns mean and variance of what a path measures: the phase with
// the path's bias. A bias below 0 is none.
func (k *kalman) measured(bias int) (mean, variance float64) {
	mean, variance = k.mean[phase], *k.at(phase, phase)
	if bias >= 0 {
		b := clockLen + bias
		mean += k.mean[b]
		variance += 2**k.at(phase, b) + *k.at(b, b)
	}
	return mean, max(variance, 0)
}

// update applies a verdict on what a path measures.
func (k *kalman) update(bias int, v verdict) {
	n := k.n
	copy(k.gain, k.cov[:n])
	if bias >= 0 {
		for i, c := range k.cov[(clockLen+bias)*n : (clockLen+bias+1)*n] {
			k.gain[i] += c
		}
	}
	for i, g := range k.gain {
		k.mean[i] += g * v.shift
		row := k.cov[i*n : i*n+n]
		for j, h := range k.gain {
			row[j] -= g * h * v.shrink
		}
	}
}

// sound tells whether the state is one of numbers with a possible covariance.
func (k *kalman) sound() bool {
	for i, m := range k.mean {
		if v := *k.at(i, i); math.IsNaN(m) || math.IsInf(m, 0) || !(v >= 0) || math.IsInf(v, 0) {
			return false
		}
	}
	return *k.at(phase, phase) > 0 && *k.at(frequency, frequency) > 0
}

// addBias adds a bias state that nothing is known of but its variance.
func (k *kalman) addBias(variance float64) {
	n := k.n
	cov := make([]float64, (n+1)*(n+1))
	for i := range n {
		copy(cov[i*(n+1):], k.cov[i*n:i*n+n])
	}
	cov[n*(n+1)+n] = variance
	k.n, k.cov, k.mean, k.gain = n+1, cov, append(k.mean, 0), append(k.gain, 0)
	k.prior = append(k.prior, variance)
}

// resetBias makes a bias unknown again but for its variance.
func (k *kalman) resetBias(bias int, variance float64) {
	b := clockLen + bias
	for i := range k.n {
		*k.at(i, b), *k.at(b, i) = 0, 0
	}
	k.mean[b], *k.at(b, b), k.prior[bias] = 0, variance, variance
}

// adopt takes over another filter's state. A drift that only one of them
// knows begins anew.
func (k *kalman) adopt(o *kalman) {
	copy(k.mean, o.mean)
	copy(k.cov, o.cov)
	if k.wander.drift == 0 || o.wander.drift == 0 {
		k.startDrift()
	}
}

// confound is for a clock that one path alone has told of: what is known is the
// sum of phase and bias.
func (k *kalman) confound(bias int) {
	b := clockLen + bias
	v := *k.at(b, b)
	*k.at(phase, phase) += v
	*k.at(phase, b), *k.at(b, phase) = -v, -v
}

// copyBias makes a bias what another is, plus something unknown of the given
// variance: the same path after it changed.
func (k *kalman) copyBias(from, to int, variance float64) {
	f, t := clockLen+from, clockLen+to
	k.mean[t] = k.mean[f]
	for i := range k.n {
		if i != t {
			*k.at(i, t) = *k.at(i, f)
			*k.at(t, i) = *k.at(i, f)
		}
	}
	*k.at(t, t) = *k.at(f, f) + variance
	*k.at(f, t), *k.at(t, f) = *k.at(f, f), *k.at(f, f)
	k.prior[to] = k.prior[from] + variance
}

// widen makes the clock's state less certain.
func (k *kalman) widen(phaseVariance, frequencyVariance float64) {
	*k.at(phase, phase) += phaseVariance
	*k.at(frequency, frequency) += frequencyVariance
}
