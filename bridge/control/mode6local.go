package control

import (
	"strings"
	"sync"
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
	leap   atomic.Uint32 // that was served last
}

// Leap is told each second what is served, and records that a leap second has
// come to be announced, is no longer, or was.
func (e *SystemEvents) Leap(leap ntp.Leap, now time.Time) {
	announced := func(l ntp.Leap) bool { return l == ntp.LeapInsert || l == ntp.LeapDelete }
	if leap == ntp.LeapUnknown { // of no synchronised clock: nothing is known
		return
	}
	switch was := ntp.Leap(e.leap.Swap(uint32(leap))); {
	case announced(leap) && !announced(was):
		e.Record(EventLeapArmed)
	case announced(was) && !announced(leap) && justAfterMonth(now):
		e.Record(EventLeap)
	case announced(was) && !announced(leap):
		e.Record(EventLeapDisarmed)
	}
}

// justAfterMonth reports whether a month ended so lately that its leap second
// was only just done.
func justAfterMonth(now time.Time) bool {
	now = now.UTC()
	return now.Day() == 1 && now.Hour() == 0
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

// Last returns the last event; 0: none.
func (e *SystemEvents) Last() SystemEvent {
	_, event := e.status()
	return event
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
	// Leap is what is known of leap seconds. nil: nothing.
	Leap func() LeapTable
	// Autokey is what Autokey's server or client side shows. nil, or nil
	// variables: it is off.
	Autokey func() *AutokeySystem
	// Tracking is the report of the discipline of the clock: tc, offset,
	// frequency, sys_jitter, clk_jitter, clk_wander and mintc follow from it.
	// nil, or a nil report: there is none, and ntpq is not shown them.
	Tracking func() *Tracking
	// MinPoll is the least poll interval, log2 seconds, shown as mintc. 0: 3,
	// as ntpd.
	MinPoll uint8
	// List returns all associations. nil: there are none. The one selected as
	// SelectSystemPeer or SelectPPSPeer is shown as the system peer: peer,
	// peeradr, peermode, the source in the status word.
	List func(now ntp.Timestamp) []Association
	// Figures gathers the lists of counters. nil: there are none.
	Figures func() *Counts
	// Keys are those of requests that need one. nil: there are none, and such
	// requests are refused.
	Keys func() Authority
	// Listening returns the addresses that are listened on. nil: none.
	Listening func() []InterfaceVariables
	// Rules returns the rules of access. nil: none.
	Rules func() []RestrictionVariables
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
	}
	if l.Leap != nil {
		table := l.Leap()
		s.TAI, s.LeapSeconds, s.LeapExpire = table.TAI, table.Last, table.Expire
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
		s.Autokey = l.Autokey()
	}
	if l.Figures != nil {
		s.Counts = sync.OnceValue(l.Figures)
	}
	l.addDiscipline(now, s, clock.Synchronised())
	return s
}

// Authority implements QuerySource.
func (l *LocalSource) Authority() Authority { return called(l.Keys) }

// Interfaces implements QuerySource.
func (l *LocalSource) Interfaces() []InterfaceVariables { return called(l.Listening) }

// Restrictions implements QuerySource.
func (l *LocalSource) Restrictions() []RestrictionVariables { return called(l.Rules) }

// called is what a function returns that may be missing.
func called[T any](f func() T) (v T) {
	if f != nil {
		v = f()
	}
	return v
}

// addDiscipline fills in what the clock follows, and how.
func (l *LocalSource) addDiscipline(now ntp.Timestamp, s *SystemVariables, synchronised bool) {
	var jitter time.Duration
	if peer := systemPeer(l.Associations(now)); peer != nil && synchronised {
		s.Peer, s.PeerAddress, s.PeerMode = peer.ID, peer.Source, peer.HostMode
		s.Status.Source = peer.clockSource()
		jitter = peer.Jitter
	}
	if l.Tracking == nil {
		return
	}
	t := l.Tracking()
	if t == nil {
		return
	}
	s.Discipline = t.discipline()
	if jitter != 0 {
		s.Discipline.SystemJitter = jitter
	}
	s.Discipline.MinTimeConstant = ntpdMinPoll
	if l.MinPoll != 0 {
		s.Discipline.MinTimeConstant = l.MinPoll
	}
}

// Associations implements QuerySource.
func (l *LocalSource) Associations(now ntp.Timestamp) []Association {
	if l.List == nil {
		return nil
	}
	return l.List(now)
}

// ShowAutokeyServer returns how an Autokey server is shown: its status word,
// the time of its last signatures (NTP seconds, 0: none), and its key set.
func ShowAutokeyServer(status autokey.Status, updated uint32, host *keyfile.Host, digest autokey.Digest) *AutokeySystem {
	return &AutokeySystem{Host: host.Name, Flags: uint32(status), Update: updated,
		Digest:       strings.ToLower(digest.String()), // OpenSSL's long name
		Signature:    host.NID().String(),
		Certificates: []CertificateVariables{ShowCertificate(host.Certificate, 0)}}
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
