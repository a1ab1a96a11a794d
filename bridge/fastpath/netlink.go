package fastpath

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linkOf returns what is on top of an interface, by name, and the XDP program
// that it has, 0 for none (rtnetlink(7)).
func linkOf(index int) (above []string, program uint32, err error) {
	answer, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return nil, 0, fmt.Errorf("netlink: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(answer)
	if err != nil {
		return nil, 0, fmt.Errorf("netlink: %w", err)
	}
	master := uint32(0)
	for i := range messages {
		m := &messages[i]
		if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
			continue
		}
		at := int(binary.NativeEndian.Uint32(m.Data[4:]))
		name, lower := "", uint32(0)
		for kind, value := range attributes(m.Data[unix.SizeofIfInfomsg:]) {
			switch {
			case kind == unix.IFLA_IFNAME:
				name = unix.ByteSliceToString(value)
			case kind == unix.IFLA_LINK && len(value) >= 4:
				lower = binary.NativeEndian.Uint32(value)
			case kind == unix.IFLA_MASTER && len(value) >= 4 && at == index:
				master = binary.NativeEndian.Uint32(value)
			case kind == unix.IFLA_XDP && at == index:
				program = xdpProgram(value)
			}
			if kind == unix.IFLA_LINK_NETNSID { // it is in another namespace: the other end of a veth
				lower = 0
			}
		}
		if lower == uint32(index) && driverOf(name).name != veth {
			above = append(above, name)
		}
	}
	if master != 0 {
		if i, err := net.InterfaceByIndex(int(master)); err == nil {
			above = append(above, i.Name)
		}
	}
	return above, program, nil
}

func xdpProgram(value []byte) uint32 {
	for kind, v := range attributes(value) {
		if kind == unix.IFLA_XDP_PROG_ID && len(v) >= 4 {
			return binary.NativeEndian.Uint32(v)
		}
	}
	return 0
}

// attributes goes through netlink attributes.
func attributes(b []byte) func(func(uint16, []byte) bool) {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			length := int(binary.NativeEndian.Uint16(b))
			if length < unix.SizeofRtAttr || length > len(b) {
				return
			}
			kind := binary.NativeEndian.Uint16(b[2:]) &^ unix.NLA_F_NESTED
			if !yield(kind, b[unix.SizeofRtAttr:length]) {
				return
			}
			b = b[min((length+3)&^3, len(b)):]
		}
	}
}

// hasClassifier tells whether tc has filters, or a place for them, where packets
// come in: the qdiscs clsact and ingress. Both have this parent.
func hasClassifier(index int) (bool, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return false, fmt.Errorf("netlink: %w", err)
	}
	defer unix.Close(fd)
	const tcmsg = 20
	request := make([]byte, unix.SizeofNlMsghdr+tcmsg)
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], unix.RTM_GETQDISC)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, fmt.Errorf("netlink: %w", err)
	}
	found := false
	buffer := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err != nil {
			return false, fmt.Errorf("netlink: %w", err)
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			return false, fmt.Errorf("netlink: %w", err)
		}
		for i := range messages {
			m := &messages[i]
			switch m.Header.Type {
			case unix.NLMSG_DONE:
				return found, nil
			case unix.NLMSG_ERROR:
				return false, fmt.Errorf("netlink: queuing disciplines are not told")
			}
			const parentIngress = 0xfffffff1 // TC_H_INGRESS, TC_H_CLSACT
			if len(m.Data) >= tcmsg && int(binary.NativeEndian.Uint32(m.Data[4:])) == index &&
				binary.NativeEndian.Uint32(m.Data[12:]) == parentIngress {
				found = true
			}
		}
	}
}

const veth = "veth"

// driver is what drives an interface (ethtool -i).
type driver struct{ name, bus string }

// local tells whether packets of the interface may come from this machine, so
// that their checksums are partial: it has no hardware (a bridge's is "N/A", a
// tap's its own name), or a hypervisor's.
func (d driver) local() bool {
	return slices.Contains([]string{"", "N/A", "tap", "tun"}, d.bus) || d.name == "virtio_net" || d.name == "vif"
}

func driverOf(name string) driver {
	info := struct {
		command                  uint32
		driver, version, fw, bus [32]byte
		more                     [12 + 20 + 20 + 64]byte
	}{command: unix.ETHTOOL_GDRVINFO}
	if ethtool(name, unsafe.Pointer(&info)) != nil {
		return driver{}
	}
	return driver{unix.ByteSliceToString(info.driver[:]), unix.ByteSliceToString(info.bus[:])}
}

// transmitErrors is how many frames that an XDP program sent the driver could
// not send. Only veth, whose peer may not take them, is asked.
func transmitErrors(name string) (sum uint64) {
	if driverOf(name).name != veth {
		return 0
	}
	const (
		nameLen     = 32
		maxFigures  = 4096
		statistics  = 1 // ETH_SS_STATS
		headerOctet = 12
	)
	b := make([]byte, headerOctet+maxFigures*nameLen)
	head := func(command, second uint32) {
		binary.NativeEndian.PutUint32(b, command)
		binary.NativeEndian.PutUint32(b[4:], second)
	}
	// Sets of strings: how many there are of one.
	head(unix.ETHTOOL_GSSET_INFO, 0)
	binary.NativeEndian.PutUint64(b[8:], 1<<statistics)
	if ethtool(name, unsafe.Pointer(&b[0])) != nil {
		return 0
	}
	n := int(binary.NativeEndian.Uint32(b[16:]))
	if n == 0 || n > maxFigures {
		return 0
	}
	head(unix.ETHTOOL_GSTRINGS, statistics)
	binary.NativeEndian.PutUint32(b[8:], uint32(n))
	if ethtool(name, unsafe.Pointer(&b[0])) != nil {
		return 0
	}
	counts := make([]bool, n)
	for i := range counts {
		at := b[headerOctet+i*nameLen:]
		counts[i] = hasSuffix(unix.ByteSliceToString(at[:nameLen]), "xdp_tx_errors")
	}
	head(unix.ETHTOOL_GSTATS, uint32(n))
	if ethtool(name, unsafe.Pointer(&b[0])) != nil {
		return 0
	}
	for i, is := range counts {
		if is {
			sum += binary.NativeEndian.Uint64(b[8+8*i:])
		}
	}
	return sum
}

func hasSuffix(s, end string) bool { return len(s) >= len(end) && s[len(s)-len(end):] == end }

// ethtool asks the driver of an interface.
func ethtool(name string, what unsafe.Pointer) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: what}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}
