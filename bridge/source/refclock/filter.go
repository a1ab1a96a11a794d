package refclock

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// filter makes one sample of the readings of a poll.
//
// Readings are late more often than early: an interrupt waits, a serial driver
// collects. The mean would follow each accident, the median wastes a third of
// what the good ones say. So, as in chrony, the three fifths nearest to the
// middle are averaged: up to two fifths may be anything, and white noise is
// averaged nearly as well as by the mean.
//
// Readings are compared on the base, which drifts against the clock by up to
// hundreds of ppm, milliseconds within a poll. Therefore the middle is a line:
// its slope is the median of those between all pairs (Theil and Sen). The slope
// decides only what is kept; the mean of the kept ones is a point of their line
// whatever the slope, and is stamped with their mean time.
type filter struct {
	max      int
	readings []reading
}

// keptShare is the share of the readings that is averaged.
const keptShare = 0.6

// maxSlope is the largest drift that is believed, s/s.
const maxSlope = 500e-6

func (f *filter) add(r reading) {
	if len(f.readings) >= f.max {
		f.readings = append(f.readings[:0], f.readings[1+len(f.readings)-f.max:]...)
	}
	f.readings = append(f.readings, r)
}

func (f *filter) clear() { f.readings = f.readings[:0] }

// deviant is a reading's distance from the middle.
type deviant struct {
	index    int
	distance float64 // ns, not negative
}

// combine makes a sample of the readings and forgets them. It returns false if
// there are none. Precision is the least dispersion.
func (f *filter) combine(precision time.Duration) (Sample, bool) {
	n := len(f.readings)
	if n == 0 {
		return Sample{}, false
	}
	defer f.clear()
	ran, ahead := f.relative()
	slope := clampSlope(theilSen(ran, ahead))
	middle := make([]float64, n)
	for i := range middle {
		middle[i] = ahead[i] - slope*ran[i]
	}
	distances := deviants(middle)
	scale := 1.4826 * distances[(n-1)/2].distance // deviation by the median distance
	if n%2 == 0 {
		scale = 1.4826 * (distances[n/2-1].distance + distances[n/2].distance) / 2
	}
	return f.average(distances[:int(math.Ceil(keptShare*float64(n)-1e-9))], ran, ahead, scale, precision), true
}

// relative returns for each reading the time on the base since the first, and
// by how much the clock gained on the base since, ns. As differences they are
// exact in floating point.
func (f *filter) relative() (ran, ahead []float64) {
	first := &f.readings[0]
	for i := range f.readings {
		r := &f.readings[i]
		ran = append(ran, float64(r.raw-first.raw))
		ahead = append(ahead, float64((r.reference-first.reference)-(r.raw-first.raw)))
	}
	return ran, ahead
}

// average makes the sample of the kept readings.
func (f *filter) average(chosen []deviant, ran, ahead []float64, scale float64, precision time.Duration) Sample {
	first := &f.readings[0]
	share := 1 / float64(len(chosen))
	var meanRan, meanAhead, dispersion float64
	for _, c := range chosen {
		meanRan += share * ran[c.index]
		meanAhead += share * ahead[c.index]
		dispersion += share * float64(f.readings[c.index].dispersion)
	}
	raw := first.raw + int64(math.Round(meanRan))
	reference := first.reference + (raw - first.raw) + int64(math.Round(meanAhead))
	nearest := first // whose system clock is told at raw
	for _, c := range chosen {
		if r := &f.readings[c.index]; distance(r.raw, raw) < distance(nearest.raw, raw) {
			nearest = r
		}
	}
	system := nearest.system + (raw - nearest.raw)
	return Sample{
		Raw: raw, System: system, Offset: time.Duration(reference - system),
		Dispersion: max(precision, time.Duration(dispersion)) + time.Duration(scale*math.Sqrt(share)),
		Deviation:  time.Duration(scale),
		Readings:   len(f.readings),
		Leap:       f.readings[len(f.readings)-1].leap,
	}
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

// theilSen returns the median of the slopes between all pairs of points, 0
// where there are fewer than two.
func theilSen(x, y []float64) float64 {
	var slopes []float64
	for i := range x {
		for j := range i {
			if x[i] > x[j] {
				slopes = append(slopes, (y[i]-y[j])/(x[i]-x[j]))
			}
		}
	}
	return median(slopes)
}

func clampSlope(s float64) float64 { return min(max(s, -maxSlope), maxSlope) }

// median sorts its argument.
func median(v []float64) float64 {
	n := len(v)
	if n == 0 {
		return 0
	}
	slices.Sort(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// deviants returns the distances from the median, least first.
func deviants(v []float64) []deviant {
	m := median(slices.Clone(v))
	d := make([]deviant, len(v))
	for i, x := range v {
		d[i] = deviant{i, math.Abs(x - m)}
	}
	slices.SortStableFunc(d, func(a, b deviant) int { return cmp.Compare(a.distance, b.distance) })
	return d
}
