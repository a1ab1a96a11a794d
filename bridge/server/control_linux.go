package server

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server/mmsg"
)

// controlLen is room for the control messages of one packet: timestamps (64
// octets with header), of which interface (32), packet information (40), type of
// service (24), receive errors (48).
const controlLen = 224

// maxPacket is the longest request that is read: header, the longest Autokey
// extension field and its MAC are 2120 octets. A longer one is cut off by the
// kernel and dropped as malformed.
const maxPacket = 2176

// ancillary is what the control messages of a received packet tell.
type ancillary struct {
	received ntp.Timestamp // 0: the kernel gave none
	hardware int64         // by the clock of the interface, ns; 0: it gave none
	device   uint32        // index of that interface; 0: not told
	to       netip.Addr    // local address; invalid: not told
	// destination is the address in the packet: to, or one of broadcast or
	// multicast; invalid: not told.
	destination netip.Addr
	ifindex     uint32
	tos         uint8 // type of service or traffic class, if knowsTOS
	knowsTOS    bool
	transmits   uint32 // identifier of a transmit timestamp (error queue)
	isTX        bool
}

// parseControl walks the control messages in b.
func parseControl(b []byte, a *ancillary) {
	for m, rest, ok := mmsg.Next(b); ok; m, rest, ok = mmsg.Next(rest) {
		a.take(m.Level, m.Kind, m.Data)
	}
}

func (a *ancillary) take(level, kind int32, data []byte) {
	switch {
	case level == unix.SOL_SOCKET && kind == unix.SO_TIMESTAMPING && len(data) >= 48:
		ts := (*[3]unix.Timespec)(unsafe.Pointer(&data[0]))
		a.received, a.hardware = stamp(ts[0]), ts[2].Nano()
	case level == unix.SOL_SOCKET && kind == scmTimestampingPktinfo && len(data) >= 4:
		a.device = *(*uint32)(unsafe.Pointer(&data[0]))
	case level == unix.SOL_SOCKET && kind == unix.SO_TIMESTAMPNS && len(data) >= 16:
		a.received = stamp(*(*unix.Timespec)(unsafe.Pointer(&data[0])))
	case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
		a.to, a.destination, a.ifindex = netip.AddrFrom4(info.Spec_dst), netip.AddrFrom4(info.Addr), uint32(info.Ifindex)
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0]))
		a.destination, a.ifindex = netip.AddrFrom16(info.Addr), info.Ifindex
		if !a.destination.IsMulticast() {
			a.to = a.destination
		}
	case level == unix.IPPROTO_IP && kind == unix.IP_TOS && len(data) >= 1,
		level == unix.IPPROTO_IPV6 && kind == unix.IPV6_TCLASS && len(data) >= 1:
		a.tos, a.knowsTOS = data[0], true
	case len(data) >= 16 && (level == unix.IPPROTO_IP && kind == unix.IP_RECVERR ||
		level == unix.IPPROTO_IPV6 && kind == unix.IPV6_RECVERR):
		e := (*sockExtendedErr)(unsafe.Pointer(&data[0]))
		if e.origin == soEEOriginTimestamping {
			a.isTX, a.transmits = true, e.data
		}
	}
}

// sockExtendedErr is struct sock_extended_err of linux/errqueue.h.
type sockExtendedErr struct {
	errno              uint32
	origin, kind, code uint8
	_                  uint8
	info               uint32
	data               uint32 // SOF_TIMESTAMPING_OPT_ID counter
}

const soEEOriginTimestamping = 4

func stamp(ts unix.Timespec) ntp.Timestamp {
	if ts.Sec == 0 && ts.Nsec == 0 {
		return 0
	}
	return ntp.TimestampFromUnix(ts.Sec, ts.Nsec)
}

// shared tells whether a packet went to a broadcast or multicast address, of
// which the kernel gives a copy to every socket of the port, whichever joined
// the group. (Without IP_MULTICAST_ALL it would find the joined one alone, and
// then choose any of the SO_REUSEPORT group in its place: seen with 6.18.)
func (a *ancillary) shared() bool { return a.destination.IsValid() && a.destination != a.to }

// putSource writes the control message that makes an answer leave from the
// address that was asked and returns its length, 0 where there is none.
func putSource(b []byte, to netip.Addr, ifindex uint32) int {
	switch {
	case to.Is4():
		data, n := mmsg.Put(b, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		*(*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0])) = unix.Inet4Pktinfo{Spec_dst: to.As4()}
		return n
	case to.Is6():
		if !to.IsLinkLocalUnicast() {
			ifindex = 0
		}
		return putSource6(b, to, ifindex)
	}
	return 0
}

// putSource6 is putSource for IPv6 with the interface to leave by, 0: any.
func putSource6(b []byte, from netip.Addr, ifindex uint32) int {
	data, n := mmsg.Put(b, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	*(*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0])) = unix.Inet6Pktinfo{Addr: from.As16(), Ifindex: ifindex}
	return n
}

// putTTL writes the control message that bounds how many routers a packet may
// pass and returns its length.
func putTTL(b []byte, to netip.Addr, ttl uint8) int {
	level, kind := int32(unix.IPPROTO_IP), int32(unix.IP_TTL)
	if to.Is6() {
		level, kind = unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT
	}
	data, n := mmsg.Put(b, level, kind, 4)
	*(*int32)(unsafe.Pointer(&data[0])) = int32(ttl)
	return n
}

// putTransmitStamp writes the control message that asks for transmit timestamps
// of this packet alone, by flags, and returns its length.
func putTransmitStamp(b []byte, flags uint32) int {
	data, n := mmsg.Put(b, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, 4)
	*(*uint32)(unsafe.Pointer(&data[0])) = flags
	return n
}
