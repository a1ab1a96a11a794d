package discipline

import (
	"errors"
	"fmt"
	"time"

	"ntsbridge/bridge/clock/schedule"
)

// Config is the discipline's policy. DefaultConfig has usual values.
type Config struct {
	// StepThreshold is the least offset that is stepped, s; 0: never step.
	StepThreshold float64
	// StepUpdates is how many first updates may step, 3 as in chrony's usual
	// "makestep 1 3".
	StepUpdates int
	// StepAnyTime allows steps later too, after the offset stood above the
	// threshold for StepOut, in at least three samples, of at least two
	// sources where three are followed.
	StepAnyTime bool
	// StepOut is ntpd's stepout threshold, s (300).
	StepOut float64
	// Panic is the offset above which the clock is left alone, s (1000).
	Panic float64
	// PanicOnce allows one larger step at the start, as ntpd's -g.
	PanicOnce bool
	// MaxSlew bounds the rate at which an offset is corrected, beside the
	// frequency, s/s (500e-6).
	MaxSlew float64
	// StartSlew bounds it until the first offset is corrected, and later where
	// the clock slept, somebody set it, or it is far off by the word of its
	// sources: then it is not called synchronised meanwhile. s/s; 0: MaxSlew.
	// Above 500e-6 it needs the kernel's tick; chrony's is 0.0833.
	StartSlew float64
	// MaxDrift bounds the frequency of the oscillator that is believed and
	// corrected, s/s (10e-3; chrony's maxdrift). Beyond 500e-6 the kernel's
	// tick does it. An oscillator beyond it is not called synchronised.
	MaxDrift float64
	// Selection may change while the discipline runs.
	Selection
	// MinDispersion is the least root dispersion served, s: the precision of
	// the clock and the time to read it (1e-6).
	MinDispersion float64
	// Drift is how fast the error is assumed to grow unseen, s/s: 15e-6, PHI
	// of RFC 5905.
	Drift float64
	// StampNoise is the deviation of our own timestamps, s (50e-9 for those
	// of the kernel; interrupts make them later, which the delay shows).
	StampNoise float64
	// PollGrowth is by which factor the error may grow between two polls
	// before an adaptive poll interval is too long: 1.28 for public servers,
	// 1.1 on one's own network.
	PollGrowth float64
	// ForeignTolerance is how far the system clock may be from where our
	// commands should have brought it within a second before somebody else is
	// suspected, s (50e-6: ten times what an interrupted reading costs).
	ForeignTolerance float64
}

// Selection is what is asked of sources before they are followed.
type Selection struct {
	// MaxDistance is the root distance above which a source is not used and
	// we do not call ourselves synchronised, s (3, as chrony's maxdistance).
	MaxDistance float64
	// MinSources is how many sources must agree, at least (1).
	MinSources int
	// Mode is what unauthenticated sources may do beside authenticated ones.
	Mode AuthSelect
}

// DefaultConfig returns the usual policy.
func DefaultConfig() Config {
	return Config{
		StepThreshold: 1, StepUpdates: 3, StepOut: 300, Panic: 1000,
		MaxSlew: 500e-6, MaxDrift: 10e-3, MinDispersion: 1e-6, Drift: 15e-6,
		StampNoise: 50e-9, PollGrowth: 1.28, ForeignTolerance: 50e-6,
		Selection: Selection{MaxDistance: 3, MinSources: 1},
	}
}

// maxTickRate is what the kernel's tick can do, s/s: 10 %. The frequency comes
// first, a slew has what is left.
const maxTickRate = 0.1

func (c *Config) check() error {
	for _, f := range []struct {
		name       string
		value      float64
		from, upTo float64
	}{
		{"StepThreshold", c.StepThreshold, 0, 1e9}, {"StepOut", c.StepOut, 0, 1e6},
		{"Panic", c.Panic, 1e-3, 1e10}, {"MaxSlew", c.MaxSlew, 1e-9, maxTickRate},
		{"StartSlew", c.StartSlew, 0, maxTickRate}, {"MaxDistance", c.MaxDistance, 1e-6, 16},
		{"MaxDrift", c.MaxDrift, 1e-6, maxTickRate / 2},
		{"MinDispersion", c.MinDispersion, 0, 16}, {"Drift", c.Drift, 1e-9, 1e-2},
		{"StampNoise", c.StampNoise, 1e-9, 1}, {"PollGrowth", c.PollGrowth, 1.001, 100},
		{"ForeignTolerance", c.ForeignTolerance, 1e-7, 1},
	} {
		if !(f.value >= f.from && f.value <= f.upTo) {
			return fmt.Errorf("discipline: %s is %g, wants %g to %g", f.name, f.value, f.from, f.upTo)
		}
	}
	if c.MinSources < 1 || c.StepUpdates < 0 || c.Mode > AuthIgnore {
		return errors.New("discipline: MinSources, StepUpdates or Mode out of range")
	}
	return nil
}

// AuthSelect is chrony's authselectmode: how authenticated and other servers
// are mixed. Reference clocks are neither: they never make a server of the
// network count for less, but where servers of both kinds are configured (none
// of them NoSelect) they stand on the side of the authenticated ones.
type AuthSelect uint8

// The modes.
const (
	// AuthMix is the default: where authenticated and other servers are
	// configured, the authenticated ones and reference clocks are trusted, and
	// one of these must agree, as if all had Trust and Require.
	AuthMix     AuthSelect = iota
	AuthRequire            // only authenticated servers, and reference clocks
	AuthPrefer             // others where no authenticated server is configured
	AuthIgnore
)

// SourceID names a source; the caller chooses.
type SourceID uint32

// SourceConfig is what is configured of a source.
type SourceConfig struct {
	MinPoll, MaxPoll int  // log2 s, -6 to 17
	Authenticated    bool // by NTS or a key; never Autokey, never a reference clock
	RefClock         bool // a clock at this machine
	Local            bool // one whose time is anything, and whose rate is better than the oscillator's: it keeps the clock's rate
	NoSelect         bool // measured only
	Prefer           bool // of those that agree, only preferred ones are used
	Trust            bool // those that disagree with it are wrong
	Require          bool // one of those required must agree
	// Offset is added to what the source says, Asymmetry is the known part of
	// the delay that belongs to the way back, -0.5 to 0.5 (chrony's
	// options).
	Offset    time.Duration
	Asymmetry float64
	// Noise is the deviation of the source's timestamps, s: 2^precision.
	Noise float64
}

// Limits of poll intervals, log2 s.
const (
	leastPoll = schedule.MinPoll
	mostPoll  = schedule.MaxPoll
)

func (c *SourceConfig) check() error {
	if c.MinPoll < leastPoll || c.MaxPoll > mostPoll || c.MinPoll > c.MaxPoll {
		return fmt.Errorf("discipline: poll interval from 2^%d to 2^%d s, wants 2^%d to 2^%d", c.MinPoll, c.MaxPoll, leastPoll, mostPoll)
	}
	if c.Local && !c.RefClock {
		return errors.New("discipline: only a reference clock keeps the rate of the clock")
	}
	if !(c.Asymmetry >= -0.5 && c.Asymmetry <= 0.5) || !(c.Noise >= 0 && c.Noise < 1) {
		return errors.New("discipline: asymmetry wants -0.5 to 0.5, noise 0 to 1 s")
	}
	return nil
}
