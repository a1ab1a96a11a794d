package autokey

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// maxKeys is the length of the longest key list.
const maxKeys = 100

// defaultAutomax is the longest life of a key list, log2 seconds, which ntpd
// sets with "automax".
const defaultAutomax = 12

// keyList is a list of key identifiers, each the first 32 bits of the session
// key of the one before. It is used from the last to the first, so that
// whoever hashes the identifier of a packet gets that of the packet before
// (RFC 5906, section 9.3).
type keyList struct {
	ids   []uint32 // in the order of generation
	final uint32   // what would follow the last
	left  int
}

// keyListParameters says what a key list is for.
type keyListParameters struct {
	Source, Destination netip.Addr
	Cookie              uint32        // 0 in broadcast mode and before there is one
	Poll                time.Duration // poll interval
	Automax             uint8         // log2 seconds, 0 to 31
	Synchronised        bool          // false: the list has one key
	// InUse reports whether an identifier is taken by another list; nil: none
	// is.
	InUse func(id uint32) bool
}

// errNoKeyID says that the source of randomness gives no usable identifier.
var errNoKeyID = errors.New("autokey: no usable key identifier from the source of randomness")

// newKeyList makes a key list. rand gives the first identifier, 31 bits.
func newKeyList(s *Scratch, p keyListParameters, rand io.Reader) (*keyList, error) {
	id, err := firstKeyID(p.InUse, rand)
	if err != nil {
		return nil, err
	}
	l := &keyList{ids: make([]uint32, 0, maxKeys)}
	lifetime := min(time.Second<<p.Automax, maxKeys*p.Poll)
	for len(l.ids) < maxKeys {
		l.ids = append(l.ids, id)
		id = nextKeyID(s.SessionKey(p.Source, p.Destination, id, p.Cookie))
		lifetime -= p.Poll
		if id < minKeyID || lifetime < 0 || !p.Synchronised || p.InUse != nil && p.InUse(id) {
			break
		}
	}
	l.final, l.left = id, len(l.ids)
	return l, nil
}

// firstKeyID rolls the identifier that a list starts with.
func firstKeyID(inUse func(uint32) bool, rand io.Reader) (uint32, error) {
	var b [4]byte
	for range 100 {
		if _, err := io.ReadFull(rand, b[:]); err != nil {
			return 0, fmt.Errorf("autokey: key list: %w", err)
		}
		id := binary.BigEndian.Uint32(b[:]) & 0x7fffffff
		if id >= minKeyID && (inUse == nil || !inUse(id)) {
			return id, nil
		}
	}
	return 0, errNoKeyID
}

// next returns the identifier for the next packet; ok is false when the list
// is used up.
func (l *keyList) next() (id uint32, ok bool) {
	if l.left == 0 {
		return 0, false
	}
	l.left--
	return l.ids[l.left], true
}

// values returns the autokey values of the list: final and the index of the
// last identifier.
func (l *keyList) values() AutokeyValues {
	return AutokeyValues{KeyID: l.final, Sequence: uint32(len(l.ids) - 1)}
}

// AutokeyValues is the value of an AUTO response (RFC 5906, section 10.4; the
// key identifier comes first).
type AutokeyValues struct {
	KeyID    uint32
	Sequence uint32
}

// append appends the 8 octets of v.
func (v AutokeyValues) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, v.KeyID)
	return binary.BigEndian.AppendUint32(dst, v.Sequence)
}

// parseAutokeyValues reads the value of an AUTO response, 8 octets.
func parseAutokeyValues(value []byte) (v AutokeyValues, ok bool) {
	if len(value) != 8 {
		return AutokeyValues{}, false
	}
	return AutokeyValues{binary.BigEndian.Uint32(value), binary.BigEndian.Uint32(value[4:])}, true
}

// LeapValues is the value of a LEAP response (RFC 5906, section 10.7): 12
// octets, all zero when the sender knows no leap seconds.
type LeapValues struct {
	TAIOffset uint32 // TAI-UTC in seconds
	LastLeap  uint32 // NTP seconds of the last leap second
	Expiry    uint32 // NTP seconds until which this is good
}

// append appends the 12 octets of v.
func (v LeapValues) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, v.TAIOffset)
	dst = binary.BigEndian.AppendUint32(dst, v.LastLeap)
	return binary.BigEndian.AppendUint32(dst, v.Expiry)
}

// parseLeapValues reads the value of a LEAP response, 12 octets.
func parseLeapValues(value []byte) (v LeapValues, ok bool) {
	if len(value) != 12 {
		return LeapValues{}, false
	}
	return LeapValues{
		binary.BigEndian.Uint32(value),
		binary.BigEndian.Uint32(value[4:]),
		binary.BigEndian.Uint32(value[8:]),
	}, true
}
