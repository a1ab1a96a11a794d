package source

import (
	"fmt"
	"time"

	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/ntp"
)

// StampKind says who took a timestamp of the local clock.
type StampKind uint8

// The kinds of timestamps, from the worst to the best.
const (
	StampDaemon   StampKind = iota // this process, around the system call
	StampKernel                    // the kernel, on its way to or from the interface
	StampHardware                  // the interface, by its own clock
)

var stampNames = [...]string{"daemon", "kernel", "hardware"}

// String returns the name that chrony gives the kind.
func (k StampKind) String() string {
	if int(k) < len(stampNames) {
		return stampNames[k]
	}
	return "stamp?"
}

// stamp is a moment by the system clock and on the base, ns.
type stamp struct {
	system int64 // Unix time
	raw    int64
	kind   StampKind
}

func (s stamp) timestamp() ntp.Timestamp { return timestampOf(s.system) }

// earlier returns the moment d before s, for a d that is so short that the
// clocks' rates do not matter.
func (s stamp) earlier(d time.Duration) stamp {
	return stamp{s.system - int64(d), s.raw - int64(d), s.kind}
}

// timestampOf returns a Unix time in ns as a timestamp.
func timestampOf(ns int64) ntp.Timestamp {
	sec, rest := ns/1e9, ns%1e9
	if rest < 0 {
		sec, rest = sec-1, rest+1e9
	}
	return ntp.TimestampFromUnix(sec, rest)
}

// daemonStamp is the moment of a pair.
func daemonStamp(p timebase.Pair) stamp { return stamp{p.System, p.Raw, StampDaemon} }

// stampAt is a moment that the system clock told shortly before or after the
// pair was read, Unix time in ns.
func stampAt(p timebase.Pair, system int64, kind StampKind) stamp {
	return stamp{system, p.At(system), kind}
}

// stampOf is a timestamp of the system clock near the pair.
func stampOf(p timebase.Pair, t ntp.Timestamp, kind StampKind) stamp {
	delta := t.Sub(timestampOf(p.System))
	return stampAt(p, p.System+int64(delta), kind)
}

// rawStamp is a moment on the base near the pair.
func rawStamp(p timebase.Pair, raw int64, kind StampKind) stamp {
	return stamp{p.System - (p.Raw - raw), raw, kind}
}

// The system clock is slewed by at most slewLimit, the range of the kernel's
// tick, which a large offset at the start is corrected by; what it gains on the
// base beyond that and the error of reading both is a step.
const (
	slewLimit   = 0.1
	readingSlop = 5 * time.Microsecond
)

// stepBetween returns by how much the system clock was set between two
// readings, 0 if it was not.
func stepBetween(a, b timebase.Pair) time.Duration {
	gained := (b.System - b.Raw) - (a.System - a.Raw)
	passed := max(b.Raw-a.Raw, a.Raw-b.Raw)
	allowed := int64(slewLimit*float64(passed)) + (a.Spread+b.Spread)/2 + int64(readingSlop)
	if gained > allowed || gained < -allowed {
		return time.Duration(gained)
	}
	return 0
}

// unstepped returns an error if the system clock was set between two readings:
// timestamps from both sides of a step measure the step.
func unstepped(a, b timebase.Pair) error {
	if step := stepBetween(a, b); step != 0 {
		return fmt.Errorf("%w: by %v", errStep, step)
	}
	return nil
}
