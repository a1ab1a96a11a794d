package autokey

import (
	"errors"
	"fmt"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// Config is what a server is made of.
type Config struct {
	// Host is the key set, from keyfile.LoadHost. Required.
	Host *keyfile.Host
	// Cache holds certificates of other hosts that the server also gives out:
	// its own, signed by its server, and those on the way from there to a
	// trusted one. The certificate of Host need not be in it.
	Cache []CachedCertificate
	// Digest is the digest of session keys and MACs. Default: MD5.
	Digest Digest
	// Seed makes the cookies that the server gives out. The caller rolls it
	// once and keeps it: clients never recover from a changed seed.
	Seed Seed
	// OlderSeeds are good for packets without extension field, so that clients
	// with a cookie made from them are not cut off. At most 9.
	OlderSeeds []Seed
	// Takeover also makes seed 0 good in this way, for the clients of an ntpd
	// that served here before.
	Takeover bool
	// TakeoverEnd is when Takeover ends. 0: never.
	TakeoverEnd ntp.Timestamp
	// Leap is the value of LEAP responses. Zero: no leap seconds are known.
	Leap LeapValues
	// Budget bounds the public-key operations. Required.
	Budget Budget
	// Answers is how many recent answers are remembered. Default: 1024.
	Answers int
}

// CachedCertificate is a certificate with the filestamp that it came with.
type CachedCertificate struct {
	Certificate *keyfile.Certificate
	Filestamp   uint32 // NTP seconds
}

// maxOlderSeeds bounds the digests that a packet with a wrong MAC costs.
const maxOlderSeeds = 9

// ErrConfig says that a server cannot be made from a configuration.
var ErrConfig = errors.New("autokey: unusable configuration")

func (c *Config) check() error {
	switch {
	case c.Host == nil || c.Host.HostKey == nil || c.Host.Certificate == nil:
		return fmt.Errorf("%w: no host key or no certificate", ErrConfig)
	case !c.Digest.Valid():
		return fmt.Errorf("%w: unknown digest", ErrConfig)
	case len(c.OlderSeeds) > maxOlderSeeds:
		return fmt.Errorf("%w: %d older seeds, at most %d", ErrConfig, len(c.OlderSeeds), maxOlderSeeds)
	case len(c.Host.Name) == 0 || len(c.Host.Name) > maxNameLen:
		return fmt.Errorf("%w: host name of %d octets, must be 1 to %d", ErrConfig, len(c.Host.Name), maxNameLen)
	}
	for i, e := range c.Cache {
		if e.Certificate == nil {
			return fmt.Errorf("%w: cached certificate %d is missing", ErrConfig, i)
		}
	}
	switch {
	case c.Budget == nil:
		return fmt.Errorf("%w: no budget", ErrConfig)
	case c.Answers < 0 || c.Answers > 1<<30:
		return fmt.Errorf("%w: %d answers, must be 0 to 2^30", ErrConfig, c.Answers)
	case c.Answers == 0:
		c.Answers = defaultAnswers
	}
	return nil
}
