package refclock

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"

	"pgregory.net/rapid"
)

// fill gives a filter readings one second apart whose clock is ahead of the
// base by drift and by noise of each, ns. The system clock is 1 s ahead.
func fill(f *filter, drift float64, noise []float64) {
	for i, n := range noise {
		raw := int64(i) * sec
		reference := begin + raw + int64(drift*float64(raw)+n)
		f.add(reading{raw: raw, reference: reference, system: reference + sec, dispersion: 10})
	}
}

// miss is by how much a sample is off from a clock that drifts.
func miss(s *Sample, drift float64) float64 {
	return float64(s.Reference()-begin-s.Raw) - drift*float64(s.Raw)
}

func TestFilterEmpty(t *testing.T) {
	f := filter{max: 4}
	if s, ok := f.combine(1); ok {
		t.Errorf("%+v of nothing", s)
	}
}

func TestFilterOne(t *testing.T) {
	f := filter{max: 4}
	f.add(reading{raw: 77, system: begin, reference: begin + 5*ms, dispersion: 200, leap: ntp.LeapInsert})
	s, ok := f.combine(100)
	want := Sample{Raw: 77, System: begin, Offset: 5 * time.Millisecond, Dispersion: 200, Readings: 1, Leap: ntp.LeapInsert}
	if !ok || s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
	if _, ok := f.combine(100); ok {
		t.Error("a reading was used twice")
	}
}

func TestFilterKeepsTheNewest(t *testing.T) {
	f := filter{max: 3}
	fill(&f, 0, make([]float64, 10))
	s, _ := f.combine(1)
	if s.Readings != 3 || s.Raw < 7*sec {
		t.Errorf("%+v", s)
	}
}

// Two fifths of the readings may be anything.
func TestFilterOutliers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(5, 40).Draw(t, "n")
		drift := rapid.Float64Range(-300e-6, 300e-6).Draw(t, "drift")
		noise := make([]float64, n)
		bad := rapid.Permutation(indices(n)).Draw(t, "order")[:n/5]
		for _, i := range bad {
			noise[i] = rapid.Float64Range(-3e8, 3e8).Draw(t, "outlier")
		}
		f := filter{max: 64}
		fill(&f, drift, noise)
		s, ok := f.combine(1)
		if m := miss(&s, drift); !ok || math.Abs(m) > 3 {
			t.Fatalf("off by %v ns with %d outliers of %d", m, len(bad), n)
		}
	})
}

func indices(n int) []int {
	v := make([]int, n)
	for i := range v {
		v[i] = i
	}
	return v
}

// Late readings, as from a busy serial line, move the sample much less than
// they move the mean, and the drift of the base does not hide them.
func TestFilterLateReadings(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var filtered, mean float64
	const rounds, n = 200, 16
	for range rounds {
		noise := make([]float64, n)
		sum := 0.0
		for i := range noise {
			noise[i] = r.NormFloat64() * 1e3
			if r.Float64() < 0.2 {
				noise[i] -= r.ExpFloat64() * 100e3
			}
			sum += noise[i] / n
		}
		f := filter{max: 64}
		fill(&f, 80e-6, noise)
		s, _ := f.combine(1)
		filtered += math.Pow(miss(&s, 80e-6), 2) / rounds
		mean += sum * sum / rounds
	}
	if f, m := math.Sqrt(filtered), math.Sqrt(mean); f > 800 || f > m/10 {
		t.Errorf("RMS %v ns; the mean has %v", f, m)
	}
}

// White noise is averaged nearly as well as by the mean, and the dispersion is
// honest about what remains.
func TestFilterWhiteNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	const rounds, n = 400, 16
	var square float64
	within := 0
	for range rounds {
		noise := make([]float64, n)
		for i := range noise {
			noise[i] = r.NormFloat64() * 1e6
		}
		f := filter{max: 64}
		fill(&f, -120e-6, noise)
		s, _ := f.combine(1)
		m := miss(&s, -120e-6)
		square += m * m / rounds
		if math.Abs(m) <= 3*float64(s.Dispersion) {
			within++
		}
		if s.Deviation < 200*time.Microsecond || s.Deviation > 4*time.Millisecond {
			t.Errorf("deviation %v of readings with 1 ms", s.Deviation)
		}
	}
	if rms := math.Sqrt(square); rms > 1.2*1e6/math.Sqrt(n) {
		t.Errorf("RMS %v ns, the mean would have %v", rms, 1e6/math.Sqrt(n))
	}
	if within < rounds*97/100 {
		t.Errorf("only %d of %d samples within three dispersions", within, rounds)
	}
}

// A step of the system clock in the middle of a poll does not reach the sample.
func TestFilterSystemStep(t *testing.T) {
	f := filter{max: 64}
	for i := range int64(10) {
		r := reading{raw: i * sec, reference: begin + i*sec, system: begin + i*sec - 30*sec}
		if i >= 5 {
			r.system += 30 * sec
		}
		f.add(r)
	}
	s, _ := f.combine(1)
	if s.Reference() != begin+s.Raw {
		t.Errorf("reference is %d ns off", s.Reference()-begin-s.Raw)
	}
	if s.Offset != 0 && s.Offset != 30*time.Second {
		t.Errorf("offset %v is from neither clock", s.Offset)
	}
}

func TestRepeatedMedian(t *testing.T) {
	for _, c := range []struct {
		x, y []float64
		want float64
	}{
		{nil, nil, 0},
		{[]float64{1}, []float64{5}, 0},
		{[]float64{1, 1}, []float64{5, 7}, 0},
		{[]float64{0, 1, 2, 3, 4}, []float64{1, 3, 5, 7, 1000}, 2},
		{[]float64{0, 1, 2, 3, 4, 5, 6}, []float64{1, 3, 5, 7, 1000, 2000, -7000}, 2},
	} {
		if got := repeatedMedian(c.x, c.y); got != c.want {
			t.Errorf("%v %v: %v, want %v", c.x, c.y, got, c.want)
		}
	}
}
