package fleet

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/store"
)

// How often the day's snapshot is brought up to date, how many days are kept in
// memory with their labels, and how many in the store and without labels in
// memory.
const (
	snapInterval = time.Hour
	daysInMemory = 32
	daysKept     = 400
)

// snapshot keeps what the inventory is like today. last is set at the end of the
// process.
func (f *Fleet) snapshot(now time.Time, last bool) {
	d, today := &f.disk, report.Day(now)
	if !last && today == d.day && now.Sub(d.snapped) < snapInterval {
		return
	}
	s, err := report.NewSummary(now, "label", f.names.Load())
	if err != nil {
		return // a programmer's mistake, which the tests see
	}
	if err := f.each(context.Background(), uint32(now.Unix()), func(_ int, c *inventory.Client) { s.Add(c) }); err != nil {
		return
	}
	snap := s.Finish().Snapshot()
	text, err := json.Marshal(snap)
	if err == nil {
		err = d.store.PutDay(today, text, today-min(today, daysKept))
	}
	if err != nil {
		f.log.Warn("inventory: what today is like was not kept", "error", err)
		return
	}
	d.day, d.snapped = today, now
	d.setDay(today, snap)
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

// Days returns what the clients of a label used, or without one all of them, on
// each day that is known, the oldest first.
func (f *Fleet) Days(label string) []report.DayCount {
	d := &f.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	list := []report.DayCount{}
	for _, day := range slices.Sorted(maps.Keys(d.days)) {
		if c, ok := d.days[day].Count(label, day); ok {
			list = append(list, c)
		}
	}
	return list
}
