package keyfile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"encoding/asn1"
	"slices"
	"strings"

	//lint:ignore SA1019 ntp-keygen -C bf-cbc makes such files
	"golang.org/x/crypto/blowfish"
	//lint:ignore SA1019 ntp-keygen -C cast5-cbc makes such files
	"golang.org/x/crypto/cast5"

	"ntsbridge/autokey/keyfile/internal/oldcipher"
)

// blockCipher is a cipher in CBC mode that key files are encrypted with.
type blockCipher struct {
	name      string // OpenSSL's name, as ntp-keygen -C takes it
	oid       asn1.ObjectIdentifier
	keyLen    int // octets, default and the only one unless variable
	variable  bool
	blockSize int // octets
	new       func(key []byte) (cipher.Block, error)
}

// fixed drops the concrete type of a cipher constructor.
func fixed[B cipher.Block](new func([]byte) (B, error)) func([]byte) (cipher.Block, error) {
	return func(key []byte) (cipher.Block, error) { return new(key) }
}

// newRC2 is RC2 whose effective key length is its key length.
func newRC2(key []byte) (cipher.Block, error) { return oldcipher.NewRC2(key, 8*len(key)) }

var blockCiphers = []blockCipher{
	{"des-ede3-cbc", oid(1, 2, 840, 113549, 3, 7), 24, false, 8, des.NewTripleDESCipher},
	{"des-cbc", oid(1, 3, 14, 3, 2, 7), 8, false, 8, des.NewCipher},
	{"aes-128-cbc", oid(2, 16, 840, 1, 101, 3, 4, 1, 2), 16, false, 16, aes.NewCipher},
	{"aes-192-cbc", oid(2, 16, 840, 1, 101, 3, 4, 1, 22), 24, false, 16, aes.NewCipher},
	{"aes-256-cbc", oid(2, 16, 840, 1, 101, 3, 4, 1, 42), 32, false, 16, aes.NewCipher},
	{"bf-cbc", oid(1, 3, 6, 1, 4, 1, 3029, 1, 2), 16, true, 8, fixed(blowfish.NewCipher)},
	{"cast5-cbc", oid(1, 2, 840, 113533, 7, 66, 10), 16, false, 8, fixed(cast5.NewCipher)},
	{"rc2-cbc", oid(1, 2, 840, 113549, 3, 2), 16, true, 8, newRC2},
	{"rc2-64-cbc", nil, 8, false, 8, newRC2},
	{"rc2-40-cbc", nil, 5, false, 8, newRC2},
	{"camellia-128-cbc", oid(1, 2, 392, 200011, 61, 1, 1, 1, 2), 16, false, 16, oldcipher.NewCamellia},
	{"camellia-192-cbc", oid(1, 2, 392, 200011, 61, 1, 1, 1, 3), 24, false, 16, oldcipher.NewCamellia},
	{"camellia-256-cbc", oid(1, 2, 392, 200011, 61, 1, 1, 1, 4), 32, false, 16, oldcipher.NewCamellia},
	{"seed-cbc", oid(1, 2, 410, 200004, 1, 4), 16, false, 16, oldcipher.NewSEED},
}

// cipherByName finds a cipher by OpenSSL's name in either case.
func cipherByName(name string) *blockCipher {
	for i := range blockCiphers {
		if strings.EqualFold(blockCiphers[i].name, name) {
			return &blockCiphers[i]
		}
	}
	return nil
}

// cipherByOID finds a cipher of PKCS #8.
func cipherByOID(id asn1.ObjectIdentifier) *blockCipher {
	for i := range blockCiphers {
		if c := &blockCiphers[i]; c.oid != nil && c.oid.Equal(id) {
			return c
		}
	}
	return nil
}

// Ciphers returns the names of the ciphers that key files can be written with,
// as ntp-keygen -C takes them.
func Ciphers() []string {
	var names []string
	for _, c := range blockCiphers {
		if c.oid != nil {
			names = append(names, c.name)
		}
	}
	return names
}

// decryptCBC decrypts data and takes the padding off. The error is ErrPassword
// if the padding is wrong, which is what a wrong password leads to.
func decryptCBC(block cipher.Block, iv, data []byte) ([]byte, error) {
	size := block.BlockSize()
	if len(iv) != size {
		return nil, malformed("initialisation vector of %d octets, want %d", len(iv), size)
	}
	if len(data) == 0 || len(data)%size != 0 {
		return nil, malformed("encrypted part of %d octets, not a multiple of %d", len(data), size)
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > size {
		return nil, ErrPassword
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, ErrPassword
		}
	}
	return plain[:len(plain)-pad], nil
}

// encryptCBC pads and encrypts data.
func encryptCBC(block cipher.Block, iv, data []byte) []byte {
	pad := block.BlockSize() - len(data)%block.BlockSize()
	padded := slices.Grow(slices.Clone(data), pad)
	for range pad {
		padded = append(padded, byte(pad))
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(padded, padded)
	return padded
}
