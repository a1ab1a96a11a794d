package nts_test

import (
	"bytes"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

func FuzzRecords(f *testing.F) {
	for _, s := range []string{npn + siv + end, npn + both + c128 + end, "8002 0002 0001" + end,
		npn + siv + "8006 0003 6e7470 8007 0002 007b 0005 0004 01020304" + end} {
		f.Add(unhex(f, s))
	}
	s := newKE(f, "ntp.example.net", 1123)
	f.Fuzz(func(t *testing.T, msg []byte) {
		var again []byte
		for rest := msg; ; {
			r, tail, err := nts.NextRecord(rest)
			if err != nil {
				again = append(again, rest...)
				break
			}
			again, rest = nts.AppendRecord(again, r), tail
		}
		if !bytes.Equal(again, msg) {
			t.Fatalf("%x decoded and encoded is %x", msg, again)
		}
		if octets, err := nts.Complete(msg, 4096); err == nil && octets > len(msg) {
			t.Fatalf("message of %d octets in %d", octets, len(msg))
		}
		n, err := s.Negotiate(msg)
		if n.Outcome == nts.Agreed && (err != nil || !aead.Supported(n.AEAD)) {
			t.Fatalf("agreed on %v with %v", n.AEAD, err)
		}
		resp := n.Response(nil, [][]byte{make([]byte, 64)})
		if octets, err := nts.Complete(resp, nts.MaxMessage); octets != len(resp) || err != nil {
			t.Fatalf("own response is not complete: %v", err)
		}
		if n.Outcome == nts.Agreed {
			if _, err := (&nts.KEClient{AEADs: allAEADs}).Response(resp); err != nil {
				t.Fatalf("own client refuses: %v", err)
			}
		}
		if res, err := (&nts.KEClient{AEADs: allAEADs}).Response(msg); err == nil {
			if len(res.Cookies) == 0 || len(res.Cookies) > nts.MaxCookies {
				t.Fatalf("%d cookies", len(res.Cookies))
			}
		}
	})
}

func FuzzServerOpen(f *testing.F) {
	for _, c := range loadCaptured(f) {
		f.Add(c.packet, true)
		f.Add(c.packet, false)
	}
	at := loadCaptured(f)[0].at
	ring, err := nts.NewRing(formerSecret(f), nil, 24*time.Hour, 7, at)
	if err != nil {
		f.Fatal(err)
	}
	s, sess := newServer(f, ring, allAEADs...), nts.NewSession(seed(1))
	f.Fuzz(func(t *testing.T, p []byte, force bool) {
		req := classify(p)
		if force && req.Layout.Authenticator.Length > 0 && req.Layout.UniqueIdentifier.Length > 0 {
			req.Layout.Kind, req.Layout.Defect = ntp.KindNTS, ntp.ReasonOK
		}
		v := s.Open(req, sess)
		resp := make([]byte, 4096)
		n := 0
		switch v.Action {
		case ntp.Answer:
			n = s.Seal(resp, ntp.HeaderLen, sess)
		case ntp.NTSNAK:
			n = s.NAK(resp, ntp.HeaderLen, sess)
		case ntp.Drop:
			n = s.Seal(resp, ntp.HeaderLen, sess)
			if n != 0 {
				t.Fatal("sealed what was dropped")
			}
			return
		}
		if n == 0 || n > len(p) {
			t.Fatalf("answer of %d octets to %d, %+v", n, len(p), v)
		}
	})
}

// FuzzServerInner lets the fuzzer write what an honest client would encrypt.
func FuzzServerInner(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	f.Add(ntp.AppendField(nil, ntp.FieldCookiePlaceholder, make([]byte, 96), 0), uint8(4))
	f.Add([]byte{0x20, 5, 0, 4, 3, 4, 0, 5}, uint8(1))
	ring := testRing(f, start)
	s, sess := newServer(f, ring), nts.NewSession(seed(1))
	k := testKeys(f, aead.AESSIVCMAC256)
	f.Fuzz(func(t *testing.T, inner []byte, nonceLen uint8) {
		if len(inner) > 4096 {
			return
		}
		e := edit{id: aead.AESSIVCMAC256, keys: k, cookie: cookie(ring, k, 1), inner: inner, nonceLen: int(nonceLen)}
		p := e.build(t)
		v, resp := answer(s, sess, p)
		if len(resp) > len(p) || v.Action == ntp.NTSNAK {
			t.Fatalf("%+v, %d octets to %d", v, len(resp), len(p))
		}
	})
}

func FuzzClientResponse(f *testing.F) {
	ring := testRing(f, start)
	s, sess := newServer(f, ring), nts.NewSession(seed(1))
	c := newClient(f, ring, aead.AESSIVCMAC256, 8)
	_, good := answer(s, sess, makeRequest(f, c))
	f.Add(good)
	f.Add(good[:84])
	f.Fuzz(func(t *testing.T, p []byte) {
		c := *c // a good response ends the wait for it
		before := c.Cookies()
		if c.Response(p) == nil {
			// What may differ is padding, and what follows the authenticator.
			if len(p) < len(good) || !bytes.Equal(p[:84], good[:84]) {
				t.Fatalf("forged response accepted: %x", p)
			}
			return
		}
		if c.Cookies() != before {
			t.Fatal("cookies of a refused response kept")
		}
	})
}

// FuzzClientInner lets the fuzzer write what an honest server would encrypt.
func FuzzClientInner(f *testing.F) {
	f.Add([]byte{2, 4, 0, 8, 1, 2, 3, 4})
	f.Add([]byte{2, 4, 0, 9})
	ring := testRing(f, start)
	k := testKeys(f, aead.AESSIVCMAC256)
	var key aead.Key
	if err := key.Init(k.AEAD, k.S2C()); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, inner []byte) {
		if len(inner) > 4096 {
			return
		}
		c := newClient(t, ring, k.AEAD, 8)
		req := makeRequest(t, c)
		p := make([]byte, ntp.HeaderLen)
		(&ntp.Header{Version: 4, Mode: ntp.ModeServer}).Encode(p)
		p = append(p, req[48:84]...)
		nonce := make([]byte, 16)
		sealed := key.Seal(nil, nonce, inner, p)
		body := append([]byte{0, 16, byte(len(sealed) >> 8), byte(len(sealed))}, nonce...)
		p = ntp.AppendField(p, ntp.FieldAuthenticator, append(body, sealed...), 0)
		_ = c.Response(p)
		if c.Cookies() > nts.MaxCookies {
			t.Fatalf("%d cookies", c.Cookies())
		}
	})
}

func FuzzOpenCookie(f *testing.F) {
	ring := testRing(f, start)
	var all [][]byte
	for _, id := range allAEADs {
		c := cookie(ring, testKeys(f, id), 1)
		all = append(all, c)
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, c []byte) {
		var k nts.Keys
		_, ok := ring.OpenCookie(&k, c)
		for _, good := range all {
			if bytes.Equal(c, good) {
				return
			}
		}
		if ok {
			t.Fatalf("forged cookie opens: %x", c)
		}
	})
}
