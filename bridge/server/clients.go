package server

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/ntp"
)

// Clients is how the server tells the inventory of clients what it sees. Nil
// functions tell nothing.
type Clients struct {
	// Attach returns a feed for one worker, nil for none; Detach takes it back
	// when the worker has ended.
	Attach func() *feed.Feed
	Detach func(*feed.Feed)
	// Autokey is told the names in a client's ASSOC message, which nothing
	// proves. Workers and the slow lane call it.
	Autokey func(from netip.Addr, at ntp.Timestamp, host, group string)
}

func (c *Clients) attach() *feed.Feed {
	if c.Attach == nil {
		return nil
	}
	return c.Attach()
}

func (c *Clients) detach(f *feed.Feed) {
	if f != nil && c.Detach != nil {
		c.Detach(f)
	}
}

// names bounds how many names a worker tells: whoever forges addresses can
// forge them too, and a client that dances again tells its name again.
var names = access.Bucket{Rate: 100, Burst: 1000}

// tellName tells the name in a client's ASSOC message.
func (c *Clients) tellName(s *slot) {
	if c.Autokey == nil || s.verdict.Kind != ntp.KindAutokey {
		return
	}
	if host, group, ok := feed.AutokeyName(s.req.Packet); ok {
		c.Autokey(s.req.From.Addr(), s.req.Received, host, group)
	}
}

// associationSeed makes what is told of the keys of an NTS association useless
// outside of this process.
var associationSeed = maphash.MakeSeed()

// hashOf is never 0.
func hashOf(association uint64) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], association)
	return max(1, uint32(maphash.Bytes(associationSeed, b[:])))
}

// noteIn tells of a request that was judged and, unless it was dropped,
// answered. What the slow lane has taken over, it tells of itself.
func (s *slot) noteIn(t *feed.Table) {
	if !s.judged || !feed.Worth(&s.req, &s.verdict) {
		return
	}
	association := uint32(0)
	if s.verdict.Kind == ntp.KindNTS && s.verdict.Reason == ntp.ReasonOK {
		association = hashOf(s.nts.Association())
	}
	t.Note(&s.req, &s.verdict, s.sent, association)
}
