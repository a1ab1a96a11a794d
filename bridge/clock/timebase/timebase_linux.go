// Package timebase reads the free-running time base, CLOCK_MONOTONIC_RAW,
// beside the system clock, CLOCK_REALTIME, so that timestamps of the one can be
// told in the other. Nobody disciplines the base: what is measured on it is
// free of our own corrections and of everybody else's.
//
// It sets no clock.
package timebase

import (
	"time"

	"golang.org/x/sys/unix"
)

// Pair is both clocks at one instant.
type Pair struct {
	Raw    int64 // CLOCK_MONOTONIC_RAW, ns since any beginning
	System int64 // CLOCK_REALTIME, Unix time, ns
	Spread int64 // time that the reading took, ns: System belongs to Raw to within half of it
}

// tries is how many readings Read chooses from: an interrupt or a busy host
// makes one slow now and then.
const tries = 5

// Read reads both clocks, the system's between two readings of the base, and
// takes the quickest of a few tries.
func Read() Pair { return read(gettime) }

func gettime(id int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		panic("timebase: clock_gettime: " + err.Error()) // cannot fail for these clocks
	}
	return ts.Nano()
}

func read(gettime func(id int32) int64) (best Pair) {
	for i := range tries {
		before := gettime(unix.CLOCK_MONOTONIC_RAW)
		system := gettime(unix.CLOCK_REALTIME)
		spread := gettime(unix.CLOCK_MONOTONIC_RAW) - before
		if i == 0 || spread < best.Spread {
			best = Pair{Raw: before + spread/2, System: system, Spread: spread}
		}
	}
	return best
}

// At returns the base's reading at a moment of the system clock near the
// pair's, Unix time in ns. A rate correction of 500 ppm, the kernel's largest,
// makes an error of 0.5 ns for each us between the two; a step of the system
// clock between them is not seen.
func (p Pair) At(system int64) (raw int64) { return p.Raw - (p.System - system) }

// Since returns how long the base has run since a reading of it.
func Since(raw int64) time.Duration {
	return time.Duration(gettime(unix.CLOCK_MONOTONIC_RAW) - raw)
}
