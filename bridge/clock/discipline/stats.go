package discipline

import "math"

// statistics are kept for reports.
type statistics struct {
	lastAt   float64
	interval float64 // between the last two updates, s
	rms      float64 // of the offsets found, s
	count    int
}

// rmsRate is the weight of a new offset in the RMS offset, as in chrony's
// tracking report, so that both can be compared.
const rmsRate = 0.1

func (t *statistics) update(at, residual float64) {
	if t.count > 0 {
		t.interval = at - t.lastAt
	}
	t.lastAt = at
	square := residual * residual
	if t.count == 0 {
		t.rms = math.Abs(residual)
	} else {
		t.rms = math.Sqrt(t.rms*t.rms + rmsRate*(square-t.rms*t.rms))
	}
	t.count++
}
