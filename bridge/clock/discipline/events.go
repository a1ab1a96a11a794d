package discipline

import "math"

// EventKind is what happened.
type EventKind uint8

// The kinds of events; Value is seconds unless stated.
const (
	EventStep          EventKind = iota // the clock was told to step by Value
	EventPanic                          // the offset Value is beyond the panic threshold
	EventClockJumped                    // the base, or all sources, moved by Value
	EventPathChanged                    // one source moved by Value against the others
	EventRouteChanged                   // a source's least delay changed by Value
	EventEstimateLeft                   // the estimate left the majority's interval by Value and was started anew
	EventForeignChange                  // the system clock was moved by Value, not by us
	EventForeignRate                    // the rate was changed by Value s/s, not by us
	EventGap                            // the base stood still for Value
	EventNumeric                        // an estimate was no number; started anew
)

// Event is something for the log.
type Event struct {
	Kind  EventKind
	Value float64
}

// maxEvents bounds the events kept for a caller who never asks.
const maxEvents = 64

func (d *Discipline) event(k EventKind, value float64) {
	if len(d.events) < maxEvents {
		d.events = append(d.events, Event{k, value})
	}
}

// Events appends what happened since the last call to dst.
func (d *Discipline) Events(dst []Event) []Event {
	dst = append(dst, d.events...)
	d.events = d.events[:0]
	return dst
}

// Gap says that until now the base stood still or lost count for about lost
// seconds, uncertain seconds more or less: the machine slept, or a hypervisor
// paused it. The base's phase is unknown by that much, its frequency is not
// touched. Nothing is called synchronised until a majority has answered anew:
// of all sources that answered before, so the caller does well to ask all of
// them at once.
func (d *Discipline) Gap(now Instant, lost, uncertain float64) {
	d.event(EventGap, lost)
	d.trustworthy, d.running, d.fresh = false, false, false
	at := 0.0
	if d.begun { // else the frame, and its zero, come with the first answer
		at = d.seconds(now)
		d.gather = at + gathering
	}
	variance := uncertain*uncertain + 1e-6*lost*lost
	for _, s := range d.sources {
		if s.own.started {
			s.own.shift(-lost)
			s.own.widen(variance, 1e-14)
		}
		if s.awaited = at; s.reach != 0 && s.count > 0 {
			s.awaited = at + gathering + math.Exp2(float64(d.pollOf(s)))
		}
		s.count, s.strikes, s.sent, s.replies = 0, 0, 0, 0
		s.last = now
		s.state = Unusable
	}
	if d.joint.started {
		d.joint.shift(-lost)
		d.joint.widen(variance, 1e-14)
		d.tracked = d.joint.phase
	}
	d.selected = d.selected[:0]
}
