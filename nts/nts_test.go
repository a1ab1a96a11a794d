package nts_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

var allAEADs = []aead.ID{aead.AESSIVCMAC256, aead.AESSIVCMAC384, aead.AESSIVCMAC512, aead.AES128GCMSIV}

// secret is the site secret of all vectors and tests.
var secret = []byte("throw-away secret of the vectors!")

var start = time.Unix(1_795_306_000, 0)

func noKeys() ntp.Keys { return none{} }

type none struct{}

func (none) FullMACLen(uint32) (int, bool) { return 0, false }

func testKeys(t testing.TB, id aead.ID) nts.Keys {
	t.Helper()
	k, err := nts.NewKeys(id, bytes.Repeat([]byte{0xc2}, id.KeyLen()), bytes.Repeat([]byte{0x2c}, id.KeyLen()))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// testSecret is one whose ratchet began well before start.
func testSecret(t testing.TB) *nts.Secret {
	t.Helper()
	return secretFrom(t, secret, start.Add(-1000*time.Hour))
}

func secretFrom(t testing.TB, octets []byte, begin time.Time) *nts.Secret {
	t.Helper()
	s, err := nts.NewSecret(bytes.NewReader(octets), begin)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// formerSecret is the secret of a file as it was before there was a ratchet.
func formerSecret(t testing.TB) *nts.Secret {
	t.Helper()
	s, err := nts.ParseSecret([]byte(hex.EncodeToString(secret) + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testRing(t testing.TB, now time.Time) *nts.Ring {
	t.Helper()
	r, err := nts.NewRing(testSecret(t), nil, time.Hour, 2, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func seed(n int) [32]byte { return sha256.Sum256([]byte{byte(n), byte(n >> 8)}) }

func cookie(r *nts.Ring, k nts.Keys, n int) []byte {
	s := seed(n)
	var nonce [nts.CookieNonceLen]byte
	copy(nonce[:], s[:])
	return r.AppendCookie(nil, &k, &nonce)
}

func newServer(t testing.TB, ring *nts.Ring, ids ...aead.ID) *nts.Server {
	t.Helper()
	s, err := nts.NewServer(ids)
	if err != nil {
		t.Fatal(err)
	}
	s.SetRing(ring)
	return s
}

// newClient returns a client with eight cookies of the ring.
func newClient(t testing.TB, ring *nts.Ring, id aead.ID, cookies int) *nts.Client {
	t.Helper()
	k := testKeys(t, id)
	var list [][]byte
	for i := range cookies {
		list = append(list, cookie(ring, k, i))
	}
	c, err := nts.NewClient(&k, list, seed(1000))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func clientHeader(p []byte) {
	h := ntp.Header{Version: 4, Mode: ntp.ModeClient, Poll: 6, Transmit: 0x1122334455667788}
	h.Encode(p)
}

func makeRequest(t testing.TB, c *nts.Client) []byte {
	t.Helper()
	p := make([]byte, 2048)
	clientHeader(p)
	n, err := c.Request(p)
	if err != nil {
		t.Fatal(err)
	}
	return p[:n]
}

func classify(p []byte) *ntp.Request {
	req := &ntp.Request{Packet: p, Layout: ntp.Classify(p, noKeys())}
	if len(p) >= ntp.HeaderLen {
		req.Header.Decode(p)
	}
	return req
}

// answer runs a request through the server and returns verdict and response.
func answer(s *nts.Server, sess *nts.Session, p []byte) (ntp.Verdict, []byte) {
	req := classify(p)
	v := s.Open(req, sess)
	resp := make([]byte, 2048)
	h := ntp.Header{Version: 4, Mode: ntp.ModeServer, Stratum: 2, Origin: req.Header.Transmit}
	n := 0
	switch v.Action {
	case ntp.Answer:
		h.Encode(resp)
		n = s.Seal(resp, ntp.HeaderLen, sess)
	case ntp.NTSNAK:
		h.Stratum, h.ReferenceID = 0, ntp.KissCode("NTSN")
		h.Encode(resp)
		n = s.NAK(resp, ntp.HeaderLen, sess)
	}
	return v, resp[:n]
}

func TestExchange(t *testing.T) {
	ring := testRing(t, start)
	for _, id := range allAEADs {
		t.Run(id.String(), func(t *testing.T) {
			s, sess := newServer(t, ring, allAEADs...), nts.NewSession(seed(1))
			c := newClient(t, ring, id, nts.MaxCookies)
			for range 20 {
				req := makeRequest(t, c)
				v, resp := answer(s, sess, req)
				want := ntp.Verdict{Action: ntp.Answer, Kind: ntp.KindNTS, AEAD: uint16(id)}
				if v != want {
					t.Fatalf("verdict %+v, want %+v", v, want)
				}
				if len(resp) != len(req) {
					t.Errorf("response has %d octets, request %d", len(resp), len(req))
				}
				if err := c.Response(resp); err != nil {
					t.Fatal(err)
				}
				if c.Cookies() != nts.MaxCookies {
					t.Fatalf("client holds %d cookies, want %d", c.Cookies(), nts.MaxCookies)
				}
			}
		})
	}
}

func TestLostResponsesAreMadeUpFor(t *testing.T) {
	ring := testRing(t, start)
	for _, id := range allAEADs {
		s, sess := newServer(t, ring, allAEADs...), nts.NewSession(seed(1))
		c := newClient(t, ring, id, nts.MaxCookies)
		for range 7 {
			makeRequest(t, c) // lost
		}
		if c.Cookies() != 1 {
			t.Fatalf("%v: %d cookies left, want 1", id, c.Cookies())
		}
		for range 3 { // one as short as can be; AEAD 17 cannot carry eight in one packet
			req := makeRequest(t, c)
			v, resp := answer(s, sess, req)
			if v.Action != ntp.Answer || len(resp) > len(req) {
				t.Fatalf("%v: %+v, %d octets for %d", id, v, len(resp), len(req))
			}
			if err := c.Response(resp); err != nil {
				t.Fatal(err)
			}
		}
		if c.Cookies() != nts.MaxCookies {
			t.Errorf("%v: %d cookies after recovery", id, c.Cookies())
		}
	}
}

// A network that drops long packets costs a client a few cookies, not all.
func TestLongRequestsAreFiltered(t *testing.T) {
	ring := testRing(t, start)
	s, sess := newServer(t, ring, allAEADs...), nts.NewSession(seed(1))
	c := newClient(t, ring, aead.AES128GCMSIV, nts.MaxCookies)
	shortest := len(makeRequest(t, c)) // lost, with some more
	makeRequest(t, c)
	lost, longest := 0, 0
	exchange := func(filter int) {
		req := makeRequest(t, c)
		longest = max(longest, len(req))
		if len(req) > filter {
			lost++
			return
		}
		_, resp := answer(s, sess, req)
		if err := c.Response(resp); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		exchange(shortest)
	}
	if lost == 0 || lost > 5 || longest == shortest {
		t.Errorf("%d requests were lost, the longest of %d octets; %d pass", lost, longest, shortest)
	}
	for range 200 {
		exchange(2048)
	}
	if c.Cookies() != nts.MaxCookies {
		t.Errorf("%d cookies after the filter is gone", c.Cookies())
	}
}

// Cookies that are withdrawn are never sent, and the server makes up for them.
func TestClientWithdraws(t *testing.T) {
	ring := testRing(t, start)
	s, sess := newServer(t, ring), nts.NewSession(seed(1))
	c := newClient(t, ring, aead.AESSIVCMAC256, nts.MaxCookies)
	if n := c.CookieLen(); n != nts.CookieLen(aead.AESSIVCMAC256) {
		t.Errorf("cookies of %d octets", n)
	}
	aside := c.Withdraw(3)
	if len(aside) != 3 || c.Cookies() != 5 {
		t.Fatalf("%d withdrawn, %d left", len(aside), c.Cookies())
	}
	for range 20 {
		p := makeRequest(t, c)
		for _, one := range aside {
			if bytes.Contains(p, one) {
				t.Fatal("a withdrawn cookie was sent")
			}
		}
		_, resp := answer(s, sess, p)
		if err := c.Response(resp); err != nil {
			t.Fatal(err)
		}
	}
	if c.Cookies() != nts.MaxCookies {
		t.Errorf("%d cookies", c.Cookies())
	}
	k := testKeys(t, aead.AESSIVCMAC256)
	again, err := nts.NewClient(&k, aside, seed(2))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if v, _ := answer(s, sess, makeRequest(t, again)); v.Action != ntp.Answer {
			t.Errorf("withdrawn cookie: %+v", v)
		}
	}
	if len(c.Withdraw(100)) != nts.MaxCookies || c.Withdraw(1) != nil || c.CookieLen() != 0 {
		t.Error("more cookies than there were")
	}
}

func TestClientRunsOut(t *testing.T) {
	c := newClient(t, testRing(t, start), aead.AESSIVCMAC256, 1)
	makeRequest(t, c)
	p := make([]byte, 2048)
	clientHeader(p)
	if _, err := c.Request(p); !errors.Is(err, nts.ErrNoCookies) {
		t.Errorf("error %v, want ErrNoCookies", err)
	}
}

func TestClientRefuses(t *testing.T) {
	ring := testRing(t, start)
	s, sess := newServer(t, ring), nts.NewSession(seed(1))
	for _, test := range []struct {
		name   string
		change func(p []byte) []byte
		want   error
	}{
		{"nothing", func(p []byte) []byte { return p }, nil},
		{"bit of the header", func(p []byte) []byte { p[40] ^= 1; return p }, nts.ErrAuthenticator},
		{"bit of the identifier", func(p []byte) []byte { p[52] ^= 1; return p }, nts.ErrResponse},
		{"last bit", func(p []byte) []byte { p[len(p)-1] ^= 1; return p }, nts.ErrAuthenticator},
		{"mode", func(p []byte) []byte { p[0] = 4<<3 | 3; return p }, nts.ErrResponse},
		{"cut off", func(p []byte) []byte { return p[:48] }, nts.ErrUnprotected},
		{"crypto-NAK", func(p []byte) []byte { return append(p[:48], 0, 0, 0, 0) }, nts.ErrUnprotected},
		{"short", func(p []byte) []byte { return p[:20] }, nts.ErrResponse},
		{"authenticator cut off", func(p []byte) []byte { return p[:84] }, nts.ErrUnprotected},
		{"NAK of an attacker", func(p []byte) []byte { p[1] = 0; copy(p[12:], "NTSN"); return p[:84] }, nts.ErrNAK},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, ring, aead.AESSIVCMAC256, 8)
			_, resp := answer(s, sess, makeRequest(t, c))
			if err := c.Response(test.change(bytes.Clone(resp))); !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if test.want == nil {
				if c.Response(resp) == nil {
					t.Error("the same response was taken twice")
				}
				return
			}
			// A forgery must not keep the good one from being taken.
			if err := c.Response(resp); err != nil {
				t.Errorf("good response after the bad one: %v", err)
			}
		})
	}
}

// edit builds a request by hand: fields in order, then the authenticator.
type edit struct {
	id       aead.ID
	keys     nts.Keys
	cookie   []byte
	uid      []byte
	extra    [][2]any // type, body
	inner    []byte
	nonceLen int // default the AEAD's
	padding  int // additional, behind the ciphertext
	after    []byte
	auth     func(body []byte) []byte
}

func (e edit) build(t *testing.T) []byte {
	t.Helper()
	p := make([]byte, ntp.HeaderLen)
	clientHeader(p)
	if e.uid == nil {
		e.uid = bytes.Repeat([]byte{0x0d}, 32)
	}
	p = ntp.AppendField(p, ntp.FieldUniqueIdentifier, e.uid, 0)
	if len(e.cookie) > 0 {
		p = ntp.AppendField(p, ntp.FieldCookie, e.cookie, 0)
	}
	for _, x := range e.extra {
		p = ntp.AppendField(p, x[0].(uint16), x[1].([]byte), 0)
	}
	var key aead.Key
	if err := key.Init(e.id, e.keys.C2S()); err != nil {
		t.Fatal(err)
	}
	n := e.nonceLen
	if n == 0 {
		n = e.id.NonceLen()
	}
	nonce := bytes.Repeat([]byte{7}, n)
	sealed := key.Seal(nil, nonce, e.inner, p)
	body := binary.BigEndian.AppendUint16(nil, uint16(n))
	body = binary.BigEndian.AppendUint16(body, uint16(len(sealed)))
	body = append(body, nonce...)
	body = append(body, make([]byte, -n&3)...)
	body = append(body, sealed...)
	body = append(body, make([]byte, -len(sealed)&3+e.padding)...)
	if e.auth != nil {
		body = e.auth(body)
	}
	p = ntp.AppendField(p, ntp.FieldAuthenticator, body, 0)
	return append(p, e.after...)
}

func TestOpen(t *testing.T) {
	ring := testRing(t, start)
	placeholder := func(n int) []byte { return ntp.AppendField(nil, ntp.FieldCookiePlaceholder, make([]byte, n), 0) }
	siv, gcm := aead.AESSIVCMAC256, aead.AES128GCMSIV
	type E = edit
	for _, test := range []struct {
		name    string
		id      aead.ID
		change  func(e *E)
		action  ntp.Action
		reason  ntp.Reason
		cookies int
	}{
		{"plain", siv, func(e *E) {}, ntp.Answer, ntp.ReasonOK, 1},
		{"plain GCM", gcm, func(e *E) {}, ntp.Answer, ntp.ReasonOK, 1},
		{"identifier of 64", siv, func(e *E) { e.uid = make([]byte, 64) }, ntp.Answer, ntp.ReasonOK, 1},
		{"identifier of 28", siv, func(e *E) { e.uid = make([]byte, 28) }, ntp.Drop, ntp.ReasonBadField, 0},
		{"identifier of 260", siv, func(e *E) { e.uid = make([]byte, 260) }, ntp.Drop, ntp.ReasonBadField, 0},
		{"two identifiers", siv, func(e *E) { e.extra = [][2]any{{ntp.FieldUniqueIdentifier, make([]byte, 32)}} }, ntp.Drop,
			ntp.ReasonBadField, 0},
		{"no cookie", siv, func(e *E) { e.cookie = nil }, ntp.Drop, ntp.ReasonBadField, 0},
		{"two cookies", siv, func(e *E) { e.extra = [][2]any{{ntp.FieldCookie, e.cookie}} }, ntp.Drop, ntp.ReasonBadField, 0},
		{"unknown field before", siv, func(e *E) { e.extra = [][2]any{{uint16(0x2005), make([]byte, 24)}} }, ntp.Answer, ntp.ReasonOK, 1},
		{"two placeholders", siv, func(e *E) {
			p := [2]any{ntp.FieldCookiePlaceholder, make([]byte, 96)}
			e.extra = [][2]any{p, p}
		}, ntp.Answer, ntp.ReasonOK, 3},
		{"nine placeholders", siv, func(e *E) {
			for range 9 {
				e.extra = append(e.extra, [2]any{ntp.FieldCookiePlaceholder, make([]byte, 96)})
			}
		}, ntp.Answer, ntp.ReasonOK, 8},
		{"placeholder with contents", siv, func(e *E) { e.extra = [][2]any{{ntp.FieldCookiePlaceholder, bytes.Repeat([]byte{1}, 96)}} },
			ntp.Answer, ntp.ReasonOK, 2},
		{"short placeholder", siv, func(e *E) { e.extra = [][2]any{{ntp.FieldCookiePlaceholder, make([]byte, 92)}} }, ntp.Drop,
			ntp.ReasonBadField, 0},
		{"long placeholder", siv, func(e *E) { e.extra = [][2]any{{ntp.FieldCookiePlaceholder, make([]byte, 100)}} }, ntp.Drop,
			ntp.ReasonBadField, 0},
		{"encrypted placeholder", siv, func(e *E) { e.inner = placeholder(96) }, ntp.Answer, ntp.ReasonOK, 2},
		{"encrypted short placeholder", siv, func(e *E) { e.inner = placeholder(16) }, ntp.Drop, ntp.ReasonBadField, 0},
		{"encrypted unknown field of 4", siv, func(e *E) { e.inner = []byte{0x20, 5, 0, 4} }, ntp.Answer, ntp.ReasonOK, 1},
		{"encrypted field that does not frame", siv, func(e *E) { e.inner = []byte{0x20, 5, 0, 8} }, ntp.Drop, ntp.ReasonBadField, 0},
		{"encrypted rest of 2", siv, func(e *E) { e.inner = []byte{0x20, 5} }, ntp.Drop, ntp.ReasonBadField, 0},
		{"encrypted cookie", siv, func(e *E) { e.inner = ntp.AppendField(nil, ntp.FieldCookie, make([]byte, 96), 0) }, ntp.Drop,
			ntp.ReasonBadField, 0},
		{"field behind", siv, func(e *E) { e.after = ntp.AppendField(nil, 0x2005, make([]byte, 28), 0) }, ntp.Answer, ntp.ReasonOK, 1},
		{"cookie behind", siv, func(e *E) { e.after = ntp.AppendField(nil, ntp.FieldCookie, e.cookie, 0) }, ntp.Answer, ntp.ReasonOK, 1},
		{"longer nonce", siv, func(e *E) { e.nonceLen = 32 }, ntp.Answer, ntp.ReasonOK, 1},
		{"short nonce, padded", siv, func(e *E) { e.nonceLen, e.padding = 5, 8 }, ntp.Answer, ntp.ReasonOK, 1},
		{"short nonce, padding short", siv, func(e *E) { e.nonceLen, e.padding = 5, 4 }, ntp.Drop, ntp.ReasonBadField, 0},
		{"empty nonce", siv, func(e *E) { e.auth = func(b []byte) []byte { b[1] = 0; return b } }, ntp.Drop, ntp.ReasonBadField, 0},
		{"additional padding", siv, func(e *E) { e.padding = 64 }, ntp.Answer, ntp.ReasonOK, 1},
		{"nonce beyond the end", siv, func(e *E) { e.auth = func(b []byte) []byte { b[0] = 1; return b } }, ntp.Drop, ntp.ReasonBadField,
			0},
		{"ciphertext beyond the end", siv, func(e *E) { e.auth = func(b []byte) []byte { b[2] = 1; return b } }, ntp.Drop,
			ntp.ReasonBadField, 0},
		{"ciphertext below a tag", siv, func(e *E) { e.auth = func(b []byte) []byte { b[3] = 15; return b } }, ntp.Drop,
			ntp.ReasonBadField, 0},
		{"GCM nonce of 16", gcm, func(e *E) {
			e.auth = func(b []byte) []byte { b[1] = 16; return append(b, 0, 0, 0, 0) }
		}, ntp.Drop, ntp.ReasonBadField, 0},
		{"forged tag", siv, func(e *E) {
			e.auth = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
		}, ntp.NTSNAK, ntp.ReasonBadAuthenticator, 0},
		{"forged cookie", siv, func(e *E) { e.cookie[50] ^= 1 }, ntp.NTSNAK, ntp.ReasonUnknownCookie, 0},
		{"cookie of another epoch", siv, func(e *E) { e.cookie[3] ^= 0x80 }, ntp.NTSNAK, ntp.ReasonUnknownCookie, 0},
		{"foreign cookie", siv, func(e *E) { e.cookie = make([]byte, 104) }, ntp.NTSNAK, ntp.ReasonUnknownCookie, 0},
		{"empty cookie", siv, func(e *E) { e.cookie = make([]byte, 4) }, ntp.NTSNAK, ntp.ReasonUnknownCookie, 0},
		{"AEAD not enabled", aead.AESSIVCMAC384, func(e *E) {}, ntp.NTSNAK, ntp.ReasonUnknownCookie, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, sess := newServer(t, ring, siv, gcm), nts.NewSession(seed(1))
			k := testKeys(t, test.id)
			e := edit{id: test.id, keys: k, cookie: cookie(ring, k, 1)}
			test.change(&e)
			p := e.build(t)
			req := classify(p)
			if req.Layout.Kind != ntp.KindNTS {
				t.Fatalf("not classified as NTS: %+v", req.Layout)
			}
			v := s.Open(req, sess)
			if v.Action != test.action || v.Reason != test.reason || v.Kind != ntp.KindNTS {
				t.Fatalf("verdict %+v, want action %v, %v", v, test.action, test.reason)
			}
			if sess.Cookies() != test.cookies {
				t.Errorf("%d cookies, want %d", sess.Cookies(), test.cookies)
			}
			_, resp := answer(s, sess, p)
			if len(resp) > len(p) {
				t.Errorf("response of %d octets to %d", len(resp), len(p))
			}
			if (len(resp) == 0) != (test.action == ntp.Drop) {
				t.Errorf("response of %d octets for action %v", len(resp), test.action)
			}
			if test.action == ntp.NTSNAK && !bytes.Equal(resp[52:], p[52:84]) {
				t.Error("NAK does not return the unique identifier alone")
			}
		})
	}
}

func TestSealRefuses(t *testing.T) {
	ring := testRing(t, start)
	s, sess := newServer(t, ring), nts.NewSession(seed(1))
	resp := make([]byte, 2048)
	if n := s.Seal(resp, 48, sess); n != 0 {
		t.Errorf("Seal before Open returns %d", n)
	}
	if n := s.NAK(resp, 48, sess); n != 0 {
		t.Errorf("NAK before Open returns %d", n)
	}
	p := makeRequest(t, newClient(t, ring, aead.AESSIVCMAC256, 8))
	s.Open(classify(p), sess)
	if n := s.Seal(make([]byte, len(p)-1), 48, sess); n != 0 {
		t.Errorf("Seal into a short buffer returns %d", n)
	}
	s.Open(classify(p), sess)
	if n := s.Seal(resp, 48, sess); n != len(p) {
		t.Errorf("Seal returns %d, want %d", n, len(p))
	}
	if n := s.Seal(resp, 48, sess); n != 0 {
		t.Errorf("second Seal returns %d", n)
	}
	var unseeded nts.Session
	if v := s.Open(classify(p), &unseeded); v.Reason != ntp.ReasonNotEnabled {
		t.Errorf("session without a seed: %+v", v)
	}
	bare, err := nts.NewServer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if v := bare.Open(classify(p), sess); v.Reason != ntp.ReasonNotEnabled || v.Action != ntp.Drop {
		t.Errorf("server without ring: %+v", v)
	}
}

func TestNoncesDiffer(t *testing.T) {
	ring := testRing(t, start)
	s, sess := newServer(t, ring), nts.NewSession(seed(1))
	p := makeRequest(t, newClient(t, ring, aead.AESSIVCMAC256, 8))
	_, a := answer(s, sess, p)
	_, b := answer(s, sess, p)
	if bytes.Equal(a[84:], b[84:]) {
		t.Error("the same request gets the same authenticator twice")
	}
}

func TestRingRotation(t *testing.T) {
	k := testKeys(t, aead.AES128GCMSIV)
	old := testRing(t, start)
	c := cookie(old, k, 1)
	for _, test := range []struct {
		hours      int
		ok, legacy bool
	}{
		{-2, false, false}, {-1, true, false}, {0, true, false}, {1, true, true}, {2, true, true}, {3, false, false},
	} {
		r := testRing(t, start.Add(time.Duration(test.hours)*time.Hour))
		var got nts.Keys
		legacy, ok := r.OpenCookie(&got, c)
		if ok != test.ok || legacy != test.legacy {
			t.Errorf("%+d h: ok %v legacy %v, want %v %v", test.hours, ok, legacy, test.ok, test.legacy)
		}
		if ok && got != k {
			t.Errorf("%+d h: other keys", test.hours)
		}
	}
	if e := old.Expires(); !e.After(start) || e.Sub(start) > time.Hour || e.Unix()%3600 != 0 {
		t.Errorf("ring made at %v expires at %v", start, e)
	}
}

func TestRingsOfOtherSitesDiffer(t *testing.T) {
	k := testKeys(t, aead.AESSIVCMAC256)
	c := cookie(testRing(t, start), k, 1)
	other, err := nts.NewRing(secretFrom(t, bytes.Repeat([]byte{1}, 32), start.Add(-1000*time.Hour)), nil, time.Hour, 2, start)
	if err != nil {
		t.Fatal(err)
	}
	// Ten times the period, and a time at which the epoch number is equal.
	much := time.Unix(start.Unix()*10, 0)
	longer, err := nts.NewRing(secretFrom(t, secret, much.Add(-1000*time.Hour)), nil, 10*time.Hour, 2, much)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*nts.Ring{"secret": other, "period": longer} {
		var got nts.Keys
		if _, ok := r.OpenCookie(&got, c); ok {
			t.Errorf("cookie opens with another %s", name)
		}
	}
}

func TestLegacyCookieIsReplaced(t *testing.T) {
	ring := testRing(t, start)
	s, sess := newServer(t, ring), nts.NewSession(seed(1))
	c := newClient(t, ring, aead.AESSIVCMAC256, 1)
	s.SetRing(testRing(t, start.Add(time.Hour)))
	v, resp := answer(s, sess, makeRequest(t, c))
	if v.Action != ntp.Answer || v.Marks != ntp.OldSecret {
		t.Fatalf("verdict %+v, want a legacy answer", v)
	}
	if err := c.Response(resp); err != nil {
		t.Fatal(err)
	}
	if v, _ = answer(s, sess, makeRequest(t, c)); v.Action != ntp.Answer || v.Marks != 0 {
		t.Errorf("verdict with the new cookie %+v", v)
	}
}

func TestNewRingRefuses(t *testing.T) {
	s := testSecret(t)
	for name, f := range map[string]func() (*nts.Ring, error){
		"short period": func() (*nts.Ring, error) { return nts.NewRing(s, nil, time.Second, 2, start) },
		"odd period":   func() (*nts.Ring, error) { return nts.NewRing(s, nil, time.Hour+1, 2, start) },
		"negative":     func() (*nts.Ring, error) { return nts.NewRing(s, nil, time.Hour, -1, start) },
		"too many":     func() (*nts.Ring, error) { return nts.NewRing(s, nil, time.Hour, nts.MaxKeep+1, start) },
	} {
		if r, err := f(); err == nil || r != nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// A clock that was not set yet, and one that was ahead, have rings until it is.
	if r, err := nts.NewRing(s, nil, time.Hour, 5, time.Time{}); err != nil || !r.Overdue(start) {
		t.Errorf("no clock: %v, %v", r, err)
	}
	if r, err := nts.NewRing(s, nil, time.Hour, 5, start.AddDate(20, 0, 0)); err != nil || !r.Overdue(start) {
		t.Errorf("clock ahead: %v, %v", r, err)
	}
	if r, err := nts.NewRing(s, nil, time.Hour, 5, start); err != nil || r.Overdue(start) || r.Overdue(start.Add(-time.Minute)) ||
		!r.Overdue(start.Add(time.Hour)) {
		t.Errorf("right clock: %v, %v", r, err)
	}
}

func TestCookieLengths(t *testing.T) {
	ring := testRing(t, start)
	for id, want := range map[aead.ID]int{15: 96, 16: 128, 17: 160, 30: 64} {
		if n := nts.CookieLen(id); n != want || n%4 != 0 {
			t.Errorf("CookieLen(%d) = %d, want %d", id, n, want)
		}
		if n := len(cookie(ring, testKeys(t, id), 1)); n != want {
			t.Errorf("cookie for %d has %d octets, want %d", id, n, want)
		}
	}
	if nts.CookieLen(99) != 0 {
		t.Error("cookie for an unknown AEAD")
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	k := testKeys(t, aead.AESSIVCMAC256)
	ring := testRing(t, start)
	c := newClient(t, ring, aead.AESSIVCMAC256, 8)
	sess := nts.NewSession(seed(1))
	answer(newServer(t, ring), sess, makeRequest(t, c))
	for _, v := range []any{k, &k, ring, sess, c} {
		for _, f := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			s := fmt.Sprintf(f, v)
			if !strings.Contains(s, "redacted") || len(s) > 80 {
				t.Errorf("%T with %s prints %.60q", v, f, s)
			}
		}
	}
}
