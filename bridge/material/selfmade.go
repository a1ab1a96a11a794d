package material

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/nke/pki"
	"ntsbridge/bridge/statedir"
)

// A site that has no certificate gets an authority of its own, which clients
// trust for decades, and under it a certificate that is renewed in time: with
// the same key, for the names and addresses of the day. Clients need nothing
// new. The file of the certificate has the authority's behind it, so that it can
// be given to clients as trusted; the authority's alone will do as well.
const (
	authorityYears = 30
	serverDays     = 2 * 365
	serverBefore   = 365 * day
)

// loss is what is lost with the files.
const loss = "every NTS client needs the new certificate"

// selfMadeFiles are where they are.
type selfMadeFiles struct {
	nke.Files
	authority nke.Files
}

func filesOfSelfMade(cfg *config.Config) selfMadeFiles {
	return selfMadeFiles{GeneratedCertificate(cfg), nke.Files{Certificate: filepath.Join(cfg.StateDir, "nts-ca.crt"),
		Key: filepath.Join(cfg.StateDir, "nts-ca.key")}}
}

// GeneratedTrust is the file that clients are given as trusted for the
// certificate made on the first start: its authority's, or itself where an
// earlier version made it.
func GeneratedTrust(cfg *config.Config) string {
	f := filesOfSelfMade(cfg)
	if _, err := os.Stat(f.authority.Certificate); err != nil {
		return f.Certificate
	}
	return f.authority.Certificate
}

// GeneratedAuthority is where the certificate of the authority is that issues
// the one made on the first start.
func GeneratedAuthority(cfg *config.Config) string {
	return filesOfSelfMade(cfg).authority.Certificate
}

// selfMade loads the certificate of the state directory, made on the first
// start.
func (k *loader) selfMade() []nke.Files {
	f := filesOfSelfMade(k.config)
	if !Dated(k.opt.Now) && k.Store.First(statedir.File{Path: f.Certificate}) {
		k.waits("nts.generate", "the certificate")
		return []nke.Files{f.Files}
	}
	texts := map[string][]byte{}
	made, err := k.loadSelfMade(&f, texts)
	if err != nil {
		k.find(NotServed, "nts.generate", "%s", oneLine(err))
		return []nke.Files{f.Files}
	}
	k.Made.Certificate = made
	if k.certificate("nts.generate", f.Files, func(path string) ([]byte, error) { return texts[path], nil }) == nil {
		k.find(NotServed, "nts.generate", "the certificate made by an earlier start cannot be used: restore %s and %s from a backup, "+
			"or delete both and their lines in %s to have new ones made, which every NTS client then needs", f.Certificate, f.Key,
			k.Store.Marker())
	}
	return []nke.Files{f.Files}
}

func (k *loader) loadSelfMade(f *selfMadeFiles, texts map[string][]byte) (made bool, err error) {
	secret := func(path, what string) (_ []byte, err error) {
		texts[path], _, err = k.Store.Load(statedir.File{Path: path, What: what, Mode: statedir.Secret, Make: pki.NewKey, Loss: loss})
		return texts[path], err
	}
	if _, err := secret(f.Key, "private key of NTS"); err != nil {
		return false, err
	}
	above := func() (*pki.Authority, error) {
		key, err := secret(f.authority.Key, "key of the authority of NTS")
		if err != nil {
			return nil, err
		}
		text, _, err := k.Store.Load(statedir.File{Path: f.authority.Certificate, What: "authority of NTS", Mode: statedir.Public,
			Loss: loss, Make: func() ([]byte, error) { return newAuthority(k.config, key, k.opt.Now) }})
		if err != nil {
			return nil, err
		}
		return pki.ReadAuthority(text, key)
	}
	text, made, err := k.Store.Load(statedir.File{Path: f.Certificate, What: "certificate of NTS", Mode: statedir.Public, Loss: loss,
		Make: func() ([]byte, error) {
			a, err := above()
			if err != nil {
				return nil, err
			}
			return issueSelfMade(a, texts[f.Key], selfMadeNames(k.config), k.opt.Now)
		}})
	if err != nil || made {
		texts[f.Certificate] = text
		return made, err
	}
	texts[f.Certificate] = text
	if chain, err := pki.ParseChain(text); err == nil && !alone(chain[0]) {
		if _, err := above(); err != nil {
			k.find(Warning, "nts.generate", "the certificate cannot be renewed: %s", oneLine(err))
		}
	}
	return false, nil
}

// alone reports whether a certificate is signed by itself, as earlier versions
// made it: it cannot be renewed without a word to the clients.
func alone(c *x509.Certificate) bool { return c.Subject.String() == c.Issuer.String() }

// newAuthority makes the authority's certificate. Its name is its own, so that a
// client which trusts those of several hosts tells them apart.
func newAuthority(cfg *config.Config, keyText []byte, now time.Time) ([]byte, error) {
	key, err := pki.ParseKey(keyText)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(der)
	a, err := pki.NewRoot(fmt.Sprintf("ntsbridge %.40s %s", selfMadeNames(cfg)[0], hex.EncodeToString(id[:3])), key, 0, now, authorityYears)
	if err != nil {
		return nil, err
	}
	return pki.PEM(a.Certificate), nil
}

// issueSelfMade makes the text of the certificate's file.
func issueSelfMade(a *pki.Authority, keyText []byte, names []string, now time.Time) ([]byte, error) {
	key, err := pki.ParseKey(keyText)
	if err != nil {
		return nil, err
	}
	chain, err := a.Issue(&pki.Server{Names: names, Days: serverDays, Before: serverBefore}, key.Public(), true, now)
	if err != nil {
		return nil, err
	}
	return pki.PEM(chain...), nil
}

// selfMadeNames are the configured names and every address of this host, so
// that clients without DNS can use it too.
func selfMadeNames(cfg *config.Config) []string {
	names := append([]string(nil), cfg.NTS.Names...)
	if len(names) == 0 {
		names = append(names, "localhost")
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return names
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() {
			names = append(names, ip.IP.String())
		}
	}
	return names
}

// aloneLeft is how long before its end a certificate without an authority is
// replaced by one with: clients need the new one then.
const aloneLeft = 30 * day

// RenewSelfMade makes the certificate of the state directory anew if it is time
// for that: now must be right. It returns why it was, "" if it was not. The
// authority is renewed with it where it would not live as long.
func RenewSelfMade(cfg *config.Config, now time.Time) (why string, err error) {
	f := filesOfSelfMade(cfg)
	text, err := os.ReadFile(f.Certificate)
	if err != nil {
		return "", fmt.Errorf("certificate of NTS: %w", err)
	}
	chain, err := pki.ParseChain(text)
	if err != nil {
		return "", err
	}
	names := selfMadeNames(cfg)
	if alone(chain[0]) {
		if left := chain[0].NotAfter.Sub(now); now.Before(pki.Birth) || left > aloneLeft && !now.Before(chain[0].NotBefore) {
			return "", nil
		}
		why = fmt.Sprintf("it ends on %s; clients that trust it need the new one (%s)", chain[0].NotAfter.UTC().Format(time.DateOnly),
			f.authority.Certificate)
	} else if why = pki.Due(chain[0], names, now); why == "" {
		return "", nil
	}
	return why, f.renew(cfg, names, now)
}

// renew writes a new certificate.
func (f *selfMadeFiles) renew(cfg *config.Config, names []string, now time.Time) error {
	key, err := statedir.ReadSecret(f.Key)
	if err != nil {
		return fmt.Errorf("private key of NTS: %w", err)
	}
	a, err := f.readAuthority(cfg, now)
	if err != nil {
		return err
	}
	text, err := issueSelfMade(a, key, names, now)
	if err != nil {
		return err
	}
	return statedir.Write(f.Certificate, text, statedir.Public)
}

// readAuthority reads the authority, or makes it where an earlier version made
// none.
func (f *selfMadeFiles) readAuthority(cfg *config.Config, now time.Time) (*pki.Authority, error) {
	key, err := statedir.ReadSecret(f.authority.Key)
	if errors.Is(err, os.ErrNotExist) {
		if key, err = pki.NewKey(); err == nil {
			err = statedir.Write(f.authority.Key, key, statedir.Secret)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("key of the authority of NTS: %w", err)
	}
	text, err := os.ReadFile(f.authority.Certificate)
	if err == nil {
		a, err := pki.ReadAuthority(text, key)
		if err != nil {
			return nil, fmt.Errorf("authority of NTS: %w", err)
		}
		if a.Certificate.NotAfter.After(now.AddDate(0, 0, serverDays)) {
			return a, nil
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("authority of NTS: %w", err)
	}
	if text, err = newAuthority(cfg, key, now); err != nil {
		return nil, err
	}
	if err := statedir.Write(f.authority.Certificate, text, statedir.Public); err != nil {
		return nil, err
	}
	return pki.ReadAuthority(text, key)
}
