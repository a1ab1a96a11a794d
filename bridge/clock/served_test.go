package clock

import (
	"testing"
	"time"

	"ntsbridge/bridge/clock/observe"
	"ntsbridge/bridge/ntp"
)

func TestServedState(t *testing.T) {
	synced := Kernel{Synchronised: true, MaxError: 20 * time.Millisecond, Leap: ntp.LeapInsert}
	unsynced := Kernel{MaxError: 16 * time.Second}
	observe := Policy{Mode: Observe, Stratum: 3, ReferenceID: 7, MinDispersion: time.Millisecond, MaxError: time.Second, Precision: -24}
	fallback := observe
	fallback.Fallback = 10
	local := observe
	local.Mode = Local
	for _, c := range []struct {
		name       string
		policy     Policy
		kernel     Kernel
		leap       ntp.Leap
		stratum    uint8
		dispersion time.Duration
		synced     bool
	}{
		{"observe, kernel synchronised", observe, synced, ntp.LeapInsert, 3, 20 * time.Millisecond, true},
		{"observe, kernel not synchronised", observe, unsynced, ntp.LeapUnknown, 16, 16 * time.Second, false},
		{"observe, error too large", observe, Kernel{Synchronised: true, MaxError: 2 * time.Second}, ntp.LeapUnknown, 16, 2 * time.Second,
			false},
		{"observe, least dispersion", observe, Kernel{Synchronised: true}, ntp.LeapNone, 3, time.Millisecond, true},
		{"fallback to local stratum", fallback, unsynced, ntp.LeapNone, 10, time.Millisecond, true},
		{"fallback not needed", fallback, synced, ntp.LeapInsert, 3, 20 * time.Millisecond, true},
		{"local, kernel not synchronised", local, unsynced, ntp.LeapNone, 3, time.Millisecond, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Served{Policy: c.policy}
			got := s.Update(c.kernel, 1<<40)
			if got.Leap != c.leap || got.Stratum != c.stratum || got.RootDispersion != c.dispersion || got.Synchronised() != c.synced {
				t.Errorf("got leap %d stratum %d dispersion %v synchronised %v", got.Leap, got.Stratum, got.RootDispersion,
					got.Synchronised())
			}
		})
	}
}

// What the disciplining program says is served, as long as the kernel agrees
// that the clock is synchronised.
func TestServedFollowsTheProgram(t *testing.T) {
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	at := ntp.TimestampFromTime(now)
	policy := Policy{Mode: Observe, Stratum: 9, ReferenceID: 7, MinDispersion: time.Millisecond, MaxError: time.Second, Drift: 1e-3}
	fallback, local := policy, policy
	fallback.Fallback, local.Mode = 12, Local
	good := observe.State{Program: observe.Chronyd, Stratum: 3, ReferenceID: 0x0a000001, Reference: at - 20<<32,
		RootDelay: 30 * time.Millisecond, RootDispersion: 5 * time.Millisecond, At: now.Add(-10 * time.Second)}
	insert, alarm, sixteen, small, future := good, good, good, good, good
	insert.Leap, alarm.Leap, sixteen.Stratum, small.RootDispersion, future.Reference = ntp.LeapInsert, ntp.LeapUnknown, 16, 0, at+5<<32
	small.At, future.At = now, now.Add(5*time.Second)
	synced := Kernel{Synchronised: true, MaxError: 400 * time.Millisecond}
	const ms = time.Millisecond
	for _, c := range []struct {
		name       string
		policy     Policy
		kernel     Kernel
		program    *observe.State
		leap       ntp.Leap
		stratum    uint8
		id         uint32
		delay      time.Duration
		dispersion time.Duration
		reference  ntp.Timestamp
	}{
		{"nobody tells", policy, synced, nil, ntp.LeapNone, 9, 7, 0, 400 * ms, at},
		{"both agree", policy, synced, &good, ntp.LeapNone, 3, 0x0a000001, 30 * ms, 15 * ms, good.Reference},
		{"leap second of the program", policy, synced, &insert, ntp.LeapInsert, 3, 0x0a000001, 30 * ms, 15 * ms, good.Reference},
		{"leap second of the kernel", policy, Kernel{Synchronised: true, Leap: ntp.LeapDelete}, &good, ntp.LeapDelete, 3,
			0x0a000001, 30 * ms, 15 * ms, good.Reference},
		{"least dispersion", policy, synced, &small, ntp.LeapNone, 3, 0x0a000001, 30 * ms, ms, good.Reference},
		{"told in the future", policy, synced, &future, ntp.LeapNone, 3, 0x0a000001, 30 * ms, 5 * ms, at},
		{"the kernel wins", policy, Kernel{MaxError: ms}, &good, ntp.LeapUnknown, 16, 0, 0, ms, 0},
		{"the kernel's error is too large", policy, Kernel{Synchronised: true, MaxError: 2 * time.Second}, &good,
			ntp.LeapUnknown, 16, 0, 0, 2 * time.Second, 0},
		{"the program has the alarm", policy, synced, &alarm, ntp.LeapUnknown, 16, 0, 0, 400 * ms, 0},
		{"the program has stratum 16", policy, synced, &sixteen, ntp.LeapUnknown, 16, 0, 0, 400 * ms, 0},
		{"the program has the alarm, fallback", fallback, synced, &alarm, ntp.LeapNone, 12, localReference, 0, ms, at},
		{"local", local, Kernel{}, &good, ntp.LeapNone, 9, 7, 0, ms, at},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Served{Policy: c.policy, Program: c.program}
			got := s.Update(c.kernel, at)
			if got.Leap != c.leap || got.Stratum != c.stratum || got.ReferenceID != c.id || got.RootDelay != c.delay ||
				(got.RootDispersion-c.dispersion).Abs() > time.Microsecond || got.Reference != c.reference {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestReferenceIsWhenTheErrorFell(t *testing.T) {
	s := Served{Policy: Policy{Mode: Observe, Stratum: 2, MaxError: time.Second}}
	look := func(at ntp.Timestamp, maxError time.Duration) ntp.Timestamp {
		return s.Update(Kernel{Synchronised: true, MaxError: maxError}, at).Reference
	}
	if got := look(100, 5*time.Millisecond); got != 100 {
		t.Errorf("first look: reference %d, want 100", got)
	}
	if got := look(200, 6*time.Millisecond); got != 100 {
		t.Errorf("error grew: reference %d, want 100", got)
	}
	if got := look(300, 2*time.Millisecond); got != 300 {
		t.Errorf("error fell: reference %d, want 300", got)
	}
}

func TestMeasurePrecision(t *testing.T) {
	for step, want := range map[int64]int8{1: -29, 30: -24, 1000: -19, 1_000_000: -9, 15_625_000: -6} {
		var now int64
		if got := MeasurePrecision(func() int64 { now += step; return now }); got != want {
			t.Errorf("step %d ns: precision %d, want %d", step, got, want)
		}
	}
	frozen := MeasurePrecision(func() int64 { return 0 })
	if frozen != 0 {
		t.Errorf("a clock that stands still: precision %d, want 0", frozen)
	}
}

func TestReadKernel(t *testing.T) {
	k, err := ReadKernel()
	if err != nil {
		t.Fatal(err)
	}
	if k.MaxError < 0 || k.MaxError > 20*time.Second {
		t.Errorf("maxerror %v outside what the kernel can say", k.MaxError)
	}
}
