package material

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"

	"ntsbridge/autokey"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/statedir"
	"ntsbridge/symkey"
)

// rollSeed makes the first line of a seed file.
func rollSeed() ([]byte, error) {
	var b [4]byte
	for binary.BigEndian.Uint32(b[:]) == 0 { // 0 is the seed of every real ntpd
		if _, err := rand.Read(b[:]); err != nil {
			return nil, err
		}
	}
	return []byte(hex.EncodeToString(b[:]) + "\n"), nil
}

// seeds reads the Autokey seeds, newest first, one a line in hex, or rolls
// the first. A lost seed strands real clients until they are restarted, so an
// unreadable file is an error, never a reason to roll another.
func seeds(store *statedir.Store, path string) (seeds []autokey.Seed, err error) {
	text, _, err := store.Load(statedir.File{Path: path, What: "autokey seed", Mode: statedir.Secret, Make: rollSeed,
		Loss: "every Autokey client then stays unreachable until it is restarted"})
	if err != nil {
		return nil, err
	}
	if seeds, err = parseSeeds(path, string(text)); err == nil && len(seeds) == 0 {
		return nil, fmt.Errorf("%s is empty; restore it, or delete it and its line in %s, and restart all Autokey clients", path,
			store.Marker())
	}
	return seeds, err
}

func parseSeeds(path, text string) (seeds []autokey.Seed, err error) {
	for i, line := range strings.Fields(text) {
		b, err := hex.DecodeString(line)
		if err != nil || len(b) != 4 {
			return nil, fmt.Errorf("%s: seed %d is not 8 hex digits; restore the file: "+
				"with another seed all Autokey clients stay unreachable until they are restarted", path, i+1)
		}
		seeds = append(seeds, autokey.Seed(binary.BigEndian.Uint32(b)))
	}
	return seeds, nil
}

// GeneratedKeyID is of the key made on the first start. AES-128-CMAC is what
// RFC 8573 asks for, and ntpd since 4.2.8p11, ntpsec and chrony have it.
const (
	GeneratedKeyID     = 1
	generatedAlgorithm = "AES128CMAC"
)

// GeneratedKeyFile is where the key made on the first start is.
func GeneratedKeyFile(cfg *config.Config) string { return filepath.Join(cfg.StateDir, "ntp.keys") }

// generatedKeys reads the key file of the state directory, or makes it with one
// key.
func generatedKeys(store *statedir.Store, path string) (keys []*symkey.Key, made bool, err error) {
	text, made, err := store.Load(statedir.File{Path: path, What: "key file", Mode: statedir.Secret,
		Loss: "every client with a symmetric key of it needs the new one",
		Make: func() ([]byte, error) {
			key, err := symkey.Generate(rand.Reader, GeneratedKeyID, generatedAlgorithm)
			if err != nil {
				return nil, err
			}
			return symkey.AppendNTPKeysLine(nil, key)
		}})
	if err != nil {
		return nil, false, err
	}
	file, err := symkey.ParseNTPKeys(path, text)
	if err != nil {
		return nil, false, err
	}
	return file.Keys, made, nil
}

// GeneratedCertificate is where the certificate made on the first start is.
func GeneratedCertificate(cfg *config.Config) nke.Files {
	return nke.Files{Certificate: filepath.Join(cfg.StateDir, "nts.crt"), Key: filepath.Join(cfg.StateDir, "nts.key")}
}
