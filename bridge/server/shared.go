package server

import (
	"sync/atomic"
	"time"

	"ntsbridge/bridge/ntp"
)

// shared is what all workers and the slow lane of a server have in common.
type shared struct {
	state    atomic.Pointer[State]
	clock    atomic.Pointer[ntp.ClockState]
	peering  atomic.Pointer[PeeringHandler]
	store    *timestampStore
	clients  Clients // the inventory
	proved   *proved
	zeroSeed *zeroSeedTable
	signing  *signLane
	started  time.Time
}

// mono is the time of rate limits, nanoseconds.
func (s *shared) mono(now time.Time) int64 { return int64(now.Sub(s.started)) }

// systemTime reads the system clock through the vDSO.
func systemTime() ntp.Timestamp { return ntp.TimestampFromTime(time.Now()) }
