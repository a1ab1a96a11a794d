package aead

import (
	"bytes"
	"math/rand/v2"

	"pgregory.net/rapid"
)

// message is an input drawn at random.
type message struct{ key, nonce, plaintext, ad []byte }

// drawMessage draws a message with plaintext and associated data of 0 to 4096
// octets and a nonce of up to maxNonce, or of the algorithm's length if that
// is 0.
func drawMessage(t *rapid.T, id ID, maxNonce int) message {
	seed := rapid.Uint64().Draw(t, "seed")
	length := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, 4096))
	random := rand.New(rand.NewPCG(seed, uint64(id)))
	octets := func(n int) []byte {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		return p
	}
	nonceLen := id.NonceLen()
	if maxNonce > 0 {
		nonceLen = rapid.IntRange(0, maxNonce).Draw(t, "nonce")
	}
	return message{
		key:       octets(id.KeyLen()),
		nonce:     octets(nonceLen),
		plaintext: octets(length.Draw(t, "plaintext")),
		ad:        octets(length.Draw(t, "ad")),
	}
}

// checkMessage seals and opens and returns what is sealed.
func checkMessage(t *rapid.T, id ID, m message) []byte {
	var k Key
	if err := k.Init(id, m.key); err != nil {
		t.Fatal(err)
	}
	sealed := k.Seal(nil, m.nonce, m.plaintext, m.ad)
	got, err := k.Open(nil, m.nonce, sealed, m.ad)
	if err != nil || !bytes.Equal(got, m.plaintext) {
		t.Fatalf("Open = %x, %v", got, err)
	}
	return sealed
}
