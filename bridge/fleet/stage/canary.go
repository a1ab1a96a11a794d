package stage

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
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
	list := make([]ranked, 0, len(clients))
	for _, c := range clients {
		list = append(list, ranked{hash(key, m, c.Prefix), c})
	}
	slices.SortFunc(list, func(a, b ranked) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	limit := uint64(share * math.MaxUint64)
	if share >= 1 {
		limit = math.MaxUint64
	}
	var chosen []netip.Prefix
	for _, r := range list {
		if r.client.Count > max {
			continue
		}
		if max -= r.client.Count; len(chosen) > 0 && binary.BigEndian.Uint64(r.hash[:]) > limit {
			break
		}
		chosen = append(chosen, r.client.Prefix)
	}
	return chosen
}

func hash(key []byte, m plan.Means, p netip.Prefix) (h [sha256.Size]byte) {
	mac := hmac.New(sha256.New, key)
	a := p.Addr().As16()
	mac.Write(a[:])
	mac.Write([]byte{byte(p.Bits()), byte(m)})
	return [sha256.Size]byte(mac.Sum(nil))
}
