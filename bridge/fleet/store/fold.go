package store

import (
	"bytes"
	"fmt"
	"os"
	"slices"

	bolt "go.etcd.io/bbolt"

	"ntsbridge/bridge/fleet/inventory"
)

// Batch is rows on their way from the journal to where rows are kept.
type Batch struct {
	upTo uint64
	rows []batchRow
}

type batchRow struct {
	key    inventory.Key
	record []byte // nil: gone
}

// Prepare collects the rows that the journal has, as they are now. It reads the
// inventory, which Fold does not.
func (s *Store) Prepare(v *inventory.Inventory) *Batch {
	b := &Batch{upTo: s.next, rows: make([]batchRow, 0, len(s.journal))}
	for k := range s.journal {
		record, _ := v.Record(k, nil)
		b.rows = append(b.rows, batchRow{k, record})
	}
	slices.SortFunc(b.rows, func(a, b batchRow) int { return bytes.Compare(a.key[:], b.key[:]) })
	return b
}

// foldRows is how many rows one transaction takes, so that a large fold does not
// hold a large part of the file in memory.
const foldRows = 20_000

// Fold writes rows and then takes the journal before them away. Dying in between
// does no harm: the journal has the same rows once more.
func (s *Store) Fold(b *Batch) error {
	for part := range slices.Chunk(b.rows, foldRows) {
		err := s.update(func(tx *bolt.Tx) error {
			clients := tx.Bucket(bucketClients)
			for _, r := range part {
				var err error
				if r.record == nil {
					err = clients.Delete(r.key[:])
				} else {
					err = clients.Put(r.key[:], seal(r.record))
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	err := s.update(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketJournal).Cursor()
		for k, _ := c.First(); k != nil && bytes.Compare(k, number(b.upTo)) < 0; k, _ = c.Next() {
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.octets = 0
		clear(s.journal)
	}
	return err
}

// compactOctets is a file that is not worth the trouble, and compactShare how
// much of a larger one may be free pages.
const (
	compactOctets = 4 << 20
	compactShare  = 2
)

// Compact writes the file anew if more than half of it is free. The new one takes
// the old one's place only when it is whole. It must be called right after
// Open.
func (s *Store) Compact() (octets int64, err error) {
	info, err := os.Stat(s.path)
	if err != nil || info.Size() < compactOctets {
		return 0, err
	}
	free := int64(s.db.Stats().FreePageN+s.db.Stats().PendingPageN) * int64(s.db.Info().PageSize)
	if free*compactShare < info.Size() {
		return 0, nil
	}
	fresh := s.path + ".compact"
	defer os.Remove(fresh)
	if err := os.Remove(fresh); err != nil && !os.IsNotExist(err) {
		return 0, err
	}
	to, err := bolt.Open(fresh, 0o600, options(false))
	if err != nil {
		return 0, fmt.Errorf("compaction: %w", err)
	}
	if err := bolt.Compact(to, s.db, 1<<20); err != nil {
		to.Close()
		return 0, fmt.Errorf("compaction: %w", err)
	}
	if err := to.Close(); err != nil {
		return 0, fmt.Errorf("compaction: %w", err)
	}
	return info.Size(), s.replace(fresh)
}

// replace puts the compacted file in the place of the open one. Its lock is held
// until the new one is in place.
func (s *Store) replace(fresh string) error {
	if err := os.Rename(fresh, s.path); err != nil {
		return fmt.Errorf("compaction: %w", err)
	}
	old := s.db
	db, err := bolt.Open(s.path, 0o600, options(false))
	if err != nil {
		return fmt.Errorf("compaction: %w", err)
	}
	s.db = db
	return old.Close()
}
