package material

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/config"
)

// CurrentEnvironment returns that of this process: the directories that a
// service manager gives it, those of the system for root, and else those of
// the user (XDG Base Directory Specification). A user without a home directory
// has none: one below /tmp could be somebody else's. Credentials are where
// systemd puts what LoadCredential names.
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
	e.Credentials = absoluteOr(os.Getenv("CREDENTIALS_DIRECTORY"), "")
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

// WhyHighPorts says why the ports above 1024 are the default: what is missing,
// and how to give it.
func WhyHighPorts() string {
	if os.Geteuid() == 0 {
		return "this process is root without the capability CAP_NET_BIND_SERVICE, as in a container that drops it: give it " +
			"(docker and podman: --cap-add NET_BIND_SERVICE), or name addresses in server.listen and nts.listen"
	}
	return fmt.Sprintf("this process (user %d) may not open ports below 1024: start it as root or with the capability CAP_NET_BIND_SERVICE, "+
		"as the unit file does, or name addresses in server.listen and nts.listen", os.Geteuid())
}

// mayOpenLowPorts reports whether the process has CAP_NET_BIND_SERVICE, or its
// network namespace lets everybody have NTP's port, as docker's do.
func mayOpenLowPorts() bool {
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err == nil {
		if first, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil && first <= config.PortNTP {
			return true
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return os.Geteuid() == 0
	}
	return data[0].Effective&(1<<unix.CAP_NET_BIND_SERVICE) != 0
}
