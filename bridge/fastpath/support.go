package fastpath

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// needed are the capabilities that loading the program takes.
var needed = []struct {
	bit  int
	name string
}{{unix.CAP_BPF, "CAP_BPF"}, {unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {unix.CAP_PERFMON, "CAP_PERFMON"}}

// ErrNotPermitted says that the process may not load the program.
var ErrNotPermitted = errors.New("capabilities are missing")

// Capabilities are those that serving at interfaces takes at the start.
func Capabilities(at []Interface) (names []string) {
	for _, c := range needed {
		names = append(names, c.name)
	}
	if wantsSockets(at) {
		names = append(names, "CAP_NET_RAW")
	}
	return names
}

// Supported returns why this process cannot load the program: nil, or
// ErrNotPermitted with what is missing.
func Supported() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	has := func(c int) bool { return data[c/32].Effective>>(c%32)&1 != 0 }
	var missing []string
	for _, c := range needed {
		if !has(c.bit) && (c.bit == unix.CAP_NET_ADMIN || !has(unix.CAP_SYS_ADMIN)) {
			missing = append(missing, c.name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: %s; start as root, or give them to the unit (AmbientCapabilities=)", ErrNotPermitted, strings.Join(missing, ", "))
	}
	return nil
}

// explain says what an error of the kernel means here.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("the kernel does not permit it (%w); a container, or lockdown mode", err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("the driver has no XDP (%w); name the interface with /tcx", err)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return fmt.Errorf("another program is there (%w); bpftool net shows it", err)
	}
	return err
}
