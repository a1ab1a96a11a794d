package material

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/nke/pki"
)

// start loads a configuration and commits, as serve does.
func (s site) start(at time.Time) *config.Config {
	s.t.Helper()
	path := filepath.Join(s.dir, "site.yaml")
	text := "state_dir: state\nrun_dir: run\nnts: {listen: [\"127.0.0.1:65124\"], names: [tick.example]}\n"
	cfg, err := config.Parse(path, s.dir, []byte(text))
	if err != nil {
		s.t.Fatal(err)
	}
	cfg.Resolve(config.Environment{Hostname: "tick"})
	set := Load(cfg, Options{Now: at})
	if err := set.Findings.Err(); err != nil {
		s.t.Fatal(err)
	}
	if err := set.Store.Commit(); err != nil {
		s.t.Fatal(err)
	}
	for _, f := range set.Findings {
		if f.Grade == NotServed && !(f.Dated && at.Before(pki.Birth)) {
			s.t.Errorf("%v", f)
		}
	}
	return cfg
}

func (s site) read(name string) []byte {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "state", name))
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// A clock that cannot know the date makes no certificate; the next load with one
// that does makes it.
func TestNothingIsMadeWithoutADate(t *testing.T) {
	for _, first := range []time.Time{time.Unix(100, 0), time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		s := newSite(t)
		cfg := s.start(first)
		for _, name := range []string{"nts.crt", "nts-ca.crt", "cookies.secret"} {
			if _, err := os.Stat(filepath.Join(s.dir, "state", name)); !os.IsNotExist(err) {
				t.Errorf("%s was made at %v (%v)", name, first, err)
			}
		}
		if _, err := RenewSelfMade(cfg, first); err == nil {
			t.Error("renewed what is not there")
		}
		s.start(now)
		if err := verifiedBy(s.read("nts-ca.crt"), s.read("nts.crt"), "tick.example", now); err != nil {
			t.Error(err)
		}
	}
}

// A certificate that was made here is renewed in time with the same key under
// the same authority, and one that a wrong clock made when the clock is right.
func TestSelfMadeIsRenewed(t *testing.T) {
	for _, c := range []struct {
		name  string
		first time.Time // the clock at the first start
		at    time.Time
		want  string
	}{
		{"young", now, now.AddDate(0, 6, 0), ""},
		{"old", now, now.AddDate(1, 1, 0), "it ends on"},
		{"over", now, now.AddDate(3, 0, 0), "it ended on"},
		{"clock in 2050", now.AddDate(24, 0, 0), now, "it is not valid before"},
		{"decades later", now, now.AddDate(29, 0, 0), "it ended on"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			cfg := s.start(c.first)
			key, before, authority := s.read("nts.key"), s.read("nts.crt"), s.read("nts-ca.crt")
			why, err := RenewSelfMade(cfg, c.at)
			if err != nil || c.want == "" && why != "" || !strings.HasPrefix(why, c.want) {
				t.Fatalf("%q, %v", why, err)
			}
			after := s.read("nts.crt")
			if bytes.Equal(before, after) != (c.want == "") || !bytes.Equal(key, s.read("nts.key")) {
				t.Error("the certificate, or not the key alone, is as before")
			}
			at := c.at
			if at.Before(pki.Birth) {
				return
			}
			for _, trusted := range [][]byte{authority, before, s.read("nts-ca.crt")} {
				if c.name == "decades later" && !bytes.Equal(trusted, s.read("nts-ca.crt")) {
					continue
				}
				if err := verifiedBy(trusted, after, "tick.example", at); err != nil {
					t.Errorf("a client of before: %v", err)
				}
			}
			if why, err := RenewSelfMade(cfg, c.at); why != "" || err != nil {
				t.Errorf("again: %q, %v", why, err)
			}
			s.start(c.at) // takes it
		})
	}
}

// One that an earlier version made, signed by itself, goes on until shortly
// before its end.
func TestSelfSignedIsReplacedAtItsEnd(t *testing.T) {
	s := newSite(t)
	s.certificate("state/nts", now.Add(60*day), true, "tick.example")
	cfg := s.start(now)
	key := s.read("nts.key")
	if why, err := RenewSelfMade(cfg, now); why != "" || err != nil {
		t.Errorf("%q, %v", why, err)
	}
	why, err := RenewSelfMade(cfg, now.Add(31*day))
	if err != nil || !strings.Contains(why, "nts-ca.crt") {
		t.Fatalf("%q, %v", why, err)
	}
	if !bytes.Equal(key, s.read("nts.key")) {
		t.Error("another key")
	}
	if err := verifiedBy(s.read("nts-ca.crt"), s.read("nts.crt"), "tick.example", now.Add(40*day)); err != nil {
		t.Error(err)
	}
	s.start(now.Add(31 * day))
}

// A certificate whose authority's key is gone is served, and check says so.
func TestAuthorityIsGone(t *testing.T) {
	s := newSite(t)
	s.start(now)
	if err := os.Remove(filepath.Join(s.dir, "state", "nts-ca.key")); err != nil {
		t.Fatal(err)
	}
	r := s.check("nts: {listen: [\"127.0.0.1:65124\"], names: [tick.example]}\n")
	expect(t, r, "error, not served, warning", "warning: nts.generate: the certificate cannot be renewed")
}

// verifiedBy judges the text of a certificate's file as a client would.
func verifiedBy(trusted, text []byte, name string, at time.Time) error {
	chain, err := pki.ParseChain(text)
	if err != nil {
		return err
	}
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), DNSName: name, CurrentTime: at}
	o.Roots.AppendCertsFromPEM(trusted)
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err = chain[0].Verify(o)
	return err
}
