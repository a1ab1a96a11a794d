package steer

import (
	"net/netip"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/silence"
	"ntsbridge/bridge/fleet/stage"
)

// Moment is a time by two clocks.
type Moment struct {
	Wall         time.Time
	Uptime       time.Duration // goes on evenly, whatever is done to the system clock
	Synchronised bool          // Wall can be trusted
}

// Step is one that is to begin, or that runs.
type Step struct {
	Group *plan.Group
	Means plan.Means
	Stage plan.Stage
	Round int // of brown-outs, from 1
	// Only are the clients of a canary, nil: the whole group.
	Only   []netip.Prefix
	Timing plan.Timing
	// Refused are the times in which steps before this one refused.
	Refused []silence.Span
}

// Environment is what the controller works with.
type Environment struct {
	// Each gives every client of the inventory to see, which must not keep it.
	// An error says that the inventory cannot be asked: no step begins or goes on.
	Each func(see func(*inventory.Client)) error
	// Where resolves labels and Autokey groups.
	Where func() stage.Where
	// Gates computes the gates of some steps, of each those in its place; nil:
	// there are none.
	Gates func(now Moment, r *stage.Resolver, steps []*Step) [][]gate.Result
	// Admit is asked before a step that refuses begins, force or not; nil: it may.
	Admit func() error
	// Judge says what a silence means; nil: silence.Judge.
	Judge func(c *silence.Case, means int) silence.Judgement
	// Ours tells whether a reference identifier is that of an address of ours.
	Ours func(refid uint32) bool
	// Record writes the history.
	Record func(*history.Entry) error
	// Keep writes the state, so that it outlives a power cut; Forget takes it away,
	// which must also work on a full disk.
	Keep   func(state []byte) error
	Forget func() error
	// Enforce puts refusals in force, all that there are. It cannot fail.
	Enforce func(*stage.Resolver, []stage.Refusal)
	// Tell is called with what was recorded, for the log and for Notify.
	Tell func(*history.Entry, *plan.Notify)
	// Key is secret and chooses canaries.
	Key []byte
}
