package acme

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	protocol "golang.org/x/crypto/acme"

	"ntsbridge/bridge/nke/pki"
	"ntsbridge/bridge/statedir"
)

// After a failure it is tried again, each time after twice as long. Authorities
// that limit the rate say how long to wait.
const (
	firstWait = time.Minute
	lastWait  = 6 * time.Hour
)

// readyInterval is how often it is looked whether the clock is right, and whether
// somebody asked for a new certificate.
const readyInterval = 5 * time.Second

// attemptTime bounds one attempt.
const attemptTime = 5 * time.Minute

// Manager keeps a certificate good.
type Manager struct {
	cfg    Config
	wanted chan struct{}
	look   chan struct{}

	mu      sync.Mutex
	status  Status
	limited bool // the last failure was a limit of the authority's
	wait    time.Duration
}

// New makes a manager; Run does the work.
func New(cfg Config) (*Manager, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	return &Manager{cfg: cfg, wanted: make(chan struct{}, 1), look: make(chan struct{}, 1)}, nil
}

// Status tells how it stands.
func (m *Manager) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

// Replace asks for a new certificate now, whatever the old one is like: its key
// became known, or it was revoked.
func (m *Manager) Replace() {
	select {
	case m.wanted <- struct{}{}:
	default:
	}
}

// Look has the files looked at now, and what failed tried again, unless the
// authority said when: somebody changed something.
func (m *Manager) Look() {
	now := m.cfg.now()
	m.mu.Lock()
	if m.status.Error != "" && !m.limited && m.status.Next.After(now) {
		m.status.Next = now
	}
	m.mu.Unlock()
	select {
	case m.look <- struct{}{}:
	default:
	}
}

// Run gets and renews the certificate until ctx is done.
func (m *Manager) Run(ctx context.Context) {
	for ctx.Err() == nil {
		why, next := m.due()
		if why == "" {
			m.note(func(s *Status) { s.Next = next })
			if m.pause(ctx, next.Sub(m.cfg.now())) {
				m.attempt(ctx, "it was asked for")
			}
			continue
		}
		if !m.cfg.Ready() {
			if m.pause(ctx, readyInterval) {
				m.Replace() // later
			}
			continue
		}
		if next := m.Status().Next; m.failed() && m.cfg.now().Before(next) {
			if m.pause(ctx, next.Sub(m.cfg.now())) {
				m.attempt(ctx, "it was asked for")
			}
			continue
		}
		m.attempt(ctx, why)
	}
}

// pause waits, at most a minute, since the clock may be set and a file be
// deleted to have it made anew; asked says that it ended for Replace.
func (m *Manager) pause(ctx context.Context, d time.Duration) (asked bool) {
	select {
	case <-ctx.Done():
		return false
	case <-m.wanted:
		return true
	case <-m.look:
		return false
	case <-time.After(min(max(d, 10*time.Millisecond), time.Minute)):
		return false
	}
}

// failed reports whether the last attempt did.
func (m *Manager) failed() bool { return m.Status().Error != "" }

func (m *Manager) note(change func(*Status)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.status)
}

// due says why a certificate is to be got now, or when it will be.
func (m *Manager) due() (why string, next time.Time) {
	files, now := FilesIn(m.cfg.Dir), m.cfg.now()
	text, err := os.ReadFile(files.Certificate)
	if err != nil {
		return "there is none", next
	}
	if _, err := os.Stat(files.Key); err != nil {
		return "its key is gone", next
	}
	chain, err := pki.ParseChain(text)
	if err != nil {
		return "it cannot be read", next
	}
	if !fits(files.Key, chain[0]) {
		return "its key is another one", next
	}
	if missing := pki.Missing(chain[0], m.cfg.Names); len(missing) > 0 {
		return fmt.Sprintf("it is not for %v", missing), next
	}
	if at := renewal(chain[0]); now.Before(at) && !now.Before(chain[0].NotBefore) {
		return "", at
	}
	return fmt.Sprintf("it is for %s to %s", chain[0].NotBefore.UTC().Format(time.RFC3339), chain[0].NotAfter.UTC().Format(time.RFC3339)), next
}

// fits tells whether a file has the key of a certificate: a write that ended
// between the two leaves another one's.
func fits(file string, c *x509.Certificate) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	key, err := pki.ParseKey(text)
	if err != nil {
		return false
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}

// renewal returns when a certificate is renewed: after two thirds of its life,
// and up to a thirtieth later, always the same for the same one.
func renewal(c *x509.Certificate) time.Time {
	life := c.NotAfter.Sub(c.NotBefore)
	seed := c.SerialNumber.Uint64()
	jitter := time.Duration(rand.New(rand.NewPCG(seed, seed)).Int64N(int64(life/30) + 1))
	return c.NotBefore.Add(life*2/3 + jitter)
}

// attempt gets a certificate; on a failure Status.Next is when to try again.
func (m *Manager) attempt(ctx context.Context, why string) bool {
	log := m.cfg.Logger
	log.Info("getting a certificate by ACME", "directory", m.cfg.Directory, "names", m.cfg.Names, "reason", why)
	attempt, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	err := m.obtain(attempt)
	if ctx.Err() != nil {
		return false
	}
	now := m.cfg.now()
	if err == nil {
		m.wait = 0
		m.note(func(s *Status) { *s = Status{Tried: now} })
		log.Info("got a certificate by ACME", "names", m.cfg.Names)
		m.cfg.Issued()
		return true
	}
	wait := m.backOff(err)
	_, limited := limitOf(err)
	m.note(func(s *Status) {
		m.limited = limited
		*s = Status{Tried: now, Error: explain(err), Next: now.Add(wait)}
	})
	log.Error("no certificate by ACME; one that is there stays in use", "error", explain(err), "again_in", wait.Round(time.Second).String())
	return false
}

// backOff returns how long to wait after a failure.
func (m *Manager) backOff(err error) time.Duration {
	m.wait = min(max(2*m.wait, m.cfg.wait), lastWait)
	wait := m.wait + rand.N(m.wait/4+1)
	if after, ok := limitOf(err); ok {
		wait = max(wait, min(after, 24*time.Hour))
	}
	return wait
}

// limitOf tells whether the authority limits the rate, and how long to wait.
func limitOf(err error) (time.Duration, bool) {
	var e *protocol.Error
	if !errors.As(err, &e) {
		return 0, false
	}
	return protocol.RateLimit(e)
}

// explain adds to an error what can be done.
func explain(err error) string {
	text := err.Error()
	var e *protocol.Error
	var auth *protocol.AuthorizationError
	var order *protocol.OrderError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		text += ": give the authority of the ACME server in nts.acme.ca_bundle"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		text += ": the certificate of the ACME server has ended, or this host's clock is wrong"
	case errors.As(err, &auth), errors.As(err, &order):
		text += ": the authority did not see the answer to the challenge; let it reach nts.acme.listen, or see whether the hook works"
	case errors.As(err, &e):
		if _, limited := limitOf(e); limited {
			text += ": the authority limits the rate"
		} else if e.ProblemType == "urn:ietf:params:acme:error:externalAccountRequired" {
			text += ": the authority wants an external account binding (nts.acme.binding)"
		}
	}
	return text
}

// key reads a private key of the directory, or makes it.
func (m *Manager) key(path string) (signer, error) {
	text, err := statedir.ReadSecret(path)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = pki.NewKey(); err == nil {
			err = statedir.Write(path, text, statedir.Secret)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("acme: key %s: %w", path, err)
	}
	return pki.ParseKey(text)
}
