package control

import (
	"strings"
	"sync/atomic"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// SystemEvents keeps the last event of the system status word. The zero value has
// none. It is safe for concurrent use.
type SystemEvents struct {
	packed atomic.Uint32 // count above 8 bits of code
}

// Record records an event. As with ntpd the count is that of the last event
// in a row, and stops at 15.
func (e *SystemEvents) Record(event SystemEvent) {
	for {
		old := e.packed.Load()
		count := uint32(1)
		if SystemEvent(old) == event {
			count = min(old>>8+1, 15)
		}
		if e.packed.CompareAndSwap(old, count<<8|uint32(event)) {
			return
		}
	}
}

// status returns count and code.
func (e *SystemEvents) status() (count uint8, event SystemEvent) {
	v := e.packed.Load()
	return uint8(v >> 8), SystemEvent(v)
}

// LocalSource is the QuerySource of a running server.
type LocalSource struct {
	Version   string // of the program
	Processor string
	OS        string // name and release
	// ClockSource is what the served clock follows while it is synchronised.
	ClockSource ClockSource
	// ReferenceClock says that the reference identifier is letters.
	ReferenceClock bool
	Events         *SystemEvents // nil: none
	Leap           LeapTable
	Autokey        *AutokeyServer // nil: off
	// Tracking is the report of the discipline of the clock: tc, offset,
	// frequency, sys_jitter, clk_jitter, clk_wander and mintc follow from it.
	// nil, or a nil report: there is none, and ntpq is not shown them.
	Tracking func() *Tracking
	// MinPoll is the least poll interval, log2 seconds, shown as mintc. 0: 3,
	// as ntpd.
	MinPoll uint8
	// Follow changes what has been filled in so far. nil: nothing.
	Follow func(now ntp.Timestamp, s *SystemVariables)
	// List returns all associations. nil: there are none. The one selected as
	// SelectSystemPeer or SelectPPSPeer is shown as the system peer: peer,
	// peeradr, peermode, the source in the status word.
	List func(now ntp.Timestamp) []Association
}

// LeapTable is what is known of leap seconds. Zero: nothing.
type LeapTable struct {
	TAI    uint32 // TAI-UTC in seconds
	Last   uint32 // NTP seconds of the last leap second
	Expire uint32 // NTP seconds of the end of the table's validity
}

// System implements QuerySource.
func (l *LocalSource) System(now ntp.Timestamp, clock *ntp.ClockState) *SystemVariables {
	var h ntp.Header
	clock.Fill(&h, now)
	s := &SystemVariables{
		Version: l.Version, Processor: l.Processor, System: l.OS,
		Leap: h.Leap, Stratum: h.Stratum, Precision: h.Precision,
		RootDelay: h.RootDelay.Duration(), RootDispersion: h.RootDispersion.Duration(),
		ReferenceID: h.ReferenceID, ReferenceClock: l.ReferenceClock, Reference: h.Reference, Clock: now,
		TAI: l.Leap.TAI, LeapSeconds: l.Leap.Last, LeapExpire: l.Leap.Expire,
	}
	if clock.Synchronised() {
		s.Status.Source = l.ClockSource
	} else {
		s.Stratum = ntp.StratumUnsynchronised
		if s.ReferenceID == 0 {
			s.ReferenceID = ntp.KissCode("INIT") // as ntpd shows it
		}
	}
	if l.Events != nil {
		s.Status.EventCount, s.Status.Event = l.Events.status()
	}
	if l.Autokey != nil {
		s.Autokey = l.Autokey.variables()
	}
	l.follow(now, s, clock.Synchronised())
	if l.Follow != nil {
		l.Follow(now, s)
	}
	return s
}

// Associations implements QuerySource.
func (l *LocalSource) Associations(now ntp.Timestamp) []Association {
	if l.List == nil {
		return nil
	}
	return l.List(now)
}

// AutokeyServer shows an Autokey server.
type AutokeyServer struct {
	Server *autokey.Server
	Host   *keyfile.Host
	Ident  string // own group as a client, ntp.conf's "ident"; empty: none
	Digest autokey.Digest
	// Cached returns the certificates of the cache beside our own, newest
	// first. nil: there are none.
	Cached func() []CertificateVariables
}

func (a *AutokeyServer) variables() *AutokeySystem {
	s := &AutokeySystem{
		Host: a.Host.Name, Ident: a.Ident, Flags: uint32(a.Server.Status()),
		Digest:    strings.ToLower(a.Digest.String()), // OpenSSL's long name
		Signature: a.Host.NID().String(), Update: a.Server.Updated(),
	}
	if a.Cached != nil {
		s.Certificates = a.Cached()
	}
	s.Certificates = append(s.Certificates, ShowCertificate(a.Host.Certificate, 0))
	return s
}

// ShowCertificate returns how a certificate of the cache is shown. more are
// the flags that do not follow from the certificate: CertSign, CertValid.
func ShowCertificate(c *keyfile.Certificate, more CertificateFlags) CertificateVariables {
	if c.Trusted {
		more |= CertTrust
	}
	if c.Private {
		more |= CertPriv
	}
	return CertificateVariables{Subject: c.Subject, Issuer: c.Issuer, Flags: more, Until: c.NotAfter.Truncate(time.Minute)}
}
