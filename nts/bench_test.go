package nts_test

import (
	"fmt"
	"testing"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// serveOne is what a worker does for one packet, without the header.
func serveOne(s *nts.Server, sess *nts.Session, req *ntp.Request, resp []byte) int {
	req.Layout = ntp.Classify(req.Packet, none{})
	v := s.Open(req, sess)
	if v.Action == ntp.NTSNAK {
		return s.NAK(resp, ntp.HeaderLen, sess)
	}
	return s.Seal(resp, ntp.HeaderLen, sess)
}

func BenchmarkServe(b *testing.B) {
	ring := testRing(b, start)
	resp := make([]byte, 2048)
	for _, id := range allAEADs {
		b.Run(fmt.Sprintf("aead%d", id), func(b *testing.B) {
			s, sess := newServer(b, ring, allAEADs...), nts.NewSession(seed(1))
			req := classify(makeRequest(b, newClient(b, ring, id, nts.MaxCookies)))
			b.ReportAllocs()
			for b.Loop() {
				serveOne(s, sess, req, resp)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	ring := testRing(b, start)
	for _, id := range []aead.ID{aead.AESSIVCMAC256, aead.AES128GCMSIV} {
		b.Run(fmt.Sprintf("aead%d", id), func(b *testing.B) {
			s, sess := newServer(b, ring, allAEADs...), nts.NewSession(seed(1))
			req := classify(makeRequest(b, newClient(b, ring, id, nts.MaxCookies)))
			b.ReportAllocs()
			for b.Loop() {
				s.Open(req, sess)
			}
		})
	}
}

func BenchmarkCookie(b *testing.B) {
	ring, k := testRing(b, start), testKeys(b, aead.AES128GCMSIV)
	c := cookie(ring, k, 1)
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ring.OpenCookie(&k, c)
		}
	})
	b.Run("seal", func(b *testing.B) {
		var nonce [nts.CookieNonceLen]byte
		b.ReportAllocs()
		for b.Loop() {
			ring.AppendCookie(c[:0], &k, &nonce)
		}
	})
}
