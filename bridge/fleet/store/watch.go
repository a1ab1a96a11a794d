package store

import (
	"encoding/binary"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Interval is a stretch of time in which the inventory was watching, seconds since
// 1970.
type Interval struct {
	Start uint32 `json:"start"`
	End   uint32 `json:"end"`
}

// maxIntervals bounds how many are kept; the oldest ones go.
const maxIntervals = 20_000

// Begin says that the inventory watches from now on.
func (s *Store) Begin(now time.Time) error {
	s.started = uint32(now.Unix())
	return s.update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketWatch)
		for c := b.Cursor(); b.Stats().KeyN >= maxIntervals; {
			k, _ := c.First()
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		return s.watch(tx, now)
	})
}

// watch moves the end of the present interval.
func (s *Store) watch(tx *bolt.Tx, now time.Time) error {
	if s.started == 0 {
		return nil
	}
	end := max(uint32(now.Unix()), s.started)
	return tx.Bucket(bucketWatch).Put(binary.BigEndian.AppendUint32(nil, s.started), binary.BigEndian.AppendUint32(nil, end))
}

// Watched returns the intervals in which the inventory was watching.
func (s *Store) Watched() (list []Interval, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketWatch)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, v []byte) error {
			if len(k) == 4 && len(v) == 4 {
				list = append(list, Interval{binary.BigEndian.Uint32(k), binary.BigEndian.Uint32(v)})
			}
			return nil
		})
	})
	return list, err
}

// Gaps returns the stretches between the intervals that are longer than least.
func Gaps(watched []Interval, least time.Duration) (gaps []Interval) {
	for i := 1; i < len(watched); i++ {
		from, to := watched[i-1].End, watched[i].Start
		if to > from && time.Duration(to-from)*time.Second > least {
			gaps = append(gaps, Interval{from, to})
		}
	}
	return gaps
}
