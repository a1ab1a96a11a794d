package clock

import (
	"ntsbridge/bridge/ntp"
)

// Times around a leap second, ns.
const (
	// leapGrace is how long after it the kernel has for a leap second, before
	// it is believed to have missed it.
	leapGrace = int64(5e9)
	// leapPast is when a leap second is forgotten: no exchange can lie across
	// it any more.
	leapPast = int64(20e9)
	// leapNear is where nothing is decided or set anew.
	leapNear = int64(10e9)
	// leapTolerance is how much a jump of the system clock may differ from a
	// second.
	leapTolerance = 0.3e9
	// leapRest is how long the kernel needs to forget a leap second that was
	// announced before the clock was stepped: it looks once a second.
	leapRest = int64(2.5e9)
)

// leapSecond is the leap second that is to come today, or was a moment ago.
type leapSecond struct {
	kind      ntp.Leap
	at        int64 // Unix time of the month that begins after it, ns
	done      bool  // the system clock has had it, or will not
	notBefore int64 // on Raw: when it may be announced to the kernel
}

// by is how many seconds are inserted.
func (l *leapSecond) by() int64 {
	if l.kind == ntp.LeapDelete {
		return -1
	}
	return 1
}

// due is when the system clock, which does not have it, has to have had it.
func (l *leapSecond) due() int64 {
	if l.kind == ntp.LeapDelete {
		return l.at - 1e9
	}
	return l.at
}

// announced is what clients are told.
func (l *leapSecond) announced() ntp.Leap {
	if l.done {
		return ntp.LeapNone
	}
	return l.kind
}

// kernel is what the kernel is told.
func (l *leapSecond) kernel(mode LeapMode, now int64) ntp.Leap {
	if mode != LeapSystem || now < l.notBefore {
		return ntp.LeapNone
	}
	return l.announced()
}

// hold keeps the leap second from the kernel after a step, which makes it
// forget when.
func (l *leapSecond) hold(now int64) { l.notBefore = now + leapRest }

func leapName(kind ntp.Leap) string {
	if kind == ntp.LeapDelete {
		return "delete"
	}
	return "insert"
}
