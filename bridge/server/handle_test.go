package server

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
	"ntsbridge/symkey"
)

const testSeed autokey.Seed = 0x5eed

var (
	testClient = netip.MustParseAddrPort("10.98.0.2:123")
	testServer = netip.MustParseAddr("10.98.0.1")
)

// autokeyHost makes a key set as ntp-keygen -T would.
func autokeyHost(t testing.TB) *keyfile.Host {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	own, err := keyfile.NewRSAPrivateKey(key.N, big.NewInt(int64(key.E)), key.D, key.Primes[0], key.Primes[1])
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	der, err := keyfile.CreateCertificate(rand.Reader, keyfile.CertificateTemplate{Subject: "tick", Trusted: true,
		Serial: ntp.TimestampFromTime(now).Seconds(), NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}, own,
		keyfile.NIDByScheme("RSA-SHA256"))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := keyfile.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &keyfile.Host{Name: "tick", HostKey: own, Certificate: cert}
}

// rig has every authenticator and a good request for each kind.
type rig struct {
	handler  *handler
	requests map[string][]byte
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{requests: map[string][]byte{"none": request(4, ntp.ModeClient, 0x1122334455667788)}}
	state := testState(t)
	scratch := symkey.NewScratch()
	var keys []*symkey.Key
	for i, alg := range []string{"MD5", "SHA1", "SHA256", "AES128CMAC"} {
		k, err := symkey.Generate(rand.Reader, uint32(i+1), alg)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
		p := append(request(4, ntp.ModeClient, 42), make([]byte, 24)...)
		r.requests[alg] = p[:k.Seal(p, ntp.HeaderLen, k.WireLen(4), scratch)]
	}
	var err error
	if state.Keys, err = symkey.NewTable(keys, symkey.TrustAll); err != nil {
		t.Fatal(err)
	}
	r.addAutokey(t, state)
	r.addNTS(t, state)
	h := newHandler(&shared{store: newTimestampStore(1 << 10), proved: newProved(), zeroSeed: newZeroSeedTable()}, new(counters), false)
	h.state, h.clock = state, goodClock()
	r.handler = &h
	return r
}

func (r *rig) addAutokey(t testing.TB, state *State) {
	t.Helper()
	var err error
	if state.Autokey, err = autokey.NewServer(autokey.Config{Host: autokeyHost(t), Seed: testSeed, Budget: autokey.Unbounded{}},
		rand.Reader); err != nil {
		t.Fatal(err)
	}
	if err := state.Autokey.SignatureUpdate(systemTime()); err != nil {
		t.Fatal(err)
	}
	s := autokey.NewScratch(autokey.MD5)
	sign := func(p []byte, id, cookie uint32) []byte {
		p = binary.BigEndian.AppendUint32(p, id)
		key := bytes.Clone(s.SessionKey(testClient.Addr(), testServer, id, cookie))
		return append(p, s.MAC(key, p[:len(p)-4])...)
	}
	r.requests["autokey"] = sign(request(4, ntp.ModeClient, 42), 1<<20, s.Cookie(testClient.Addr(), testServer, testSeed))
	assoc := autokey.Message{Code: autokey.Request(autokey.OpAssoc), Value: []byte("tock")}
	r.requests["autokey message"] = sign(assoc.Append(request(4, ntp.ModeClient, 42)), 1<<21, 0)
}

func (r *rig) addNTS(t testing.TB, state *State) {
	t.Helper()
	ids := []aead.ID{aead.AESSIVCMAC256, aead.AES128GCMSIV}
	var err error
	if state.NTS, err = nts.NewServer(ids); err != nil {
		t.Fatal(err)
	}
	cookieSecret, err := nts.NewSecret(bytes.NewReader(make([]byte, 32)), time.Now().Add(-5*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := nts.NewRing(cookieSecret, nil, time.Hour, 2, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	state.NTS.SetRing(ring)
	for _, id := range ids {
		keys, err := nts.NewKeys(id, make([]byte, id.KeyLen()), bytes.Repeat([]byte{1}, id.KeyLen()))
		if err != nil {
			t.Fatal(err)
		}
		cookies := make([][]byte, 8)
		for i := range cookies {
			var nonce [nts.CookieNonceLen]byte
			nonce[0] = byte(i)
			cookies[i] = ring.AppendCookie(nil, &keys, &nonce)
		}
		client, err := nts.NewClient(&keys, cookies, [32]byte{1})
		if err != nil {
			t.Fatal(err)
		}
		p := append(request(4, ntp.ModeClient, 42), make([]byte, 1024)...)
		n, err := client.Request(p)
		if err != nil {
			t.Fatal(err)
		}
		r.requests[id.String()] = p[:n]
	}
}

// serve runs one request through both passes.
func (r *rig) serve(s *slot, packet, resp []byte) int {
	s.req = ntp.Request{Packet: packet, From: testClient, To: testServer, Received: systemTime()}
	r.handler.open(s)
	var base ntp.Header
	r.handler.clock.FillServed(&base, s.req.Received)
	return r.handler.finish(s, &base, resp)
}

func newSlot(t testing.TB) *slot {
	t.Helper()
	s := new(slot)
	if err := s.init(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestServingDoesNotAllocate(t *testing.T) {
	r := newRig(t)
	resp := make([]byte, maxPacket)
	for name, packet := range r.requests {
		s := newSlot(t)
		n := r.serve(s, packet, resp)
		if s.verdict.Action != ntp.Answer || n == 0 {
			t.Errorf("%s: verdict %+v, %d octets", name, s.verdict, n)
			continue
		}
		if n > len(packet) {
			t.Errorf("%s: %d octets answered to %d", name, n, len(packet))
		}
		if a := testing.AllocsPerRun(200, func() { r.serve(s, packet, resp) }); a != 0 {
			t.Errorf("%s: %v allocations per request", name, a)
		}
	}
}

// Every wrong bit of an authenticated request is refused, whatever the kind.
func TestFlippedBitsAreRefused(t *testing.T) {
	r := newRig(t)
	resp := make([]byte, maxPacket)
	s := newSlot(t)
	for name, packet := range r.requests {
		if name == "none" || name == "autokey message" {
			continue
		}
		for bit := 0; bit < len(packet)*8; bit += 7 {
			bad := bytes.Clone(packet)
			bad[bit/8] ^= 1 << (bit % 8)
			n := r.serve(s, bad, resp)
			if s.verdict.Action == ntp.Answer && s.verdict.Kind == s.req.Layout.Kind && s.verdict.Kind != ntp.KindNone {
				t.Fatalf("%s: bit %d flipped and accepted", name, bit)
			}
			if n > len(bad) {
				t.Fatalf("%s: bit %d flipped: %d octets answered to %d", name, bit, n, len(bad))
			}
		}
	}
}

func FuzzHandler(f *testing.F) {
	r := newRig(f)
	for _, p := range r.requests {
		f.Add(p)
	}
	resp := make([]byte, maxPacket)
	s := newSlot(f)
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) > maxPacket {
			return
		}
		r.handler.slow = false
		n := r.serve(s, packet, resp)
		if n > len(packet) {
			t.Fatalf("%d octets answered to %d, %+v", n, len(packet), s.verdict)
		}
		if s.verdict.Action == ntp.Defer {
			r.handler.slow = true
			if n := r.serve(s, packet, resp); n > autokey.MaxResponseLen {
				t.Fatalf("Autokey answer of %d octets", n)
			}
		}
	})
}

func BenchmarkServe(b *testing.B) {
	r := newRig(b)
	resp := make([]byte, maxPacket)
	for _, name := range []string{"none", "MD5", "SHA1", "SHA256", "AES128CMAC", "autokey", "AEAD_AES_SIV_CMAC_256",
		"AEAD_AES_128_GCM_SIV"} {
		packet := r.requests[name]
		if packet == nil {
			b.Fatalf("no request %q", name)
		}
		b.Run(name, func(b *testing.B) {
			s := newSlot(b)
			b.ReportAllocs()
			for b.Loop() {
				if r.serve(s, packet, resp) == 0 {
					b.Fatal("no answer")
				}
			}
		})
	}
}

// ntpd's peers send mode 1; with a good MAC they get mode 2 back, sealed with
// the same key, and become no peers.
func TestSymmetricActiveIsAnsweredPassive(t *testing.T) {
	r := newRig(t)
	s := newSlot(t)
	resp := make([]byte, maxPacket)
	key := r.handler.state.Keys.Lookup(1)
	p := append(request(4, ntp.ModeSymmetricActive, 42), make([]byte, 24)...)
	p = p[:key.Seal(p, ntp.HeaderLen, 16, symkey.NewScratch())]
	n := r.serve(s, p, resp)
	if h := decode(t, resp[:n]); h.Mode != ntp.ModeSymmetricPassive || h.Origin != 42 {
		t.Errorf("answer %+v", h)
	}
	if !key.Verify(resp[:n], ntp.HeaderLen, symkey.NewScratch()) {
		t.Error("the answer's MAC is wrong")
	}
	p[len(p)-1] ^= 1
	if n = r.serve(s, p, resp); s.verdict.Action != ntp.CryptoNAK || n != ntp.HeaderLen+4 {
		t.Errorf("bad MAC: %+v, %d octets", s.verdict, n)
	}
}

// The excess over a rate limit is dropped, but for kiss codes, which are
// sealed as the answer would be, and leaks.
func TestRateLimit(t *testing.T) {
	r := newRig(t)
	limit := &access.RateLimit{Interval: time.Hour, Burst: 2, Kiss: true}
	everybody := access.Rule{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Action: access.Allow, Kinds: access.AllKinds,
		MinVersion: 1, Rate: limit}
	r.handler.state.Access = testState(t, everybody).Access
	s := newSlot(t)
	resp := make([]byte, maxPacket)
	packet := r.requests["AES128CMAC"]
	for i, want := range []ntp.Action{ntp.Answer, ntp.Answer, ntp.KissRate, ntp.Drop, ntp.Drop} {
		n := r.serve(s, packet, resp)
		if s.verdict.Action != want {
			t.Fatalf("request %d: %+v, want action %v", i, s.verdict, want)
		}
		if want != ntp.KissRate {
			continue
		}
		if h := decode(t, resp[:n]); h.Stratum != 0 || h.Leap != ntp.LeapUnknown || h.ReferenceID != ntp.KissCode("RATE") || h.Poll < 6 ||
			h.Receive != h.Origin || h.Transmit != h.Origin || h.Origin == 0 {
			t.Errorf("kiss code: %+v", h)
		}
		if !s.key.Verify(resp[:n], ntp.HeaderLen, symkey.NewScratch()) {
			t.Error("the kiss code is not sealed: no client with a key would believe it")
		}
	}
	var sum Counters
	r.handler.count.addTo(&sum)
	if got := sum.Packets[ntp.KindSymmetric][4][ntp.ReasonRateLimited]; got != 3 {
		t.Errorf("%d requests counted as rate limited, want 3", got)
	}
}

// A kiss code RATE for a forged request would tell an attacker's victim to
// slow down; it must not be made.
func TestNoKissForForgedRequests(t *testing.T) {
	r := newRig(t)
	everybody := access.Rule{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Action: access.Allow, Kinds: access.AllKinds, MinVersion: 1,
		Rate: &access.RateLimit{Interval: time.Hour, Burst: 1, Kiss: true}}
	r.handler.state.Access = testState(t, everybody).Access
	s := newSlot(t)
	resp := make([]byte, maxPacket)
	r.serve(s, r.requests["none"], resp) // what the address has is used up
	bad := bytes.Clone(r.requests["MD5"])
	bad[len(bad)-1] ^= 1
	for range 5 {
		if n := r.serve(s, bad, resp); n != 0 {
			t.Fatalf("%d octets sent, %+v", n, s.verdict)
		}
	}
}

// Which keys a network may use is the rule's to say.
func TestKeysOfARule(t *testing.T) {
	r := newRig(t)
	rule := access.Rule{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Action: access.Allow, Kinds: access.AllKinds, MinVersion: 1,
		Keys: []access.KeyRange{{Low: 2, High: 3}}}
	r.handler.state.Access = testState(t, rule).Access
	s := newSlot(t)
	resp := make([]byte, maxPacket)
	for name, want := range map[string]ntp.Action{"MD5": ntp.Drop, "SHA1": ntp.Answer, "SHA256": ntp.Answer, "AES128CMAC": ntp.Drop} {
		if r.serve(s, r.requests[name], resp); s.verdict.Action != want {
			t.Errorf("%s: %+v", name, s.verdict)
		}
	}
}

// With nothing configured, packets that claim a kind are not mistaken for
// plain ones.
func TestKindsThatAreOff(t *testing.T) {
	r := newRig(t)
	r.handler.state = testState(t)
	s := newSlot(t)
	resp := make([]byte, maxPacket)
	for name, want := range map[string]ntp.Action{
		"none": ntp.Answer, "MD5": ntp.CryptoNAK, "autokey": ntp.CryptoNAK, "AEAD_AES_SIV_CMAC_256": ntp.Drop,
	} {
		if r.serve(s, r.requests[name], resp); s.verdict.Action != want {
			t.Errorf("%s: %+v", name, s.verdict)
		}
	}
}

// A host in symmetric active mode that nobody configured is answered once, as
// ntpd 4.2.8p15 was seen to answer; nothing is kept of it.
func TestActiveWithoutAssociation(t *testing.T) {
	r := newRig(t)
	plain := request(4, ntp.ModeSymmetricActive, 42)
	windows := append(bytes.Clone(plain), append([]byte{0x51, 4, 0, 0}, make([]byte, 16)...)...)
	extended := append(append(bytes.Clone(plain), 0x51, 4, 0, 0, 0, 1, 0, 0), make([]byte, 64)...)
	field := append(bytes.Clone(plain), append([]byte{1, 4, 0, 32}, make([]byte, 28)...)...)
	autokey := bytes.Clone(r.requests["autokey"])
	autokey[0] = autokey[0]&^7 | byte(ntp.ModeSymmetricActive)
	for _, c := range []struct {
		name    string
		packet  []byte
		without bool // Autokey
		action  ntp.Action
		length  int
	}{
		{"plain", plain, false, ntp.Answer, 48},
		{"fields without MAC", field, false, ntp.Answer, 48}, // p15 adds 4 octets, which are a crypto-NAK to others
		{"MS-SNTP", windows, false, ntp.CryptoNAK, 52},
		{"MS-SNTP, no Autokey here", windows, true, ntp.CryptoNAK, 52},
		{"MS-SNTP, extended", extended, false, ntp.Drop, 0},
		{"Autokey, which must be configured", autokey, false, ntp.Drop, 0},
		{"Autokey, none here", autokey, true, ntp.CryptoNAK, 52},
	} {
		t.Run(c.name, func(t *testing.T) {
			state := *r.handler.state
			if c.without {
				state.Autokey = nil
			}
			h := *r.handler
			h.state = &state
			slot, resp := newSlot(t), make([]byte, maxPacket)
			resp = resp[:(&rig{handler: &h}).serve(slot, c.packet, resp)]
			if action := slot.verdict.Action; action != c.action || len(resp) != c.length {
				t.Fatalf("action %d, %d octets", action, len(resp))
			}
			if c.length > 0 && ntp.ModeOf(resp) != ntp.ModeSymmetricPassive {
				t.Errorf("mode %d", ntp.ModeOf(resp))
			}
		})
	}
}
