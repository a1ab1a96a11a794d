package discipline

import "math"

// The normal distribution's density and tail at one place share an exponential,
// which is most of what either costs; math.Erfc needs two of its own.

// invSqrt2Pi is 1/sqrt(2 pi).
const invSqrt2Pi = 1 / (math.Sqrt2 * math.SqrtPi)

// edgeAt returns the density of a standard normal variable at u, and the
// probability that it lies farther from 0 on the same side.
func edgeAt(u float64) (density, tail float64) {
	x := math.Abs(u) * (1 / math.Sqrt2)
	g := math.Exp(-x * x)
	if x < erfLimit {
		return g * invSqrt2Pi, (1 - smallErf(x)) / 2
	}
	return g * invSqrt2Pi, g * scaledErfc(x) / 2
}

// interval returns the probability that a standard normal variable lies between
// lo and hi, without cancellation in the tails, and its density at both.
func interval(lo, hi float64) (z, atLo, atHi float64) {
	atLo, below := edgeAt(lo)
	atHi, above := edgeAt(hi)
	switch {
	case lo >= 0:
		return below - above, atLo, atHi
	case hi <= 0:
		return above - below, atLo, atHi
	}
	return 1 - below - above, atLo, atHi
}

// Rational approximations of the error function by W. J. Cody, Rational
// Chebyshev approximations for the error function, Mathematics of Computation
// 23 (1969): relative errors of about 1e-16.
const erfLimit = 0.46875

// smallErf is erf(x) for |x| below erfLimit.
func smallErf(x float64) float64 {
	y := x * x
	num := (((1.85777706184603153e-1*y+3.16112374387056560)*y+1.13864154151050156e2)*y+3.77485237685302021e2)*y + 3.20937758913846947e3
	den := (((y+2.36012909523441209e1)*y+2.44024637934444173e2)*y+1.28261652607737228e3)*y + 2.84423683343917062e3
	return x * num / den
}

// scaledErfc is exp(x^2) erfc(x) for x at least 0.
func scaledErfc(x float64) float64 {
	switch {
	case x < erfLimit:
		return math.Exp(x*x) * (1 - smallErf(x))
	case x <= 4:
		num := 2.15311535474403846e-8*x + 5.64188496988670089e-1
		num = ((((((num*x+8.88314979438837594)*x+6.61191906371416295e1)*x+2.98635138197400131e2)*x+
			8.81952221241769090e2)*x+1.71204761263407058e3)*x+2.05107837782607147e3)*x + 1.23033935479799725e3
		den := x + 1.57449261107098347e1
		den = ((((((den*x+1.17693950891312499e2)*x+5.37181101862009858e2)*x+1.62138957456669019e3)*x+
			3.29079923573345963e3)*x+4.36261909014324716e3)*x+3.43936767414372164e3)*x + 1.23033935480374942e3
		return num / den
	}
	y := 1 / (x * x)
	num := ((((1.63153871373020978e-2*y+3.05326634961232344e-1)*y+3.60344899949804439e-1)*y+1.25781726111229246e-1)*y+
		1.60837851487422766e-2)*y + 6.58749161529837803e-4
	den := ((((y+2.56852019228982242)*y+1.87295284992346047)*y+5.27905102951428412e-1)*y+6.05183413124413191e-2)*y + 2.33520497626869185e-3
	return (1/math.SqrtPi - y*num/den) / x
}
