package timebase

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The quickest reading wins, and lies in the middle of its own bounds.
func TestReadTakesTheQuickest(t *testing.T) {
	raw := []int64{0, 900, 1000, 1040, 2000, 2500, 3000, 3300, 4000, 4800}
	system := []int64{10_450, 11_020, 12_250, 13_150, 14_400}
	var r, s int
	got := read(func(id int32) int64 {
		if id == unix.CLOCK_REALTIME {
			s++
			return system[s-1]
		}
		r++
		return raw[r-1]
	})
	if want := (Pair{Raw: 1020, System: 11_020, Spread: 40}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if at := got.At(11_010); at != 1010 {
		t.Errorf("10 ns earlier: base %d, want 1010", at)
	}
}

func TestReadAgreesWithTheClock(t *testing.T) {
	before := time.Now()
	p := Read()
	after := time.Now()
	if p.System < before.UnixNano() || p.System > after.UnixNano() {
		t.Errorf("system clock %d is not within %d and %d", p.System, before.UnixNano(), after.UnixNano())
	}
	if q := Read(); q.Raw <= p.Raw || p.Spread < 0 {
		t.Errorf("base went from %d to %d, spread %d", p.Raw, q.Raw, p.Spread)
	}
	if Since(p.Raw) <= 0 {
		t.Error("the base does not run")
	}
}
