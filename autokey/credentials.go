package autokey

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// CertFlags are the flags of a cached certificate, as ntpq shows them behind
// its names.
type CertFlags uint8

// The flags of a certificate, with the names of ntpd.
const (
	CertTrust CertFlags = 0x01 // marked as trusted (TRUST)
	CertSign  CertFlags = 0x02 // the signature on it verifies with its issuer's key (SIGN)
	CertValid CertFlags = 0x04 // came from another host and was accepted (VALID)
	CertPriv  CertFlags = 0x08 // marked as private (PRIV)
)

// CertificateEntry is one certificate in the cache of a host.
type CertificateEntry struct {
	CachedCertificate
	Flags CertFlags
}

// String returns the entry as ntpq shows it under cert: subject, issuer and
// flags.
func (e CertificateEntry) String() string {
	return fmt.Sprintf("%s %s %#x", e.Certificate.Subject, e.Certificate.Issuer, uint8(e.Flags))
}

// maxCachedCertificates bounds the cache of a host. A host with a dozen
// servers, each with a trail of its own, has about thirty.
const maxCachedCertificates = 64

// Credentials are what all associations of one host share: the key set, the
// certificates received, the leap second values, and the time of the last
// signature update. They are safe for concurrent use.
type Credentials struct {
	host *keyfile.Host
	rand io.Reader

	mu         sync.Mutex
	updated    uint32             // NTP seconds; 0: never synchronised
	list       []CertificateEntry // newest first; the host's own is never removed
	leap       LeapValues
	generation uint64
}

// NewCredentials returns the credentials of a host. rand is for all that its
// associations roll and for signatures; it must be safe for concurrent use, as
// crypto/rand.Reader is.
func NewCredentials(h *keyfile.Host, rand io.Reader) (*Credentials, error) {
	cfg := Config{Host: h, Budget: Unbounded{}} // as for a server without clients
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Credentials{host: h, rand: rand}
	own := CertificateEntry{CachedCertificate: CachedCertificate{h.Certificate, h.CertificateFilestamp}}
	if h.Certificate.Trusted {
		own.Flags |= CertTrust
	}
	if h.Certificate.Private {
		own.Flags |= CertPriv
	}
	c.list = []CertificateEntry{own}
	if _, err := c.sign([]byte("test")); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return c, nil
}

// Format hides the keys, whatever the verb.
func (c *Credentials) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "credentials(%q %v)", c.host.Name, c.Status())
}

// Name returns the host name, with the group.
func (c *Credentials) Name() string { return c.host.Name }

// Signature returns the algorithm of the host's signatures.
func (c *Credentials) Signature() keyfile.NID { return c.host.NID() }

// Status returns the status word that the host sends.
func (c *Credentials) Status() Status { return hostStatus(c.host, c.Updated() != 0) }

// Updated returns the time of the last signature update in NTP seconds, 0 if
// there was none; ntpq shows it as "update".
func (c *Credentials) Updated() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.updated
}

// SignatureUpdate notes that the host's values are signed at time now. The
// owner of the clock calls it when the clock is first synchronised; when
// certificates or leap second values come, the associations do.
func (c *Credentials) SignatureUpdate(now ntp.Timestamp) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.updated = stamp(now)
}

// Certificates returns the certificates as ntpq lists them, the newest first.
func (c *Credentials) Certificates() []CertificateEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list)
}

// Leap returns the newest leap second values received.
func (c *Credentials) Leap() LeapValues {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leap
}

// Generation counts the changes of certificates and leap second values, so
// that the owner of a Server can tell when to call Server.SetCache.
func (c *Credentials) Generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.generation
}

// Cache returns the certificates of other hosts, and the host's own signed by
// others, for a Server to give out. The newest come first.
func (c *Credentials) Cache() []CachedCertificate {
	var cache []CachedCertificate
	for _, e := range c.Certificates() {
		if e.Flags&CertValid != 0 {
			cache = append(cache, e.CachedCertificate)
		}
	}
	return cache
}

// install puts certificates into the cache. Of two with the same subject and
// issuer the one with the later filestamp stays, of equal ones the old.
func (c *Credentials) install(m Moment, entries ...CertificateEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := false
	for _, e := range entries {
		changed = c.installOne(e) || changed
	}
	if !changed {
		return
	}
	c.generation++
	if m.Synchronised {
		c.updated = stamp(m.Time)
	}
}

func (c *Credentials) installOne(e CertificateEntry) bool {
	i := slices.IndexFunc(c.list, func(old CertificateEntry) bool { return old.sameNames(e.Certificate) })
	if i >= 0 {
		old := &c.list[i]
		if old.Flags&CertValid == 0 { // our own: nobody replaces it
			return false
		}
		if e.Filestamp <= old.Filestamp {
			old.Flags |= e.Flags
			return false
		}
		c.list = slices.Delete(c.list, i, i+1)
	}
	c.list = slices.Insert(c.list, 0, e)
	if len(c.list) > maxCachedCertificates {
		// The last but one or the last: our own stays.
		last := len(c.list) - 1
		if c.list[last].Flags&CertValid == 0 {
			last--
		}
		c.list = slices.Delete(c.list, last, last+1)
	}
	return true
}

func (e *CertificateEntry) sameNames(c *keyfile.Certificate) bool {
	return e.Certificate.Subject == c.Subject && e.Certificate.Issuer == c.Issuer
}

// setLeap takes over leap second values of a server, if they are newer. ntpd
// lets the TAI offset only grow.
func (c *Credentials) setLeap(m Moment, v LeapValues) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.LastLeap < c.leap.LastLeap || v == c.leap || v.TAIOffset < c.leap.TAIOffset {
		return
	}
	c.leap = v
	c.generation++
	if m.Synchronised {
		c.updated = stamp(m.Time)
	}
}

// sign signs octets with the host's sign key.
func (c *Credentials) sign(message []byte) ([]byte, error) {
	return keyfile.Sign(c.rand, c.host.Signer(), c.host.NID(), message)
}

// private reports whether the host is in PC mode.
func (c *Credentials) private() bool { return c.host.Certificate.Private }

// canSign reports whether the host's own certificate is valid, without which
// no server is asked to sign it.
func (c *Credentials) certificateValid(now ntp.Timestamp) bool {
	own := c.host.Certificate
	return own.ValidAt(now.Time(own.NotBefore).Truncate(time.Second))
}

// Moment is when something happens, by the clocks of the host.
type Moment struct {
	// Time is the wall clock.
	Time ntp.Timestamp
	// Uptime is a clock that nobody sets, from any start.
	Uptime time.Duration
	// Synchronised says that the wall clock is; else nothing is signed and
	// dated.
	Synchronised bool
}

// timestamp returns the seconds for a message: 0 without synchronisation.
func (m Moment) timestamp() uint32 {
	if !m.Synchronised {
		return 0
	}
	return stamp(m.Time)
}
