package refclock

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/ntp"
)

// Driver is where readings come from.
type Driver uint8

// The drivers.
const (
	SHM  Driver = iota + 1 // shared memory of ntpd's driver 28
	SOCK                   // datagram socket of chrony's SOCK driver
	PPS                    // pulses stamped by the kernel
	PHC                    // PTP hardware clock
)

// String returns the driver's name in configuration files.
func (d Driver) String() string {
	switch d {
	case SHM:
		return "SHM"
	case SOCK:
		return "SOCK"
	case PPS:
		return "PPS"
	case PHC:
		return "PHC"
	}
	return "invalid"
}

// Limits of the options.
const (
	minPoll    = -6 // log2 s
	maxPoll    = 12
	maxUnit    = 255
	maxFilter  = 256
	maxRate    = 1000 // Hz
	maxStratum = 14
	maxLockAge = 1_000_000
)

// Defaults, chrony's where it has them.
const (
	defaultPoll       = 4
	defaultFilter     = 64
	defaultDelay      = time.Nanosecond
	defaultRate       = 1
	defaultMaxLockAge = 2
	leastLocalAge     = 3
)

// TAIUnknown says why a clock that keeps TAI gives no time, and what to do.
const TAIUnknown = "TAI-UTC is not known without a table of leap seconds, and the clock gives no time until there is one: " +
	"install tzdata, or name a table in clock.leap.file, with clock.leap.table auto"

// Config is a reference clock. DefaultConfig has the usual values; the zero
// value differs from it in Poll, where 0 is a choice: 1 s.
type Config struct {
	Driver Driver
	// Unit is SHM's, 0 to 255.
	Unit int
	// Path is SOCK's socket, PPS's or PHC's device, all from the root. For PHC
	// it may be a network interface instead, whose clock is taken.
	Path string
	// Perm is SHM's: what a segment is created with. A segment that others
	// may write although Perm says that they may not, or that belongs to
	// somebody else, is refused. Default: 0600 for units 0 and 1, 0666 for
	// the others, as ntpd and gpsd have it.
	Perm fs.FileMode
	// Clear takes the falling edge of PPS instead of the rising one.
	Clear bool
	// External reads the pulses that PHC stamps on one of its pins instead of
	// its time (chrony's extpps): on Channel, which Pin becomes the input of; a
	// pin below 0 is left as it is.
	External     bool
	Channel, Pin int
	// NoCrossTimestamps makes PHC not use precise cross timestamps.
	NoCrossTimestamps bool

	// RefID names the clock, one to four ASCII letters, digits or signs.
	// Default: three letters of the driver and a number, such as SHM0.
	RefID string
	// Stratum of the clock, 0 to 14.
	Stratum uint8
	// Poll is the interval of samples, log2 s, -6 to 12; DPoll that of
	// readings, -6 to Poll. SHM, SOCK and PPS are looked at more often, but
	// no more than one reading per DPoll is used (SOCK: all are).
	Poll, DPoll int8
	// Filter is how many readings a sample is made from at most, 1 to 256;
	// the newest count. Default: 64.
	Filter int
	// Offset is added to what the clock says: positive for one that is late.
	Offset time.Duration
	// Delay is the clock's root delay, the width of what is not known of
	// Offset. It does not change samples. Default: 1 ns.
	Delay time.Duration
	// Precision is the deviation of a reading. Default: 100 ns for PHC, 1 us
	// for the others.
	Precision time.Duration
	// MaxDispersion drops samples with a larger dispersion. 0: none.
	MaxDispersion time.Duration

	// Pulse takes only the part of the second from the clock, as from PPS
	// (chrony's pps).
	Pulse bool
	// Local says that the clock's time is anything, and only its rate counts
	// (chrony's local): of each reading the part of the second is taken, and
	// the clock's own readings before number it, as long as they are not older
	// than MaxLockAge, at least 3; else it starts anew.
	Local bool
	// TAI says that the clock keeps TAI. TAIOffset, required then, returns TAI
	// minus UTC at a Unix time in ns.
	TAI       bool
	TAIOffset func(unix int64) (offset time.Duration, ok bool)

	// Lock is the RefID of the clock that numbers the pulses of this one. See
	// Link. Default: System does.
	Lock string
	// MaxLockAge is how many pulses old the other clock's reading may be.
	// Default: 2.
	MaxLockAge int
	// Rate is the number of pulses per second, 1 to 1000. Default: 1. More
	// than one per second are used only with a negative DPoll.
	Rate int
	// Width is that of a pulse, to tell its edges apart where the device
	// stamps both. 0: it stamps one.
	Width time.Duration
	// System tells how good the system clock is. Required for pulses without
	// Lock.
	System func() SystemClock

	// OnSample gets each sample; OnMissed is called after a poll without one;
	// OnError is told of a device that fails, once per failure. All are called
	// by Run's goroutine and may be nil.
	OnSample func(Sample)
	OnMissed func()
	OnError  func(error)
}

// SystemClock is what is known of the system clock when it is to number
// pulses.
type SystemClock struct {
	Synchronised bool
	Offset       time.Duration // known error, to be added to the system clock
	Bound        time.Duration // of what remains
	Leap         ntp.Leap
}

// DefaultConfig returns the usual values for a driver.
func DefaultConfig(d Driver) Config {
	c := Config{Driver: d, Poll: defaultPoll}
	c.fill()
	return c
}

// fill sets what is not set.
func (c *Config) fill() {
	if c.Filter == 0 {
		c.Filter = defaultFilter
	}
	if c.Delay == 0 {
		c.Delay = defaultDelay
	}
	if c.Rate == 0 {
		c.Rate = defaultRate
	}
	if c.MaxLockAge == 0 {
		c.MaxLockAge = defaultMaxLockAge
	}
	if c.Precision == 0 {
		c.Precision = time.Microsecond
		if c.Driver == PHC {
			c.Precision = 100 * time.Nanosecond
		}
	}
	if c.Driver == PPS || c.External || c.Local {
		c.Pulse = true
	}
	if c.Local {
		c.MaxLockAge = max(c.MaxLockAge, leastLocalAge)
	}
}

// fillNames sets what depends on the unit and the path.
func (c *Config) fillNames() {
	if c.Driver == SHM && c.Perm == 0 {
		if c.Perm = 0o666; c.Unit < 2 {
			c.Perm = 0o600
		}
	}
	if c.RefID == "" {
		number := strconv.Itoa(c.Unit)
		if c.Driver != SHM {
			number = "0"
			if base := filepath.Base(c.Path); base != "" && base[len(base)-1] >= '0' && base[len(base)-1] <= '9' {
				number = base[len(base)-1:]
			}
		}
		c.RefID = (c.Driver.String()[:3] + number)
		if len(c.RefID) > 4 {
			c.RefID = c.RefID[:2] + c.RefID[len(c.RefID)-2:]
		}
	}
}

// name is the clock in texts.
func (c *Config) name() string {
	if c.Driver == SHM {
		return fmt.Sprintf("SHM %d", c.Unit)
	}
	return c.Driver.String() + " " + c.Path
}

// maxSocketPath is how long the name of a Unix socket may be.
const maxSocketPath = 107

// maxChannel bounds the channels and pins of a hardware clock.
const maxChannel = 255

func (c *Config) check() error {
	fail := func(field, format string, a ...any) error {
		return fmt.Errorf("refclock %s: %s: %s", c.name(), field, fmt.Sprintf(format, a...))
	}
	switch c.Driver {
	case SHM:
		if c.Unit < 0 || c.Unit > maxUnit {
			return fail("unit", "%d is not within 0 to %d; gpsd's first receiver is 0", c.Unit, maxUnit)
		}
		if c.Path != "" {
			return fail("path", "shared memory has none; set the unit")
		}
		if c.Perm&^0o777 != 0 || c.Perm&0o200 == 0 && c.Perm != 0 {
			return fail("perm", "%#o is not a mode that lets the owner write; set 0600 or 0666", uint32(c.Perm))
		}
	case SOCK:
		if !filepath.IsAbs(c.Path) || len(c.Path) > maxSocketPath {
			return fail("path", "a socket needs a path from the root of at most %d octets, such as /run/chrony.ttyS0.sock", maxSocketPath)
		}
	case PPS:
		if !filepath.IsAbs(c.Path) {
			return fail("path", "pulses need the path of a device, such as /dev/pps0")
		}
	case PHC:
		if c.Path == "" || strings.Contains(c.Path, "/") && !filepath.IsAbs(c.Path) {
			return fail("path", "a hardware clock needs the path of a device, such as /dev/ptp0, or the name of a network interface")
		}
	default:
		return fmt.Errorf("refclock: driver: %d is none; choose SHM, SOCK, PPS or PHC", c.Driver)
	}
	if c.External && c.Driver != PHC {
		return fail("external", "only PHC stamps the pulses of others; remove it")
	}
	if c.External && (c.Channel < 0 || c.Channel > maxChannel || c.Pin > maxChannel) {
		return fail("channel", "channel %d or pin %d is beyond %d", c.Channel, c.Pin, maxChannel)
	}
	if c.Clear && c.Driver != PPS && !c.External {
		return fail("clear", "only PPS has edges to choose from; remove it")
	}
	if c.NoCrossTimestamps && c.Driver != PHC {
		return fail("nocrossts", "only PHC has cross timestamps; remove it")
	}
	return c.checkOptions(fail)
}

func (c *Config) checkOptions(fail func(field, format string, a ...any) error) error {
	for _, b := range []byte(c.RefID) {
		if b <= ' ' || b > '~' {
			return fail("refid", "%q has other characters than printed ASCII", c.RefID)
		}
	}
	switch {
	case len(c.RefID) > 4:
		return fail("refid", "%q is longer than four characters; shorten it", c.RefID)
	case len(c.Lock) > 4:
		return fail("lock", "%q is longer than a refid may be, four characters", c.Lock)
	case c.Stratum > maxStratum:
		return fail("stratum", "%d is not within 0 to %d; 0 is a primary clock", c.Stratum, maxStratum)
	case c.Poll < minPoll || c.Poll > maxPoll:
		return fail("poll", "%d is not within %d to %d (log2 s); %d is usual", c.Poll, minPoll, maxPoll, defaultPoll)
	case c.DPoll < minPoll || c.DPoll > c.Poll:
		return fail("dpoll", "%d is not within %d and poll, %d: readings cannot be rarer than samples", c.DPoll, minPoll, c.Poll)
	case c.Filter < 1 || c.Filter > maxFilter:
		return fail("filter", "%d is not within 1 to %d readings", c.Filter, maxFilter)
	case c.Delay < 0 || c.Delay > 3*time.Second:
		return fail("delay", "%v is not within 0 to 3 s; a clock beyond is never selected", c.Delay)
	case c.Precision < 0 || c.Precision > time.Second:
		return fail("precision", "%v is not within 1 ns to 1 s", c.Precision)
	case c.MaxDispersion < 0:
		return fail("maxdispersion", "%v is negative; 0 is no limit", c.MaxDispersion)
	case c.Offset < -maxOffset || c.Offset > maxOffset:
		return fail("offset", "%v is more than a day; for TAI set tai", c.Offset)
	case c.Rate < 1 || c.Rate > maxRate:
		return fail("rate", "%d is not within 1 to %d Hz", c.Rate, maxRate)
	case c.MaxLockAge < 1 || c.MaxLockAge > maxLockAge:
		return fail("maxlockage", "%d is not within 1 to %d pulses", c.MaxLockAge, maxLockAge)
	case c.Width < 0 || c.Width >= c.period():
		return fail("width", "%v is not shorter than the %v between pulses", c.Width, c.period())
	case c.TAI && c.Pulse:
		return fail("tai", "pulses have no scale of time; remove tai or pps")
	case c.TAI && c.TAIOffset == nil:
		return fail("tai", "needs a table of leap seconds; configure one")
	}
	return c.checkPulses(fail)
}

// maxOffset is far beyond any cable and any line.
const maxOffset = 24 * time.Hour

func (c *Config) checkPulses(fail func(field, format string, a ...any) error) error {
	mayPulse := c.Pulse || c.Driver == SOCK
	switch {
	case c.Lock != "" && !mayPulse:
		return fail("lock", "only a clock of pulses is locked to another; set pps, or remove lock")
	case c.Lock != "" && c.Lock == c.RefID:
		return fail("lock", "%s is this clock itself; name the one that numbers the seconds", c.Lock)
	case c.Width > 0 && !mayPulse:
		return fail("width", "only pulses have a width; set pps, or remove width")
	case c.Local && c.Lock != "":
		return fail("lock", "a local clock numbers its seconds itself; remove lock, or local")
	case c.Pulse && c.Lock == "" && !c.Local && c.System == nil:
		return fail("lock", "nothing numbers the seconds of these pulses; lock them to the refid of another clock, or add a server")
	}
	return nil
}

// period is the time between pulses.
func (c *Config) period() time.Duration { return time.Second / time.Duration(c.Rate) }

// interval returns 2^exponent seconds.
func interval(exponent int8) time.Duration {
	if exponent < 0 {
		return time.Second >> -exponent
	}
	return time.Second << exponent
}
