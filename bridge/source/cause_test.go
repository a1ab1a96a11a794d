package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// What differs from run to run, and from host to host, in a text.
var (
	variablePort = regexp.MustCompile(`(127\.0\.0\.1|port)([: ])\d{4,5}\b`)
	nameServer   = regexp.MustCompile(` on \S+:53`)
)

func steady(text string) string {
	return nameServer.ReplaceAllString(variablePort.ReplaceAllString(text, "$1${2}PORT"), "")
}

// checkGolden compares a text with a file of testdata.
func checkGolden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("NTSBRIDGE_UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	have := strings.Split(text, "\n")
	for i, line := range strings.Split(string(want), "\n") {
		if i >= len(have) || have[i] != line {
			t.Errorf("%s, line %d: want\n%s\nhave\n%s", path, i+1, line, have[min(i, len(have)-1)])
		}
	}
	if strings.Count(text, "\n") > strings.Count(string(want), "\n") {
		t.Errorf("%s lacks lines", path)
	}
}

// refusing is a KE server that answers every request with a message.
func refusing(t *testing.T, s *ntsSite, records ...nts.Record) string {
	var message []byte
	for _, r := range records {
		message = nts.AppendRecord(message, r)
	}
	message = nts.AppendRecord(message, nts.Record{Critical: true, Type: nts.RecordEndOfMessage})
	return serveTLS(t, s.sound(), func(c *tls.Conn) {
		if _, err := readKE(c); err == nil {
			c.Write(message)
			c.CloseWrite()
		}
	})
}

// sound are a server's TLS settings as they should be.
func (s *ntsSite) sound() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{nts.ALPN}, Certificates: []tls.Certificate{*s.cert.Load()}}
}

// closedPort returns an address on the loopback where nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp4", loopbackName+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// fullListener returns an address whose kernel drops further connections
// without a word, as a packet filter does.
func fullListener(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for range 10 {
		c, err := net.DialTimeout("tcp4", address, 200*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the listener never fills")
	return ""
}

// TestCausesOfKeyEstablishment provokes every failure of NTS-KE.
func TestCausesOfKeyEstablishment(t *testing.T) {
	with := func(change func(*tls.Config), serve func(*tls.Conn)) func(*ntsSite, *NTSConfig) {
		return func(s *ntsSite, cfg *NTSConfig) {
			c := s.sound()
			change(c)
			cfg.Server = serveTLS(t, c, serve)
		}
	}
	certificate := func(f func(s *ntsSite) tls.Certificate) func(*ntsSite, *NTSConfig) {
		return func(s *ntsSite, _ *NTSConfig) { c := f(s); s.cert.Store(&c) }
	}
	records := func(r ...nts.Record) func(*ntsSite, *NTSConfig) {
		return func(s *ntsSite, cfg *NTSConfig) { cfg.Server = refusing(t, s, r...) }
	}
	named := func(code int, addrs ...netip.Addr) func(*ntsSite, *NTSConfig) {
		return func(_ *ntsSite, cfg *NTSConfig) {
			cfg.Server, cfg.Resolver, cfg.Timeout = "nts.example:4460", fakeDNS(t, code, addrs...), 300*time.Millisecond
		}
	}
	handshake := func(c *tls.Conn) { c.Handshake() }
	until := func(c *tls.Conn) { io.Copy(io.Discard, c) }
	short := func(cfg *NTSConfig) { cfg.Timeout = 300 * time.Millisecond }
	var text strings.Builder
	for _, c := range []struct {
		name  string
		spoil func(*ntsSite, *NTSConfig)
		cause Cause
	}{
		{"no such name", named(3), CauseNameUnknown},
		{"name without address of the family", func(s *ntsSite, cfg *NTSConfig) {
			named(0, netip.MustParseAddr("127.0.0.1"))(s, cfg)
			cfg.Network = "ip6"
		}, CauseNameUnknown},
		{"address of the other family", func(_ *ntsSite, cfg *NTSConfig) { cfg.Network = "ip6" }, CauseNameUnknown},
		{"name server fails", named(2), causeNameTemporary},
		{"name server is silent", named(-1), causeNameTemporary},
		{"no name server", func(_ *ntsSite, cfg *NTSConfig) {
			cfg.Server, cfg.Resolver = "nts.example:4460", resolverAt(closedPort(t))
		}, causeNoResolver},
		{"TCP refused", func(_ *ntsSite, cfg *NTSConfig) { cfg.Server = closedPort(t) }, CauseTCPRefused},
		{"TCP filtered", func(_ *ntsSite, cfg *NTSConfig) { cfg.Server = fullListener(t); short(cfg) }, CauseTCPFiltered},
		{"not TLS", func(_ *ntsSite, cfg *NTSConfig) {
			cfg.Server = serveTCP(t, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); io.Copy(io.Discard, c) })
		}, causeNotTLS},
		{"silent after connect", func(_ *ntsSite, cfg *NTSConfig) {
			cfg.Server = serveTCP(t, func(c net.Conn) { io.Copy(io.Discard, c) })
			short(cfg)
		}, causeTLSSilent},
		{"closed in the handshake", func(_ *ntsSite, cfg *NTSConfig) {
			cfg.Server = serveTCP(t, func(c net.Conn) { io.ReadFull(c, make([]byte, 5)) })
		}, causeTLSClosed},
		{"TLS 1.2 only", with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = 0, tls.VersionTLS12 }, handshake), causeTLSVersion},
		{"ALPN of something else", with(func(c *tls.Config) { c.NextProtos = []string{"h2"} }, handshake), causeALPN},
		{"no ALPN", with(func(c *tls.Config) { c.NextProtos = nil }, until), causeALPN},
		{"name not known to the server", with(func(c *tls.Config) {
			c.Certificates, c.GetCertificate = nil, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
		}, handshake), causeTLSAlert},
		{"certificate of the client", with(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }, until), causeTLSAlert},

		{"other authority", certificate(func(*ntsSite) tls.Certificate {
			return newTestAuthority(t, "Somebody's authority").issue(t, loopbackName, certFrom, certTo)
		}), CauseUnknownAuthority},
		{"self-signed", certificate(func(s *ntsSite) tls.Certificate {
			a := &testAuthority{key: newTestKey(t)}
			template := *s.cert.Load().Leaf
			template.PublicKey = nil
			c := signed(t, &template, &template, &a.key.PublicKey, a.key)
			return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: a.key}
		}), causeSelfSigned},
		{"other name", certificate(func(s *ntsSite) tls.Certificate {
			return s.authority.issue(t, "time.example", certFrom, certTo,
				func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "*.ntp.example") })
		}), CauseCertificateName},
		{"other name of another authority", certificate(func(*ntsSite) tls.Certificate {
			return newTestAuthority(t, "Portal").issue(t, "login.example", certFrom, certTo)
		}), CauseCertificateName},
		{"common name only", certificate(func(s *ntsSite) tls.Certificate {
			return s.authority.issue(t, loopbackName, certFrom, certTo, func(c *x509.Certificate) { c.IPAddresses = nil })
		}), CauseCertificateName},
		{"expired", certificate(func(s *ntsSite) tls.Certificate {
			return s.authority.issue(t, loopbackName, certFrom, goodDate.Add(-time.Hour))
		}), causeCertificateExpired},
		{"expired before its authority began", certificate(func(s *ntsSite) tls.Certificate {
			began := s.authority.cert.NotBefore
			return s.authority.issue(t, loopbackName, began.AddDate(-2, 0, 0), began.AddDate(-1, 0, 0))
		}), causeCertificateExpired},
		{"clock behind", func(s *ntsSite, _ *NTSConfig) { s.wall = time.Unix(0, 0) }, causeCertificateEarly},
		{"not for servers", certificate(func(s *ntsSite) tls.Certificate {
			return s.authority.issue(t, loopbackName, certFrom, certTo,
				func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
		}), causeCertificate},
		{"extension that nobody knows", certificate(func(s *ntsSite) tls.Certificate {
			return s.authority.issue(t, loopbackName, certFrom, certTo, func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
			})
		}), causeCertificate},
		{"no trusted certificates", func(_ *ntsSite, cfg *NTSConfig) { cfg.Trusted = []string{"testdata/none.pem"} }, causeTrust},
		{"trusted certificates without any", func(_ *ntsSite, cfg *NTSConfig) { cfg.Trusted = []string{"cause_test.go"} }, causeTrust},

		{"error 0", records(nts.Record{Critical: true, Type: nts.RecordError, Body: []byte{0, 0}}), causeKERefused},
		{"error 1", records(nts.Record{Critical: true, Type: nts.RecordError, Body: []byte{0, 1}}), causeKEBadRequest},
		{"error 2", records(nts.Record{Critical: true, Type: nts.RecordError, Body: []byte{0, 2}}), causeKEInternal},
		{"warning", records(nts.Record{Critical: true, Type: nts.RecordWarning, Body: []byte{0, 9}}), causeKERefused},
		{"no NTPv4", records(nts.Record{Critical: true, Type: nts.RecordNextProtocol}), causeKEProtocol},
		{"no common algorithm", func(s *ntsSite, cfg *NTSConfig) {
			cfg.AEADs = []aead.ID{aead.AESSIVCMAC512}
			ke, err := nts.NewKEServer([]aead.ID{aead.AESSIVCMAC256}, "", 0)
			if err != nil {
				t.Fatal(err)
			}
			s.ke.Store(ke)
		}, CauseKEAEAD},
		{"no cookies", records(nts.Record{Critical: true, Type: nts.RecordNextProtocol, Body: []byte{0, 0}},
			nts.Record{Critical: true, Type: nts.RecordAEAD, Body: []byte{0, 15}}), causeKEMalformed},
		{"unknown critical record", records(nts.Record{Critical: true, Type: nts.RecordNextProtocol, Body: []byte{0, 0}},
			nts.Record{Critical: true, Type: 0x4001}), causeKEUnknown},
		{"cookie too long", records(nts.Record{Critical: true, Type: nts.RecordNextProtocol, Body: []byte{0, 0}},
			nts.Record{Critical: true, Type: nts.RecordAEAD, Body: []byte{0, 15}},
			nts.Record{Type: nts.RecordCookie, Body: make([]byte, 1200)}), causeKECookie},
		{"another algorithm", func(s *ntsSite, cfg *NTSConfig) {
			cfg.AEADs = []aead.ID{aead.AES128GCMSIV}
			records(nts.Record{Critical: true, Type: nts.RecordNextProtocol, Body: []byte{0, 0}},
				nts.Record{Critical: true, Type: nts.RecordAEAD, Body: []byte{0, 15}})(s, cfg)
		}, causeKENotOffered},
		{"silent after the handshake", func(s *ntsSite, cfg *NTSConfig) {
			with(func(*tls.Config) {}, until)(s, cfg)
			short(cfg)
		}, causeKESilent},
		{"closed after the handshake", with(func(*tls.Config) {}, handshake), causeKEClosed},
		{"cut off", with(func(*tls.Config) {}, func(c *tls.Conn) { c.Write([]byte{0x80, 1, 0, 2}); c.Close() }), causeKEClosed},
	} {
		s := newNTSSite(t)
		cfg := s.config()
		c.spoil(s, &cfg)
		_, _, err := DialNTS(t.Context(), cfg)
		d := Diagnose(err)
		if d.Cause != c.cause || d.Remedy == "" {
			t.Errorf("%s: %s, want %s: %v", c.name, d.Cause, c.cause, err)
		}
		fmt.Fprintf(&text, "%s\n  %s: %s\n  %s\n", c.name, d.Cause, steady(d.Text), d.Remedy)
	}
	checkGolden(t, "causes.golden", text.String())
}

// A certificate of another authority than before is not that of the server.
func TestCauseInterception(t *testing.T) {
	s := newNTSSite(t)
	n := s.dial(s.config())
	s.good(n, 1)
	cert := newTestAuthority(t, "Inspection").issue(t, loopbackName, certFrom, certTo)
	s.cert.Store(&cert)
	s.forgetKeys()
	var err error
	for range 4 {
		err = s.poll(n)
	}
	if d := Diagnose(err); d.Cause != CauseInterception || !strings.Contains(d.Text, "Inspection") ||
		!strings.Contains(d.Text, "test authority") {
		t.Errorf("%+v", d)
	}
}

// TestCausesOfAnswers feeds NTS with answers that are not good.
func TestCausesOfAnswers(t *testing.T) {
	s := newNTSSite(t)
	n := s.dial(s.config())
	for name, c := range map[string]struct {
		answer func(good []byte) []byte
		cause  Cause
	}{
		"changed":        {func(p []byte) []byte { p[33] ^= 1; return p }, CauseInterception},
		"plain":          {func(p []byte) []byte { return p[:ntp.HeaderLen] }, CauseNTSUnprotected},
		"not sealed":     {func(p []byte) []byte { return p[:ntp.HeaderLen+36] }, CauseNTSUnprotected},
		"other request":  {func(p []byte) []byte { p[60] ^= 1; return p }, causeBogus},
		"malformed":      {func(p []byte) []byte { return p[:len(p)-3] }, causeBogus},
		"kiss, unsealed": {func(p []byte) []byte { p[1] = 0; copy(p[12:], "DENY"); return p[:ntp.HeaderLen] }, causeDenied},
		"rate, unsealed": {func(p []byte) []byte { p[1] = 0; copy(p[12:], "RATE"); return p[:ntp.HeaderLen] }, causeRate},
	} {
		p, err := s.request(n)
		if err != nil {
			t.Fatal(err)
		}
		good := s.answer(p)
		j := n.Open(momentOf(s.clock), c.answer(append([]byte(nil), good...)))
		if j.Usable || causeOf(j.Err) != c.cause {
			t.Errorf("%s: %s, want %s: %v", name, causeOf(j.Err), c.cause, j.Err)
		}
		var kiss *KissError
		if errors.As(j.Err, &kiss) {
			t.Errorf("%s: a kiss that is not authentic would be obeyed", name)
		}
		if j := n.Open(momentOf(s.clock), good); !j.Usable {
			t.Errorf("%s: the good answer after it: %v", name, j.Err)
		}
	}
}

// TestCauseOfErrors: those of packets and of the system.
func TestCauseOfErrors(t *testing.T) {
	network := func(err error) error {
		return &net.OpError{Op: "write", Net: "udp", Err: os.NewSyscallError("write", err)}
	}
	var text strings.Builder
	for _, c := range []struct {
		err  error
		want Cause
	}{
		{nil, CauseNone},
		{ErrTimeout, CauseUDPFiltered},
		{explain(network(syscall.ECONNREFUSED)), CauseUDPRefused},
		{explain(network(syscall.ENETUNREACH)), CauseUnreachable},
		{explain(network(syscall.EPERM)), causeLocalFilter},
		{fmt.Errorf("%w: wrong MAC under key 7", ErrNotAuthentic), CauseWrongKey},
		{ErrCryptoNAK, CauseCryptoNAK},
		{&KissError{Code: "DENY"}, causeDenied},
		{&KissError{Code: "RSTR"}, causeRestricted},
		{&KissError{Code: "RATE"}, causeRate},
		{fmt.Errorf("%w (INIT)", ErrUnsynchronised), CauseUnsynchronised},
		{ErrOrigin, causeBogus},
		{errPacket, causeMalformed},
		{ErrSecondAnswer, CauseInterception},
		{fmt.Errorf("poll: %w", nts.ErrNAK), CauseNTSNAK},
		{&RetryError{time.Minute, nts.ErrNAK}, CauseNTSNAK},
		{fmt.Errorf("name resolution: %w", &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}), CauseNameUnknown},
		{errors.New("whatever"), CauseOther},
		{context.Canceled, CauseOther},
	} {
		if got := causeOf(c.err); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
		if c.err != nil {
			fmt.Fprintf(&text, "%v\n  %s: %s\n", c.err, c.want, explained(c.err))
		}
	}
	checkGolden(t, "causes-packets.golden", text.String())
}

// FuzzUnmarshalSaved reads states that are not ours.
func FuzzUnmarshalSaved(f *testing.F) {
	s := newNTSSite(f)
	cfg := s.config()
	store := newMemoryStore()
	cfg.Store = store
	n, _, err := DialNTS(f.Context(), cfg)
	if err != nil {
		f.Fatal(err)
	}
	s.good(n, 1)
	if err := n.Close(); err != nil {
		f.Fatal(err)
	}
	state := store.kept[s.address]
	f.Add(state)
	f.Add(state[:len(state)-1])
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":1,"server":"a:1","ntp":"192.0.2.1:123","aead":15,"cookies":[""],"certificates":["MAA="]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		saved, err := unmarshalSaved(data)
		if err != nil {
			if !errors.Is(err, errSaved) {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := saved.Marshal()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		back, err := unmarshalSaved(again)
		if err != nil || back.Server != saved.Server || back.NTP != saved.NTP || len(back.Cookies) != len(saved.Cookies) ||
			!back.At.Equal(saved.At) {
			t.Fatalf("%v: %v, %v", err, saved, back)
		}
		cfg := cfg
		cfg.Server, cfg.Store = saved.Server, &memoryStore{map[string][]byte{saved.Server: data}}
		if n, err := NewNTS(t.Context(), cfg); err == nil && n.Status().Cookies > nts.MaxCookies {
			t.Fatalf("%+v", n.Status())
		}
	})
}

// explained is what a person is told of an error, in one line.
func explained(err error) string {
	d := Diagnose(err)
	return strings.TrimSuffix(d.Text+" - "+d.Remedy, " - ")
}
