package autokey

import (
	"ntsbridge/autokey/identity"
	"ntsbridge/autokey/keyfile"
)

// The estimates below are in units of the budget, about a microsecond of one
// core. What matters is that they grow as the work does.

// powerCost is the cost of a power modulo a number of the given lengths.
func powerCost(modulusBits, exponentBits int) int {
	return 5 + modulusBits*modulusBits/1000*exponentBits/2000
}

// privateCost is the cost of a signature.
func privateCost(pub keyfile.PublicKey) int {
	n := pub.Bits()
	if _, ok := pub.(*keyfile.DSAPublicKey); ok {
		return 20 + powerCost(n, 160)
	}
	return 20 + 2*powerCost(n/2, n/2)
}

// cookieCost is the cost of encrypting a cookie.
func cookieCost(pub *keyfile.RSAPublicKey) int {
	return 10 + powerCost(pub.Bits(), pub.E.BitLen())
}

func iffCost(k *identity.IFFKey) int { return powerCost(k.P.BitLen(), k.Q.BitLen()) }

// gqCost is the cost of a GQ answer; the exponent of one of its two powers is
// the challenge.
func gqCost(k *identity.GQKey, challengeLen int) int {
	n := k.N.BitLen()
	return powerCost(n, k.B.BitLen()) + powerCost(n, 8*challengeLen)
}

func mvCost(k *identity.MVKey) int { return 3 * powerCost(k.P.BitLen(), k.Q.BitLen()) }
