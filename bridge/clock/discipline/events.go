package discipline

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
	EventFastSlew                       // the offset Value is slewed fast, and the clock not called synchronised meanwhile
	EventDriftLimit                     // the oscillator is off by Value s/s, more than is corrected
	EventStandard                       // a local clock keeps the rate from now on; the oscillator is off by Value s/s against it
	EventStandardLost                   // no longer: it has been silent for Value
	EventNumeric                        // an estimate was no number; started anew
)

// Event is something for the log.
type Event struct {
	Kind  EventKind
	Value float64
}

// maxEvents bounds the events kept for a caller who never asks.
const maxEvents = 64

// journal keeps what happened until somebody asks.
type journal struct{ events []Event }

func (j *journal) event(k EventKind, value float64) {
	if len(j.events) < maxEvents {
		j.events = append(j.events, Event{k, value})
	}
}

// take appends what is kept to dst.
func (j *journal) take(dst []Event) []Event {
	dst = append(dst, j.events...)
	j.events = j.events[:0]
	return dst
}
