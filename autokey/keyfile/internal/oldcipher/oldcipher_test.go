package oldcipher

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"testing"
)

// Vectors: RFC 2268 section 5, RFC 3713 appendix A, RFC 4269 appendix B.
var vectors = []struct {
	name, key, plain, cipher string
	new                      func(key []byte) (cipher.Block, error)
}{
	{"RC2 63", "0000000000000000", "0000000000000000", "ebb773f993278eff", rc2Bits(63)},
	{"RC2 64 ones", "ffffffffffffffff", "ffffffffffffffff", "278b27e42e2f0d49", rc2Bits(64)},
	{"RC2 64", "3000000000000000", "1000000000000001", "30649edf9be7d2c2", rc2Bits(64)},
	{"RC2 1 octet", "88", "0000000000000000", "61a8a244adacccf0", rc2Bits(64)},
	{"RC2 7 octets", "88bca90e90875a", "0000000000000000", "6ccf4308974c267f", rc2Bits(64)},
	{"RC2 16 octets, 64", "88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "1a807d272bbe5db1", rc2Bits(64)},
	{"RC2 128", "88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "2269552ab0f85ca6", rc2Bits(128)},
	{"RC2 129", "88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", "0000000000000000", "5b78d3a43dfff1f1", rc2Bits(129)},
	{"Camellia 128", "0123456789abcdeffedcba9876543210", "0123456789abcdeffedcba9876543210", "67673138549669730857065648eabe43",
		NewCamellia},
	{"Camellia 192", "0123456789abcdeffedcba98765432100011223344556677", "0123456789abcdeffedcba9876543210",
		"b4993401b3e996f84ee5cee7d79b09b9", NewCamellia},
	{"Camellia 256", "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff", "0123456789abcdeffedcba9876543210",
		"9acc237dff16d76c20ef7c919e3a7509", NewCamellia},
	{"SEED B.1", "00000000000000000000000000000000", "000102030405060708090a0b0c0d0e0f", "5ebac6e0054e166819aff1cc6d346cdb", NewSEED},
	{"SEED B.2", "000102030405060708090a0b0c0d0e0f", "00000000000000000000000000000000", "c11f22f20140505084483597e4370f43", NewSEED},
	{"SEED B.3", "4706480851e61be85d74bfb3fd956185", "83a2f8a288641fb9a4e9a5cc2f131c7d", "ee54d13ebcae706d226bc3142cd40d4a", NewSEED},
	{"SEED B.4", "28dbc3bc49ffd87dcfa509b11d422be7", "b41e6be2eba84a148e2eed84593c5ec7", "9b9b7bfcd1813cb95d0b3618f40f5122", NewSEED},
}

func rc2Bits(bits int) func([]byte) (cipher.Block, error) {
	return func(key []byte) (cipher.Block, error) { return NewRC2(key, bits) }
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		key, _ := hex.DecodeString(v.key)
		plain, _ := hex.DecodeString(v.plain)
		want, _ := hex.DecodeString(v.cipher)
		block, err := v.new(key)
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		got := make([]byte, block.BlockSize())
		if block.Encrypt(got, plain); !bytes.Equal(got, want) {
			t.Errorf("%s: encrypts to %x, want %x", v.name, got, want)
		}
		if block.Decrypt(got, want); !bytes.Equal(got, plain) {
			t.Errorf("%s: decrypts to %x, want %x", v.name, got, plain)
		}
	}
}

func TestKeySizes(t *testing.T) {
	for name, err := range map[string]error{
		"RC2 without key":  second(NewRC2(nil, 64)),
		"RC2 long key":     second(NewRC2(make([]byte, 129), 64)),
		"RC2 0 bits":       second(NewRC2(make([]byte, 8), 0)),
		"RC2 1025 bits":    second(NewRC2(make([]byte, 8), 1025)),
		"Camellia 17":      second(NewCamellia(make([]byte, 17))),
		"SEED 15":          second(NewSEED(make([]byte, 15))),
		"SEED without key": second(NewSEED(nil)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second(_ cipher.Block, err error) error { return err }

// Encryption in place, and decryption of what was encrypted, for many keys.
func TestRoundTrip(t *testing.T) {
	for _, v := range vectors {
		key, _ := hex.DecodeString(v.key)
		for i := range 200 {
			key[i%len(key)] += byte(i) | 1
			block, err := v.new(key)
			if err != nil {
				t.Fatal(err)
			}
			plain := bytes.Repeat([]byte{byte(i)}, block.BlockSize())
			data := bytes.Clone(plain)
			block.Encrypt(data, data)
			if bytes.Equal(data, plain) {
				t.Errorf("%s: nothing encrypted", v.name)
			}
			if block.Decrypt(data, data); !bytes.Equal(data, plain) {
				t.Fatalf("%s: key %x does not give the plaintext back", v.name, key)
			}
		}
	}
}
