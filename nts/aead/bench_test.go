package aead

import (
	"fmt"
	"testing"

	"github.com/facebook/time/ntp/protocol/nts/aessiv"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
)

// A server's work for a usual packet: the request has 188 octets before the
// authenticator and no plaintext, the answer 88 and a cookie of 104.
const (
	benchRequestAD = 188
	benchAnswerAD  = 88
	benchPlaintext = 104
)

// benchPacket is such a packet with the keys of its cookie.
type benchPacket struct {
	c2s, s2c, nonce, request, tag, ad, plaintext []byte
}

func newBenchPacket(b *testing.B, id ID) (p benchPacket) {
	p.c2s, p.s2c = pattern(id.KeyLen(), 1), pattern(id.KeyLen(), 2)
	p.nonce, p.request = pattern(id.NonceLen(), 3), pattern(benchRequestAD, 4)
	p.ad, p.plaintext = pattern(benchAnswerAD, 5), pattern(benchPlaintext, 6)
	var k Key
	if err := k.Init(id, p.c2s); err != nil {
		b.Fatal(err)
	}
	p.tag = k.Seal(nil, p.nonce, nil, p.request)
	return p
}

func BenchmarkInit(b *testing.B) {
	for _, id := range allIDs {
		b.Run(id.String(), func(b *testing.B) {
			key := pattern(id.KeyLen(), 1)
			var k Key
			b.ReportAllocs()
			for b.Loop() {
				_ = k.Init(id, key)
			}
		})
	}
}

func BenchmarkServer(b *testing.B) {
	for _, id := range allIDs {
		b.Run(id.String(), func(b *testing.B) {
			p := newBenchPacket(b, id)
			dst := make([]byte, 0, 512)
			var k Key
			b.ReportAllocs()
			for b.Loop() {
				_ = k.Init(id, p.c2s)
				if _, err := k.Open(dst, p.nonce, p.tag, p.request); err != nil {
					b.Fatal(err)
				}
				_ = k.Init(id, p.s2c)
				k.Seal(dst, p.nonce, p.plaintext, p.ad)
			}
		})
	}
}

// BenchmarkCookie seals and opens with a key that lives long, as that of
// cookies does, the keys of AEAD 30 and of 15.
func BenchmarkCookie(b *testing.B) {
	for _, id := range []ID{AESSIVCMAC256, AES128GCMSIV} {
		for _, n := range []int{32, 64} {
			k := newKey(b, id, 1)
			nonce, ad, plaintext := pattern(id.NonceLen(), 2), pattern(6, 3), pattern(n, 4)
			sealed, dst := k.Seal(nil, nonce, plaintext, ad), make([]byte, 0, n+TagLen)
			b.Run(fmt.Sprintf("seal/%v/%d", id, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					k.Seal(dst, nonce, plaintext, ad)
				}
			})
			b.Run(fmt.Sprintf("open/%v/%d", id, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := k.Open(dst, nonce, sealed, ad); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkServerOthers is the same work with the libraries that the tests
// compare with.
func BenchmarkServerOthers(b *testing.B) {
	b.Run("facebook/"+AESSIVCMAC256.String(), func(b *testing.B) {
		p := newBenchPacket(b, AESSIVCMAC256)
		dst := make([]byte, 0, 512)
		b.ReportAllocs()
		for b.Loop() {
			k, _ := aessiv.NewAESSIV(p.c2s)
			if _, err := k.Open(dst, p.tag, p.request, p.nonce); err != nil {
				b.Fatal(err)
			}
			k, _ = aessiv.NewAESSIV(p.s2c)
			_, _ = k.Seal(dst, p.plaintext, p.ad, p.nonce)
		}
	})
	b.Run("tink/"+AES128GCMSIV.String(), func(b *testing.B) {
		p := newBenchPacket(b, AES128GCMSIV)
		sealed := append(p.nonce, p.tag...) // tink has the nonce in front
		b.ReportAllocs()
		for b.Loop() {
			k, _ := subtle.NewAESGCMSIV(p.c2s)
			if _, err := k.Decrypt(sealed, p.request); err != nil {
				b.Fatal(err)
			}
			k, _ = subtle.NewAESGCMSIV(p.s2c)
			_, _ = k.Encrypt(p.plaintext, p.ad)
		}
	})
}
