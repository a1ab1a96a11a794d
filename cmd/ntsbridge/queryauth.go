package main

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/measure"
	"ntsbridge/bridge/ntp"
	"ntsbridge/nts/aead"
	"ntsbridge/symkey"
)

// autokeyFlags are the words of ntp.conf's crypto line and of its server line.
type autokeyFlags struct {
	keysdir, host, passwordFile, digest, ident string
	anyIdentity, sign                          bool
}

func (f *autokeyFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.keysdir, "keysdir", "", "`DIR` with this host's Autokey files")
	flags.StringVar(&f.host, "host", "", "`NAME` in the file names; default: this host's name")
	flags.StringVar(&f.passwordFile, "password-file", "", "`FILE` with the password of the key files; default: the password is the "+
		"host name")
	flags.StringVar(&f.digest, "digest", "MD5", "digest `NAME` of session keys, as in ntp.conf's crypto line; the server must have "+
		"the same")
	flags.StringVar(&f.ident, "ident", "", "identity `GROUP` of the server: ntpkey_iffpar_GROUP, ntpkey_gqpar_GROUP or "+
		"ntpkey_mvpar_GROUP in the keysdir")
	flags.BoolVar(&f.anyIdentity, "allow-no-scheme", false, "go on, as ntpd does, when --ident is given and the server offers no "+
		"identity scheme")
	flags.BoolVar(&f.sign, "sign", false, "go the whole way: have our certificate signed and fetch the leap second values, too")
}

// prepare reads all files.
func (f *queryFlags) prepare() (*measure.Config, error) {
	c := &measure.Config{Port: f.port, Version: f.version, Samples: f.samples, Interval: f.interval, Timeout: f.timeout}
	switch {
	case f.ipv4:
		c.Network = "ip4"
	case f.ipv6:
		c.Network = "ip6"
	}
	var err error
	switch f.auth {
	case "key":
		c.Kind = ntp.KindSymmetric
		c.Key, err = f.loadKey()
	case "autokey":
		c.Kind = ntp.KindAutokey
		err = f.autokey.load(&c.Autokey)
	case "nts":
		c.Kind, c.NTS.Port = ntp.KindNTS, f.ntsPort
		for _, id := range f.aeads {
			c.NTS.AEADs = append(c.NTS.AEADs, aead.ID(id))
		}
		c.NTS.TLS, err = material.TrustedBy(f.caFiles)
	}
	return c, err
}

func (f *queryFlags) loadKey() (*symkey.Key, error) {
	if !slices.Contains([]string{"auto", "ntp", "ntpsec", "chrony"}, f.keyFormat) {
		return nil, usageError("--keys-format %q: want auto, ntp, ntpsec or chrony", f.keyFormat)
	}
	file, err := material.ReadKeyFile(config.KeyFile{Path: f.keyFile, Format: f.keyFormat})
	if err != nil {
		return nil, err
	}
	for _, k := range file.Keys {
		if k.ID() == f.keyID {
			return k, nil
		}
	}
	return nil, fmt.Errorf("%s: no usable key %d", f.keyFile, f.keyID)
}

// load reads this host's Autokey files and the group files.
func (f *autokeyFlags) load(to *measure.Autokey) error {
	to.Ident, to.AllowNoScheme, to.Sign = f.ident, f.anyIdentity, f.sign
	var ok bool
	if to.Digest, ok = autokey.ParseDigest(f.digest); !ok {
		return usageError("--digest %q: not known; names are OpenSSL's, such as MD5, SHA1, SHA256", f.digest)
	}
	if f.ident != "" && f.keysdir == "" {
		return usageError("--ident needs --keysdir, where the group's file is")
	}
	host, err := f.loadHost()
	if err != nil {
		return err
	}
	if to.Credentials, err = autokey.NewCredentials(host, rand.Reader); err != nil {
		return err
	}
	if f.ident != "" {
		to.Groups, err = material.Groups(f.keysdir, f.ident)
	}
	return err
}

func (f *autokeyFlags) loadHost() (*keyfile.Host, error) {
	name := f.host
	if name == "" {
		name, _ = os.Hostname()
	}
	if name == "" {
		name = "ntsbridge"
	}
	if f.keysdir == "" {
		return temporaryHost(name)
	}
	var password string
	if f.passwordFile != "" {
		text, err := os.ReadFile(f.passwordFile)
		if err != nil {
			return nil, err
		}
		password = strings.TrimRight(string(text), "\r\n")
	}
	host, err := keyfile.LoadHost(os.DirFS(f.keysdir), keyfile.HostOptions{Host: name, Password: password, Now: time.Now()})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.keysdir, err)
	}
	return host, nil
}

// temporaryHost makes a key set that is forgotten after the query. A server
// asks nothing of it.
func temporaryHost(name string) (*keyfile.Host, error) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	key, err := keyfile.NewRSAPrivateKey(k.N, big.NewInt(int64(k.E)), k.D, k.Primes[0], k.Primes[1])
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	stamp := ntp.TimestampFromTime(now).Seconds()
	der, err := keyfile.CreateCertificate(rand.Reader, keyfile.CertificateTemplate{
		Subject: name, Serial: stamp, NotBefore: now, NotAfter: now.Add(24 * time.Hour),
	}, key, keyfile.RSASHA256)
	if err != nil {
		return nil, err
	}
	cert, err := keyfile.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &keyfile.Host{
		Name: cert.Subject, HostKey: key, HostFilestamp: stamp, Certificate: cert, CertificateFilestamp: stamp,
	}, nil
}
