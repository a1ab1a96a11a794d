package autokey

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"ntsbridge/bridge/ntp"
)

// How long the answer to a request is given again to an equal one.
const (
	answerLife = time.Minute
	signLife   = 10 * time.Minute // the same certificate; for any client
)

func lifetime(op Op) time.Duration {
	if op == OpSign {
		return signLife
	}
	return answerLife
}

// answerKey is the digest of all that an answer depends on.
type answerKey [sha256.Size]byte

// answerKey returns the key of the call. Answers are remembered for one pair
// of addresses, since cookies differ; a signed certificate does not.
func (c *call) answerKey(request []byte, filestamp uint32) (k answerKey) {
	h := sha256.New()
	var b [10]byte
	b[0] = byte(c.sess.Op)
	if c.synced {
		b[1] = 1
	}
	binary.BigEndian.PutUint32(b[2:], filestamp)
	binary.BigEndian.PutUint32(b[6:], uint32(len(request)))
	h.Write(b[:])
	h.Write(request)
	if c.sess.Op != OpSign {
		from, to := c.req.From.Addr().As16(), c.req.To.As16()
		h.Write(from[:])
		h.Write(to[:])
	}
	h.Sum(k[:0])
	return k
}

// answers remembers recent answers, so that a repeated request costs no
// public-key operation. It holds a fixed number and forgets the oldest.
type answers struct {
	mu      sync.Mutex
	index   map[answerKey]int
	entries []remembered
	next    int // the entry to be replaced
}

type remembered struct {
	key     answerKey
	used    bool
	made    ntp.Timestamp
	life    time.Duration
	message Message
}

func newAnswers(n int) *answers {
	return &answers{index: make(map[answerKey]int, n), entries: make([]remembered, n)}
}

// get returns a remembered answer. Its slices must not be changed.
func (a *answers) get(k answerKey, now ntp.Timestamp) (Message, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := a.index[k]
	if !ok {
		return Message{}, false
	}
	e := &a.entries[i]
	if age := now.Sub(e.made); age < 0 || age >= e.life {
		return Message{}, false
	}
	return e.message, true
}

// put remembers an answer.
func (a *answers) put(k answerKey, now ntp.Timestamp, life time.Duration, m Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, known := a.index[k]
	if !known {
		i = a.next
		a.next = (a.next + 1) % len(a.entries)
		if old := &a.entries[i]; old.used {
			delete(a.index, old.key)
		}
		a.index[k] = i
	}
	a.entries[i] = remembered{k, true, now, life, m}
}
