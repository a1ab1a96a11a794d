package config

import (
	"fmt"
	"slices"
	"strings"
)

// The values of server.fastpath.
const (
	FastpathOff     = "off"
	FastpathAuto    = "auto"
	FastpathRequire = "require"
)

// The modes of an interface of server.fastpath_interfaces.
const (
	FastpathTCX = "tcx"
	FastpathXDP = "xdp"
	FastpathNTS = "xdp+nts" // and NTS by AF_XDP
)

// maxInterface is the longest name of a network interface, octets.
const maxInterface = 15

// FastpathInterface returns name and mode of an element of
// server.fastpath_interfaces: NAME, NAME/tcx, NAME/xdp or NAME/xdp+nts.
func FastpathInterface(s string) (name, mode string, err error) {
	name, mode, given := strings.Cut(s, "/")
	if !given {
		mode = FastpathTCX
	}
	modes := []string{FastpathTCX, FastpathXDP, FastpathNTS}
	if name == "" || len(name) > maxInterface || strings.ContainsAny(name, " \t\n:") || !slices.Contains(modes, mode) {
		return "", "", fmt.Errorf("%.60q is no network interface: write its name, alone or with /tcx, /xdp or /xdp+nts, such as eth0/xdp", s)
	}
	return name, mode, nil
}
