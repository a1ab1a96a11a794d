package material

import (
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/nke"
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
	if len(n.Certificates) == 0 {
		out.Files = k.selfMade()
	} else {
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
