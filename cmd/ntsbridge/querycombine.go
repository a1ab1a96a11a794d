package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/source"
)

// combined is what several servers say together.
type combined struct {
	measured int // servers
	agree    int // of them those whose intervals have a point in common
	ok       bool
	offset   time.Duration
	best     *queryResult // of those that agree, the one with the least root distance
}

// combine finds the servers that agree, by their intervals of offset and root
// distance (RFC 5905, section 11.2.1): a majority of those that were measured
// must. Their offsets are weighed by the root distances.
func combine(results []*queryResult) combined {
	var c combined
	var edges []time.Duration
	for _, r := range results {
		if low, high, ok := r.interval(); ok {
			c.measured++
			edges = append(edges, low, high)
		}
	}
	most, at := 0, time.Duration(0)
	slices.Sort(edges)
	for _, e := range edges {
		if n := len(containing(results, e)); n > most {
			most, at = n, e
		}
	}
	if c.ok = 2*most > c.measured; !c.ok {
		return c
	}
	agreeing := containing(results, at)
	var sum, weights float64
	for _, r := range agreeing {
		r.agrees = true
		b := r.best()
		distance := b.RootDistance()
		w := 1 / max(distance.Seconds(), 1e-9)
		sum, weights = sum+w*b.Offset.Seconds(), weights+w
		if c.best == nil || distance < c.best.best().RootDistance() {
			c.best = r
		}
	}
	c.agree = len(agreeing)
	c.offset = time.Duration(sum / weights * float64(time.Second))
	// The mean may lie outside of what all of them have in common.
	for _, r := range agreeing {
		low, high, _ := r.interval()
		c.offset = min(max(c.offset, low), high)
	}
	return c
}

// interval returns the offsets that a server's true time lies within.
func (r *queryResult) interval() (low, high time.Duration, ok bool) {
	b := r.best()
	if b == nil || r.err != nil {
		return 0, 0, false
	}
	d := b.RootDistance()
	return b.Offset - d, b.Offset + d, true
}

// containing returns the results whose interval has a point.
func containing(results []*queryResult, at time.Duration) []*queryResult {
	var list []*queryResult
	for _, r := range results {
		if low, high, ok := r.interval(); ok && low <= at && at <= high {
			list = append(list, r)
		}
	}
	return list
}

// printChrony prints what chronyd -Q does.
func printChrony(w io.Writer, c combined) error {
	if !c.ok || c.measured == 0 {
		_, err := fmt.Fprintln(w, "No suitable source for synchronisation")
		return err
	}
	_, err := fmt.Fprintf(w, "System clock wrong by %.6f seconds (ignored)\n", c.offset.Seconds())
	return err
}

// stepThreshold is from where ntpdate would step the clock and not slew it.
const stepThreshold = 500 * time.Millisecond

// printNTPDate prints what ntpdate -q does: a line for each server, and one
// with the offset that it would correct.
func printNTPDate(w io.Writer, results []*queryResult, c combined, now time.Time) error {
	out := new(strings.Builder)
	for _, r := range results {
		b := r.best()
		if b == nil || r.err != nil {
			b = &source.Sample{}
		}
		address := r.name
		if r.address.IsValid() {
			address = r.address.Addr().String()
		}
		fmt.Fprintf(out, "server %s, stratum %d, offset %.6f, delay %.5f\n", address, b.Header.Stratum, b.Offset.Seconds(), b.Delay.Seconds())
	}
	fmt.Fprintf(out, "%s ntpdate[%d]: ", now.Format("_2 Jan 15:04:05"), os.Getpid())
	switch {
	case !c.ok || c.measured == 0:
		fmt.Fprintln(out, "no server suitable for synchronization found")
	default:
		verb := "adjust"
		if c.offset.Abs() >= stepThreshold {
			verb = "step"
		}
		fmt.Fprintf(out, "%s time server %s offset %.6f sec\n", verb, c.best.address.Addr(), c.offset.Seconds())
	}
	_, err := io.WriteString(w, out.String())
	return err
}
