package config

import (
	"net/netip"
	"os"
	"path/filepath"
)

// Environment is what the defaults depend on.
type Environment struct {
	Root       bool   // may use the well-known ports and /var/lib
	Hostname   string // name of this machine
	StateHome  string // where state directories of a user are, absolute
	RuntimeDir string // where run directories of a user are, absolute
}

// CurrentEnvironment returns that of this process.
func CurrentEnvironment() Environment {
	e := Environment{Root: os.Geteuid() == 0}
	e.Hostname, _ = os.Hostname()
	if e.StateHome = os.Getenv("XDG_STATE_HOME"); !filepath.IsAbs(e.StateHome) {
		home, err := os.UserHomeDir()
		if err != nil {
			home = os.TempDir()
		}
		e.StateHome = filepath.Join(home, ".local", "state")
	}
	if e.RuntimeDir = os.Getenv("XDG_RUNTIME_DIR"); !filepath.IsAbs(e.RuntimeDir) {
		e.RuntimeDir = e.StateHome
	}
	return e
}

// Resolve fills in what is empty by default: directories, files in them,
// addresses and names. Flags that override directories are set before.
func (c *Config) Resolve(e Environment) {
	port, portKE := uint16(PortNTP), uint16(PortNTSKE)
	state, run := "/var/lib/ntsbridge", "/run/ntsbridge"
	if !e.Root {
		port, portKE = PortNTPUser, PortNTSKEUser
		state, run = filepath.Join(e.StateHome, "ntsbridge"), filepath.Join(e.RuntimeDir, "ntsbridge")
	}
	setDefault(&c.StateDir, state)
	setDefault(&c.RunDir, run)
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
