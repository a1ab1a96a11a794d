package simulate

import (
	"time"

	"ntsbridge/bridge/fleet/inventory"
)

// Load is what NTS-KE has to bear, handshakes a second at the worst moment. The
// formulas are those of the survey of real clients: chrony and ntpsec come once
// they have missed 8 and 9 polls, each once within a poll; ntpd-rs asks each
// second while it is refused; ntpsec that failed waits 4096 s.
type Load struct {
	Clients  int     `json:"clients"`   // that use NTS
	Step     float64 `json:"at_step"`   // while those that move are restarted, evenly
	Outage   float64 `json:"in_outage"` // while the gateway is down, refused
	After    float64 `json:"after"`     // when it is back
	Secret   float64 `json:"secret_lost"`
	Cost     float64 `json:"cost"` // seconds of CPU per handshake, as measured; 0: not measured
	Busy     float64 `json:"busy"` // processors that the worst of them keeps busy; 0: not measured
	OutageOf string  `json:"outage_of"`
	MovedIn  string  `json:"moved_in"`
}

// Waits of the programs, seconds.
const (
	chronyLosses = 8
	ntpsecLosses = 9
	ntpsecWait   = 4096
)

// LoadOptions say what is computed.
type LoadOptions struct {
	Outage time.Duration // 0: 10 min
	Moved  time.Duration // in which those that move are restarted, 0: 1 h
	Cost   float64       // seconds of CPU per handshake
}

// loads counts clients of NTS.
type loads struct {
	LoadOptions
	Load
	movers int
}

func newLoads(o LoadOptions) *loads {
	if o.Outage == 0 {
		o.Outage = 10 * time.Minute
	}
	if o.Moved == 0 {
		o.Moved = time.Hour
	}
	return &loads{LoadOptions: o, Load: Load{Cost: o.Cost, OutageOf: o.Outage.String(), MovedIn: o.Moved.String()}}
}

// add counts a client that uses NTS by a program, at a poll interval. moves tells
// that it does so only once it has moved.
func (l *loads) add(program string, poll time.Duration, moves bool) {
	p := poll.Seconds()
	if p <= 0 {
		p = 64
	}
	l.Clients++
	if moves {
		l.movers++
	}
	l.Secret += 1 / p
	down := l.LoadOptions.Outage.Seconds()
	switch program {
	case inventory.NtpdRs:
		if down >= chronyLosses*p {
			l.Load.Outage++
			l.After++
		}
	case inventory.Ntpd, inventory.Ntpsec:
		if down >= ntpsecLosses*p {
			l.Load.Outage += 1 / p
			l.After += 1.0 / ntpsecWait
		}
	default:
		if down >= chronyLosses*p {
			l.Load.Outage += 1 / p
			l.After += 1 / p
		}
	}
}

func (l *loads) finish() Load {
	l.Step = float64(l.movers) / l.Moved.Seconds()
	l.Busy = l.Load.Cost * max(l.Step, l.After, l.Secret)
	return l.Load
}
