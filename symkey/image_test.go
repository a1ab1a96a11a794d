package symkey

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/sha1"
	"encoding"
	"encoding/binary"
	"fmt"
	"hash"
	"net/netip"
	"strings"
	"testing"
)

// macOf computes a MAC from an image alone.
func macOf(t *testing.T, i *Image, message []byte) []byte {
	t.Helper()
	if i.Algorithm == ImageAES128 {
		block, err := aes.NewCipher(i.Secret[:])
		if err != nil {
			t.Fatal(err)
		}
		m := bytes.Clone(message)
		for j, b := range i.Subkey {
			m[len(m)-16+j] ^= b
		}
		cipher.NewCBCEncrypter(block, make([]byte, 16)).CryptBlocks(m, m)
		return m[len(m)-16:]
	}
	h, words := hash.Hash(md5.New()), 4
	if i.Algorithm == ImageSHA1 {
		h, words = sha1.New(), 5
	}
	read := func() []byte {
		state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		return state
	}
	state := read()
	for w := range words {
		binary.BigEndian.PutUint32(state[4+4*w:], i.State[w])
	}
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
		t.Fatal(err)
	}
	block := i.Block
	copy(block[i.At:], message)
	h.Write(block[:64*i.Blocks])
	state = read()
	var mac []byte
	for w := range words {
		word := binary.BigEndian.Uint32(state[4+4*w:])
		if i.Algorithm == ImageMD5 {
			mac = binary.LittleEndian.AppendUint32(mac, word)
		} else {
			mac = binary.BigEndian.AppendUint32(mac, word)
		}
	}
	return mac
}

// The MAC made of an image is the key's, whatever the length of the secret.
func TestImageMakesTheKeysMAC(t *testing.T) {
	message := []byte(strings.Repeat("0123456789abcdef", 3))
	scratch := NewScratch()
	for _, algorithm := range []string{"MD5", "SHA1", "AES128CMAC"} {
		for n := 1; n <= 300; n++ {
			if algorithm == "AES128CMAC" && n != 16 {
				continue
			}
			k := mustKey(t, 7, algorithm, bytes.Repeat([]byte{byte(n), 0xa5, 3}, n)[:n])
			i, ok := k.Image(len(message))
			if !ok || i.ID != 7 || i.MACLen != k.MACLen() {
				t.Fatalf("%v: image of key %d, %d octets, %v", k, i.ID, i.MACLen, ok)
			}
			if got, want := macOf(t, &i, message), k.compute(message, scratch); !bytes.Equal(got, want) {
				t.Fatalf("%v: %x, want %x", k, got, want)
			}
		}
	}
}

func TestImageOfOtherKeys(t *testing.T) {
	sixteen := []byte("0123456789abcdef")
	for _, k := range []*Key{mustKey(t, 1, "SHA256", sixteen), mustKey(t, 1, "AES256CMAC", append(sixteen, sixteen...)),
		mustKey(t, 1, "MD5", sixteen, netip.MustParsePrefix("192.0.2.0/24")).LimitClients()} {
		if i, ok := k.Image(48); ok || i != (Image{}) {
			t.Errorf("%v has an image", k)
		}
	}
	k := mustKey(t, 1, "MD5", sixteen, netip.MustParsePrefix("192.0.2.0/24"))
	if _, ok := k.Image(48); !ok {
		t.Error("a list of servers keeps clients away")
	}
	for _, n := range []int{0, 47, 64} {
		if _, ok := k.Image(n); ok {
			t.Errorf("an image for %d octets", n)
		}
	}
	i, _ := k.Image(48)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if s := fmt.Sprintf(verb, i); s != "image of a key" {
			t.Errorf("%s shows it: %s", verb, s)
		}
	}
}
