package leap

import (
	"encoding/binary"
	"errors"
	"time"
)

var errTZif = errors.New("malformed TZif file; install the tzdata package again")

// tzifHeader is the header of a TZif data block (RFC 9636, section 3.1).
type tzifHeader struct {
	version                                                byte
	isUTCount, isStdCount, leapCount, timeCount, typeCount int
	charCount                                              int
}

const tzifHeaderLen = 44

func parseTZifHeader(b []byte) (h tzifHeader, rest []byte, err error) {
	if len(b) < tzifHeaderLen || string(b[:4]) != "TZif" {
		return h, nil, errTZif
	}
	h.version = b[4]
	for i, count := range []*int{&h.isUTCount, &h.isStdCount, &h.leapCount, &h.timeCount, &h.typeCount, &h.charCount} {
		v := binary.BigEndian.Uint32(b[20+4*i:])
		if v > uint32(len(b)) {
			return h, nil, errTZif
		}
		*count = int(v)
	}
	return h, b[tzifHeaderLen:], nil
}

// before returns the octets of a block before its leap seconds, whole those of
// all of it, for times of the given size (RFC 9636, section 3.2).
func (h *tzifHeader) before(size int) int {
	return h.timeCount*(size+1) + h.typeCount*6 + h.charCount
}

func (h *tzifHeader) whole(size int) int {
	return h.before(size) + h.leapCount*(size+4) + h.isStdCount + h.isUTCount
}

// parseTZif reads the leap second records of a compiled zone: in the block with
// 64-bit times if there is one.
func (t *Table) parseTZif(b []byte) error {
	h, rest, err := parseTZifHeader(b)
	if err != nil {
		return err
	}
	size := 4
	if h.version >= '2' {
		skip := h.whole(size)
		if skip > len(rest) {
			return errTZif
		}
		size = 8
		if h, rest, err = parseTZifHeader(rest[skip:]); err != nil {
			return err
		}
	}
	if h.whole(size) > len(rest) {
		return errTZif
	}
	if h.leapCount == 0 {
		return errors.New("a zone without leap seconds; right/UTC has them")
	}
	return t.tzifRecords(rest[h.before(size):][:h.leapCount*(size+4)], size)
}

// tzifRecords reads the leap second records: a time that counts the earlier
// leap seconds too, and the sum of all up to this one. The first may begin a
// table cut off at its start, and a last one without a change is the table's
// end (version 4).
func (t *Table) tzifRecords(b []byte, size int) error {
	before := int64(0)
	for first := true; len(b) > 0; b, first = b[size+4:], false {
		at := int64(int32(binary.BigEndian.Uint32(b)))
		if size == 8 {
			at = int64(binary.BigEndian.Uint64(b))
		}
		correction := int64(int32(binary.BigEndian.Uint32(b[size:])))
		if at < 0 || at > 2*maxTime || correction < -maxTAI || correction > maxTAI {
			return errTZif
		}
		change := correction - before
		if first && (change < -1 || change > 1 || change == 0) {
			if err := t.add((at-correction)/86400*86400, int(tai1972+correction)); err != nil {
				return err
			}
			before = correction
			continue
		}
		if first {
			if err := t.add(begin, tai1972); err != nil {
				return err
			}
		}
		midnight := at - before
		switch change {
		case 0:
			if len(b) > size+4 {
				return errTZif
			}
			t.expires = time.Unix(midnight, 0).UTC()
			return nil
		case -1:
			midnight++ // the record is of the second that is left out
		case 1:
		default:
			return errTZif
		}
		if err := t.add(midnight, int(tai1972+correction)); err != nil {
			return err
		}
		before = correction
	}
	return nil
}
