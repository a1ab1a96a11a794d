package confine

import (
	"os"
	"path/filepath"
	"slices"

	"ntsbridge/bridge/config"
)

// Plan is what a process keeps.
type Plan struct {
	User  string // to become; empty: the one it is
	Clock bool   // may set the system clock
	Alone bool   // opens no port, and no file of others
	// Network may configure network interfaces: hardware timestamps.
	Network bool
	// Programs may go on to use those of BPF that a start has loaded.
	Programs bool
	Sandbox  string // SandboxOff, SandboxLog or SandboxEnforce
	Read     []string
	Write    []string // directories
}

// systemFiles are what the resolver, TLS, the time zone and the looks at other
// daemons read.
var systemFiles = []string{"/etc", "/usr/share/zoneinfo", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
	"/usr/lib/ssl", "/usr/lib/locale", "/run/systemd", "/run/resolvconf", "/run/NetworkManager", "/run/chrony", "/proc", "/sys",
	"/var/lib/ca-certificates"}

// NewPlan returns the plan for a configuration. file is its name, empty if it
// has none; user and sandbox are the options.
func NewPlan(cfg *config.Config, file string, clock bool) Plan {
	p := Plan{User: cfg.User, Clock: clock, Sandbox: cfg.Sandbox, Read: slices.Clone(systemFiles),
		Programs: cfg.Server.Fastpath != config.FastpathOff}
	for i := range cfg.Sources {
		p.Network = p.Network || cfg.Sources[i].HardwareTimestamps
	}
	for _, name := range append(cfg.Paths(), file) {
		p.Read = append(p.Read, directoryOf(name)...)
	}
	for _, name := range []string{cfg.Control.Socket, cfg.Control.ReadSocket, cfg.Chronyc.Socket, cfg.Clock.DriftFile,
		cfg.Autokey.SeedFile, cfg.NTS.Cookies.SecretFile, cfg.NTS.Cookies.PreviousSecretFile} {
		p.Write = append(p.Write, directoryOf(name)...)
	}
	for i := range cfg.ReferenceClocks {
		p.Write = append(p.Write, directoryOf(cfg.ReferenceClocks[i].Device)...)
	}
	for _, name := range []string{cfg.StateDir, cfg.RunDir, cfg.Statistics.Dir} {
		if name != "" {
			p.Write = append(p.Write, name)
		}
	}
	slices.Sort(p.Read)
	slices.Sort(p.Write)
	p.Read, p.Write = slices.Compact(p.Read), slices.Compact(p.Write)
	return p
}

// directoryOf returns the directory that has a file, since a file is replaced
// by another one of its name; of a link also the one that it leads to.
func directoryOf(name string) []string {
	if !filepath.IsAbs(name) {
		return nil
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return []string{name}
	}
	list := []string{filepath.Dir(name)}
	if to, err := filepath.EvalSymlinks(name); err == nil {
		list = append(list, filepath.Dir(to))
	}
	return list
}

// The values of the option sandbox.
const (
	SandboxOff     = "off"
	SandboxLog     = "log"
	SandboxEnforce = "enforce"
)

// Report is what was given up.
type Report struct {
	User         string   // that the process is now, empty: as before
	Capabilities []string // that are left
	Landlock     bool
	Seccomp      bool
	Notes        []string // what could not be done, and what follows
}
