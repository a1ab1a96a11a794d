package autokey

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// TestPublishedAttacksOnServers sends what broke the reference implementation:
// each must come out as an error response or as nothing, at a bounded price,
// and the server must go on serving.
func TestPublishedAttacksOnServers(t *testing.T) {
	long := func(op Op, valueLen, sigLen uint32, body int) []byte {
		f := make([]byte, nameLen+body)
		binary.BigEndian.PutUint16(f, uint16(Request(op)))
		binary.BigEndian.PutUint16(f[2:], uint16(len(f)))
		binary.BigEndian.PutUint32(f[16:], valueLen)
		if v := int64(nameLen) + (int64(valueLen)+3)&^3; v+4 <= int64(len(f)) {
			binary.BigEndian.PutUint32(f[v:], sigLen)
		}
		return f
	}
	for _, c := range []struct {
		name  string
		field []byte
		reply bool // an error response is due, as p15 gives it
	}{
		{"CVE-2014-9297: value length beyond the field", long(OpCert, 4000, 0, 100), true},
		{"CVE-2014-9297: value length of 2^32-1", long(OpCook, 0xffffffff, 0, 100), true},
		{"CVE-2015-7691: value length that wraps when padded", long(OpCook, 0xfffffffd, 0, 100), true},
		{"CVE-2015-7692: value length that is negative as an int", long(OpSign, 0x80000000, 0, 100), true},
		{"CVE-2015-7702: value to the last octet, no room for a signature length", long(OpCook, 100, 0, 100), true},
		{"CVE-2014-9295: public key of a cookie request is all of the field", long(OpCook, 1000, 0, 1004), true},
		{"CVE-2014-9295: public key of no octets", long(OpCook, 0, 0, 4), true},
		{"challenge of no octets", long(OpIFF, 0, 0, 4), true},
		{"challenge longer than any group", long(OpIFF, 1996, 0, 2000), true},
		{"certificate that is none", long(OpSign, 400, 0, 404), true},
		{"CVE-2015-7691: field of 8 octets where a value is due", long(OpCert, 0, 0, 4)[:shortLen], false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTestServer(t, testConfig(t, "iff-b512"))
			if err := s.SignatureUpdate(testNow); err != nil {
				t.Fatal(err)
			}
			binary.BigEndian.PutUint16(c.field[2:], uint16(len(c.field)))
			p := newPeer(MD5)
			v, _, resp := answer(t, s, p.request(0, c.field), testNow, true)
			if resp != nil {
				got, ok := packet{data: resp}.message()
				if !ok || !got.Code.Error() || len(got.Value) > 0 || got.len() != shortLen {
					t.Errorf("verdict %+v, answer %+v: not an error response of 8 octets", v, got)
				}
			} else if c.reply {
				t.Errorf("verdict %+v and no answer, want an error response", v)
			}
			if v, _, resp := answer(t, s, p.plain(0), testNow, true); v.Action != ntp.Answer || resp == nil {
				t.Errorf("a good request afterwards: %+v", v)
			}
		})
	}
}

// CVE-2009-1252 was a stack overflow by a long name; ours is bounded.
func TestLongNamesAreBounded(t *testing.T) {
	s := newTestServer(t, testConfig(t, "tc-rsa512-md5"))
	for _, n := range []int{1, 255, maxNameLen, maxNameLen + 1, 2000} {
		m := Message{Code: Request(OpCert), Value: bytes.Repeat([]byte("x"), n)}
		_, sess, got := ask(t, s, m, testNow, true)
		if len(got.Value) > 0 {
			t.Errorf("name of %d octets got a certificate", n)
		}
		if sess.OctetsOut > sess.OctetsIn {
			t.Errorf("name of %d octets: %d octets answered to %d", n, sess.OctetsOut, sess.OctetsIn)
		}
	}
}

// CVE-2014-9296 went on after a failed authentication. Whatever the message,
// a wrong MAC gets a crypto-NAK and costs no public-key operation.
func TestWrongMACEndsThere(t *testing.T) {
	s := newTestServer(t, testConfig(t, "iff-b512"))
	p := newPeer(MD5)
	for op := range Op(12) {
		req := p.ask(Message{Code: Request(op), Value: bytes.Repeat([]byte{1}, 64)})
		req.Packet[len(req.Packet)-1] ^= 1
		v, sess, _ := answer(t, s, req, testNow, true)
		if v.Action != ntp.CryptoNAK || v.Reason != ntp.ReasonBadMAC || sess.Cost != 0 {
			t.Errorf("%v: %+v at a cost of %d", op, v, sess.Cost)
		}
	}
}

// CVE-2015-7871: a crypto-NAK made associations. Here it gets nothing at all.
func TestCryptoNAKGetsNothing(t *testing.T) {
	s := newTestServer(t, testConfig(t, "tc-rsa512-md5"))
	for _, mode := range []ntp.Mode{ntp.ModeSymmetricActive, ntp.ModeSymmetricPassive, ntp.ModeClient, ntp.ModeServer, ntp.ModeBroadcast} {
		p := make([]byte, ntp.HeaderLen+4)
		p[0] = 4<<3 | byte(mode)
		req := packet{from: testClient, to: testServer, data: p}.request()
		if v, _, resp := answer(t, s, req, testNow, true); v.Action != ntp.Drop || resp != nil {
			t.Errorf("mode %d: %+v", mode, v)
		}
	}
}

// CVE-2015-7701 leaked memory for each ASSOC. A flood of them from as many
// addresses as a stranger likes leaves nothing behind and costs no public-key
// operation, and the real client is served all the same.
func TestFloodOfAssociations(t *testing.T) {
	s := newTestServer(t, testConfig(t, "tc-rsa512-md5"))
	if err := s.SignatureUpdate(testNow); err != nil {
		t.Fatal(err)
	}
	var resp [MaxResponseLen]byte
	sess := new(Session)
	random := rand.New(rand.NewPCG(1, 2))
	flood := func() {
		p := newPeer(MD5)
		p.addr = netip.AddrFrom4([4]byte{10, byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())})
		req := p.ask(Message{Code: Request(OpAssoc), Value: []byte("tock")})
		if v := s.Open(testNow, true, req, sess, true); v.Action == ntp.Answer {
			s.Seal(req, resp[:], sess)
		}
		if sess.Cost != 0 {
			t.Fatalf("an ASSOC cost %d", sess.Cost)
		}
		if sess.OctetsOut > sess.OctetsIn+64 {
			t.Fatalf("%d octets answered to %d", sess.OctetsOut, sess.OctetsIn)
		}
	}
	for range 5000 {
		flood()
	}
	p := newPeer(MD5)
	pub := keyfile.MarshalPublicKey(&testConfig(t, "tc-rsa512-md5").Host.HostKey.RSAPublicKey)
	for _, m := range []Message{
		{Code: Request(OpAssoc), Value: []byte("tock")},
		{Code: Request(OpCert), Value: []byte("tick")},
		{Code: Request(OpCook), Value: pub},
	} {
		v, _, got := answer(t, s, p.ask(m), testNow, true)
		if v.Action != ntp.Answer || v.Reason != ntp.ReasonOK || got == nil {
			t.Errorf("%v of a real client after the flood: %+v", m.Code.Op(), v)
		}
	}
}

// The cookie of an address is for whoever sends from it (the protocol's own
// weakness); it must at least be of no use from another address.
func TestCookieIsBoundToAddresses(t *testing.T) {
	cfg := testConfig(t, "tc-rsa512-md5")
	cfg.Seed = 99
	s := newTestServer(t, cfg)
	thief := newPeer(MD5)
	cookie := thief.scratch.Cookie(testClient, testServer, 99)
	thief.addr = netip.MustParseAddr("192.0.2.78")
	if v, _, _ := answer(t, s, thief.request(cookie, nil), testNow, true); v.Action == ntp.Answer {
		t.Errorf("a cookie of another address was taken: %+v", v)
	}
}
