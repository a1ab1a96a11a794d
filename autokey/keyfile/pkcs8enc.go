package keyfile

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rc4"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"ntsbridge/autokey/keyfile/internal/oldcipher"
)

var (
	oidPBES2  = oid(1, 2, 840, 113549, 1, 5, 13)
	oidPBKDF2 = oid(1, 2, 840, 113549, 1, 5, 12)
	oidScrypt = oid(1, 3, 6, 1, 4, 1, 11591, 4, 11)

	oidHMACSHA256 = oid(1, 2, 840, 113549, 2, 9)
)

// rc2Version128 stands for an effective key length of 128 bits (RFC 2268,
// section 6).
const rc2Version128 = 58

// prfs are the HMACs of PBKDF2 (RFC 8018, appendix B.1); the first is the default.
var prfs = []struct {
	oid  asn1.ObjectIdentifier
	hash func() hash.Hash
}{
	{oid(1, 2, 840, 113549, 2, 7), sha1.New},
	{oidHMACSHA256, sha256.New},
	{oid(1, 2, 840, 113549, 2, 8), sha256.New224},
	{oid(1, 2, 840, 113549, 2, 10), sha512.New384},
	{oid(1, 2, 840, 113549, 2, 11), sha512.New},
	{oid(1, 2, 840, 113549, 2, 12), sha512.New512_224},
	{oid(1, 2, 840, 113549, 2, 13), sha512.New512_256},
	{oid(1, 2, 840, 113549, 2, 6), md5.New},
}

// decryptPKCS8 opens an EncryptedPrivateKeyInfo (RFC 5958, section 3) and
// returns the PrivateKeyInfo.
func decryptPKCS8(der, password []byte) ([]byte, error) {
	var info, algorithm, data cryptobyte.String
	var id asn1.ObjectIdentifier
	input := cryptobyte.String(der)
	if !input.ReadASN1(&info, casn1.SEQUENCE) || !input.Empty() || !info.ReadASN1(&algorithm, casn1.SEQUENCE) ||
		!info.ReadASN1(&data, casn1.OCTET_STRING) || !info.Empty() || !algorithm.ReadASN1ObjectIdentifier(&id) {
		return nil, malformed("encrypted PKCS #8")
	}
	if len(password) == 0 || len(password) > maxPassword {
		return nil, ErrPassword
	}
	if id.Equal(oidPBES2) {
		return decryptPBES2(algorithm, data, password)
	}
	for _, s := range pbeSchemes {
		if s.oid.Equal(id) {
			return s.decrypt(algorithm, data, password)
		}
	}
	return nil, unsupported("encryption %v; write the file again with ntp-keygen or openssl pkcs8 -topk8", id)
}

// decryptPBES2 decrypts with PBES2 (RFC 8018, appendix A.4).
func decryptPBES2(algorithm, data cryptobyte.String, password []byte) ([]byte, error) {
	var params, kdf, scheme cryptobyte.String
	var kdfID, cipherID asn1.ObjectIdentifier
	if !algorithm.ReadASN1(&params, casn1.SEQUENCE) || !algorithm.Empty() ||
		!params.ReadASN1(&kdf, casn1.SEQUENCE) || !params.ReadASN1(&scheme, casn1.SEQUENCE) || !params.Empty() ||
		!kdf.ReadASN1ObjectIdentifier(&kdfID) || !scheme.ReadASN1ObjectIdentifier(&cipherID) {
		return nil, malformed("PBES2 parameters")
	}
	if !kdfID.Equal(oidPBKDF2) {
		name := kdfID.String()
		if kdfID.Equal(oidScrypt) {
			name = "scrypt"
		}
		return nil, unsupported("key derivation %s; write the file again with openssl pkcs8 -topk8 -v2 aes-256-cbc", name)
	}
	c := cipherByOID(cipherID)
	if c == nil {
		return nil, unsupported("cipher %v; write the file again with openssl pkcs8 -topk8 -v2 aes-256-cbc", cipherID)
	}
	p, err := readPBKDF2(kdf)
	if err != nil {
		return nil, err
	}
	iv, newCipher, err := c.readParameters(scheme)
	if err != nil {
		return nil, err
	}
	keyLen := c.keyLen
	if p.keyLen != 0 {
		if keyLen = p.keyLen; keyLen != c.keyLen && !c.variable {
			return nil, malformed("key length of %d octets for %s", keyLen, c.name)
		}
	}
	key, err := pbkdf2.Key(p.hash, string(password), p.salt, p.iterations, keyLen)
	if err != nil {
		return nil, unsupported("PBKDF2: %v", err)
	}
	block, err := newCipher(key)
	if err != nil {
		return nil, malformed("%s with a key of %d octets", c.name, keyLen)
	}
	return decryptCBC(block, iv, data)
}

// pbkdf2Parameters are the parameters of PBKDF2; keyLen is 0 if absent.
type pbkdf2Parameters struct {
	hash       func() hash.Hash
	salt       []byte
	iterations int
	keyLen     int // octets
}

// readPBKDF2 reads PBKDF2-params (RFC 8018, appendix A.2).
func readPBKDF2(kdf cryptobyte.String) (p pbkdf2Parameters, err error) {
	var params, salt, prf cryptobyte.String
	if !kdf.ReadASN1(&params, casn1.SEQUENCE) || !kdf.Empty() ||
		!params.ReadASN1(&salt, casn1.OCTET_STRING) || !params.ReadASN1Integer(&p.iterations) {
		return p, malformed("PBKDF2 parameters")
	}
	if params.PeekASN1Tag(casn1.INTEGER) && !params.ReadASN1Integer(&p.keyLen) {
		return p, malformed("PBKDF2 key length")
	}
	var hasPRF bool
	if !params.ReadOptionalASN1(&prf, &hasPRF, casn1.SEQUENCE) || !params.Empty() {
		return p, malformed("PBKDF2 parameters")
	}
	if err := checkDerivation(salt, p.iterations); err != nil {
		return p, err
	}
	if p.keyLen < 0 || p.keyLen > 128 {
		return p, unsupported("PBKDF2 key length of %d octets", p.keyLen)
	}
	p.salt, p.hash = salt, prfs[0].hash
	if !hasPRF {
		return p, nil
	}
	var id asn1.ObjectIdentifier
	if !prf.ReadASN1ObjectIdentifier(&id) {
		return p, malformed("PBKDF2 pseudo-random function")
	}
	for _, f := range prfs {
		if f.oid.Equal(id) {
			p.hash = f.hash
			return p, nil
		}
	}
	return p, unsupported("PBKDF2 pseudo-random function %v", id)
}

// checkDerivation bounds the work of a key derivation.
func checkDerivation(salt []byte, iterations int) error {
	if iterations < 1 || iterations > maxIterations {
		return unsupported("%d rounds of key derivation, want 1 to %d", iterations, maxIterations)
	}
	if len(salt) > maxSalt {
		return unsupported("salt of %d octets, at most %d", len(salt), maxSalt)
	}
	return nil
}

// readParameters reads the parameters of a cipher: the initialisation vector,
// for RC2 in a sequence behind a number that stands for the effective key
// length (RFC 8018, appendix B.2.3), for CAST5 also in one before the key
// length (RFC 2984).
func (c *blockCipher) readParameters(scheme cryptobyte.String) (iv []byte, new func([]byte) (cipher.Block, error), err error) {
	var seq, raw cryptobyte.String
	bad := malformed("parameters of %s", c.name)
	if scheme.PeekASN1Tag(casn1.OCTET_STRING) {
		if !scheme.ReadASN1(&raw, casn1.OCTET_STRING) || !scheme.Empty() || c.name == "rc2-cbc" {
			return nil, nil, bad
		}
		return raw, c.new, nil
	}
	if !scheme.ReadASN1(&seq, casn1.SEQUENCE) || !scheme.Empty() {
		return nil, nil, bad
	}
	var number int
	switch c.name {
	case "rc2-cbc":
		if !seq.ReadASN1Integer(&number) || !seq.ReadASN1(&raw, casn1.OCTET_STRING) || !seq.Empty() {
			return nil, nil, bad
		}
		bits := rc2EffectiveBits(number)
		return raw, func(key []byte) (cipher.Block, error) { return oldcipher.NewRC2(key, bits) }, nil
	case "cast5-cbc":
		if !seq.ReadASN1(&raw, casn1.OCTET_STRING) || !seq.ReadASN1Integer(&number) || !seq.Empty() ||
			number != 8*c.keyLen {
			return nil, nil, bad
		}
		return raw, c.new, nil
	}
	return nil, nil, bad
}

// rc2EffectiveBits decodes rc2ParameterVersion (RFC 2268, section 6).
func rc2EffectiveBits(version int) int {
	switch version {
	case rc2Version128:
		return 128
	case 120:
		return 64
	case 160:
		return 40
	}
	if version >= 256 {
		return version
	}
	return 0 // refused by the cipher
}

// pbeScheme is a scheme of PBES1 (RFC 8018, appendix A.3) or of PKCS #12
// (RFC 7292, appendix C).
type pbeScheme struct {
	oid    asn1.ObjectIdentifier
	hash   func() hash.Hash
	pkcs12 bool
	keyLen int // octets
	// new makes the block cipher; nil stands for RC4.
	new func(key []byte) (cipher.Block, error)
}

// twoKeyDES is triple DES with two keys.
func twoKeyDES(key []byte) (cipher.Block, error) {
	return des.NewTripleDESCipher(append(key[:16:16], key[:8]...))
}

var pbeSchemes = []pbeScheme{
	{oid(1, 2, 840, 113549, 1, 5, 3), md5.New, false, 8, des.NewCipher},
	{oid(1, 2, 840, 113549, 1, 5, 6), md5.New, false, 8, newRC2},
	{oid(1, 2, 840, 113549, 1, 5, 10), sha1.New, false, 8, des.NewCipher},
	{oid(1, 2, 840, 113549, 1, 5, 11), sha1.New, false, 8, newRC2},
	{oid(1, 2, 840, 113549, 1, 12, 1, 1), sha1.New, true, 16, nil},
	{oid(1, 2, 840, 113549, 1, 12, 1, 2), sha1.New, true, 5, nil},
	{oid(1, 2, 840, 113549, 1, 12, 1, 3), sha1.New, true, 24, des.NewTripleDESCipher},
	{oid(1, 2, 840, 113549, 1, 12, 1, 4), sha1.New, true, 16, twoKeyDES},
	{oid(1, 2, 840, 113549, 1, 12, 1, 5), sha1.New, true, 16, newRC2},
	{oid(1, 2, 840, 113549, 1, 12, 1, 6), sha1.New, true, 5, newRC2},
}

// decrypt reads the parameters, salt and rounds, and decrypts data.
func (s *pbeScheme) decrypt(algorithm, data cryptobyte.String, password []byte) ([]byte, error) {
	var params, salt cryptobyte.String
	var iterations int
	if !algorithm.ReadASN1(&params, casn1.SEQUENCE) || !algorithm.Empty() ||
		!params.ReadASN1(&salt, casn1.OCTET_STRING) || !params.ReadASN1Integer(&iterations) || !params.Empty() {
		return nil, malformed("parameters of the encryption")
	}
	if err := checkDerivation(salt, iterations); err != nil {
		return nil, err
	}
	var key, iv []byte
	if s.pkcs12 {
		bmp := bmpPassword(password)
		key = pkcs12KDF(s.hash, bmp, salt, pkcs12Key, iterations, s.keyLen)
		iv = pkcs12KDF(s.hash, bmp, salt, pkcs12IV, iterations, 8)
	} else {
		derived := pbkdf1(s.hash, password, salt, iterations)
		key, iv = derived[:8], derived[8:]
	}
	if s.new == nil {
		stream, err := rc4.NewCipher(key)
		if err != nil {
			return nil, unsupported("RC4: %v", err)
		}
		plain := make([]byte, len(data))
		stream.XORKeyStream(plain, data)
		return plain, nil
	}
	block, err := s.new(key)
	if err != nil {
		return nil, unsupported("encryption %v: %v", s.oid, err)
	}
	return decryptCBC(block, iv, data)
}
