package autokey

import "ntsbridge/bridge/ntp"

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
	next := map[uint32]Message{id: m}
	if old := s.autokeys.Load(); old != nil {
		for other, m := range *old {
			if other != id {
				next[other] = m
			}
		}
	}
	s.autokeys.Store(&next)
}

// autokeyValues returns the AUTO response of a broadcast association.
func (s *Server) autokeyValues(id uint32) (Message, bool) {
	list := s.autokeys.Load()
	if list == nil {
		return Message{}, false
	}
	m, ok := (*list)[id]
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
		Value:     s.leap.append(nil),
	}
	if err := s.sign(&v.leap); err != nil {
		return err
	}
	s.values.Store(v)
	return nil
}
