package association

import (
	"context"
	"errors"
	"sync"
	"time"

	"ntsbridge/bridge/source"
)

// Bounds of what the log is told of a source: a cause again after retold, and
// silence only when so many requests in a row had no answer.
const (
	retold    = time.Hour
	silentFor = 8
)

// troubles are the causes of errors that the log was told of a source, and when
// by the uptime. The zero value is none.
type troubles struct {
	mu     sync.Mutex
	told   map[source.Cause]time.Duration
	silent int // requests without an answer since the last one that had one
}

// answered notes that there was an answer.
func (t *troubles) answered() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.silent = 0
}

// news reports whether the log is to be told of an error at time now.
func (t *troubles) news(cause source.Cause, err error, now time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if cause == source.CauseNone || errors.Is(err, context.Canceled) {
		return false
	}
	if errors.Is(err, source.ErrTimeout) { // packets get lost
		if t.silent++; t.silent < silentFor {
			return false
		}
	}
	if at, told := t.told[cause]; told && now-at < retold {
		return false
	}
	if t.told == nil {
		t.told = make(map[source.Cause]time.Duration)
	}
	t.told[cause] = now
	return true
}
