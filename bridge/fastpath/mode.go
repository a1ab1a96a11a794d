package fastpath

import "slices"

// Mode is where at an interface the program is.
type Mode string

// The modes.
const (
	TCX Mode = "tcx" // at the ingress of the network stack; any Ethernet interface
	XDP Mode = "xdp" // in the driver, which has to know of it

	// XDPNTS is XDP that gives requests with NTS to sockets of AF_XDP, past the
	// network stack.
	XDPNTS Mode = "xdp+nts"
)

// inDriver tells whether the program is that of XDP.
func (m Mode) inDriver() bool { return m == XDP || m == XDPNTS }

// Interface is one that the program is to be at.
type Interface struct {
	Name string
	Mode Mode // empty: TCX
}

func wantsXDP(list []Interface) bool {
	return slices.ContainsFunc(list, func(i Interface) bool { return i.Mode.inDriver() })
}

func wantsSockets(list []Interface) bool {
	return slices.ContainsFunc(list, func(i Interface) bool { return i.Mode == XDPNTS })
}
