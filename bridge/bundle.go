package bridge

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet/site"
	"ntsbridge/bridge/statedir"
	"ntsbridge/nts"
)

// secretFiles returns the files of a bundle; empty: there is none.
func secretFiles(cfg *config.Config) (cookies, previous, seeds string) {
	if cfg.NTS.Enabled {
		cookies, previous = cfg.NTS.Cookies.SecretFile, cfg.NTS.Cookies.PreviousSecretFile
	}
	if cfg.Autokey.Enabled {
		seeds = cfg.Autokey.SeedFile
	}
	return cookies, previous, seeds
}

// readBundle reads what this gateway has.
func readBundle(cfg *config.Config) (of site.Bundle, err error) {
	cookies, previous, seeds := secretFiles(cfg)
	for _, f := range []struct {
		path string
		to   *string
	}{{cookies, &of.Cookies}, {previous, &of.Previous}, {seeds, &of.Seeds}} {
		if f.path == "" {
			continue
		}
		text, err := statedir.ReadSecret(f.path)
		if errors.Is(err, fs.ErrNotExist) && f.path == previous {
			continue
		}
		if err != nil {
			return of, err
		}
		*f.to = string(text)
	}
	return of, nil
}

// sameSecrets reports whether two gateways would accept each other's cookies.
// What one of them does not have does not count.
func sameSecrets(a, b site.Bundle) bool {
	return sameCookies(a.Cookies, b.Cookies) && sameCookies(a.Previous, b.Previous) && sameSeeds(a.Seeds, b.Seeds)
}

func sameCookies(a, b string) bool {
	if a == "" || b == "" {
		return true
	}
	x, errA := nts.ParseSecret([]byte(a))
	y, errB := nts.ParseSecret([]byte(b))
	return errA == nil && errB == nil && x.Same(y) && x.From().Equal(y.From())
}

func sameSeeds(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	return len(x) == 0 || len(y) == 0 || x[0] == y[0] && !slices.ContainsFunc(x, func(s string) bool { return !slices.Contains(y, s) })
}

// ownKey is the key of this gateway, if it is the one that is declared.
func ownKey(cfg *config.Config) (*ecdh.PrivateKey, error) {
	key, err := site.LoadKey(cfg.StateDir, false)
	if err != nil {
		return nil, err
	}
	e := &cfg.Fleet.Etcd
	for _, g := range e.Gateways {
		if g.Name == e.Name && g.Key != site.PublicKey(key.PublicKey()) {
			return nil, fmt.Errorf("the key of %s in fleet.etcd.gateways is not that of %s; write what `ntsbridge secret gateway` prints here",
				e.Name, site.KeyFile)
		}
	}
	return key, nil
}
