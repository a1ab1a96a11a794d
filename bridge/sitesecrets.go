package bridge

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet/site"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/statedir"
	"ntsbridge/nts"
)

// siteSecrets hands out cookie secret and Autokey seed through etcd; nil: they
// are left to files, or the key of this gateway is not there.
func (b *Bridge) siteSecrets(cfg *config.Config) *site.Secrets {
	if cfg.Fleet.Etcd.Secrets != config.SecretsEtcd {
		return nil
	}
	key, err := ownKey(cfg)
	if err != nil {
		b.log.Error("the secrets of the site are not shared", "error", err)
		b.noted = append(b.noted, "fleet.etcd.secrets: "+err.Error())
		return nil
	}
	return &site.Secrets{Key: key, Same: sameSecrets,
		Read: func() (site.Bundle, error) { return readBundle(b.parts.Load().cfg) },
		Adopt: func(of site.Bundle, first bool) error {
			return b.adoptSecrets(of, first, time.Now())
		}}
}

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

// adoptSecrets puts the secrets of the site into the files of this gateway and in
// force. Who joins the site keeps its own secret as the one before, and its seeds
// behind those of the site, so that its clients lose nothing.
func (b *Bridge) adoptSecrets(of site.Bundle, first bool, now time.Time) error {
	cfg := b.parts.Load().cfg
	own, err := readBundle(cfg)
	if err != nil {
		return err
	}
	cookies, previous, seeds := secretFiles(cfg)
	changed := !sameCookies(own.Cookies, of.Cookies) || !sameCookies(own.Previous, of.Previous) ||
		own.Previous != "" && of.Previous == "" && !first // revoked
	if cookies != "" && of.Cookies != "" && changed {
		if err := b.adoptCookies(cookies, previous, own, of, first, now); err != nil {
			return err
		}
	}
	if seeds != "" && of.Seeds != "" {
		list := strings.Fields(of.Seeds)
		for _, s := range strings.Fields(own.Seeds) {
			if !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
		if text := strings.Join(list, "\n") + "\n"; text != own.Seeds {
			if err := statedir.Write(seeds, []byte(text), statedir.Secret); err != nil {
				return err
			}
		}
	}
	return b.reloadSecrets(cookies, of)
}

// adoptCookies writes the secret before, then the new one: at any moment what is
// sealed with is on disk.
func (b *Bridge) adoptCookies(path, pathBefore string, own, of site.Bundle, first bool, now time.Time) error {
	current, before := of.Cookies, of.Previous
	theirs, err := nts.ParseSecret([]byte(of.Cookies))
	if err != nil {
		return fmt.Errorf("the cookie secret of the site: %w", err)
	}
	ours, err := nts.ParseSecret([]byte(own.Cookies))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	stranger := !ours.Same(theirs) && !sameCookies(own.Cookies, orNone(of.Previous))
	if first && stranger && theirs.From().Before(now) { // this gateway's clients have cookies of its own secret
		moved, err := ours.MovedOn(b.parts.Load().cfg.NTS.Cookies.Rotation, b.parts.Load().cfg.NTS.Cookies.Kept, now)
		if err != nil {
			return err
		}
		before, current = string(moved.AppendText(nil)), string(theirs.SealingFrom(now).AppendText(nil))
	}
	if before == "" {
		if err := os.Remove(pathBefore); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	} else if err := statedir.Write(pathBefore, []byte(before), statedir.Secret); err != nil {
		return err
	}
	return statedir.Write(path, []byte(current), statedir.Secret)
}

// orNone is a text that no secret is the same as, for an empty one.
func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// reloadSecrets lets this daemon read the files. What was moving the old secret on
// at the same moment may have written it again: then it is put back.
func (b *Bridge) reloadSecrets(path string, of site.Bundle) error {
	for range 3 {
		if err := b.Reload(b.parts.Load().cfg); err != nil {
			return err
		}
		if path == "" || of.Cookies == "" {
			return nil
		}
		found, err := statedir.ReadSecret(path)
		if err != nil {
			return err
		}
		x, errX := nts.ParseSecret(found)
		y, errY := nts.ParseSecret([]byte(of.Cookies))
		if errX == nil && errY == nil && x.Same(y) {
			return nil
		}
		if err := statedir.Write(path, []byte(of.Cookies), statedir.Secret); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s is written by somebody else at the same time", path)
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

// checkSecrets says what keeps secrets from being handed out.
func (p *parts) checkSecrets() {
	e := &p.cfg.Fleet.Etcd
	if e.Secrets != config.SecretsEtcd {
		return
	}
	for i, g := range e.Gateways {
		if _, err := site.ParseKey(g.Key); err != nil {
			p.set.Find(material.NotServed, fmt.Sprintf("fleet.etcd.gateways[%d].key", i), err)
		}
	}
	if _, err := ownKey(p.cfg); err != nil {
		p.set.Find(material.NotServed, "fleet.etcd.secrets", err)
	}
}
