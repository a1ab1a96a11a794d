package fleet

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
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
