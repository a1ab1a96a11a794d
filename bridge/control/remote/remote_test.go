package remote

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/nke"
)

// authority signs certificates of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	dir  string
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.key = newKey(t)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, a.key.Public(), a.key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue makes a certificate with a name for a use.
func (a *authority) issue(name string, use x509.ExtKeyUsage, life time.Duration) nke.Files {
	a.t.Helper()
	a.n++
	key := newKey(a.t)
	c := &x509.Certificate{SerialNumber: big.NewInt(a.n + 1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(life), ExtKeyUsage: []x509.ExtKeyUsage{use}}
	if use == x509.ExtKeyUsageServerAuth {
		c.DNSNames, c.IPAddresses = []string{name}, []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	file := fmt.Sprintf("%s-%d", name, a.n)
	return nke.Files{Certificate: a.write(file+".pem", "CERTIFICATE", der), Key: a.write(file+".key", "PRIVATE KEY", private)}
}

// gateway is a server of a test.
type gateway struct {
	*Server
	t   *testing.T
	ca  *authority
	now *Settings
	log *needs.Log
}

// newGateway serves who asks and with which role; /write needs the role write,
// /wait lasts until it is ended.
func newGateway(t *testing.T, change func(*Settings)) *gateway {
	t.Helper()
	g := &gateway{t: t, ca: newAuthority(t), log: new(needs.Log)}
	p := Protected{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				return
			}
			c := CallerOf(r.Context())
			fmt.Fprintf(w, "%v, %s", c.Role, c.Name)
		}),
		Needs: func(r *http.Request) Role {
			if r.URL.Path == "/write" {
				return Write
			}
			return Read
		},
		Refuse: func(w http.ResponseWriter, _ *http.Request, status int, err error) {
			http.Error(w, err.Error(), status)
		},
	}
	var err error
	if g.Server, err = New(p, hclog.New(&hclog.LoggerOptions{Output: g.log})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	pool, err := ReadAuthorities(filepath.Join(g.ca.dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	g.now = &Settings{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Connections: 16, Authorities: pool,
		Files: []nke.Files{g.ca.issue("gateway", x509.ExtKeyUsageServerAuth, time.Hour)}}
	if change != nil {
		change(g.now)
	}
	g.apply(g.now)
	return g
}

func (g *gateway) apply(s *Settings) {
	g.t.Helper()
	c := g.Prepare(s)
	if len(c.Failed) > 0 {
		g.t.Fatal(c.Failed)
	}
	c.Commit()
	g.now = s
}

// client asks, with a certificate if one is named.
func (g *gateway) client(show *nke.Files) *http.Client {
	g.t.Helper()
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AddCert(g.ca.cert)
	if show != nil {
		pair, err := tls.LoadX509KeyPair(show.Certificate, show.Key)
		if err != nil {
			g.t.Fatal(err)
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}, Timeout: 10 * time.Second}
}

func (g *gateway) get(c *http.Client, path, token string) (int, string, http.Header) {
	g.t.Helper()
	r, _ := http.NewRequest(http.MethodGet, "https://"+g.Addresses()[0].String()+path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), resp.Header
}

func newTokens(t *testing.T, roles map[string]Role) (tokens *Tokens, secrets map[string]string) {
	t.Helper()
	secrets = map[string]string{}
	text := "# name role hash\n\n"
	for name, role := range roles {
		secret, line, err := NewToken(name, role)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, secret) {
			t.Fatal("the line holds the token")
		}
		secrets[name] = secret
		text += line + "\n"
	}
	tokens, err := ParseTokens([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tokens, secrets
}

// Who shows what may do what.
func TestRoles(t *testing.T) {
	tokens, secret := newTokens(t, map[string]Role{"reader": Read, "writer": Write})
	g := newGateway(t, func(s *Settings) { s.Tokens, s.Writers = tokens, []string{"operator"} })
	stranger := newAuthority(t)
	cert := func(f nke.Files) *nke.Files { return &f }
	operator := cert(g.ca.issue("operator", x509.ExtKeyUsageClientAuth, time.Hour))
	for _, test := range []struct {
		name, path, token string
		show              *nke.Files
		status            int
		text              string
	}{
		{"nobody", "/", "", nil, 401, "send a token"},
		{"reader reads", "/", secret["reader"], nil, 200, "read, token reader (127.0.0.1)"},
		{"reader writes", "/write", secret["reader"], nil, 403, "may read, and this needs write"},
		{"writer writes", "/write", secret["writer"], nil, 200, "write, token writer (127.0.0.1)"},
		{"wrong token", "/", secret["reader"] + "0", nil, 401, "not known"},
		{"hash as token", "/", "sha256:" + strings.Repeat("0", 64), nil, 401, "not known"},
		{"certificate reads", "/", "", cert(g.ca.issue("host", x509.ExtKeyUsageClientAuth, time.Hour)), 200, "read, certificate host"},
		{"certificate writes", "/write", "", operator, 200, "write, certificate operator (127.0.0.1)"},
		{"token counts", "/write", secret["reader"], operator, 403, "token reader"},
		{"wrong token, certificate", "/", "ntsb_0", operator, 401, "not known"},
		{"of another authority", "/", "", cert(stranger.issue("operator", x509.ExtKeyUsageClientAuth, time.Hour)), 401, "clients_ca"},
		{"over", "/", "", cert(g.ca.issue("operator", x509.ExtKeyUsageClientAuth, -time.Hour)), 401, "expired"},
		{"of a server", "/", "", cert(g.ca.issue("operator", x509.ExtKeyUsageServerAuth, time.Hour)), 401, "clients_ca"},
	} {
		status, text, h := g.get(g.client(test.show), test.path, test.token)
		if status != test.status || !strings.Contains(text, test.text) {
			t.Errorf("%s: %d %q", test.name, status, text)
		}
		if status == 401 && h.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", test.name)
		}
	}
	for name, s := range secret {
		if strings.Contains(g.log.String(), s) {
			t.Errorf("the token of %s is in the log", name)
		}
	}
	if !strings.Contains(g.log.String(), "not let in over the API") || !strings.Contains(g.log.String(), "not allowed over the API") {
		t.Errorf("log: %s", g.log)
	}
	if s := fmt.Sprintf("%v %+v", g.now.Tokens, g.now); strings.Contains(s, secret["reader"]) {
		t.Error("a token in what is printed of settings")
	}
}

// A page of another place cannot let a browser that has an operator's certificate
// change anything.
func TestOtherPlaces(t *testing.T) {
	g := newGateway(t, func(s *Settings) { s.Writers = []string{"operator"} })
	url, show := "https://"+g.Addresses()[0].String(), g.ca.issue("operator", x509.ExtKeyUsageClientAuth, time.Hour)
	ask := func(name, value string) int {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, url+"/write", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/plain")
		if name != "" {
			r.Header.Set(name, value)
		}
		resp, err := g.client(&show).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, test := range []struct {
		name, value string
		status      int
	}{{"", "", 200}, {"Origin", url, 200}, {"Sec-Fetch-Site", "same-origin", 200}, {"Sec-Fetch-Site", "cross-site", 403},
		{"Sec-Fetch-Site", "same-site", 403}, {"Origin", "https://evil.example", 403}, {"Origin", "null", 403}} {
		if got := ask(test.name, test.value); got != test.status {
			t.Errorf("%s: %s: %d", test.name, test.value, got)
		}
	}
}

// Who fails too often gets 429; who knows a token is let in all the same.
func TestFailuresAreLimited(t *testing.T) {
	tokens, secret := newTokens(t, map[string]Role{"reader": Read})
	g := newGateway(t, func(s *Settings) { s.Tokens = tokens })
	c := g.client(nil)
	counts := map[int]int{}
	for range 20 {
		status, _, h := g.get(c, "/", "ntsb_guess")
		counts[status]++
		if status == 429 && h.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if counts[401] < 10 || counts[401] > 12 || counts[429] != 20-counts[401] {
		t.Errorf("%v", counts)
	}
	if status, text, _ := g.get(c, "/", secret["reader"]); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	if n := strings.Count(g.log.String(), "not let in"); n != counts[401] {
		t.Errorf("%d lines of the log", n)
	}
}

// A reload takes tokens away at once, from what lasts too, and leaves the
// listener alone; a certificate that is broken leaves the one of before.
func TestReload(t *testing.T) {
	tokens, secret := newTokens(t, map[string]Role{"reader": Read})
	other, others := newTokens(t, map[string]Role{"other": Read})
	g := newGateway(t, func(s *Settings) { s.Tokens = tokens })
	c := g.client(nil)
	ended := make(chan int, 1)
	go func() { status, _, _ := g.get(c, "/wait", secret["reader"]); ended <- status }()
	for g.open.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	before := g.Addresses()
	next := *g.now
	next.Tokens = other
	broken := filepath.Join(t.TempDir(), "broken.pem")
	if err := os.WriteFile(broken, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	next.Files = []nke.Files{{Certificate: broken, Key: broken}}
	g.apply(&next)
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("what lasted goes on")
	}
	if status, text, _ := g.get(c, "/", secret["reader"]); status != 401 {
		t.Errorf("%d %s", status, text)
	}
	if status, text, _ := g.get(c, "/", others["other"]); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	if after := g.Addresses(); len(after) != 1 || after[0] != before[0] {
		t.Errorf("%v, then %v", before, after)
	}
	off := next
	off.Listen = nil
	g.apply(&off)
	if len(g.Addresses()) != 0 || g.Problem() != "" {
		t.Errorf("%v %q", g.Addresses(), g.Problem())
	}
	if conn, err := net.Dial("tcp", before[0].String()); err == nil {
		conn.Close()
		t.Error("still open")
	}
}

// An address that is taken fails alone, and Abort gives back the others.
func TestAddressInUse(t *testing.T) {
	g := newGateway(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	next := *g.now
	next.Listen = []netip.AddrPort{g.now.Listen[0], netip.MustParseAddrPort(l.Addr().String()), netip.MustParseAddrPort("127.0.0.2:0")}
	c := g.Prepare(&next)
	if len(c.Failed) != 1 || !strings.Contains(c.Failed[0].Error(), "api.listen[1]") || len(c.opened) != 1 {
		t.Fatalf("%v, %v", c.Failed, c.opened)
	}
	if err := c.Abort(); err != nil {
		t.Fatal(err)
	}
	if len(g.Addresses()) != 1 {
		t.Error(g.Addresses())
	}
}

// Connections beyond the limit are closed, and room comes back.
func TestConnectionsAreLimited(t *testing.T) {
	tokens, secret := newTokens(t, map[string]Role{"reader": Read})
	g := newGateway(t, func(s *Settings) { s.Tokens, s.Connections = tokens, 2 })
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", g.Addresses()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	for g.open.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	if status, text, _ := g.get(g.client(nil), "/", secret["reader"]); status != 0 {
		t.Errorf("%d %s", status, text)
	}
	for _, c := range held {
		c.Close()
	}
	for g.open.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	if status, text, _ := g.get(g.client(nil), "/", secret["reader"]); status != 200 {
		t.Errorf("%d %s", status, text)
	}
}

// TLS 1.2 is refused, and a header that is too long.
func TestLimitsOfConnections(t *testing.T) {
	tokens, secret := newTokens(t, map[string]Role{"reader": Read})
	g := newGateway(t, func(s *Settings) { s.Tokens = tokens })
	old := g.client(nil)
	old.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
	if status, text, _ := g.get(old, "/", secret["reader"]); status != 0 || !strings.Contains(text, "protocol version") {
		t.Errorf("%d %s", status, text)
	}
	if status, text, _ := g.get(g.client(nil), "/?"+strings.Repeat("a", 40<<10), secret["reader"]); status != 431 {
		t.Errorf("%d %s", status, text)
	}
}

// What a file of tokens may hold, and that errors never repeat it.
func TestParseTokens(t *testing.T) {
	hash := hashPrefix + strings.Repeat("0a", 32)
	for text, want := range map[string]string{
		"":                         "no token",
		"ops write":                "1: a line has",
		"# x\nops admin " + hash:   "2: the second word",
		"ops read ntsb_0123456789": "1: the third word",
		"ops read " + hash + "\nops read " + hash: "2: the name ops",
		"o:s read " + hash:                        "1: the name must",
	} {
		_, err := ParseTokens([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "ntsb_") {
			t.Errorf("%q: %v", text, err)
		}
	}
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte("ops read "+hash+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadTokens(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Error(err)
	}
}

func FuzzParseTokens(f *testing.F) {
	f.Add([]byte("ops read " + hashPrefix + strings.Repeat("0a", 32)))
	f.Add([]byte("# c\n\n x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		tokens, err := ParseTokens(text)
		if err == nil && (tokens.Len() == 0 || tokens.Len() > maxTokens) {
			t.Error(tokens.Len())
		}
		if name, role := tokens.find(string(text)); role != Nobody {
			t.Errorf("%q lets %s in", text, name)
		}
	})
}
