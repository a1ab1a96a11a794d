package nke

import (
	"slices"
	"time"
)

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
		s.tellCertificates()
	}
	return err
}

// use makes certificates the current ones; in place of those that cannot be
// used, which is err, the old ones stay.
func (s *Server) use(certs *Certificates, err error) {
	s.seen = certs.stamps
	old := s.certs.Load()
	if old != nil {
		certs = certs.instead(old)
	}
	if old != nil && !certs.shows(old) {
		s.refusals.forget()
	}
	s.certs.Store(certs)
	s.lastError.Store(nil)
	s.noteLoad(err)
	if err != nil {
		text := err.Error()
		s.lastError.Store(&text)
		s.config.Load().Logger.Error("a certificate cannot be used; if there was an earlier one, it stays in use", "error", err)
	}
	s.complain()
}

// noteLoad notes when certificates were read.
func (s *Server) noteLoad(err error) {
	l := loads{tried: time.Now()}
	if last := s.loads.Load(); last != nil {
		l.loaded = last.loaded
	}
	if err == nil {
		l.loaded = l.tried
	}
	s.loads.Store(&l)
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

// poll reloads if a file is another one than at the last attempt, or that
// attempt failed some time ago, and tells of certificates that end.
func (s *Server) poll() {
	s.reload.Lock()
	defer s.reload.Unlock()
	now := time.Now()
	if !slices.Equal(s.seen, stampsOf(s.config.Load().Certificates)) {
		s.backOff = 0
	} else if s.lastError.Load() == nil || now.Before(s.again) {
		s.warnAhead(now)
		return
	}
	if s.load() != nil {
		s.backOff = min(max(2*s.backOff, firstBackOff), lastBackOff)
		s.again = now.Add(s.backOff)
		l := *s.loads.Load()
		l.again = s.again
		s.loads.Store(&l)
	}
	s.warnAhead(now)
}

// A load that failed is repeated when the files change, and by itself: what was
// wrong may be somewhere else, such as a directory that was not mounted.
const (
	firstBackOff = time.Minute
	lastBackOff  = time.Hour
)

// warnDays are how many days before the end of a certificate the log says so.
var warnDays = []int{0, 1, 7, 30}

// warnAhead tells, once for each of warnDays, that a certificate ends. What
// lives for a short time is renewed late, so it is not told before the last
// third of its life.
func (s *Server) warnAhead(now time.Time) {
	for _, c := range s.certs.Load().Status(now) {
		left := c.NotAfter.Sub(now)
		if left > c.NotAfter.Sub(c.NotBefore)/3 {
			continue
		}
		i := slices.IndexFunc(warnDays, func(days int) bool { return left <= time.Duration(days)*24*time.Hour })
		key := c.Files.Certificate + c.NotAfter.String()
		if told, ok := s.told[key]; i < 0 || ok && told <= i {
			continue
		}
		if s.told == nil {
			s.told = make(map[string]int)
		}
		s.told[key] = i
		log := s.config.Load().Logger
		if i == 0 {
			log.Error("certificate has ended, and clients refuse it: renew it", "certificate", c.Files.Certificate, "names",
				c.Names, "end", c.NotAfter.UTC())
		} else {
			log.Warn("certificate ends soon: renew it", "certificate", c.Files.Certificate, "names", c.Names, "days", c.DaysLeft,
				"end", c.NotAfter.UTC())
		}
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
		if n, ok := s.refusals.tell(time.Now()); ok {
			s.config.Load().Logger.Error("clients refuse our certificate: see ntsbridge nts, and compare what they trust", "clients", n)
		}
	}
}
