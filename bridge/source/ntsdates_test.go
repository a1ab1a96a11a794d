package source

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"ntsbridge/nts"
)

// The clock is wrong, the certificate is good, and dates are unchecked for a
// while.
func TestNTSWrongClock(t *testing.T) {
	for _, c := range []struct {
		name   string
		wall   time.Time
		server time.Time
		good   bool
	}{
		{"1970", time.Unix(0, 0), goodDate, true},
		{"2050", time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC), goodDate, true},
		{"2105", time.Date(2105, 1, 1, 0, 0, 0, 0, time.UTC), goodDate, true},
		{"just before", certFrom.Add(-time.Second), goodDate, true},
		{"just after", certTo.Add(time.Second), goodDate, true},
		// A server whose certificate has expired cannot say that it has not.
		{"server in 1970", time.Unix(0, 0), time.Unix(1000, 0), false},
		{"server in 2050", time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC), false},
		{"server a day late", certTo.Add(48 * time.Hour), certTo.Add(24 * time.Hour), false},
		{"server a day early", time.Unix(0, 0), certFrom.Add(-24 * time.Hour), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newNTSSite(t)
			s.wall, s.time = c.wall, c.server
			cfg := s.config()
			unchecked := true
			var notices []string
			cfg.Dates.Unchecked = func() bool { return unchecked }
			cfg.OnNotice = func(text string) { notices = append(notices, text) }
			store := newMemoryStore()
			cfg.Store = store
			n := s.dial(cfg)
			if !n.Provisional() || len(notices) != 1 {
				t.Fatalf("provisional %v, notices %q", n.Provisional(), notices)
			}
			for range 3 {
				if err := s.poll(n); c.good != (err == nil) || !c.good && !errors.Is(err, errDate) {
					t.Fatalf("%v", err)
				}
			}
			if len(store.kept) != 0 {
				t.Error("provisional keys were kept")
			}
			// A request is under way while the clock is set.
			p, err := s.request(n)
			if err != nil {
				t.Fatal(err)
			}
			unchecked = false
			if j := n.Open(momentOf(s.clock), s.answer(p)); j.Usable || j.Err == nil {
				t.Errorf("believed after the clock was set: %+v", j)
			}
			// The clock was set to something that the certificate is not for:
			// nothing comes from the source.
			wrong := s.wall
			for range 3 {
				var e *certificateError
				if err := s.poll(n); !errors.As(err, &e) || !e.DatesOnly {
					t.Fatalf("by the wrong clock %v: %v", wrong, err)
				}
			}
			if !n.Provisional() {
				t.Error("confirmed without a good key establishment")
			}
			s.wall, s.time = goodDate, goodDate
			n.Retry()
			s.good(n, 3)
			if n.Provisional() || n.Status().KeyID != 2 || len(store.kept) != 1 {
				t.Errorf("not confirmed: %+v", n.Status())
			}
			s.reused()
		})
	}
}

// Confirm does what the end of Unchecked does.
func TestNTSConfirm(t *testing.T) {
	s := newNTSSite(t)
	s.wall = time.Unix(0, 0)
	cfg := s.config()
	cfg.Dates.Unchecked = func() bool { return true }
	n := s.dial(cfg)
	s.good(n, 2)
	s.wall = goodDate
	s.good(n, 1)
	if !n.Provisional() || s.count.Load() != 1 {
		t.Errorf("confirmed too early: %+v", n.Status())
	}
	n.Confirm()
	if !n.Provisional() {
		t.Error("confirmed without key establishment")
	}
	s.good(n, 1)
	if n.Provisional() || s.count.Load() != 2 {
		t.Errorf("not confirmed: %+v", n.Status())
	}
	// Keys that are not provisional stay, if the certificate is good by the new
	// date, and else not.
	s.wall = goodDate.AddDate(0, 1, 0)
	n.Confirm()
	s.good(n, 1)
	if s.count.Load() != 2 {
		t.Error("keys were made anew though the certificate is good")
	}
	s.wall = certTo.Add(time.Hour)
	cfgExpired := errors.New("")
	n.Confirm()
	for range 3 {
		if cfgExpired = s.poll(n); cfgExpired == nil { // Unchecked is still true: provisional again
			break
		}
	}
	if s.count.Load() != 3 || !n.Provisional() {
		t.Errorf("%v: %d key establishments, %+v", cfgExpired, s.count.Load(), n.Status())
	}
}

func TestNTSFloor(t *testing.T) {
	s := newNTSSite(t)
	s.wall = time.Unix(0, 0)
	cfg := s.config()
	cfg.Dates.Floor = goodDate.AddDate(0, 0, -7)
	var notices []string
	cfg.OnNotice = func(text string) { notices = append(notices, text) }
	n := s.dial(cfg)
	s.good(n, 3)
	if !n.Provisional() || len(notices) != 1 || !strings.Contains(notices[0], "1970-01-01") || !strings.Contains(notices[0], "2026-01-25") {
		t.Errorf("provisional %v, notices %q", n.Provisional(), notices)
	}
	// A time that the certificate is not good for is not believed.
	s.time = certTo.AddDate(0, 0, 1)
	if err := s.poll(n); !errors.Is(err, errDate) {
		t.Errorf("%v", err)
	}
	s.time, s.wall = goodDate, goodDate
	s.good(n, 1)
	if n.Provisional() || s.count.Load() != 2 || len(notices) != 1 {
		t.Errorf("not confirmed: %+v, %q", n.Status(), notices)
	}

	// The floor is no excuse.
	cfg.Dates.Floor = certTo.AddDate(0, 0, 1)
	for _, s.wall = range []time.Time{time.Unix(0, 0), goodDate} {
		_, _, err := DialNTS(t.Context(), cfg)
		if d := Diagnose(err); d.Cause != causeCertificateExpired || !strings.Contains(d.Text, "at least 2026-04-02") {
			t.Errorf("floor after the certificate, clock %v: %+v", s.wall, d)
		}
	}
}

// Dates that are unchecked excuse nothing else.
func TestNTSUncheckedIsForDatesOnly(t *testing.T) {
	for _, c := range []struct {
		name  string
		cert  func(s *ntsSite) tls.Certificate
		cause Cause
	}{
		{"name", func(s *ntsSite) tls.Certificate {
			return s.authority.issue(t, "other.test", certFrom, certTo)
		}, CauseCertificateName},
		{"no name", func(s *ntsSite) tls.Certificate {
			return s.authority.issue(t, "", certFrom, certTo, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil })
		}, CauseCertificateName},
		{"authority", func(s *ntsSite) tls.Certificate {
			return newTestAuthority(t, "test authority").issue(t, loopbackName, certFrom, certTo)
		}, CauseUnknownAuthority},
		{"use", func(s *ntsSite) tls.Certificate {
			return s.authority.issue(t, loopbackName, certFrom, certTo,
				func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
		}, causeCertificate},
	} {
		for _, wall := range []time.Time{time.Unix(0, 0), goodDate, certTo.AddDate(20, 0, 0)} {
			s := newNTSSite(t)
			s.wall = wall
			cert := c.cert(s)
			s.cert.Store(&cert)
			cfg := s.config()
			cfg.Dates = TimeCheck{Floor: certFrom, Unchecked: func() bool { return true }}
			cfg.TLS.InsecureSkipVerify = true // does not count
			_, _, err := DialNTS(t.Context(), cfg)
			if causeOf(err) != c.cause {
				t.Errorf("%s, clock %v: %v (%s)", c.name, wall, err, causeOf(err))
			}
		}
	}
}

// Without Unchecked a wrong clock gets nothing, and says so.
func TestNTSStrictDates(t *testing.T) {
	s := newNTSSite(t)
	for wall, want := range map[time.Time]Cause{
		time.Unix(0, 0): causeCertificateEarly, certFrom.Add(-time.Second): causeCertificateEarly,
		certTo.Add(time.Second): causeCertificateExpired, certTo.AddDate(30, 0, 0): causeCertificateExpired,
	} {
		s.wall = wall
		_, _, err := DialNTS(t.Context(), s.config())
		if d := Diagnose(err); d.Cause != want || !strings.Contains(d.Text, "clock says "+date(wall)) {
			t.Errorf("%v: %+v", wall, d)
		}
	}
	for _, s.wall = range []time.Time{certFrom, goodDate, certTo} {
		if n := s.dial(s.config()); n.Provisional() {
			t.Errorf("%v: provisional", s.wall)
		}
	}
}

// The dates are those of the whole chain.
func TestNTSChainDates(t *testing.T) {
	s := newNTSSite(t)
	s.authority.cert.NotAfter = goodDate.AddDate(0, 0, -1) // made again below
	short := *s.authority
	template := *short.cert
	short.cert = signed(t, &template, &template, &short.key.PublicKey, short.key)
	s.authority = &short
	cert := s.authority.issue(t, loopbackName, certFrom, certTo)
	s.cert.Store(&cert)
	_, _, err := DialNTS(t.Context(), s.config())
	if d := Diagnose(err); d.Cause != causeCertificateExpired || !strings.Contains(d.Text, `authority "CN=test authority"`) {
		t.Errorf("%+v", d)
	}
	cfg := s.config()
	cfg.Dates.Unchecked = func() bool { return true }
	n := s.dial(cfg)
	if err := s.poll(n); !errors.Is(err, errDate) {
		t.Errorf("a time after the end of the authority: %v", err)
	}
	s.time = goodDate.AddDate(0, 0, -2)
	s.good(n, 1)
}

// The base of the TLS settings may refuse more.
func TestNTSMoreVerification(t *testing.T) {
	s := newNTSSite(t)
	refuse := errors.New("not this one")
	for name, cfg := range map[string]*tls.Config{
		"connection": {VerifyConnection: func(cs tls.ConnectionState) error {
			if len(cs.VerifiedChains) == 0 || cs.NegotiatedProtocol != nts.ALPN {
				t.Error("without chains")
			}
			return refuse
		}},
		"certificate": {VerifyPeerCertificate: func(raw [][]byte, chains [][]*x509.Certificate) error {
			if len(raw) == 0 || len(chains) == 0 {
				t.Error("without chains")
			}
			return refuse
		}},
	} {
		c := s.config()
		cfg.Time, c.TLS = c.TLS.Time, cfg
		if _, _, err := DialNTS(t.Context(), c); !errors.Is(err, refuse) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// With an intermediate certificate each failure has its own reason: those not
// about dates win, and a date that is named is one that has passed.
func TestNTSReasonsWithIntermediate(t *testing.T) {
	root, stranger := newTestAuthority(t, "root"), newTestAuthority(t, "stranger")
	intermediate := func(to time.Time) *testAuthority {
		a := &testAuthority{key: newTestKey(t)}
		template := &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "intermediate"}, IsCA: true,
			BasicConstraintsValid: true, NotBefore: certFrom.AddDate(-1, 0, 0), NotAfter: to, KeyUsage: x509.KeyUsageCertSign}
		a.cert = signed(t, template, root.cert, &a.key.PublicKey, root.key)
		return a
	}
	good, over := intermediate(certTo.AddDate(4, 0, 0)), intermediate(goodDate.AddDate(0, 0, -1))
	for name, c := range map[string]struct {
		trusted *testAuthority
		by      *testAuthority
		host    string
		send    bool // the intermediate
		expired bool // the leaf
		want    Cause
	}{
		"good":                    {root, good, loopbackName, true, false, CauseNone},
		"unknown authority":       {stranger, good, loopbackName, true, false, CauseUnknownAuthority},
		"and expired":             {stranger, good, loopbackName, true, true, CauseUnknownAuthority},
		"intermediate missing":    {root, good, loopbackName, false, false, CauseUnknownAuthority},
		"wrong name":              {root, good, "192.0.2.1", true, false, CauseCertificateName},
		"wrong name and expired":  {root, good, "192.0.2.1", true, true, CauseCertificateName},
		"intermediate expired":    {root, over, loopbackName, true, false, causeCertificateExpired},
		"expired, missing, alien": {stranger, over, loopbackName, false, true, CauseUnknownAuthority},
		"leaf expired":            {root, good, loopbackName, true, true, causeCertificateExpired},
	} {
		t.Run(name, func(t *testing.T) {
			s := newNTSSite(t)
			s.authority = c.trusted
			to := certTo
			if c.expired {
				to = goodDate.AddDate(0, 0, -2)
			}
			cert := c.by.issue(t, c.host, certFrom, to)
			if c.send {
				cert.Certificate = append(cert.Certificate, c.by.cert.Raw)
			}
			s.cert.Store(&cert)
			n, _, err := DialNTS(t.Context(), s.config())
			if err == nil {
				n.Close()
			}
			d := Diagnose(err)
			if d.Cause != c.want {
				t.Errorf("%s: %s", d.Cause, d.Text)
			}
			for _, year := range []string{"2030", "2031", "2032"} { // the ends of authorities
				if strings.Contains(d.Text, "expired") && strings.Contains(d.Text, year) {
					t.Errorf("an expiry that is invented: %s", d.Text)
				}
			}
		})
	}
}
