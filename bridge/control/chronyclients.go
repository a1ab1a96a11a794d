package control

import (
	"encoding/binary"
	"math"
	"net/netip"
	"sync"
	"time"
)

// ChronyClient is a client of the server as chronyc's clients shows it.
type ChronyClient struct {
	Addr         netip.Addr
	Hits, Drops  uint64 // of NTP
	KEHits       uint64 // of NTS-KE
	KEDrops      uint64
	Last, LastKE time.Time     // zero: never
	Interval     time.Duration // between requests, 0: not known
}

// chronyClients keeps the list for who goes on reading it, and what had been
// counted when somebody asked to begin anew.
type chronyClients struct {
	mu   sync.Mutex
	list []ChronyClient
	made time.Time
	from map[netip.Addr][4]uint64
}

// at returns so many clients of the list from an index on, and how long it is.
// It is made anew when it is read from the beginning.
func (l *chronyClients) at(read func() []ChronyClient, first, count uint32, reset bool) (part []ChronyClient, length uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if first == 0 || time.Since(l.made) > mruLife {
		if l.list, l.made = read(), time.Now(); reset {
			old := l.from
			defer func() { l.begin(old) }()
		}
		l.subtract()
	}
	length = uint32(len(l.list))
	first = min(first, length)
	return l.list[first : first+min(count, length-first)], length
}

// begin takes what is counted now as what was counted before.
func (l *chronyClients) begin(old map[netip.Addr][4]uint64) {
	l.from = make(map[netip.Addr][4]uint64, len(l.list))
	for i := range l.list {
		c := &l.list[i]
		was := old[c.Addr]
		l.from[c.Addr] = [4]uint64{c.Hits + was[0], c.Drops + was[1], c.KEHits + was[2], c.KEDrops + was[3]}
	}
}

func (l *chronyClients) subtract() {
	for i := range l.list {
		c := &l.list[i]
		was := l.from[c.Addr]
		for n, v := range []*uint64{&c.Hits, &c.Drops, &c.KEHits, &c.KEDrops} {
			*v -= min(*v, was[n])
		}
	}
}

// The packet has room for so many clients.
const chronyClientsAtOnce = 8

func (q *chronyQuestion) clients(w *chronyWriter) (chronyStatus, uint16) {
	word := func(n int) uint32 { return binary.BigEndian.Uint32(q.data[4*n:]) }
	first, count, least, reset := word(0), min(word(1), chronyClientsAtOnce), word(2), word(3) != 0
	if q.Clients == nil {
		return chronyInactive, tellNothing
	}
	part, length := q.listed.at(q.Clients, first, count, reset)
	var body chronyWriter
	told := uint32(0)
	for i := range part {
		if c := &part[i]; c.Hits >= uint64(least) || c.KEHits >= uint64(least) {
			body.client(c, time.Now())
			told++
		}
	}
	w.put(length, first+uint32(len(part)), told)
	w.Write(body.Bytes())
	w.put(make([]byte, (chronyClientsAtOnce-told)*chronyClientLen))
	return chronyDone, tellClients
}

const (
	chronyClientLen  = 60  // octets
	chronyNoInterval = 127 // log2 of an interval that is not known
	chronyNever      = math.MaxUint32
)

func (w *chronyWriter) client(c *ChronyClient, now time.Time) {
	ago := func(t time.Time) uint32 {
		if t.IsZero() {
			return chronyNever
		}
		return uint32(max(now.Sub(t).Seconds(), 0))
	}
	interval := int8(chronyNoInterval)
	if c.Interval > 0 {
		interval = int8(math.Round(math.Log2(c.Interval.Seconds())))
	}
	w.Write(chronyIP(c.Addr))
	w.put(clamp32(c.Hits), clamp32(c.KEHits), uint32(0), clamp32(c.Drops), clamp32(c.KEDrops), uint32(0))
	w.put(interval, int8(chronyNoInterval), int8(chronyNoInterval), int8(chronyNoInterval))
	w.put(ago(c.Last), ago(c.LastKE), uint32(chronyNever))
}

func clamp32(v uint64) uint32 { return uint32(min(v, math.MaxUint32)) }

// access tells whether an address is served, or may ask for commands.
func (q *chronyQuestion) access(*chronyWriter) (chronyStatus, uint16) {
	a, ok := chronyAddr(q.data)
	judge := q.Serves
	if q.number == askCmdAccess {
		judge = q.MayAsk
	}
	if ok && judge != nil && judge(a) {
		return chronyAllowed, tellNothing
	}
	return chronyDenied, tellNothing
}
