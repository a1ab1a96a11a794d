package keygen

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"ntsbridge/autokey/keyfile"
)

// certificateBefore reads the certificate that is there: scheme and usage stay
// unless options say otherwise; if it has a usage, its name stays too.
func (m *maker) certificateBefore() error {
	m.usage = certificateUsage{trusted: m.in.Options.Has("trusted-cert"), private: m.in.Options.Has("pvt-cert")}
	if m.usage.trusted && m.usage.private {
		return badOption("trusted-cert and pvt-cert at once; a certificate is for one scheme, TC or PC")
	}
	name := "ntpkey_cert_" + m.names.host
	m.tell("Using host %s group %s", m.names.host, m.names.group)
	data, err := m.in.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	cert, stamp, err := keyfile.ReadCertificate(data)
	if err != nil {
		return fmt.Errorf("%s: %w; remove it to start afresh", name, err)
	}
	m.old, m.oldStamp = cert, stamp
	if m.in.Renew || !m.usage.trusted && !m.usage.private && (cert.Trusted || cert.Private) {
		m.usage = certificateUsage{trusted: cert.Trusted, private: cert.Private}
		m.names.subject = cert.Subject
	}
	return nil
}

// certificate makes the certificate, as every run does.
func (m *maker) certificate() error {
	nid, err := m.scheme()
	if err != nil {
		return err
	}
	end := m.in.Now.UTC().Truncate(time.Second).AddDate(0, 0, m.in.Options.number("lifetime", 365))
	if m.in.Options.number("lifetime", 365) < 0 || end.Year() > 9999 {
		return badOption("lifetime option value %d is out of range.\nit must be 0 or more days, and end before the year 10000",
			m.in.Options.number("lifetime", 365))
	}
	m.tell("Generating new certificate %s %s", m.names.subject, keyfile.CertificateScheme(nid))
	der, err := keyfile.CreateCertificate(m.in.Rand, keyfile.CertificateTemplate{
		Subject: m.names.subject, Serial: ntpSeconds(m.in.Now),
		NotBefore: m.in.Now.UTC().Truncate(time.Second), NotAfter: end,
		Trusted: m.usage.trusted, Private: m.usage.private, GQPublic: m.gqPublic,
	}, m.signer, nid)
	if err != nil {
		return err
	}
	if m.in.Renew {
		m.stamp = ntpSeconds(m.in.Now)
	}
	h := m.header(keyfile.CertificateScheme(nid)+"cert", m.names.host)
	content, err := keyfile.EncodeCertificate(h, der)
	if err != nil {
		return err
	}
	i, err := keyfile.Inspect(content, "", m.in.Now)
	if err != nil {
		return fmt.Errorf("the new certificate cannot be read: %w", err)
	}
	m.judge(i, nid)
	m.files = append(m.files, File{Name: h.FileName(), Link: "ntpkey_cert_" + m.names.host, Content: content})
	return nil
}

// scheme returns the algorithm of the certificate's signature.
func (m *maker) scheme() (keyfile.NID, error) {
	name := m.limits.scheme
	switch {
	case m.in.Options.Has("certificate"):
		name = m.in.Options.Text("certificate")
	case m.in.Options.Has("oldest-peer"):
		if _, dsa := m.signer.(*keyfile.DSAPrivateKey); dsa {
			name = "SHA1"
		}
	case m.old != nil && keyfile.CertificateScheme(m.old.NID) != "":
		name = keyfile.CertificateScheme(m.old.NID)
	}
	nid, err := keyfile.FindScheme(name, m.signer.Public())
	if err != nil {
		return 0, fmt.Errorf("invalid digest/signature combination %s: %w", clipped(name), err)
	}
	return nid, m.limits.check(m.signer.Public().Bits(), nid)
}

// judge warns of a certificate that real peers do not take, or that is weak.
func (m *maker) judge(i *keyfile.Inspection, nid keyfile.NID) {
	if !i.Server.OK && m.in.Options.number("lifetime", 1) != 0 {
		for _, reason := range i.Server.Reasons {
			m.warn("certificate: %s", reason)
		}
	}
	if m.old != nil && int32(m.stamp-m.oldStamp) <= 0 {
		m.warn("running peers keep the old certificate, since the filestamp %d has not changed (ntp-keygen does the same); "+
			"`ntsbridge keygen renew` makes one that they take over", m.stamp)
	}
	if i.Bits < 1024 || nid == keyfile.RSAMD5 || nid == keyfile.RSAMD4 {
		m.warn("a key of %d bits with signatures of %v is weak; --oldest-peer 4.2.8 makes RSA 2048 with SHA-256 (with -H for the "+
			"host key)", i.Bits, nid)
	}
}
