package autokey

import "net/netip"

// maxSequence is the largest sequence number of autokey values that is
// believed. It bounds the hashes that a packet can cost.
const maxSequence = 2*maxKeys - 1

// signedAt are the times of a signed value.
type signedAt struct{ timestamp, filestamp uint32 }

// sequence follows the key identifiers of a broadcast server or a symmetric
// peer, which uses its key list from the last to the first: the hash of each
// identifier is the one before.
type sequence struct {
	known  bool
	values AutokeyValues
	at     signedAt
	last   uint32 // last identifier accepted; values.KeyID before the first
	left   uint32 // identifiers of the list that can still come
}

// set takes over signed values. Equal ones change nothing, so that a repeated
// packet cannot turn the list back.
func (s *sequence) set(v AutokeyValues, at signedAt) {
	if s.known && v == s.values && at == s.at {
		return
	}
	*s = sequence{known: true, values: v, at: at, last: v.KeyID, left: v.Sequence + 1}
}

// follow reports whether id comes after the last identifier accepted, any
// number of lost ones in between, and takes it as the last.
func (s *sequence) follow(h *Scratch, source, destination netip.Addr, id, cookie uint32) bool {
	if !s.known {
		return false
	}
	next := id
	for i := range s.left {
		next = nextKeyID(h.SessionKey(source, destination, next, cookie))
		if next == s.last {
			s.last, s.left = id, s.left-i-1
			return true
		}
	}
	return false
}
