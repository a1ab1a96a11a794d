package nke_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
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
		{"order of the others", leaf, leaf.pem() + root.pem() + mid.pem(), "is not the issuer", false, false},
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
		{"nothing", "", "", 0, "failed to find"},
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
