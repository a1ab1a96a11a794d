package nke

import (
	"slices"
	"time"
)

// Status tells about the certificates.
type Status struct {
	Certificates []CertificateStatus
	// ReloadError is why the last reload left the old certificates in use,
	// empty if it went well.
	ReloadError string
}

// Status describes the certificates in use at time now.
func (s *Server) Status(now time.Time) Status {
	st := Status{Certificates: s.certs.Load().Status(now)}
	if e := s.lastError.Load(); e != nil {
		st.ReloadError = *e
	}
	return st
}

// Reload reads the certificate files again, whether they changed or not. On
// an error the old certificates stay in use.
func (s *Server) Reload() error {
	s.reload.Lock()
	defer s.reload.Unlock()
	return s.load()
}

// load is Reload under the lock.
func (s *Server) load() error {
	config := s.config.Load()
	// Before reading, so that a change in between is seen next time.
	s.seen = stampsOf(config.Certificates)
	certs, err := LoadCertificates(config.Certificates)
	s.use(certs, err)
	if err == nil {
		config.Logger.Info("certificates loaded", "count", len(certs.pairs))
	}
	return err
}

// use makes certificates the current ones; in place of those that cannot be
// used, which is err, the old ones stay.
func (s *Server) use(certs *Certificates, err error) {
	s.seen = certs.stamps
	if old := s.certs.Load(); old != nil {
		certs = certs.instead(old)
	}
	s.certs.Store(certs)
	s.lastError.Store(nil)
	if err != nil {
		text := err.Error()
		s.lastError.Store(&text)
		s.config.Load().Logger.Error("a certificate cannot be used; if there was an earlier one, it stays in use", "error", err)
	}
	s.complain()
}

// complain logs what is wrong with the certificates in use.
func (s *Server) complain() {
	config := s.config.Load()
	for _, c := range s.certs.Load().Status(time.Now()) {
		if c.Problem != "" {
			config.Logger.Warn("certificate problem", "problem", c.Problem)
		}
	}
}

// poll reloads if a file is another one than at the last attempt. A failed
// attempt is repeated only when something changes again: certificate and key
// are rarely replaced at the same instant.
func (s *Server) poll() {
	s.reload.Lock()
	defer s.reload.Unlock()
	if !slices.Equal(s.seen, stampsOf(s.config.Load().Certificates)) {
		_ = s.load()
	}
}

// watch polls the files until the server is closed.
func (s *Server) watch() {
	for {
		interval := s.config.Load().PollInterval
		if interval < 0 {
			interval = time.Hour // to notice when it is configured again
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(interval):
		}
		if s.config.Load().PollInterval > 0 {
			s.poll()
		}
	}
}
