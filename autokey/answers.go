package autokey

import (
	"crypto/sha256"
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
