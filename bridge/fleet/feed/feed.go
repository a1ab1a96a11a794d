package feed

import "sync/atomic"

// Feed hands tables from one worker to one collector. The worker takes the
// table before a batch (Begin) and gives it back after it (End); the collector
// reads between (Drain).
//
// Who has taken a table out of an atomic pointer owns it, so neither ever
// waits for the other. A worker that is busy all the time finds at End that the
// collector wants its table, and goes on with the empty one.
type Feed struct {
	idle  atomic.Pointer[Table] // the worker's, between batches
	empty atomic.Pointer[Table] // offered by the collector
	full  atomic.Pointer[Table] // given to the collector
	wake  chan<- struct{}
	spare *Table // the collector's
	_     [64]byte
}

// New returns a feed of two tables with so many slots (MinSize to MaxSize).
// wake, which should have room for one, is sent to when a table is half full.
func New(size int, seed [2]uint64, wake chan<- struct{}) *Feed {
	f := &Feed{wake: wake, spare: newTable(size, seed)}
	f.idle.Store(newTable(size, seed))
	return f
}

// Begin takes the table for a batch; nil Feeds have none. Only one goroutine
// may call Begin and End.
func (f *Feed) Begin() *Table {
	if f == nil {
		return nil
	}
	return f.idle.Swap(nil)
}

// End gives back what Begin returned.
func (f *Feed) End(t *Table) {
	if t == nil {
		return
	}
	if f.empty.Load() != nil {
		if next := f.empty.Swap(nil); next != nil {
			f.full.Store(t)
			t = next
		}
	} else if t.used > t.common/2 {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	f.idle.Store(t)
}

// Drain gives each sighting since the last call to see, in the order of
// arrival, and returns what was lost. ok is false if the worker is in the
// middle of a batch: it will give its table at the end, so try again shortly.
// Only one goroutine may call it.
func (f *Feed) Drain(see func(*Sighting)) (lost Lost, ok bool) {
	t := f.take()
	if t == nil {
		return Lost{}, false
	}
	for i := range t.used {
		see(&t.slots[i])
	}
	lost = t.lost
	t.clear()
	f.spare = t
	return lost, true
}

// take exchanges the worker's table for an empty one.
func (f *Feed) take() *Table {
	if f.spare != nil {
		if f.exchangeIdle(f.spare) {
			return f.taken()
		}
		f.empty.Store(f.spare) // for the worker's End
		f.spare = nil
	}
	if t := f.taken(); t != nil {
		return t
	}
	// The worker may have gone idle before it saw the offer.
	if offered := f.empty.Swap(nil); offered != nil {
		if f.exchangeIdle(offered) {
			return f.taken()
		}
		f.empty.Store(offered)
	}
	return f.taken()
}

func (f *Feed) taken() *Table { return f.full.Swap(nil) }

// exchangeIdle puts next where an idle worker will find it, and keeps what was
// there in full; false: the worker is not idle.
func (f *Feed) exchangeIdle(next *Table) bool {
	t := f.idle.Load()
	if t == nil || !f.idle.CompareAndSwap(t, next) {
		return false
	}
	f.full.Store(t)
	return true
}
