package material

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/nke/acme"
	"ntsbridge/bridge/statedir"
	"ntsbridge/nts/aead"
)

// nts loads the cookie secret and the certificates. A certificate that cannot
// be used is its own failure: the others, and all clients that have cookies,
// are served.
func (k *loader) nts() {
	n := &k.config.NTS
	if !n.Enabled {
		return
	}
	out := &NTS{}
	k.cookies(out)
	switch {
	case n.ACME.Directory != "":
		out.Files = append([]nke.Files{k.byACME()}, k.certificates()...)
	case len(n.Certificates) == 0:
		out.Files = k.selfMade()
	default:
		out.Files = k.certificates()
	}
	if !slices.Contains(n.AEADs, config.AEAD(aead.AESSIVCMAC256)) {
		k.find(Warning, "nts.aeads", "is without AES-SIV-CMAC-256, which every NTS server must have (RFC 8915, section 4.1.5): "+
			"chrony before 4.4, ntpsec and others get no keys; add it, last if it is to be the last choice")
	}
	k.NTS = out
}

// certificates looks at the configured ones.
func (k *loader) certificates() (files []nke.Files) {
	var leaves []*x509.Certificate
	for i, c := range k.config.NTS.Certificates {
		f := nke.Files{Certificate: c.Cert, Key: c.Key, Readable: k.config.ReadableSecrets}
		files = append(files, f)
		path := fmt.Sprintf("nts.certificates[%d]", i)
		certOK := k.public(path+".cert", c.Cert)
		if keyOK := k.secret(path+".key", c.Key); !certOK || !keyOK {
			continue
		}
		if leaf := k.certificate(path, f, os.ReadFile); leaf != nil {
			leaves = append(leaves, leaf)
		}
	}
	if len(leaves) == len(files) {
		k.names(leaves)
	}
	return files
}

// byACME looks at the certificate that was got from an authority, if it is there.
func (k *loader) byACME() nke.Files {
	a, f := &k.config.NTS.ACME, acme.FilesIn(k.config.StateDir)
	for _, path := range []string{a.CABundle, a.Hook} {
		if _, err := os.Stat(path); path != "" && err != nil {
			k.find(Warning, "nts.acme", "no certificate can be got: %v", err)
		}
	}
	if a.Challenge == config.ChallengeDNS && k.config.Sandbox != "off" {
		k.find(Warning, "nts.acme.hook", "is a program, which the sandbox does not let run; write sandbox: off, or have another program get "+
			"the certificate (certbot, lego) and name its files in nts.certificates")
	}
	if _, err := BindingKey(k.config); err != nil {
		k.find(Warning, "nts.acme.binding_file", "%v", err)
	}
	if _, err := os.Stat(f.Certificate); errors.Is(err, fs.ErrNotExist) {
		k.find(Note, "nts.acme", "there is no certificate yet; the running daemon gets it once its clock is right")
		return f
	}
	k.certificate("nts.acme", f, os.ReadFile)
	return f
}

// BindingKey returns the key of the external account binding, nil for none.
func BindingKey(cfg *config.Config) ([]byte, error) {
	a := &cfg.NTS.ACME
	if a.BindingFile == "" {
		return nil, nil
	}
	text, err := statedir.ReadSecret(a.BindingFile)
	if err != nil {
		return nil, err
	}
	key, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(string(text)), "="))
	if err != nil || len(key) == 0 {
		return nil, fmt.Errorf("%s holds no key in base64 (URL form), as the authority gives it", a.BindingFile)
	}
	return key, nil
}

// certificate looks at a certificate and its key; nil if they cannot be used.
func (k *loader) certificate(path string, f nke.Files, read func(string) ([]byte, error)) *x509.Certificate {
	loaded, err := nke.ReadCertificates([]nke.Files{f}, read)
	if err != nil {
		k.find(NotServed, path, "%s", oneLine(err))
		return nil
	}
	status := loaded.Status(k.opt.Now)[0]
	k.fact("certificate", "%s, for %s, %s, until %s", f.Certificate, strings.Join(status.Names, " "), status.Key,
		status.NotAfter.UTC().Format(time.DateOnly))
	chain := loaded.Chains()[0]
	if k.config.Has(path) {
		path += ".cert"
	}
	for _, c := range loaded.Complaints(k.opt.Now)[0] {
		switch {
		case c.Some:
			k.find(Warning, path, "%s", c.Text)
		case c.Dated:
			k.findDated(NotServed, path, "%s", c.Text)
		default:
			k.find(NotServed, path, "%s", c.Text)
		}
	}
	k.validity(path, chain)
	k.chain(path, chain[0], len(chain))
	return chain[0]
}

// validity says which certificate of a chain ends soon, if it is not over.
func (k *loader) validity(path string, chain []*x509.Certificate) {
	for i, c := range chain {
		left := c.NotAfter.Sub(k.opt.Now)
		// Certificates of a few days are renewed late in their lives.
		soon := min(21*day, c.NotAfter.Sub(c.NotBefore)/3)
		name := ""
		if i > 0 {
			name = fmt.Sprintf("certificate %d of the file (%s) ", i+1, c.Subject)
		}
		if left >= 0 && left < soon && !k.opt.Now.Before(c.NotBefore) {
			k.findDated(Warning, path, "%sexpires in %d days, on %s; renew it", name, left/day, c.NotAfter.UTC().Format(time.DateOnly))
		}
	}
}

// chain says who has to be trusted.
func (k *loader) chain(path string, leaf *x509.Certificate, length int) {
	if slices.Equal(leaf.RawIssuer, leaf.RawSubject) {
		k.find(Note, path, "is self-signed; clients must be given it as trusted")
	} else if path == "nts.generate" {
		k.find(Note, path, "clients must be given %s as trusted", GeneratedAuthority(k.config))
	} else if length == 1 {
		k.find(Note, path, "stands alone in its file; clients need the certificate of %q as trusted, "+
			"or the intermediate ones appended to the file", leaf.Issuer.String())
	}
}

// names compares the certificates with the names that clients use.
func (k *loader) names(leaves []*x509.Certificate) {
	grade := Note // the name of the machine is a guess
	if k.config.Has("nts.names") {
		grade = Warning
	}
	for i, name := range k.config.NTS.Names {
		covers := func(leaf *x509.Certificate) bool { return leaf.VerifyHostname(name) == nil }
		if !slices.ContainsFunc(leaves, covers) {
			k.find(grade, fmt.Sprintf("nts.names[%d]", i), "no certificate covers %q; clients that use this name "+
				"refuse the server: have a certificate issued for it, or correct nts.names", name)
		}
	}
}
