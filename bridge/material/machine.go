package material

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock/nic"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/netif"
	"ntsbridge/bridge/statedir"
)

// maxSocketPath is the longest path of a Unix socket, octets (unix(7), without
// the NUL).
const maxSocketPath = 107

// leastFree is how much room a state directory must have, octets.
const leastFree = 1 << 20

// Trial asks the machine for what a start needs of it, and gives it back at
// once: addresses, directories, room on the disk. Where a daemon of this
// configuration runs already, its addresses are its own. Capabilities for the
// clock are asked for by what steers it. ours tells which addresses are open
// already, for us; nil: none.
func Trial(cfg *config.Config, ours func(netip.AddrPort) bool) Findings {
	k := &trial{finder: finder{config: cfg}, running: answers(cfg.Control.Socket), ours: ours}
	k.directories()
	k.socket()
	k.listen(NoStart, "server.listen", "udp", cfg.Server.FixedAddresses())
	k.followed(cfg.Server.Listen)
	k.stamping()
	if cfg.NTS.Enabled {
		k.listen(NoStart, "nts.listen", "tcp", cfg.NTS.Listen)
	}
	k.listen(NotServed, "api.listen", "tcp", cfg.API.Listen)
	k.listen(NotServed, "page.listen", "tcp", cfg.Page.Listen)
	return k.Findings
}

// followed tells of interfaces and networks of which this host has no address.
func (k *trial) followed(listen []config.Listen) {
	for i, l := range listen {
		if l.Fixed() {
			continue
		}
		if now, err := netif.Addresses([]config.Listen{l}); err == nil && len(now) == 0 {
			k.find(NotServed, fmt.Sprintf("server.listen[%d]", i),
				"%v: this host has no such address now; it is listened on when it comes", l)
		}
	}
}

// stamping tells of interfaces without timestamps of their own, from which some
// are wanted.
func (k *trial) stamping() {
	interfaces, err := net.Interfaces()
	if err != nil {
		return
	}
	able := 0
	for i, name := range k.config.Server.HardwareTimestamps {
		path := fmt.Sprintf("server.hardware_timestamps[%d]", i)
		if name != "*" {
			if err := nic.Able(name); err != nil {
				k.find(NotServed, path, "interface %s: no hardware timestamps, those of the kernel are used: %w", name, err)
			}
			continue
		}
		var without []string
		for _, has := range interfaces {
			if err := nic.Able(has.Name); err == nil {
				able++
			} else if has.Flags&net.FlagLoopback == 0 {
				without = append(without, has.Name+": "+err.Error())
			}
		}
		if able == 0 {
			without = append([]string{"no interface has hardware timestamps, those of the kernel are used"}, without...)
		}
		if len(without) > 0 {
			k.find(Note, path, "%s", strings.Join(without, "; "))
		}
	}
}

// Running reports whether a daemon of this configuration answers.
func Running(cfg *config.Config) bool { return answers(cfg.Control.Socket) }

func answers(socket string) bool {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

type trial struct {
	finder
	running bool
	ours    func(netip.AddrPort) bool // nil: none
}

func (k *trial) directories() {
	for _, d := range []struct{ path, name string }{{"state_dir", k.config.StateDir}, {"run_dir", k.config.RunDir}} {
		if d.name == "" {
			k.find(NoStart, d.path,
				"there is no home directory for the default, and a directory for everybody is not safe; write one, or use --%s",
				strings.ReplaceAll(d.path, "_", "-"))
			continue
		}
		grade := NoStart
		if d.path == "state_dir" && statedir.Started(d.name) {
			grade = Warning // all that is of value is there
		}
		if err := statedir.CheckDir(d.name); err != nil {
			if !errors.Is(err, statedir.ErrReadOnly) {
				grade = NoStart
			}
			k.find(grade, d.path, "%v", err)
			continue
		}
		if _, err := os.Stat(d.name); errors.Is(err, os.ErrNotExist) {
			k.find(Note, d.path, "%s is not there; it will be made on first start", d.name)
			continue
		}
		var fs unix.Statfs_t
		if unix.Statfs(d.name, &fs) == nil && fs.Bavail*uint64(fs.Bsize) < leastFree && fs.Blocks > 0 {
			k.find(grade, d.path, "%s is on a file system with less than %d octets free; make room", d.name, leastFree)
		}
	}
}

// socket looks at where the control socket is to be.
func (k *trial) socket() {
	path := k.config.Control.Socket
	if len(path) > maxSocketPath {
		k.find(NoStart, "control.socket",
			"%s has %d octets, and a socket's path at most %d; choose a shorter run directory, or control.socket",
			path, len(path), maxSocketPath)
		return
	}
	if dir := filepath.Dir(path); dir != k.config.RunDir {
		if err := statedir.CheckDir(dir); err != nil {
			k.find(NoStart, "control.socket", "%v", err)
		} else if _, err := os.Stat(dir); err != nil {
			k.find(NoStart, "control.socket", "%v; make the directory", err)
		}
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket == 0 {
		k.find(NoStart, "control.socket", "%s is there and is no socket; move it away, or choose another path", path)
	}
	if k.running {
		k.find(Note, "control.socket", "a daemon answers on %s; what it has open is its own", path)
	}
}

// listen tries addresses; one that fails is of a grade.
func (k *trial) listen(grade Grade, path, network string, addresses []netip.AddrPort) {
	for i, a := range addresses {
		at := fmt.Sprintf("%s[%d]", path, i)
		if k.ours != nil && k.ours(a) {
			continue
		}
		err := Claim(network, a)
		switch {
		case err == nil:
		case errors.Is(err, syscall.EADDRINUSE) && k.running:
			k.find(Note, at, "%s port %v is in use, by the running daemon most likely", network, a)
		case errors.Is(err, syscall.EADDRINUSE):
			k.find(grade, at, "%s port %v is in use by another program; stop it (ss -lnp shows which), or choose another address",
				network, a)
		case errors.Is(err, syscall.EACCES):
			k.find(grade, at, "this user (%d) may not open %s port %v; run as root, or with CAP_NET_BIND_SERVICE as the unit file does",
				os.Geteuid(), network, a)
		case errors.Is(err, syscall.EADDRNOTAVAIL) && k.config.Server.FreeBind:
			k.find(Warning, at, "no interface of this machine has the address of %v: it is served once one has it", a)
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			k.find(grade, at, "no interface of this machine has the address of %v; see \"ip address\"", a)
		default:
			k.find(grade, at, "cannot listen: %v", err)
		}
	}
}

// Claim opens an address for nobody else, and closes it: sockets that share a
// port (SO_REUSEPORT) do not notice one another.
func Claim(network string, a netip.AddrPort) error {
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
