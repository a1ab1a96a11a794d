package material

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/nke/pki"
	"ntsbridge/bridge/statedir"
	"ntsbridge/nts"
)

// Dated reports whether a clock can know the date. Nothing that carries a date
// is made before.
func Dated(now time.Time) bool { return !now.Before(pki.Birth) }

// waits notes that something is made only when the date is known.
func (k *loader) waits(option, what string) {
	k.Undated = true
	k.findDated(NotServed, option, "%s is made once the clock knows the date: it says %s", what,
		k.opt.Now.UTC().Format(time.DateOnly))
}

const cookieLoss = "every NTS client does one new key establishment"

// CookieFile is the file of the cookie secret of a configuration.
func CookieFile(c *config.Cookies, now time.Time) statedir.File {
	return statedir.File{Path: c.SecretFile, What: "cookie secret", Mode: statedir.Secret, Loss: cookieLoss,
		Make: func() ([]byte, error) {
			s, err := NewCookieSecret(c, now)
			if err != nil {
				return nil, err
			}
			return s.AppendText(nil), nil
		}}
}

// NewCookieSecret makes a secret whose keys begin with the epoch of now.
func NewCookieSecret(c *config.Cookies, now time.Time) (*nts.Secret, error) {
	epoch := max(int64(c.Rotation/time.Second), 1)
	return nts.NewSecret(rand.Reader, time.Unix(now.Unix()/epoch*epoch, 0))
}

// cookies loads the secret and the one before it.
func (k *loader) cookies(out *NTS) {
	const option = "nts.cookies.secret_file"
	c := &k.config.NTS.Cookies
	file := CookieFile(c, k.opt.Now)
	if !Dated(k.opt.Now) && k.Store.First(file) {
		k.waits(option, "the cookie secret")
		return
	}
	var err error
	if out.Secret, k.Made.CookieSecret, err = cookieSecret(k.Store, file); err != nil {
		k.find(NoStart, option, "%v", err)
		return
	}
	k.madeLater(k.Made.CookieSecret, option, c.SecretFile)
	if ahead := out.Secret.Begin().Sub(k.opt.Now); ahead > c.Rotation && Dated(k.opt.Now) {
		k.findDated(Warning, option, "%s was moved on to %s, and the clock is before it: keys are not rotated until then; if the clock is right, "+
			"make a new one with `ntsbridge secret rotate`", c.SecretFile, out.Secret.Begin().UTC().Format(time.RFC3339))
	}
	k.previousCookies(out)
}

// cookieSecret reads the site secret, or makes it on the first start.
func cookieSecret(store *statedir.Store, file statedir.File) (*nts.Secret, bool, error) {
	text, made, err := store.Load(file)
	if err != nil {
		return nil, false, err
	}
	secret, err := nts.ParseSecret(text)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w; restore it from a backup or another gateway, or delete it and its line in %s: %s", file.Path,
			err, store.Marker(), file.Loss)
	}
	return secret, made, nil
}

// previousCookies loads the secret before, which need not be there. What is
// wrong with it costs its clients a key establishment, and nobody else anything.
func (k *loader) previousCookies(out *NTS) {
	const option = "nts.cookies.previous_secret_file"
	path := k.config.NTS.Cookies.PreviousSecretFile
	text, err := statedir.ReadSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		if k.config.Has(option) && !out.Secret.From().IsZero() {
			k.find(Warning, option, "%s is not there, and %s took its place at %s: %s", path, k.config.NTS.Cookies.SecretFile,
				out.Secret.From().UTC().Format(time.RFC3339), cookieLoss)
		}
		return
	}
	if err == nil {
		out.Previous, err = nts.ParseSecret(text)
	}
	switch {
	case err != nil:
		k.find(NotServed, option, "cookies of the secret before: %s: %v; restore it, or delete it: %s", path, pathless(err), cookieLoss)
	case out.Previous.Same(out.Secret):
		k.find(Warning, option, "%s has the same secret as %s; delete it", path, k.config.NTS.Cookies.SecretFile)
		out.Previous = nil
	}
}

// pathless is an error without the path that the sentence around it has.
func pathless(err error) error {
	var e *os.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
