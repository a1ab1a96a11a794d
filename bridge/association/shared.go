package association

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/autokey"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/server"
	"ntsbridge/bridge/source"
)

// Environment is what a set keeps for its life.
type Environment struct {
	UDP *server.Server // whose port peers and broadcasts share
	// KernelTimestamps says that the port has them.
	KernelTimestamps bool
	Leaps            *follow.LeapSeconds
	Log              hclog.Logger
}

// shared is what all associations of a set use.
type shared struct {
	env    Environment
	clock  *source.SystemClock
	server atomic.Pointer[autokey.Server] // ours; nil: off
	config atomic.Pointer[Config]         // in force
	hub    atomic.Pointer[source.Hub]     // nil: nothing comes to the server's port for us

	joining sync.Mutex // held while the server joins a group
	joined  map[netip.Addr]int
}
