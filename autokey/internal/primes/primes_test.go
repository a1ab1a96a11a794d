package primes

import (
	"bytes"
	"crypto/rand"
	"math/big"
	"testing"
)

func TestPrime(t *testing.T) {
	for _, bits := range []int{8, 9, 51, 160, 256, 512} {
		told := 0
		p, err := Prime(rand.Reader, bits, func(tried int) { told = tried })
		if err != nil {
			t.Fatal(err)
		}
		if p.BitLen() != bits || p.Bit(bits-2) != 1 || !p.ProbablyPrime(30) {
			t.Errorf("%d bits: got %v", bits, p)
		}
		if bits == 512 && told == 0 {
			t.Log("the first candidate was prime")
		}
	}
	if _, err := Prime(rand.Reader, 4, nil); err == nil {
		t.Error("a prime of 4 bits was made")
	}
}

func TestNewGroup(t *testing.T) {
	for _, size := range [][2]int{{512, 160}, {1024, 160}, {768, 256}} {
		g, err := NewGroup(rand.Reader, size[0], size[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		if g.P.BitLen() != size[0] || g.Q.BitLen() != size[1] || !g.P.ProbablyPrime(20) || !g.Q.ProbablyPrime(20) {
			t.Errorf("%v: lengths %d and %d", size, g.P.BitLen(), g.Q.BitLen())
		}
		rest := new(big.Int).Mod(new(big.Int).Sub(g.P, one), g.Q)
		if rest.Sign() != 0 || g.G.Cmp(one) <= 0 || new(big.Int).Exp(g.G, g.Q, g.P).Cmp(one) != 0 {
			t.Errorf("%v: G is not of order Q", size)
		}
	}
	if _, err := NewGroup(rand.Reader, 160, 160, nil); err == nil {
		t.Error("a group as large as its order was made")
	}
}

func TestExhaustedSource(t *testing.T) {
	if _, err := Prime(bytes.NewReader(nil), 64, nil); err == nil {
		t.Error("Prime: no error")
	}
	if _, err := NewGroup(bytes.NewReader(make([]byte, 8)), 512, 160, nil); err == nil {
		t.Error("NewGroup: no error")
	}
	if _, err := Below(bytes.NewReader(make([]byte, 1<<16)), big.NewInt(10)); err == nil {
		t.Error("Below: zeros were taken")
	}
}
