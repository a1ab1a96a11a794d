package discipline

import (
	"math"
	"testing"
)

// Cody's approximations are the error function.
func TestScaledErfc(t *testing.T) {
	for x := 0.0; x < 26; x += 0.003 {
		want := math.Erfc(x)
		if got := scaledErfc(x) * math.Exp(-x*x); math.Abs(got-want) > 1e-12*want {
			t.Fatalf("erfc(%v) is %v, want %v", x, got, want)
		}
	}
	for _, x := range []float64{30, 1e3, 1e8, 1e200} {
		if got, want := scaledErfc(x), 1/(x*math.SqrtPi)*(1-1/(2*x*x)); math.Abs(got-want) > 1e-5*want {
			t.Errorf("at %v: %v, want %v", x, got, want)
		}
	}
}

func TestInterval(t *testing.T) {
	for lo := -9.0; lo < 9; lo += 0.37 {
		for width := 0.01; width < 9; width *= 2.3 {
			hi := lo + width
			want := (math.Erf(hi/math.Sqrt2) - math.Erf(lo/math.Sqrt2)) / 2
			if lo > 1 {
				want = (math.Erfc(lo/math.Sqrt2) - math.Erfc(hi/math.Sqrt2)) / 2
			} else if hi < -1 {
				want = (math.Erfc(-hi/math.Sqrt2) - math.Erfc(-lo/math.Sqrt2)) / 2
			}
			z, p, q := interval(lo, hi)
			if math.Abs(z-want) > 1e-9*want || math.Abs(p-normalDensity(lo)) > 1e-14 || math.Abs(q-normalDensity(hi)) > 1e-14 {
				t.Fatalf("%v to %v: %v %v %v, want %v", lo, hi, z, p, q, want)
			}
		}
	}
}

func normalDensity(u float64) float64 { return math.Exp(-u*u/2) * invSqrt2Pi }
