package nke_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/nke"
)

// issued is a certificate with its key.
type issued struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var judged = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// issue makes a certificate; by nil it is self-signed.
func issue(t testing.TB, name string, by *issued, curve elliptic.Curve, change func(*x509.Certificate)) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		BasicConstraintsValid: true,
		NotBefore:             judged.AddDate(-1, 0, 0), NotAfter: judged.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature}
	if strings.HasPrefix(name, "ca") {
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign
	} else {
		c.DNSNames = []string{name}
	}
	if change != nil {
		change(c)
	}
	parent, signer := c, crypto.Signer(key)
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{cert, key}
}

// again is another certificate for the name and key of one.
func again(t testing.TB, of, by *issued, change func(*x509.Certificate)) *issued {
	t.Helper()
	c := *of.cert
	c.SerialNumber, c.AuthorityKeyId = big.NewInt(time.Now().UnixNano()), nil
	if change != nil {
		change(&c)
	}
	der, err := x509.CreateCertificate(rand.Reader, &c, by.cert, of.key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{cert, of.key}
}

func (i *issued) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw}))
}

func (i *issued) keyDER(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (i *issued) keyPEM(t testing.TB) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: i.keyDER(t)}))
}

// read loads a pair of texts.
func read(t testing.TB, cert, key string) (*nke.Certificates, error) {
	t.Helper()
	dir := t.TempDir()
	f := nke.Files{Certificate: filepath.Join(dir, "c"), Key: filepath.Join(dir, "k")}
	for path, text := range map[string]string{f.Certificate: cert, f.Key: key} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return nke.LoadCertificates([]nke.Files{f})
}

// What clients hold against a chain.
func TestComplaints(t *testing.T) {
	p256 := elliptic.P256()
	root := issue(t, "ca root", nil, p256, nil)
	mid := issue(t, "ca mid", root, p256, nil)
	over := issue(t, "ca over", root, p256, func(c *x509.Certificate) { c.NotAfter = judged.AddDate(0, 0, -1) })
	early := issue(t, "ca early", root, p256, func(c *x509.Certificate) { c.NotBefore = judged.AddDate(0, 0, 1) })
	twin := issue(t, "ca mid", root, p256, nil) // another key of the same name
	plain := issue(t, "mid.test", root, p256, nil)
	leaf := issue(t, "a.test", mid, p256, nil)
	byPlain := issue(t, "b.test", plain, p256, nil)
	byOver, byEarly := issue(t, "c.test", over, p256, nil), issue(t, "d.test", early, p256, nil)
	noSignature := issue(t, "e.test", mid, p256, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	authority := issue(t, "f.test", mid, p256, func(c *x509.Certificate) { c.IsCA = true })
	p521 := issue(t, "g.test", mid, elliptic.P521(), nil)
	gone := issue(t, "h.test", mid, p256, func(c *x509.Certificate) { c.NotAfter = judged.AddDate(0, 0, -1) })
	other := issue(t, "a.other", nil, p256, nil)
	cross, ended := again(t, mid, issue(t, "ca else", nil, p256, nil), nil), again(t, mid, root, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = judged.AddDate(-3, 0, 0), judged.AddDate(0, 0, -1)
	})
	narrow := issue(t, "ca narrow", root, p256, func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"example.org"}
	})
	outside, inside := issue(t, "a.test", narrow, p256, nil), issue(t, "a.example.org", narrow, p256, nil)
	last := issue(t, "ca last", root, p256, func(c *x509.Certificate) { c.MaxPathLenZero = true })
	below := issue(t, "ca below", last, p256, nil)
	deep := issue(t, "a.test", below, p256, nil)
	clients := issue(t, "ca clients", root, p256, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	byClients := issue(t, "a.test", clients, p256, nil)
	with := func(id asn1.ObjectIdentifier, critical bool, value []byte) *issued {
		return issue(t, "a.test", mid, p256, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: id, Critical: critical, Value: value}}
		})
	}
	critical := with(asn1.ObjectIdentifier{1, 2, 3, 4}, true, []byte{5, 0})
	stapled := with(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, false, []byte{0x30, 3, 2, 1, 5})
	for _, c := range []struct {
		name  string
		leaf  *issued
		chain string
		want  string // empty: nothing
		dated bool
		some  bool
	}{
		{"good", leaf, leaf.pem() + mid.pem(), "", false, false},
		{"with the root", leaf, leaf.pem() + mid.pem() + root.pem(), "", false, false},
		{"alone", leaf, leaf.pem(), "", false, false},
		{"expired", gone, gone.pem() + mid.pem(), "expired on 2026-10-31", true, false},
		{"intermediate expired", byOver, byOver.pem() + over.pem(), "certificate 2 of the file (CN=ca over) expired", true, false},
		{"intermediate early", byEarly, byEarly.pem() + early.pem(), "certificate 2 of the file (CN=ca early) is not valid before",
			true, false},
		{"second is not the issuer", leaf, leaf.pem() + root.pem(), "is not the issuer of the one before, which is CN=ca mid",
			false, false},
		{"order of the others", leaf, leaf.pem() + root.pem() + mid.pem(), "is not the issuer", false, true},
		{"one that belongs to nothing", leaf, leaf.pem() + mid.pem() + other.pem(),
			"certificate 3 of the file (CN=a.other) is not the issuer", false, true},
		{"twice", leaf, leaf.pem() + mid.pem() + leaf.pem() + mid.pem(),
			"certificate 3 of the file (CN=a.test) is not the issuer", false, true},
		{"cross-signed", leaf, leaf.pem() + cross.pem() + mid.pem(), "certificate 3 of the file (CN=ca mid) has the name of certificate 2", false, true},
		{"two ages of one", leaf, leaf.pem() + ended.pem() + mid.pem(), "certificate 2 of the file (CN=ca mid) expired", true, false},
		{"expired, and needed by nobody", leaf, leaf.pem() + mid.pem() + over.pem(),
			"certificate 3 of the file (CN=ca over) expired", true, true},
		{"names of the authority", outside, outside.pem() + narrow.pem(), "may not issue for its names", false, false},
		{"names of the authority, kept", inside, inside.pem() + narrow.pem() + root.pem(), "", false, false},
		{"too deep", deep, deep.pem() + below.pem() + last.pem(), "path length", false, false},
		{"authority for clients", byClients, byClients.pem() + clients.pem(), "not for TLS servers", false, true},
		{"critical extension", critical, critical.pem() + mid.pem(), "marked critical that clients do not know (1.2.3.4)", false, false},
		{"must-staple", stapled, stapled.pem() + mid.pem(), "must-staple", false, true},
		{"issuer of another key", leaf, leaf.pem() + twin.pem(), "did not sign it", false, false},
		{"issuer is none", byPlain, byPlain.pem() + plain.pem(), "may not issue certificates", false, false},
		{"key usage", noSignature, noSignature.pem() + mid.pem(), "digitalSignature", false, false},
		{"an authority", authority, authority.pem() + mid.pem(), "ntpd-rs", false, true},
		{"P-521", p521, p521.pem() + mid.pem(), "P-521", false, true},
		{"cut off", leaf, leaf.pem() + mid.pem()[:200], "cut off", false, false},
	} {
		loaded, err := read(t, c.chain, c.leaf.keyPEM(t))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		list := loaded.Complaints(judged)[0]
		if c.want == "" {
			if len(list) > 0 {
				t.Errorf("%s: %v", c.name, list)
			}
			continue
		}
		found := func(x nke.Complaint) bool {
			return strings.Contains(x.Text, c.want) && x.Dated == c.dated && x.Some == c.some
		}
		if !slices.ContainsFunc(list, found) {
			t.Errorf("%s: %v, want %q", c.name, list, c.want)
		}
	}
}

// What Go's clients say of a chain agrees with the complaints that all share.
func TestComplaintsAgreeWithGo(t *testing.T) {
	p256 := elliptic.P256()
	root := issue(t, "ca root", nil, p256, nil)
	mid := issue(t, "ca mid", root, p256, nil)
	over := issue(t, "ca over", root, p256, func(c *x509.Certificate) { c.NotAfter = judged.AddDate(0, 0, -1) })
	for _, by := range []*issued{mid, over} {
		leaf := issue(t, "a.test", by, p256, nil)
		loaded, err := read(t, leaf.pem()+by.pem(), leaf.keyPEM(t))
		if err != nil {
			t.Fatal(err)
		}
		roots, between := x509.NewCertPool(), x509.NewCertPool()
		roots.AddCert(root.cert)
		between.AddCert(by.cert)
		_, err = leaf.cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: judged, DNSName: "a.test"})
		if list := loaded.Complaints(judged)[0]; (err == nil) != (len(list) == 0) {
			t.Errorf("Go says %v, we say %v", err, list)
		}
	}
}

// Forms that other servers take are taken; what is not says why.
func TestForms(t *testing.T) {
	root := issue(t, "ca root", nil, elliptic.P256(), nil)
	leaf := issue(t, "a.test", root, elliptic.P256(), nil)
	cert, key, chain := leaf.pem(), leaf.keyPEM(t), leaf.pem()+root.pem()
	ec, err := x509.MarshalECPrivateKey(leaf.key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte{0x30, 0}}))
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, cert, key string
		count           int    // certificates of the chain
		want            string // part of the error; empty: none
	}{
		{"plain", chain, key, 2, ""},
		{"byte order mark", "\xef\xbb\xbf" + chain, "\xef\xbb\xbf" + key, 2, ""},
		{"indented", "  " + strings.ReplaceAll(chain, "\n", "\n\t "), "  " + strings.ReplaceAll(key, "\n", "\n  "), 2, ""},
		{"no newline between", strings.ReplaceAll(chain, "-----\n-----", "----------"), key, 2, ""},
		{"carriage returns", strings.ReplaceAll(chain, "\n", "\r\n"), strings.ReplaceAll(key, "\n", "\r\n"), 2, ""},
		{"text before", "Certificate:\n    Data: x\n" + chain, key, 2, ""},
		{"no newline at the end", strings.TrimSpace(chain), strings.TrimSpace(key), 2, ""},
		{"DER", string(leaf.cert.Raw), string(leaf.keyDER(t)), 1, ""},
		{"DER key, SEC 1", cert, string(ec), 1, ""},
		{"key and certificate in one file", cert, key + cert, 1, ""},
		{"wrong order", root.pem() + cert, key, 0, "wrong order: the key belongs to certificate 2"},
		{"encrypted key", cert, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", 0, "is encrypted"},
		{"old encrypted key", cert,
			"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n", 0, "is encrypted"},
		{"first block cut off", cert[:100], key, 0, "cut off"},
		{"key of another", cert, (&issued{key: other}).keyPEM(t), 0, "private key"},
		{"nothing", "", "", 0, "certificate file is empty"},
		{"no key yet", chain, "\n", 0, "private key file is empty"},
		{"key cut off", chain, key[:80], 0, "private key file is cut off"},
		{"key is public", chain, block("PUBLIC KEY"), 0, "no private key"},
		{"key is a certificate", chain, cert, 0, "mixed up"},
		{"key of SSH", chain, block("OPENSSH PRIVATE KEY"), 0, "ssh-keygen"},
		{"mixed up", key, cert, 0, "mixed up"},
		{"PKCS 7", block("PKCS7"), key, 0, "openssl pkcs7"},
		{"PKCS 12", "\x30\x20\x02\x01\x03\x30\x1b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", key, 0, "openssl pkcs12"},
		{"request", block("CERTIFICATE REQUEST"), key, 0, "a request"},
		{"trusted certificate", strings.ReplaceAll(chain, " CERT", " TRUSTED CERT"), key, 0, "openssl x509"},
		{"UTF-16", "\xff\xfe-\x00-\x00", key, 0, "UTF-16"},
		{"compressed", "\x1f\x8b\x08\x00", key, 0, "gunzip"},
		{"prose", "no certificate yet", key, 0, "no -----BEGIN"},
	} {
		loaded, err := read(t, c.cert, c.key)
		switch {
		case c.want != "":
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", c.name, err, c.want)
			}
		case err != nil:
			t.Errorf("%s: %v", c.name, err)
		case len(loaded.Chains()[0]) != c.count:
			t.Errorf("%s: %d certificates", c.name, len(loaded.Chains()[0]))
		}
	}
}

// Every text gets an answer.
func FuzzPair(f *testing.F) {
	leaf := issue(f, "a.test", nil, elliptic.P256(), nil)
	cert, key := leaf.pem(), leaf.keyPEM(f)
	for _, text := range []string{cert, cert + cert, cert[:200], "\xef\xbb\xbf" + cert, "  " + cert, string(leaf.cert.Raw), key, ""} {
		f.Add([]byte(text), []byte(key))
	}
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		files := nke.Files{Certificate: "c", Key: "k"}
		c, err := nke.ReadCertificates([]nke.Files{files}, func(path string) ([]byte, error) {
			if path == "c" {
				return cert, nil
			}
			return key, nil
		})
		if err == nil {
			c.Complaints(judged)
		}
	})
}
