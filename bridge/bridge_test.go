package bridge

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/autokey"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/statedir"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
	"ntsbridge/symkey"
)

// testConfig is the embedded default on loopback with free ports.
func testConfig(t testing.TB, dir string) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.StateDir, cfg.RunDir = filepath.Join(dir, "state"), filepath.Join(dir, "run")
	cfg.Server.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
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
	pem, err := os.ReadFile(generatedCertificate(b.parts.Load().cfg).Certificate)
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
	if b.Made() != (Made{}) {
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
			c.Server.Listen = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:4123")}
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
	if _, err := Start(cfg, hclog.NewNullLogger(), Options{}); err == nil || !strings.Contains(err.Error(), "control socket") {
		t.Errorf("a second daemon with the same run directory: %v", err)
	}
	if exchange(t, first, plainRequest()) == nil {
		t.Error("the first daemon was disturbed")
	}
}

// opened opens the state directory of a file.
func opened(t *testing.T, path string) *statedir.Store {
	t.Helper()
	s, err := statedir.Open(filepath.Dir(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSeedsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "autokey.seed")
	store := opened(t, path)
	first, err := loadSeeds(store, path)
	if err != nil || len(first) != 1 || first[0] == 0 {
		t.Fatalf("%d seeds, %v", len(first), err)
	}
	if err := store.Commit(); err != nil {
		t.Fatal(err)
	}
	if again, err := loadSeeds(opened(t, path), path); err != nil || again[0] != first[0] {
		t.Errorf("another seed after a restart: %v", err)
	}
	if err := os.WriteFile(path, []byte("00000001\n00000002\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if two, err := loadSeeds(opened(t, path), path); err != nil || len(two) != 2 || two[0] != autokey.Seed(1) || two[1] != 2 {
		t.Errorf("seeds of a file with two: %d, %v", len(two), err)
	}
	for name, text := range map[string]string{"empty": "", "not hex": "xyz\n", "short": "0102\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadSeeds(opened(t, path), path); err == nil {
			t.Errorf("%s: accepted, which would strand every client", name)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loadSeeds(opened(t, path), path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("readable by others: %v", err)
	}
}

func TestCookieSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cookies.secret")
	store := opened(t, path)
	secret, made, err := loadCookieSecret(store, path)
	if err != nil || !made || len(secret) != 32 {
		t.Fatalf("made %v, %d octets, %v", made, len(secret), err)
	}
	if err := store.Commit(); err != nil {
		t.Fatal(err)
	}
	again, made, err := loadCookieSecret(opened(t, path), path)
	if err != nil || made || !bytes.Equal(secret, again) {
		t.Errorf("second look: made %v, %v", made, err)
	}
	if err := os.WriteFile(path, []byte(hex.EncodeToString(make([]byte, 31))), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := loadCookieSecret(opened(t, path), path); err == nil {
		t.Error("31 octets accepted")
	}
}

func TestLeapValues(t *testing.T) {
	list := "#$ 3676924800\n#@ 3928521600\n2272060800 10 # 1 Jan 1972\n3644697600 36\n3692217600 37 # 1 Jan 2017\n"
	at := func(s string) time.Time {
		when, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	got, err := leapValues("list", []byte(list), at("2026-11-21"))
	if want := (autokey.LeapValues{TAIOffset: 37, LastLeap: 3692217600, Expiry: 3694377600}); err != nil || got != want {
		t.Errorf("got %+v %v, want what ntpd sends: %+v", got, err, want)
	}
	got, err = leapValues("list", []byte(list), at("2016-12-01"))
	if want := (autokey.LeapValues{TAIOffset: 36, LastLeap: 3644697600, Expiry: 3692217600 + 7*86400}); err != nil || got != want {
		t.Errorf("before a leap second: %+v %v, want %+v", got, err, want)
	}
	for name, bad := range map[string]string{
		"empty": "", "one column": "3692217600\n", "no numbers": "a b\n",
		"wrong hash": list + "#h 1 2 3 4 5\n",
	} {
		if _, err := leapValues("list", []byte(bad), at("2026-11-21")); err == nil || !strings.Contains(err.Error(), "list") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzLeapValues(f *testing.F) {
	f.Add("#$ 3676924800\n#@ 3928521600\n2272060800 10 # 1 Jan 1972\n3692217600 37\n#h 1 2 3 4 5\n")
	f.Add("3692217600\t37")
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, list string) {
		v, err := leapValues("list", []byte(list), now)
		if err == nil && (v.LastLeap == 0 && v.TAIOffset == 0 || v.LastLeap > ntp.TimestampFromTime(now).Seconds()) {
			t.Errorf("%+v from %q", v, list)
		}
	})
}
