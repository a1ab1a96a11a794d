package server

import (
	"math/bits"
	"sync/atomic"
	"time"
	"unsafe"

	"ntsbridge/bridge/clock/nic"
	"ntsbridge/bridge/ntp"
)

// timestampStore remembers when recent answers really left, for clients in
// interleaved mode, which ask for it with the receive timestamp of the
// earlier answer (draft-ietf-ntp-interleaved-modes, as chrony speaks it). It
// is a fixed number of slots that all workers share without locks; a newer
// timestamp that falls on an occupied slot replaces the older one.
type timestampStore struct {
	shift uint
	slots []timestampSlot
}

// timestampSlot is written receive=0, transmit, receive, so that a reader who
// sees the same receive timestamp before and after has the right transmit.
type timestampSlot struct {
	receive  atomic.Uint64
	transmit atomic.Uint64
}

// newTimestampStore makes a store of at least size slots (a power of two).
// Size 0 is a store that remembers nothing.
func newTimestampStore(size int) *timestampStore {
	if size <= 0 {
		return &timestampStore{}
	}
	return storeIn(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(make([]timestampSlot, DepartureSlots(size))))),
		DepartureSlots(size)*DepartureLen))
}

// DepartureLen is the length of what is remembered of an answer, octets.
const DepartureLen = int(unsafe.Sizeof(timestampSlot{}))

// DepartureSlots returns how many departures are remembered where there is to
// be room for so many: a power of two, at least 2.
func DepartureSlots(entries int) int { return 1 << max(1, bits.Len(uint(entries-1))) }

// storeIn makes a store in zero memory, aligned to 8 octets: a power of two
// slots.
func storeIn(memory []byte) *timestampStore {
	slots := len(memory) / DepartureLen
	return &timestampStore{shift: 64 - uint(bits.Len(uint(slots-1))),
		slots: unsafe.Slice((*timestampSlot)(unsafe.Pointer(unsafe.SliceData(memory))), slots)}
}

// slot is where a timestamp is remembered. Those of one 61 us share 64 slots
// that lie together: under load the next one is in the processor's cache, whose
// misses were a third of what an answer in the kernel cost.
func (s *timestampStore) slot(receive ntp.Timestamp) *timestampSlot {
	const golden = 0x9e3779b97f4a7c15 // 2^64 / golden ratio
	group, within := uint64(receive)>>18*golden>>s.shift, uint64(receive)*golden>>58
	return &s.slots[(group^within)&uint64(len(s.slots)-1)]
}

// reserve returns receive, moved by fractions of a nanosecond if an earlier
// request arrived at the same instant, so that timestamps name one answer.
func (s *timestampStore) reserve(receive ntp.Timestamp) ntp.Timestamp {
	if len(s.slots) == 0 {
		return receive
	}
	for s.slot(receive).receive.Load() == uint64(receive) {
		receive++
	}
	return receive
}

// put remembers that the answer to the request of that receive timestamp left
// at transmit.
func (s *timestampStore) put(receive, transmit ntp.Timestamp) {
	if len(s.slots) == 0 {
		return
	}
	slot := s.slot(receive)
	slot.receive.Store(0)
	slot.transmit.Store(uint64(transmit))
	slot.receive.Store(uint64(receive))
}

// get returns the transmit timestamp of the answer to the request received at
// receive.
func (s *timestampStore) get(receive ntp.Timestamp) (transmit ntp.Timestamp, ok bool) {
	if len(s.slots) == 0 || receive == 0 {
		return 0, false
	}
	slot := s.slot(receive)
	if slot.receive.Load() != uint64(receive) {
		return 0, false
	}
	transmit = ntp.Timestamp(slot.transmit.Load())
	return transmit, slot.receive.Load() == uint64(receive)
}

// refine replaces the departure that put noted by the kernel's own, unless
// it cannot belong to it: earlier, or more than a second later.
func (s *timestampStore) refine(receive, transmit ntp.Timestamp) bool {
	noted, ok := s.get(receive)
	if late := transmit.Sub(noted); !ok || late < 0 || late > time.Second {
		return false
	}
	s.put(receive, transmit)
	return true
}

// exact replaces the departure by the interface's own, unless it cannot belong to
// what the kernel or we ourselves noted.
func (s *timestampStore) exact(receive, transmit ntp.Timestamp) bool {
	noted, ok := s.get(receive)
	if !ok || !nic.Left(int64(transmit.Sub(noted)), 0) {
		return false
	}
	s.put(receive, transmit)
	return true
}

// held returns how many timestamps are remembered and the seconds between the
// oldest and the newest.
func (s *timestampStore) held() (count int, span float64) {
	var oldest, newest uint64
	for i := range s.slots {
		r := s.slots[i].receive.Load()
		if r == 0 {
			continue
		}
		if count == 0 || int64(r-oldest) < 0 {
			oldest = r
		}
		if count == 0 || int64(r-newest) > 0 {
			newest = r
		}
		count++
	}
	return count, float64(newest-oldest) / (1 << 32)
}

// forget empties the store: its timestamps are of a clock that was stepped.
func (s *timestampStore) forget() {
	for i := range s.slots {
		s.slots[i].receive.Store(0)
	}
}
