package refclock

import (
	"encoding/binary"
	"math"
	"time"

	"ntsbridge/bridge/ntp"
)

// native is the byte order of other programs' memory.
var native = binary.NativeEndian

// segmentLen is the length of a segment that we create: the C structure of
// ntpd's driver 28 with time_t of 64 bits.
const segmentLen = 96

// shmLayout is where the fields of a segment are, which depends on the program
// that created it. All fields but the seconds have 4 octets; mode and count are
// the first two.
type shmLayout struct {
	length, secondsLen              int
	clockSec, clockUsec             int
	receiveSec, receiveUsec         int
	leap, valid, clockNs, receiveNs int
}

// The layouts, told apart by the length of the segment. That of 88 octets is
// of 32-bit x86 with time_t of 64 bits, which aligns it to 4 octets only.
var shmLayouts = [...]shmLayout{
	{96, 8, 8, 16, 24, 32, 36, 48, 52, 56},
	{88, 8, 8, 16, 20, 28, 32, 44, 48, 52},
	{80, 4, 8, 12, 16, 20, 24, 36, 40, 44},
}

// layoutFor returns the layout of a segment of so many octets. Longer ones are
// as the longest: some programs round up to a page.
func layoutFor(octets int) (l *shmLayout, ok bool) {
	for i := range shmLayouts {
		if l := &shmLayouts[i]; octets == l.length {
			return l, true
		}
	}
	return &shmLayouts[0], octets > shmLayouts[0].length
}

// shmMode returns the protocol of a segment: in mode 0 the reader clears valid
// and the writer may wait for it, in mode 1 the writer also counts, before and
// after it writes.
func shmMode(p []byte) uint32 { return native.Uint32(p) }

// decode reads a copy of a segment, of l.length octets, whose valid field is
// set.
func (l *shmLayout) decode(p []byte) stamp {
	if len(p) < l.length || shmMode(p) > 1 {
		return stamp{reason: reasonMalformed}
	}
	field := func(offset int) uint32 { return native.Uint32(p[offset:]) }
	seconds := func(offset int) int64 {
		if l.secondsLen == 4 {
			return int64(field(offset)) // unsigned: until 2106
		}
		return int64(native.Uint64(p[offset:]))
	}
	clock, clockOK := subsecond(field(l.clockUsec))
	receive, receiveOK := subsecond(field(l.receiveUsec))
	leap := field(l.leap)
	if !clockOK || !receiveOK || leap > uint32(ntp.LeapUnknown) {
		return stamp{reason: reasonMalformed}
	}
	s := stamp{leap: ntp.Leap(leap)}
	// Writers of before the nanoseconds leave anything there; those that know
	// them write both, in agreement with the microseconds.
	clockNs, receiveNs := int64(field(l.clockNs)), int64(field(l.receiveNs))
	if within(clockNs, clock) && within(receiveNs, receive) {
		clock, receive = clockNs, receiveNs
	} else {
		s.dispersion = time.Microsecond
	}
	return s.finish(seconds(l.receiveSec), receive, seconds(l.clockSec), clock)
}

// subsecond returns microseconds as ns, if they are less than a second.
func subsecond(usec uint32) (ns int64, ok bool) {
	return int64(usec) * 1000, usec < 1_000_000
}

func within(ns, usecAsNs int64) bool { return ns >= usecAsNs && ns < usecAsNs+1000 }

// maxSeconds bounds seconds before they are made nanoseconds.
const maxSeconds = maxTime / 1_000_000_000

// finish sets the times, or the reason why they are none.
func (s *stamp) finish(systemSec, systemNs, referenceSec, referenceNs int64) stamp {
	sane := func(sec int64) bool { return sec >= 0 && sec <= maxSeconds }
	switch {
	case s.leap == ntp.LeapUnknown:
		s.reason = reasonUnsynchronised
	case !sane(systemSec) || !sane(referenceSec):
		s.reason = reasonInsane
	default:
		s.system = systemSec*1_000_000_000 + systemNs
		s.reference = referenceSec*1_000_000_000 + referenceNs
	}
	return *s
}

// Layout of a SOCK datagram, chrony's struct sock_sample: a timeval (of two
// times 8 or 4 octets), the offset as a double, and four ints.
const (
	sockMagic   = 0x534f434b // "SOCK"
	sockLen     = 40         // also of 32-bit programs with time_t of 64 bits
	sockLen32   = 32         // of 32-bit programs with time_t of 32 bits
	maxSockLeap = 2
	// maxSockOffset is beyond the distance of any two sane times, s.
	maxSockOffset = 4e9
)

// decodeSock reads a datagram.
func decodeSock(p []byte) stamp {
	var sec, usec int64
	switch len(p) {
	case sockLen:
		sec, usec = int64(native.Uint64(p)), int64(native.Uint64(p[8:]))
		p = p[16:]
	case sockLen32:
		sec, usec = int64(native.Uint32(p)), int64(native.Uint32(p[4:]))
		p = p[8:]
	default:
		return stamp{reason: reasonMalformed}
	}
	offset := math.Float64frombits(native.Uint64(p))
	pulse, leap, magic := native.Uint32(p[8:]), native.Uint32(p[12:]), native.Uint32(p[20:])
	if magic != sockMagic || leap > maxSockLeap || usec < 0 || usec >= 1_000_000 {
		return stamp{reason: reasonMalformed}
	}
	if math.IsNaN(offset) || math.Abs(offset) > maxSockOffset || sec < 0 || sec > maxSeconds {
		return stamp{reason: reasonInsane}
	}
	whole, rest := math.Modf(offset)
	system := sec*1_000_000_000 + usec*1000
	return stamp{
		system: system, reference: system + int64(whole)*1_000_000_000 + int64(math.Round(rest*1e9)),
		pulse: pulse != 0, leap: ntp.Leap(leap),
	}
}
