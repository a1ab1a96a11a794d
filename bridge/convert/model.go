package convert

import (
	"net/netip"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/symkey"
)

// model is the effective configuration: what the daemon does, whatever the
// order and repetition of lines.
type model struct {
	fixed   map[syntax.Place]string // lines that are read as they were meant
	running map[syntax.Place]string // lines that are read as the daemon reads them; what was written

	restricts *restrict.List
	rules     []restrict.Rule
	limits    restrict.Limits
	limited   bool // some rule is rate limited without kiss codes
	kod       bool // some rule is with

	listen listening

	keyFile  *syntax.Statement
	keyPath  string // name that the output uses
	keys     *symkey.File
	trusted  []syntax.Option // of the trustedkey line that counts
	trustSet symkey.TrustedSet
	trust    *syntax.Statement
	// keysRejected marks a keys file of which ntpd loads nothing.
	keysRejected bool

	autokey autokeyModel

	sources  []*source
	followed int // sources of the output that the clock can follow
	maxClock int // tos maxclock; 0: ntpd's default

	maxClockLine *syntax.Statement
	clock        clockModel

	orphanLocal  bool // chronyd's local orphan
	localStratum int  // of the LOCAL clock, as served; 0: none
	localLines   []*syntax.Statement
	orphan       *syntax.Statement
	orphanValue  int

	nts             bool // ntpsec's NTS server
	ntsCert, ntsKey string
	ntsLines        []*syntax.Statement

	dscp       *syntax.Statement
	leapFile   *syntax.Statement
	clientSize *syntax.Statement
	clients    int
}

// listening is what becomes of interface rules.
type listening struct {
	addresses []netip.AddrPort // none: all
	lines     []*syntax.Statement
}

// autokeyModel is the server's side of Autokey.
type autokeyModel struct {
	enabled                      bool
	dir, host, ident, pw, digest string
	hasPassword                  bool
	dirLine, cryptoLine          *syntax.Statement
	lines                        []*syntax.Statement // of crypto
	dead                         string              // why ntpd would not start with it
}

// source is an association.
type source struct {
	line     *syntax.Statement
	kind     string // server, pool, peer, broadcast, manycastclient, refclock
	address  string
	family   string
	key      uint32 // 0: none
	autokey  bool
	ident    string
	port     int // 0: the usual one
	nts      bool
	ca       string // certificates to trust with NTS
	certSet  int64  // chronyd's number of the certificates to trust
	ntsPort  int    // of chronyd; 0: the usual one
	minPoll  int
	maxPoll  int
	iburst   bool
	burst    bool
	prefer   bool
	trusted  bool // true
	noSelect bool
	xleave   bool
	require  bool
	version  int
	mode     int64
	ttl      int // index of ntpd's table of hops
	// dead is why the daemon never had time of it; empty: it had.
	dead string
	// left is why it is not written although the daemon had time of it.
	left string

	maxSources int // of a pool; 0: the default
	aeads      []config.AEAD
	local      netip.Addr
	presend    int // 0: never
	minStratum int
	offset     float64 // s
	asymmetry  float64
	// Limits of the delay; 0: the default.
	maxDelay, maxDelayRatio, maxDelayDevRatio float64

	refclock *refclock
	clocks   []config.ReferenceClock // of a reference clock, as written
}

// refclock is a reference clock with its fudge factors.
type refclock struct {
	driver, unit int
	name         string
	time1, time2 float64
	stratum      int // -1: the driver's
	refid        string
	flags        [5]int // 1 to 4; -1: not given
	device       string // of ntpsec's path; empty: the usual one
	lines        []*syntax.Statement
}
