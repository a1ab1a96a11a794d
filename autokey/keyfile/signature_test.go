package keyfile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"testing"
)

// Every algorithm signs and verifies with keys of the sizes it fits.
func TestEveryAlgorithm(t *testing.T) {
	vectors := loadVectors[cookieVector](t, "cookies.json")
	keys := map[int]PrivateKey{512: hostKey512(t), 1024: vectors[1].key(t), 2048: vectors[2].key(t)}
	message := []byte("message")
	for bits, key := range keys {
		if key.Public().Bits() != bits {
			t.Fatalf("key of %d bits", key.Public().Bits())
		}
		for _, a := range algorithms {
			sig, err := Sign(rand.Reader, key, a.nid, message)
			fits := a.family == familyRSA && a.hash != nil && bits/8 >= len(a.prefix)+11+hashSize(a)
			if !fits {
				if !errors.Is(err, ErrAlgorithm) {
					t.Errorf("%v, %d bits: %v, want ErrAlgorithm", a.nid, bits, err)
				}
				if err := Verify(key.Public(), a.nid, message, make([]byte, bits/8)); !errors.Is(err, ErrAlgorithm) {
					t.Errorf("%v, %d bits: Verify: %v, want ErrAlgorithm", a.nid, bits, err)
				}
				continue
			}
			if err != nil || len(sig) != bits/8 {
				t.Errorf("%v, %d bits: %d octets, %v", a.nid, bits, len(sig), err)
			}
			if err := Verify(key.Public(), a.nid, message, sig); err != nil {
				t.Errorf("%v, %d bits: %v", a.nid, bits, err)
			}
			slow := *key.(*RSAPrivateKey)
			slow.std = nil
			if own, err := Sign(rand.Reader, &slow, a.nid, message); err != nil || !bytes.Equal(own, sig) {
				t.Errorf("%v, %d bits: crypto/rsa and own code differ (%v)", a.nid, bits, err)
			}
		}
	}
	dsa := mustDSA(t)
	for _, nid := range []NID{DSASHA1, DSASHA1Old, DSASHA224, DSASHA256} {
		sig, err := Sign(rand.Reader, dsa, nid, message)
		if err != nil {
			t.Fatal(err)
		}
		if err := Verify(dsa.Public(), nid, message, sig); err != nil {
			t.Errorf("%v: %v", nid, err)
		}
		for i := range sig {
			bad := bytes.Clone(sig)
			bad[i] ^= 1
			if err := Verify(dsa.Public(), nid, message, bad); !errors.Is(err, ErrSignature) {
				t.Errorf("%v: octet %d changed: %v, want ErrSignature", nid, i, err)
			}
		}
	}
}

func hashSize(a algorithm) int { return a.hash().Size() }

func TestPolicy(t *testing.T) {
	key := hostKey512(t)
	sig, err := Sign(rand.Reader, key, RSAMD5, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	strict := DefaultPolicy()
	strict.MinRSABits = 1024
	noMD5 := DefaultPolicy()
	noMD5.Algorithms = []NID{RSASHA256}
	for name, test := range map[string]struct {
		policy Policy
		want   error
	}{
		"default":    {DefaultPolicy(), nil},
		"zero":       {Policy{}, ErrAlgorithm},
		"1024 bits":  {strict, ErrAlgorithm},
		"only SHA-2": {noMD5, ErrAlgorithm},
	} {
		if err := test.policy.Verify(key.Public(), RSAMD5, []byte("x"), sig); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	for _, nid := range []NID{0, 7, 42, 96, 9999} {
		if err := DefaultPolicy().Allow(nid, key.Public()); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("%v: %v, want ErrAlgorithm", nid, err)
		}
	}
	if err := DefaultPolicy().Allow(RSAMD5, nil); !errors.Is(err, ErrAlgorithm) {
		t.Errorf("no key: %v", err)
	}
}

// Small and odd RSA keys: read, but refused where they cannot work.
func TestRSASizes(t *testing.T) {
	for _, bits := range []int{256, 384, 513, 700, 1023, 1024, 1025} {
		key := makeRSA(t, bits)
		data, err := EncodeKey(rand.Reader, Header{Name: "ntpkey_RSAhost_tick"}, key, Encoding{})
		if err != nil {
			t.Fatal(err)
		}
		f, err := ReadKey(data, "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.PrivateKey()
		if err != nil || got.Public().Bits() != bits {
			t.Errorf("%d bits: %v", bits, err)
			continue
		}
		sig, err := Sign(rand.Reader, got, RSAMD5, nil)
		if bits < 368 {
			if !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%d bits: Sign: %v, want ErrAlgorithm", bits, err)
			}
			if _, err := EncryptCookie(rand.Reader, &key.RSAPublicKey, 1); !errors.Is(err, ErrUnsupported) {
				t.Errorf("%d bits: EncryptCookie: %v, want ErrUnsupported", bits, err)
			}
			continue
		}
		if err := errors.Join(err, Verify(key.Public(), RSAMD5, nil, sig)); err != nil {
			t.Errorf("%d bits: %v", bits, err)
		}
		c, err := EncryptCookie(rand.Reader, &key.RSAPublicKey, 0xdeadbeef)
		if err != nil {
			t.Fatal(err)
		}
		if cookie, err := DecryptCookie(rand.Reader, key, c); err != nil || cookie != 0xdeadbeef {
			t.Errorf("%d bits: cookie %x, %v", bits, cookie, err)
		}
	}
}

// makeRSA makes a key with a modulus of exactly the given size.
func makeRSA(t testing.TB, bits int) *RSAPrivateKey {
	t.Helper()
	e := big.NewInt(65537)
	for range 1000 {
		p, err1 := rand.Prime(rand.Reader, bits/2)
		q, err2 := rand.Prime(rand.Reader, bits-bits/2)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		n := new(big.Int).Mul(p, q)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(e, phi)
		if n.BitLen() != bits || d == nil || p.Cmp(q) == 0 {
			continue
		}
		key, err := NewRSAPrivateKey(n, e, d, p, q)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	t.Fatal("no key")
	return nil
}

func TestNewKeysRefuse(t *testing.T) {
	k := hostKey512(t)
	two := big.NewInt(2)
	for name, v := range map[string][5]*big.Int{
		"wrong modulus":  {new(big.Int).Add(k.N, two), k.E, k.D, k.P, k.Q},
		"even exponent":  {k.N, big.NewInt(65536), k.D, k.P, k.Q},
		"wrong exponent": {k.N, big.NewInt(3), k.D, k.P, k.Q},
		"d = 0":          {k.N, k.E, new(big.Int), k.P, k.Q},
		"prime 1":        {k.N, k.E, k.D, one, k.N},
		"tiny":           {big.NewInt(15), big.NewInt(3), big.NewInt(3), big.NewInt(3), big.NewInt(5)},
	} {
		if _, err := NewRSAPrivateKey(v[0], v[1], v[2], v[3], v[4]); err == nil {
			t.Errorf("RSA, %s: no error", name)
		}
	}
	d := mustDSA(t).(*DSAPrivateKey)
	for name, v := range map[string][5]*big.Int{
		"x = 0":   {d.P, d.Q, d.G, nil, new(big.Int)},
		"x = q":   {d.P, d.Q, d.G, nil, d.Q},
		"g = 1":   {d.P, d.Q, one, nil, d.X},
		"other y": {d.P, d.Q, d.G, d.G, d.X},
		"q = 0":   {d.P, new(big.Int), d.G, nil, d.X},
	} {
		if _, err := newDSAPrivateKey(v[0], v[1], v[2], v[3], v[4]); err == nil {
			t.Errorf("DSA, %s: no error", name)
		}
	}
}

func TestAlgorithmNames(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range algorithms {
		if NIDByScheme(a.scheme) != a.nid && a.hash != nil {
			t.Errorf("%s gives %v", a.scheme, NIDByScheme(a.scheme))
		}
		for _, key := range []string{a.name, a.scheme, fmt.Sprint(a.nid + 0), a.oid.String()} {
			if seen[key] && key != a.name {
				t.Errorf("%s appears twice", key)
			}
			seen[key] = true
		}
	}
	if RSAMD5.String() != "md5WithRSAEncryption" || RSAMD5.Scheme() != "RSA-MD5" || NID(12).Scheme() != "" || NID(12).String() != "NID 12" {
		t.Error("names are wrong")
	}
}
