package fastpath

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
)

// How long a snapshot is good without renewal, and how often it is renewed.
const (
	snapshotLife  = 100 * time.Millisecond
	snapshotEvery = 25 * time.Millisecond
)

// Around midnight (UTC) the sockets answer, since leap seconds happen there.
const (
	beforeMidnight = time.Second
	afterMidnight  = 2 * time.Second
	day            = 24 * time.Hour
)

// clocks are the system's clocks at one moment, nanoseconds.
type clocks struct {
	mono   int64
	offset int64 // system clock since 1970 minus monotonic
	tai    int64 // CLOCK_TAI minus monotonic
}

// reader reads the clocks. A difference of two lies within what the readings
// before and after leave; as it only changes by steps, all readings narrow it.
type reader struct {
	offset, tai interval
}

// interval is what is known of a difference that is constant.
type interval struct {
	low, high int64
	known     bool
}

// narrow takes in that the difference lies between low and high, and returns
// the best guess.
func (i *interval) narrow(low, high int64) int64 {
	if !i.known || low > i.high || high < i.low { // stepped
		*i = interval{low, high, true}
	} else {
		i.low, i.high = max(i.low, low), min(i.high, high)
	}
	return i.low + (i.high-i.low)/2
}

// readings is how often clocks are read for a snapshot.
const readings = 3

func (r *reader) read() (c clocks, err error) {
	for range readings {
		var t [4]int64
		for i, id := range []int32{unix.CLOCK_REALTIME, unix.CLOCK_MONOTONIC, unix.CLOCK_TAI, unix.CLOCK_MONOTONIC} {
			var ts unix.Timespec
			if err := unix.ClockGettime(id, &ts); err != nil {
				return c, err
			}
			t[i] = ts.Nano()
		}
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME, &ts); err != nil {
			return c, err
		}
		c.mono = t[3]
		c.offset = r.offset.narrow(t[0]-t[1], ts.Nano()-t[3])
		c.tai = r.tai.narrow(t[2]-t[3], t[2]-t[1])
	}
	return c, nil
}

// timeOf returns nanoseconds since 1970 as a timestamp of NTP, cut off, and the
// rest of it with what rounding takes, 2^-32 of a timestamp's last bit.
func timeOf(system int64) (time, rest uint64) {
	const second = 1_000_000_000
	sec, ns := uint64(system)/second, uint64(system)%second<<32
	cut := uint64(ntp.TimestampFromUnix(int64(sec), 0)) + ns/second
	return cut, ns%second<<32/second + 1<<31
}

// snapshotOf is what the program tells of a clock at a moment; it expires at
// once where the sockets have to answer.
func snapshotOf(state *ntp.ClockState, c clocks, limiterMono int64) objectSnapshot {
	s := objectSnapshot{Mono: uint64(c.mono), Offset: uint64(c.offset), Tai: uint64(c.tai), LimiterMono: uint64(limiterMono)}
	if state == nil || state.Smear.Alarm {
		return s
	}
	system := time.Duration(c.mono + c.offset)
	midnight := system.Truncate(day) + day
	life := min(snapshotLife, midnight-beforeMidnight-system)
	if life <= 0 || system-system.Truncate(day) < afterMidnight {
		return s
	}
	s.Expiry = uint64(c.mono + int64(life))
	s.Time, s.Rest = timeOf(c.mono + c.offset)
	now := ntp.TimestampFromUnix(int64(system/time.Second), int64(system%time.Second))
	if state.Smear.Active || state.Smear.Offset != 0 {
		s.Smear = int64(state.SmearAt(now))
		s.SmearRate = int64(state.Smear.Rate * (1 << 32))
	}
	var h ntp.Header
	var octets [ntp.HeaderLen]byte
	state.FillServed(&h, now)
	h.Encode(octets[:])
	for i := range s.Header {
		s.Header[i] = binary.NativeEndian.Uint32(octets[4*i:])
	}
	return s
}
