package clock

import (
	"errors"
	"io/fs"
	"math"
	"time"

	"ntsbridge/bridge/clock/discipline"
)

// restore reads what the last run, or the last daemon, knew.
func (d *Driver) restore(c Clocks) {
	if d.config.StateFile != "" {
		var err error
		d.saved, err = ReadState(d.config.StateFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			d.log.Warn("state of the clock is not used", "error", err)
		}
	}
	s := d.saved
	from := d.config.StateFile
	if !s.Known && d.config.DriftFile != "" {
		from = d.config.DriftFile
		if drift, err := readDriftFile(from); err == nil {
			s.Known, s.Frequency, s.Skew, s.At = true, drift.frequency, drift.skew, time.Unix(0, c.System)
		} else if !errors.Is(err, fs.ErrNotExist) {
			d.log.Warn("drift file is not used", "error", err)
		}
	}
	if !s.Known {
		return
	}
	if s.At.IsZero() {
		s.At = time.Unix(0, c.System).Add(-unknownAge)
	}
	ok := d.d.Restore(discipline.Saved{Frequency: s.Frequency, Variance: s.Skew * s.Skew, Weights: s.Weights, At: s.At.UnixNano()},
		c.System)
	if ok {
		d.log.Info("the clock starts with the frequency of the last run", "ppm", s.Frequency*1e6, "skew_ppm", s.Skew*1e6, "file", from)
	}
}

// When the state is saved: soon after the first synchronisation, then hourly.
const (
	firstSave = int64(60e9)
	nextSave  = int64(3600e9)
)

// keep saves when it is time.
func (d *Driver) keep(c Clocks, synced bool) {
	if synced {
		d.saved.Synchronised = time.Unix(0, c.System).UTC()
		if !d.once {
			d.once, d.saveAt = true, c.Raw+firstSave
		}
	}
	if d.once && c.Raw >= d.saveAt {
		d.saveAt = c.Raw + nextSave
		d.save(c)
	}
}

// save hands what is known now to the saver.
func (d *Driver) save(c Clocks) {
	if !d.once {
		return // the last run's is better
	}
	if s, known := d.d.Save(readingOf(c)); known {
		skew := math.Sqrt(s.Variance)
		if checkFrequency(s.Frequency, skew) == nil {
			d.saved.Known, d.saved.Frequency, d.saved.Skew, d.saved.Weights = true, s.Frequency, skew, nil
			if checkWeights(s.Weights) == nil {
				d.saved.Weights = s.Weights
			}
		}
	}
	d.saved.At, d.saved.Kernel = time.Unix(0, c.System).UTC(), c.Rate
	d.saver.save(d.saved)
}
