package acme

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"github.com/hashicorp/go-hclog"
	protocol "golang.org/x/crypto/acme"

	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/nke/pki"
)

// The ACME server of these tests is the real one of Let's Encrypt's testing,
// built by the go command from the module proxy.
const (
	pebbleModule = "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.3"
	dnsModule    = "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv@v2.10.3"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Getenv("ACME_TEST_DNS") != "" {
		os.Exit(testHook(os.Args[1], os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// testHook is the program of dns-01: it tells the test's name server.
func testHook(action, record, value string) int {
	path := map[string]string{"present": "/set-txt", "cleanup": "/clear-txt"}[action]
	body, _ := json.Marshal(map[string]string{"host": record + ".", "value": value})
	resp, err := http.Post("http://"+os.Getenv("ACME_TEST_DNS")+path, "application/json", bytes.NewReader(body))
	if err != nil || resp.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// tool builds a program, or skips the test where that cannot be done.
func tool(t *testing.T, module string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds an ACME server")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		needs.Missing(t, "%v", err)
	}
	dir := filepath.Join(cache, "ntsbridge-test")
	name, version, _ := strings.Cut(filepath.Base(module), "@")
	path := filepath.Join(dir, version, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	cmd := exec.Command("go", "install", module)
	cmd.Dir = os.TempDir() // in no module
	cmd.Env = append(os.Environ(), "GOBIN="+filepath.Dir(path), "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		needs.Missing(t, "%s cannot be built: %v: %s", module, err, out)
	}
	return path
}

// testWriter lets the log of what is tested be that of the test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// pebble is a running ACME server.
type pebble struct {
	directory, bundle string
	http, tls         int // ports that it asks for answers
	dns               string
	stop              func()
	start             func()
}

func startTool(t *testing.T, ready string, env []string, path string, args ...string) (stop func()) {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var stopped atomic.Bool
	stop = func() {
		if !stopped.Swap(true) {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if t.Failed() {
				t.Logf("%s:\n%s", filepath.Base(path), &out)
			}
		}
	}
	t.Cleanup(stop)
	eventually(t, "listens", func() bool {
		c, err := net.Dial("tcp", ready)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return stop
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// startPebble runs an ACME server whose certificates live for so many seconds.
func startPebble(t *testing.T, life int, change func(map[string]any)) *pebble {
	t.Helper()
	program, names := tool(t, pebbleModule), tool(t, dnsModule)
	dir := t.TempDir()
	p := &pebble{http: freePort(t), tls: freePort(t)}
	port, management, dns, dnsAPI := freePort(t), freePort(t), freePort(t), freePort(t)
	p.dns = fmt.Sprintf("127.0.0.1:%d", dnsAPI)
	startTool(t, p.dns, nil, names, "-dnsserver", fmt.Sprintf("127.0.0.1:%d", dns), "-management", p.dns, "-http01", "", "-https01", "",
		"-tlsalpn01", "", "-doh", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "")
	p.bundle = filepath.Join(dir, "ca.pem")
	cert, key := serverCertificate(t, p.bundle)
	config := map[string]any{
		"listenAddress": fmt.Sprintf("127.0.0.1:%d", port), "managementListenAddress": fmt.Sprintf("127.0.0.1:%d", management),
		"certificate": cert, "privateKey": key, "httpPort": p.http, "tlsPort": p.tls,
		"externalAccountBindingRequired": false,
		"profiles":                       map[string]any{"default": map[string]any{"description": "the one", "validityPeriod": life}},
	}
	if change != nil {
		change(config)
	}
	text, err := json.Marshal(map[string]any{"pebble": config})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p.directory = fmt.Sprintf("https://127.0.0.1:%d/dir", port)
	p.start = func() {
		env := []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=20", "PEBBLE_AUTHZREUSE=0"}
		p.stop = startTool(t, fmt.Sprintf("127.0.0.1:%d", port), env, program, "-config", file,
			"-dnsserver", fmt.Sprintf("127.0.0.1:%d", dns))
	}
	p.start()
	return p
}

// serverCertificate makes the ACME server's own certificate.
func serverCertificate(t *testing.T, bundle string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root, err := pki.NewRoot("test authority", private, 0, time.Now(), 30)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := root.Issue(&pki.Server{Names: []string{"127.0.0.1"}, Days: 3650, Before: time.Hour}, private.Public(), true, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	text, err := pki.KeyPEM(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = bundle+".crt", bundle+".key"
	for path, content := range map[string][]byte{cert: pki.PEM(chain...), key: text, bundle: pki.PEM(root.Certificate)} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// config gets certificates of the server for the names by http-01.
func (p *pebble) config(t *testing.T, names ...string) Config {
	return Config{Directory: p.directory, Bundle: p.bundle, Names: names, Challenge: HTTP01, Dir: t.TempDir(),
		Logger:  hclog.New(&hclog.LoggerOptions{Output: testWriter{t}}),
		Contact: []string{"time@example.com"}, wait: 50 * time.Millisecond,
		Listen: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(p.http))}}
}

// run runs a manager until the test ends.
func run(t *testing.T, cfg Config) *Manager {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return m
}

// serial returns that of the certificate that is there, and checks that its key
// fits; nil: there is none.
func serial(t *testing.T, cfg *Config) *big.Int {
	t.Helper()
	f := FilesIn(cfg.Dir)
	pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		return nil
	}
	return pair.Leaf.SerialNumber
}

func TestIssueByEveryChallenge(t *testing.T) {
	p := startPebble(t, 3600, nil)
	for _, challenge := range []string{HTTP01, TLSALPN01, DNS01} {
		t.Run(challenge, func(t *testing.T) {
			cfg := p.config(t, "tick.example.com", "tock.example.com")
			cfg.Challenge = challenge
			switch challenge {
			case HTTP01:
				cfg.Names = append(cfg.Names, "127.0.0.1")
			case TLSALPN01:
				cfg.Listen = []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(p.tls))}
			case DNS01:
				t.Setenv("ACME_TEST_DNS", p.dns)
				cfg.Names = append(cfg.Names, "*.ntp.example.com")
				cfg.Hook, _ = os.Executable()
			}
			var issued atomic.Int32
			cfg.Issued = func() { issued.Add(1) }
			m := run(t, cfg)
			eventually(t, "a certificate", func() bool { return issued.Load() == 1 })
			certs, err := nke.LoadCertificates([]nke.Files{FilesIn(cfg.Dir)})
			if err != nil {
				t.Fatal(err)
			}
			chain := certs.Chains()[0]
			if missing := pki.Missing(chain[0], cfg.Names); len(missing) > 0 || len(chain) < 2 {
				t.Errorf("not for %v, %d certificates", missing, len(chain))
			}
			f := FilesIn(cfg.Dir)
			for path, mode := range map[string]os.FileMode{f.Key: 0o600, cfg.accountFile(): 0o600, f.Certificate: 0o644} {
				if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
					t.Errorf("%s: %v, %v", path, info.Mode(), err)
				}
			}
			eventually(t, "the next one is planned", func() bool { return !m.Status().Next.IsZero() })
			if st := m.Status(); st.Error != "" || time.Until(st.Next) < 35*time.Minute || time.Until(st.Next) > 45*time.Minute {
				t.Errorf("%+v", st)
			}
			// Another start finds it.
			again := run(t, cfg)
			eventually(t, "nothing to do", func() bool { return !again.Status().Next.IsZero() })
			if issued.Load() != 1 {
				t.Error("it was got again")
			}
		})
	}
}

// It is renewed at two thirds of its life; while the authority is away the old
// one stays, and is replaced when it is back.
func TestRenewalAndOutage(t *testing.T) {
	p := startPebble(t, 3600, nil)
	cfg := p.config(t, "tick.example.com")
	var ahead atomic.Int64
	cfg.now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	run := func() (*Manager, func()) {
		m, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); m.Run(ctx) }()
		return m, func() { cancel(); <-done }
	}
	m, stop := run()
	eventually(t, "a certificate", func() bool { return serial(t, &cfg) != nil && !m.Status().Next.IsZero() })
	stop()
	first := serial(t, &cfg)
	p.stop()
	ahead.Store(int64(45 * time.Minute))
	m, stop = run()
	eventually(t, "a failure", func() bool { return m.Status().Error != "" })
	if st := m.Status(); !strings.Contains(st.Error, "refused") || serial(t, &cfg).Cmp(first) != 0 {
		t.Errorf("%+v", st)
	}
	p.start()
	eventually(t, "renewed", func() bool { return serial(t, &cfg) != nil && serial(t, &cfg).Cmp(first) != 0 })
	stop()
}

// Revoked, or asked for, it is replaced by one with another key.
func TestRevokeAndReplace(t *testing.T) {
	p := startPebble(t, 3600, nil)
	cfg := p.config(t, "tick.example.com")
	m := run(t, cfg)
	eventually(t, "a certificate", func() bool { return !m.Status().Next.IsZero() })
	first := serial(t, &cfg)
	client, err := m.client()
	if err != nil {
		t.Fatal(err)
	}
	key, _ := os.ReadFile(FilesIn(cfg.Dir).Key)
	text, _ := os.ReadFile(FilesIn(cfg.Dir).Certificate)
	block, _ := pem.Decode(text)
	if err := client.RevokeCert(t.Context(), nil, block.Bytes, protocol.CRLReasonKeyCompromise); err != nil {
		t.Fatal(err)
	}
	m.Replace()
	eventually(t, "replaced", func() bool { return serial(t, &cfg) != nil && serial(t, &cfg).Cmp(first) != 0 })
	if after, _ := os.ReadFile(FilesIn(cfg.Dir).Key); bytes.Equal(key, after) {
		t.Error("with the same key")
	}
}

// Nothing is asked for while the clock is wrong.
func TestWrongClockAtTheFirstStart(t *testing.T) {
	p := startPebble(t, 3600, nil)
	cfg := p.config(t, "tick.example.com")
	var right atomic.Bool
	cfg.now = func() time.Time {
		if right.Load() {
			return time.Now()
		}
		return time.Unix(0, 0)
	}
	var asked atomic.Int32
	cfg.Ready = func() bool { asked.Add(1); return right.Load() }
	m := run(t, cfg)
	eventually(t, "it waits", func() bool { return asked.Load() > 0 })
	if st := m.Status(); !st.Tried.IsZero() || serial(t, &cfg) != nil {
		t.Errorf("%+v", st)
	}
	right.Store(true)
	eventually(t, "a certificate", func() bool { return serial(t, &cfg) != nil })
}

// An external account binding is given where the authority wants one.
func TestBinding(t *testing.T) {
	mac := []byte("0123456789abcdef0123456789abcdef")
	p := startPebble(t, 3600, func(c map[string]any) {
		c["externalAccountBindingRequired"] = true
		c["externalAccountMACKeys"] = map[string]string{"kid-1": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}
	})
	cfg := p.config(t, "tick.example.com")
	m := run(t, cfg)
	eventually(t, "a failure", func() bool { return m.Status().Error != "" })
	if !strings.Contains(m.Status().Error, "externalAccountRequired") {
		t.Errorf("%s", m.Status().Error)
	}
	cfg = p.config(t, "tick.example.com")
	cfg.BindingID, cfg.BindingKey = "kid-1", mac
	run(t, cfg)
	eventually(t, "a certificate", func() bool { return serial(t, &cfg) != nil })
}

// An authority that limits the rate says how long to wait.
func TestRateLimit(t *testing.T) {
	m, err := New(Config{Directory: "https://acme.example/dir", Names: []string{"a.example"}, Challenge: HTTP01,
		Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}})
	if err != nil {
		t.Fatal(err)
	}
	limited := &protocol.Error{StatusCode: 429, ProblemType: "urn:ietf:params:acme:error:rateLimited",
		Header: http.Header{"Retry-After": {"7200"}}}
	if wait := m.backOff(fmt.Errorf("acme: order: %w", limited)); wait < 2*time.Hour-time.Second {
		t.Errorf("%v", wait)
	}
	if !strings.Contains(explain(limited), "limits the rate") {
		t.Errorf("%s", explain(limited))
	}
	var last time.Duration
	for i := range 12 {
		wait := m.backOff(x509.UnknownAuthorityError{})
		if wait > lastWait*5/4+time.Second || i > 2 && i < 8 && wait < last {
			t.Errorf("%d: %v after %v", i, wait, last)
		}
		last = wait
	}
	if last < lastWait {
		t.Errorf("%v at last", last)
	}
}
