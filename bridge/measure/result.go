package measure

import (
	"fmt"
	"net/netip"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/source"
)

// Result is what became of one server.
type Result struct {
	Name     string
	Address  netip.AddrPort // invalid: the name was not found
	Samples  []source.Sample
	Err      error // nil: measured
	Warnings []string
	Agrees   bool   // with the majority, set by Combine
	AEAD     string // of NTS; empty: none
	// Autokey is the state of the association; nil: Autokey was not asked for,
	// or not begun.
	Autokey *AutokeyState

	want     int
	last     error // the last telling failure of a poll
	repeated int   // failures that waiting does not mend
	timeouts int   // in a row
	strays   int   // answers that were not to the last request
	forged   int   // answers that do not authenticate
	client   *autokey.Client
}

// AutokeyState is what an Autokey association has got.
type AutokeyState struct {
	autokey.State
	// Certificates are those of this host's cache, as ntpq shows them.
	Certificates []string
}

// Best returns the sample with the least delay, nil if there is none.
func (r *Result) Best() *source.Sample {
	var best *source.Sample
	for i := range r.Samples {
		if best == nil || r.Samples[i].Delay < best.Delay {
			best = &r.Samples[i]
		}
	}
	return best
}

func (r *Result) warn(format string, a ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, a...))
}

// Combined is what several servers say together.
type Combined struct {
	Measured int // servers
	Agree    int // of them those that were selected
	OK       bool
	Offset   time.Duration // what to add to the system clock
	Best     *Result       // of those that agree, the one with the least root distance
}
