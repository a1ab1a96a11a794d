package autokey

import (
	"fmt"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// values are what a server signs in advance, with one common timestamp, so
// that giving them out costs no public-key operation. A snapshot is never
// changed.
type values struct {
	timestamp    uint32 // NTP seconds of the signature update; 0: none yet
	status       Status
	certificates map[string]Message // CERT responses by subject
	leap         Message            // LEAP response
}

// unsignedValues are those before the first signature update. The LEAP
// response then is empty, as ntpd's is.
func unsignedValues(status Status) *values {
	return &values{
		status: status,
		leap:   Message{Code: Request(OpLeap) | bitResponse},
	}
}

// chooseCertificates picks for every subject the certificate that CERT gives
// out: a self-signed trusted one before one signed by another host. Private
// ones are never given out. Of several, the one in cache first wins.
//
// What does not belong in the cache is refused: a certificate in our own name
// for another key, and one that we ourselves signed for somebody else, which
// would make a loop of the trail.
func chooseCertificates(h *keyfile.Host, cache []CachedCertificate) (map[string]CachedCertificate, error) {
	own := CachedCertificate{h.Certificate, h.CertificateFilestamp}
	chosen := make(map[string]CachedCertificate)
	for i, e := range append([]CachedCertificate{own}, cache...) {
		c := e.Certificate
		switch {
		case i > 0 && c.Issuer == h.Name && c.Subject != h.Name:
			return nil, fmt.Errorf("%w: cached certificate of %.64q is signed by this host itself", ErrConfig, c.Subject)
		case i > 0 && c.Subject == h.Name && !c.PublicKey.Equal(h.Certificate.PublicKey):
			return nil, fmt.Errorf("%w: cached certificate of %.64q has not this host's key", ErrConfig, c.Subject)
		case c.Private, c.SelfSigned() && !c.Trusted:
			continue
		}
		old, taken := chosen[c.Subject]
		if !taken || c.SelfSigned() && !old.Certificate.SelfSigned() {
			chosen[c.Subject] = e
		}
	}
	return chosen, nil
}

// stamp returns the NTP seconds of a synchronised clock, in which 0 has the
// meaning of "not synchronised".
func stamp(now ntp.Timestamp) uint32 { return max(now.Seconds(), 1) }
