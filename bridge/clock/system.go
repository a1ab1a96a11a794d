package clock

import (
	"context"
	"errors"
	"time"

	"ntsbridge/bridge/ntp"
)

// ErrPrivilege says that the kernel does not let this process set the clock.
var ErrPrivilege = errors.New("may not set the system clock: run as root or with CAP_SYS_TIME " +
	"(unit file: AmbientCapabilities=CAP_SYS_TIME; container: --cap-add SYS_TIME), or set clock.mode: observe")

// Clocks are the kernel's clocks at one instant, ns, with what is in force.
type Clocks struct {
	Raw       int64   // CLOCK_MONOTONIC_RAW: nobody steers it; stands still in suspend
	System    int64   // CLOCK_REALTIME, Unix time
	Monotonic int64   // CLOCK_MONOTONIC: steered, never stepped; stands still in suspend
	Boot      int64   // CLOCK_BOOTTIME: as Monotonic, but counts time in suspend
	Spread    int64   // System belongs to Raw to within half of it
	Rate      float64 // correction in force, frequency and tick, s/s
	Kernel    Kernel
}

// Status is what the kernel is to say of the clock, adjtimex(2).
type Status struct {
	Synchronised bool          // STA_UNSYNC clear: the kernel copies the time to the RTC each 11 minutes
	Leap         ntp.Leap      // STA_INS or STA_DEL: at the end of this day, UTC
	MaxError     time.Duration // the kernel lets it grow by 500 ppm, and says unsynchronised at 16 s
	EstError     time.Duration
}

// System is the kernel's clock. Nothing in it is safe for concurrent use but
// Read.
type System interface {
	// Read reads all clocks.
	Read() (Clocks, error)
	// Reset turns the kernel's own loops off (STA_PLL, STA_FLL, PPS), forgets
	// what they and adjtime(3) still slew, and leaves the clock unsynchronised.
	Reset() error
	// SetRate sets the rate correction, s/s, -0.1 to 0.1.
	SetRate(rate float64) error
	// Step adds to the clock at once, ns. The kernel is unsynchronised after
	// it, and a pending leap second must be announced anew.
	Step(by int64) error
	// SetStatus says what other programs shall know.
	SetStatus(Status) error
	// SetTAI sets TAI-UTC, s.
	SetTAI(seconds int) error
	// Wait returns when Raw has reached at, or with the context's error.
	Wait(ctx context.Context, at int64) error
}
