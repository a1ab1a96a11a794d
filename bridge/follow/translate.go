package follow

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/config"
)

// This file translates what the configuration says of the clock.

var (
	authModes = map[string]discipline.AuthSelect{"mix": discipline.AuthMix, "require": discipline.AuthRequire,
		"prefer": discipline.AuthPrefer, "ignore": discipline.AuthIgnore}
	leapModes = map[string]clock.LeapMode{"system": clock.LeapSystem, "step": clock.LeapStep,
		"slew": clock.LeapSlew, "ignore": clock.LeapIgnore}
)

// driverConfig is what the driver of the clock gets.
func driverConfig(cfg *config.Config, precision int8) clock.DriverConfig {
	c := &cfg.Clock
	d := discipline.DefaultConfig()
	d.StepThreshold, d.StepUpdates = c.Step.Threshold.Seconds(), c.Step.Updates
	d.StepAnyTime, d.StepOut = c.Step.AnyTime, c.Step.Stepout.Seconds()
	d.Panic, d.PanicOnce = c.Panic.Seconds(), c.PanicOnce
	if c.Panic == 0 {
		d.Panic = (876000 * time.Hour).Seconds() // a century is no limit
	}
	d.MaxSlew, d.StartSlew = c.MaxSlewPPM*1e-6, c.StartSlewPPM*1e-6
	d.MaxDrift = c.MaxDriftPPM * 1e-6
	d.Selection = selection(c)
	d.Drift = c.DriftPPM * 1e-6
	d.MinDispersion = math.Ldexp(1, int(precision))
	out := clock.DriverConfig{Discipline: d, Precision: precision, Leap: leapModes[c.Leap.Mode],
		Fallback: clock.Fallback{Stratum: uint8(c.FallbackStratum), Orphan: c.Orphan, Distance: c.FallbackDistance,
			Activate: c.FallbackActivate, Wait: c.FallbackWait, WaitStart: c.FallbackWaitStart},
		PanicExit: c.PanicExit,
		MaxChange: clock.MaxChange{Offset: c.MaxChange.Seconds(), Start: max(1, c.Step.Updates), Ignore: -1},
	}
	return out
}

// validate says whether the discipline takes what the configuration says of
// the clock.
func validate(cfg *config.Config, precision int8) error {
	_, err := discipline.New(driverConfig(cfg, precision).Discipline)
	return err
}

// selection is the part of it that can change at any time.
func selection(c *config.Clock) discipline.Selection {
	return discipline.Selection{MaxDistance: c.MaxDistance.Seconds(), MinSources: c.MinSources, Mode: authModes[c.AuthSelect]}
}

// fixed is the part of a configuration that a driver keeps for its life, to be
// compared.
func fixed(cfg *config.Config, precision int8) string {
	d := driverConfig(cfg, precision)
	d.Discipline.Selection = discipline.Selection{}
	return fmt.Sprintf("%+v %s %d %s", d, cfg.Clock.Mode, cfg.Clock.NoCertTimeCheck, cfg.Clock.DriftFile)
}

// policyOf is what is served of a clock that another program steers.
func policyOf(c *config.Clock, precision int8) clock.Policy {
	p := clock.Policy{Mode: clock.Observe, Stratum: uint8(c.Stratum), Fallback: uint8(c.FallbackStratum), ReferenceID: uint32(c.RefID),
		MinDispersion: c.MinDispersion, MaxError: c.MaxError, Drift: c.DriftPPM * 1e-6, Precision: precision}
	if c.Mode == config.ClockLocal {
		p.Mode = clock.Local
	}
	return p
}

// clockLock returns the file that is locked by the daemon that steers the clock
// of this machine: as root one for all of them, whatever their directories are.
func clockLock(cfg *config.Config) string {
	if os.Geteuid() == 0 {
		return "/run/ntsbridge.clock.lock"
	}
	return filepath.Join(cfg.RunDir, "clock.lock")
}

// ownReference is what other servers call a clock that follows this host: of
// the first address that is not a loopback one.
func ownReference() uint32 {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return 0
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok && !addr.IsLoopback() && !addr.IsLinkLocalUnicast() {
				return clock.SourceInfo{Address: addr.Unmap()}.ReferenceID()
			}
		}
	}
	return 0
}

// seconds returns a duration of seconds as a number.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
