package source

import (
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Timestamps of the kernel for packets of both directions. Those of sent
// packets come to the error queue, without the packet and with its number.
const kernelStamps = unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_SOFTWARE |
	unix.SOF_TIMESTAMPING_OPT_CMSG | unix.SOF_TIMESTAMPING_OPT_ID | unix.SOF_TIMESTAMPING_OPT_TSONLY

// hardwareStamps adds those of the interface.
const hardwareStamps = kernelStamps | unix.SOF_TIMESTAMPING_TX_HARDWARE | unix.SOF_TIMESTAMPING_RX_HARDWARE |
	unix.SOF_TIMESTAMPING_RAW_HARDWARE | unix.SOF_TIMESTAMPING_OPT_TX_SWHW

// stampAll asks for timestamps by flags. Kernels before 5.1 know the old
// option only.
func stampAll(fd, flags int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, flags)
	if err == unix.ENOPROTOOPT {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, flags)
	}
	return os.NewSyscallError("setsockopt SO_TIMESTAMPING", err)
}

func stampReceived(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
}

// keepStamping makes the kernel go on taking timestamps of all packets, which
// it does only while any socket wants them and begins some time after the
// first one does: a new socket's first answer would otherwise be stamped when
// it is read. The result ends it.
func keepStamping() (end func()) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return func() {} // the timestamps are a little worse
	}
	_ = stampReceived(fd)
	return func() { unix.Close(fd) }
}

// oobLen is room for the control messages of a packet, octets.
const oobLen = 512

// ancillary is what the control messages of a packet tell.
type ancillary struct {
	software int64      // timestamp of the kernel, Unix time in ns; 0: not told
	hardware int64      // timestamp of the interface by its own clock, ns; 0: not told
	to       netip.Addr // local address; invalid: not told
	dest     netip.Addr // destination of the packet, for IPv4 also broadcast
	ifindex  int

	isTransmit bool   // the timestamps are of a packet that was sent
	number     uint32 // of that packet
}

// parseAncillary reads control messages.
func parseAncillary(oob []byte) (a ancillary) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return a
	}
	for _, m := range messages {
		switch h, d := m.Header, m.Data; h.Level {
		case unix.SOL_SOCKET:
			a.timestamps(h.Type, d)
		case unix.IPPROTO_IP:
			switch {
			case h.Type == unix.IP_PKTINFO && len(d) >= unix.SizeofInet4Pktinfo:
				info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&d[0]))
				a.to, a.dest, a.ifindex = netip.AddrFrom4(info.Spec_dst), netip.AddrFrom4(info.Addr), int(info.Ifindex)
			case h.Type == unix.IP_RECVERR:
				a.transmit(d)
			}
		case unix.IPPROTO_IPV6:
			switch {
			case h.Type == unix.IPV6_PKTINFO && len(d) >= unix.SizeofInet6Pktinfo:
				info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&d[0]))
				a.dest, a.ifindex = netip.AddrFrom16(info.Addr), int(info.Ifindex)
				if !a.dest.IsMulticast() {
					a.to = a.dest
				}
			case h.Type == unix.IPV6_RECVERR:
				a.transmit(d)
			}
		}
	}
	return a
}

// timestamps reads the messages with timestamps.
func (a *ancillary) timestamps(kind int32, d []byte) {
	const long = int(unsafe.Sizeof([3][2]int64{}))
	const old = int(unsafe.Sizeof([3]unix.Timespec{}))
	switch {
	case kind == unix.SO_TIMESTAMPNS && len(d) >= old/3:
		a.software = (*unix.Timespec)(unsafe.Pointer(&d[0])).Nano()
	case kind == unix.SO_TIMESTAMPING_NEW && len(d) >= long:
		t := (*[3][2]int64)(unsafe.Pointer(&d[0]))
		a.software, a.hardware = t[0][0]*1e9+t[0][1], t[2][0]*1e9+t[2][1]
	case kind == unix.SO_TIMESTAMPING && len(d) >= old:
		t := (*[3]unix.Timespec)(unsafe.Pointer(&d[0]))
		a.software, a.hardware = t[0].Nano(), t[2].Nano()
	}
}

// transmit reads the number of a sent packet from a message of the error
// queue.
func (a *ancillary) transmit(d []byte) {
	if len(d) < int(unsafe.Sizeof(unix.SockExtendedErr{})) {
		return
	}
	e := (*unix.SockExtendedErr)(unsafe.Pointer(&d[0]))
	if e.Origin == unix.SO_EE_ORIGIN_TIMESTAMPING && e.Info == unix.SCM_TSTAMP_SND {
		a.isTransmit, a.number = true, e.Data
	}
}
