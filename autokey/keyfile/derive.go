package keyfile

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"hash"
	"math/big"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of the key derivations, so that a file cannot cost more than about a
// second. OpenSSL writes 2048 rounds.
const (
	maxIterations = 1_000_000
	maxSalt       = 1024
	maxPassword   = 1024
)

// bytesToKey is OpenSSL's EVP_BytesToKey with MD5 and one round: the key of
// traditional PEM.
func bytesToKey(password, salt []byte, keyLen int) []byte {
	var key, last []byte
	for len(key) < keyLen {
		h := md5.New()
		h.Write(last)
		h.Write(password)
		h.Write(salt)
		last = h.Sum(nil)
		key = append(key, last...)
	}
	return key[:keyLen]
}

// pbkdf1 is PBKDF1 (RFC 8018, section 5.1), 16 octets: key and initialisation
// vector of PBES1.
func pbkdf1(hash func() hash.Hash, password, salt []byte, iterations int) []byte {
	h := hash()
	h.Write(password)
	h.Write(salt)
	sum := h.Sum(nil)
	for range iterations - 1 {
		h.Reset()
		h.Write(sum)
		sum = h.Sum(sum[:0])
	}
	return sum[:16]
}

// The purposes of pkcs12KDF.
const (
	pkcs12Key = 1
	pkcs12IV  = 2
)

// pkcs12KDF is the key derivation of PKCS #12 (RFC 7292, appendix B.2) for a
// hash with blocks of 64 octets.
func pkcs12KDF(newHash func() hash.Hash, password, salt []byte, purpose byte, iterations, length int) []byte {
	const v = 64
	fill := func(p []byte) []byte {
		if len(p) == 0 {
			return nil
		}
		n := (len(p) + v - 1) / v * v
		return bytes.Repeat(p, n/len(p)+1)[:n]
	}
	d := bytes.Repeat([]byte{purpose}, v)
	in := append(fill(salt), fill(password)...)
	h := newHash()
	modulus := new(big.Int).Lsh(one, 8*v)
	var out []byte
	for {
		h.Reset()
		h.Write(d)
		h.Write(in)
		a := h.Sum(nil)
		for range iterations - 1 {
			h.Reset()
			h.Write(a)
			a = h.Sum(a[:0])
		}
		if out = append(out, a...); len(out) >= length {
			return out[:length]
		}
		b := new(big.Int).SetBytes(fill(a)[:v])
		b.Add(b, one)
		for i := 0; i < len(in); i += v {
			x := new(big.Int).SetBytes(in[i : i+v])
			x.Mod(x.Add(x, b), modulus)
			x.FillBytes(in[i : i+v])
		}
	}
}

// bmpPassword returns a password as PKCS #12 wants it: UTF-16, big endian,
// with a final zero. What is not UTF-8 is taken octet by octet.
func bmpPassword(password []byte) []byte {
	var units []uint16
	if utf8.Valid(password) {
		units = utf16.Encode([]rune(string(password)))
	} else {
		for _, b := range password {
			units = append(units, uint16(b))
		}
	}
	out := make([]byte, 0, 2*len(units)+2)
	for _, u := range units {
		out = binary.BigEndian.AppendUint16(out, u)
	}
	return append(out, 0, 0)
}
