package discipline

import (
	"math"
	"testing"
)

// A source whose clock goes steadily is missed on both sides in turn; one whose
// frequency changes is missed on one side until that is learned. Of more than
// 64 samples the last are told of.
func TestResiduals(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4)
	told := func() Residuals {
		t.Helper()
		st, ok := r.d.Source(0, r.rawNow())
		if !ok {
			t.Fatal("no source")
		}
		return st.Residuals
	}
	if got := told(); got != (Residuals{}) {
		t.Errorf("before the first sample: %+v", got)
	}
	r.run(2)
	if got := told(); got.Samples == 0 || got.Samples >= leastRuns || got.Runs != 0 {
		t.Errorf("of the first samples: %+v", got)
	}
	r.run(1800)
	steady := told()
	if steady.Samples != keptResiduals || steady.Runs < keptResiduals/4 || steady.Runs > keptResiduals*3/4 {
		t.Errorf("of a steady source: %+v", steady)
	}
	if want := float64(keptResiduals-1) * 16; math.Abs(steady.Span-want) > 32 {
		t.Errorf("span %v, want %v", steady.Span, want)
	}
	if steady.Deviation < 1e-6 || steady.Deviation > 1e-2 {
		t.Errorf("deviation %v", steady.Deviation)
	}
}

func TestResidualRuns(t *testing.T) {
	for _, c := range []struct {
		name string
		miss []float64
		want Residuals
	}{
		{"none", nil, Residuals{}},
		{"two", []float64{0, 1}, Residuals{Samples: 2, Span: 1, Deviation: 1}},
		{"one side", []float64{0, 2, 2, 2}, Residuals{Samples: 4, Runs: 1, Span: 3, Deviation: 2}},
		{"in turn", []float64{0, 1, -1, 1, -1}, Residuals{Samples: 5, Runs: 4, Span: 4, Deviation: 1}},
		{"what misses nothing ends no run", []float64{0, 1, 0, 1, -1}, Residuals{Samples: 5, Runs: 2, Span: 4, Deviation: 1}},
	} {
		var r residuals
		for i, miss := range c.miss {
			r.add(float64(i), miss)
		}
		if got := r.report(); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	var r residuals
	for i := range 3 * keptResiduals { // only what is kept
		r.add(float64(i), map[bool]float64{true: 5, false: -1}[i < 2*keptResiduals])
	}
	if got, want := r.report(), (Residuals{Samples: 64, Runs: 1, Span: 63, Deviation: 1}); got != want {
		t.Errorf("of many: %+v, want %+v", got, want)
	}
}
