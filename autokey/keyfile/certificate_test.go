package keyfile

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"
)

// Certificates of ntp-keygen can be made again octet for octet: with RSA the
// signature as well, with DSA all but that.
func TestCreateCertificateLikeKeygen(t *testing.T) {
	for _, c := range loadCases {
		h, err := LoadHost(os.DirFS("testdata/"+c.dir), c.options())
		if err != nil {
			t.Fatalf("%s: %v", c.dir, err)
		}
		want := h.Certificate
		der, err := CreateCertificate(rand.Reader, CertificateTemplate{
			Subject:   want.Subject,
			Serial:    uint32(want.Serial.Uint64()),
			NotBefore: want.NotBefore,
			NotAfter:  want.NotAfter,
			Trusted:   want.Trusted,
			Private:   want.Private,
			GQPublic:  want.GQPublic,
		}, h.Signer(), want.NID)
		if err != nil {
			t.Errorf("%s: %v", c.dir, err)
			continue
		}
		if _, rsa := h.Signer().(*RSAPrivateKey); rsa {
			if !bytes.Equal(der, want.Raw) {
				t.Errorf("%s: made\n%x\nntp-keygen made\n%x", c.dir, der, want.Raw)
			}
			continue
		}
		got, err := ParseCertificate(der)
		if err != nil || !bytes.Equal(got.signed, want.signed) {
			t.Errorf("%s: another certificate (%v)", c.dir, err)
		}
		if err := got.CheckSignature(DefaultPolicy(), h.Signer().Public()); err != nil {
			t.Errorf("%s: %v", c.dir, err)
		}
	}
}

// So can whole certificate files be.
func TestEncodeCertificateLikeKeygen(t *testing.T) {
	want := mustRead(t, "keys/tc-rsa512-md5/ntpkey_cert_tick")
	cert, stamp, err := ReadCertificate(want)
	if err != nil {
		t.Fatal(err)
	}
	header := Header{Name: "ntpkey_" + cert.NID.Scheme() + "cert_tick", Filestamp: stamp, Made: time.Date(2026, 11, 21, 22, 33, 54, 0, time.UTC)}
	got, err := EncodeCertificate(header, cert.Raw)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("wrote\n%s\nntp-keygen wrote\n%s (%v)", got, want, err)
	}
	if header.FileName() != "ntpkey_RSA-MD5cert_tick.4004289234" {
		t.Errorf("file name %s", header.FileName())
	}
}

func TestCreateCertificateRefuses(t *testing.T) {
	key := hostKey512(t)
	good := CertificateTemplate{Subject: "tick", NotBefore: keysMade, NotAfter: keysMade}
	for name, test := range map[string]struct {
		change func(*CertificateTemplate)
		nid    NID
		want   error
	}{
		"no name":          {func(c *CertificateTemplate) { c.Subject = "" }, RSAMD5, ErrCertificate},
		"long name":        {func(c *CertificateTemplate) { c.Subject = strings.Repeat("x", 65) }, RSAMD5, ErrCertificate},
		"not UTF-8":        {func(c *CertificateTemplate) { c.Subject = "\xff" }, RSAMD5, ErrCertificate},
		"trusted, private": {func(c *CertificateTemplate) { c.Trusted, c.Private = true, true }, RSAMD5, ErrCertificate},
		"DSA with RSA key": {func(*CertificateTemplate) {}, DSASHA1, ErrAlgorithm},
		"MDC2":             {func(*CertificateTemplate) {}, 96, ErrAlgorithm},
		"no algorithm":     {func(*CertificateTemplate) {}, 0, ErrAlgorithm},
		"SHA512, 512 bits": {func(*CertificateTemplate) {}, RSASHA512, ErrAlgorithm},
	} {
		c := good
		test.change(&c)
		if _, err := CreateCertificate(rand.Reader, c, key, test.nid); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// Validity beyond 2049 is written in the other form of time, and serial
// numbers go on after the end of the era.
func TestCertificateDates(t *testing.T) {
	key := hostKey512(t)
	for _, year := range []int{1999, 2026, 2036, 2049, 2050, 2100} {
		when := time.Date(year, 12, 31, 23, 59, 59, 0, time.UTC)
		der, err := CreateCertificate(rand.Reader, CertificateTemplate{Subject: "tick", NotBefore: when, NotAfter: when.Add(time.Hour)}, key, RSAMD5)
		if err != nil {
			t.Fatal(err)
		}
		request, err := ParseCertificate(der)
		if err != nil || !request.NotBefore.Equal(when) || !request.ValidAt(when) || request.ValidAt(when.Add(-time.Second)) || request.ValidAt(when.Add(2*time.Hour)) {
			t.Errorf("%d: %v, %v", year, request, err)
		}
		signed, err := SignCertificate(rand.Reader, request, Issuer{"tock", key, RSAMD5}, when)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCertificate(signed)
		if err != nil || c.Issuer != "tock" || !c.NotAfter.Equal(when.Add(365*24*time.Hour)) {
			t.Errorf("%d: %v, %v", year, c, err)
		}
	}
}

// names maps the DER of a Name to what ntpd makes of it, empty for refused.
func TestCommonName(t *testing.T) {
	type attribute = struct {
		ID    asn1.ObjectIdentifier
		Value any
	}
	name := func(attributes ...attribute) []byte {
		var sets [][]attribute
		for _, a := range attributes {
			sets = append(sets, []attribute{a})
		}
		var all []asn1.RawValue
		for _, s := range sets {
			der, err := asn1.MarshalWithParams(s, "set")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, asn1.RawValue{FullBytes: der})
		}
		der, err := asn1.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	cn := func(s string) attribute { return attribute{oidCommonName, s} }
	o := attribute{oid(2, 5, 4, 10), "Org"}
	for _, test := range []struct {
		name []byte
		want string
	}{
		{name(cn("tick")), "tick"},
		{name(attribute{oid(2, 5, 4, 6), "DE"}, o, cn("multi")), "multi"},
		{name(cn("a"), o), "a/O=Org"},
		{name(cn("a"), cn("b")), "a/CN=b"},
		{name(cn("a"), attribute{oid(1, 2, 3), "x"}), "a/1.2.3=x"},
		{name(attribute{oid(2, 5, 4, 10), "XCN=fake"}, cn("true")), "fake/CN=true"},
		{name(cn("tück")), `t\xC3\xBCck`},
		{name(cn("tick@grp")), "tick@grp"},
		{name(cn("Tick Tock~")), "Tick Tock~"},
		{name(o), ""},
		{name(), ""},
		{name(attribute{oid(2, 5, 4, 10), strings.Repeat("x", 250)}, cn("late")), ""},
		{name(cn("a"), attribute{oid(2, 5, 4, 10), strings.Repeat("x", 250)}), "a"},
		{[]byte{0x30, 1}, ""},
		{append(name(cn("tick")), 0), ""},
	} {
		got, err := commonName(test.name)
		if got != test.want || (test.want == "") != (err != nil) {
			t.Errorf("%x: %q, %v; want %q", test.name, got, err, test.want)
		}
	}
}

// Trust needs an extended key usage of exactly one OID.
func TestExtendedKeyUsage(t *testing.T) {
	key := hostKey512(t)
	for _, test := range []struct {
		usages           []asn1.ObjectIdentifier
		trusted, private bool
	}{
		{[]asn1.ObjectIdentifier{oidTrustRoot}, true, false},
		{[]asn1.ObjectIdentifier{oidPrivate}, false, true},
		{[]asn1.ObjectIdentifier{oidTrustRoot, oidPrivate}, false, false},
		{[]asn1.ObjectIdentifier{oidTrustRoot, oid(1, 3, 6, 1, 5, 5, 7, 3, 1)}, false, false},
		{[]asn1.ObjectIdentifier{oid(1, 3, 6, 1, 5, 5, 7, 3, 8)}, false, false},
		{nil, false, false},
	} {
		der, err := CreateCertificate(rand.Reader, CertificateTemplate{Subject: "tick", NotBefore: keysMade, NotAfter: keysMade}, key, RSAMD5)
		if err != nil {
			t.Fatal(err)
		}
		request, err := ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if test.usages != nil {
			value, err := asn1.Marshal(test.usages)
			if err != nil {
				t.Fatal(err)
			}
			type extension struct {
				ID    asn1.ObjectIdentifier
				Value []byte
			}
			request.parts.extensions, err = asn1.MarshalWithParams([]extension{{oidExtKeyUsage, value}}, "explicit,tag:3")
			if err != nil {
				t.Fatal(err)
			}
		}
		der, err = SignCertificate(rand.Reader, request, Issuer{"tock", key, RSAMD5}, keysMade)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCertificate(der)
		if err != nil || c.Trusted != test.trusted || c.Private != test.private {
			t.Errorf("%v: trusted %t, private %t, %v", test.usages, c.Trusted, c.Private, err)
		}
	}
}

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
		if _, err := NewDSAPrivateKey(v[0], v[1], v[2], v[3], v[4]); err == nil {
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
