package inventory

import (
	"math"
	"slices"
	"time"
)

// burstGap is the longest gap within a burst (iburst sends every 2 s), in
// 1/256 s.
const burstGap = 3 * 256

// gapCode returns a gap, in 1/256 s, as a logarithm in steps of a sixteenth of an
// octave from 2 s on: 9 octaves in 8 bits would be too coarse for a poll
// interval, 16 octaves (131072 s) are what NTP has.
func gapCode(gap uint64) uint8 {
	if gap < 512 {
		return 0
	}
	return uint8(min(255, math.Round(16*math.Log2(float64(gap)/512))))
}

// codedGap returns the gap of a code.
func codedGap(code uint8) time.Duration { return codedGaps[code] }

var codedGaps = func() (list [256]time.Duration) {
	for code := range list {
		list[code] = time.Duration(2 * float64(time.Second) * math.Exp2(float64(code)/16))
	}
	return list
}()

// gap notes the time between two packets; those of a burst count as one.
func (m *means) gap(units uint64) {
	if units < burstGap {
		return
	}
	m.gaps[m.gapCount%uint8(len(m.gaps))] = gapCode(units)
	m.gapCount++
	if m.gapCount == 2*uint8(len(m.gaps)) {
		m.gapCount = uint8(len(m.gaps))
	}
}

// interval returns the client's poll interval: what its program says in the poll
// field where that program says the truth, else the median of the last eight
// gaps. 0: not known.
func (m *means) interval(tells bool) time.Duration {
	if p := m.print.poll; tells && p >= 1 && p <= 17 {
		return time.Second << p
	}
	return m.medianGap()
}

// medianGap returns the median of the last eight gaps, 0 if there was none.
func (m *means) medianGap() time.Duration {
	n := min(m.gapCount, uint8(len(m.gaps)))
	if n == 0 {
		return 0
	}
	sorted := m.gaps
	slices.Sort(sorted[:n])
	return codedGap(sorted[(n-1)/2])
}
