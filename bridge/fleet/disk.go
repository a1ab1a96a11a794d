package fleet

import (
	"encoding/json"
	"sync"
	"time"

	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/store"
)

// disk is the writer's side of the store.
type disk struct {
	store   *store.Store // nil: none, or it could not be opened
	pending *store.Changes
	failed  time.Time // when writing last failed, zero: it did not
	folded  time.Time
	expired time.Time
	day     uint32    // of the last snapshot
	snapped time.Time // when that was

	mu      sync.Mutex
	watched []store.Interval
	behind  error // why the store is not up to date
	days    map[uint32]*report.Snapshot
}

func (d *disk) close() error {
	if d.store == nil {
		return nil
	}
	return d.store.Close()
}

func (d *disk) setWatched(list []store.Interval) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watched = list
}

// extend moves the end of the present interval.
func (d *disk) extend(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.watched); n > 0 {
		d.watched[n-1].End = max(d.watched[n-1].End, uint32(now.Unix()))
	}
}

// Watched returns when the inventory was watching, and what keeps the store from
// being up to date.
func (d *disk) Watched() ([]store.Interval, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]store.Interval(nil), d.watched...), d.behind
}

func (d *disk) setDay(day uint32, s *report.Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.days == nil {
		d.days = make(map[uint32]*report.Snapshot)
	}
	d.days[day] = s
	for old, s := range d.days {
		switch {
		case old+daysKept < day:
			delete(d.days, old)
		case old+daysInMemory < day && len(s.Groups) > 1:
			d.days[old] = s.Whole()
		}
	}
}

// readDays reads the days that are shown, and that a summary may compare with.
func (d *disk) readDays(s *store.Store, now time.Time) {
	today := report.Day(now)
	texts, err := s.Days(today - min(today, daysKept))
	if err != nil {
		return
	}
	for day, text := range texts {
		snap := new(report.Snapshot)
		if json.Unmarshal(text, snap) != nil || snap.At == 0 {
			continue
		}
		if day+daysInMemory < today {
			snap = snap.Whole()
		}
		d.setDay(day, snap)
	}
}

// snapshotOf returns the snapshot of a day, nil if there is none.
func (d *disk) snapshotOf(day uint32) *report.Snapshot {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.days[day]
}

// How often the day's snapshot is brought up to date, how many days are kept in
// memory with their labels, and how many in the store and without labels in
// memory.
const (
	snapInterval = time.Hour
	daysInMemory = 32
	daysKept     = 400
)
