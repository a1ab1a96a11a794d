package fleet

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"ntsbridge/bridge/fleet/inventory"
)

type listings struct {
	mu   sync.Mutex
	list []*listing // used last at the end
}

type listing struct {
	id     uint64
	of     uint64 // the filter
	used   time.Time
	rows   []listed
	others []otherKey // rows of a list of the site that this gateway did not know
}

// size is what it weighs, rows.
func (l *listing) size() int { return len(l.rows) + 3*len(l.others) }

// listed is a row by its place, with a mark of whom the place was of.
type listed struct{ at, mark uint32 }

func markOf(k *inventory.Key) uint32 {
	h := fnv.New32a()
	_, _ = h.Write(k[:])
	return h.Sum32()
}

// keep takes a list, and lets go of those that are in its way.
func (s *listings) keep(l *listing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := l.size()
	for i := len(s.list) - 1; i >= 0; i-- {
		if total += s.list[i].size(); total > maxListed || len(s.list)-i >= maxListings {
			s.list = slices.Delete(s.list, 0, i+1)
			break
		}
	}
	if l.size() <= maxListed {
		s.list = append(s.list, l)
	}
}

func (s *listings) find(id, of uint64, now time.Time) *listing {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range s.list {
		if l.id == id && l.of == of {
			l.used = now
			s.list = append(slices.Delete(s.list, i, i+1), l)
			return l
		}
	}
	return nil
}

func (s *listings) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(l *listing) bool { return now.Sub(l.used) > listingExpiry })
}

// cursor is where a part of a list begins.
type cursor struct {
	List   uint64
	Of     uint64 // the filter
	Index  uint32
	Behind bool // of the row before: its order and mark
	Order  [2]uint64
	Mark   uint32
}

const cursorLen = 1 + 8 + 8 + 4 + 1 + 16 + 4

func (c *cursor) String() string {
	b := binary.BigEndian.AppendUint64([]byte{1}, c.List)
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, c.Of), c.Index)
	behind := byte(0)
	if c.Behind {
		behind = 1
	}
	b = binary.BigEndian.AppendUint64(append(b, behind), c.Order[0])
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, c.Order[1]), c.Mark)
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(s string) (c cursor, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != cursorLen || b[0] != 1 || b[21] > 1 {
		return c, ErrCursor
	}
	u := binary.BigEndian
	return cursor{u.Uint64(b[1:]), u.Uint64(b[9:]), u.Uint32(b[17:]), b[21] == 1, [2]uint64{u.Uint64(b[22:]), u.Uint64(b[30:])},
		u.Uint32(b[38:])}, nil
}

func comparePlaces(a, b place) int {
	switch {
	case a.order[0] != b.order[0]:
		return cmp.Compare(a.order[0], b.order[0])
	case a.order[1] != b.order[1]:
		return cmp.Compare(a.order[1], b.order[1])
	}
	return cmp.Compare(a.mark, b.mark)
}

// ErrCursor says that a cursor is none, or of another list.
var ErrCursor = errors.New("the cursor is not of this list: ask without it")

// place is a row that is wanted, with what it is sorted by.
type place struct {
	order [2]uint64
	at    int
	mark  uint32 // of whose it is
}

// otherKey is a row of a list of the site that this gateway did not know when the
// list was made. Its place is below 0: -1 less its number in listing.others.
type otherKey struct {
	key    inventory.Key
	hashed bool
}

// A list that somebody reads part by part is frozen: who is on it, and in which
// order, is decided when the first part is read, so that no client is told
// twice or left out because it asked for time meanwhile. What is told of each
// is as of when its part is read; who is not there any more, or not as wanted,
// is left out. Lists that nobody goes on with are forgotten; then the list is
// made anew, and goes on behind the last row by the order that this had.
const (
	maxListings   = 16
	maxListed     = 4 << 20 // rows of all of them, 8 octets each
	listingExpiry = 10 * time.Minute
)
