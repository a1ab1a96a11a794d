package source

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
)

// The dates of the tests' certificates.
var (
	certFrom = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	certTo   = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	goodDate = time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)
)

// testAuthority signs certificates.
type testAuthority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newTestAuthority(t testing.TB, name string) *testAuthority {
	t.Helper()
	a := &testAuthority{key: newTestKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: certFrom.AddDate(-5, 0, 0), NotAfter: certTo.AddDate(5, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert = signed(t, template, template, &a.key.PublicKey, a.key)
	return a
}

func newTestKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signed(t testing.TB, template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// issue makes a server's certificate for a name or an address.
func (a *testAuthority) issue(t testing.TB, name string, from, to time.Time, change ...func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server " + name}, NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	for _, f := range change {
		f(template)
	}
	key := newTestKey(t)
	c := signed(t, template, a.cert, &key.PublicKey, a.key)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
}

func (a *testAuthority) file(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// ntsSite is an NTS-KE server on the loopback, and the NTP server that belongs
// to it as a function.
type ntsSite struct {
	t         testing.TB
	authority *testAuthority
	cert      atomic.Pointer[tls.Certificate]
	ke        atomic.Pointer[nts.KEServer]
	ring      *nts.Ring
	server    *nts.Server
	session   *nts.Session
	tls       *tls.Config
	address   string
	count     atomic.Int32 // handshakes begun

	mu      sync.Mutex
	cookies map[string]int // requests with each

	clock *fakeClock
	wall  time.Time // of the client
	time  time.Time // of the server
}

const loopbackName = "127.0.0.1"

func newNTSSite(t testing.TB) *ntsSite {
	t.Helper()
	s := &ntsSite{
		t: t, authority: newTestAuthority(t, "test authority"), cookies: map[string]int{},
		clock: newFakeClock(), wall: goodDate, time: goodDate,
	}
	cert := s.authority.issue(t, loopbackName, certFrom, certTo)
	s.cert.Store(&cert)
	s.negotiate("", 0)
	s.forgetKeys()
	s.session = nts.NewSession([32]byte{1})
	s.tls = &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{nts.ALPN},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			s.count.Add(1)
			return s.cert.Load(), nil
		},
	}
	s.address = serveTLS(t, s.tls, s.establish)
	return s
}

// negotiate sets what the server tells of the NTP server.
func (s *ntsSite) negotiate(server string, port uint16) {
	ke, err := nts.NewKEServer(nil, server, port)
	if err != nil {
		s.t.Fatal(err)
	}
	s.ke.Store(ke)
}

// forgetKeys makes the server forget the keys of its cookies.
func (s *ntsSite) forgetKeys() {
	var secret [32]byte
	_, _ = rand.Read(secret[:])
	cookieSecret, err := nts.NewSecret(bytes.NewReader(secret[:]), goodDate.Add(-5*time.Hour))
	if err != nil {
		s.t.Fatal(err)
	}
	ring, err := nts.NewRing(cookieSecret, nil, time.Hour, 2, goodDate)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.server == nil {
		if s.server, err = nts.NewServer(nil); err != nil {
			s.t.Fatal(err)
		}
	}
	s.mu.Lock()
	s.ring = ring
	s.mu.Unlock()
	s.server.SetRing(ring)
}

// serveTLS listens on the loopback and hands out the connections.
func serveTLS(t testing.TB, cfg *tls.Config, serve func(*tls.Conn)) string {
	t.Helper()
	return serveTCP(t, func(c net.Conn) { serve(tls.Server(c, cfg)) })
}

func serveTCP(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	return serveAt(t, loopbackName+":0", serve)
}

func serveAt(t testing.TB, address string, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			done.Go(func() {
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.Close() })()
				serve(c)
			})
		}
	})
	t.Cleanup(func() { cancel(); l.Close(); done.Wait() })
	return l.Addr().String()
}

// establish is the server's side of NTS-KE.
func (s *ntsSite) establish(c *tls.Conn) {
	request, err := readKE(c)
	if err != nil {
		return
	}
	s.answerKE(c, request)
}

// answerKE answers a request for keys.
func (s *ntsSite) answerKE(c *tls.Conn, request []byte) {
	n, _ := s.ke.Load().Negotiate(request)
	var cookies [][]byte
	if n.Outcome == nts.Agreed {
		state := c.ConnectionState()
		keys, err := n.Export(state.ExportKeyingMaterial)
		if err != nil {
			s.t.Error(err)
			return
		}
		s.mu.Lock()
		ring := s.ring
		s.mu.Unlock()
		for range nts.MaxCookies {
			var nonce [nts.CookieNonceLen]byte
			_, _ = rand.Read(nonce[:])
			cookies = append(cookies, ring.AppendCookie(nil, &keys, &nonce))
		}
	}
	c.Write(n.Response(nil, cookies))
	c.CloseWrite()
}

func (s *ntsSite) config() NTSConfig {
	return NTSConfig{
		Server: s.address, Trusted: []string{s.authority.file(s.t)}, Clock: s.clock,
		TLS: &tls.Config{Time: func() time.Time { return s.wall }},
	}
}

// dial makes an authenticator with keys.
func (s *ntsSite) dial(cfg NTSConfig) *NTS {
	s.t.Helper()
	n, _, err := DialNTS(s.t.Context(), cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// request is the first half of a poll.
func (s *ntsSite) request(n *NTS) ([]byte, error) {
	s.clock.step(64 * time.Second)
	if err := n.Prepare(momentOf(s.clock), 64*time.Second); err != nil {
		return nil, err
	}
	p := make([]byte, maxPacket)
	h := ntp.Header{Version: 4, Mode: ntp.ModeClient, Transmit: 0x1122334455667788}
	h.Encode(p)
	octets, err := n.Seal(p)
	return p[:octets], err
}

// answer is the server's part of a poll.
func (s *ntsSite) answer(p []byte) []byte {
	req := &ntp.Request{Packet: p, Layout: ntp.Classify(p, noKeys{})}
	req.Header.Decode(p)
	s.cookies[string(req.Layout.Cookie.Body(p))]++
	at := ntp.TimestampFromTime(s.time)
	h := ntp.Header{Version: 4, Mode: ntp.ModeServer, Stratum: 1, Origin: req.Header.Transmit, Receive: at, Transmit: at}
	resp := make([]byte, maxPacket)
	switch v := s.server.Open(req, s.session); v.Action {
	case ntp.Answer:
		h.Encode(resp)
		return resp[:s.server.Seal(resp, ntp.HeaderLen, s.session)]
	case ntp.NTSNAK:
		h.Stratum, h.ReferenceID = 0, ntp.KissCode("NTSN")
		h.Encode(resp)
		return resp[:s.server.NAK(resp, ntp.HeaderLen, s.session)]
	}
	return nil
}

// poll makes a whole exchange; the error is that of any part.
func (s *ntsSite) poll(n *NTS) error {
	s.t.Helper()
	p, err := s.request(n)
	if err != nil {
		return err
	}
	j := n.Open(momentOf(s.clock), s.answer(p))
	if j.Usable != (j.Err == nil) {
		s.t.Errorf("judgement %+v", j)
	}
	return j.Err
}

// good polls and wants time.
func (s *ntsSite) good(n *NTS, times int) {
	s.t.Helper()
	for range times {
		if err := s.poll(n); err != nil {
			s.t.Fatal(err)
		}
	}
}

// reused fails the test if a cookie was seen twice.
func (s *ntsSite) reused() {
	s.t.Helper()
	for _, times := range s.cookies {
		if times > 1 {
			s.t.Errorf("a cookie was sent %d times", times)
		}
	}
}

// memoryStore is a Store that dies with the test.
type memoryStore struct{ kept map[string][]byte }

func newMemoryStore() *memoryStore { return &memoryStore{map[string][]byte{}} }

func (m *memoryStore) Load(name string) ([]byte, error) {
	data, ok := m.kept[name]
	if !ok {
		return nil, os.ErrNotExist
	}
	delete(m.kept, name)
	return data, nil
}

func (m *memoryStore) Save(name string, state []byte) error {
	if len(state) == 0 {
		delete(m.kept, name)
		return nil
	}
	m.kept[name] = bytes.Clone(state)
	return nil
}

func portOf(t testing.TB, address string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return number
}
