package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// CheckOptions is what a check depends on beside the file.
type CheckOptions struct {
	Environment Environment
	Now         time.Time // for the validity of certificates
	StateDir    string    // absolute, goes before the file; empty: does not
	RunDir      string    // the same
}

// Check reads a configuration and everything that it names, and says what
// would be served to whom. It changes nothing. What is wrong is in the report;
// the error is about a configuration file that cannot be read at all.
func Check(path string, opt CheckOptions) (*Report, error) {
	c, err := Load(path)
	k := &checker{report: Report{
		File: path, Findings: []Finding{}, UDP: []string{}, TCP: []string{}, Facts: []string{}, Served: []Served{},
	}, opt: opt}
	var problems Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			k.report.Findings = append(k.report.Findings, Finding{Failure, p})
		}
		return &k.report, nil
	}
	if err != nil {
		return nil, err
	}
	c.StateDir, c.RunDir = absoluteOr(opt.StateDir, c.StateDir), absoluteOr(opt.RunDir, c.RunDir)
	k.explicitNames = len(c.NTS.Names) > 0
	c.Resolve(opt.Environment)
	k.config = c
	k.writable("", path)
	k.directory("state_dir", c.StateDir)
	k.directory("run_dir", c.RunDir)
	k.listen()
	k.keys()
	k.sources()
	k.autokey()
	k.nts()
	k.access()
	k.clock()
	return &k.report, nil
}

// checker gathers what the parts of a check find.
type checker struct {
	config        *Config
	opt           CheckOptions
	report        Report
	explicitNames bool // nts.names is in the file
	keyTable      *symkey.Table
}

// find adds a finding about an option.
func (k *checker) find(s Severity, path, text string, args ...any) {
	line := k.config.Line(path)
	k.report.Findings = append(k.report.Findings, Finding{s, Problem{k.report.File, line, path, fmt.Sprintf(text, args...)}})
}

// findIn adds a finding about a file that an option names.
func (k *checker) findIn(s Severity, file string, line int, text string) {
	k.report.Findings = append(k.report.Findings, Finding{s, Problem{file, line, "", text}})
}

func (k *checker) fact(name, text string, args ...any) {
	k.report.Facts = append(k.report.Facts, name+": "+fmt.Sprintf(text, args...))
}

// secret checks the permissions of a file that only the daemon should read;
// ok is false if it is not there or no file.
func (k *checker) secret(path, name string) (ok bool) {
	info, ok := k.stat(path, name)
	if !ok {
		return false
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o007 != 0:
		k.find(Warning, path, "%s holds a secret and everybody can read or write it (mode %04o); chmod o= it", name, mode)
	case mode&0o070 != 0:
		k.find(Warning, path, "%s holds a secret and its group can read or write it (mode %04o); chmod g= it", name, mode)
	}
	k.writable(path, filepath.Dir(name))
	return true
}

// public checks a file that others may read but not change.
func (k *checker) public(path, name string) (ok bool) {
	if _, ok := k.stat(path, name); !ok {
		return false
	}
	k.writable(path, name)
	return true
}

func (k *checker) stat(path, name string) (os.FileInfo, bool) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		k.find(Failure, path, "%s is not there; correct the name (relative ones start at %s) or make the file",
			name, filepath.Dir(k.report.File))
	case err != nil:
		k.find(Failure, path, "%v", err)
	case !info.Mode().IsRegular():
		k.find(Failure, path, "%s is not a file", name)
	case unix.Access(name, unix.R_OK) != nil:
		k.find(Failure, path, "%s cannot be read by this user; run the check as the daemon's user, or chown the file", name)
	default:
		return info, true
	}
	return nil, false
}

// writable warns of files and directories that everybody can change.
func (k *checker) writable(path, name string) {
	info, err := os.Stat(name)
	if err == nil && info.Mode().Perm()&0o002 != 0 && info.Mode()&os.ModeSticky == 0 {
		k.find(Warning, path, "%s can be changed by everybody (mode %04o); chmod o-w it", name, info.Mode().Perm())
	}
}

// directory checks a directory that the daemon writes to.
func (k *checker) directory(path, name string) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		k.parentOf(path, name)
	case err != nil:
		k.find(Failure, path, "%v", err)
	case !info.IsDir():
		k.find(Failure, path, "%s is not a directory", name)
	case unix.Access(name, unix.W_OK|unix.X_OK) != nil:
		k.find(Warning, path, "%s cannot be written by this user; run the check as the daemon's user, or chown it", name)
	default:
		k.writable(path, name)
	}
}

// parentOf checks that a directory which is not there can be made.
func (k *checker) parentOf(path, name string) {
	for dir := filepath.Dir(name); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, os.ErrNotExist) && dir != filepath.Dir(dir):
			continue
		case err == nil && info.IsDir() && unix.Access(dir, unix.W_OK|unix.X_OK) == nil:
			k.find(Note, path, "%s is not there; it will be made on first start", name)
		default:
			k.find(Warning, path, "%s is not there and this user cannot make it; make it, or run the check as the daemon's user", name)
		}
		return
	}
}

// generated checks a secret that is made on first start; size is its least
// length in octets.
func (k *checker) generated(path, name string, size int64) {
	info, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		k.find(Note, path, "%s is not there; it will be made on first start", name)
		return
	}
	if k.secret(path, name) && info.Size() < size {
		k.find(Failure, path, "%s has %d octets, fewer than %d; restore it from a backup, or delete it to have a new one made "+
			"(clients then start anew)", name, info.Size(), size)
	}
}

// listen tries the addresses.
func (k *checker) listen() {
	k.tryAll("server.listen", "udp", k.config.Server.Listen, &k.report.UDP)
	if k.config.NTS.Enabled {
		k.tryAll("nts.listen", "tcp", k.config.NTS.Listen, &k.report.TCP)
	}
}

func (k *checker) tryAll(path, network string, addresses []netip.AddrPort, list *[]string) {
	for i, a := range addresses {
		*list = append(*list, a.String())
		at := fmt.Sprintf("%s[%d]", path, i)
		switch err := try(network, a); {
		case err == nil:
		case errors.Is(err, syscall.EADDRINUSE):
			k.find(Note, at, "%s port %v is in use: by a running ntsbridge, or by a server that has to be stopped first", network, a)
		case errors.Is(err, syscall.EACCES):
			k.find(Warning, at, "this user may not open %s port %v; run as root, or with CAP_NET_BIND_SERVICE as the unit file does", network, a)
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			k.find(Failure, at, "no interface of this machine has the address of %v; see \"ip address\"", a)
		default:
			k.find(Failure, at, "cannot listen: %v", err)
		}
	}
}

// try opens and closes a socket.
func try(network string, a netip.AddrPort) error {
	network += "6"
	if a.Addr().Is4() {
		network = network[:len(network)-1] + "4"
	}
	if strings.HasPrefix(network, "udp") {
		conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(a))
		if err != nil {
			return err
		}
		return conn.Close()
	}
	l, err := net.ListenTCP(network, net.TCPAddrFromAddrPort(a))
	if err != nil {
		return err
	}
	return l.Close()
}

// clock says what time is served.
func (k *checker) clock() {
	c := &k.config.Clock
	if c.Mode == ClockDiscipline {
		k.discipline()
		return
	}
	if c.Mode == ClockLocal {
		k.report.Clock = fmt.Sprintf("system clock whatever its state, stratum %d, reference %v", c.Stratum, c.RefID)
		if c.Stratum < 5 {
			k.find(Warning, "clock.stratum", "stratum %d is claimed for a clock that nothing checks; write 10 or more", c.Stratum)
		}
		return
	}
	k.report.Clock = fmt.Sprintf("system clock while the kernel calls it synchronised (error up to %s), stratum %d, reference %v",
		formatDuration(c.MaxError), c.Stratum, c.RefID)
	if c.FallbackStratum > 0 {
		k.report.Clock += fmt.Sprintf("; otherwise as it is, stratum %d", c.FallbackStratum)
	}
}

// discipline says what the clock will follow.
func (k *checker) discipline() {
	c := &k.config.Clock
	var authenticated, others int
	for i := range k.config.Sources {
		s := &k.config.Sources[i]
		if s.NoSelect {
			continue
		}
		n := 1
		if s.Mode == ModePool {
			n = s.MaxSources
		}
		if s.Auth == ntp.KindSymmetric || s.Auth == ntp.KindNTS {
			authenticated += n
		} else {
			others += n
		}
	}
	clocks := len(k.config.ReferenceClocks)
	k.report.Clock = fmt.Sprintf("system clock, set and steered by this daemon: %d authenticated sources, %d others, %d reference clocks",
		authenticated, others, clocks)
	if total := authenticated + others + clocks; total < c.MinSources {
		k.find(Failure, "clock.min_sources", "%d sources must agree and there are %d; lower it, or add sources", c.MinSources, total)
	} else if total == 2 {
		k.find(Warning, "sources", "of two sources that disagree nobody can tell the wrong one: then the clock follows neither; add a third, or four")
	}
	if authenticated == 0 && clocks == 0 {
		k.find(Warning, "sources", "no source is authenticated: whoever can forge packets can set the clock; use auth: nts or a symmetric key")
	}
	if c.AuthSelect == "require" && authenticated == 0 && clocks == 0 {
		k.find(Failure, "clock.auth_select", "require needs an authenticated source, and there is none; add one, or write mix")
	}
	if c.FallbackStratum > 0 {
		k.report.Clock += fmt.Sprintf("; without them as it is, stratum %d", c.FallbackStratum)
	}
}

// kinds returns those of a rule's kinds that the configuration can answer.
func (k *checker) kinds(a *AccessRule) []string {
	c := k.config
	var kinds []string
	if a.Action == actionDeny {
		return nil
	}
	enabled := map[string]bool{
		"none": true, "symmetric": k.keyTable.Len() > 0 || c.generatesKey(),
		"autokey": c.Autokey.Enabled, "nts": c.NTS.Enabled,
	}
	for _, kind := range a.Kinds {
		if enabled[kind.String()] {
			kinds = append(kinds, kind.String())
		}
	}
	return slices.Sorted(slices.Values(kinds))
}

func (c *Config) generatesKey() bool { return len(c.Keys.Files) == 0 && c.Keys.Generate }
