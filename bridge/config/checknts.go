package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/nke"
	"ntsbridge/nts"
)

// nts loads the certificates as serve does.
func (k *checker) nts() {
	n := &k.config.NTS
	if !n.Enabled {
		return
	}
	k.generated("nts.cookies.secret_file", n.Cookies.SecretFile, nts.MinSecretLen)
	if len(n.Certificates) == 0 {
		k.find(Note, "nts.certificates", "a self-signed certificate for %s will be used; clients must be given it as trusted",
			strings.Join(n.Names, ", "))
		return
	}
	var leaves []*x509.Certificate
	for i, c := range n.Certificates {
		if leaf := k.certificate(fmt.Sprintf("nts.certificates[%d]", i), c); leaf != nil {
			leaves = append(leaves, leaf)
		}
	}
	if len(leaves) == len(n.Certificates) {
		k.names(leaves)
	}
}

// certificate checks a certificate and its key.
func (k *checker) certificate(path string, c Certificate) *x509.Certificate {
	certOK := k.public(path+".cert", c.Cert)
	if keyOK := k.secret(path+".key", c.Key); !certOK || !keyOK {
		return nil
	}
	files := []nke.Files{{Certificate: c.Cert, Key: c.Key}}
	loaded, err := nke.LoadCertificates(files)
	if err != nil {
		k.find(Failure, path, "%v", err)
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		k.find(Failure, path, "%v", err)
		return nil
	}
	status := loaded.Status(k.opt.Now)[0]
	k.fact("certificate", "%s, for %s, %s, until %s", c.Cert, strings.Join(status.Names, " "), status.Key,
		status.NotAfter.UTC().Format(time.DateOnly))
	k.validity(path+".cert", pair.Leaf)
	k.chain(path+".cert", pair.Leaf, len(pair.Certificate))
	return pair.Leaf
}

// validity compares a certificate with the clock.
func (k *checker) validity(path string, leaf *x509.Certificate) {
	left := leaf.NotAfter.Sub(k.opt.Now)
	// Certificates of a few days are renewed late in their lives.
	soon := min(21*day, leaf.NotAfter.Sub(leaf.NotBefore)/3)
	switch {
	case left < 0:
		k.find(Failure, path, "expired on %s; clients refuse it, renew it", leaf.NotAfter.UTC().Format(time.DateOnly))
	case k.opt.Now.Before(leaf.NotBefore):
		k.find(Failure, path, "is not valid before %s; wait, or set the clock right", leaf.NotBefore.UTC().Format(time.RFC3339))
	case left < soon:
		k.find(Warning, path, "expires in %d days, on %s; renew it", left/day, leaf.NotAfter.UTC().Format(time.DateOnly))
	}
}

// chain says who has to be trusted.
func (k *checker) chain(path string, leaf *x509.Certificate, length int) {
	if slices.Equal(leaf.RawIssuer, leaf.RawSubject) {
		k.find(Note, path, "is self-signed; clients must be given it as trusted")
	} else if length == 1 {
		k.find(Note, path, "stands alone in its file; clients need the certificate of %q as trusted, "+
			"or the intermediate ones appended to the file", leaf.Issuer.String())
	}
}

// names compares the certificates with the names that clients use.
func (k *checker) names(leaves []*x509.Certificate) {
	severity := Note // the name of the machine is a guess
	if k.explicitNames {
		severity = Warning
	}
	for i, name := range k.config.NTS.Names {
		covers := func(leaf *x509.Certificate) bool { return leaf.VerifyHostname(name) == nil }
		if !slices.ContainsFunc(leaves, covers) {
			k.find(severity, fmt.Sprintf("nts.names[%d]", i), "no certificate covers %q; clients that use this name "+
				"refuse the server: have a certificate issued for it, or correct nts.names", name)
		}
	}
}
