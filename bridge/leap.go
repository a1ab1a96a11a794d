package bridge

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/autokey"
	"ntsbridge/bridge/clock/leap"
	"ntsbridge/bridge/ntp"
)

var (
	smearShapes     = map[string]leap.Shape{"linear": leap.Linear, "cosine": leap.Cosine}
	smearPlacements = map[string]leap.Placement{"around": leap.Around, "before": leap.Before, "after": leap.After}
)

// buildLeap reads the table. A file that the configuration names must be
// good; one that is looked for need not be there.
func (p *parts) buildLeap(log hclog.Logger, now time.Time) error {
	c := &p.cfg.Clock.Leap
	l := &p.leaps
	l.Smear = leap.Smear{Interval: c.Smear, Shape: smearShapes[c.Shape], Placement: smearPlacements[c.Placement]}
	if err := l.Smear.Validate(); err != nil {
		return fmt.Errorf("clock.leap: %w", err)
	}
	if w := l.Smear.Warning(); w != "" {
		log.Warn("leap seconds are smeared", "warning", w)
	}
	if c.Table == "none" {
		return nil
	}
	l.Load = loadLeapTable(c.File)
	var err error
	if l.Table, err = l.Load(now); err != nil {
		if c.File != "" {
			return fmt.Errorf("clock.leap.file: %w", err)
		}
		log.Info("no table of leap seconds: a majority of the sources decides", "reason", err)
		return nil
	}
	if w := l.Table.Warning(now); w != "" {
		log.Warn("table of leap seconds", "file", l.Table.Source, "warning", w)
	}
	return nil
}

// loadLeapTable returns what reads the table from a file, or, without a name,
// looks for one.
func loadLeapTable(file string) func(time.Time) (*leap.Table, error) {
	return func(now time.Time) (*leap.Table, error) {
		if file != "" {
			return leap.Load(os.DirFS("/"), strings.TrimPrefix(file, "/"), leap.Options{})
		}
		return leap.Find(os.DirFS("/"), now)
	}
}

// leapExpiry is how long after the last leap second ntpd 4.2.8p15 says that
// its values are good, and leapWarning how long after the next one.
const (
	leapExpiry  = 25 * 24 * 3600
	leapWarning = 7 * 24 * 3600
)

// leapValues reads a leap-seconds.list (NIST and IERS form) and returns what
// ntpd would send of it at time now. A hash in the file must be right.
func leapValues(name string, text []byte, now time.Time) (v autokey.LeapValues, err error) {
	table, err := leap.Parse(name, text, leap.Options{})
	if err != nil {
		return v, err
	}
	for _, e := range table.Entries() {
		at := ntp.TimestampFromTime(e.At).Seconds()
		if e.At.After(now) {
			v.Expiry = at + leapWarning
			break
		}
		v = autokey.LeapValues{TAIOffset: uint32(e.TAI), LastLeap: at, Expiry: at + leapExpiry}
	}
	if v.LastLeap == 0 {
		return v, fmt.Errorf("leap second table %s: no leap second before now; is it the right file?", name)
	}
	return v, nil
}
