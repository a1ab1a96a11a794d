package load

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestHistogram compares percentiles with those of the sorted values, which
// may be exceeded by a bucket's width, 1/16.
func TestHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, math.MaxInt64), 1, 200).Draw(t, "values")
		p := rapid.Float64Range(0.01, 100).Draw(t, "percent")
		var h Histogram
		for _, v := range values {
			h.Add(v)
		}
		slices.Sort(values)
		want := values[int(math.Ceil(float64(len(values))*p/100))-1]
		got := int64(h.Percentile(p))
		if got < want || float64(got) > float64(want)*(1+1.0/subBuckets)+1 {
			t.Errorf("percentile %v of %v: got %d, want %d", p, values, got, want)
		}
	})
}

func TestHistogramBuckets(t *testing.T) {
	last := -1
	for _, v := range []uint64{0, 1, 15, 16, 17, 31, 32, 33, 34, 63, 64, 1000, 1 << 40, math.MaxInt64} {
		i := bucketOf(v)
		if i < last || bucketEnd(i) < v || i > 0 && bucketEnd(i-1) >= v {
			t.Errorf("%d is in bucket %d, which ends at %d", v, i, bucketEnd(i))
		}
		last = i
	}
	var empty Histogram
	if empty.Percentile(50) != 0 {
		t.Error("an empty histogram has percentiles")
	}
}

func TestResultMerge(t *testing.T) {
	a := Result{Sent: 1, Answers: 2, Verified: 3, Forged: 4, Unauthenticated: 5, Kisses: 6, Unmatched: 7, Malformed: 8,
		Lost: 9, Refused: 10, Skipped: 11, Wall: 12, CPU: 13}
	b := a
	b.Merge(&a)
	want := Result{Sent: 2, Answers: 4, Verified: 6, Forged: 8, Unauthenticated: 10, Kisses: 12, Unmatched: 14, Malformed: 16,
		Lost: 18, Refused: 20, Skipped: 22, Wall: 24, CPU: 26}
	if b != want {
		t.Errorf("got %+v", b)
	}
}

func TestResultFigures(t *testing.T) {
	r := Result{Kind: "none", Sent: 1000, Answers: 990, Lost: 10, Wall: time.Second / 2, CPU: 99 * time.Millisecond}
	if r.PerSecond() != 1980 || r.CPUPerAnswer() != 100000 || r.Loss() != 0.01 {
		t.Errorf("%v per second, %v ns, loss %v", r.PerSecond(), r.CPUPerAnswer(), r.Loss())
	}
	if none := (&Result{}); !math.IsNaN(none.CPUPerAnswer()) || none.PerSecond() != 0 || none.Loss() != 0 {
		t.Error("an empty result has figures")
	}
	var text bytes.Buffer
	if err := r.WriteText(&text, true); err != nil || !strings.Contains(text.String(), "100000 ns of CPU time per answer") {
		t.Errorf("%v, text:\n%s", err, text.String())
	}
	encoded, err := json.Marshal(r)
	var back Result
	if err != nil || json.Unmarshal(encoded, &back) != nil || back != r {
		t.Errorf("through JSON: %v, %+v", err, back)
	}
}
