package interop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ntsbridge/bridge/needs"
)

// Environment variables.
const (
	peersVariable   = "NTSBRIDGE_PEERS"           // folder with the daemons; default .peers at the top of the repository
	requireVariable = "NTSBRIDGE_REQUIRE_INTEROP" // 1: fail where a test would be skipped
)

// Suites are the roots that peers.sh makes.
const (
	Bullseye   = "bullseye"
	Bookworm   = "bookworm"
	Trixie     = "trixie"
	Forky      = "forky"
	Simple     = "bullseye-simple"
	Python     = "trixie-python"
	Samba      = "bookworm-samba"
	Timesync   = "bookworm-timesync"
	Monitoring = "bookworm-monitoring"
	EtcdRoot   = "trixie-etcd"
)

// Program is an executable of a root, or of the machine.
type Program struct {
	Root      string // a suite; empty is the machine itself
	Path      string // full path in the root
	FakeClock bool   // pretend to set the clock: it ends itself when refused
	SetsClock bool   // may set the machine's clock: for a holder of a RealClock only
	Dir       string // working directory below the scratch directory
	User      int    // number of the user and of the group it runs as; 0 is root
}

// The real programs.
var (
	NTPD       = Program{Root: Bullseye, Path: "/usr/sbin/ntpd"}
	NTPKeygen  = Program{Root: Bullseye, Path: "/usr/sbin/ntp-keygen"}
	NTPQ       = Program{Root: Bullseye, Path: "/usr/bin/ntpq"}
	Chronyd43  = Program{Root: Bookworm, Path: "/usr/sbin/chronyd"}
	Chronyd46  = Program{Root: Trixie, Path: "/usr/sbin/chronyd"}
	Chronyd49  = Program{Root: Forky, Path: "/usr/sbin/chronyd"} // or later
	NTPDRS     = Program{Root: Trixie, Path: "/usr/bin/ntp-daemon", FakeClock: true}
	NTPDRSCtl  = Program{Root: Trixie, Path: "/usr/bin/ntp-ctl"}
	NTPsecNTPD = Program{Root: Trixie, Path: "/usr/sbin/ntpd"}
	OpenNTPD   = Program{Root: Simple, Path: "/usr/sbin/openntpd", FakeClock: true}
	SNTP       = Program{Root: Simple, Path: "/usr/bin/sntp"}
	NTPDig     = Program{Root: Python, Path: "/usr/bin/ntpdig"}
	NTPsecNTPQ = Program{Root: Python, Path: "/usr/bin/ntpq"}
	NTPMon     = Program{Root: Python, Path: "/usr/bin/ntpmon"}
	// As root it would give up all rights but that to set the clock, and end
	// itself without that one.
	Timesyncd = Program{Root: Timesync, Path: "/lib/systemd/systemd-timesyncd", FakeClock: true, User: 123}
	CheckPeer = Program{Root: Monitoring, Path: "/usr/lib/nagios/plugins/check_ntp_peer"}
	SambaDC   = Program{Root: Samba, Path: "/usr/sbin/samba"}
	SambaTool = Program{Root: Samba, Path: "/usr/bin/samba-tool"}
)

// chronyc returns the client that belongs to a chronyd.
func chronyc(chronyd Program) Program {
	return Program{Root: chronyd.Root, Path: "/usr/bin/chronyc"}
}

// Peers is the folder that peers.sh filled.
type Peers struct{ dir string }

// RequirePeers returns the daemons' folder. Without it, or without root, it
// skips the test and says loudly what to do; with NTSBRIDGE_REQUIRE_INTEROP=1
// the test fails instead.
func RequirePeers(t testing.TB) *Peers {
	t.Helper()
	p, err := findPeers()
	if err == nil && os.Geteuid() != 0 {
		err = errors.New("network namespaces need root: run the tests as root")
	}
	if err == nil {
		return p
	}
	needs.Missing(t, "%v", err)
	return nil
}

func findPeers() (*Peers, error) {
	dir := os.Getenv(peersVariable)
	if dir == "" {
		dir = filepath.Join(repository(), ".peers")
	}
	p := &Peers{dir}
	for _, root := range p.roots() {
		if _, err := os.Stat(filepath.Join(root, ".complete")); err != nil {
			return nil, fmt.Errorf("the real daemons are not in %s: run bridge/interop/peers.sh as root (make peers)", dir)
		}
	}
	return p, nil
}

func (p *Peers) root(suite string) string { return filepath.Join(p.dir, suite) }

func (p *Peers) roots() []string {
	return []string{p.root(Bullseye), p.root(Bookworm), p.root(Trixie), p.root(Forky), p.root(Simple), p.root(Python), p.root(Samba),
		p.root(Timesync), p.root(Monitoring), p.root(EtcdRoot)}
}

// repository returns the top of the repository: tests run in the directory of
// their package.
func repository() string { return filepath.Join(startedIn, "..", "..") }

// startedIn is where the program was started, before anybody goes elsewhere.
var startedIn, _ = os.Getwd()
