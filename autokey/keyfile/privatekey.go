package keyfile

import (
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// PEM types of private keys.
const (
	typePKCS8          = "PRIVATE KEY"
	typeEncryptedPKCS8 = "ENCRYPTED PRIVATE KEY"
	typeRSA            = "RSA PRIVATE KEY"
	typeDSA            = "DSA PRIVATE KEY"
)

// rawKey is the numbers of a private key as they stand in the file. Identity
// keys use the fields for other things, so nothing is checked yet.
type rawKey struct {
	// rsa is n, e, d, p, q, dp, dq, qinv; nil for a DSA key.
	rsa []*big.Int
	// p, q, g, x are a DSA key's values, y its public value. PKCS #8 has no
	// place for y: it is nil there.
	p, q, g, x, y *big.Int
	// needsPublic marks a key to be written whose y does not follow from x.
	needsPublic bool
}

// isPrivateKey reports whether a PEM block is a private key, readable or not.
func isPrivateKey(b *pem.Block) bool { return strings.HasSuffix(b.Type, typePKCS8) }

// readPrivateKey decrypts and reads a PEM block.
func readPrivateKey(b *pem.Block, password string) (k *rawKey, encrypted bool, err error) {
	der := b.Bytes
	switch b.Type {
	case typePKCS8:
		k, err = parsePKCS8(der)
		return k, false, err
	case typeEncryptedPKCS8:
		if der, err = decryptPKCS8(der, []byte(password)); err != nil {
			return nil, true, err
		}
		k, err = parsePKCS8(der)
		return k, true, afterDecryption(err)
	case typeRSA, typeDSA:
		if encrypted = strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED"); encrypted {
			if der, err = decryptTraditional(b, []byte(password)); err != nil {
				return nil, true, err
			}
		}
		if b.Type == typeRSA {
			k, err = parseRSA(der)
		} else {
			k, err = parseDSA(der)
		}
		if encrypted {
			err = afterDecryption(err)
		}
		return k, encrypted, err
	}
	return nil, false, fmt.Errorf("%w: %q is neither RSA nor DSA", ErrKeyType, clip(b.Type))
}

// afterDecryption turns an error of what came out of a decryption into
// ErrPassword: padding alone lets one wrong password of 256 through.
func afterDecryption(err error) error {
	if errors.Is(err, ErrFormat) {
		return fmt.Errorf("%w (or the file is damaged)", ErrPassword)
	}
	return err
}

// clip bounds outside text in an error.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// decryptTraditional decrypts the PEM of OpenSSL before 1.0.0: the key is made
// with MD5 from the password and the first 8 octets of the initialisation
// vector (PEM_do_header).
func decryptTraditional(b *pem.Block, password []byte) ([]byte, error) {
	name, ivText, ok := strings.Cut(b.Headers["DEK-Info"], ",")
	if !ok {
		return nil, malformed("DEK-Info header missing or without initialisation vector")
	}
	c := cipherByName(strings.TrimSpace(name))
	if c == nil {
		return nil, unsupported("cipher %q; write the file again with openssl pkcs8 -topk8 -v2 aes-256-cbc", clip(name))
	}
	iv, err := hex.DecodeString(strings.TrimSpace(ivText))
	if err != nil || len(iv) != c.blockSize {
		return nil, malformed("DEK-Info initialisation vector is not %d octets in hexadecimal", c.blockSize)
	}
	if len(password) == 0 || len(password) > maxPassword {
		return nil, ErrPassword
	}
	block, err := c.new(bytesToKey(password, iv[:8], c.keyLen))
	if err != nil {
		return nil, unsupported("cipher %s: %v", c.name, err)
	}
	return decryptCBC(block, iv, b.Bytes)
}

// parsePKCS8 reads a PrivateKeyInfo (RFC 5208, section 5) with an RSA or DSA
// key. Attributes are passed over.
func parsePKCS8(der []byte) (*rawKey, error) {
	var info, algorithm, key cryptobyte.String
	var id asn1.ObjectIdentifier
	var version int
	input := cryptobyte.String(der)
	if !input.ReadASN1(&info, casn1.SEQUENCE) || !input.Empty() ||
		!info.ReadASN1Integer(&version) || !info.ReadASN1(&algorithm, casn1.SEQUENCE) ||
		!info.ReadASN1(&key, casn1.OCTET_STRING) || !algorithm.ReadASN1ObjectIdentifier(&id) {
		return nil, malformed("PKCS #8 private key")
	}
	if !info.SkipOptionalASN1(casn1.Tag(0).Constructed().ContextSpecific()) || !info.Empty() {
		return nil, malformed("PKCS #8 private key: something behind the key")
	}
	if version != 0 {
		return nil, unsupported("PKCS #8 version %d", version)
	}
	switch {
	case id.Equal(oidRSA):
		return parseRSA(key)
	case id.Equal(oidDSA):
		k := &rawKey{p: new(big.Int), q: new(big.Int), g: new(big.Int), x: new(big.Int)}
		var params cryptobyte.String
		if !algorithm.ReadASN1(&params, casn1.SEQUENCE) || !algorithm.Empty() ||
			!readIntegers(params, k.p, k.q, k.g) || !readIntegers(key, k.x) {
			return nil, malformed("PKCS #8 DSA key")
		}
		return k, nil
	}
	return nil, fmt.Errorf("%w: algorithm %v is neither RSA nor DSA", ErrKeyType, id)
}

// parseRSA reads an RSAPrivateKey (RFC 8017, appendix A.1.2) of two primes.
func parseRSA(der []byte) (*rawKey, error) {
	k := &rawKey{rsa: make([]*big.Int, 8)}
	version := new(big.Int)
	all := []*big.Int{version}
	for i := range k.rsa {
		k.rsa[i] = new(big.Int)
		all = append(all, k.rsa[i])
	}
	if err := readSequence(der, "RSA private key", all...); err != nil {
		return nil, err
	}
	if version.Sign() != 0 {
		return nil, unsupported("RSA private key of more than two primes")
	}
	return k, nil
}

// parseDSA reads OpenSSL's traditional form: SEQUENCE { 0, p, q, g, y, x }.
func parseDSA(der []byte) (*rawKey, error) {
	k := &rawKey{p: new(big.Int), q: new(big.Int), g: new(big.Int), y: new(big.Int), x: new(big.Int)}
	version := new(big.Int)
	if err := readSequence(der, "DSA private key", version, k.p, k.q, k.g, k.y, k.x); err != nil {
		return nil, err
	}
	if version.Sign() != 0 {
		return nil, unsupported("DSA private key of version other than 0")
	}
	return k, nil
}

// readSequence reads exactly SEQUENCE { INTEGER, ... } with nothing behind it.
func readSequence(der []byte, what string, values ...*big.Int) error {
	input, body := cryptobyte.String(der), cryptobyte.String(nil)
	if !input.ReadASN1(&body, casn1.SEQUENCE) || !input.Empty() || !readIntegers(body, values...) {
		return malformed("%s", what)
	}
	return nil
}

// readIntegers reads exactly the given integers, none negative.
func readIntegers(body cryptobyte.String, values ...*big.Int) bool {
	for _, v := range values {
		if len(body) > maxFile || !body.ReadASN1Integer(v) || v.Sign() < 0 || v.BitLen() > maxKeyBits {
			return false
		}
	}
	return body.Empty()
}
