package nke

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Complaint is what clients hold against a certificate that is served.
type Complaint struct {
	Text  string
	Dated bool // it comes by the passing of time
	Some  bool // not all clients care
}

// Complaints judges the certificates as chrony (GnuTLS), ntpsec (OpenSSL),
// ntpd-rs (rustls) and Go do, as far as a server can know: it does not know whom
// its clients trust. The list has one entry for each of Chains.
func (c *Certificates) Complaints(now time.Time) [][]Complaint {
	chains, all := c.Chains(), make([][]Complaint, len(c.pairs))
	for i, p := range c.pairs {
		all[i] = judge(chains[i], now)
		if p.cut {
			all[i] = append(all[i], Complaint{Text: "the last block of the file is cut off: copy the file anew"})
		}
	}
	return all
}

func judge(chain []*x509.Certificate, now time.Time) []Complaint {
	path := pathOf(chain)
	list := judgeLeaf(chain[0])
	for i, c := range chain {
		dates := judgeDates(nameOf(chain, i), c, now)
		for j := range dates {
			dates[j].Some = !slices.Contains(path, i)
		}
		list = append(list, dates...)
	}
	for i, at := range path[1:] {
		list = append(list, judgeIssuer(nameOf(chain, at), chain[path[i]], chain[at])...)
	}
	list = append(list, judgeOrder(chain, path)...)
	return append(list, judgeLimits(chain, path)...)
}

// nameOf names a certificate of a file that is not the first.
func nameOf(chain []*x509.Certificate, i int) string {
	if i == 0 {
		return ""
	}
	return fmt.Sprintf("certificate %d of the file (%s) ", i+1, chain[i].Subject)
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, c.RawSubject) }

// pathOf returns the certificates that lead from the first one upwards, by their
// index: each time the first of the file with the issuer's name, as GnuTLS sorts
// them.
func pathOf(chain []*x509.Certificate) []int {
	path := []int{0}
	for c := chain[0]; !selfIssued(c); {
		next := slices.IndexFunc(chain, func(o *x509.Certificate) bool { return bytes.Equal(c.RawIssuer, o.RawSubject) })
		if next < 0 || slices.Contains(path, next) {
			break
		}
		path, c = append(path, next), chain[next]
	}
	return path
}

// judgeOrder looks for certificates that are where no issuer belongs. Real
// clients sort what they get (chronyd 4.3 to 4.9, OpenSSL, Go), but cannot make
// up what is missing, and chronyd takes the first of two with one name.
func judgeOrder(chain []*x509.Certificate, path []int) []Complaint {
	if len(chain) > 1 && len(path) == 1 && !selfIssued(chain[0]) {
		return []Complaint{{Text: fmt.Sprintf("%sis not the issuer of the one before, which is %s; put the issuer there, or delete it",
			nameOf(chain, 1), chain[0].Issuer)}}
	}
	for i := 1; i < len(chain); i++ {
		if i < len(path) && path[i] == i {
			continue
		}
		for j := range i {
			if bytes.Equal(chain[j].RawSubject, chain[i].RawSubject) && !bytes.Equal(chain[j].Raw, chain[i].Raw) {
				return []Complaint{{Some: true, Text: fmt.Sprintf("%shas the name of certificate %d, and chrony takes the first of them only: "+
					"leave the one whose issuer the clients trust", nameOf(chain, i), j+1)}}
			}
		}
		return []Complaint{{Some: true, Text: fmt.Sprintf("%sis not the issuer of the one before, which is %s; put the issuer there, or delete it",
			nameOf(chain, i), chain[i-1].Issuer)}}
	}
	return nil
}

// judgeLimits looks whether what stands in the certificates allows the chain, as
// package x509 judges it: names, depth, purposes, extensions.
func judgeLimits(chain []*x509.Certificate, path []int) []Complaint {
	from, to := chain[0].NotBefore, chain[0].NotAfter
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	for _, i := range path {
		c := chain[i]
		if c.NotBefore.After(from) {
			from = c.NotBefore
		}
		if c.NotAfter.Before(to) {
			to = c.NotAfter
		}
		o.Intermediates.AddCert(c)
	}
	o.Roots.AddCert(chain[path[len(path)-1]])
	if o.CurrentTime = from.Add(to.Sub(from) / 2); to.Before(from) {
		return nil // there is no such date, which is told
	}
	_, err := chain[0].Verify(o)
	var invalid x509.CertificateInvalidError
	var critical x509.UnhandledCriticalExtension
	switch {
	case errors.As(err, &critical):
		return []Complaint{{Text: fmt.Sprintf("an extension is marked critical that clients do not know (%v), so they refuse it; have it issued without",
			oids(chain[0].UnhandledCriticalExtensions))}}
	case !errors.As(err, &invalid):
		return nil
	}
	switch invalid.Reason {
	case x509.CANotAuthorizedForThisName, x509.NameConstraintsWithoutSANs, x509.UnconstrainedName, x509.TooManyConstraints:
		return []Complaint{{Text: "an authority of its chain may not issue for its names (" + invalid.Detail +
			"), so clients refuse it; have it issued by another one"}}
	case x509.TooManyIntermediates:
		return []Complaint{{Text: "an authority of its chain may not have that many below it (path length), so clients refuse it; " +
			"have it issued by the one above"}}
	case x509.IncompatibleUsage, x509.CANotAuthorizedForExtKeyUsage:
		return []Complaint{{Some: true, Text: "an authority of its chain is not for TLS servers (extended key usage), and all clients but chrony " +
			"refuse that; have it issued by another one"}}
	}
	return nil
}

func oids(list []asn1.ObjectIdentifier) string {
	var words []string
	for _, o := range list {
		words = append(words, o.String())
	}
	return cmp.Or(strings.Join(words, ", "), "of an authority")
}

func judgeDates(name string, c *x509.Certificate, now time.Time) []Complaint {
	switch {
	case now.After(c.NotAfter):
		return []Complaint{{Text: fmt.Sprintf("%sexpired on %s; clients refuse it, renew it", name,
			c.NotAfter.UTC().Format(time.DateOnly)), Dated: true}}
	case now.Before(c.NotBefore):
		return []Complaint{{Text: fmt.Sprintf("%sis not valid before %s; wait, or set the clock right", name,
			c.NotBefore.UTC().Format(time.RFC3339)), Dated: true}}
	}
	return nil
}

// mustStaple is the extension TLS feature (RFC 7633).
var mustStaple = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}

// judgeLeaf looks at what a server's own certificate may be.
func judgeLeaf(leaf *x509.Certificate) (list []Complaint) {
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		list = append(list,
			Complaint{Text: "its key usage does not allow digital signatures, which TLS 1.3 needs; have it issued anew with digitalSignature"})
	}
	if slices.ContainsFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(mustStaple) }) {
		list = append(list, Complaint{Some: true, Text: "it demands an answer of OCSP with each handshake (must-staple), which is not sent, " +
			"and chrony refuses it without; have it issued without that"})
	}
	if leaf.IsCA {
		some := "ntpd-rs refuses"
		if !selfIssued(leaf) {
			some = "ntpd-rs and others refuse"
		}
		list = append(list, Complaint{Some: true,
			Text: "it is the certificate of an authority, and " + some + " one as a server's; have a server's certificate issued"})
	}
	if key, ok := leaf.PublicKey.(*ecdsa.PublicKey); ok && key.Curve == elliptic.P521() {
		list = append(list, Complaint{Some: true, Text: "its key is on P-521, which ntpd-rs and others do not know; use P-256"})
	}
	return list
}

// judgeIssuer looks whether a certificate of the issuer's name did issue another.
func judgeIssuer(name string, child, c *x509.Certificate) []Complaint {
	if c.BasicConstraintsValid && !c.IsCA || c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0 {
		return []Complaint{{Text: name + "may not issue certificates; clients refuse what it signed"}}
	}
	if err := child.CheckSignatureFrom(c); err != nil {
		return []Complaint{{Text: fmt.Sprintf("%shas the name of the issuer of the one before, but did not sign it: %v", name, err)}}
	}
	return nil
}
