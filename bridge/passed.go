package bridge

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/config"
)

// Passed are sockets that somebody else has opened for the daemon: UDP for NTP
// and TCP for NTS-KE.
type Passed struct {
	NTP map[netip.AddrPort]*os.File
	KE  []*net.TCPListener
}

// SortSockets tells sockets apart by what they are. One that is neither is an
// error that names it.
func SortSockets(files []*os.File) (p Passed, err error) {
	for _, f := range files {
		if err := p.take(f); err != nil {
			return p, fmt.Errorf("passed socket %s: %w", f.Name(), err)
		}
	}
	return p, nil
}

func (p *Passed) take(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	kind, listens := 0, 0
	if failed := raw.Control(func(fd uintptr) {
		kind, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
		listens, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	}); failed != nil || err != nil {
		return fmt.Errorf("is none: %w", err)
	}
	switch {
	case kind == unix.SOCK_DGRAM:
		c, err := net.FilePacketConn(f)
		if err != nil {
			return err
		}
		defer c.Close()
		a, ok := c.LocalAddr().(*net.UDPAddr)
		if !ok {
			return fmt.Errorf("is %v, not UDP", c.LocalAddr().Network())
		}
		if p.NTP == nil {
			p.NTP = make(map[netip.AddrPort]*os.File)
		}
		at := a.AddrPort()
		p.NTP[netip.AddrPortFrom(at.Addr().Unmap(), at.Port())] = f
		return nil
	case kind == unix.SOCK_STREAM && listens == 1:
		l, err := net.FileListener(f)
		if err != nil {
			return err
		}
		if t, ok := l.(*net.TCPListener); ok {
			p.KE = append(p.KE, t)
			return f.Close()
		}
		return fmt.Errorf("is %v, not TCP", l.Addr().Network())
	}
	return fmt.Errorf("is neither UDP (ListenDatagram) nor TCP that listens (ListenStream)")
}

// Addresses puts the addresses of the sockets where the configuration names
// none.
func (p *Passed) Addresses(cfg *config.Config) {
	if len(p.NTP) > 0 && !cfg.Has("server.listen") {
		cfg.Server.Listen = nil
		for _, a := range slices.SortedFunc(maps.Keys(p.NTP), netip.AddrPort.Compare) {
			cfg.Server.Listen = append(cfg.Server.Listen, config.Listen{AddrPort: a})
		}
	}
	if len(p.KE) > 0 && !cfg.Has("nts.listen") {
		cfg.NTS.Listen = nil
		for _, l := range p.KE {
			cfg.NTS.Listen = append(cfg.NTS.Listen, l.Addr().(*net.TCPAddr).AddrPort())
		}
	}
}

// has tells whether a socket of an address was passed.
func (p *Passed) has(a netip.AddrPort) bool {
	return p.NTP[a] != nil || slices.ContainsFunc(p.KE, func(l *net.TCPListener) bool { return l.Addr().(*net.TCPAddr).AddrPort() == a })
}
