package control

import (
	"crypto/rand"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// An answer of mode 6 is many times longer than its request, and the source
// of a UDP packet is easily forged. So other hosts than this one get a bounded
// number of packets, of at most 480 octets each: a single source (an IPv4
// address or an IPv6 /64) 10 a second after a first 64, all together 250 a
// second after a first 255. An answer that is over the bound is dropped whole.
// Half of what all together can have saved is kept for sources that proved
// lately that they are no forgery: hosts with a key, NTS or an Autokey cookie.
var (
	querySourceLimit = access.Bucket{Rate: 10, Burst: 64}
	queryTotalLimit  = access.Bucket{Rate: 250, Burst: 255}
)

// querySources is how many sources are remembered.
const querySources = 1024

// Queries answers mode 6 for a server: server.Query.
type Queries struct {
	source  QuerySource
	sources *access.Limiter
	total   *access.Pool
	mru     mruList
}

// SetMRU makes mrulist answer from a list, in any order. It must be called
// before the first query.
func (q *Queries) SetMRU(list func() []MRUEntry) { q.mru.read = list }

// NewQueries returns the answerer from a source.
func NewQueries(source QuerySource) (*Queries, error) {
	c := access.LimiterConfig{Clients: querySources}
	if _, err := rand.Read(c.Seed[:]); err != nil {
		return nil, err
	}
	sources, err := access.NewLimiter(c)
	if err != nil {
		return nil, err
	}
	total, err := access.NewPool(queryTotalLimit)
	q := &Queries{source: source, sources: sources, total: total}
	if _, err := rand.Read(q.mru.secret[:]); err != nil {
		return nil, err
	}
	return q, err
}

// Admit implements server.Query.
func (q *Queries) Admit(mono int64, req *ntp.Request, known bool) bool {
	return req.From.Addr().IsLoopback() || q.allow(req, mono, known, 1)
}

// Answer implements server.Query.
func (q *Queries) Answer(now ntp.Timestamp, mono int64, clock *ntp.ClockState, req *ntp.Request, known bool) ([][]byte, ntp.Reason) {
	answer := q.respond(now, clock, req)
	if len(answer) == 0 {
		return nil, ntp.ReasonMalformed
	}
	if !req.From.Addr().IsLoopback() && !q.allow(req, mono, known, len(answer)-1) {
		return nil, ntp.ReasonRateLimited
	}
	return answer, ntp.ReasonOK
}

// respond answers mrulist, which depends on who asks, or anything else.
func (q *Queries) respond(now ntp.Timestamp, clock *ntp.ClockState, req *ntp.Request) [][]byte {
	ask, e, ok := parseQuery(req.Packet)
	operation := ask.head.REMOp & operationMask
	if !ok || e != errNone || operation != opReadMRU && operation != opRequestNonce {
		return Respond(q.source, now, clock, req.Packet)
	}
	w := newQueryWriter(&ask.head, clock.Leap)
	w.auth = verify(req.Packet, len(ask.data), q.source.Authority().Keys)
	if e := q.mru.answer(w, &ask, now, req.From.Addr()); e != errNone {
		return [][]byte{w.failure(e)}
	}
	return w.finish()
}

// allow takes tokens for packets of an answer.
func (q *Queries) allow(req *ntp.Request, mono int64, known bool, packets int) bool {
	keep := queryTotalLimit.Burst / 2
	if known {
		keep = 0
	}
	return packets <= 0 || q.sources.Spend(req.From.Addr(), 0, mono, querySourceLimit, packets) && q.total.Spend(mono, packets, keep)
}
