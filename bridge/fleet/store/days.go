package store

import (
	"encoding/binary"

	bolt "go.etcd.io/bbolt"
)

// bucketDays holds what the inventory was like on each day, day number: checksum,
// text.
var bucketDays = []byte("days")

// PutDay keeps the text of a day, in the place of an earlier one, and drops days
// before oldest. Days are numbered from 1970.
func (s *Store) PutDay(day uint32, text []byte, oldest uint32) error {
	return s.update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucketDays)
		if err != nil {
			return err
		}
		c := b.Cursor()
		for k, _ := c.First(); len(k) == 4 && binary.BigEndian.Uint32(k) < oldest; k, _ = c.First() {
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return b.Put(binary.BigEndian.AppendUint32(nil, day), seal(text))
	})
}

// Days returns the texts of the days from first on. One that is damaged is left
// out.
func (s *Store) Days(first uint32) (map[uint32][]byte, error) {
	days := make(map[uint32][]byte)
	err := s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketDays)
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, v := c.Seek(binary.BigEndian.AppendUint32(nil, first)); k != nil; k, v = c.Next() {
			if text, ok := unseal(v); ok && len(k) == 4 {
				days[binary.BigEndian.Uint32(k)] = append([]byte(nil), text...)
			}
		}
		return nil
	})
	return days, err
}
