package refclock

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// shmKey is the key of unit 0 ("NTP0"); the others follow.
const shmKey = 0x4e545030

// segment is attached shared memory. Another process changes it at any time.
type segment interface {
	// load copies the segment, each word at once, in order.
	load(dst []byte)
	// taken clears the valid field, if the segment may be written.
	taken(valid int)
}

// shmDriver reads a segment of ntpd's driver 28.
type shmDriver struct {
	unit int
	perm uint32

	id       int
	memory   attached
	layout   *shmLayout
	reads    int
	seen     []byte // what was taken last
	one, two []byte
}

func (d *shmDriver) key() int { return shmKey + d.unit }

func (d *shmDriver) open() error {
	id, err := d.find()
	if err != nil {
		return fmt.Errorf("shared memory segment %#x: %w", d.key(), err)
	}
	if err := d.vet(id); err != nil {
		return fmt.Errorf("shared memory segment %#x: %w", d.key(), err)
	}
	d.id, d.seen, d.reads = id, nil, 0
	return nil
}

// find returns the segment, made if it is not there.
func (d *shmDriver) find() (id int, err error) {
	for range 3 { // somebody else may make or remove it meanwhile
		if id, err = unix.SysvShmGet(d.key(), 0, 0); !errors.Is(err, unix.ENOENT) {
			return id, err
		}
		id, err = unix.SysvShmGet(d.key(), segmentLen, unix.IPC_CREAT|unix.IPC_EXCL|int(d.perm))
		if !errors.Is(err, unix.EEXIST) {
			return id, err
		}
	}
	return id, err
}

// vet checks that a segment is whose it should be, and attaches it.
func (d *shmDriver) vet(id int) error {
	var info unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &info); err != nil {
		return fmt.Errorf("%w; if it is another user's, run as root or let its maker set a wider mode", err)
	}
	if err := trustSegment(d.perm, uint32(info.Perm.Mode), info.Perm.Uid, info.Perm.Cuid, uint32(os.Geteuid())); err != nil {
		return fmt.Errorf("%w; stop its users and remove it by `ipcrm -M %#x`, or set perm to %#o", err, d.key(), info.Perm.Mode&0o777)
	}
	layout, ok := layoutFor(int(info.Segsz))
	if !ok {
		return fmt.Errorf("it has %d octets, a segment of ntpd's driver 28 has %d; remove it by `ipcrm -M %#x`", info.Segsz, segmentLen,
			d.key())
	}
	memory, err := attach(id)
	if err != nil {
		return err
	}
	d.memory, d.layout = memory, layout
	d.one, d.two = make([]byte, layout.length), make([]byte, layout.length)
	return nil
}

// trustSegment refuses segments that could be written by somebody who may not
// set the clock. Where the mode allows everybody to, it does not matter whose
// they are.
func trustSegment(perm, mode, owner, creator, self uint32) error {
	const othersWrite = 0o022
	if mode&othersWrite&^perm != 0 {
		return fmt.Errorf("others may write to it (mode %#o) and set the clock", mode&0o777)
	}
	if perm&othersWrite != 0 {
		return nil
	}
	for _, u := range []uint32{owner, creator} {
		if u != 0 && u != self {
			return fmt.Errorf("it belongs to user %d, who could set the clock", u)
		}
	}
	return nil
}

func (d *shmDriver) read(dst []stamp) ([]stamp, error) {
	if d.reads++; d.reads%audit == 0 {
		if id, err := unix.SysvShmGet(d.key(), 0, 0); err != nil || id != d.id {
			return dst, fmt.Errorf("shared memory segment %#x: %w", d.key(), errGone)
		}
	}
	s, ok := d.take(d.memory)
	if ok {
		dst = append(dst, s)
	}
	return dst, nil
}

// readTries is how often a segment is read that changes meanwhile. A writer
// needs a microsecond.
const readTries = 4

// take reads a segment; false says that there is nothing new. It is read until
// two copies agree, which proves in either mode that nobody wrote in between;
// the count of mode 1 is part of the copies.
func (d *shmDriver) take(m segment) (stamp, bool) {
	for range readTries {
		m.load(d.one)
		if native.Uint32(d.one[d.layout.valid:]) == 0 {
			return stamp{}, false
		}
		m.load(d.two)
		if !bytes.Equal(d.one, d.two) {
			continue
		}
		m.taken(d.layout.valid)
		if bytes.Equal(d.one, d.seen) {
			return stamp{}, false // valid could not be cleared
		}
		d.seen = append(d.seen[:0], d.one...)
		return d.layout.decode(d.one), true
	}
	return stamp{reason: reasonTorn}, true
}

func (d *shmDriver) close() {
	d.memory.detach()
	d.memory = attached{}
}

// attached is a segment in our memory.
type attached struct {
	octets   []byte
	readOnly bool
}

// attach maps a segment, for reading only if it may not be written.
func attach(id int) (a attached, err error) {
	a.octets, err = unix.SysvShmAttach(id, 0, 0)
	if errors.Is(err, fs.ErrPermission) {
		a.readOnly = true
		a.octets, err = unix.SysvShmAttach(id, 0, unix.SHM_RDONLY)
	}
	return a, err
}

func (a *attached) detach() {
	if a.octets != nil {
		_ = unix.SysvShmDetach(a.octets) // fails only for what is not attached
	}
}

func (a attached) word(offset int) *uint32 { return (*uint32)(unsafe.Pointer(&a.octets[offset])) }

// load implements segment.
func (a attached) load(dst []byte) {
	for i := 0; i+4 <= len(dst); i += 4 {
		native.PutUint32(dst[i:], atomic.LoadUint32(a.word(i)))
	}
}

// taken implements segment.
func (a attached) taken(valid int) {
	if !a.readOnly {
		atomic.StoreUint32(a.word(valid), 0)
	}
}
