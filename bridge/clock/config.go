package clock

import (
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/ntp"
)

// Errors that end Run.
var (
	// ErrPanic says that the clock is off by more than the panic threshold.
	ErrPanic = errors.New("the clock is off by more than the panic threshold")
	// ErrMaxChange says that sources ask for more than MaxChange allows.
	ErrMaxChange = errors.New("sources ask for a larger change of the clock than clock.max_change allows")
)

// DriverConfig is what a Driver needs.
type DriverConfig struct {
	System     System            // OpenSystem's; with Measure, ReadOnlySystem's will do
	Discipline discipline.Config // policy: steps, slews, selection
	Precision  int8              // log2 s, see MeasurePrecision
	Logger     hclog.Logger      // nil: silent

	StateFile string    // our own, "" for none: frequency, time of the last synchronisation
	DriftFile string    // ntpd's or chrony's, read when there is no state, written along; "" for none
	DriftForm DriftForm // of a new drift file; an existing one keeps its form
	LockFile  string    // held while the clock is ours, "" for none

	Leap LeapMode
	// LeapTable says what leap second comes at the end of a month, and
	// TAI-UTC in s during it (0: unknown); known is false for months that no
	// valid table covers. A table wins over what sources announce. May be nil.
	LeapTable func(month time.Time) (leap ntp.Leap, tai int, known bool)

	Fallback  Fallback
	MaxChange MaxChange
	// PanicExit ends Run with ErrPanic at an offset beyond the panic
	// threshold, as ntpd exits; else the clock is left alone, unsynchronised.
	PanicExit bool
	// Floor is a time that is past for certain; zero: none is known. A clock
	// before it, of a machine without one that runs on, is set by its sources
	// in one step at the start, whatever the panic threshold and the policy of
	// steps say, and is not served as a fallback before that.
	Floor time.Time
	// Measure follows sources and serves, but never touches the clock, as
	// chronyd -x: without privilege, or with --no-clock. The error that
	// nobody corrects shows in the root dispersion.
	Measure bool

	// Pauses show that the machine stood still where its clocks do not;
	// usually PauseSigns. May be nil.
	Pauses []PauseSign
	// Suspect names the program that may be steering our clock, for the
	// alarm; usually OtherDaemon. It must not call the driver. May be nil.
	Suspect func() error
	// OnState is called with each new state to be served, about once a
	// second; OnStep after the system clock jumped by so much, whoever did
	// it: who holds timestamps of it must forget them. Both are called
	// without locks held, by Run's goroutine. May be nil.
	OnState func(*ntp.ClockState)
	OnStep  func(by time.Duration)
	// OnDoubt is called when nothing is synchronised until sources have
	// answered anew, after a suspend or a pause: ask them at once. As OnStep.
	OnDoubt func()
}

// LeapMode is how a leap second gets into the system clock (chrony's
// leapsecmode).
type LeapMode uint8

// The modes.
const (
	LeapSystem LeapMode = iota // the kernel inserts it
	LeapStep                   // we step the clock
	LeapSlew                   // the clock is slewed, from the leap second on
	LeapIgnore                 // nothing is done: measurements correct the clock later, unsynchronised till then
)

// Fallback is what is served while no source is there, chrony's local
// directive and ntpd's orphan mode.
type Fallback struct {
	Stratum uint8 // 1 to 15; 0: none, the alarm is served
	// Distance is the root distance that a synchronised clock must have
	// reached before; 0: 1 s, as in chrony.
	Distance time.Duration
	// Activate is a root distance that the clock must have come below once
	// before; 0: a clock that was never synchronised is served too.
	Activate time.Duration
	// Wait is how long sources must have been gone; WaitStart the same while
	// the clock was never synchronised since the start.
	Wait, WaitStart time.Duration
	// Orphan ignores sources of this stratum, which have no real time either,
	// unless no other is there and theirs is a smaller reference identifier
	// than ReferenceID: all such servers follow one of them.
	Orphan      bool
	ReferenceID uint32 // ours among orphans: of our address
}

// MaxChange is chrony's maxchange: after Start updates an offset above Offset
// is refused; after it was refused more than Ignore times Run ends with
// ErrMaxChange.
type MaxChange struct {
	Offset float64 // s; 0: no limit
	Start  int     // updates without limit
	Ignore int     // negative: never end
}
