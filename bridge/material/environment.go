package material

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/config"
)

// CurrentEnvironment returns that of this process: the directories that a
// service manager gives it, those of the system for root, and else those of
// the user (XDG Base Directory Specification). A user without a home directory
// has none: one below /tmp could be somebody else's.
func CurrentEnvironment() config.Environment {
	e := config.Environment{Ports: mayOpenLowPorts()}
	e.Hostname, _ = os.Hostname()
	e.StateDir, e.RunDir = "/var/lib/ntsbridge", "/run/ntsbridge"
	if os.Geteuid() != 0 {
		state := userStateHome()
		e.StateDir, e.RunDir = below(state), below(absoluteOr(os.Getenv("XDG_RUNTIME_DIR"), state))
	}
	e.StateDir = absoluteOr(os.Getenv("STATE_DIRECTORY"), e.StateDir)
	e.RunDir = absoluteOr(os.Getenv("RUNTIME_DIRECTORY"), e.RunDir)
	return e
}

// below returns our directory in another one, nothing if there is none.
func below(dir string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, "ntsbridge")
}

func userStateHome() string {
	var local string
	if home, err := os.UserHomeDir(); err == nil && filepath.IsAbs(home) && home != "/" {
		local = filepath.Join(home, ".local", "state")
	}
	return absoluteOr(os.Getenv("XDG_STATE_HOME"), local)
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
