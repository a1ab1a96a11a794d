package identity

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"testing"
)

// exchange runs a whole exchange of a scheme.
func exchange(t *testing.T, server Responder, client Verifier) error {
	t.Helper()
	challenge, err := client.Challenge(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	response, err := server.Respond(rand.Reader, challenge)
	if err != nil {
		t.Fatal(err)
	}
	return client.Verify(challenge, response)
}

func TestGenerateIFF(t *testing.T) {
	for _, bits := range []int{512, 640, 1024, 1536} {
		k, err := GenerateIFF(rand.Reader, bits, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Validate(); err != nil || k.P.BitLen() != bits {
			t.Errorf("%d bits: %v, length %d", bits, err, k.P.BitLen())
		}
		if err := exchange(t, k, k.Parameters()); err != nil {
			t.Errorf("%d bits: %v", bits, err)
		}
		other, err := GenerateIFF(rand.Reader, 512, nil)
		if err != nil {
			t.Fatal(err)
		}
		if exchange(t, &IFFKey{P: k.P, Q: k.Q, G: k.G, B: new(big.Int).Rsh(k.B, 1)}, k.Parameters()) == nil || other.P.Cmp(k.P) == 0 {
			t.Errorf("%d bits: another key was taken", bits)
		}
	}
}

func TestGenerateGQ(t *testing.T) {
	for _, bits := range []int{512, 1015, 1016} {
		k, err := GenerateGQ(rand.Reader, bits, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Validate(); err != nil || k.N.BitLen() != bits {
			t.Errorf("%d bits: %v, length %d", bits, err, k.N.BitLen())
		}
		if err := exchange(t, k, k.Parameters()); err != nil {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

func TestGenerateMV(t *testing.T) {
	sets := []struct{ bits, keys int }{{256, 2}, {256, 5}, {512, 10}, {512, 32}, {300, 3}}
	if !testing.Short() { // the search for large primes takes seconds
		sets = append(sets, []struct{ bits, keys int }{{1024, 5}, {2048, 4}}...)
	}
	for _, c := range sets {
		t.Run(fmt.Sprint(c.bits, c.keys), func(t *testing.T) {
			g, err := GenerateMV(rand.Reader, c.bits, c.keys, nil)
			if err != nil {
				t.Fatal(err)
			}
			if n := g.P.BitLen(); n != (c.bits+7)/8*8 {
				t.Errorf("modulus of %d bits", n)
			}
			if err := g.Server.Validate(); err != nil {
				t.Error(err)
			}
			for j, client := range g.Clients {
				if err := client.Validate(); err != nil {
					t.Error(err)
				}
				err := exchange(t, g.Server, client)
				if revoked := j == c.keys-1; (err != nil) != revoked || g.Works(j+1) == revoked {
					t.Errorf("client key %d of %d: %v", j+1, c.keys, err)
				}
			}
			if len(g.Clients) != c.keys || g.Works(0) || g.Works(c.keys+1) {
				t.Errorf("%d client keys", len(g.Clients))
			}
		})
	}
}

func TestGenerateRefuses(t *testing.T) {
	for name, f := range map[string]func() error{
		"small IFF":    func() error { _, err := GenerateIFF(rand.Reader, 511, nil); return err },
		"large GQ":     func() error { _, err := GenerateGQ(rand.Reader, 2049, nil); return err },
		"no MV keys":   func() error { _, err := GenerateMV(rand.Reader, 512, 0, nil); return err },
		"one MV key":   func() error { _, err := GenerateMV(rand.Reader, 512, 1, nil); return err },
		"many MV keys": func() error { _, err := GenerateMV(rand.Reader, 2048, 98, nil); return err },
		"short primes": func() error { _, err := GenerateMV(rand.Reader, 256, 22, nil); return err },
	} {
		if err := f(); !errors.Is(err, ErrParameters) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := GenerateIFF(bytes.NewReader(nil), 512, nil); err == nil {
		t.Error("no random numbers, no error")
	}
}

func TestGenerateRedacts(t *testing.T) {
	g, err := GenerateMV(rand.Reader, 256, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		for _, text := range []string{fmt.Sprintf(format, g), fmt.Sprintf(format, *g)} {
			if bytes.Contains([]byte(text), []byte(g.B.String())) || bytes.Contains([]byte(text), []byte(g.A.String())) {
				t.Errorf("%s shows a secret: %s", format, text)
			}
		}
	}
}
