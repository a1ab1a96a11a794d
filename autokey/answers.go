package autokey

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
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
// public-key operation and is answered on the fast path: reading takes no lock.
// It holds a fixed number, and of those whose digests lead to the same few
// places forgets the oldest.
type answers struct {
	mu     sync.Mutex // of writers
	places []atomic.Pointer[remembered]
}

// answerWays is in how many places an answer may be.
const answerWays = 4

// remembered is an answer; it is never changed.
type remembered struct {
	key     answerKey
	made    ntp.Timestamp
	life    time.Duration
	message Message
}

func newAnswers(n int) *answers {
	return &answers{places: make([]atomic.Pointer[remembered], max(n-n%answerWays, answerWays))}
}

// ways returns the places of a key.
func (a *answers) ways(k *answerKey) []atomic.Pointer[remembered] {
	first := binary.BigEndian.Uint64(k[:]) % uint64(len(a.places)/answerWays) * answerWays
	return a.places[first : first+answerWays]
}

// get returns a remembered answer. Its slices must not be changed.
func (a *answers) get(k *answerKey, now ntp.Timestamp) (Message, bool) {
	ways := a.ways(k)
	for i := range ways {
		r := ways[i].Load()
		if r == nil || r.key != *k {
			continue
		}
		age := now.Sub(r.made)
		return r.message, age >= 0 && age < r.life
	}
	return Message{}, false
}

// put remembers an answer.
func (a *answers) put(r *remembered) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ways := a.ways(&r.key)
	place := &ways[0]
	for i := range ways {
		old, chosen := ways[i].Load(), place.Load()
		if old != nil && old.key == r.key {
			place = &ways[i]
			break
		}
		if chosen != nil && (old == nil || old.made.Sub(chosen.made) < 0) {
			place = &ways[i]
		}
	}
	place.Store(r)
}
