package nke

import "crypto/tls"

// GetCertificate returns the certificate for a client of any protocol, as
// tls.Config.GetCertificate does.
func (c *Certificates) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.choose(hello)
}
