package bridge

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"ntsbridge/autokey"
	"ntsbridge/bridge/internal/safefile"
	"ntsbridge/symkey"
)

// makeDir makes a directory for the daemon alone.
func makeDir(path string, mode fs.FileMode) error {
	if err := os.MkdirAll(path, mode); err != nil {
		return fmt.Errorf("directory %s: %w: make it, or choose another by --state-dir or --run-dir", path, err)
	}
	return nil
}

// readSecretFile reads a file that nobody else may read.
func readSecretFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s is readable by others (mode %04o); chmod 600 it", path, info.Mode().Perm())
	}
	return os.ReadFile(path)
}

// secretLen is the length of the site secret for NTS cookies, octets.
const secretLen = 32

// loadCookieSecret reads the site secret, or makes it on the first start. The
// file holds it in hex, so that it can be copied to other gateways.
func loadCookieSecret(path string) (secret []byte, made bool, err error) {
	text, err := readSecretFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		secret = make([]byte, secretLen)
		if _, err := rand.Read(secret); err != nil {
			return nil, false, fmt.Errorf("cookie secret: %w", err)
		}
		return secret, true, safefile.Write(path, []byte(hex.EncodeToString(secret)+"\n"), safefile.Secret)
	}
	if err != nil {
		return nil, false, fmt.Errorf("cookie secret: %w", err)
	}
	secret, err = hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) < secretLen {
		return nil, false, fmt.Errorf("cookie secret %s: wants at least %d hex digits and nothing else; "+
			"restore it from another gateway, or delete it and every NTS client will do one new key establishment", path, 2*secretLen)
	}
	return secret, false, nil
}

// loadSeeds reads the Autokey seeds, newest first, one a line in hex, or rolls
// the first. A lost seed strands real clients until they are restarted, so an
// unreadable file is an error, never a reason to roll another.
func loadSeeds(path string) (seeds []autokey.Seed, err error) {
	text, err := readSecretFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		var b [4]byte
		for binary.BigEndian.Uint32(b[:]) == 0 { // 0 is the seed of every real ntpd
			if _, err := rand.Read(b[:]); err != nil {
				return nil, fmt.Errorf("autokey seed: %w", err)
			}
		}
		line := hex.EncodeToString(b[:]) + "\n"
		return []autokey.Seed{autokey.Seed(binary.BigEndian.Uint32(b[:]))}, safefile.Write(path, []byte(line), safefile.Secret)
	}
	if err != nil {
		return nil, fmt.Errorf("autokey seed: %w", err)
	}
	for i, line := range strings.Fields(string(text)) {
		b, err := hex.DecodeString(line)
		if err != nil || len(b) != 4 {
			return nil, fmt.Errorf("autokey seed %s: seed %d is not 8 hex digits; restore the file: "+
				"with another seed all Autokey clients stay unreachable until they are restarted", path, i+1)
		}
		seeds = append(seeds, autokey.Seed(binary.BigEndian.Uint32(b)))
	}
	if len(seeds) == 0 {
		return nil, fmt.Errorf("autokey seed %s is empty; restore it, or delete it and restart all Autokey clients", path)
	}
	return seeds, nil
}

// generatedKeyID and generatedAlgorithm are of the key made on the first
// start: AES-128-CMAC is what RFC 8573 asks for, and ntpd since 4.2.8p11,
// ntpsec and chrony have it.
const (
	generatedKeyID     = 1
	generatedAlgorithm = "AES128CMAC"
)

// loadGeneratedKeys reads the key file of the state directory, or makes it
// with one key.
func loadGeneratedKeys(path string) (keys []*symkey.Key, made bool, err error) {
	text, err := readSecretFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err := symkey.Generate(rand.Reader, generatedKeyID, generatedAlgorithm)
		if err != nil {
			return nil, false, fmt.Errorf("key file: %w", err)
		}
		line, err := symkey.AppendNTPKeysLine(nil, key)
		if err != nil {
			return nil, false, fmt.Errorf("key file: %w", err)
		}
		return []*symkey.Key{key}, true, safefile.Write(path, line, safefile.Secret)
	}
	if err != nil {
		return nil, false, fmt.Errorf("key file: %w", err)
	}
	file, err := symkey.ParseNTPKeys(path, text)
	if err != nil {
		return nil, false, err
	}
	return file.Keys, false, nil
}
