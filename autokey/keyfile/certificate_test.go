package keyfile

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"errors"
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
	header := Header{Name: "ntpkey_" + cert.NID.Scheme() + "cert_tick", Filestamp: stamp, Made: time.Date(2026, 11, 21, 22, 33, 54,
		0, time.UTC)}
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
		der, err := CreateCertificate(rand.Reader, CertificateTemplate{Subject: "tick", NotBefore: when,
			NotAfter: when.Add(time.Hour)}, key, RSAMD5)
		if err != nil {
			t.Fatal(err)
		}
		request, err := ParseCertificate(der)
		if err != nil || !request.NotBefore.Equal(when) || !request.ValidAt(when) || request.ValidAt(when.Add(-time.Second)) ||
			request.ValidAt(when.Add(2*time.Hour)) {
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
		der, err := CreateCertificate(rand.Reader, CertificateTemplate{Subject: "tick", NotBefore: keysMade, NotAfter: keysMade},
			key, RSAMD5)
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
