// Package nic converts timestamps that a network interface took, by the clock that
// it has for that (a PTP hardware clock), to the free-running time base. Nobody
// needs to discipline that clock: it is compared with the base, and its rate
// measured on the way.
//
// It sets no clock. It makes interfaces take timestamps (SIOCSHWTSTAMP) where
// they do not yet.
package nic

import (
	"time"
)

// Crosser is the clock of a network interface.
type Crosser interface {
	// Cross reads the clock and CLOCK_MONOTONIC_RAW at one instant, ns.
	Cross() (clock, raw int64, err error)
	Close() error
}

// crossing is one reading of both clocks.
type crossing struct{ clock, raw int64 }

// Line is what is known of an interface's clock. It is a value: a copy stays as
// it is while the clock is read again.
type Line struct {
	last    crossing
	rate    float64       // ns of the base for one of the clock; 0: nothing was read
	bitTime time.Duration // of the link, for 1000 bits; 0: not known
}

// Clock is an interface's clock. Read is to be called whenever a packet was sent
// or came, or once a second.
type Clock struct {
	Crosser
	Line
	first crossing // of the line that the rate is measured by
}

// New returns a clock that was not read yet, of a link on which 1000 bits take
// bitTime, 0: not known.
func New(c Crosser, bitTime time.Duration) *Clock {
	return &Clock{Crosser: c, Line: Line{bitTime: bitTime}}
}

const (
	// rateBase is the least time between two readings that tell the rate.
	rateBase = time.Second
	// rateSpan is after how long the rate is measured anew.
	rateSpan = 256 * time.Second
	// maxRate bounds the rate of a clock that was not set between two readings.
	maxRate = 1e-3
	// crossError is the error of a reading.
	crossError = 100 * time.Microsecond
	// convertSpan is how far from the last reading a timestamp is converted.
	convertSpan = 10 * time.Second
)

// Read reads both clocks.
func (h *Clock) Read() {
	clock, raw, err := h.Cross()
	if err != nil {
		h.rate = 0
		return
	}
	now := crossing{clock, raw}
	passed := now.clock - h.last.clock
	drifted := (now.raw - h.last.raw) - passed
	limit := int64(maxRate*float64(max(passed, -passed))) + int64(crossError)
	switch {
	case h.rate == 0, drifted > limit, -drifted > limit:
		h.first, h.rate = now, 1 // set, or another clock
	case now.raw-h.first.raw >= int64(rateSpan) && h.last != h.first:
		h.first = h.last
		fallthrough
	default:
		if span := now.clock - h.first.clock; span >= int64(rateBase) {
			h.rate = float64(now.raw-h.first.raw) / float64(span)
		}
	}
	h.last = now
}

// Convert returns the reading of the base at a timestamp of the interface.
func (h *Line) Convert(clock int64) (raw int64, ok bool) {
	since := clock - h.last.clock
	if h.rate == 0 || since > int64(convertSpan) || since < -int64(convertSpan) {
		return 0, false
	}
	return h.last.raw + int64(float64(since)*h.rate), true
}

// Octets of a packet around what UDP carries: Ethernet with its checksum, IP,
// UDP.
const (
	overhead4 = 18 + 20 + 8
	overhead6 = 18 + 40 + 8
)

// Arrival converts the timestamp of a received packet of n octets. Interfaces
// stamp its beginning in both directions; NTP's receive timestamp is that of
// the end.
func (h *Line) Arrival(clock int64, n int, v6 bool) (raw int64, ok bool) {
	raw, ok = h.Convert(clock)
	octets := n + overhead4
	if v6 {
		octets = n + overhead6
	}
	return raw + int64(octets)*8*int64(h.bitTime)/1000, ok
}

// Limits of how far an interface's timestamp may be from the kernel's of the same
// packet. Both are taken on this machine, one after the other.
const (
	// reading is the error of the comparison of the clocks.
	reading = 50 * time.Microsecond
	// mostQueued is how long a packet may lie between interface and kernel: an
	// interrupt is held back for less, also where a host does not run for a while.
	mostQueued = 100 * time.Millisecond
)

// Arrived tells whether a packet that the kernel saw at a moment of the base can
// have come to the interface at another: before it, and not long.
func Arrived(hardware, kernel int64) bool { return possible(kernel - hardware) }

// Left tells the same of a packet that was sent: the interface is later.
func Left(hardware, kernel int64) bool { return possible(hardware - kernel) }

func possible(ns int64) bool { return ns >= -int64(reading) && ns <= int64(mostQueued) }
