package nke_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/nke/pki"
	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

const loopback = "127.0.0.1"

func testRing(t testing.TB) *nts.Ring {
	t.Helper()
	cookieSecret, err := nts.NewSecret(bytes.NewReader(bytes.Repeat([]byte{1}, 32)), time.Now().Add(-5*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	r, err := nts.NewRing(cookieSecret, nil, time.Hour, 2, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func selfSigned(t testing.TB, names ...string) nke.Files {
	t.Helper()
	dir := t.TempDir()
	f := nke.Files{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	makeSelfSigned(t, f, names, time.Now())
	return f
}

// makeSelfSigned writes a self-signed certificate and its key.
func makeSelfSigned(t testing.TB, f nke.Files, names []string, now time.Time) {
	t.Helper()
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := pki.ParseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := pki.NewRoot("test "+names[0], signer, 0, now, 30)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := root.Issue(&pki.Server{Names: names, Days: 3700, Before: 24 * time.Hour}, signer.Public(), true, now)
	if err != nil {
		t.Fatal(err)
	}
	cert := pki.PEM(chain...)
	for path, text := range map[string][]byte{f.Key: key, f.Certificate: cert} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func testConfig(t testing.TB, files ...nke.Files) nke.Config {
	t.Helper()
	ke, err := nts.NewKEServer(nil, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	ring := testRing(t)
	return nke.Config{
		Listen:       []netip.AddrPort{netip.MustParseAddrPort(loopback + ":0")},
		Certificates: files, KE: ke, Ring: func() *nts.Ring { return ring },
		Limits: nke.Limits{Rate: -1},
	}
}

func listen(t testing.TB, c nke.Config) (*nke.Server, string) {
	t.Helper()
	s, err := nke.Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, s.Addrs()[0].String()
}

func clientTLS(t testing.TB, f nke.Files) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(f.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate")
	}
	return &tls.Config{RootCAs: pool, ServerName: loopback, NextProtos: []string{nts.ALPN}, MinVersion: tls.VersionTLS12}
}

// talk sends a request and returns all that comes back.
func talk(t testing.TB, addr string, conf *tls.Config, request []byte) ([]byte, *tls.ConnectionState, error) {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", addr, conf)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write(request); err != nil {
		return nil, nil, err
	}
	resp, err := io.ReadAll(conn)
	state := conn.ConnectionState()
	return resp, &state, err
}

func exchange(t testing.TB, addr string, conf *tls.Config, c nts.KEClient) (*nts.KEResult, *tls.ConnectionState) {
	t.Helper()
	request, err := c.Request(nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, state, err := talk(t, addr, conf, request)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Response(resp)
	if err != nil {
		t.Fatal(err)
	}
	return res, state
}

// eventually waits for what other goroutines do.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestExchange(t *testing.T) {
	files := selfSigned(t, "nts.test", loopback)
	config := testConfig(t, files)
	s, addr := listen(t, config)
	for _, id := range []aead.ID{15, 16, 17, 30} {
		res, state := exchange(t, addr, clientTLS(t, files), nts.KEClient{AEADs: []aead.ID{id}})
		if res.AEAD != id || len(res.Cookies) != 8 || state.Version != tls.VersionTLS13 {
			t.Errorf("%v: %v, %d cookies", id, res.AEAD, len(res.Cookies))
		}
		keys, err := res.Export(state.ExportKeyingMaterial)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range res.Cookies {
			var inside nts.Keys
			if _, ok := config.Ring().OpenCookie(&inside, c); !ok || inside != keys {
				t.Errorf("%v: cookie does not contain the client's keys", id)
			}
		}
	}
	c := s.Counters()
	if c.Accepted != 4 || c.Outcomes[nts.Agreed] != 4 || c.Agreed[17] != 1 || c.Cookies[30] != 8 {
		t.Errorf("counters %+v", c)
	}
}

func TestHandshakeRefusals(t *testing.T) {
	files := selfSigned(t, loopback)
	config := testConfig(t, files)
	config.Limits.Timeout = 200 * time.Millisecond
	s, addr := listen(t, config)
	request, _ := (&nts.KEClient{}).Request(nil)
	for _, test := range []struct {
		name   string
		change func(*tls.Config)
		count  func(nke.Counters) uint64
	}{
		{"TLS 1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, func(c nke.Counters) uint64 { return c.HandshakeFailed }},
		{"other ALPN", func(c *tls.Config) { c.NextProtos = []string{"h2"} }, func(c nke.Counters) uint64 { return c.HandshakeFailed }},
		{"no ALPN", func(c *tls.Config) { c.NextProtos = nil }, func(c nke.Counters) uint64 { return c.HandshakeNoALPN }},
		{"untrusted", func(c *tls.Config) { c.RootCAs = x509.NewCertPool() }, func(c nke.Counters) uint64 { return c.HandshakeAlert }},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := test.count(s.Counters())
			conf := clientTLS(t, files)
			test.change(conf)
			if resp, _, err := talk(t, addr, conf, request); err == nil && len(resp) > 0 {
				t.Errorf("got a response: %x", resp)
			}
			eventually(t, "counted", func() bool { return test.count(s.Counters()) > before })
		})
	}
	t.Run("silence", func(t *testing.T) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		eventually(t, "timed out", func() bool { return s.Counters().HandshakeTimeout == 1 })
	})
	t.Run("half a request", func(t *testing.T) {
		conn, err := tls.Dial("tcp", addr, clientTLS(t, files))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write(request[:5])
		resp, err := io.ReadAll(conn)
		if want := []byte{0x80, 2, 0, 2, 0, 1, 0x80, 0, 0, 0}; err != nil || !bytes.Equal(resp, want) {
			t.Errorf("answer %x, %v, want error 1 and a close_notify", resp, err)
		}
		eventually(t, "timed out", func() bool { return s.Counters().ExchangeTimeout == 1 })
	})
	t.Run("goodbye in half a request", func(t *testing.T) {
		conn, err := tls.Dial("tcp", addr, clientTLS(t, files))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write(request[:5])
		_ = conn.CloseWrite()
		resp, err := io.ReadAll(conn)
		if want := []byte{0x80, 2, 0, 2, 0, 1, 0x80, 0, 0, 0}; err != nil || !bytes.Equal(resp, want) {
			t.Errorf("answer %x, %v, want error 1 and a close_notify", resp, err)
		}
	})
	t.Run("no tickets", func(t *testing.T) {
		conf := clientTLS(t, files)
		conf.ClientSessionCache = tls.NewLRUClientSessionCache(4)
		for range 2 {
			_, state := exchange(t, addr, conf, nts.KEClient{})
			if state.DidResume {
				t.Error("session was resumed")
			}
		}
	})
}

func TestBadRequests(t *testing.T) {
	files := selfSigned(t, loopback)
	config := testConfig(t, files)
	config.Limits.Request = 1024
	s, addr := listen(t, config)
	long := nts.AppendRecord(nil, nts.Record{Type: 0x4000, Body: make([]byte, 1100)})
	for name, test := range map[string]struct {
		request []byte
		code    byte
		outcome nts.Outcome
	}{
		"garbage":  {[]byte{0x80, 0, 0, 0, 1}, 1, nts.BadRequest},
		"critical": {[]byte{0xc0, 0, 0, 0, 0x80, 0, 0, 0}, 0, nts.UnrecognizedCritical},
		"too long": {long, 1, nts.BadRequest},
	} {
		resp, _, err := talk(t, addr, clientTLS(t, files), test.request)
		want := []byte{0x80, 2, 0, 2, 0, test.code, 0x80, 0, 0, 0}
		if err != nil || !bytes.Equal(resp, want) {
			t.Errorf("%s: %x, %v", name, resp, err)
		}
		if s.Counters().Outcomes[test.outcome] == 0 {
			t.Errorf("%s: not counted as %v", name, test.outcome)
		}
	}
}

func TestNoRing(t *testing.T) {
	files := selfSigned(t, loopback)
	config := testConfig(t, files)
	config.Ring = func() *nts.Ring { return nil }
	_, addr := listen(t, config)
	request, _ := (&nts.KEClient{}).Request(nil)
	resp, _, err := talk(t, addr, clientTLS(t, files), request)
	if want := []byte{0x80, 2, 0, 2, 0, 2, 0x80, 0, 0, 0}; err != nil || !bytes.Equal(resp, want) {
		t.Errorf("%x, %v", resp, err)
	}
}

func TestLimits(t *testing.T) {
	needs.Slow(t)
	files := selfSigned(t, loopback)
	dial := func(t *testing.T, addr string) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	closed := func(conn net.Conn) bool {
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err := conn.Read(make([]byte, 1))
		return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	}
	for _, test := range []struct {
		name   string
		limits nke.Limits
		count  func(nke.Counters) uint64
	}{
		{"prefix", nke.Limits{ConnectionsPerPrefix: 2, Rate: -1}, func(c nke.Counters) uint64 { return c.RefusedPerPrefix }},
		{"rate", nke.Limits{Rate: 1e-6, Burst: 2}, func(c nke.Counters) uint64 { return c.RefusedRate }},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := testConfig(t, files)
			config.Limits = test.limits
			s, addr := listen(t, config)
			a, b := dial(t, addr), dial(t, addr)
			eventually(t, "two active", func() bool { return s.Counters().Active == 2 })
			if !closed(dial(t, addr)) || test.count(s.Counters()) != 1 {
				t.Errorf("third connection: %+v", s.Counters())
			}
			_, _ = a.Close(), b.Close()
			eventually(t, "none active", func() bool { return s.Counters().Active == 0 })
		})
	}
	t.Run("access", func(t *testing.T) {
		config := testConfig(t, files)
		config.Allow = func(a netip.Addr) ntp.Reason {
			if a != netip.MustParseAddr(loopback) {
				t.Errorf("asked about %v", a)
			}
			return ntp.ReasonDenied
		}
		s, addr := listen(t, config)
		dial(t, addr)
		eventually(t, "refused", func() bool { return s.Counters().RefusedAccess[ntp.ReasonDenied] == 1 })
	})
}

func TestCloseEndsConnections(t *testing.T) {
	files := selfSigned(t, loopback)
	config := testConfig(t, files)
	config.Limits.Timeout = time.Hour
	s, addr := listen(t, config)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually(t, "active", func() bool { return s.Counters().Active == 1 })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.Counters().Active != 0 {
		t.Error("connection left")
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("still listening")
	}
}

func shownName(t *testing.T, addr, server string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: server, NextProtos: []string{nts.ALPN}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestCertificatesByName(t *testing.T) {
	a, b, c := selfSigned(t, "a.test"), selfSigned(t, "b.test"), selfSigned(t, loopback)
	s, addr := listen(t, testConfig(t, a, b, c))
	for server, want := range map[string]string{"a.test": "a.test", "b.test": "b.test", "other.test": "a.test", "": loopback} {
		if got := shownName(t, addr, server); got != want {
			t.Errorf("%q is shown %q, want %q", server, got, want)
		}
	}
	if st := s.Status(time.Now()); len(st.Certificates) != 3 || st.Certificates[2].Names[0] != loopback {
		t.Errorf("%+v", st)
	}
}

func replace(t *testing.T, dst, src string) {
	t.Helper()
	text, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dst+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dst+".new", dst); err != nil {
		t.Fatal(err)
	}
}

func TestReload(t *testing.T) {
	files, other := selfSigned(t, "old.test"), selfSigned(t, "new.test")
	config := testConfig(t, files)
	config.PollInterval = -1
	s, addr := listen(t, config)
	replace(t, files.Certificate, other.Certificate)
	err := s.Reload()
	if err == nil || !strings.Contains(err.Error(), files.Key) {
		t.Errorf("key of another certificate: %v", err)
	}
	if got := shownName(t, addr, ""); got != "old.test" || s.Status(time.Now()).ReloadError == "" {
		t.Errorf("after the failure %q is shown", got)
	}
	replace(t, files.Key, other.Key)
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := shownName(t, addr, ""); got != "new.test" || s.Status(time.Now()).ReloadError != "" {
		t.Errorf("after the reload %q is shown", got)
	}
}

func TestReloadByItself(t *testing.T) {
	files, other := selfSigned(t, "old.test"), selfSigned(t, "new.test")
	config := testConfig(t, files)
	config.PollInterval = 5 * time.Millisecond
	var log needs.Log
	config.Logger = hclog.New(&hclog.LoggerOptions{Output: &log})
	s, addr := listen(t, config)
	replace(t, files.Certificate, other.Certificate)
	eventually(t, "failure seen", func() bool { return s.Status(time.Now()).ReloadError != "" })
	replace(t, files.Key, other.Key)
	eventually(t, "new certificate shown", func() bool { return shownName(t, addr, "") == "new.test" })
	if n := strings.Count(log.String(), "cannot be used"); n != 1 {
		t.Errorf("failure logged %d times", n)
	}
}

// A load that failed for the mode of a file is repeated when that changes.
func TestReloadWhenTheModeChanges(t *testing.T) {
	files := selfSigned(t, "late.test")
	if err := os.Chmod(files.Key, 0o604); err != nil {
		t.Fatal(err)
	}
	config := testConfig(t, files)
	config.PollInterval = 5 * time.Millisecond
	s, addr := listen(t, config)
	st := s.Status(time.Now())
	if problems := strings.Join(st.Problems(), "\n"); st.ReloadError == "" || !st.Loaded.IsZero() || len(st.Broken) != 1 ||
		!strings.Contains(problems, "chmod o=") || !strings.Contains(problems, "no client gets keys") {
		t.Errorf("%+v: %s", st, problems)
	}
	if err := os.Chmod(files.Key, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the certificate is served", func() bool { return s.Status(time.Now()).ReloadError == "" })
	if got := shownName(t, addr, ""); got != "late.test" {
		t.Errorf("%q is shown", got)
	}
	if st := s.Status(time.Now()); st.Loaded.IsZero() || len(st.Problems()) != 0 {
		t.Errorf("%+v", st)
	}
}

// The first certificate stays the first, whichever version of it is in use.
func TestOrderAfterAFailure(t *testing.T) {
	a, b := selfSigned(t, "a.test"), selfSigned(t, "b.test")
	s, addr := listen(t, testConfig(t, a, b))
	if err := os.WriteFile(a.Certificate, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.Reload() == nil {
		t.Error("garbage was loaded")
	}
	if got := shownName(t, addr, ""); got != "a.test" {
		t.Errorf("%q is shown to who asks for nothing", got)
	}
}

func TestApply(t *testing.T) {
	files, other := selfSigned(t, "old.test"), selfSigned(t, "new.test")
	s, addr := listen(t, testConfig(t, files))
	bad := testConfig(t, files)
	bad.Limits.Prefixes = 1
	if err := s.Apply(bad); err == nil {
		t.Error("a configuration that makes no sense was taken")
	}
	if got := shownName(t, addr, ""); got != "old.test" {
		t.Errorf("%q after a refused configuration", got)
	}
	if err := s.Apply(testConfig(t, other)); err != nil {
		t.Fatal(err)
	}
	if got := shownName(t, addr, ""); got != "new.test" {
		t.Errorf("%q after the new configuration", got)
	}
}

// One certificate that cannot be used is its own failure, and what was served
// in its place before stays.
func TestBrokenAmongOthers(t *testing.T) {
	a, b := selfSigned(t, "a.test"), selfSigned(t, "b.test")
	s, addr := listen(t, testConfig(t, nke.Files{Certificate: "/nonexistent", Key: "/nonexistent"}, a, b))
	for _, name := range []string{"a.test", "b.test"} {
		if got := shownName(t, addr, name); got != name {
			t.Errorf("%q is shown to who asks for %s", got, name)
		}
	}
	if err := os.WriteFile(b.Certificate, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), b.Certificate) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reload: %v", err)
	}
	if got := shownName(t, addr, "b.test"); got != "b.test" {
		t.Errorf("%q is shown after the file was broken", got)
	}
}

// Without any, the server waits for one.
func TestNoneAtFirst(t *testing.T) {
	real := selfSigned(t, "late.test")
	files := nke.Files{Certificate: filepath.Join(t.TempDir(), "cert.pem"), Key: real.Key}
	config := testConfig(t, files)
	config.PollInterval = 5 * time.Millisecond
	_, addr := listen(t, config)
	if _, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{nts.ALPN}}); err == nil {
		t.Error("a handshake without a certificate")
	}
	replace(t, files.Certificate, real.Certificate)
	eventually(t, "the certificate is shown", func() bool {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{nts.ALPN}})
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

func TestSelfSigned(t *testing.T) {
	dir := t.TempDir()
	f := nke.Files{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	makeSelfSigned(t, f, []string{"nts.test", "192.0.2.1", "2001:db8::1"}, now)
	c, err := nke.LoadCertificates([]nke.Files{f})
	if err != nil {
		t.Fatal(err)
	}
	st := c.Status(now.AddDate(0, 0, 1))[0]
	if strings.Join(st.Names, " ") != "nts.test 192.0.2.1 2001:db8::1" || st.Key != "ECDSA P-256" || st.DaysLeft < 3650 ||
		st.Problem != "" {
		t.Errorf("%+v", st)
	}
	if st := c.Status(now.AddDate(11, 0, 0))[0]; st.DaysLeft >= 0 || !strings.Contains(st.Problem, "expired") {
		t.Errorf("after its end: %+v", st)
	}
}

// write makes a certificate of any kind.
func write(t *testing.T, template *x509.Certificate, pub, key any) nke.Files {
	t.Helper()
	dir := t.TempDir()
	f := nke.Files{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	template.SerialNumber, template.NotAfter = big.NewInt(1), time.Now().Add(time.Hour)
	template.Subject = pkix.Name{CommonName: "x"}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, b := range map[string]*pem.Block{f.Certificate: {Type: "CERTIFICATE", Bytes: der}, f.Key: {Type: "PRIVATE KEY",
		Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestCertificatesRefused(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	good, other := selfSigned(t, "a.test"), selfSigned(t, "b.test")
	named := func() *x509.Certificate { return &x509.Certificate{DNSNames: []string{"a.test"}} }
	client := named()
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, test := range []struct {
		name  string
		files nke.Files
		want  string
	}{
		{"weak RSA", write(t, named(), &weak.PublicKey, weak), "1024 bits is too weak"},
		{"weak ECDSA", write(t, named(), &p224.PublicKey, p224), "224"},
		{"no name", write(t, &x509.Certificate{}, &p256.PublicKey, p256), "subject alternative name"},
		{"for clients", write(t, client, &p256.PublicKey, p256), "extended key usage"},
		{"key of another", nke.Files{Certificate: good.Certificate, Key: other.Key}, "does not match"},
		{"no certificate", nke.Files{Certificate: good.Key, Key: good.Key}, good.Key},
		{"no key", nke.Files{Certificate: good.Certificate, Key: good.Certificate}, good.Certificate},
		{"missing", nke.Files{Certificate: good.Certificate + ".not", Key: good.Key}, ".not"},
	} {
		if _, err := nke.LoadCertificates([]nke.Files{test.files}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q in it", test.name, err, test.want)
		}
	}
	if err := os.Chmod(good.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := nke.LoadCertificates([]nke.Files{good}); err == nil || !strings.Contains(err.Error(), "chmod o=") {
		t.Errorf("open key file: %v", err)
	}
	good.Readable = true
	c, err := nke.LoadCertificates([]nke.Files{good})
	if err != nil || !strings.Contains(c.Status(time.Now())[0].Problem, "everybody") {
		t.Errorf("open key file: %v", err)
	}
}

func TestListenRefuses(t *testing.T) {
	files := selfSigned(t, loopback)
	for name, change := range map[string]func(*nke.Config){
		"no KE":          func(c *nke.Config) { c.KE = nil },
		"no ring":        func(c *nke.Config) { c.Ring = nil },
		"no certificate": func(c *nke.Config) { c.Certificates = nil },
		"no address":     func(c *nke.Config) { c.Listen = nil },
		"prefix":         func(c *nke.Config) { c.Limits.IPv4Prefix = 33 },
		"request limit":  func(c *nke.Config) { c.Limits.Request = 1023 },
		"table":          func(c *nke.Config) { c.Limits.Prefixes = 1 },
		"request":        func(c *nke.Config) { c.Limits.Request = 1 << 20 },
	} {
		c := testConfig(t, files)
		change(&c)
		if s, err := nke.Listen(c); err == nil {
			_ = s.Close()
			t.Errorf("%s: accepted", name)
		}
	}
	_, addr := listen(t, testConfig(t, files))
	c := testConfig(t, files)
	c.Listen = append(c.Listen, netip.MustParseAddrPort(addr))
	if _, err := nke.Listen(c); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("address in use: %v", err)
	}
}
