package job

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/symkey"
)

// model is the effective configuration: what the daemon does, whatever the
// order and repetition of lines.
type model struct {
	Restricts *restrict.List
	Rules     []restrict.Rule
	Limits    restrict.Limits
	Limited   bool // some rule is rate limited without kiss codes
	Kod       bool // some rule is with

	Listen listening

	KeyFile  *syntax.Statement
	KeyPath  string // name that the output uses
	Keys     *symkey.File
	Trusted  []syntax.Option // of the trustedkey line that counts
	TrustSet symkey.TrustedSet
	Trust    *syntax.Statement
	// KeysRejected marks a keys file of which ntpd loads nothing.
	KeysRejected bool

	Autokey autokeyModel

	Sources  []*Source
	Hardware bool // timestamps of network cards
	Followed int  // sources of the output that the clock can follow
	MaxClock int  // tos maxclock; 0: ntpd's default

	MaxClockLine *syntax.Statement
	Clock        clockModel

	OrphanLocal  bool // chronyd's local orphan
	LocalStratum int  // of the LOCAL clock, as served; 0: none
	LocalLines   []*syntax.Statement
	Manual       *syntax.Statement // chronyd's: the clock is set by hand
	Orphan       *syntax.Statement
	OrphanValue  int

	Nts             bool // ntpsec's NTS server
	NtsCert, NtsKey string
	NtsLines        []*syntax.Statement

	SignSocket string              // of Samba's ntp_signd; empty: nobody signs
	SignLines  []*syntax.Statement // that name it

	Dscp       *syntax.Statement
	LeapFile   *syntax.Statement
	ClientSize *syntax.Statement
	Clients    int
}

// listening is what becomes of interface rules.
type listening struct {
	Addresses []config.Listen // none: all
	Unsure    bool            // a rule is not understood, and is asked about
	Lines     []*syntax.Statement
}

// autokeyModel is the server's side of Autokey.
type autokeyModel struct {
	Enabled                      bool
	Dir, Host, Ident, Pw, Digest string
	HasPassword                  bool
	DirLine, CryptoLine          *syntax.Statement
	Lines                        []*syntax.Statement // of crypto
	Dead                         string              // why ntpd would not start with it
}

// Source is an association.
type Source struct {
	Line     *syntax.Statement
	Kind     string // server, pool, peer, broadcast, manycastclient, refclock
	Address  string
	Family   string
	Key      uint32 // 0: none
	Keyed    bool   // of chronyd: a key is written
	Autokey  bool
	Ident    string
	Port     int // 0: the usual one
	Nts      bool
	Ca       string // certificates to trust with NTS
	CertSet  int64  // chronyd's number of the certificates to trust
	NtsPort  int    // of chronyd; 0: the usual one
	MinPoll  int
	MaxPoll  int
	Iburst   bool
	Burst    bool
	Prefer   bool
	Trusted  bool // true
	NoSelect bool
	Xleave   bool
	Require  bool
	Version  int
	Mode     int64
	Ttl      int // index of ntpd's table of hops
	// Dead is why the daemon never had time of it; empty: it had.
	Dead string
	// Words are the names of the options that its line has.
	Words []string
	// Trust are the files of certificates to trust with NTS; none: Ca.
	Trust []string
	// TrustLine is the line of another directive that says whom it trusts, and
	// LocalLine the one that has its own address; nil: there is none.
	TrustLine, LocalLine *syntax.Statement
	TrustLines           []*syntax.Statement
	// Revived is set if it becomes a source all the same: what the daemon shut
	// out by a mistake of its configuration was meant to be one.
	Revived bool
	// Left is why it is not written although the daemon had time of it.
	Left string

	MaxSources int // of a pool; 0: the default
	Aeads      []config.AEAD
	Local      netip.Addr
	Presend    int // 0: never
	MinStratum int
	Offset     float64 // s
	Asymmetry  float64
	// Limits of the delay; 0: the default.
	MaxDelay, MaxDelayRatio, MaxDelayDevRatio float64

	Refclock *Refclock
	Clocks   []config.ReferenceClock // of a reference clock, as written
}

// Refclock is a reference clock with its fudge factors.
type Refclock struct {
	Driver, Unit int
	Name         string
	Time1, Time2 float64
	Stratum      int // -1: the driver's
	Refid        string
	Flags        [5]int // 1 to 4; -1: not given
	Device       string // of ntpsec's path; empty: the usual one
	Lines        []*syntax.Statement
}

// clockModel is how the daemon steers the clock. The options are in the draft.
type clockModel struct {
	// Idle is why the daemon does not steer, and idleLine where that stands;
	// empty: it does, if it has sources.
	Idle     string
	IdleLine *syntax.Statement
}

// Steers reports whether the output steers the clock: the daemon did, and there
// is something to follow, or somebody sets it.
func (c *Job) Steers() bool {
	return c.Model.Clock.Idle == "" && (c.Model.Followed > 0 || c.Model.Manual != nil && c.Model.LocalStratum > 0)
}

// HostPort returns what a source asks, NTS-KE's port aside.
func (src *Source) HostPort() (host string, port int) {
	host, port = src.Address, 123
	if src.Nts {
		host, _ = NtsAddress(src.Address)
	}
	if src.Port > 0 && src.Port < 1<<16 {
		port = src.Port
	}
	return host, port
}

// NtsAddress splits HOST:PORT, which ntpsec takes with NTS.
func NtsAddress(address string) (name, port string) {
	if inside, ok := strings.CutPrefix(address, "["); ok { // of IPv6
		name, port, ok = strings.Cut(inside, "]")
		port = strings.TrimPrefix(port, ":")
		if v, err := strconv.ParseUint(port, 10, 16); err != nil || v == 0 {
			port = ""
		}
		if ok {
			return name, port
		}
		return address, ""
	}
	name, port, ok := strings.Cut(address, ":")
	v, err := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil || v == 0 {
		return address, ""
	}
	return name, port
}

// LocalDriver is the undisciplined local clock.
const LocalDriver = 1

// RefID reads a reference identifier; what is none is left out.
func RefID(text string) (id config.RefID) {
	if id.UnmarshalText([]byte(text)) != nil {
		return 0
	}
	return id
}

// ntpd's settings without a line (RFC 5905, section 11, and ntp_proto.c and
// ntp_loopfilter.c of 4.2.8p15).
const (
	DefaultStep     = 0.128 // s
	SlewOnlyStep    = 600   // s, with -x
	DefaultStepout  = 300   // s, and the least
	DefaultPanic    = 1000  // s
	DefaultDistance = 1.5   // s
	DefaultMaxClock = 10    // associations
)

// started is what the daemon's command line means.
type started struct {
	Known     bool      // the command line was seen
	PanicOnce bool      // ntpd -g
	SlewOnly  bool      // ntpd -x
	Never     string    // why the clock is not steered at all; empty: it is
	Drift     string    // -f
	Family    string    // -4 or -6
	Settings  []Setting // that are lines of ntp.conf, too
}

func (rc *Refclock) Fudge(s *syntax.Statement) {
	rc.Lines = append(rc.Lines, s)
	for _, o := range s.Options {
		switch o.Name {
		case "time1":
			rc.Time1 = o.Number()
		case "time2":
			rc.Time2 = o.Number()
		case "stratum":
			rc.Stratum = int(o.Int)
		case "refid":
			rc.Refid = o.Text[:min(len(o.Text), 4)]
		case "flag1", "flag2", "flag3", "flag4":
			rc.Flags[o.Name[4]-'0'] = int(o.Int)
		}
	}
}

// Title names a driver.
func (rc *Refclock) Title() string {
	if rc.Driver == 0 {
		return rc.Name
	}
	return fmt.Sprintf("%d (%s)", rc.Driver, rc.Name)
}

// Reference returns what all drivers have in common.
func (src *Source) Reference(driver string) config.ReferenceClock {
	rc, clock := src.Refclock, config.DefaultReferenceClock()
	clock.Driver, clock.RefID, clock.Stratum = driver, RefID(rc.Refid), max(rc.Stratum, 0)
	clock.Poll, clock.Offset = src.MinPoll, rc.Time1
	clock.Prefer, clock.NoSelect, clock.Trust = src.Prefer, src.NoSelect, src.Trusted
	return clock
}

// Limits of our poll exponents beside ntpconf.MaxPollExponent, log2 seconds.
const (
	LeastPoll        = -6
	MostRefclockPoll = 12
)

// Numbers of ntpd's drivers that have a counterpart, or nearly.
const (
	NMEADriver = 20
	PPSDriver  = 22
	ShmDriver  = 28
	GpsdDriver = 46
)

// GpsdUnit returns the unit of shared memory that gpsd has for the time of a
// receiver; the next one is for its pulse. gpsd numbers receivers in the order
// in which it is given them.
func (c *Job) GpsdUnit(src *Source) int {
	seen := make(map[string]int)
	for _, other := range c.Model.Sources {
		rc := other.Refclock
		if rc == nil || other.Dead != "" || rc.Driver != NMEADriver && rc.Driver != GpsdDriver {
			continue
		}
		device := fmt.Sprint(rc.Unit%128, rc.Device)
		if _, ok := seen[device]; !ok {
			seen[device] = len(seen)
		}
		if other == src {
			return 2 * seen[device]
		}
	}
	return 0
}
