package load

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"time"
)

// outcome is what became of one received packet.
type outcome uint8

const (
	outcomeAnswer          outcome = iota // time, authenticator not looked at
	outcomeVerified                       // time, authenticator good
	outcomeForged                         // time, authenticator bad
	outcomeUnauthenticated                // time without the authenticator asked for, or a crypto-NAK
	outcomeKiss                           // kiss-o'-death, NTS NAK, or an unsynchronised server
	outcomeUnmatched                      // answers nothing that is outstanding
	outcomeMalformed                      // no NTP answer
)

// Result is what a run counted.
type Result struct {
	Kind string

	Sent            uint64
	Answers         uint64 // matched time answers; only they count
	Verified        uint64 // of these, verified
	Forged          uint64
	Unauthenticated uint64
	Kisses          uint64
	Unmatched       uint64
	Malformed       uint64
	Lost            uint64 // not answered within the timeout
	Refused         uint64 // ICMP port unreachable
	Skipped         uint64 // not sent since the window was full (rate mode)

	Wall    time.Duration
	CPU     time.Duration // of the server process over Wall
	Own     time.Duration // of the generator's process, likewise
	Latency Percentiles   // from send to receive, as the generator sees it

	histogram Histogram
}

// Percentiles are what half, 90, 99, 99.9 % and all of the answers did not
// exceed.
type Percentiles struct{ P50, P90, P99, P999, Max time.Duration }

func (r *Result) count(o outcome, latency int64) {
	switch o {
	case outcomeVerified:
		r.Verified++
		fallthrough
	case outcomeAnswer:
		r.Answers++
		r.histogram.Add(latency)
	case outcomeForged:
		r.Forged++
	case outcomeUnauthenticated:
		r.Unauthenticated++
	case outcomeKiss:
		r.Kisses++
	case outcomeUnmatched:
		r.Unmatched++
	default:
		r.Malformed++
	}
}

// WriteText writes the result for a terminal; measured tells whether a server
// process was watched.
func (r *Result) WriteText(w io.Writer, measured bool) error {
	fmt.Fprintf(w, "kind       %s\n", r.Kind)
	fmt.Fprintf(w, "answers    %d in %v, %.0f per second, %d verified\n", r.Answers, r.Wall.Round(time.Millisecond), r.PerSecond(),
		r.Verified)
	fmt.Fprintf(w, "requests   %d sent, %d lost (%.4f %%), %d not sent for a full window\n", r.Sent, r.Lost, 100*r.Loss(), r.Skipped)
	fmt.Fprintf(w, "others     %d unmatched, %d port unreachable\n", r.Unmatched, r.Refused)
	l := r.Latency
	_, err := fmt.Fprintf(w, "latency    50 %% %v, 90 %% %v, 99 %% %v, 99.9 %% %v, largest %v\n", l.P50, l.P90, l.P99, l.P999, l.Max)
	if measured {
		_, err = fmt.Fprintf(w, "server     %.0f ns of CPU time per answer, %.0f %% of one core\n",
			r.CPUPerAnswer(), 100*float64(r.CPU)/float64(r.Wall))
	}
	return err
}

// Merge adds the counts and times of another run. Percentiles are those of the
// last one.
func (r *Result) Merge(o *Result) {
	r.Kind, r.Latency = o.Kind, o.Latency
	r.Sent += o.Sent
	r.Answers += o.Answers
	r.Verified += o.Verified
	r.Forged += o.Forged
	r.Unauthenticated += o.Unauthenticated
	r.Kisses += o.Kisses
	r.Unmatched += o.Unmatched
	r.Malformed += o.Malformed
	r.Lost += o.Lost
	r.Refused += o.Refused
	r.Skipped += o.Skipped
	r.Wall += o.Wall
	r.CPU += o.CPU
	r.Own += o.Own
}

// ErrBadAnswers tells that a server did not answer as it was asked, so that
// its figures mean nothing.
var ErrBadAnswers = errors.New("the server did not answer as asked")

// problem returns why the result must not be used, if so.
func (r *Result) problem() error {
	bad := r.Forged + r.Unauthenticated + r.Kisses + r.Malformed
	switch {
	case r.Answers == 0 && bad == 0:
		return fmt.Errorf("%s: %w: no answer to %d requests", r.Kind, ErrBadAnswers, r.Sent)
	case bad > 0:
		return fmt.Errorf("%s: %w: %d good, %d forged, %d without authenticator or crypto-NAK, %d kisses or NAKs, %d malformed",
			r.Kind, ErrBadAnswers, r.Answers, r.Forged, r.Unauthenticated, r.Kisses, r.Malformed)
	case r.Verified == 0:
		return fmt.Errorf("%s: %w: none of %d answers was verified", r.Kind, ErrBadAnswers, r.Answers)
	}
	return nil
}

// PerSecond returns answers per second of wall clock.
func (r *Result) PerSecond() float64 {
	if r.Wall <= 0 {
		return 0
	}
	return float64(r.Answers) / r.Wall.Seconds()
}

// CPUPerAnswer returns nanoseconds of server CPU time per answer.
func (r *Result) CPUPerAnswer() float64 {
	if r.Answers == 0 {
		return math.NaN()
	}
	return float64(r.CPU) / float64(r.Answers)
}

// WholePerAnswer returns nanoseconds of CPU time per answer of both processes:
// of the whole exchange. Who answers in the kernel does so on whatever core the
// request arrives.
func (r *Result) WholePerAnswer() float64 {
	if r.Answers == 0 {
		return math.NaN()
	}
	return float64(r.CPU+r.Own) / float64(r.Answers)
}

// Loss returns the share of sent requests that timed out, 0 to 1.
func (r *Result) Loss() float64 {
	if r.Sent == 0 {
		return 0
	}
	return float64(r.Lost) / float64(r.Sent)
}

// subBuckets divides each power of two of nanoseconds: the histogram is good
// to 1/16, about 6 %.
const subBuckets = 16

// Histogram counts durations in logarithmic buckets. The zero value is empty.
type Histogram struct {
	buckets [64 * subBuckets]uint64
	total   uint64
	largest int64
}

// Add counts one duration in nanoseconds; negative counts as 0.
func (h *Histogram) Add(ns int64) {
	ns = max(ns, 0)
	h.buckets[bucketOf(uint64(ns))]++
	h.total++
	h.largest = max(h.largest, ns)
}

func (h *Histogram) percentiles() Percentiles {
	return Percentiles{h.Percentile(50), h.Percentile(90), h.Percentile(99), h.Percentile(99.9), time.Duration(h.largest)}
}

// Percentile returns the duration that p percent (0 to 100) do not exceed,
// rounded up to its bucket's end; 0 when nothing was counted.
func (h *Histogram) Percentile(p float64) time.Duration {
	want := uint64(math.Ceil(float64(h.total) * p / 100))
	var seen uint64
	for i, n := range h.buckets {
		if seen += n; n > 0 && seen >= want {
			return time.Duration(min(bucketEnd(i), uint64(h.largest)))
		}
	}
	return time.Duration(h.largest)
}

// bucketOf returns the bucket of v: exact below subBuckets, then subBuckets
// per power of two.
func bucketOf(v uint64) int {
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - 5
	return shift*subBuckets + int(v>>shift)
}

// bucketEnd returns the largest value of bucket i.
func bucketEnd(i int) uint64 {
	if i < 2*subBuckets {
		return uint64(i)
	}
	shift := i/subBuckets - 1
	return (uint64(i%subBuckets+subBuckets)+1)<<shift - 1
}
