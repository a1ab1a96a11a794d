package inventory

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/ntp"
)

// The programs that are told apart. An empty name is "not known".
const (
	Chrony    = "chrony"
	Ntpd      = "ntpd 4.2"
	Ntpsec    = "ntpsec"
	NtpdRs    = "ntpd-rs"
	OpenNTPD  = "openntpd"
	Timesyncd = "systemd-timesyncd"
	Busybox   = "busybox"
	Ntpdate   = "ntpdate"
	Sntp      = "sntp 4.2"
	Ntpdig    = "ntpdig"
	W32time   = "w32time"
	Arduino   = "arduino"
	SNTP      = "SNTP" // some simple client
)

const (
	ntpdatePrecision = -6
	chronyPrecision  = 32 // also ntpsec's
	sntpPoll         = 8
	dscp             = 0xfc // of the type of service

	// doubleBits are 0 in a timestamp that was computed as a number of 53 bits, 32
	// of which are seconds. (The survey says 12 bits: in half of the packets the
	// twelfth is 0 too.)
	doubleBits = 1<<11 - 1

	shortOne = 1 << 16 // 1 s in short format

	kissInit    = 'I'<<24 | 'N'<<16 | 'I'<<8 | 'T'
	arduino1N14 = '1'<<24 | 'N'<<16 | '1'<<8 | '4'
)

// take notes a packet. later tells that it is not the first one.
func (p *print) take(s *feed.Sighting, later bool) {
	h := &s.Header
	switch {
	case !later:
	case s.Port == p.port:
		p.samePort = inc8(p.samePort)
	default:
		p.newPort = inc8(p.newPort)
	}
	p.port = s.Port
	p.first, p.stratum, p.poll, p.prec = h[0], h[1], int8(h[2]), int8(h[3])
	p.flags = fieldFlags(h, s.Received) | p.flags&printTOS // a busy socket tells it at times
	if s.KnownTOS {
		p.tos = s.TOS
		p.flags |= printTOS
	}
}

func fieldFlags(h *[ntp.HeaderLen]byte, received ntp.Timestamp) (flags uint16) {
	set := func(flag uint16, is bool) {
		if is {
			flags |= flag
		}
	}
	delay, dispersion, refid := binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:]), binary.BigEndian.Uint32(h[12:])
	transmit := ntp.Timestamp(binary.BigEndian.Uint64(h[40:]))
	set(printReal, received.Sub(transmit).Abs() < 24*time.Hour)
	set(printLowBits, transmit&doubleBits == 0)
	set(printRootOne, delay == shortOne && dispersion == shortOne)
	set(printInit, refid == kissInit)
	set(printArduino, refid == arduino1N14)
	set(printOrigin, binary.BigEndian.Uint64(h[24:]) != 0)
	set(printState, delay|dispersion|refid != 0 || binary.BigEndian.Uint64(h[16:]) != 0)
	return flags
}

func (p *print) has(flag uint16) bool { return p.flags&flag != 0 }
func (p *print) leap() ntp.Leap       { return ntp.Leap(p.first >> 6) }
func (p *print) version() uint8       { return p.first >> 3 & 7 }
func (p *print) mode() ntp.Mode       { return ntp.Mode(p.first & 7) }

// program guesses which program sent a packet like this. why is the evidence.
func (p *print) program(kind ntp.Kind) (name, why string) {
	switch {
	case kind == ntp.KindAutokey:
		return Ntpd, "Autokey"
	case p.has(printArduino):
		return Arduino, "reference identifier 1N14"
	case p.prec < 0:
		return p.withPrecision()
	case p.prec == chronyPrecision && p.version() == 4 && p.poll == 0 && (p.port == 123 || p.has(printTOS) && p.tos&dscp == 0xb8):
		return Ntpsec, "precision 32, poll field 0, port 123 or DSCP 46"
	case p.prec == chronyPrecision && p.version() == 4:
		return Chrony, "precision 32" // poll field 0 too, if it polls each second
	case p.prec == 0:
		return p.withoutPrecision(kind)
	}
	return SNTP, "an unusual precision or version"
}

// withPrecision tells those apart that know how fine their clock is.
func (p *print) withPrecision() (name, why string) {
	switch {
	case p.prec == ntpdatePrecision && p.has(printRootOne):
		return Ntpdate, "precision -6, root delay and dispersion 1 s"
	case p.version() < 4 && p.leap() == ntp.LeapUnknown && p.stratum == 0 && !p.has(printInit|printOrigin):
		return W32time, "version 3, leap indicator 3, a precision, no reference identifier"
	case p.mode() == ntp.ModeSymmetricActive:
		return Ntpd, "mode 1: a peer"
	case p.has(printInit | printState | printOrigin):
		return Ntpd, "tells its own precision and state"
	}
	return SNTP, "a precision, no state"
}

// withoutPrecision tells those apart that leave the field 0.
func (p *print) withoutPrecision(kind ntp.Kind) (name, why string) {
	switch {
	case p.version() != 4 || p.mode() != ntp.ModeClient:
		return SNTP, "an old version, fields 0"
	case p.leap() == ntp.LeapUnknown && p.poll == sntpPoll:
		return Sntp, "leap indicator 3, poll field 8"
	case p.leap() == ntp.LeapUnknown && p.poll == 0 && p.has(printReal) && p.has(printLowBits):
		return Ntpdig, "leap indicator 3, transmit timestamp of 53 bits"
	case p.leap() != ntp.LeapNone || p.has(printState|printReal):
		return SNTP, "precision 0, fields of its own"
	case p.poll > 0:
		return NtpdRs, "precision 0, poll field set, random transmit timestamp"
	case kind == ntp.KindNTS:
		return "", ""
	}
	return p.byPort()
}

// byPort tells those apart that leave every field 0, by what lies below NTP.
func (p *print) byPort() (name, why string) {
	tos := p.tos & dscp
	if !p.has(printTOS) {
		tos = 0
	}
	switch {
	case p.port == 123:
	case tos == 0x10, tos == 0 && p.samePort >= 2 && p.newPort == 0:
		return OpenNTPD, "fields 0, one high port"
	case tos == 0xb8:
		return Timesyncd, "fields 0, DSCP 46, high ports"
	case tos == 0x48:
		return Busybox, "fields 0, DSCP 18"
	}
	return SNTP, "fields 0"
}

// tellsPoll tells whether the program's poll field is its poll interval.
func tellsPoll(program string) bool {
	switch program {
	case Chrony, Ntpd, NtpdRs:
		return true
	}
	return false
}

// shownVersions returns the versions of a bit set, like "4" or "3,4".
func shownVersions(set uint8) string {
	var list []string
	for i := range 8 {
		if set>>i&1 == 1 {
			list = append(list, fmt.Sprint(i))
		}
	}
	return strings.Join(list, ",")
}
