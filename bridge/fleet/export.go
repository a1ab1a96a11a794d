package fleet

import (
	"context"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/store"
)

// Export gives the record of every client, and before the first one when the
// inventory was watching. What emit gets is its own.
func (f *Fleet) Export(ctx context.Context, begin func([]store.Interval) error, emit func(inventory.Stored) error) error {
	f.Drain()
	watched, _ := f.disk.Watched()
	if err := begin(watched); err != nil {
		return err
	}
	now := uint32(f.now().Unix())
	var c inventory.Client
	for place, more := 0, true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var part []inventory.Stored
		f.mu.Lock()
		end := min(place+lockShare, f.inventory.Places())
		more = place < end
		for ; place < end; place++ {
			if !f.inventory.Read(place, now, &c) {
				continue
			}
			if record, ok := f.inventory.Record(c.Key, nil); ok {
				part = append(part, inventory.Stored{Key: c.Key, Record: record})
			}
		}
		f.mu.Unlock()
		for i := range part {
			if err := emit(part[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
