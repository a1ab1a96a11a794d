package config

import (
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Environment is what the defaults depend on.
type Environment struct {
	Ports    bool   // ports below 1024 may be opened
	Hostname string // name of this machine
	StateDir string // default of state_dir, absolute
	RunDir   string // default of run_dir, absolute
}

// CurrentEnvironment returns that of this process: the directories that a
// service manager gives it, those of the system for root, and else those of
// the user (XDG Base Directory Specification).
func CurrentEnvironment() Environment {
	e := Environment{Ports: mayOpenLowPorts()}
	e.Hostname, _ = os.Hostname()
	e.StateDir, e.RunDir = "/var/lib/ntsbridge", "/run/ntsbridge"
	if os.Geteuid() != 0 {
		e.StateDir = filepath.Join(userStateHome(), "ntsbridge")
		e.RunDir = filepath.Join(absoluteOr(os.Getenv("XDG_RUNTIME_DIR"), userStateHome()), "ntsbridge")
	}
	e.StateDir = absoluteOr(os.Getenv("STATE_DIRECTORY"), e.StateDir)
	e.RunDir = absoluteOr(os.Getenv("RUNTIME_DIRECTORY"), e.RunDir)
	return e
}

func userStateHome() string {
	home, err := os.UserHomeDir()
	if err != nil {
		home = os.TempDir()
	}
	return absoluteOr(os.Getenv("XDG_STATE_HOME"), filepath.Join(home, ".local", "state"))
}

func absoluteOr(path, other string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return other
}

// mayOpenLowPorts reports whether the process has CAP_NET_BIND_SERVICE.
func mayOpenLowPorts() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return os.Geteuid() == 0
	}
	return data[0].Effective&(1<<unix.CAP_NET_BIND_SERVICE) != 0
}

// Resolve fills in what is empty by default: directories, files in them,
// addresses and names. Flags that override directories are set before.
func (c *Config) Resolve(e Environment) {
	port, portKE := uint16(PortNTP), uint16(PortNTSKE)
	if !e.Ports {
		port, portKE = PortNTPUser, PortNTSKEUser
	}
	setDefault(&c.StateDir, e.StateDir)
	setDefault(&c.RunDir, e.RunDir)
	setDefault(&c.Autokey.SeedFile, filepath.Join(c.StateDir, "autokey.seed"))
	setDefault(&c.NTS.Cookies.SecretFile, filepath.Join(c.StateDir, "cookies.secret"))
	setDefault(&c.Control.Socket, filepath.Join(c.RunDir, "control.sock"))
	setDefault(&c.Autokey.Host, e.Hostname)
	if len(c.NTS.Names) == 0 && e.Hostname != "" {
		c.NTS.Names = []string{e.Hostname}
	}
	if len(c.Server.Listen) == 0 {
		c.Server.Listen = everywhere(port)
	}
	if len(c.NTS.Listen) == 0 {
		c.NTS.Listen = everywhere(portKE)
	}
}

func setDefault(option *string, value string) {
	if *option == "" {
		*option = value
	}
}

func everywhere(port uint16) []netip.AddrPort {
	return []netip.AddrPort{
		netip.AddrPortFrom(netip.IPv6Unspecified(), port),
		netip.AddrPortFrom(netip.IPv4Unspecified(), port),
	}
}
