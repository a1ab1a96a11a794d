package server

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// identified is a request with a unique identifier and nothing else of NTS.
func identified(version uint8, mode ntp.Mode, octets int) []byte {
	return ntp.AppendField(request(version, mode, 42), ntp.FieldUniqueIdentifier, bytes.Repeat([]byte{0xd1}, octets), 0)
}

// Whatever answers a request with a unique identifier returns it, and is not
// longer than the request (RFC 8915, section 5.3).
func TestIdentifierIsReturned(t *testing.T) {
	r := newRig(t)
	keys, scratch := r.handler.state.Keys, symkey.NewScratch()
	sign := func(p []byte) []byte {
		k := keys.Lookup(1)
		p = append(p, make([]byte, 24)...)
		return p[:k.Seal(p, len(p)-24, 16, scratch)]
	}
	spoilt := func(p []byte) []byte { p[len(p)-1] ^= 1; return p }
	everybody := netip.MustParsePrefix("0.0.0.0/0")
	allow := access.Rule{Prefix: everybody, Action: access.Allow, Kinds: access.AllKinds, MinVersion: 1}
	slow := allow
	slow.Rate = &access.RateLimit{Interval: time.Hour, Burst: 1, Kiss: true}
	deny := access.Rule{Prefix: everybody, Action: access.Deny, Kiss: access.KissDeny}
	restrict := access.Rule{Prefix: everybody, Action: access.Deny, Kiss: access.KissRestrict}
	for _, c := range []struct {
		name   string
		packet []byte
		rule   access.Rule
		action ntp.Action
		seal   int // octets behind the identifier
	}{
		{"plain", identified(4, ntp.ModeClient, 32), allow, ntp.Answer, 0},
		{"longer", identified(4, ntp.ModeClient, 400), allow, ntp.Answer, 0},
		{"key", sign(identified(4, ntp.ModeClient, 32)), allow, ntp.Answer, 20},
		{"crypto-NAK", spoilt(sign(identified(4, ntp.ModeClient, 32))), allow, ntp.CryptoNAK, 4},
		{"DENY", identified(4, ntp.ModeClient, 32), deny, ntp.KissDeny, 0},
		{"RSTR to NTS", r.requests["AEAD_AES_SIV_CMAC_256"], restrict, ntp.KissRestrict, 0},
		{"RATE", identified(4, ntp.ModeClient, 32), slow, ntp.KissRate, 0},
		{"RATE with a key", sign(identified(4, ntp.ModeClient, 32)), slow, ntp.KissRate, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.handler.state.Access = testState(t, c.rule).Access
			r.handler.state.Limiter = testState(t).Limiter
			s, resp := newSlot(t), make([]byte, maxPacket)
			n := r.serve(s, c.packet, resp)
			if c.rule.Rate != nil {
				n = r.serve(s, c.packet, resp)
			}
			if s.verdict.Action != c.action {
				t.Fatalf("%+v", s.verdict)
			}
			uid := s.req.Layout.UniqueIdentifier
			want := c.packet[uid.Offset : uid.Offset+uid.Length]
			if end := ntp.HeaderLen + len(want); n != end+c.seal || !bytes.Equal(resp[ntp.HeaderLen:end], want) {
				t.Errorf("%d octets: %x", n, resp[ntp.HeaderLen:n])
			}
			if n > len(c.packet) {
				t.Errorf("%d octets to %d", n, len(c.packet))
			}
			if c.seal == 20 && !keys.Lookup(1).Verify(resp[:n], n-20, scratch) {
				t.Error("the MAC is wrong")
			}
		})
	}
}

// An identifier behind a message of Autokey is returned behind the answer.
func TestIdentifierIsReturnedByAutokey(t *testing.T) {
	r := newRig(t)
	assoc := autokey.Message{Code: autokey.Request(autokey.OpAssoc), Value: []byte("tock")}
	p := assoc.Append(request(4, ntp.ModeClient, 42))
	p = ntp.AppendField(p, ntp.FieldUniqueIdentifier, bytes.Repeat([]byte{0xd1}, 32), 0)
	id := p[len(p)-36:]
	scratch := autokey.NewScratch(autokey.MD5)
	key := bytes.Clone(scratch.SessionKey(testClient.Addr(), testServer, 1<<21, 0))
	mac := scratch.MAC(key, p)
	p = append(binary.BigEndian.AppendUint32(bytes.Clone(p), 1<<21), mac...)
	s, resp := newSlot(t), make([]byte, maxPacket)
	r.handler.slow = true
	n := r.serve(s, p, resp)
	if s.verdict.Action != ntp.Answer || !bytes.Equal(resp[n-20-36:n-20], id) {
		t.Errorf("%+v: %x", s.verdict, resp[ntp.HeaderLen:n])
	}
}

// What is no identifier of a client, or too short for one, is not returned.
func TestNoIdentifier(t *testing.T) {
	r := newRig(t)
	for name, packet := range map[string][]byte{
		"too short": identified(4, ntp.ModeClient, 28), "version 3": identified(3, ntp.ModeClient, 32),
		"a peer's": identified(4, ntp.ModeSymmetricActive, 32),
	} {
		resp := make([]byte, maxPacket)
		if n := r.serve(newSlot(t), packet, resp); n != ntp.HeaderLen {
			t.Errorf("%s: %d octets", name, n)
		}
	}
}

// The fields of NTS are for clients and servers alone (RFC 8915, sections 5.4 to
// 5.6).
func TestNTSIsForClientsAlone(t *testing.T) {
	r := newRig(t)
	packet := bytes.Clone(r.requests["AEAD_AES_SIV_CMAC_256"])
	for _, mode := range []ntp.Mode{ntp.ModeSymmetricActive, ntp.ModeSymmetricPassive, ntp.ModeServer, ntp.ModeBroadcast} {
		packet[0] = packet[0]&^7 | byte(mode)
		s := newSlot(t)
		if n := r.serve(s, packet, make([]byte, maxPacket)); n != 0 || s.verdict.Reason != ntp.ReasonMode {
			t.Errorf("mode %d: %d octets, %+v", mode, n, s.verdict)
		}
	}
}
