package sim

// Scenario is a world for one client.
type Scenario struct {
	Name       string
	Oscillator Oscillator
	Offset     float64 // of both clocks at true time 0, s
	MinPoll    int     // log2 s
	MaxPoll    int     // log2 s; above MinPoll: adaptive
	Length     int     // s
	WarmUp     int     // s, not counted in the metrics
	Servers    []Server
	Events     []Event // in order of time
	Absent     []bool  // servers that are no sources at the start, by index; nil: none
	// Lost tells when the truth cannot be known from what the servers say, and
	// for how long after it nobody can be blamed: the bound of the error is
	// not judged then. It may be nil.
	Lost    func(t float64) bool
	Windows []Window

	StampNoise  float64 // standard deviation of the client's timestamps, s
	Granularity int64   // of the client's timestamps, ns; 0: 1
}

// Window is a part of a run whose error is of interest, true seconds
// [From, To).
type Window struct {
	Name     string
	From, To int
}

// EventKind is what happens to the client's machine.
type EventKind uint8

// The kinds of events.
const (
	Suspend     EventKind = iota // for Duration seconds; the base stands still, the system clock comes back wrong by Value seconds more
	SetClock                     // somebody moves the system clock by Value seconds
	SetRate                      // somebody commands another rate, Value s/s
	StallDaemon                  // the daemon does not run for Duration seconds
	Join                         // server number Server becomes a source
	Leave                        // it is one no longer
	Pause                        // for Duration seconds, both clocks stand still, and nobody tells
)

// Event happens to the client's machine at true second At.
type Event struct {
	At       int
	Kind     EventKind
	Value    float64
	Duration int // s
	Server   int
}

// Exchange is a request with its answer, as the client measured it.
type Exchange struct {
	Source int
	T1, T4 int64 // free-running base at sending and arrival, ns
	T2, T3 int64 // server's Unix time at arrival and sending, ns
	Status Status
}

// Reading is both clocks at one instant, and the rate in force.
type Reading struct {
	Raw, System int64 // ns
	Rate        float64
}

// Command is what a client wants done to the system clock.
type Command struct {
	Rate float64 // total rate from now on, s/s
	Step int64   // added to the clock at once, ns
}

// Kiss is a kiss-o'-death: an answer that tells the client to behave.
type Kiss uint8

// The kisses.
const (
	NoKiss Kiss = iota
	KissRate
	KissDeny
)

// Adaptable is a client whose sources come and go and may send kisses.
type Adaptable interface {
	Join(source int)
	Leave(source int)
	Kissed(source int, kiss Kiss, raw int64)
}

// Deviator is a client that tells how uncertain it thinks it is, s.
type Deviator interface {
	Deviation(Reading) float64
}

// Client disciplines the simulated clock.
type Client interface {
	// Exchange hands over an answer.
	Exchange(Exchange)
	// Missed says that a request found no answer.
	Missed(source int, raw int64)
	// Tick is called once a second.
	Tick(Reading) Command
	// Interval returns the seconds from the request just sent to the next;
	// random is uniform in [0, 1).
	Interval(source int, random float64) float64
	// Suspended says that the base stood still for about lost seconds.
	Suspended(raw int64, lost float64)
	// Distance returns the bound that the client claims for its error, s,
	// and whether it claims to be synchronised at all.
	Distance(Reading) (bound float64, synchronised bool)
}
