package discipline

import "math"

// keptResiduals is how many of a source's last samples its statistics are of:
// twice those that decide on the noise, and chronyd's most as well.
const keptResiduals = 64

// residuals are by how much the last samples of a source missed what its own
// bank expected. A filter has no residuals after a regression as chronyd's
// estimator has; that its predictions miss on one side for long says the same:
// that the line it draws fits no more.
type residuals struct {
	at, miss [keptResiduals]float64 // s of the base, s
	count    int                    // ever added since the last start
}

// begin starts anew with the sample that the bank was started with, which can
// miss nothing.
func (r *residuals) begin(at float64) {
	r.count = 0
	r.add(at, 0)
}

func (r *residuals) add(at, miss float64) {
	r.at[r.count%keptResiduals], r.miss[r.count%keptResiduals] = at, miss
	r.count++
}

// Residuals tell how well the last samples of a source fit what was expected
// of each.
type Residuals struct {
	Samples int // of which they are, 0 to 64
	// Runs is how many runs of samples that missed on the same side there are:
	// about half of the samples if all is well, few if the source's clock does
	// not go as steadily as is believed. 0 with fewer than three samples, which
	// show nothing.
	Runs      int
	Span      float64 // s from the oldest to the newest of them
	Deviation float64 // s
}

// report makes the report of what is kept.
func (r *residuals) report() Residuals {
	n := min(r.count, keptResiduals)
	if n == 0 {
		return Residuals{}
	}
	report := Residuals{Samples: n, Span: r.at[(r.count-1)%keptResiduals] - r.at[(r.count-n)%keptResiduals]}
	squares, missing, side := 0.0, 0, 0.0
	for i := r.count - n; i < r.count; i++ {
		miss := r.miss[i%keptResiduals]
		if miss == 0 {
			continue
		}
		missing++
		squares += miss * miss
		if s := math.Copysign(1, miss); s != side {
			report.Runs, side = report.Runs+1, s
		}
	}
	report.Deviation = math.Sqrt(squares / float64(max(missing, 1)))
	if n < leastRuns {
		report.Runs = 0
	}
	return report
}

// leastRuns is how many samples runs are told of, as by chronyd.
const leastRuns = 3
