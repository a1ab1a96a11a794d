package bridge

import (
	"sync/atomic"
	"time"
)

// cookieWatch is when the files of the cookie secrets are next moved on.
type cookieWatch struct {
	parts  *parts // that they were moved on for
	due    time.Time
	busy   atomic.Bool
	failed atomic.Bool
}
