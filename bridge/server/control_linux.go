package server

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
)

// controlLen is room for the control messages of one packet: timestamps (64
// octets with header), packet information (36), receive errors (48).
const controlLen = 192

// ancillary is what the control messages of a received packet tell.
type ancillary struct {
	received ntp.Timestamp // 0: the kernel gave none
	to       netip.Addr    // local address; invalid: not told
	// destination is the address in the packet: to, or one of broadcast or
	// multicast; invalid: not told.
	destination netip.Addr
	ifindex     uint32
	transmits   uint32 // identifier of a transmit timestamp (error queue)
	isTX        bool
}

const cmsgHeader = unix.SizeofCmsghdr

// parseControl walks the control messages in b.
func parseControl(b []byte, a *ancillary) {
	for len(b) >= cmsgHeader {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		n := int(h.Len)
		if n < cmsgHeader || n > len(b) {
			return
		}
		a.take(h.Level, h.Type, b[cmsgHeader:n])
		next := (n + 7) &^ 7
		if next > len(b) {
			return
		}
		b = b[next:]
	}
}

func (a *ancillary) take(level, kind int32, data []byte) {
	switch {
	case level == unix.SOL_SOCKET && kind == unix.SO_TIMESTAMPING && len(data) >= 48:
		ts := (*[3]unix.Timespec)(unsafe.Pointer(&data[0]))
		a.received = stamp(ts[0])
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

// putSource writes the control message that makes an answer leave from the
// address that was asked and returns its length, 0 where there is none.
func putSource(b []byte, to netip.Addr, ifindex uint32) int {
	if to.Is4() {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		h.Level, h.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&b[cmsgHeader]))
		*info = unix.Inet4Pktinfo{Spec_dst: to.As4()}
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	}
	if !to.Is6() {
		return 0
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&b[cmsgHeader]))
	*info = unix.Inet6Pktinfo{Addr: to.As16()}
	if to.IsLinkLocalUnicast() {
		info.Ifindex = ifindex
	}
	return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
}

// putTTL writes the control message that bounds how many routers a packet may
// pass and returns its length.
func putTTL(b []byte, to netip.Addr, ttl uint8) int {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.IPPROTO_IP, unix.IP_TTL
	if to.Is6() {
		h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT
	}
	h.SetLen(unix.CmsgLen(4))
	*(*int32)(unsafe.Pointer(&b[cmsgHeader])) = int32(ttl)
	return unix.CmsgSpace(4)
}

// putTransmitStamp writes the control message that asks for a transmit
// timestamp of this packet alone and returns its length.
func putTransmitStamp(b []byte) int {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.SOL_SOCKET, unix.SO_TIMESTAMPING
	h.SetLen(unix.CmsgLen(4))
	*(*uint32)(unsafe.Pointer(&b[cmsgHeader])) = unix.SOF_TIMESTAMPING_TX_SOFTWARE
	return unix.CmsgSpace(4)
}
