package bridge

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
	"ntsbridge/symkey"
)

// testConfig is the embedded default on loopback with free ports.
func testConfig(t testing.TB, dir string) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.StateDir, cfg.RunDir = filepath.Join(dir, "state"), filepath.Join(dir, "run")
	cfg.Server.Listen = config.ListenOn(netip.MustParseAddrPort("127.0.0.1:0"))
	cfg.NTS.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	cfg.NTS.Names = []string{"localhost"}
	cfg.NTS.Port = 40123 // what clients are told; the test knows better
	cfg.Clock.FallbackStratum = 10
	cfg.Resolve(config.Environment{Hostname: "localhost"})
	return cfg
}

func startBridge(t testing.TB, cfg *config.Config) *Bridge {
	t.Helper()
	b, err := Start(cfg, hclog.NewNullLogger(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func plainRequest() []byte {
	p := make([]byte, ntp.HeaderLen)
	(&ntp.Header{Version: 4, Mode: ntp.ModeClient, Transmit: 99}).Encode(p)
	return p
}

// exchange sends a packet and returns the answer, nil if there is none.
func exchange(t testing.TB, b *Bridge, packet []byte) []byte {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(b.Addresses()[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(packet); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(2 * time.Second))
	buf := make([]byte, 2048)
	n, err := c.Read(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

// establish does NTS-KE and returns a client with its cookies.
func establish(t testing.TB, b *Bridge, id aead.ID) *nts.Client {
	t.Helper()
	pem, err := os.ReadFile(material.GeneratedCertificate(b.parts.Load().cfg).Certificate)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	conn, err := tls.Dial("tcp", b.ke.Addrs()[0].String(), &tls.Config{RootCAs: pool, ServerName: "localhost",
		NextProtos: []string{"ntske/1"}, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ke := nts.KEClient{AEADs: []aead.ID{id}}
	request, err := ke.Request(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	result, err := ke.Response(answer)
	if err != nil {
		t.Fatal(err)
	}
	if result.Port != 40123 {
		t.Errorf("negotiated port %d, want 40123", result.Port)
	}
	state := conn.ConnectionState()
	keys, err := result.Agreement.Export(state.ExportKeyingMaterial)
	if err != nil {
		t.Fatal(err)
	}
	client, err := nts.NewClient(&keys, result.Cookies, [32]byte{7})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func askNTS(t testing.TB, b *Bridge, c *nts.Client) error {
	t.Helper()
	p := append(plainRequest(), make([]byte, 1500)...)
	n, err := c.Request(p)
	if err != nil {
		t.Fatal(err)
	}
	answer := exchange(t, b, p[:n])
	if answer == nil {
		t.Fatal("no answer")
	}
	return c.Response(answer)
}

func TestFirstStartServesEveryKind(t *testing.T) {
	dir := t.TempDir()
	b := startBridge(t, testConfig(t, dir))
	if !b.Made().Key || !b.Made().Certificate || !b.Made().CookieSecret {
		t.Errorf("first start made %+v, want all", b.Made())
	}
	var h ntp.Header
	if p := exchange(t, b, plainRequest()); len(p) != ntp.HeaderLen {
		t.Fatalf("plain answer of %d octets", len(p))
	} else if h.Decode(p); h.Stratum != 10 || h.Leap != ntp.LeapNone {
		t.Errorf("served stratum %d leap %d", h.Stratum, h.Leap)
	}
	text, err := os.ReadFile(filepath.Join(dir, "state", "ntp.keys"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := symkey.ParseNTPKeys("ntp.keys", text)
	if err != nil {
		t.Fatal(err)
	}
	p := append(plainRequest(), make([]byte, 20)...)
	p = p[:file.Keys[0].Seal(p, ntp.HeaderLen, 16, symkey.NewScratch())]
	answer := exchange(t, b, p)
	if len(answer) != len(p) || !file.Keys[0].Verify(answer, ntp.HeaderLen, symkey.NewScratch()) {
		t.Errorf("symmetric answer %x", answer)
	}
	clients := make(map[aead.ID]*nts.Client)
	for _, id := range []aead.ID{aead.AESSIVCMAC256, aead.AESSIVCMAC384, aead.AESSIVCMAC512, aead.AES128GCMSIV} {
		clients[id] = establish(t, b, id)
		if err := askNTS(t, b, clients[id]); err != nil {
			t.Errorf("%v: %v", id, err)
		}
	}
	for _, name := range []string{"nts.key", "cookies.secret", "ntp.keys"} {
		info, err := os.Stat(filepath.Join(dir, "state", name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v, want mode 0600", name, info.Mode(), err)
		}
	}
	stats := b.ServerStats()
	if stats.Count("nts", "ok") != 4 || stats.Count("symmetric", "ok") != 1 || stats.Count("none", "ok") != 1 ||
		stats.Authenticated != 5 || stats.KEAccepted != 4 {
		t.Errorf("counted %+v", stats)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	// After a restart the same keys and cookies are good.
	b = startBridge(t, testConfig(t, dir))
	defer b.Close()
	if b.Made() != (material.Made{}) {
		t.Errorf("second start made %+v", b.Made())
	}
	for id, c := range clients {
		if err := askNTS(t, b, c); err != nil {
			t.Errorf("%v after a restart: %v", id, err)
		}
	}
	if answer := exchange(t, b, p); len(answer) != len(p) {
		t.Errorf("symmetric key after a restart: %x", answer)
	}
}

func TestReloadIsAllOrNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := startBridge(t, testConfig(t, dir))
	defer b.Close()
	served := func() bool { return exchange(t, b, plainRequest()) != nil }
	change := func(f func(*config.Config)) error {
		cfg := testConfig(t, dir)
		f(cfg)
		return b.Reload(cfg)
	}
	keyFile := filepath.Join(dir, "bad.keys")
	if err := os.WriteFile(keyFile, []byte("1 MD5 secret\nx y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(*config.Config){
		"key file rejected": func(c *config.Config) {
			c.Access.Default.Action = "deny"
			c.Keys.Files = []config.KeyFile{{Path: keyFile, Format: "ntp"}}
		},
		"certificate missing": func(c *config.Config) {
			c.Access.Default.Action = "deny"
			c.NTS.Certificates = []config.Certificate{{Cert: filepath.Join(dir, "no.crt"), Key: filepath.Join(dir, "no.key")}}
		},
		"address not ours": func(c *config.Config) {
			c.Access.Default.Action = "deny"
			c.Server.FreeBind = false
			c.Server.Listen = config.ListenOn(netip.MustParseAddrPort("192.0.2.7:4123"))
		},
		"state directory moved": func(c *config.Config) { c.StateDir = filepath.Join(dir, "other") },
		"workers changed":       func(c *config.Config) { c.Server.Workers = 7 },
	} {
		if err := change(f); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "secret") && !strings.Contains(err.Error(), "cookie secret") {
			t.Errorf("%s: error shows a secret: %v", name, err)
		}
		if !served() {
			t.Fatalf("%s: nothing is served any more", name)
		}
	}
	if err := change(func(c *config.Config) { c.Access.Default.Action = "deny" }); err != nil {
		t.Fatal(err)
	}
	if served() {
		t.Error("denied by the new configuration, but served")
	}
	if err := change(func(*config.Config) {}); err != nil {
		t.Fatal(err)
	}
	if !served() {
		t.Error("not served after the way back")
	}
}

func TestStartFailsCleanly(t *testing.T) {
	dir := t.TempDir()
	first := startBridge(t, testConfig(t, dir))
	defer first.Close()
	cfg := testConfig(t, dir)
	if _, err := Start(cfg, hclog.NewNullLogger(), Options{}); err == nil || !strings.Contains(err.Error(), "another ntsbridge") {
		t.Errorf("a second daemon with the same run directory: %v", err)
	}
	if exchange(t, first, plainRequest()) == nil {
		t.Error("the first daemon was disturbed")
	}
	// Without the socket's file there are two daemons no more than with it.
	if err := os.Remove(cfg.Control.Socket); err != nil {
		t.Fatal(err)
	}
	if b, err := Start(cfg, hclog.NewNullLogger(), Options{}); err == nil {
		b.Close()
		t.Error("a second daemon, once the control socket's file was deleted")
	}
}
