package discipline

import (
	"math"
	"slices"
)

// Delay window.
const (
	// windowLen bounds the delays kept of a path. The least delay of n
	// samples lies above the true one by about 1/sqrt(n), so a longer window
	// is better until the path changes; 1024 are 4.5 hours at 16 s.
	windowLen = 1024
	// windowAge bounds their age: paths have daily rhythms.
	windowAge = 24 * 3600.0
	// recentLen is how many last delays decide whether the path changed. A
	// queue that stands for many samples must not pass for another path, and
	// there is no hurry: until then long delays say little, which is right.
	recentLen = 24
	// gammaMedian is the median of the sum of two exponential delays of mean
	// 1, one for each direction.
	gammaMedian = 1.678
	// unknownJitter is the scale of jitter assumed of a path of which fewer
	// than fewDelays delays are known, as a part of the least delay.
	unknownJitter = 0.25
	fewDelays     = 4
)

// delayWindow keeps the recent round-trip delays of a path, in order of time
// and of size.
type delayWindow struct {
	delay  []float64 // ring, s
	at     []float64 // ring, s of the base
	next   int       // of the ring, once it is full
	sorted []float64
}

func (w *delayWindow) add(at, delay float64) {
	if len(w.delay) == windowLen {
		w.forget(w.delay[w.next])
		w.delay[w.next], w.at[w.next] = delay, at
		w.next = (w.next + 1) % windowLen
	} else {
		w.delay = append(w.delay, delay)
		w.at = append(w.at, at)
	}
	i, _ := slices.BinarySearch(w.sorted, delay)
	w.sorted = slices.Insert(w.sorted, i, delay)
	w.expire(at - windowAge)
}

// forget removes a delay from the sorted ones.
func (w *delayWindow) forget(delay float64) {
	if i, found := slices.BinarySearch(w.sorted, delay); found {
		w.sorted = slices.Delete(w.sorted, i, i+1)
	}
}

// expire drops what is older than a time. The ring is straightened out first,
// which only happens when delays came more rarely than one in 84 s.
func (w *delayWindow) expire(before float64) {
	oldest := 0
	if len(w.delay) == windowLen {
		oldest = w.next
	}
	if w.at[oldest] >= before {
		return
	}
	if w.next != 0 {
		rotate(w.delay, w.next)
		rotate(w.at, w.next)
		w.next = 0
	}
	n := 0
	for n < len(w.at) && w.at[n] < before {
		w.forget(w.delay[n])
		n++
	}
	w.delay = slices.Delete(w.delay, 0, n)
	w.at = slices.Delete(w.at, 0, n)
}

// rotate moves the first n elements to the end.
func rotate(s []float64, n int) {
	slices.Reverse(s[:n])
	slices.Reverse(s[n:])
	slices.Reverse(s)
}

func (w *delayWindow) len() int { return len(w.sorted) }

// floor is the least delay.
func (w *delayWindow) floor() float64 { return w.sorted[0] }

// quantile returns the delay below which the given part of all lies.
func (w *delayWindow) quantile(part float64) float64 {
	return w.sorted[int(part*float64(len(w.sorted)-1))]
}

// jitter is the mean of the random part of the delay of one direction.
func (w *delayWindow) jitter() float64 {
	j := (w.quantile(0.5) - w.floor()) / gammaMedian
	if w.len() < fewDelays {
		j = max(j, unknownJitter*w.floor())
	}
	return j
}

// halfWidth returns the half width of the interval around the offset of a
// sample with the given delay in which the clock must lie: half of what the
// delay exceeds the path's floor.
func (w *delayWindow) halfWidth(delay float64) float64 {
	return (max(delay-w.floor(), 0) + w.above()) / 2
}

// above is how far the least delay is thought to lie above the path's true
// floor.
func (w *delayWindow) above() float64 { return aboveOf(w.sorted, w.jitter()) }

// Order statistics near the floor.
const (
	// leastOrders delays are needed for the estimate by order statistics, which
	// counts in full from fullOrders on.
	leastOrders = 32
	fullOrders  = 512
	mostOrder   = 16
)

// rises is the mean of the k-th least of many values whose number grows with
// the square of their size, in units in which that of the least is rises[1]:
// Gamma(k+1/2)/Gamma(k).
var rises = func() (list [mostOrder + 1]float64) {
	for k := 1; k <= mostOrder; k++ {
		up, _ := math.Lgamma(float64(k) + 0.5)
		down, _ := math.Lgamma(float64(k))
		list[k] = math.Exp(up - down)
	}
	return list
}()

// aboveOf returns how far the least of sorted delays lies above their floor. By
// the scale of their jitter the least of n sums of two exponential delays lies
// above it by jitter*sqrt(pi/2n). With heavy queues that scale says nothing of
// how dense the delays are near the floor; the distances of the least from each
// other do.
func aboveOf(sorted []float64, jitter float64) float64 {
	n := len(sorted)
	byScale := jitter * math.Sqrt(math.Pi/(2*float64(n)))
	if n < leastOrders {
		return byScale
	}
	k := min(mostOrder, n/8)
	byOrder := rises[1] / (rises[k] - rises[1]) * (sorted[k-1] - sorted[0])
	part := min(1, float64(n)/fullOrders)
	return byScale + part*(byOrder-byScale)
}

// deviation is the standard deviation that the interquartile range of the
// delays suggests, were they normal.
func (w *delayWindow) deviation() float64 {
	return (w.quantile(0.75) - w.quantile(0.25)) / 1.349
}

// spread is the variance of the offset that the spread of the delays
// suggests, were both directions alike and normal: the offset is half of the
// difference of what the delay is the sum of.
func (w *delayWindow) spread() float64 {
	d := w.deviation()
	v := d * d / 4
	if w.len() < 2*fewDelays {
		v = max(v, 0.01*w.floor()*w.floor())
	}
	return v
}

// unusual is the square of the error that the part of a delay beyond three
// deviations may hide: such a delay is no draw from a bell, whatever the
// shape of the others. Without it a queue that stands for many samples looks
// like a clock that moves.
func (w *delayWindow) unusual(delay float64) float64 {
	beyond := max(0, delay-w.quantile(0.5)-3*w.deviation()) / 2
	return beyond * beyond
}

// recent returns least and median of the last recentLen delays, and false if
// there are not so many.
func (w *delayWindow) recent() (least, median float64, ok bool) {
	n := len(w.delay)
	if n < recentLen {
		return 0, 0, false
	}
	var last [recentLen]float64
	for i := range last {
		last[i] = w.delay[(w.next+n-1-i)%n]
	}
	slices.Sort(last[:])
	return last[0], last[recentLen/2], true
}

// splitRecent moves the last recentLen delays to a window of their own.
func (w *delayWindow) splitRecent() delayWindow {
	var fresh delayWindow
	if w.next != 0 {
		rotate(w.delay, w.next)
		rotate(w.at, w.next)
		w.next = 0
	}
	keep := len(w.delay) - recentLen
	for i := keep; i < len(w.delay); i++ {
		fresh.add(w.at[i], w.delay[i])
		w.forget(w.delay[i])
	}
	w.delay, w.at = w.delay[:keep], w.at[:keep]
	return fresh
}
