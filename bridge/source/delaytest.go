package source

import (
	"fmt"
	"math"
	"time"
)

// Limits of ClientConfig.MaxDelay. chrony's default and limit are the same.
const (
	defaultMaxDelay = 3 * time.Second
	limitMaxDelay   = 1000 * time.Second
)

const (
	// delayHistory is how many measurements the tests of the delay remember.
	delayHistory = 64
	// leastHistory is how many the deviation needs, as in chrony.
	leastHistory = 6
)

// delayLimits are the options of ClientConfig for the delay.
type delayLimits struct {
	longest         time.Duration
	ratio, devRatio float64
}

// check returns an error if a limit is out of range.
func (l *delayLimits) check() error {
	switch {
	case l.longest < 0 || l.longest > limitMaxDelay:
		return fmt.Errorf("source: longest delay %v, must be up to %v", l.longest, limitMaxDelay)
	case l.ratio != 0 && !(l.ratio >= 1):
		return fmt.Errorf("source: delay ratio %v, must be at least 1, or 0 for none", l.ratio)
	case !(l.devRatio >= 0):
		return fmt.Errorf("source: delay deviation ratio %v, must not be negative", l.devRatio)
	}
	return nil
}

// pastDelay is a measurement.
type pastDelay struct {
	raw    int64 // of the arrival
	offset int64 // server's clock less the base, ns
	delay  time.Duration
	good   bool // it became a sample
}

// delayTest judges measurements by their delay, as chrony does by maxdelay,
// maxdelayratio and maxdelaydevratio. The shortest delay is that of all recent
// measurements: if the way has become longer for good, they pass again when
// the last one of the old way is forgotten.
type delayTest struct {
	limits delayLimits
	past   [delayHistory]pastDelay
	n      int // measurements ever
}

// check returns an error if a sample is to be dropped.
func (d *delayTest) check(times *exchanged, s *Sample) error {
	if s.Delay > d.limits.longest {
		return fmt.Errorf("%w: %v, at most %v", errDelay, s.Delay, d.limits.longest)
	}
	now := pastDelay{raw: times.t4.raw, offset: int64(s.Offset) + times.t4.system - times.t4.raw, delay: s.Delay}
	err := d.compare(&now, s.Dispersion)
	now.good = err == nil
	d.past[d.n%delayHistory] = now
	d.n++
	return err
}

// recent returns the measurements that are remembered.
func (d *delayTest) recent() []pastDelay { return d.past[:min(d.n, delayHistory)] }

// compare compares a measurement with those before it.
func (d *delayTest) compare(now *pastDelay, dispersion time.Duration) error {
	if d.n == 0 || d.limits.ratio == 0 && d.limits.devRatio == 0 {
		return nil
	}
	least := time.Duration(math.MaxInt64)
	for _, p := range d.recent() {
		least = min(least, p.delay)
	}
	if limit := d.limits.ratio * float64(least); limit > 0 && float64(now.delay-dispersion) > limit {
		return fmt.Errorf("%w: %v, at most %v times the shortest one, %v", errDelay, now.delay, d.limits.ratio, least)
	}
	if d.limits.devRatio == 0 {
		return nil
	}
	line, ok := d.fit(now.raw, now.offset)
	if !ok {
		return nil
	}
	// What the delay is longer by is at most twice what the offset is wrong by.
	longer := (now.delay - least).Seconds() / 2
	allowed := line.deviation*d.limits.devRatio + line.uncertain + dispersion.Seconds()
	if longer <= allowed || math.Abs(line.predicted)-longer > allowed {
		return nil
	}
	return fmt.Errorf("%w: %v, which is %v longer than the shortest one while offsets deviate by %v",
		errDelay, now.delay, now.delay-least, time.Duration(line.deviation*1e9))
}

// line is what the samples before tell of a moment.
type line struct {
	predicted float64 // offset then, less what was measured, s
	deviation float64 // of the samples from the line, s
	uncertain float64 // error of the prediction by that of the rate, s
}

// fit lays a line through the offsets of the samples by least squares and
// follows it to a moment.
func (d *delayTest) fit(raw, offset int64) (l line, ok bool) {
	var n, sx, sy float64
	for _, p := range d.recent() {
		if p.good {
			n, sx, sy = n+1, sx+float64(p.raw-raw)/1e9, sy+float64(p.offset-offset)/1e9
		}
	}
	if n < leastHistory {
		return line{}, false
	}
	mx, my := sx/n, sy/n
	var sxx, sxy, syy, last float64
	last = math.Inf(-1)
	for _, p := range d.recent() {
		if !p.good {
			continue
		}
		at := float64(p.raw-raw) / 1e9
		x, y := at-mx, float64(p.offset-offset)/1e9-my
		sxx, sxy, syy, last = sxx+x*x, sxy+x*y, syy+y*y, max(last, at)
	}
	if sxx <= 0 {
		return line{}, false
	}
	slope := sxy / sxx
	l.predicted = my - slope*mx
	l.deviation = math.Sqrt(max(syy-slope*sxy, 0) / (n - 2))
	l.uncertain = l.deviation / math.Sqrt(sxx) * max(-last, 0)
	return l, true
}
