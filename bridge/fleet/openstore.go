package fleet

import (
	"errors"
	"io/fs"
	"time"

	"ntsbridge/bridge/fleet/store"
)

// StoreFile is the name of the store in the state directory.
const StoreFile = "inventory.db"

// openStore reads the store. Without one the inventory is in memory.
func (f *Fleet) openStore(now time.Time) {
	s, rep, err := store.Open(f.cfg.File, f.inventory, now)
	if err != nil {
		f.log.Error("inventory: the store cannot be used: clients are kept in memory and lost at the end; it is tried again every minute",
			"file", f.cfg.File, "error", err, "remedy", storeRemedy(err))
		f.disk.failed = now
		return
	}
	f.logStore(rep)
	if n, err := s.Compact(); err != nil {
		f.log.Warn("inventory: the store was not compacted", "error", err)
	} else if n > 0 {
		f.log.Info("inventory: the store was compacted", "octets_before", n)
	}
	if err := s.Begin(now); err != nil {
		f.log.Error("inventory: the store cannot be written", "error", err)
	}
	if watched, err := s.Watched(); err == nil {
		f.disk.setWatched(watched)
	}
	f.disk.readDays(s, now)
	f.disk.store, f.disk.folded = s, now
}

func (f *Fleet) logStore(rep *store.Report) {
	switch {
	case rep.PutAside != "":
		f.log.Error("inventory: the store was damaged and put aside; a new one has begun with what could be read",
			"file", rep.PutAside, "damage", rep.Why, "records_lost", rep.Damaged, "clients", f.inventory.Len())
	case rep.FirstStart:
		f.log.Info("inventory: a store was made", "file", f.cfg.File)
	default:
		f.log.Info("inventory: the store was read", "clients", rep.Rows)
	}
	if rep.Lost > 0 {
		f.log.Warn("inventory: there was no room for some clients of the store: raise fleet.clients", "clients", rep.Lost)
	}
}

func storeRemedy(err error) string {
	switch {
	case errors.Is(err, store.ErrInUse):
		return "stop the other ntsbridge, or give this one its own --state-dir"
	case errors.Is(err, store.ErrNewer):
		return "run the newer version, or move the file away"
	case errors.Is(err, fs.ErrPermission):
		return "the state directory must be writable for this user"
	}
	return "make room on the disk, or make the file system writable"
}
