package inventory

// slab holds records of one type in chunks that are made when they are needed,
// up to a capacity. References are indexes, one more than the place.
type slab[T any] struct {
	chunks   [][]T
	capacity int
	fresh    int      // places never used
	free     []uint32 // places given back
}

const chunkSize = 2048

func newSlab[T any](capacity int) *slab[T] { return &slab[T]{capacity: capacity} }

func (s *slab[T]) at(ref uint32) *T {
	return &s.chunks[(ref-1)/chunkSize][(ref-1)%chunkSize]
}

// take returns a zero record, ref 0 if there is no room.
func (s *slab[T]) take() (ref uint32, v *T) {
	if n := len(s.free); n > 0 {
		ref = s.free[n-1]
		s.free = s.free[:n-1]
		v = s.at(ref)
		var zero T
		*v = zero
		return ref, v
	}
	if s.fresh == s.capacity {
		return 0, nil
	}
	if s.fresh%chunkSize == 0 {
		s.chunks = append(s.chunks, make([]T, min(chunkSize, s.capacity-s.fresh)))
	}
	s.fresh++
	ref = uint32(s.fresh)
	return ref, s.at(ref)
}

func (s *slab[T]) give(ref uint32) { s.free = append(s.free, ref) }

func (s *slab[T]) used() int { return s.fresh - len(s.free) }
