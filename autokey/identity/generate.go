package identity

import (
	"fmt"
	"io"
	"math/big"

	"ntsbridge/autokey/internal/primes"
)

// Progress is told now and then how many candidates for a number were tried;
// what names the search. It may be nil.
type Progress func(what string, tried int)

// of returns the progress function of one search.
func (p Progress) of(what string) primes.Progress {
	if p == nil {
		return nil
	}
	return func(tried int) { p(what, tried) }
}

// Range of the modulus of new IFF and GQ groups, bits. OpenSSL makes nothing
// smaller; larger identity messages do not fit into a packet.
const (
	MinNewBits = 512
	MaxNewBits = 2048
)

// checkNewBits refuses a modulus that nobody should ask for.
func checkNewBits(scheme string, bits int) error {
	if bits < MinNewBits || bits > MaxNewBits {
		return fmt.Errorf("%w: %s modulus of %d bits, want %d to %d", ErrParameters, scheme, bits, MinNewBits, MaxNewBits)
	}
	return nil
}

// orderBits returns the length of the order q for a modulus of IFF: 160 as
// ntp-keygen has it, and 256 where it fails (FIPS 186-4, section 4.2).
func orderBits(bits int) int {
	if bits <= 1024 {
		return 160
	}
	return 256
}

// GenerateIFF makes the key of a new IFF group; bits is the length of P.
func GenerateIFF(rand io.Reader, bits int, progress Progress) (*IFFKey, error) {
	if err := checkNewBits("IFF", bits); err != nil {
		return nil, err
	}
	group, err := primes.NewGroup(rand, bits, orderBits(bits), progress.of("IFF"))
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	b, err := random(rand, group.Q)
	if err != nil {
		return nil, err
	}
	return &IFFKey{P: group.P, Q: group.Q, G: group.G, B: b}, nil
}

// GenerateGQ makes the key of a new GQ group; bits is the length of N, which
// clients of ntpd 4.2.8p15 manage up to 1016. The factors of N are forgotten.
func GenerateGQ(rand io.Reader, bits int, progress Progress) (*GQKey, error) {
	if err := checkNewBits("GQ", bits); err != nil {
		return nil, err
	}
	p, err := primes.Prime(rand, (bits+1)/2, progress.of("GQ"))
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	q, err := primes.Prime(rand, bits/2, progress.of("GQ"))
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	n := p.Mul(p, q)
	for {
		b, err := random(rand, n)
		if err != nil {
			return nil, err
		}
		u, err := random(rand, n)
		if err != nil {
			return nil, err
		}
		k := &GQKey{N: n, B: b, U: u}
		if k.Validate() == nil && k.Public().Cmp(one) > 0 {
			return k, nil
		}
	}
}

// coprime returns a random number below m that has an inverse modulo m.
func coprime(rand io.Reader, m *big.Int) (*big.Int, error) {
	for {
		x, err := random(rand, m)
		if err != nil {
			return nil, err
		}
		if new(big.Int).GCD(nil, nil, x, m).Cmp(one) == 0 {
			return x, nil
		}
	}
}
