package aead

import (
	"bufio"
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	tink "github.com/tink-crypto/tink-go/v2/aead/subtle"
	"pgregory.net/rapid"
)

// rfc8452 is a vector of RFC 8452, appendix C.
type rfc8452 struct{ key, nonce, ad, plaintext, sealed []byte }

func readRFC8452(t *testing.T) (vectors []rfc8452) {
	t.Helper()
	file, err := os.Open("testdata/rfc8452.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var parts [5][]byte
		for i, w := range strings.Split(lines.Text(), " ") {
			parts[i] = fromHex(t, strings.Trim(w, "-"))
		}
		vectors = append(vectors, rfc8452{parts[0], parts[1], parts[2], parts[3], parts[4]})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return vectors
}

// nonceKeys256 derives the keys of AES-256-GCM-SIV (RFC 8452, section 4).
func nonceKeys256(key, nonce []byte) *nonceKeys {
	s := newPortable(key)
	var ctr block
	copy(ctr[4:], nonce)
	var stream [streamLen]byte
	s.stream(&stream, &ctr, gcmSIVOrder)
	half := func(i int) []byte { return stream[i*16 : i*16+8] }
	n := &nonceKeys{auth: toElement(slices.Concat(half(0), half(1)))}
	n.enc = newPortable(slices.Concat(half(2), half(3), half(4), half(5)))
	return n
}

// TestRFC8452 has appendix C.1 through the API, C.2 and C.3 through the
// generic parts.
func TestRFC8452(t *testing.T) {
	bothPaths(t, func(t *testing.T) {
		count := [2]int{}
		for i, v := range readRFC8452(t) {
			if len(v.key) == AES128GCMSIV.KeyLen() {
				checkVector(t, AES128GCMSIV, v.key, v.nonce, v.plaintext, v.sealed, v.ad, true)
				count[0]++
			} else {
				n := nonceKeys256(v.key, v.nonce)
				got := make([]byte, len(v.sealed))
				if n.seal(got, v.nonce, v.plaintext, v.ad); !bytes.Equal(got, v.sealed) {
					t.Errorf("seal = %x, want %x", got, v.sealed)
				}
				got = got[:len(v.plaintext)]
				if !n.open(got, v.nonce, v.sealed, v.ad) || !bytes.Equal(got, v.plaintext) {
					t.Errorf("open = %x, want %x", got, v.plaintext)
				}
				count[1]++
			}
			if t.Failed() {
				t.Fatalf("in vector %d", i)
			}
		}
		if count != [2]int{24, 26} {
			t.Errorf("%d vectors, want 24 and 26", count)
		}
	})
}

// TestPolyval has the example of RFC 8452, appendix A.
func TestPolyval(t *testing.T) {
	h := polyval{key: toElement(fromHex(t, "25629347589242761d31f826ba4b757b"))}
	h.update(fromHex(t, "4f4f95668c83dfb6401762bb2d01a262d1a24ddd2721d006bbe45f20d3c9f362"))
	got := h.sum.number().block()
	if want := fromHex(t, "f7a3b47b846119fae5b7866cf5e5b77e"); !bytes.Equal(got[:], want) {
		t.Errorf("POLYVAL = %x, want %x", got, want)
	}
}

// slowDot multiplies bit by bit: a times x^-128 is a shifted down 128 times,
// with the polynomial added where the lowest bit would be lost.
func slowDot(a, b element) (sum element) {
	for i := range 128 {
		word, bit := b.lo, i
		if i >= 64 {
			word, bit = b.hi, i-64
		}
		if word>>bit&1 == 1 {
			sum = sum.add(a)
		}
		carry := sum.lo & 1
		sum = element{sum.lo>>1 | sum.hi<<63, sum.hi >> 1}
		if carry == 1 {
			sum.hi ^= 1<<63 | 1<<62 | 1<<61 | 1<<56
		}
	}
	return sum
}

func TestDot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := element{rapid.Uint64().Draw(t, "a.lo"), rapid.Uint64().Draw(t, "a.hi")}
		b := element{rapid.Uint64().Draw(t, "b.lo"), rapid.Uint64().Draw(t, "b.hi")}
		if got, want := dot(a, b), slowDot(a, b); got != want {
			t.Fatalf("dot = %x, want %x", got, want)
		}
	})
}

func TestGCMSIVAgrees(t *testing.T) {
	bothPaths(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			m := drawMessage(t, AES128GCMSIV, 0)
			sealed := checkMessage(t, AES128GCMSIV, m)
			theirs, err := tink.NewAESGCMSIV(m.key)
			if err != nil {
				t.Fatal(err)
			}
			// tink chooses the nonce and has it in front.
			got, err := theirs.Decrypt(slices.Concat(m.nonce, sealed), m.ad)
			if err != nil || !bytes.Equal(got, m.plaintext) {
				t.Fatalf("tink opens it as %x, %v", got, err)
			}
			back, err := theirs.Encrypt(m.plaintext, m.ad)
			if err != nil {
				t.Fatal(err)
			}
			var k Key
			if err := k.Init(AES128GCMSIV, m.key); err != nil {
				t.Fatal(err)
			}
			got, err = k.Open(nil, back[:12], back[12:], m.ad)
			if err != nil || !bytes.Equal(got, m.plaintext) {
				t.Fatalf("tink's opens as %x, %v", got, err)
			}
		})
	})
}

func TestGCMSIVNonceLength(t *testing.T) {
	k := newKey(t, AES128GCMSIV, 1)
	for n := range 20 {
		if n != 12 {
			mustPanic(t, func() { k.Seal(nil, make([]byte, n), nil, nil) })
		}
	}
}
