package pki_test

import (
	"crypto"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/nke/pki"
)

var now = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	text, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	key, err := pki.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// verify judges a chain as a client that trusts the root.
func verify(root *x509.Certificate, chain []*x509.Certificate, name string, at time.Time) error {
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), DNSName: name, CurrentTime: at}
	o.Roots.AddCert(root)
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	return err
}

func TestAuthorities(t *testing.T) {
	root, err := pki.NewRoot("test root", newKey(t), 1, now, 20)
	if err != nil {
		t.Fatal(err)
	}
	inter, err := root.NewIntermediate("test intermediate", newKey(t), now, 40)
	if err != nil {
		t.Fatal(err)
	}
	if inter.Certificate.NotAfter.After(root.Certificate.NotAfter) {
		t.Error("the intermediate outlives the root")
	}
	names := []string{"tick.example", "*.ntp.example", "192.0.2.1", "2001:db8::1"}
	server := newKey(t)
	chain, err := inter.Issue(&pki.Server{Names: names, Days: 90, Before: time.Hour}, server.Public(), false, now)
	if err != nil {
		t.Fatal(err)
	}
	if len(chain) != 2 || chain[0].Subject.CommonName != "tick.example" || chain[0].IsCA {
		t.Fatalf("%d certificates, %v", len(chain), chain[0].Subject)
	}
	for _, name := range []string{"tick.example", "a.ntp.example", "192.0.2.1", "2001:db8::1"} {
		if err := verify(root.Certificate, chain, name, now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if verify(root.Certificate, chain, "other.example", now) == nil ||
		verify(root.Certificate, chain, "tick.example", now.AddDate(0, 0, 91)) == nil {
		t.Error("another name, or after its end")
	}
	read, err := pki.ReadAuthority(pki.PEM(inter.Certificate), mustPEM(t, inter.Key))
	if err != nil || !read.Certificate.Equal(inter.Certificate) {
		t.Errorf("%v", err)
	}
	_, err = pki.ReadAuthority(pki.PEM(inter.Certificate), mustPEM(t, root.Key))
	if err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Errorf("another's key: %v", err)
	}
	_, err = pki.ReadAuthority(pki.PEM(chain[0]), mustPEM(t, server))
	if err == nil || !strings.Contains(err.Error(), "no authority") {
		t.Errorf("a server's: %v", err)
	}
	for _, bad := range [][]string{nil, {"a b"}, {""}, {"-x"}} {
		if _, err := inter.Issue(&pki.Server{Names: bad, Days: 1}, server.Public(), false, now); err == nil {
			t.Errorf("names %q accepted", bad)
		}
	}
	if _, err := pki.ParseKey([]byte("no key")); err == nil {
		t.Error("a text that is no key accepted")
	}
}

func mustPEM(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	text, err := pki.KeyPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// FuzzRead reads any file as one of keys and one of certificates: what is read
// can be written, and read again as the same.
func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.pem")
	if len(files) == 0 {
		f.Fatal("no seeds")
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if key, err := pki.ParseKey(text); err == nil {
			again, err := pki.KeyPEM(key)
			if err != nil {
				t.Fatal(err)
			}
			back, err := pki.ParseKey(again)
			if err != nil || !back.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
				t.Fatalf("another key: %v", err)
			}
		}
		chain, err := pki.ParseChain(text)
		if err != nil {
			return
		}
		back, err := pki.ParseChain(pki.PEM(chain...))
		if err != nil || !slices.EqualFunc(back, chain, (*x509.Certificate).Equal) {
			t.Fatalf("another chain: %v", err)
		}
	})
}

func TestDue(t *testing.T) {
	root, err := pki.NewRoot("root", newKey(t), 0, now, 30)
	if err != nil {
		t.Fatal(err)
	}
	issue := func(at time.Time) *x509.Certificate {
		s := &pki.Server{Names: []string{"a.example", "*.b.example"}, Days: 200, Before: 100 * 24 * time.Hour}
		chain, err := root.Issue(s, root.Key.Public(), true, at)
		if err != nil {
			t.Fatal(err)
		}
		return chain[0]
	}
	names := []string{"a.example", "*.b.example"}
	for _, c := range []struct {
		name string
		made time.Time
		at   time.Time
		want string
	}{
		{"new", now, now, ""},
		{"at half its life", now, now.AddDate(0, 0, 50), ""},
		{"at two thirds", now, now.AddDate(0, 0, 101), "it ends on"},
		{"over", now, now.AddDate(0, 0, 201), "it ended on"},
		{"made by a clock that was ahead", now.AddDate(20, 0, 0), now, "it is not valid before"},
		{"made by a clock in 1970, when that is right", time.Unix(0, 0), now, "it ended on"},
		{"by a clock in 1970", now, time.Unix(0, 0), ""},
	} {
		if why := pki.Due(issue(c.made), names, c.at); c.want == "" && why != "" || !strings.HasPrefix(why, c.want) {
			t.Errorf("%s: %q", c.name, why)
		}
	}
	c := issue(now)
	if why := pki.Due(c, []string{"a.example", "192.0.2.1"}, now); why != "it is not for 192.0.2.1" {
		t.Errorf("%q", why)
	}
	// Made in 1970 it is for a time at which the program was there.
	if c := issue(time.Unix(0, 0)); !c.NotBefore.Before(pki.Birth) || !c.NotAfter.After(pki.Birth) {
		t.Errorf("%v to %v", c.NotBefore, c.NotAfter)
	}
	if missing := pki.Missing(c, append(slices.Clone(names), "z.example")); len(missing) != 1 || missing[0] != "z.example" {
		t.Errorf("%v", missing)
	}
}
