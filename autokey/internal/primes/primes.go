// Package primes makes the prime numbers and groups that keys consist of (FIPS
// 186-4, appendices A and B, without seeds that others could check). Random
// octets are an argument, so that tests can repeat a key.
package primes

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"sync"
)

// rounds is the number of Miller-Rabin rounds, beside Baillie-PSW.
const rounds = 20

// minBits is the shortest prime made; below, there are too few of them.
const minBits = 8

var one = big.NewInt(1)

// Progress is told now and then how many candidates were tried. It may be nil.
type Progress func(tried int)

// tell calls a progress function that may be nil.
func (p Progress) tell(tried int) {
	if p != nil {
		p(tried)
	}
}

// Bits returns a random number of at most the given length.
func Bits(rand io.Reader, bits int) (*big.Int, error) {
	buf := make([]byte, (bits+7)/8)
	if _, err := io.ReadFull(rand, buf); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	if excess := len(buf)*8 - bits; excess > 0 {
		buf[0] &= 0xff >> excess
	}
	return new(big.Int).SetBytes(buf), nil
}

// Below returns a random number of 1 to limit-1, evenly distributed; limit must
// be above 1.
func Below(rand io.Reader, limit *big.Int) (*big.Int, error) {
	for range 1000 {
		x, err := Bits(rand, limit.BitLen())
		if err != nil {
			return nil, err
		}
		if x.Sign() > 0 && x.Cmp(limit) < 0 {
			return x, nil
		}
	}
	return nil, errors.New("random source gives no usable numbers")
}

// Prime returns a random prime of exactly the given length whose two highest
// bits are set, so that the product of two has full length.
func Prime(rand io.Reader, bits int, progress Progress) (*big.Int, error) {
	if bits < minBits {
		return nil, fmt.Errorf("prime of %d bits, want at least %d", bits, minBits)
	}
	for tried := 1; ; tried++ {
		x, err := Bits(rand, bits)
		if err != nil {
			return nil, err
		}
		x.SetBit(x, bits-1, 1)
		x.SetBit(x, bits-2, 1)
		x.SetBit(x, 0, 1)
		if Is(x) {
			return x, nil
		}
		progress.tell(tried)
	}
}

// Is reports whether x is prime, but for a chance of 4^-20.
func Is(x *big.Int) bool {
	// The cheap tests first: most numbers fail them.
	return !Sieved(x) && x.ProbablyPrime(0) && x.ProbablyPrime(rounds)
}

// Sieved reports whether x has a small factor other than itself, so that it is
// no prime. It costs little.
func Sieved(x *big.Int) bool {
	if x.BitLen() < 2*sieveBits {
		return false
	}
	var rest big.Int
	for _, g := range sieve() {
		r := rest.Rem(x, g.product).Uint64()
		for _, p := range g.primes {
			if r%p == 0 {
				return true
			}
		}
	}
	return false
}

// sieveBits is the length of the largest prime of the sieve.
const sieveBits = 11

// sieveGroup is a number of small odd primes whose product fits 64 bits.
type sieveGroup struct {
	product *big.Int
	primes  []uint64
}

// sieve has all odd primes below 2^sieveBits.
var sieve = sync.OnceValue(makeSieve)

func makeSieve() []sieveGroup {
	var groups []sieveGroup
	product, members := uint64(1), []uint64(nil)
	for p := uint64(3); p < 1<<sieveBits; p += 2 {
		if !new(big.Int).SetUint64(p).ProbablyPrime(0) {
			continue
		}
		if product > ^uint64(0)/p {
			groups = append(groups, sieveGroup{new(big.Int).SetUint64(product), members})
			product, members = 1, nil
		}
		product *= p
		members = append(members, p)
	}
	return append(groups, sieveGroup{new(big.Int).SetUint64(product), members})
}

// Group is a Schnorr group: G has the prime order Q modulo the prime P.
type Group struct{ P, Q, G *big.Int }

// NewGroup makes a group whose P and Q have exactly the given lengths, as for
// DSA.
func NewGroup(rand io.Reader, pBits, qBits int, progress Progress) (*Group, error) {
	if qBits < 128 || pBits <= qBits {
		return nil, fmt.Errorf("group of %d bits with an order of %d bits", pBits, qBits)
	}
	q, err := Prime(rand, qBits, nil)
	if err != nil {
		return nil, err
	}
	p, err := overOrder(rand, q, pBits, progress)
	if err != nil {
		return nil, err
	}
	exponent := new(big.Int).Sub(p, one)
	exponent.Div(exponent, q)
	for {
		h, err := Below(rand, p)
		if err != nil {
			return nil, err
		}
		if g := h.Exp(h, exponent, p); g.Cmp(one) > 0 {
			return &Group{p, q, g}, nil
		}
	}
}

// overOrder returns a prime of exactly the given length that is 1 modulo 2q.
func overOrder(rand io.Reader, q *big.Int, bits int, progress Progress) (*big.Int, error) {
	step := new(big.Int).Lsh(q, 1)
	rest := new(big.Int)
	for tried := 1; ; tried++ {
		p, err := Bits(rand, bits)
		if err != nil {
			return nil, err
		}
		p.SetBit(p, bits-1, 1)
		p.Sub(p, rest.Mod(p, step))
		p.Add(p, one)
		if p.BitLen() == bits && Is(p) {
			return p, nil
		}
		progress.tell(tried)
	}
}
