package nke

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
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
	list := judgeLeaf(chain[0])
	for i, c := range chain {
		name := ""
		if i > 0 {
			name = fmt.Sprintf("certificate %d of the file (%s) ", i+1, c.Subject)
		}
		list = append(list, judgeDates(name, c, now)...)
		if i > 0 {
			list = append(list, judgeIssuer(name, chain[i-1], c)...)
		}
	}
	return list
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

// judgeLeaf looks at what a server's own certificate may be.
func judgeLeaf(leaf *x509.Certificate) (list []Complaint) {
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		list = append(list,
			Complaint{Text: "its key usage does not allow digital signatures, which TLS 1.3 needs; have it issued anew with digitalSignature"})
	}
	selfSigned := bytes.Equal(leaf.RawIssuer, leaf.RawSubject)
	if leaf.IsCA {
		some := "ntpd-rs"
		if !selfSigned {
			some += " and others"
		}
		list = append(list, Complaint{Some: true,
			Text: "it is the certificate of an authority, and " + some + " refuse one as a server's; have a server's certificate issued"})
	}
	if key, ok := leaf.PublicKey.(*ecdsa.PublicKey); ok && key.Curve == elliptic.P521() {
		list = append(list, Complaint{Some: true, Text: "its key is on P-521, which ntpd-rs and others do not know; use P-256"})
	}
	return list
}

// judgeIssuer looks whether a certificate of the file issued the one before.
func judgeIssuer(name string, child, c *x509.Certificate) []Complaint {
	if !bytes.Equal(child.RawIssuer, c.RawSubject) {
		return []Complaint{{Text: fmt.Sprintf("%sis not the issuer of the one before, which is %s; put the issuer there, or delete it",
			name, child.Issuer)}}
	}
	if c.BasicConstraintsValid && !c.IsCA || c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0 {
		return []Complaint{{Text: name + "may not issue certificates; clients refuse what it signed"}}
	}
	if err := child.CheckSignatureFrom(c); err != nil {
		return []Complaint{{Text: fmt.Sprintf("%shas the name of the issuer of the one before, but did not sign it: %v", name, err)}}
	}
	return nil
}
