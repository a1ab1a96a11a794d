package source

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

func TestNTSLivesLong(t *testing.T) {
	s := newNTSSite(t)
	cfg := s.config()
	cfg.AEADs = []aead.ID{aead.AESSIVCMAC512, aead.AESSIVCMAC256}
	n := s.dial(cfg)
	s.good(n, 20)
	st := n.Status()
	if st.AEAD != aead.AESSIVCMAC256 && st.AEAD != aead.AESSIVCMAC512 || st.KeyLen != 8*st.AEAD.KeyLen() || st.KeyID != 1 ||
		st.Attempts != 0 || st.NAKs != 0 || st.Cookies < 4 || st.CookieLen == 0 || st.Restored || st.Provisional || st.Err != nil ||
		st.Server != netip.MustParseAddrPort("127.0.0.1:123") || st.LastKE != 0 {
		t.Errorf("status %+v", st)
	}
	// New keys are made in time, and good ones outlive a server that is away.
	s.clock.step(defaultRefresh)
	s.good(n, 1)
	if st := n.Status(); st.KeyID != 2 || s.count.Load() != 2 || st.LastKE < defaultRefresh {
		t.Errorf("no refresh: %+v", st)
	}
	expired := s.authority.issue(t, loopbackName, certFrom, goodDate)
	s.cert.Store(&expired)
	s.wall = goodDate.Add(defaultRefresh)
	s.clock.step(defaultRefresh)
	s.good(n, 20)
	if st := n.Status(); st.KeyID != 2 || st.Attempts == 0 || st.Attempts > 8 || st.Err == nil {
		t.Errorf("%d attempts in 20 polls: %+v", st.Attempts, st)
	}
	s.reused()
}

func TestNTSNAKs(t *testing.T) {
	s := newNTSSite(t)
	n := s.dial(s.config())
	s.good(n, 2)
	nak := func(p []byte) []byte {
		resp := make([]byte, ntp.HeaderLen, maxPacket)
		h := ntp.Header{Version: 4, Mode: ntp.ModeServer, ReferenceID: ntp.KissCode("NTSN"), Origin: 0x1122334455667788}
		h.Encode(resp)
		return append(resp, p[ntp.HeaderLen:ntp.HeaderLen+36]...)
	}
	// Many to one request, and two in a row, prove nothing.
	for range 2 {
		p, err := s.request(n)
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if j := n.Open(momentOf(s.clock), nak(p)); !errors.Is(j.Err, nts.ErrNAK) || j.Usable {
				t.Fatalf("NAK: %+v", j)
			}
		}
	}
	s.good(n, 1)
	if st := n.Status(); st.KeyID != 1 || st.NAKs != 2 {
		t.Errorf("good keys were dropped: %+v", st)
	}
	// A NAK with another unique identifier is none.
	p, _ := s.request(n)
	p[60] ^= 1
	if j := n.Open(momentOf(s.clock), nak(p)); errors.Is(j.Err, nts.ErrNAK) {
		t.Errorf("NAK to somebody else: %+v", j)
	}
	// A server that forgot its keys is asked for new ones, after three.
	s.forgetKeys()
	for range 3 {
		if err := s.poll(n); !errors.Is(err, nts.ErrNAK) {
			t.Fatal(err)
		}
	}
	s.good(n, 3)
	if st := n.Status(); st.KeyID != 2 || st.NAKs != 0 {
		t.Errorf("status %+v", st)
	}
	s.reused()
}

// TestNTSBackoff lets key establishment fail for five days.
func TestNTSBackoff(t *testing.T) {
	for _, c := range []struct {
		name     string
		break_   func(s *ntsSite, cfg *NTSConfig)
		most     time.Duration
		handled  bool // the server has work by it
		attempts [2]int
	}{
		{"certificate", func(s *ntsSite, _ *NTSConfig) { s.wall = certTo.Add(time.Hour) }, defaultMaxRetry, true, [2]int{12, 18}},
		{"connection", func(_ *ntsSite, cfg *NTSConfig) { cfg.Server = "127.0.0.1:1" }, maxRetryConnect, false, [2]int{150, 230}},
		{"shorter", func(s *ntsSite, cfg *NTSConfig) { s.wall, cfg.MaxRetry = certTo.Add(time.Hour), time.Hour }, time.Hour,
			true, [2]int{75, 130}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newNTSSite(t)
			cfg := s.config()
			c.break_(s, &cfg)
			n, err := NewNTS(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			var last, gap time.Duration
			tries := 0
			for s.clock.uptime < 5*24*time.Hour {
				s.clock.step(time.Second)
				before := n.Status().Attempts
				_, err := n.Connect()
				var wait *RetryError
				if n.Status().Attempts == before {
					if !errors.As(err, &wait) || wait.In <= 0 || causeOf(err) == CauseOther {
						t.Fatalf("%v", err)
					}
					s.clock.step(wait.In - time.Second)
					continue
				}
				if tries++; tries > 1 {
					next := s.clock.uptime - last
					if next < minRetry || next < gap && next < c.most || next > c.most*3/2+time.Second {
						t.Errorf("attempt %d after %v, the one before after %v", tries, next, gap)
					}
					gap = min(next*2/3, c.most)
				}
				last = s.clock.uptime
			}
			if tries < c.attempts[0] || tries > c.attempts[1] {
				t.Errorf("%d attempts in 5 days, want %v", tries, c.attempts)
			}
			if got := int(s.count.Load()); c.handled != (got == tries) {
				t.Errorf("%d handshakes", got)
			}
			n.Retry()
			if n.Connect(); n.Status().Attempts != tries+1 {
				t.Error("Retry does not make it try again")
			}
		})
	}
}

// Keys that the server does not take are no success: the back-off goes on.
func TestNTSBackoffOfUselessKeys(t *testing.T) {
	s := newNTSSite(t)
	n := s.dial(s.config())
	s.mu.Lock()
	ring := s.ring
	s.mu.Unlock()
	s.forgetKeys()
	s.mu.Lock()
	s.ring = ring // NTS-KE and NTP server do not share keys
	s.mu.Unlock()
	var waits int
	for range 200 {
		err := s.poll(n)
		var wait *RetryError
		if !errors.Is(err, nts.ErrNAK) || causeOf(err) != CauseNTSNAK {
			t.Fatalf("%v", err)
		}
		if errors.As(err, &wait) {
			waits++
		}
	}
	if got := s.count.Load(); got < 4 || got > 12 || waits < 150 {
		t.Errorf("%d key establishments, %d waits", got, waits)
	}
	s.reused()
}

func TestNTSServerNegotiated(t *testing.T) {
	s := newNTSSite(t)
	n := s.dial(s.config())
	s.good(n, 1)
	s.negotiate("127.0.0.2", 4123)
	s.forgetKeys()
	for range 3 {
		s.poll(n)
	}
	var moved *MovedError
	for range 3 { // nothing is sent to the old one
		if err := s.poll(n); !errors.As(err, &moved) || moved.Server != netip.MustParseAddrPort("127.0.0.2:4123") {
			t.Fatalf("%v", err)
		}
	}
	server, err := n.Connect()
	if err != nil || server != moved.Server || s.count.Load() != 2 {
		t.Fatalf("%v %v", server, err)
	}
	s.good(n, 1)

	s.negotiate("no.such.name.invalid", 0)
	_, _, err = DialNTS(t.Context(), func() NTSConfig { c := s.config(); c.Resolver = fakeDNS(t, 3); return c }())
	var ke *keError
	if !errors.As(err, &ke) || ke.Stage != stageServer || causeOf(err) != CauseNameUnknown ||
		!strings.Contains(explained(err), "no.such.name.invalid") {
		t.Errorf("%v: %s", err, explained(err))
	}
	cfg := s.config()
	cfg.Port = 11123
	s.negotiate("", 0)
	if _, server, err := DialNTS(t.Context(), cfg); err != nil || server.Port() != 11123 {
		t.Errorf("%v %v", server, err)
	}
}

// Of several addresses that which does not work is passed over; and without
// answers the keys are used up, and the next address is tried.
func TestNTSSeveralAddresses(t *testing.T) {
	s := newNTSSite(t)
	port := portOf(t, s.address)
	serveAt(t, fmt.Sprintf("127.0.0.2:%d", port), func(c net.Conn) { s.establish(tls.Server(c, s.tls)) })
	cert := s.authority.issue(t, "nts.test", certFrom, certTo)
	s.cert.Store(&cert)
	cfg := s.config()
	cfg.Server = fmt.Sprintf("nts.test:%d", port)
	cfg.Network = "ip4"
	// Nobody listens on the first.
	cfg.Resolver = fakeDNS(t, 0, netip.MustParseAddr("127.0.0.9"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"))
	n := s.dial(cfg)
	seen := map[netip.Addr]bool{}
	for range 4 {
		seen[n.Status().Server.Addr()] = true
		for range nts.MaxCookies {
			if _, err := s.request(n); err != nil {
				t.Fatal(err)
			}
		}
		s.clock.step(time.Hour) // over any back-off
		if _, err := n.Connect(); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 2 {
		t.Errorf("addresses tried: %v", seen)
	}
	s.reused()
}

// Clients that start together do not come back together.
func TestNTSJitter(t *testing.T) {
	s := newNTSSite(t)
	cfg := s.config()
	cfg.Server = closedPort(t)
	seen := map[time.Duration]bool{}
	for range 10 {
		n, err := NewNTS(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		n.Connect()
		seen[n.Status().RetryAt] = true
	}
	if len(seen) < 5 {
		t.Errorf("retries at %v", seen)
	}
}

func TestNTSKeepsCookies(t *testing.T) {
	s := newNTSSite(t)
	cfg := s.config()
	store := newMemoryStore()
	cfg.Store = store
	n := s.dial(cfg)
	if len(store.kept) != 0 {
		t.Error("keys were kept before they proved good")
	}
	s.good(n, 5)
	if len(store.kept) != 1 {
		t.Fatal("nothing is kept for a run that ends without Close")
	}
	// This run is cut short; the next one has keys at once.
	again, server, err := DialNTS(t.Context(), cfg)
	if err != nil || s.count.Load() != 1 || !again.Status().Restored || server != n.Status().Server {
		t.Fatalf("%v, %d key establishments, %+v", err, s.count.Load(), again.Status())
	}
	if len(store.kept) != 0 {
		t.Error("what was loaded is still kept")
	}
	s.good(again, 5)
	s.good(n, 5) // as if it still ran: no cookie is in both hands
	s.reused()
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	third := s.dial(cfg)
	if st := third.Status(); st.Cookies < 6 || s.count.Load() != 1 {
		t.Errorf("after Close: %+v", st)
	}
	s.good(third, 20)
	s.reused()
}

// What is kept is used only as long and where it is good.
func TestNTSKeptKeysGoBad(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *ntsSite, cfg *NTSConfig, store *memoryStore)
		ke     int32 // key establishments after 5 polls
	}{
		{"nothing", func(*ntsSite, *NTSConfig, *memoryStore) {}, 1},
		{"server forgot", func(s *ntsSite, _ *NTSConfig, _ *memoryStore) { s.forgetKeys() }, 2},
		{"too old", func(s *ntsSite, _ *NTSConfig, _ *memoryStore) {
			s.wall, s.time = s.wall.Add(8*24*time.Hour), s.time.Add(8*24*time.Hour)
		}, 2},
		{"too old by the server", func(s *ntsSite, _ *NTSConfig, _ *memoryStore) { s.time = s.time.Add(8 * 24 * time.Hour) }, 2},
		{"clock in 1970", func(s *ntsSite, _ *NTSConfig, _ *memoryStore) { s.wall = time.Unix(0, 0) }, 1},
		{"clock in 2050", func(s *ntsSite, _ *NTSConfig, _ *memoryStore) { s.wall = s.wall.AddDate(24, 0, 0) }, 2}, // the first fails
		{"algorithm", func(_ *ntsSite, cfg *NTSConfig, _ *memoryStore) { cfg.AEADs = []aead.ID{aead.AESSIVCMAC512} }, 2},
		{"authority", func(s *ntsSite, cfg *NTSConfig, _ *memoryStore) {
			s.authority = newTestAuthority(s.t, "other")
			cert := s.authority.issue(s.t, loopbackName, certFrom, certTo)
			s.cert.Store(&cert)
			cfg.Trusted = []string{s.authority.file(s.t)}
		}, 2},
		{"damaged", func(_ *ntsSite, _ *NTSConfig, store *memoryStore) {
			for name := range store.kept {
				store.kept[name][3] ^= 1
			}
		}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newNTSSite(t)
			cfg := s.config()
			store := newMemoryStore()
			cfg.Store = store
			var notices []string
			cfg.OnNotice = func(text string) { notices = append(notices, text) }
			n := s.dial(cfg)
			s.good(n, 3)
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			c.change(s, &cfg, store)
			n, err := NewNTS(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				err = s.poll(n)
			}
			if err != nil || s.count.Load() != c.ke {
				t.Errorf("%v, %d key establishments, want %d; %q", err, s.count.Load(), c.ke, notices)
			}
			s.reused()
			for _, text := range notices {
				if strings.Contains(text, string(store.kept[cfg.Server])) && len(store.kept) > 0 {
					t.Errorf("secret in %q", text)
				}
			}
		})
	}
}

func TestFileStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nts")
	store, err := NewFileStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	const name = "../[fe80::1%eth0]:4460/x"
	if _, err := store.Load(name); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%v", err)
	}
	file := func() string {
		list, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(list) != 1 {
			t.Fatalf("%v %v", list, err)
		}
		return list[0]
	}
	save := func() {
		t.Helper()
		if err := store.Save(name, []byte("secret")); err != nil {
			t.Fatal(err)
		}
	}
	save()
	if info, err := os.Stat(file()); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if data, err := store.Load(name); err != nil || string(data) != "secret" {
		t.Errorf("%q %v", data, err)
	}
	if _, err := store.Load(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("loaded twice: %v", err)
	}
	for what, spoil := range map[string]func(string) error{
		"readable by all":   func(f string) error { return os.Chmod(f, 0o644) },
		"readable by group": func(f string) error { return os.Chmod(f, 0o640) },
		"link": func(f string) error {
			if err := os.Rename(f, filepath.Join(t.TempDir(), "x")); err != nil {
				return err
			}
			return os.Symlink("/etc/passwd", f)
		},
		"directory": func(f string) error { os.Remove(f); return os.Mkdir(f, 0o700) },
	} {
		save()
		if err := spoil(file()); err != nil {
			t.Fatal(err)
		}
		if data, err := store.Load(name); err == nil || errors.Is(err, os.ErrNotExist) || data != nil {
			t.Errorf("%s: %q %v", what, data, err)
		}
		if _, err := store.Load(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: still there: %v", what, err)
		}
	}
	save()
	if err := store.Save(name, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("dropped, and loaded: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left: %v", entries)
	}
}

func TestNTSConfigs(t *testing.T) {
	for name, cfg := range map[string]NTSConfig{
		"no server": {}, "no host": {Server: ":4460"}, "network": {Server: "a", Network: "tcp"}, "timeout": {Server: "a", Timeout: -1},
		"retry too short": {Server: "a", MaxRetry: time.Second}, "retry too long": {Server: "a", MaxRetry: 1000 * time.Hour},
		"algorithm": {Server: "a", AEADs: []aead.ID{1}}, "twice": {Server: "a", AEADs: []aead.ID{15, 15}},
	} {
		if _, err := NewNTS(t.Context(), cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := NewNTS(t.Context(), NTSConfig{Server: "a"}); err != nil {
		t.Error(err)
	}
}

// What is printed shows no secret.
func TestNTSHidesSecrets(t *testing.T) {
	s := newNTSSite(t)
	n := s.dial(s.config())
	s.good(n, 1)
	saved := &Saved{Server: "x", Keys: n.session.keys, Cookies: n.session.client.Withdraw(2)}
	secret := fmt.Sprintf("%x", n.session.keys.C2S())
	for _, format := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		for _, v := range []any{n, *saved, saved, n.Status()} {
			if text := fmt.Sprintf(format, v); strings.Contains(strings.ToLower(text), secret[:8]) || len(text) > 2000 {
				t.Errorf("%s of %T: %.300s", format, v, text)
			}
		}
	}
}

// A daemon that becomes another user is root again when it starts: the keys of
// its last run are still its own. Those of a third are nobody's.
func TestFileStoreOfTheUserToBe(t *testing.T) {
	needs.Root(t, "read what is another's")
	dir := filepath.Join(t.TempDir(), "nts")
	store, err := NewFileStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	for owner, want := range map[int]bool{65534: true, 65533: false, 0: true} {
		if err := store.Save("x", []byte("secret")); err != nil {
			t.Fatal(err)
		}
		list, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(list) != 1 {
			t.Fatalf("%v %v", list, err)
		}
		if err := os.Chown(list[0], owner, owner); err != nil {
			t.Fatal(err)
		}
		if data, err := store.Load("x"); (err == nil && string(data) == "secret") != want {
			t.Errorf("of user %d: %q, %v", owner, data, err)
		}
	}
}
