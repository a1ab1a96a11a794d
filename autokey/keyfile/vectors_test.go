package keyfile

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"testing"
	"time"
)

// hexBytes is octets written in hexadecimal, hexInt a number.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

type hexInt struct{ Int *big.Int }

func (h *hexInt) UnmarshalText(text []byte) error {
	x, ok := new(big.Int).SetString(string(text), 16)
	if !ok {
		return fmt.Errorf("not a number: %q", text)
	}
	h.Int = x
	return nil
}

// loadVectors reads a file of testdata/vectors.
func loadVectors[T any](t testing.TB, file string) []T {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Vectors []T }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Vectors) == 0 {
		t.Fatalf("%s: no vectors", file)
	}
	return all.Vectors
}

type signatureVector struct {
	Session    string
	EF         string
	NID        NID
	Signed     hexBytes
	Signature  hexBytes
	N          hexInt `json:"pubkey_n"`
	E          hexInt `json:"pubkey_e"`
	DigestInfo hexBytes
}

func TestSignatureVectors(t *testing.T) {
	for _, v := range loadVectors[signatureVector](t, "signatures.json") {
		pub := &RSAPublicKey{v.N.Int, v.E.Int}
		if err := DefaultPolicy().Verify(pub, v.NID, v.Signed, v.Signature); err != nil {
			t.Errorf("%s %s: %v", v.Session, v.EF, err)
		}
		a := v.NID.find()
		if got := append([]byte(a.prefix), a.digest(v.Signed)...); !bytes.Equal(got, v.DigestInfo) {
			t.Errorf("%s %s: DigestInfo %x, want %x", v.Session, v.EF, got, v.DigestInfo)
		}
		for name, bad := range map[string][]byte{
			"flipped": append([]byte{v.Signature[0] ^ 1}, v.Signature[1:]...),
			"short":   v.Signature[1:],
			"long":    append([]byte{0}, v.Signature...),
			"empty":   nil,
			"modulus": v.N.Int.Bytes(),
		} {
			if err := Verify(pub, v.NID, v.Signed, bad); !errors.Is(err, ErrSignature) {
				t.Errorf("%s %s: %s signature: %v, want ErrSignature", v.Session, v.EF, name, err)
			}
		}
		if err := Verify(pub, v.NID, v.Signed[1:], v.Signature); !errors.Is(err, ErrSignature) {
			t.Errorf("%s %s: other message: %v, want ErrSignature", v.Session, v.EF, err)
		}
	}
}

type certificateVector struct {
	Session   string
	EF        string
	Subject   string
	Issuer    string
	Serial    uint32
	NotBefore string   `json:"not_before"`
	NotAfter  string   `json:"not_after"`
	OID       hexBytes `json:"sigalg_oid_hex"`
	Ext       map[string]hexBytes
	DER       hexBytes
}

func TestCertificateVectors(t *testing.T) {
	issuers := map[string]PublicKey{}
	vectors := loadVectors[certificateVector](t, "certificates.json")
	for _, v := range vectors {
		if c, err := ParseCertificate(v.DER); err == nil && c.SelfSigned() {
			issuers[v.Session+" "+c.Subject] = c.PublicKey
		}
	}
	for _, v := range vectors {
		c, err := ParseCertificate(v.DER)
		if err != nil {
			t.Errorf("%s %s: %v", v.Session, v.EF, err)
			continue
		}
		var id asn1.ObjectIdentifier
		if _, err := asn1.Unmarshal(append([]byte{6, byte(len(v.OID))}, v.OID...), &id); err != nil {
			t.Fatal(err)
		}
		const layout = "060102150405Z"
		if c.Subject != v.Subject || c.Issuer != v.Issuer || c.Serial.Cmp(big.NewInt(int64(v.Serial))) != 0 ||
			c.NotBefore.Format(layout) != v.NotBefore || c.NotAfter.Format(layout) != v.NotAfter || c.NID != nidByOID(id) {
			t.Errorf("%s %s: read as %s, %s, %v, %v, %v, %v", v.Session, v.EF, c.Subject, c.Issuer, c.Serial, c.NotBefore,
				c.NotAfter, c.NID)
		}
		issuer := issuers[v.Session+" "+c.Issuer]
		if issuer == nil {
			t.Logf("%s %s: no certificate of issuer %s", v.Session, v.EF, c.Issuer)
			continue
		}
		if err := c.CheckSignature(DefaultPolicy(), issuer); err != nil {
			t.Errorf("%s %s: %v", v.Session, v.EF, err)
		}
		bad := slices.Clone(v.DER)
		bad[len(bad)-1] ^= 1
		if c, err := ParseCertificate(bad); err != nil || !errors.Is(c.CheckSignature(DefaultPolicy(), issuer), ErrSignature) {
			t.Errorf("%s %s: changed signature passes (%v)", v.Session, v.EF, err)
		}
		if _, err := ParseCertificate(append(slices.Clone(v.DER), 0)); err == nil {
			t.Errorf("%s %s: octet behind the certificate passes", v.Session, v.EF)
		}
	}
}

type cookieVector struct {
	Session string
	Request hexBytes `json:"request_value_pkcs1_der"`
	Reply   hexBytes `json:"reply_value_oaep"`
	Cookie  hexInt
	Key     struct{ N, E, D hexInt } `json:"client_host_key"`
}

// factor returns the primes of n, found from both exponents.
func factor(t testing.TB, n, e, d *big.Int) (p, q *big.Int) {
	t.Helper()
	m := new(big.Int).Mul(e, d)
	m.Sub(m, one)
	s := m.TrailingZeroBits()
	m.Rsh(m, s)
	for base := int64(2); base < 100; base++ {
		x := new(big.Int).Exp(big.NewInt(base), m, n)
		for range s {
			y := new(big.Int).Mul(x, x)
			y.Mod(y, n)
			if y.Cmp(one) == 0 {
				p = new(big.Int).GCD(nil, nil, x.Sub(x, one), n)
				if p.Cmp(one) > 0 && p.Cmp(n) < 0 {
					return p, new(big.Int).Div(n, p)
				}
				break
			}
			x = y
		}
	}
	t.Fatal("modulus does not factor")
	return nil, nil
}

func (v cookieVector) key(t testing.TB) *RSAPrivateKey {
	p, q := factor(t, v.Key.N.Int, v.Key.E.Int, v.Key.D.Int)
	key, err := NewRSAPrivateKey(v.Key.N.Int, v.Key.E.Int, v.Key.D.Int, p, q)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestCookieVectors(t *testing.T) {
	for _, v := range loadVectors[cookieVector](t, "cookies.json") {
		t.Run(v.Session, func(t *testing.T) {
			key, want := v.key(t), uint32(v.Cookie.Int.Uint64())
			if got, err := DecryptCookie(rand.Reader, key, v.Reply); err != nil || got != want {
				t.Errorf("DecryptCookie = %08x, %v; want %08x", got, err, want)
			}
			pub, err := ParsePublicKey(v.Request)
			if err != nil || !pub.Equal(key.Public()) {
				t.Fatalf("ParsePublicKey: %v", err)
			}
			if !bytes.Equal(MarshalPublicKey(pub), v.Request) {
				t.Error("MarshalPublicKey differs")
			}
			for _, cookie := range []uint32{0, 1, want, 1<<32 - 1} {
				reply, err := EncryptCookie(rand.Reader, pub, cookie)
				if err != nil || len(reply) != len(v.Reply) {
					t.Fatalf("EncryptCookie: %d octets, %v", len(reply), err)
				}
				if got, err := DecryptCookie(rand.Reader, key, reply); err != nil || got != cookie {
					t.Errorf("decrypts to %08x, %v; want %08x", got, err, cookie)
				}
				// Both ways of decrypting agree, whichever the key takes.
				slow := *key
				slow.std = nil
				if got, err := DecryptCookie(rand.Reader, &slow, reply); err != nil || got != cookie {
					t.Errorf("decrypts to %08x, %v without crypto/rsa; want %08x", got, err, cookie)
				}
				for i := range reply {
					bad := slices.Clone(reply)
					bad[i] ^= 1
					if _, err := DecryptCookie(rand.Reader, &slow, bad); !errors.Is(err, ErrCookie) {
						t.Fatalf("octet %d changed: %v, want ErrCookie", i, err)
					}
					if i > 3 {
						break
					}
				}
			}
			if _, err := DecryptCookie(rand.Reader, key, v.Reply[1:]); !errors.Is(err, ErrCookie) {
				t.Errorf("short: %v, want ErrCookie", err)
			}
		})
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	good := loadVectors[cookieVector](t, "cookies.json")[0].key(t)
	spki, err := marshalSPKI(good.Public())
	if err != nil {
		t.Fatal(err)
	}
	der := MarshalPublicKey(&good.RSAPublicKey)
	n, e := good.N, good.E
	plus := func(x *big.Int, d int64) *big.Int { return new(big.Int).Add(x, big.NewInt(d)) }
	for name, bad := range map[string][]byte{
		"nothing":        nil,
		"SPKI":           spki,
		"truncated":      der[:len(der)-1],
		"octet behind":   append(slices.Clone(der), 0),
		"even modulus":   MarshalPublicKey(&RSAPublicKey{plus(n, 1), e}),
		"even exponent":  MarshalPublicKey(&RSAPublicKey{n, plus(e, 1)}),
		"exponent 1":     MarshalPublicKey(&RSAPublicKey{n, one}),
		"huge exponent":  MarshalPublicKey(&RSAPublicKey{n, plus(n, -2)}),
		"negative":       MarshalPublicKey(&RSAPublicKey{new(big.Int).Neg(n), e}),
		"small modulus":  MarshalPublicKey(&RSAPublicKey{new(big.Int).Rsh(n, 2), e}),
		"4098 bits":      MarshalPublicKey(&RSAPublicKey{plus(new(big.Int).Lsh(one, 4097), 1), e}),
		"three integers": {0x30, 9, 2, 1, 5, 2, 1, 3, 2, 1, 3},
	} {
		if _, err := ParsePublicKey(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// SIGN responses of ntpd can be rebuilt octet for octet, up to the signature.
func TestSignCertificateLikeNtpd(t *testing.T) {
	vectors := loadVectors[certificateVector](t, "certificates.json")
	key := loadVectors[cookieVector](t, "cookies.json")[1].key(t)
	matched := 0
	for _, v := range vectors {
		if v.EF != "SIGN-R" {
			continue
		}
		want, err := ParseCertificate(v.DER)
		if err != nil {
			t.Fatal(err)
		}
		var request *Certificate
		for _, r := range vectors {
			if r.EF == "SIGN" && r.Session == v.Session && r.Subject == v.Subject {
				if request, err = ParseCertificate(r.DER); err != nil {
					t.Fatal(err)
				}
			}
		}
		if request == nil {
			continue
		}
		der, err := SignCertificate(rand.Reader, request, Issuer{v.Issuer, key, want.NID}, want.NotBefore.Add(300*time.Millisecond))
		if err != nil {
			t.Errorf("%s: %v", v.Session, err)
			continue
		}
		got, err := ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.signed, want.signed) {
			t.Errorf("%s: made\n%x\nntpd made\n%x", v.Session, got.signed, want.signed)
		}
		if err := got.CheckSignature(DefaultPolicy(), key.Public()); err != nil {
			t.Errorf("%s: %v", v.Session, err)
		}
		matched++
	}
	if matched == 0 {
		t.Error("no pair of request and response in the vectors")
	}
}
