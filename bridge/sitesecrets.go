package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet/site"
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
