package discipline

import "math"

// growth is how the variance of an estimate grows with the time since the
// last sample: a polynomial, so that a bank's is the average of its members'.
type growth struct {
	now       float64 // s^2
	linear    float64 // s
	square    float64 // (s/s)^2
	walk      float64 // of the frequency, 1/s
	drift     float64 // variance of the drift, 1/s^2
	driftWalk float64 // of the drift, 1/s^3
}

// add adds a filter's with a weight. bias is that of the path whose
// measurement it is about, -1 for the phase alone.
func (g *growth) add(weight float64, k *kalman, bias int) {
	_, variance := k.measured(bias)
	covariance := *k.at(phase, frequency)
	if bias >= 0 {
		covariance += *k.at(clockLen+bias, frequency)
	}
	g.now += weight * variance
	g.linear += weight * 2 * covariance
	g.square += weight * *k.at(frequency, frequency)
	g.walk += weight * k.wander.frequency * k.wander.frequency
	if k.wander.drift > 0 {
		g.drift += weight * *k.at(drift, drift)
		g.driftWalk += weight * k.wander.drift * k.wander.drift
	}
}

// deviation returns the deviation tau seconds after the last sample.
func (g *growth) deviation(tau float64) float64 {
	v := g.now + tau*(g.linear+tau*(g.square+tau*g.walk/3))
	if g.driftWalk > 0 {
		t := min(tau, driftTime) // a drift does not last
		v += t * t * t * (g.driftWalk/20*tau*tau + t/4*g.drift)
	}
	return math.Sqrt(max(v, 0))
}
