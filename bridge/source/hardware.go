package source

import (
	"time"
)

// crossClock is the clock of a network interface.
type crossClock interface {
	// Cross reads the clock and CLOCK_MONOTONIC_RAW at one instant, ns.
	Cross() (clock, raw int64, err error)
	Close() error
}

// crossing is one reading of both clocks.
type crossing struct{ clock, raw int64 }

// hardwareClock converts timestamps of an interface to the base. Nobody needs
// to discipline the interface's clock: it is compared with the base whenever
// a packet was sent or came, and its rate is measured on the way.
type hardwareClock struct {
	crossClock
	bitTime time.Duration // of the link, for 1000 bits; 0: not known

	first, last crossing // of the line that the rate is measured by
	rate        float64  // ns of the base for one of the clock; 0: nothing was read
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

// read reads both clocks.
func (h *hardwareClock) read() {
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

// convert returns the reading of the base at a timestamp of the interface.
func (h *hardwareClock) convert(clock int64) (raw int64, ok bool) {
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

// arrival converts the timestamp of a received packet of n octets. Interfaces
// stamp its beginning in both directions; NTP's receive timestamp is that of
// the end.
func (h *hardwareClock) arrival(clock int64, n int, v6 bool) (raw int64, ok bool) {
	raw, ok = h.convert(clock)
	octets := n + overhead4
	if v6 {
		octets = n + overhead6
	}
	return raw + int64(octets)*8*int64(h.bitTime)/1000, ok
}
