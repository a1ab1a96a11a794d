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
// what the good ones say. chrony averages the three fifths nearest to the
// middle, which bears two fifths of anything but makes twice the variance of
// the mean where nothing is wrong (measured with white noise). Here what is cut
// depends on the readings: those further from the middle than 2.5 deviations,
// estimated by the median of the distances, but never more than two fifths.
// That bears the same accidents, and of white noise it makes what the mean does
// to an eighth.
//
// Readings are compared on the base, which drifts against the clock by up to
// hundreds of ppm, milliseconds within a poll. Therefore the middle is a line:
// its slope is the median over all readings of the median of the slopes to the
// others (Siegel's repeated median, which half of the readings cannot mislead).
// The slope decides only what is kept; the mean of the kept ones is a point of
// their line whatever the slope, and is stamped with their mean time.
type filter struct {
	max      int
	readings []reading
}

// What is averaged: readings within maxDeviations, and in any case keptShare of
// them.
const (
	keptShare     = 0.6
	maxDeviations = 2.5
)

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
	slope := clampSlope(repeatedMedian(ran, ahead))
	middle := make([]float64, n)
	for i := range middle {
		middle[i] = ahead[i] - slope*ran[i]
	}
	distances := deviants(middle)
	scale := medianDeviation(distances)
	chosen := int(math.Ceil(keptShare*float64(n) - 1e-9))
	for chosen < n && distances[chosen].distance <= maxDeviations*scale {
		chosen++
	}
	distances = distances[:chosen]
	return f.average(distances, ran, ahead, max(few(n)*scale, rootMeanSquare(distances)), precision), true
}

// medianDeviation estimates the standard deviation by the median of sorted
// distances from the middle, as is right for the normal distribution.
func medianDeviation(d []deviant) float64 {
	n := len(d)
	return 1.4826 * (d[(n-1)/2].distance + d[n/2].distance) / 2
}

// few corrects a deviation estimated from n readings of which a line took two
// (Rousseeuw and Leroy 1987). Below four it means nothing anyway.
func few(n int) float64 {
	if n < 4 {
		return 1
	}
	return 1 + 5/float64(n-2)
}

// rootMeanSquare is the usual estimate of the deviation, from a line with two
// parameters.
func rootMeanSquare(d []deviant) float64 {
	if len(d) < 3 {
		return 0
	}
	sum := 0.0
	for _, x := range d {
		sum += x.distance * x.distance
	}
	return math.Sqrt(sum / float64(len(d)-2))
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

// repeatedMedian returns the slope of a line through points, 0 where there are
// fewer than two.
func repeatedMedian(x, y []float64) float64 {
	var slopes, medians []float64
	for i := range x {
		slopes = slopes[:0]
		for j := range x {
			if x[i] != x[j] {
				slopes = append(slopes, (y[i]-y[j])/(x[i]-x[j]))
			}
		}
		if len(slopes) > 0 {
			medians = append(medians, median(slopes))
		}
	}
	return median(medians)
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
