package fleet

import (
	"time"

	"ntsbridge/bridge/fleet/store"
)

// write writes what changes until Close.
func (f *Fleet) write() {
	ticker := time.NewTicker(writeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-f.stop:
			f.drain()
			f.writeOnce(f.now(), true)
			return
		case <-ticker.C:
			f.writeOnce(f.now(), false)
		}
	}
}

// writeOnce writes what changed since the last time. last is set at the end of
// the process.
func (f *Fleet) writeOnce(now time.Time, last bool) {
	d := &f.disk
	if f.cfg.File == "" || !f.on.Load() {
		return
	}
	if d.store == nil {
		if now.Sub(d.failed) < retryInterval {
			return
		}
		f.mu.Lock()
		f.openStore(now)
		if d.store != nil {
			f.inventory.Touch()
		}
		f.mu.Unlock()
		if d.store == nil {
			return
		}
	}
	f.expire(now)
	f.mu.Lock()
	c := store.Collect(f.inventory)
	f.mu.Unlock()
	c.Join(d.pending)
	d.pending = nil
	err := d.store.Write(c, now)
	f.wrote(err, c, now)
	if err == nil {
		d.extend(now)
		if d.store.Due() || now.Sub(d.folded) > foldInterval || last {
			f.fold(now)
		}
		f.snapshot(now, last)
	}
}

// wrote logs when writing begins to fail and when it works again.
func (f *Fleet) wrote(err error, c *store.Changes, now time.Time) {
	d := &f.disk
	d.mu.Lock()
	d.behind = err
	d.mu.Unlock()
	switch {
	case err == nil && !d.failed.IsZero():
		f.log.Info("inventory: the store is written again")
		d.failed = time.Time{}
	case err == nil:
	case c.Octets() > maxBehind:
		f.log.Error("inventory: what waited for the store was given up; clients are in memory", "error", err)
		d.pending = nil
		f.mu.Lock()
		f.inventory.Touch()
		f.mu.Unlock()
	default:
		d.pending = c
		if now.Sub(d.failed) >= retryInterval {
			f.log.Error("inventory: the store cannot be written; what was seen is kept in memory until it can", "error", err,
				"remedy", storeRemedy(err))
			d.failed = now
		}
	}
}

// fold moves the journal into the rows.
func (f *Fleet) fold(now time.Time) {
	d := &f.disk
	d.folded = now
	f.mu.Lock()
	b := d.store.Prepare(f.inventory)
	f.mu.Unlock()
	if err := d.store.Fold(b); err != nil {
		f.log.Warn("inventory: the journal was not folded", "error", err)
	}
}

// expire takes out, once an hour, who was not seen for longer than is kept.
func (f *Fleet) expire(now time.Time) {
	if f.cfg.Retention <= 0 || now.Sub(f.disk.expired) < time.Hour {
		return
	}
	f.disk.expired = now
	f.mu.Lock()
	n := f.inventory.Expire(uint32(max(0, now.Add(-f.cfg.Retention).Unix())))
	f.mu.Unlock()
	if n > 0 {
		f.log.Info("inventory: clients that were silent for too long were taken out", "clients", n, "retention", f.cfg.Retention)
	}
}

// maxBehind bounds what waits for a store that cannot be written, octets;
// beyond it rows that change again are found in memory, but a crash loses them.
const maxBehind = 64 << 20

// retryInterval is how often a store that failed is tried again.
const retryInterval = time.Minute
