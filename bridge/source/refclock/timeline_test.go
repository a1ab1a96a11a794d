package refclock

import (
	"testing"
	"time"

	"ntsbridge/bridge/clock/timebase"

	"pgregory.net/rapid"
)

const (
	ms  = int64(time.Millisecond)
	sec = int64(time.Second)
	// begin is a Unix time, ns.
	begin = int64(1_800_000_000e9)
)

// history is a system clock's course on the base: it starts at begin when the
// base is 0.
type history struct {
	line timeline
	raw  int64
	sys  int64
}

func newHistory() *history {
	h := &history{sys: begin}
	h.line.add(timebase.Pair{Raw: h.raw, System: h.sys, Spread: 100})
	return h
}

// run lets both clocks run for d ns of the base, with records each 125 ms.
func (h *history) run(d int64, rate float64) {
	for d > 0 {
		part := min(d, int64(watch))
		h.raw += part
		h.sys += part + int64(float64(part)*rate)
		d -= part
		h.line.add(timebase.Pair{Raw: h.raw, System: h.sys, Spread: 100})
	}
}

// stepIn runs one interval of 125 ms, half of it before a step.
func (h *history) stepIn(by int64) {
	h.raw += int64(watch)
	h.sys += int64(watch) + by
	h.line.add(timebase.Pair{Raw: h.raw, System: h.sys, Spread: 100})
}

func (h *history) expect(t *testing.T, system, raw int64, reason Reason) {
	t.Helper()
	got, r := h.line.base(system)
	if r != reason || r == reasonOK && distance(got, raw) > 5 {
		t.Errorf("system clock %+d ns: base %d, %v; want %d, %v", system-begin, got, r, raw, reason)
	}
}

func TestTimelineSteady(t *testing.T) {
	h := newHistory()
	h.run(20*sec, 100e-6)
	for _, ago := range []int64{0, 1, 60 * ms, sec, 4900 * ms} {
		h.expect(t, h.sys-ago-ago/10000, h.raw-ago, reasonOK)
	}
	h.expect(t, h.sys-6*sec, 0, reasonOld)
	h.expect(t, begin, 0, reasonOld)
	h.expect(t, 0, 0, reasonOld)
	h.expect(t, h.sys+ms/2, h.raw+ms/2, reasonOK)
	h.expect(t, h.sys+2*ms, 0, reasonFuture)
	h.expect(t, maxTime, 0, reasonFuture)
}

func TestTimelineEmpty(t *testing.T) {
	var l timeline
	if _, r := l.base(begin); r != reasonOld {
		t.Errorf("%v", r)
	}
	h := newHistory()
	h.expect(t, begin, 0, reasonOK)
	h.expect(t, begin-1, 0, reasonOld)
}

// What was stamped around a step is dropped, what was stamped well before and
// after keeps its place, whichever way the clock went.
func TestTimelineStep(t *testing.T) {
	for _, by := range []int64{3600 * sec, 300 * ms, 20 * ms, -20 * ms, -300 * ms, -3600 * sec} {
		h := newHistory()
		h.run(10*sec, 50e-6)
		old, oldRaw := h.sys, h.raw
		h.stepIn(by)
		h.expect(t, old+60*ms, 0, map[bool]Reason{true: reasonFuture, false: reasonStepped}[old+60*ms > h.sys+ms])
		h.expect(t, h.sys-1, 0, reasonStepped)
		fresh, freshRaw := h.sys, h.raw
		h.run(2*sec, 50e-6)
		if by < -sec || by > 0 {
			h.expect(t, fresh+sec/2, freshRaw+sec/2-sec/2*50/1_000_000, reasonOK)
		}
		if by > 0 {
			h.expect(t, old-sec/2, oldRaw-sec/2+sec/2*50/1_000_000, reasonOK)
			h.expect(t, old+130*ms*boolean(by > sec)+by/2, 0, reasonStepped) // never shown
		}
		if by == -300*ms {
			// A time that came twice.
			h.expect(t, old-100*ms, 0, reasonStepped)
		}
	}
}

func boolean(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// A slew is no step, even the kernel's fastest, but for the intervals in which
// it begins and ends.
func TestTimelineFastSlew(t *testing.T) {
	h := newHistory()
	h.run(5*sec, 0)
	startSys, startRaw := h.sys, h.raw
	h.run(4*sec, 0.08)
	h.expect(t, startSys+50*ms, 0, reasonStepped)
	h.expect(t, startSys+1080*ms, startRaw+sec, reasonOK)
	h.expect(t, startSys+4000*ms*108/100, startRaw+4*sec, reasonOK)
	endSys := h.sys
	h.stepIn(5 * ms) // half an interval of slew
	h.run(2*sec, 0)
	h.expect(t, endSys+50*ms, 0, reasonStepped)
	h.expect(t, h.sys-sec, h.raw-sec, reasonOK)
}

// With any slews that a discipline makes, a stamp finds its place to within
// what half an interval of another rate makes.
func TestTimelineFollowsSlews(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory()
		type moment struct{ sys, raw int64 }
		var moments []moment
		rate := 0.0
		for range rapid.IntRange(1, 60).Draw(t, "intervals") {
			if rapid.IntRange(0, 8).Draw(t, "change") == 0 {
				rate = rapid.Float64Range(-500e-6, 500e-6).Draw(t, "rate")
			}
			part := rapid.Int64Range(1, int64(watch)).Draw(t, "part")
			// The rate changes within the interval, somewhere.
			h.raw += part
			h.sys += part + int64(rate*float64(part))
			moments = append(moments, moment{h.sys, h.raw})
			rest := int64(watch) - part
			if next := rate / 2; rest > 0 {
				h.raw += rest
				h.sys += rest + int64(next*float64(rest))
			}
			h.line.add(timebase.Pair{Raw: h.raw, System: h.sys, Spread: 100})
		}
		for _, m := range moments {
			raw, reason := h.line.base(m.sys)
			if h.raw-m.raw > int64(maxAge) {
				continue
			}
			if reason != reasonOK || distance(raw, m.raw) > 20_000 {
				t.Fatalf("%v, off by %d ns", reason, raw-m.raw)
			}
		}
	})
}

func TestTimelineForgets(t *testing.T) {
	h := newHistory()
	h.run(3600*sec, 0)
	if n := len(h.line.points); n > 200 {
		t.Errorf("%d records kept", n)
	}
	h.expect(t, h.sys-4*sec, h.raw-4*sec, reasonOK)
}

// A machine that slept looks like a step: the base stood still.
func TestTimelineSleep(t *testing.T) {
	h := newHistory()
	h.run(10*sec, 0)
	h.stepIn(7200 * sec)
	h.run(sec, 0)
	h.expect(t, h.sys-sec-3600*sec, 0, reasonStepped)
	h.expect(t, h.sys-sec/2, h.raw-sec/2, reasonOK)
}
