package store

import (
	"encoding/binary"
	"fmt"
	"os"
)

// bbolt trusts its list of free pages, and would write to wherever a damaged one
// says. So it is looked at before anything is written. The layout is that of
// bbolt's file format 2: a page begins with its number (8 octets), flags (2),
// count (2) and overflow (4); a meta page goes on with magic, version, page size
// and flags (4 each), root (16), number of the free list, page count, transaction
// and checksum (8 each), all little-endian on the machines that we run on.
const (
	pageHeader   = 16
	metaMagic    = 0xED0CDAED
	flagFreeList = 0x10
	manyPages    = 0xffff // the count is in the first element
)

// checkFreeList returns an error if a free page is none of the file's.
func checkFreeList(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	meta, err := newestMeta(f)
	if err != nil {
		return err
	}
	size, list, pages := int64(binary.LittleEndian.Uint32(meta[8:])), binary.LittleEndian.Uint64(meta[32:]),
		binary.LittleEndian.Uint64(meta[40:])
	if list < 2 || list >= pages || pages > 1<<32 {
		return fmt.Errorf("%w: list of free pages at %d of %d", ErrDamaged, list, pages)
	}
	var head [pageHeader + 8]byte
	if _, err := f.ReadAt(head[:], int64(list)*size); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	count, at := uint64(binary.LittleEndian.Uint16(head[10:])), int64(list)*size+pageHeader
	if count == manyPages {
		count, at = binary.LittleEndian.Uint64(head[pageHeader:]), at+8
	}
	overflow := uint64(binary.LittleEndian.Uint32(head[12:]))
	if binary.LittleEndian.Uint64(head[:]) != list || binary.LittleEndian.Uint16(head[8:]) != flagFreeList || count > pages ||
		(overflow+1)*uint64(size) < 8*count {
		return fmt.Errorf("%w: list of free pages", ErrDamaged)
	}
	ids := make([]byte, 8*count)
	if _, err := f.ReadAt(ids, at); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	last := uint64(1)
	for ; len(ids) > 0; ids = ids[8:] {
		id := binary.LittleEndian.Uint64(ids)
		if id <= last || id >= pages {
			return fmt.Errorf("%w: free page %d of %d", ErrDamaged, id, pages)
		}
		last = id
	}
	return nil
}

// newestMeta returns the meta page in use, behind the page's header.
func newestMeta(f *os.File) (newest []byte, err error) {
	size := int64(os.Getpagesize())
	for i := range int64(2) {
		var b [pageHeader + 64]byte
		if _, err := f.ReadAt(b[:], i*size); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		m := b[pageHeader:]
		if binary.LittleEndian.Uint32(m) == metaMagic && fnv64(m[:56]) == binary.LittleEndian.Uint64(m[56:]) &&
			(newest == nil || binary.LittleEndian.Uint64(m[48:]) > binary.LittleEndian.Uint64(newest[48:])) {
			newest = m
			size = int64(binary.LittleEndian.Uint32(m[8:]))
		}
	}
	if newest == nil {
		return nil, fmt.Errorf("%w: no meta page is good", ErrDamaged)
	}
	return newest, nil
}

// fnv64 is FNV-1a, bbolt's checksum of a meta page.
func fnv64(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}
