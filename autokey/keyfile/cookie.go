package keyfile

import (
	"crypto/rsa"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Range of the keys in COOK requests, bits; ntpd takes what OpenSSL takes.
const (
	minCookieBits = 512
	maxCookieBits = 4096
)

const cookieLen = 4 // octets of an Autokey cookie

// labelHash is the hash of the empty label.
var labelHash = [sha1.Size]byte{0xda, 0x39, 0xa3, 0xee, 0x5e, 0x6b, 0x4b, 0x0d, 0x32, 0x55,
	0xbf, 0xef, 0x95, 0x60, 0x18, 0x90, 0xaf, 0xd8, 0x07, 0x09}

// MarshalPublicKey returns RSAPublicKey of PKCS #1, the value of a COOK
// request.
func MarshalPublicKey(pub *RSAPublicKey) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(pub.N)
		b.AddASN1BigInt(pub.E)
	})
	return b.BytesOrPanic()
}

// ParsePublicKey reads the value of a COOK request: strict DER of PKCS #1, 512
// to 4096 bits, exponent 3 to 2^32. SubjectPublicKeyInfo is refused as ntpd
// refuses it.
func ParsePublicKey(der []byte) (*RSAPublicKey, error) {
	k, err := parseRSAPublicKey(der)
	if err != nil {
		return nil, err
	}
	if k.E.BitLen() > 32 && k.E.Cmp(new(big.Int).Lsh(one, 32)) > 0 {
		return nil, unsupported("RSA public exponent of %d bits", k.E.BitLen())
	}
	return k, k.check(minCookieBits, maxCookieBits)
}

// parseRSAPublicKey reads RSAPublicKey without looking at the values.
func parseRSAPublicKey(der []byte) (*RSAPublicKey, error) {
	input, body := cryptobyte.String(der), cryptobyte.String(nil)
	k := &RSAPublicKey{new(big.Int), new(big.Int)}
	if !input.ReadASN1(&body, asn1.SEQUENCE) || !input.Empty() ||
		!body.ReadASN1Integer(k.N) || !body.ReadASN1Integer(k.E) || !body.Empty() {
		return nil, malformed("not an RSA public key of PKCS #1")
	}
	return k, nil
}

// EncryptCookie encrypts a cookie for a client: RSAES-OAEP with SHA-1, MGF1
// with SHA-1 and no label (RFC 8017, section 7.1), of the four octets in
// network order. The result is as long as the modulus.
func EncryptCookie(rand io.Reader, pub *RSAPublicKey, cookie uint32) ([]byte, error) {
	size := octets(pub.N)
	room := size - 2*sha1.Size - 2
	if room < cookieLen {
		return nil, unsupported("RSA modulus of %d bits for a cookie", pub.N.BitLen())
	}
	em := make([]byte, size)
	seed, db := em[1:1+sha1.Size], em[1+sha1.Size:]
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("random source: %w", err)
	}
	copy(db, labelHash[:])
	db[len(db)-cookieLen-1] = 1
	binary.BigEndian.PutUint32(db[len(db)-cookieLen:], cookie)
	mask(db, seed)
	mask(seed, db)
	m := new(big.Int).SetBytes(em)
	return m.Exp(m, pub.E, pub.N).FillBytes(em), nil
}

// DecryptCookie is the inverse of EncryptCookie. The error is ErrCookie.
func DecryptCookie(rand io.Reader, key *RSAPrivateKey, ciphertext []byte) (uint32, error) {
	if size := octets(key.N); len(ciphertext) != size {
		return 0, fmt.Errorf("%w: %d octets for a modulus of %d", ErrCookie, len(ciphertext), size)
	}
	var plain []byte
	if key.std != nil {
		var err error
		if plain, err = rsa.DecryptOAEP(sha1.New(), rand, key.std, ciphertext, nil); err != nil {
			return 0, ErrCookie
		}
	} else {
		c := new(big.Int).SetBytes(ciphertext)
		if c.Cmp(key.N) >= 0 {
			return 0, ErrCookie
		}
		m, err := key.private(rand, c)
		if err != nil {
			return 0, err
		}
		if plain, err = unpadOAEP(m.FillBytes(make([]byte, len(ciphertext)))); err != nil {
			return 0, err
		}
	}
	if len(plain) != cookieLen {
		return 0, fmt.Errorf("%w: %d octets inside, want %d", ErrCookie, len(plain), cookieLen)
	}
	return binary.BigEndian.Uint32(plain), nil
}

// unpadOAEP returns the message in em. It takes the same time whatever is
// wrong with the padding.
func unpadOAEP(em []byte) ([]byte, error) {
	if len(em) < 2*sha1.Size+2 {
		return nil, ErrCookie
	}
	seed, db := em[1:1+sha1.Size], em[1+sha1.Size:]
	mask(seed, db)
	mask(db, seed)
	valid := subtle.ConstantTimeByteEq(em[0], 0) & subtle.ConstantTimeCompare(db[:sha1.Size], labelHash[:])
	rest := db[sha1.Size:]
	looking, index := 1, 0
	for i, b := range rest {
		isOne, isZero := subtle.ConstantTimeByteEq(b, 1), subtle.ConstantTimeByteEq(b, 0)
		index = subtle.ConstantTimeSelect(looking&isOne, i, index)
		valid = subtle.ConstantTimeSelect(looking&^isOne&^isZero, 0, valid)
		looking = subtle.ConstantTimeSelect(isOne, 0, looking)
	}
	if valid&^looking != 1 {
		return nil, ErrCookie
	}
	return rest[index+1:], nil
}

// mask combines out with MGF1 of seed (RFC 8017, appendix B.2.1).
func mask(out, seed []byte) {
	block := make([]byte, len(seed)+4)
	copy(block, seed)
	for counter := uint32(0); len(out) > 0; counter++ {
		binary.BigEndian.PutUint32(block[len(seed):], counter)
		sum := sha1.Sum(block)
		out = out[subtle.XORBytes(out, out, sum[:min(len(sum), len(out))]):]
	}
}
