package frames

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Lengths of headers.
const (
	etherLen = 14
	ip4Len   = 20
	ip6Len   = 40
	udpLen   = 8
)

// Request is what a frame asks.
type Request struct {
	From, To netip.AddrPort
	TOS      uint8
	Payload  []byte // in the frame
}

// headers is how many octets are before the payload.
func headers(frame []byte) int {
	if frame[12] == 8 {
		return etherLen + ip4Len + udpLen
	}
	return etherLen + ip6Len + udpLen
}

// Parse reads a frame of UDP that is whole, without options, extension headers
// and fragments. partial allows a checksum that the sender left to its network
// interface, as one on this machine does: it is then that of the pseudo header.
func Parse(frame []byte, partial bool, r *Request) bool {
	var ip, datagram, addresses []byte
	switch {
	case len(frame) >= etherLen+ip4Len+udpLen && frame[12] == 8 && frame[13] == 0:
		ip = frame[etherLen:]
		length := int(binary.BigEndian.Uint16(ip[2:]))
		if ip[0] != 0x45 || ip[9] != 17 || binary.BigEndian.Uint16(ip[6:])&0xbfff != 0 || length < ip4Len+udpLen || length > len(ip) ||
			sum(0, ip[:ip4Len]) != 0xffff {
			return false
		}
		datagram, addresses, r.TOS = ip[ip4Len:length], ip[12:20], ip[1]
		r.From = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[12:16])), binary.BigEndian.Uint16(datagram))
		r.To = netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip[16:20])), binary.BigEndian.Uint16(datagram[2:]))
	case len(frame) >= etherLen+ip6Len+udpLen && frame[12] == 0x86 && frame[13] == 0xdd:
		ip = frame[etherLen:]
		length := int(binary.BigEndian.Uint16(ip[4:]))
		if ip[0]>>4 != 6 || ip[6] != 17 || length < udpLen || length > len(ip)-ip6Len {
			return false
		}
		datagram, addresses, r.TOS = ip[ip6Len:ip6Len+length], ip[8:40], ip[0]<<4|ip[1]>>4
		r.From = netip.AddrPortFrom(netip.AddrFrom16([16]byte(ip[8:24])), binary.BigEndian.Uint16(datagram))
		r.To = netip.AddrPortFrom(netip.AddrFrom16([16]byte(ip[24:40])), binary.BigEndian.Uint16(datagram[2:]))
	default:
		return false
	}
	length := int(binary.BigEndian.Uint16(datagram[4:]))
	if length < udpLen || length != len(datagram) || !right(addresses, datagram, partial) {
		return false
	}
	r.Payload = datagram[udpLen:]
	return true
}

// right tells whether the checksum of a datagram is; IPv4 may have none.
func right(addresses, datagram []byte, partial bool) bool {
	check := binary.BigEndian.Uint16(datagram[6:])
	pseudo := pseudoSum(addresses, len(datagram))
	switch {
	case check == 0:
		return len(addresses) == 8
	case sum(pseudo, datagram) == 0xffff:
		return true
	}
	return partial && sum(pseudo, nil) == check
}

// Answer writes the headers of an answer to a frame that Parse has read, around
// a payload of n octets that is at Payload(frame) of out, and returns its
// length. It goes to where the frame came from.
func Answer(out, frame []byte, n int, tos uint8) int {
	at := headers(frame)
	copy(out, frame[6:12])
	copy(out[6:], frame[:6])
	ip := out[etherLen:]
	addresses := ip[8:40]
	if frame[12] == 8 {
		copy(out[12:], []byte{8, 0, 0x45, tos, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0})
		binary.BigEndian.PutUint16(ip[2:], uint16(ip4Len+udpLen+n))
		addresses = ip[12:20]
		copy(addresses, frame[30:34])
		copy(addresses[4:], frame[26:30])
		binary.BigEndian.PutUint16(ip[10:], ^sum(0, ip[:ip4Len]))
	} else {
		copy(out[12:], []byte{0x86, 0xdd, 0x60 | tos>>4, tos << 4, 0, 0, 0, 0, 17, 64})
		binary.BigEndian.PutUint16(ip[4:], uint16(udpLen+n))
		copy(addresses, frame[38:54])
		copy(addresses[16:], frame[22:38])
	}
	datagram := out[at-udpLen : at+n]
	copy(datagram, frame[at-6:at-4])
	copy(datagram[2:], frame[at-8:at-6])
	binary.BigEndian.PutUint16(datagram[4:], uint16(udpLen+n))
	datagram[6], datagram[7] = 0, 0
	check := ^sum(pseudoSum(addresses, len(datagram)), datagram)
	if check == 0 {
		check = 0xffff
	}
	binary.BigEndian.PutUint16(datagram[6:], check)
	return at + n
}

// Payload is where the payload of an answer to a frame goes in out.
func Payload(out, frame []byte) []byte { return out[headers(frame):] }

// pseudoSum is the sum of the pseudo header of UDP, not yet folded.
func pseudoSum(addresses []byte, length int) uint64 {
	n := uint64(17) + uint64(length)
	for ; len(addresses) >= 4; addresses = addresses[4:] {
		n += uint64(binary.BigEndian.Uint32(addresses))
	}
	return n
}

// sum adds octets to a sum of the Internet (RFC 1071), eight at a time.
func sum(n uint64, b []byte) uint16 {
	var carry uint64
	for ; len(b) >= 8; b = b[8:] {
		n, carry = bits.Add64(n, binary.BigEndian.Uint64(b), carry)
	}
	var rest [8]byte
	copy(rest[:], b)
	n, carry = bits.Add64(n, binary.BigEndian.Uint64(rest[:]), carry)
	n, carry = bits.Add64(n, 0, carry)
	n += carry
	n = n>>32 + n&0xffffffff
	n = n>>32 + n&0xffffffff
	n = n>>16 + n&0xffff
	n = n>>16 + n&0xffff
	return uint16(n)
}
