package config

import (
	"path"
)

// Environment is what the defaults depend on.
type Environment struct {
	Ports       bool   // ports below 1024 may be opened
	Hostname    string // name of this machine
	StateDir    string // default of state_dir, absolute
	RunDir      string // default of run_dir, absolute
	Credentials string // directory of what a service manager hands over, absolute; empty: none
}

// Resolve fills in what is empty by default: directories, files in them,
// addresses and names. Flags that override directories are set before.
func (c *Config) Resolve(e Environment) {
	port, portKE := uint16(PortNTP), uint16(PortNTSKE)
	if !e.Ports {
		port, portKE = PortNTPUser, PortNTSKEUser
	}
	c.findCredentials(e.Credentials)
	setDefault(&c.StateDir, e.StateDir)
	setDefault(&c.RunDir, e.RunDir)
	setDefault(&c.Autokey.SeedFile, path.Join(c.StateDir, "autokey.seed"))
	setDefault(&c.NTS.Cookies.SecretFile, path.Join(c.StateDir, "cookies.secret"))
	setDefault(&c.NTS.Cookies.PreviousSecretFile, path.Join(c.StateDir, "cookies.previous"))
	setDefault(&c.Control.Socket, path.Join(c.RunDir, "control.sock"))
	setDefault(&c.Control.ReadSocket, path.Join(c.RunDir, "read.sock"))
	setDefault(&c.Chronyc.Socket, path.Join(c.RunDir, "chronyd.sock"))
	setDefault(&c.Autokey.Host, e.Hostname)
	setDefault(&c.Fleet.Etcd.Name, e.Hostname)
	if len(c.NTS.Names) == 0 && e.Hostname != "" {
		c.NTS.Names = []string{e.Hostname}
	}
	c.NTS.ACME.resolve(c.NTS.Names)
	if len(c.Server.Listen) == 0 {
		for _, a := range everywhere(port) {
			c.Server.Listen = append(c.Server.Listen, Listen{AddrPort: a})
		}
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

// GeneratesKey reports whether the table of symmetric keys is one that is made
// on the first start.
func (c *Config) GeneratesKey() bool { return len(c.Keys.Files) == 0 && c.Keys.Generate }
