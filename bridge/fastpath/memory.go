package fastpath

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// memory is an array of the program's, mapped.
type memory []byte

func mapMemory(m *ebpf.Map) (memory, error) {
	page := os.Getpagesize()
	size := (int(m.ValueSize()+7)&^7*int(m.MaxEntries()) + page - 1) / page * page
	b, err := unix.Mmap(m.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map memory of %v: %w", m, err)
	}
	return b, nil
}

// standing is how things stand, as the program sees it.
type standing struct{ *objectControl }

func (m memory) standing() standing {
	return standing{(*objectControl)(unsafe.Pointer(unsafe.SliceData(m)))}
}

func (s standing) generation() uint32     { return atomic.LoadUint32(&s.Generation) }
func (s standing) setGeneration(g uint32) { atomic.StoreUint32(&s.Generation, g) }

// publish writes the snapshot that is not in force and puts it there.
func (s standing) publish(next *objectSnapshot) {
	slot := atomic.LoadUint32(&s.Slot)&1 ^ 1
	to := &s.Snapshots[slot]
	seq := atomic.AddUint64(&to.Seq, 1) // odd
	next.Seq = seq
	*to = *next
	atomic.StoreUint64(&to.Seq, seq+1)
	atomic.StoreUint32(&s.Slot, slot)
}
