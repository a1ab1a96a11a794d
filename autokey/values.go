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

// SignatureUpdate signs the certificates and the leap second values, with now
// as the common timestamp ("signature update" of ntpd, RFC 5906, section
// 9.1). The caller calls it when the clock is first synchronised; SetLeap and
// a new server for new certificates are the only other occasions. Until then
// the status word lacks FlagTAI, which clients take for "never synchronised".
func (s *Server) SignatureUpdate(now ntp.Timestamp) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.update(now)
}

// SetLeap replaces the leap second values. Signatures are updated if they
// have been made before.
func (s *Server) SetLeap(now ntp.Timestamp, leap LeapValues) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if leap == s.leap {
		return nil
	}
	old := s.leap
	s.leap = leap
	if s.Updated() == 0 {
		return nil
	}
	if err := s.update(now); err != nil {
		s.leap = old
		return err
	}
	return nil
}

// SetCache replaces the certificates of other hosts that the server gives out,
// when an association of this host has received new ones. Signatures are
// updated if they have been made before. With an error nothing has changed.
func (s *Server) SetCache(now ntp.Timestamp, cache []CachedCertificate) error {
	certificates, err := chooseCertificates(s.host, cache)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.certificates
	s.certificates = certificates
	if s.Updated() == 0 {
		return nil
	}
	if err := s.update(now); err != nil {
		s.certificates = old
		return err
	}
	return nil
}

// setAutokey makes the server answer AUTO requests for a broadcast
// association.
func (s *Server) setAutokey(id uint32, m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.autokeys == nil {
		s.autokeys = make(map[uint32]Message)
	}
	s.autokeys[id] = m
}

// autokeyValues returns the AUTO response of a broadcast association.
func (s *Server) autokeyValues(id uint32) (Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.autokeys[id]
	return m, ok
}

// current returns the values for answering; with a synchronised clock they
// are signed, if need be now.
func (s *Server) current(now ntp.Timestamp, synced bool) *values {
	v := s.values.Load()
	if !synced || v.timestamp != 0 {
		return v
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Updated() == 0 {
		_ = s.update(now) // left unsigned, which a client takes for "not yet"
	}
	return s.values.Load()
}

// update signs everything anew. The caller holds s.mu.
func (s *Server) update(now ntp.Timestamp) error {
	v := &values{
		timestamp:    stamp(now),
		status:       s.flagged | Status(FlagTAI),
		certificates: make(map[string]Message, len(s.certificates)),
	}
	for name, c := range s.certificates {
		m := Message{
			Code:      Request(OpCert) | bitResponse,
			Timestamp: v.timestamp,
			Filestamp: c.Filestamp,
			Value:     c.Certificate.Raw,
		}
		if err := s.sign(&m); err != nil {
			return err
		}
		v.certificates[name] = m
	}
	v.leap = Message{
		Code:      Request(OpLeap) | bitResponse,
		Timestamp: v.timestamp,
		Filestamp: s.host.HostFilestamp,
		Value:     s.leap.Append(nil),
	}
	if err := s.sign(&v.leap); err != nil {
		return err
	}
	s.values.Store(v)
	return nil
}

// sign signs a message with the host's sign key.
func (s *Server) sign(m *Message) error {
	sig, err := keyfile.Sign(s.rand, s.host.Signer(), s.host.NID(), m.AppendSigned(nil))
	if err != nil {
		return fmt.Errorf("autokey: %s: %w", m.Code.Op(), err)
	}
	m.Signature = sig
	return nil
}

// stamp returns the NTP seconds of a synchronised clock, in which 0 has the
// meaning of "not synchronised".
func stamp(now ntp.Timestamp) uint32 { return max(now.Seconds(), 1) }
