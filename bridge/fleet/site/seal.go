package site

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ntsbridge/bridge/statedir"
)

// KeyFile is the file of the state directory with the private key of a gateway.
const KeyFile = "fleet-gateway.key"

// LoadKey reads the key of this gateway; make says that it may be made.
func LoadKey(dir string, make bool) (*ecdh.PrivateKey, error) {
	path := filepath.Join(dir, KeyFile)
	text, err := statedir.ReadSecret(path)
	if errors.Is(err, fs.ErrNotExist) && make {
		key, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		text = append([]byte(base64.StdEncoding.EncodeToString(key.Bytes())), '\n')
		return key, statedir.Write(path, text, statedir.Secret)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is not there: `ntsbridge secret gateway` makes it", path)
	}
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err == nil {
		if key, err := ecdh.P256().NewPrivateKey(raw); err == nil {
			return key, nil
		}
	}
	return nil, fmt.Errorf("%s is no key of a gateway: restore it, or delete it, run `ntsbridge secret gateway` and write the new key everywhere", path)
}

// PublicKey is a key as fleet.etcd.gateways[].key has it: the point in its short
// form (SEC 1, 2.3.3), in base64.
func PublicKey(k *ecdh.PublicKey) string {
	long := k.Bytes() // 4, x, y
	short := append([]byte{2 | long[len(long)-1]&1}, long[1:1+coordinate]...)
	return base64.StdEncoding.EncodeToString(short)
}

// coordinate is the length of one of P-256, octets.
const coordinate = 32

// ParseKey reads what PublicKey writes.
func ParseKey(s string) (*ecdh.PublicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(raw) != 1+coordinate {
		return nil, errors.New("it is no key of a gateway, 44 characters as `ntsbridge secret gateway` prints them")
	}
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), raw)
	if x == nil {
		return nil, errors.New("it is no key of a gateway: one of its characters is wrong")
	}
	long := make([]byte, 1+2*coordinate)
	long[0] = 4
	x.FillBytes(long[1 : 1+coordinate])
	y.FillBytes(long[1+coordinate:])
	return ecdh.P256().NewPublicKey(long)
}

const saltLen = 32

// seal encrypts a text from one gateway to another: only the two can have made
// it (static Diffie-Hellman on P-256, HKDF-SHA256 with a new salt, AES-256-GCM).
// context is what it belongs to; with another one it does not open.
func seal(own *ecdh.PrivateKey, to *ecdh.PublicKey, context string, text []byte) ([]byte, error) {
	salt := make([]byte, saltLen)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	a, err := box(own, to, salt, context)
	if err != nil {
		return nil, err
	}
	return a.Seal(salt, make([]byte, a.NonceSize()), text, []byte(context)), nil
}

// unseal decrypts what seal made.
func unseal(own *ecdh.PrivateKey, from *ecdh.PublicKey, context string, sealed []byte) ([]byte, error) {
	if len(sealed) < saltLen {
		return nil, errSeal
	}
	a, err := box(own, from, sealed[:saltLen], context)
	if err != nil {
		return nil, err
	}
	text, err := a.Open(nil, make([]byte, a.NonceSize()), sealed[saltLen:], []byte(context))
	if err != nil {
		return nil, errSeal
	}
	return text, nil
}

var errSeal = errors.New("it was not sealed by that gateway to this one: compare fleet.etcd.gateways[].key on both")

// box is the cipher of one text: its key is used once, so the nonce is zero.
func box(own *ecdh.PrivateKey, other *ecdh.PublicKey, salt []byte, context string) (cipher.AEAD, error) {
	shared, err := own.ECDH(other)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, shared, salt, context, 32)
	if err != nil {
		return nil, err
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}
