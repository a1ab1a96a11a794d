package sim

import (
	"math"
	"slices"
)

// Record is what a run left: true errors at the start of each second.
type Record struct {
	Error          []float64 // of the system clock, s; NaN while suspended
	Rate           []float64 // its derivative, s/s
	Deviation      []float64 // of the error, as reported each 8 s, s; if the client is a Deviator
	Steps          []Step
	Packets        int
	Refused        int     // commands that are no numbers or beyond any kernel's limit
	Excess         float64 // largest ratio of error to claimed bound while synchronised
	ExcessAt       int     // when, s
	Bound          float64 // last claimed bound, s
	Unsynchronised int     // seconds
	Synchronised   bool    // claimed at the end
}

// Step is a discontinuity that the client commanded.
type Step struct {
	At int64   // s
	By float64 // s
}

// Never is the convergence time of a run that did not converge.
const Never = math.MaxInt32

// Metrics are the figures by which disciplines are compared.
type Metrics struct {
	RMS, Max  float64    // error, s
	Reported  float64    // RMS of the reported deviation, as a part of RMS
	Late      float64    // largest error in the last quarter of the run, s
	Frequency float64    // RMS of the error's derivative, s/s
	Converged [3]float64 // first second of 60 below 1 ms, 100 us, 10 us
	Steps     float64
	Packets   float64
	Windows   [][2]float64 // RMS and largest error of each window, s
}

// thresholds of convergence, s.
var thresholds = [3]float64{1e-3, 1e-4, 1e-5}

// settled is how many seconds below a threshold count as converged.
const settled = 60

// Metrics computes the figures of a run of the scenario.
func (r *Record) Metrics(s *Scenario) Metrics {
	m := Metrics{Steps: float64(len(r.Steps)), Packets: float64(r.Packets)}
	m.RMS, m.Max = rms(r.Error[s.WarmUp:])
	if len(r.Deviation) > s.WarmUp/8 {
		reported, _ := rms(r.Deviation[s.WarmUp/8:])
		m.Reported = reported / m.RMS
	}
	_, m.Late = rms(r.Error[len(r.Error)*3/4:])
	m.Frequency, _ = rms(r.Rate[s.WarmUp:])
	for i, threshold := range thresholds {
		m.Converged[i] = float64(r.converged(threshold))
	}
	for _, w := range s.Windows {
		q, largest := rms(r.Error[w.From:w.To])
		m.Windows = append(m.Windows, [2]float64{q, largest})
	}
	return m
}

// rms returns the root mean square, without removing the mean, and the
// largest absolute value.
func rms(values []float64) (q, largest float64) {
	n := 0
	for _, v := range values {
		if math.IsNaN(v) {
			continue
		}
		n++
		q += v * v
		largest = max(largest, math.Abs(v))
	}
	return math.Sqrt(q / float64(max(n, 1))), largest
}

// Settled returns how many seconds after from the error was above a limit for
// the last time before until.
func (r *Record) Settled(from, until int, limit float64) int {
	for i := until - 1; i >= from; i-- {
		if !(math.Abs(r.Error[i]) < limit) && !math.IsNaN(r.Error[i]) {
			return i - from + 1
		}
	}
	return 0
}

func (r *Record) converged(threshold float64) int {
	run := 0
	for i, v := range r.Error {
		if !(math.Abs(v) < threshold) {
			run = 0
			continue
		}
		if run++; run == settled {
			return i - settled + 1
		}
	}
	return Never
}

// Median returns the median of each figure over several runs.
func Median(runs []Metrics) Metrics {
	var m Metrics
	of := func(f func(*Metrics) float64) float64 {
		values := make([]float64, len(runs))
		for i := range runs {
			values[i] = f(&runs[i])
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	m.RMS = of(func(m *Metrics) float64 { return m.RMS })
	m.Max = of(func(m *Metrics) float64 { return m.Max })
	m.Reported = of(func(m *Metrics) float64 { return m.Reported })
	m.Late = of(func(m *Metrics) float64 { return m.Late })
	m.Frequency = of(func(m *Metrics) float64 { return m.Frequency })
	m.Steps = of(func(m *Metrics) float64 { return m.Steps })
	m.Packets = of(func(m *Metrics) float64 { return m.Packets })
	for i := range m.Converged {
		m.Converged[i] = of(func(m *Metrics) float64 { return m.Converged[i] })
	}
	for i := range runs[0].Windows {
		m.Windows = append(m.Windows, [2]float64{
			of(func(m *Metrics) float64 { return m.Windows[i][0] }),
			of(func(m *Metrics) float64 { return m.Windows[i][1] }),
		})
	}
	return m
}
