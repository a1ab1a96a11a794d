package material

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
	"ntsbridge/bridge/source/refclock"
	"ntsbridge/symkey"
)

// sources loads what sources and broadcasts need of keys and files. What one
// cannot have is that one's failure.
func (k *loader) sources() {
	for i := range k.config.Sources {
		s := &k.config.Sources[i]
		k.Sources = append(k.Sources, k.source(fmt.Sprintf("sources[%d]", i), s))
	}
	for i := range k.config.Broadcast {
		b := &k.config.Broadcast[i]
		k.Broadcasts = append(k.Broadcasts, k.source(fmt.Sprintf("broadcast[%d]", i), &config.Source{Auth: b.Auth, Key: b.Key}))
	}
}

func (k *loader) source(path string, s *config.Source) (out Source) {
	switch s.Auth {
	case ntp.KindSymmetric:
		path += ".key"
		out.Key, out.Err = k.sourceKey(s.Key)
	case ntp.KindAutokey:
		path += ".auth"
		if out.Credentials, out.Err = k.credentials(path); out.Err != nil {
			break
		}
		if s.Ident != "" {
			path = path[:len(path)-len(".auth")] + ".ident"
		}
		out.Digest, out.Groups, out.Err = k.groups(s.Ident)
	case ntp.KindNTS:
		path += ".trusted_certificates"
		out.TLS, out.Err = TrustedBy(s.TrustedCertificates)
		for _, name := range s.TrustedCertificates {
			k.writable(path, name)
		}
	}
	if out.Err != nil {
		k.find(NotServed, path, "%s", oneLine(out.Err))
	}
	return out
}

// sourceKey finds a key that may be used.
func (k *loader) sourceKey(id int) (*symkey.Key, error) {
	if key := k.Keys.Lookup(uint32(id)); key != nil {
		return key, nil
	}
	if k.config.GeneratesKey() {
		return nil, fmt.Errorf("no key file has key %d: the generated one has key %d; name a file in keys.files", id, GeneratedKeyID)
	}
	return nil, fmt.Errorf("key %d is in no key file, or not in keys.trusted; add it, or correct the number", id)
}

// groups reads the group's parameter files, of which one must be there.
func (k *loader) groups(ident string) (digest autokey.Digest, groups []*keyfile.Group, err error) {
	a := &k.config.Autokey
	digest, ok := autokey.ParseDigest(a.Digest)
	if !ok {
		return digest, nil, fmt.Errorf("digest %q is not known", a.Digest)
	}
	if ident == "" {
		return digest, nil, nil
	}
	if groups, err = Groups(a.KeysDir, ident); err != nil {
		return digest, nil, err
	}
	if len(groups) == 0 {
		return digest, nil, fmt.Errorf("keysdir %s has no group file ntpkey_{iff,gq,mv}par_%s; get it from the group's server", a.KeysDir,
			ident)
	}
	return digest, groups, nil
}

// Groups reads the parameter files of an identity group, of the schemes for
// which there is one.
func Groups(keysDir, ident string) (groups []*keyfile.Group, err error) {
	for _, scheme := range []keyfile.Scheme{keyfile.IFF, keyfile.GQ, keyfile.MV} {
		g, err := keyfile.LoadGroup(os.DirFS(keysDir), scheme, ident)
		switch {
		case err == nil:
			groups = append(groups, g)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("keysdir %s: %w", keysDir, err)
		}
	}
	return groups, nil
}

// TrustedBy returns TLS settings that trust the certificates of PEM files, or
// with none those of the system.
func TrustedBy(paths []string) (*tls.Config, error) {
	if len(paths) == 0 {
		return &tls.Config{}, nil
	}
	pool, err := source.ReadTrusted(paths)
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: pool}, nil
}

// referenceClocks looks for the devices, and for what else they need.
func (k *loader) referenceClocks() {
	for i := range k.config.ReferenceClocks {
		c := &k.config.ReferenceClocks[i]
		if c.TAI && k.Leap == nil {
			k.find(NotServed, fmt.Sprintf("reference_clocks[%d].tai", i), "%s", refclock.TAIUnknown)
		}
		path := fmt.Sprintf("reference_clocks[%d].device", i)
		switch {
		case c.Driver == config.DriverSOCK && len(c.Device) > maxSocketPath:
			k.find(NotServed, path, "%s has %d octets, and a socket's path at most %d; choose a shorter one", c.Device, len(c.Device),
				maxSocketPath)
		case c.Driver != config.DriverPPS && c.Driver != config.DriverPHC:
		default:
			if _, err := os.Stat(c.Device); err != nil {
				k.find(Warning, path, "%v; the clock is looked for again and again until it is there", err)
			}
		}
	}
}
