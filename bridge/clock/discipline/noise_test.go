package discipline

import (
	"math"
	"math/rand/v2"
	"testing"
)

// byNumbers is tilted, slowly and obviously: the prior times the likelihood,
// summed over a fine grid of where the clock is.
func byNumbers(s *sample, f family, v, a float64) (density, shift, shrink float64) {
	side := 1.0
	if f == downward {
		side = -1
	}
	short, h := s.shortOf(f), s.half
	soft := edge * min(h, short)
	blur := math.Sqrt(soft*soft + s.noise)
	norm := short * -math.Expm1(-2*h/short)
	likelihood := func(x float64) float64 { // of the offset v, for a clock at x
		const steps = 400 // over the short way's excess, between 0 and 2h
		sum := 0.0
		for i := range steps {
			excess := 2 * h * (float64(i) + 0.5) / steps
			at := v*side + h - excess // where the clock is if there is no blur
			u := (x*side - at) / blur
			sum += math.Exp(-excess/short) / norm * normalDensity(u) / blur * 2 * h / steps
		}
		return sum
	}
	deviation := math.Sqrt(a)
	var m1, m2 float64
	const steps = 800
	for i := range steps {
		x := deviation * (float64(i) + 0.5 - steps/2) * 16 / steps
		w := normalDensity(x/deviation) / deviation * likelihood(x) * deviation * 16 / steps
		density += w
		m1 += w * x
		m2 += w * x * x
	}
	m1 /= density
	m2 = m2/density - m1*m1
	return density, m1 / a, (a - m2) / (a * a)
}

func TestTiltedInterval(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	scale := func(from, to float64) float64 {
		return math.Exp(math.Log(from) + random.Float64()*math.Log(to/from))
	}
	close := func(a, b, part, least float64) bool { return math.Abs(a-b) <= part*max(math.Abs(a), math.Abs(b))+least }
	tries := 100
	if testing.Short() {
		tries = 10
	}
	for i := range tries {
		s := &sample{half: scale(0.1, 20), noise: scale(0.01, 0.3)}
		s.short = [2]float64{scale(0.3, 3), scale(0.3, 3)}
		f := upward + family(i%2)
		a := scale(0.05, 4)
		v := s.half * (2*random.Float64() - 1) * 1.2
		density, shift, shrink := byNumbers(s, f, v, a)
		if density < 1e-12 {
			continue
		}
		var c mixture
		s.tilted(&c, 1, f, v, a)
		got := c.verdict(0)
		if !close(got.density, density, 0.02, 0) || !close(got.shift, shift, 0.02, 0.01) || !close(got.shrink, shrink, 0.04, 0.01/a) {
			t.Errorf("half %.3g, short %.3g, prior %.3g, off by %.3g: density %.4g, shift %.4g, shrink %.4g; by numbers %.4g, %.4g, %.4g",
				s.half, s.shortOf(f), a, v, got.density, got.shift, got.shrink, density, shift, shrink)
		}
	}
}

// No verdict is anything but a number, and none makes the clock less certain
// than it was before beyond what a mixture may.
func TestVerdictsAreNumbers(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	scale := func() float64 { return math.Exp(40 * (random.Float64() - 0.7)) }
	for range 20000 {
		s := &sample{half: scale(), noise: scale(), spread: scale(), observed: scale(), misled: scale(),
			short: [2]float64{scale(), scale()}}
		v, a := (random.Float64()-0.5)*scale(), scale()
		for f := range families {
			got := s.judge(f, v, a)
			if sum := got.density + got.shift + got.shrink + got.wild; math.IsNaN(sum) || math.IsInf(sum, 0) || got.density < 0 {
				t.Fatalf("family %d of %+v, prior %g off by %g: %+v", f, s, a, v, got)
			}
			if left := a - a*a*got.shrink; left < -1e-6*a {
				t.Fatalf("family %d of %+v, prior %g off by %g: variance %g is left", f, s, a, v, left)
			}
		}
	}
}

// The least delay of many lies above the floor by what is said, whatever queue
// there is beside a dense part near the floor.
func TestAboveTheFloor(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for name, heavy := range map[string]float64{"two exponentials": 0, "six in ten wait": 0.6} {
		var said, was float64
		const runs = 300
		for range runs {
			var w delayWindow
			for i := range 1000 {
				delay := 10 + random.ExpFloat64() + random.ExpFloat64()
				if random.Float64() < heavy {
					delay += 200 * random.Float64()
				}
				w.add(float64(i), delay)
			}
			said += w.above() / runs
			was += (w.floor() - 10) / runs
		}
		if said/was > 1.25 || was/said > 1.25 {
			t.Errorf("%s: the least delay is %.4g above the floor, said %.4g", name, was, said)
		}
	}
}
