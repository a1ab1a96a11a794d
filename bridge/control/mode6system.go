package control

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	mode6 "github.com/facebook/time/ntp/control"

	"ntsbridge/bridge/ntp"
)

// ClockSource says what a clock follows, in the system status word (RFC 9327,
// section 3.1).
type ClockSource uint8

// The sources, with ntpd's numbers.
const (
	SourceUnspecified ClockSource = 0
	SourcePPS         ClockSource = 1
	SourceUHF         ClockSource = 4 // what ntpd says of its drivers for SHM and GPS
	SourceLocal       ClockSource = 5 // the clock itself
	SourceNTP         ClockSource = 6
	SourceOther       ClockSource = 7 // ntpd: UDP/TIME; here another program
)

// SystemEvent is a code of the system status word (RFC 9327, section 3.1).
type SystemEvent uint8

// The events that are recorded here, with ntpd's numbers.
const (
	EventUnspecified   SystemEvent = 0
	EventFrequencyMode SystemEvent = 4
	EventClockSync     SystemEvent = 5 // the clock has become synchronised
	EventRestart       SystemEvent = 6
	EventNoSystemPeer  SystemEvent = 8 // it has no longer anything to follow
	EventLeapArmed     SystemEvent = 9
	EventLeapDisarmed  SystemEvent = 10
	EventLeap          SystemEvent = 11
	EventClockStep     SystemEvent = 12
)

// SystemStatus is the system status word without the leap indicator.
type SystemStatus struct {
	Source     ClockSource
	EventCount uint8 // 0 to 15
	Event      SystemEvent
}

func (s SystemStatus) word(leap ntp.Leap) uint16 {
	ssw := mode6.SystemStatusWord{LI: uint8(leap), ClockSource: uint8(s.Source),
		SystemEventCounter: s.EventCount & 15, SystemEventCode: uint8(s.Event) & 15}
	return ssw.Word()
}

// SystemVariables are what ntpq shows by "rv 0" and "sysinfo", with ntpd's
// names in comments where they differ.
type SystemVariables struct {
	Status    SystemStatus
	Version   string
	Processor string
	System    string // name and release

	Leap           ntp.Leap
	Stratum        uint8 // 1 to 16
	Precision      int8  // log2 seconds
	RootDelay      time.Duration
	RootDispersion time.Duration
	ReferenceID    uint32
	ReferenceClock bool          // the identifier is letters at any stratum
	Reference      ntp.Timestamp // reftime
	Clock          ntp.Timestamp // now

	Peer        uint16         // association that is followed, 0: none
	PeerAddress netip.AddrPort // of it
	PeerMode    ntp.Mode       // of it: our mode

	Discipline *Discipline // nil: the clock is another program's

	TAI         uint32 // TAI-UTC in seconds, 0: not known
	LeapSeconds uint32 // NTP seconds of the last leap second, 0: not known (leapsec)
	LeapExpire  uint32 // NTP seconds of the end of the table's validity, 0: not known (expire)

	Autokey *AutokeySystem // nil: Autokey is off

	// Counts gathers the figures of the lists of counters; nil, or nil figures:
	// there are none. It is asked at most once for each variable of an answer.
	Counts func() *Counts
}

// Discipline is what a clock discipline knows of itself.
type Discipline struct {
	TimeConstant    uint8         // log2 seconds (tc)
	MinTimeConstant uint8         // log2 seconds (mintc)
	Offset          time.Duration // what is to be added to the clock
	Frequency       float64       // correction, parts per million
	SystemJitter    time.Duration // sys_jitter
	ClockJitter     time.Duration // clk_jitter
	Wander          float64       // parts per million (clk_wander)
}

// AutokeySystem is Autokey's part of the system variables.
type AutokeySystem struct {
	Host         string
	Ident        string                 // own group as a client, empty: none
	Flags        uint32                 // own status word
	Digest       string                 // of session keys, OpenSSL's long name
	Signature    string                 // algorithm of the certificate, OpenSSL's long name
	Update       uint32                 // NTP seconds of the last signature update, 0: none
	Certificates []CertificateVariables // newest first
}

// CertificateVariables is a cached certificate.
type CertificateVariables struct {
	Subject, Issuer string
	Flags           CertificateFlags
	Until           time.Time
}

// CertificateFlags are ntpd's flags of a cached certificate.
type CertificateFlags uint8

// The flags, with the names of ntpd.
const (
	CertTrust CertificateFlags = 0x01 // trusted root
	CertSign  CertificateFlags = 0x02 // signs another one of the cache
	CertValid CertificateFlags = 0x04 // its signature was verified
	CertPriv  CertificateFlags = 0x08 // private, of scheme PC
	CertError CertificateFlags = 0x80
)

// String returns the flags as ntpq shows them.
func (f CertificateFlags) String() string { return fmt.Sprintf("0x%x", uint8(f)) }

type systemVariable = variable[SystemVariables]

// systemVariables are in the order of ntpd's table, in which they are
// answered when asked for by name.
var systemVariables = slices.Concat(systemVariablesToMintc, mruVariables, systemCountVariables, systemVariablesToAuthdelay, keyVariables,
	kernelVariables, ioVariables, systemVariablesToEnd, ntpsecVariables())

var systemVariablesToMintc = []systemVariable{
	{"leap", func(w *queryWriter, n string, s *SystemVariables) { w.uint(n, uint64(s.Leap)) }},
	{"stratum", func(w *queryWriter, n string, s *SystemVariables) { w.uint(n, uint64(s.Stratum)) }},
	{"precision", func(w *queryWriter, n string, s *SystemVariables) { w.int(n, int64(s.Precision)) }},
	{"rootdelay", func(w *queryWriter, n string, s *SystemVariables) { w.millis(n, s.RootDelay, 3) }},
	{"rootdisp", func(w *queryWriter, n string, s *SystemVariables) { w.millis(n, s.RootDispersion, 3) }},
	{"refid", func(w *queryWriter, n string, s *SystemVariables) {
		w.refID(n, s.ReferenceID, s.Stratum, s.ReferenceClock)
	}},
	{"reftime", func(w *queryWriter, n string, s *SystemVariables) { w.timestamp(n, s.Reference) }},
	{"tc", disciplined(func(w *queryWriter, n string, d *Discipline) { w.uint(n, uint64(d.TimeConstant)) })},
	{"peer", func(w *queryWriter, n string, s *SystemVariables) { w.uint(n, uint64(s.Peer)) }},
	{"offset", disciplined(func(w *queryWriter, n string, d *Discipline) { w.millis(n, d.Offset, 6) })},
	{"frequency", disciplined(func(w *queryWriter, n string, d *Discipline) { w.raw(n, formatPPM(d.Frequency)) })},
	{"sys_jitter", disciplined(func(w *queryWriter, n string, d *Discipline) { w.millis(n, d.SystemJitter, 6) })},
	{"clk_jitter", disciplined(func(w *queryWriter, n string, d *Discipline) { w.millis(n, d.ClockJitter, 3) })},
	{"clock", func(w *queryWriter, n string, s *SystemVariables) { w.timestamp(n, s.Clock) }},
	{"processor", func(w *queryWriter, n string, s *SystemVariables) { w.quoted(n, s.Processor) }},
	{"system", func(w *queryWriter, n string, s *SystemVariables) { w.quoted(n, s.System) }},
	{"version", func(w *queryWriter, n string, s *SystemVariables) { w.quoted(n, s.Version) }},
	{"clk_wander", disciplined(func(w *queryWriter, n string, d *Discipline) { w.raw(n, formatPPM(d.Wander)) })},
	{"sys_var_list", nil},
	{"tai", func(w *queryWriter, n string, s *SystemVariables) {
		if s.TAI != 0 {
			w.uint(n, uint64(s.TAI))
		}
	}},
	{"leapsec", func(w *queryWriter, n string, s *SystemVariables) { putStamp(w, n, s.LeapSeconds) }},
	{"expire", func(w *queryWriter, n string, s *SystemVariables) { putStamp(w, n, s.LeapExpire) }},
	{"mintc", disciplined(func(w *queryWriter, n string, d *Discipline) { w.uint(n, uint64(d.MinTimeConstant)) })},
}

var systemVariablesToAuthdelay = []systemVariable{
	{"peeradr", func(w *queryWriter, n string, s *SystemVariables) {
		if !s.PeerAddress.IsValid() {
			w.raw(n, "0.0.0.0:0")
			return
		}
		w.raw(n, s.PeerAddress.String())
	}},
	{"peermode", func(w *queryWriter, n string, s *SystemVariables) { w.uint(n, uint64(s.PeerMode)) }},
	{"bcastdelay", noValue[SystemVariables]},
	{"authdelay", func(w *queryWriter, n string, _ *SystemVariables) { w.millis(n, 0, 3) }}, // a MAC's time is in the timestamps
}

var systemVariablesToEnd = []systemVariable{
	{"fuzz", noValue[SystemVariables]},
	{"clk_wander_threshold", noValue[SystemVariables]},
	{"leapsmearinterval", noValue[SystemVariables]},
	{"leapsmearoffset", noValue[SystemVariables]},
	{"flags", ofAutokey(func(w *queryWriter, n string, a *AutokeySystem) { w.hex(n, uint64(a.Flags)) })},
	{"host", ofAutokey(func(w *queryWriter, n string, a *AutokeySystem) { w.quoted(n, a.Host) })},
	{"update", ofAutokey(func(w *queryWriter, n string, a *AutokeySystem) { putStamp(w, n, a.Update) })},
	{"cert", ofAutokey(func(w *queryWriter, n string, a *AutokeySystem) { putCertificates(w, n, a) })},
	{"signature", ofAutokey(func(w *queryWriter, n string, a *AutokeySystem) { w.quoted(n, a.Signature) })},
	{"until", noValue[SystemVariables]}, // comes with cert
	{"ident", ofAutokey(func(w *queryWriter, n string, a *AutokeySystem) {
		if a.Ident != "" {
			w.quoted(n, a.Ident)
		}
	})},
	{"digest", ofAutokey(func(w *queryWriter, n string, a *AutokeySystem) { w.quoted(n, a.Digest) })},
}

// defaultSystemVariables are those of "rv 0".
var defaultSystemVariables = pick(systemVariables,
	"version", "processor", "system", "leap", "stratum", "precision", "rootdelay", "rootdisp", "refid",
	"reftime", "clock", "peer", "tc", "mintc", "offset", "frequency", "sys_jitter", "clk_jitter",
	"clk_wander", "tai", "leapsec", "expire",
	"host", "ident", "flags", "digest", "signature", "update", "cert")

func init() {
	systemVariables[indexVariable(systemVariables, "sys_var_list")].put = func(w *queryWriter, n string, _ *SystemVariables) {
		w.quotedList(n, listed(n, systemVariables))
	}
}

// disciplined makes a variable of one that there is only with a discipline.
func disciplined(put func(*queryWriter, string, *Discipline)) func(*queryWriter, string, *SystemVariables) {
	return func(w *queryWriter, n string, s *SystemVariables) {
		if s.Discipline != nil {
			put(w, n, s.Discipline)
		}
	}
}

// ofAutokey makes a variable of one that there is only with Autokey.
func ofAutokey(put func(*queryWriter, string, *AutokeySystem)) func(*queryWriter, string, *SystemVariables) {
	return func(w *queryWriter, n string, s *SystemVariables) {
		if s.Autokey != nil {
			put(w, n, s.Autokey)
		}
	}
}

func putStamp(w *queryWriter, name string, seconds uint32) {
	if seconds != 0 {
		w.dateNTP(name, seconds)
	}
}

func putCertificates(w *queryWriter, name string, a *AutokeySystem) {
	for i := range a.Certificates {
		c := &a.Certificates[i]
		w.quoted(name, c.Subject+" "+c.Issuer+" "+c.Flags.String())
		w.date("until", c.Until)
	}
}
