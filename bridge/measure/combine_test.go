package measure

import (
	"errors"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// now is when the servers of these tests are asked.
var now = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

// server is one that is ahead of our clock and as far away as delay says; four
// samples a second apart, each a little later on the way.
func server(name string, ahead, delay time.Duration) *Result {
	r := &Result{Name: name}
	for i := range 4 {
		at := time.Duration(i) * time.Second
		way := delay + time.Duration(i)*delay/10
		sent := now.Add(at)
		s := source.Sample{
			T1: ntp.TimestampFromTime(sent), T4: ntp.TimestampFromTime(sent.Add(way)),
			T2: ntp.TimestampFromTime(sent.Add(ahead + way/2)), T3: ntp.TimestampFromTime(sent.Add(ahead + way/2)),
			Raw1: int64(time.Hour + at), Raw4: int64(time.Hour + at + way),
			Offset: ahead, Delay: way, Header: ntp.Header{Stratum: 1},
		}
		r.Samples = append(r.Samples, s)
	}
	return r
}

// The servers that agree are those that the discipline would follow, whatever
// their order; the offset is theirs.
func TestCombine(t *testing.T) {
	const ms = time.Millisecond
	broken := server("broken", 0, ms)
	broken.Err = errors.New("down")
	for _, c := range []struct {
		name   string
		of     []*Result
		agree  int
		ok     bool
		offset time.Duration
	}{
		{"none", nil, 0, false, 0},
		{"none measured", []*Result{broken, {Name: "silent"}}, 0, false, 0},
		{"one", []*Result{server("a", time.Second, ms)}, 1, true, time.Second},
		{"one beside a broken one", []*Result{broken, server("a", time.Second, ms)}, 1, true, time.Second},
		{"two disagree", []*Result{server("a", 0, ms), server("b", time.Hour, ms)}, 0, false, 0},
		{"two agree, one does not", []*Result{server("a", time.Hour, ms), server("b", 0, ms), server("c", 0, ms)}, 2, true, 0},
		{"two against two", []*Result{server("a", 0, ms), server("b", 0, ms), server("c", 9*time.Second, ms), server("d",
			9*time.Second, ms)}, 0, false, 0},
		{"far beside near", []*Result{server("a", 0, 100*ms), server("b", 10*ms, ms)}, 2, true, 10 * ms},
		{"years ahead", []*Result{server("a", 3*365*24*time.Hour, ms)}, 1, true, 3 * 365 * 24 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Combine(c.of, now)
			if err != nil || got.OK != c.ok || got.Agree != c.agree {
				t.Fatalf("%+v, %v", got, err)
			}
			if off := (got.Offset - c.offset).Abs(); c.ok && off > 2*ms {
				t.Errorf("offset %v, want %v", got.Offset, c.offset)
			}
			if c.ok && (got.Best == nil || !got.Best.Agrees) {
				t.Errorf("best %+v", got.Best)
			}
		})
	}
	// A server of stratum 15 is measured as any other.
	last := server("a", time.Second, ms)
	for i := range last.Samples {
		last.Samples[i].Header.Stratum = 15
	}
	if got, err := Combine([]*Result{last}, now); err != nil || !got.OK {
		t.Errorf("stratum 15: %+v, %v", got, err)
	}
}
