package interop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Server is what the clients of a test have in common.
type Server interface {
	// Start starts it, with the files that are in its host's scratch
	// directory. It may be started again after Stop.
	Start()
	// Stop ends it and returns when its ports are free.
	Stop()
	// Counters reads what it counted since its start, or errNoCounters.
	Counters() (Counters, error)
}

// errNoCounters is what a server says that is not ntsbridge.
var errNoCounters = errors.New("this server does not count")

// serverVariable chooses the server of the tests: ntsbridge, or standin for
// the real daemons, which proves the tests themselves.
const serverVariable = "NTSBRIDGE_INTEROP_SERVER"

// defaultServer is the server that is tested.
const defaultServer = "ntsbridge"

// Names under which the servers are known: the last one has an NTS
// certificate that has expired.
const (
	serverName  = "tick"
	ntsName     = "nts"
	expiredName = "expired"
)

// site is a network with a server that is ready to start.
type site struct {
	*Network
	Server
	host  *Host // of the server
	nts   *Host // its name and addresses for NTS
	old   *Host // the same for NTS with an expired certificate
	group Group // its IFF group
	ca    string
}

// newSite makes the server's host and all its files; autokey are further
// arguments of ntp-keygen.
func newSite(t testing.TB, autokey ...string) *site {
	t.Helper()
	n := NewNetwork(t)
	s := &site{Network: n, host: n.Host(serverName)}
	standsIn := standsIn(t)
	if standsIn {
		s.nts, s.old = n.Host(ntsName), n.Host(expiredName)
	} else {
		s.nts, s.old = n.Alias(s.host, ntsName), n.Alias(s.host, expiredName)
	}
	s.host.Write("keys", ntpKeys)
	s.host.Write("password", serverPassword+"\n")
	s.group = autokeyServer(s.host, autokey...)
	ca := newAuthority(t)
	s.ca = ca.pem()
	ca.issue(s.nts, ntsName, time.Now().Add(24*time.Hour))
	ca.issue(s.old, expiredName, time.Now().Add(-time.Hour))
	if standsIn {
		s.Server = &standIn{site: s}
	} else {
		s.Server = newBridge(s)
	}
	return s
}

// standsIn tells whether real daemons take the place of ntsbridge.
func standsIn(t testing.TB) bool {
	t.Helper()
	kind := os.Getenv(serverVariable)
	if kind == "" {
		kind = defaultServer
	}
	if kind != "ntsbridge" && kind != "standin" {
		t.Fatalf("%s=%s: want ntsbridge or standin", serverVariable, kind)
	}
	return kind == "standin"
}

// standIn is a real ntpd for everything but NTS, and beside it, on hosts
// of their own, real chronyds for NTS.
type standIn struct {
	site                   *site
	ntpd, chronyd, expired *Daemon
}

func (s *standIn) Counters() (Counters, error) { return Counters{}, errNoCounters }

func (s *standIn) Start() {
	s.ntpd = startNTPD(s.site.host)
	s.chronyd = startChronyd(s.site.nts)
	s.expired = startChronyd(s.site.old)
}

// startNTPD starts a real ntpd as server of unauthenticated, symmetric-key and
// Autokey clients on h.
func startNTPD(h *Host) *Daemon {
	h.t.Helper()
	h.Write("drift", "0.000\n")
	h.Write("ntp.conf", fmt.Sprintf(`server 127.127.1.0 prefer minpoll 3 maxpoll 3 iburst
fudge 127.127.1.0 stratum 3
keys /mnt/keys
trustedkey 1 2 3
keysdir /mnt/autokey
crypto pw %s
%s`, serverPassword, ntpdConf))
	return h.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")
}

// startChronyd starts a real chronyd for NTS on a host, with the
// certificate of its name.
func startChronyd(h *Host) *Daemon {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Join(h.Dir, "run"), 0o700); err != nil {
		h.t.Fatal(err)
	}
	h.Write("chrony.conf", fmt.Sprintf(`local stratum 3
allow all
ntsserverkey /mnt/%s.key
ntsservercert /mnt/%s.crt
ntsdumpdir /mnt/run
bindcmdaddress /mnt/run/chronyd.sock
pidfile /mnt/run/chronyd.pid
cmdport 0
`, h.Name, h.Name))
	return h.Start("chronyd", Chronyd46, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")
}

func (s *standIn) Stop() {
	s.ntpd.Stop()
	s.chronyd.Stop()
	s.expired.Stop()
}
