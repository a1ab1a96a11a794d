package stage

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"
	"net/netip"
	"slices"
	"time"

	"ntsbridge/bridge/fleet/plan"
)

// activeTime and activePolls are how long ago a client may have asked to count
// as one that still does.
const (
	activeTime  = 3600 // s
	activePolls = 4
)

// Active tells whether a client that asked last at a time, once in an interval
// (0: not known), still asks now; times are seconds since 1970. Canaries are chosen
// of such, and counted in steps.
func Active(last uint32, interval time.Duration, now uint32) bool {
	return now <= last+max(activeTime, activePolls*uint32(interval/time.Second))
}

// Candidate is a client that a canary may have.
type Candidate struct {
	Prefix netip.Prefix
	Count  int // addresses that it stands for, at least 1
}

// Canary chooses the clients of a canary: those whose hash under a key is
// below the share, so that they are the same ones each time, and a larger share
// has those of a smaller one; at least one, and never more than max addresses: a
// row that stands for more is left out, so there may be none.
func Canary(key []byte, m plan.Means, clients []Candidate, share float64, max int) []netip.Prefix {
	type ranked struct {
		hash   [sha256.Size]byte
		client Candidate
	}
	limit := uint64(share * math.MaxUint64)
	if share >= 1 {
		limit = math.MaxUint64
	}
	// Who is above the limit is one of them only if nobody is below: the least one
	// that is not too large.
	var list []ranked
	var least ranked
	mac := hmac.New(sha256.New, key)
	var r ranked
	for _, r.client = range clients {
		if r.client.Count > max {
			continue
		}
		rank(mac, m, r.client.Prefix, &r.hash)
		if binary.BigEndian.Uint64(r.hash[:]) <= limit {
			list = append(list, r)
		} else if len(list) == 0 && (!least.client.Prefix.IsValid() || bytes.Compare(r.hash[:], least.hash[:]) < 0) {
			least = r
		}
	}
	if len(list) == 0 && least.client.Prefix.IsValid() {
		return []netip.Prefix{least.client.Prefix}
	}
	slices.SortFunc(list, func(a, b ranked) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	var chosen []netip.Prefix
	for _, r := range list {
		if r.client.Count <= max {
			max -= r.client.Count
			chosen = append(chosen, r.client.Prefix)
		}
	}
	return chosen
}

// rank puts the hash of a client into sum.
func rank(mac hash.Hash, m plan.Means, p netip.Prefix, sum *[sha256.Size]byte) {
	var text [18]byte
	a := p.Addr().As16()
	copy(text[:], a[:])
	text[16], text[17] = byte(p.Bits()), byte(m)
	mac.Reset()
	mac.Write(text[:])
	mac.Sum(sum[:0])
}
