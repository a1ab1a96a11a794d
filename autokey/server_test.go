package autokey

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// testNow is a time within the validity of the recorded certificates.
const testNow = ntp.Timestamp(4004290000 << 32)

var (
	testClient = netip.MustParseAddr("192.0.2.77")
	testServer = netip.MustParseAddr("198.51.100.1")
)

// testConfig returns the configuration with the recorded keys of a session.
func testConfig(t testing.TB, name string) Config {
	t.Helper()
	s := readSession(t, name)
	h := s.host(netip.MustParseAddr("10.98.0.1"))
	return Config{Host: h.keys(t), Digest: h.digest(), Budget: Unbounded{}}
}

func newTestServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	if cfg.Budget == nil {
		cfg.Budget = Unbounded{}
	}
	s, err := NewServer(cfg, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// peer makes requests as a client does.
type peer struct {
	addr    netip.Addr
	server  netip.Addr
	scratch *Scratch
	keyID   uint32
}

func newPeer(d Digest) *peer {
	return &peer{testClient, testServer, NewScratch(d), 0x10000}
}

// request makes a client packet with the given fields and cookie.
func (c *peer) request(cookie uint32, fields []byte) *ntp.Request {
	p := make([]byte, ntp.HeaderLen, 4096)
	p[0] = 4<<3 | byte(ntp.ModeClient)
	binary.BigEndian.PutUint64(p[40:], 0x0123456789abcdef)
	p = append(p, fields...)
	mac := c.scratch.MAC(c.scratch.SessionKey(c.addr, c.server, c.keyID, cookie), p)
	p = binary.BigEndian.AppendUint32(p, c.keyID)
	p = append(p, mac...)
	return packet{from: c.addr, to: c.server, data: p}.request()
}

// plain makes a request without extension field, with the cookie of a seed.
func (c *peer) plain(seed Seed) *ntp.Request {
	return c.request(c.scratch.Cookie(c.addr, c.server, seed), nil)
}

// ask makes a request with one message.
func (c *peer) ask(m Message) *ntp.Request { return c.request(0, m.Append(nil)) }

// answer opens and seals; it returns the answer's message if there is one.
func answer(t testing.TB, s *Server, req *ntp.Request, now ntp.Timestamp, synced bool) (ntp.Verdict, *Session, []byte) {
	t.Helper()
	sess := new(Session)
	v := s.Open(now, synced, req, sess, true)
	if v.Action != ntp.Answer {
		return v, sess, nil
	}
	var resp [MaxResponseLen]byte
	h := ntp.Header{Version: 4, Mode: ntp.ModeServer, Stratum: 2, Origin: req.Header.Transmit}
	h.Encode(resp[:])
	return v, sess, bytes.Clone(resp[:s.Seal(req, resp[:], sess)])
}

// ask sends one message and returns the message of the answer.
func ask(t testing.TB, s *Server, m Message, now ntp.Timestamp, synced bool) (ntp.Verdict, *Session, Message) {
	t.Helper()
	v, sess, resp := answer(t, s, newPeer(s.digest).ask(m), now, synced)
	if resp == nil {
		return v, sess, Message{}
	}
	got, _ := packet{data: resp}.message()
	return v, sess, got
}

// goodReply reports whether a reply to a plain request has the right MAC.
func (c *peer) goodReply(resp []byte, seed Seed) bool {
	cookie := c.scratch.Cookie(c.addr, c.server, seed)
	key := c.scratch.SessionKey(c.server, c.addr, c.keyID, cookie)
	n := len(resp) - c.scratch.digest.macLen()
	return binary.BigEndian.Uint32(resp[n-4:]) == c.keyID && c.scratch.verifyMAC(key, resp[:n-4], resp[n:])
}

func TestSeeds(t *testing.T) {
	cfg := testConfig(t, "tc-rsa512-md5")
	cfg.Seed, cfg.OlderSeeds = 0xdeadbeef, []Seed{1, 2}
	cfg.TakeoverEnd = testNow.Add(time.Hour)
	for _, c := range []struct {
		name     string
		seed     Seed
		takeover bool
		now      ntp.Timestamp
		want     ntp.Action
		old      bool
		reason   ntp.Reason
	}{
		{"own", 0xdeadbeef, false, testNow, ntp.Answer, false, ntp.ReasonOK},
		{"older", 1, false, testNow, ntp.Answer, true, ntp.ReasonOK},
		{"oldest", 2, false, testNow, ntp.Answer, true, ntp.ReasonOK},
		{"unknown", 3, true, testNow, ntp.CryptoNAK, false, ntp.ReasonUnknownCookie},
		{"ntpd's, no takeover", 0, false, testNow, ntp.CryptoNAK, false, ntp.ReasonNTPDCookie},
		{"ntpd's, takeover", 0, true, testNow, ntp.Answer, true, ntp.ReasonOK},
		{"ntpd's, takeover nearly over", 0, true, cfg.TakeoverEnd - 1, ntp.Answer, true, ntp.ReasonOK},
		{"ntpd's, takeover over", 0, true, cfg.TakeoverEnd, ntp.CryptoNAK, false, ntp.ReasonNTPDCookie},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := cfg
			cfg.Takeover = c.takeover
			s, p := newTestServer(t, cfg), newPeer(MD5)
			v, _, resp := answer(t, s, p.plain(c.seed), c.now, true)
			if v.Action != c.want || v.Marks.Has(ntp.OldSecret) != c.old ||
				v.Marks.Has(ntp.ZeroSeed) != (c.seed == 0) || v.Reason != c.reason ||
				v.Kind != ntp.KindAutokey || v.Operation != 0 {
				t.Fatalf("verdict %+v", v)
			}
			if v.Action == ntp.CryptoNAK {
				return
			}
			if !p.goodReply(resp, c.seed) {
				t.Error("the answer does not use the cookie of the request")
			}
			if len(resp) != 68 {
				t.Errorf("%d octets", len(resp))
			}
		})
	}
}

// TestCookieOfOwnSeed shows that COOK gives out the own seed's cookie also
// during a takeover.
func TestCookieOfOwnSeed(t *testing.T) {
	cfg := testConfig(t, "tc-rsa512-md5")
	cfg.Seed, cfg.Takeover = 77, true
	s := newTestServer(t, cfg)
	key := cfg.Host.HostKey
	m := Message{Code: Request(OpCook), Value: keyfile.MarshalPublicKey(&key.RSAPublicKey)}
	_, _, got := ask(t, s, m, testNow, true)
	cookie, err := keyfile.DecryptCookie(rand.Reader, key, got.Value)
	if want := NewScratch(MD5).Cookie(testClient, testServer, 77); err != nil || cookie != want {
		t.Errorf("cookie %08x, %v, want %08x", cookie, err, want)
	}
}

func TestTrailers(t *testing.T) {
	s := newTestServer(t, testConfig(t, "tc-rsa512-md5"))
	p := newPeer(MD5)
	good := p.plain(0).Packet
	sha := newPeer(SHA1).plain(0).Packet
	message := p.ask(Message{Code: Request(OpAssoc)}).Packet
	for _, c := range []struct {
		name   string
		packet []byte
		want   ntp.Action
		reason ntp.Reason
	}{
		{"key identifier alone", good[:52], ntp.Drop, ntp.ReasonBadMAC},
		{"MAC of 4", good[:56], ntp.Drop, ntp.ReasonBadMAC},
		{"MAC of 8", good[:60], ntp.Drop, ntp.ReasonBadMAC},
		{"MAC of 12", good[:64], ntp.Drop, ntp.ReasonBadMAC},
		{"MAC of 16", good, ntp.Answer, ntp.ReasonOK},
		{"MAC of 20 of another digest", sha, ntp.CryptoNAK, ntp.ReasonBadMAC},
		{"wrong MAC", flip(good, 67), ntp.CryptoNAK, ntp.ReasonUnknownCookie},
		{"changed header", flip(good, 5), ntp.CryptoNAK, ntp.ReasonUnknownCookie},
		{"other key identifier", flip(good, 51), ntp.CryptoNAK, ntp.ReasonUnknownCookie},
		{"cookie 0 without field", p.request(0, nil).Packet, ntp.CryptoNAK, ntp.ReasonUnknownCookie},
		{"field", message, ntp.Answer, ntp.ReasonOK},
		{"changed field", flip(message, 60), ntp.CryptoNAK, ntp.ReasonBadMAC},
		{"field with the cookie", p.request(p.scratch.Cookie(testClient, testServer, 0), message[48:72]).Packet, ntp.CryptoNAK,
			ntp.ReasonBadMAC},
		{"symmetric active", setMode(good, ntp.ModeSymmetricActive), ntp.Drop, ntp.ReasonMode},
		{"server mode", setMode(good, ntp.ModeServer), ntp.Drop, ntp.ReasonMode},
		{"crypto-NAK", append(bytes.Clone(good[:48]), 0, 0, 0, 0), ntp.Drop, ntp.ReasonCryptoNAK},
		{"short", good[:40], ntp.Drop, ntp.ReasonShort},
		{"field of 4", p.request(0, append([]byte{2, 1, 0, 4}, message[48:72]...)).Packet, ntp.Drop, ntp.ReasonBadField},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, _, _ := answer(t, s, packet{from: testClient, to: testServer, data: c.packet}.request(), testNow, true)
			if v.Action != c.want || v.Reason != c.reason {
				t.Errorf("verdict %+v", v)
			}
		})
	}
}

func flip(p []byte, i int) []byte {
	p = bytes.Clone(p)
	p[i] ^= 1
	return p
}

func setMode(p []byte, m ntp.Mode) []byte {
	p = bytes.Clone(p)
	p[0] = p[0]&^7 | byte(m)
	return p
}

// TestUnsynchronised checks what an unsynchronised server says, before and
// after its first signature update.
func TestUnsynchronised(t *testing.T) {
	cfg := testConfig(t, "iff-b512")
	cfg.Leap = LeapValues{37, 3692217600, 3694377600}
	for _, updated := range []bool{false, true} {
		t.Run(fmt.Sprintf("updated %v", updated), func(t *testing.T) {
			s := newTestServer(t, cfg)
			var timestamp uint32
			if updated {
				if err := s.SignatureUpdate(testNow); err != nil {
					t.Fatal(err)
				}
				timestamp = testNow.Seconds()
			}
			later := testNow.Add(time.Hour)
			if _, _, m := ask(t, s, Message{Code: Request(OpAssoc)}, later, false); m.Timestamp != timestamp ||
				Status(m.Filestamp) != s.Status() {
				t.Errorf("ASSOC %+v", m)
			}
			if _, _, m := ask(t, s, Message{Code: Request(OpCert), Value: []byte("tick")}, later, false); !m.Short || m.Code != 0x8202 {
				t.Errorf("CERT %+v", m)
			}
			key := &cfg.Host.HostKey.RSAPublicKey
			if _, _, m := ask(t, s, Message{Code: Request(OpCook), Value: keyfile.MarshalPublicKey(key)}, later,
				false); m.Code != 0x8203 || m.Timestamp != 0 || len(m.Signature) != 0 || len(m.Value) != 64 || m.Filestamp != timestamp {
				t.Errorf("COOK %+v", m)
			}
			if _, _, m := ask(t, s, Message{Code: Request(OpIFF), Value: []byte{1, 2}}, later, false); m.Code != 0x8207 ||
				m.Timestamp != 0 || len(m.Signature) != 0 || m.Filestamp != cfg.Host.IFFFilestamp {
				t.Errorf("IFF %+v", m)
			}
			if v, sess, m := ask(t, s, Message{Code: Request(OpSign), Value: cfg.Host.Certificate.Raw}, later,
				false); m.Code != 0xc206 || sess.Event != EventTSP || v.Reason != ntp.ReasonBadField {
				t.Errorf("SIGN %+v %v", m, sess.Event)
			}
			_, _, m := ask(t, s, Message{Code: Request(OpLeap), Short: true}, later, false)
			if m.Timestamp != timestamp || (len(m.Signature) > 0) != updated || (len(m.Value) == 12) != updated {
				t.Errorf("LEAP %+v", m)
			}
		})
	}
}

// TestLazyUpdate shows that a synchronised server signs its values even if
// nobody told it that the clock came in sync.
func TestLazyUpdate(t *testing.T) {
	s := newTestServer(t, testConfig(t, "tc-rsa512-md5"))
	if s.Updated() != 0 || s.Status().Flags()&FlagTAI != 0 {
		t.Fatalf("updated %d, status %v", s.Updated(), s.Status())
	}
	_, _, m := ask(t, s, Message{Code: Request(OpAssoc)}, testNow, true)
	if m.Timestamp != testNow.Seconds() || m.Filestamp != 0x80003 {
		t.Errorf("ASSOC %+v", m)
	}
	_, _, m = ask(t, s, Message{Code: Request(OpAssoc)}, testNow.Add(time.Hour), true)
	if m.Timestamp != testNow.Seconds() {
		t.Errorf("update repeated: %+v", m)
	}
}

func TestSetLeap(t *testing.T) {
	s := newTestServer(t, testConfig(t, "tc-rsa512-md5"))
	leap := LeapValues{37, 3692217600, 3694377600}
	if err := s.SetLeap(testNow, leap); err != nil || s.Updated() != 0 {
		t.Fatalf("%v, updated %d", err, s.Updated())
	}
	if err := s.SignatureUpdate(testNow); err != nil {
		t.Fatal(err)
	}
	leap.TAIOffset++
	if err := s.SetLeap(testNow.Add(time.Minute), leap); err != nil {
		t.Fatal(err)
	}
	if err := s.SetLeap(testNow.Add(time.Hour), leap); err != nil {
		t.Fatal(err)
	}
	_, _, m := ask(t, s, Message{Code: Request(OpLeap), Short: true}, testNow.Add(time.Hour), true)
	got, _ := parseLeapValues(m.Value)
	if got != leap || m.Timestamp != testNow.Seconds()+60 || m.Filestamp != s.host.HostFilestamp {
		t.Errorf("LEAP %+v %+v", m, got)
	}
	if err := keyfile.Verify(s.host.Certificate.PublicKey, s.host.NID(), m.appendSigned(nil), m.Signature); err != nil {
		t.Error(err)
	}
}

// TestSignOwnName shows that a certificate made for a client in the server's
// own name is useless and never given out by CERT.
func TestSignOwnName(t *testing.T) {
	cfg := testConfig(t, "tc-rsa512-md5")
	other := testConfig(t, "version3") // another host called tick
	if cfg.Host.Certificate.PublicKey.Equal(other.Host.Certificate.PublicKey) {
		other = testConfig(t, "tc-rsa2048-sha256")
	}
	s := newTestServer(t, cfg)
	_, _, m := ask(t, s, Message{Code: Request(OpSign), Filestamp: 9, Value: other.Host.Certificate.Raw}, testNow, true)
	c, err := keyfile.ParseCertificate(m.Value)
	if err != nil || m.Code != 0x8206 || m.Filestamp != 9 {
		t.Fatalf("%+v, %v", m, err)
	}
	policy := keyfile.DefaultPolicy()
	if c.Subject != "tick" || c.Issuer != "tick" || c.CheckSignature(policy, c.PublicKey) == nil {
		t.Error("certificate verifies as self-signed")
	}
	if err := c.CheckSignature(policy, cfg.Host.Certificate.PublicKey); err != nil {
		t.Error(err)
	}
	_, _, m = ask(t, s, Message{Code: Request(OpCert), Value: []byte("tick")}, testNow, true)
	if !bytes.Equal(m.Value, cfg.Host.Certificate.Raw) {
		t.Error("CERT gives out another certificate")
	}
	cfg.Cache = []CachedCertificate{{c, 9}}
	if _, err := NewServer(cfg, rand.Reader); !errors.Is(err, ErrConfig) {
		t.Errorf("foreign key in our name accepted in the cache: %v", err)
	}
}

func TestNewServerRefuses(t *testing.T) {
	good := testConfig(t, "tc-rsa512-md5")
	for name, change := range map[string]func(*Config){
		"no host":           func(c *Config) { c.Host = nil },
		"no certificate":    func(c *Config) { h := *c.Host; h.Certificate = nil; c.Host = &h },
		"digest":            func(c *Config) { c.Digest = 200 },
		"seeds":             func(c *Config) { c.OlderSeeds = make([]Seed, 10) },
		"nil certificate":   func(c *Config) { c.Cache = make([]CachedCertificate, 1) },
		"no budget":         func(c *Config) { c.Budget = nil },
		"enormous memory":   func(c *Config) { c.Answers = 1<<30 + 1 },
		"name without text": func(c *Config) { h := *c.Host; h.Name = ""; c.Host = &h },
	} {
		cfg := good
		change(&cfg)
		if _, err := NewServer(cfg, rand.Reader); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTooLarge shows the answer whose message would be too long: none, as
// ntpd does it.
func TestTooLarge(t *testing.T) {
	cfg := testConfig(t, "tc-rsa512-md5")
	c := *cfg.Host.Certificate
	c.Raw = make([]byte, 2000)
	h := *cfg.Host
	h.Certificate = &c
	cfg.Host = &h
	s := newTestServer(t, cfg)
	v, sess, resp := answer(t, s, newPeer(MD5).ask(Message{Code: Request(OpCert), Value: []byte("tick")}), testNow, true)
	if v.Action != ntp.Answer || v.Reason != ntp.ReasonTooLarge || len(resp) != 68 || sess.OctetsOut != 68 {
		t.Errorf("%+v, %d octets", v, len(resp))
	}
}

// failingReader gives no randomness once it is exhausted.
type failingReader struct{ exhausted bool }

func (r *failingReader) Read(p []byte) (int, error) {
	if r.exhausted {
		return 0, io.ErrUnexpectedEOF
	}
	return rand.Read(p)
}

func TestNoRandomness(t *testing.T) {
	cfg := testConfig(t, "iff-b512")
	source := &failingReader{exhausted: true}
	if _, err := NewServer(cfg, source); !errors.Is(err, ErrConfig) {
		t.Errorf("NewServer without randomness: %v", err)
	}
	source.exhausted = false
	s, err := NewServer(cfg, source)
	if err != nil {
		t.Fatal(err)
	}
	source.exhausted = true
	v, sess, m := ask(t, s, Message{Code: Request(OpIFF), Value: []byte{1}}, testNow, true)
	if v.Action != ntp.Answer || m.Code != 0xc207 || sess.Event != EventERR {
		t.Errorf("IFF without randomness: %+v %+v %v", v, m, sess.Event)
	}
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	s := newTestServer(t, testConfig(t, "iff-b512"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range uint32(20) {
				ask(t, s, Message{Code: Request(Op(i % 10)), Value: []byte("tick")}, testNow, true)
			}
		})
	}
	wg.Go(func() {
		for i := range uint32(5) {
			if err := s.SetLeap(testNow, LeapValues{TAIOffset: i}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}
