package clock

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/statedir"
)

// Saved is what the state file keeps over a restart.
type Saved struct {
	Known        bool      // Frequency and Skew are
	Frequency    float64   // of the oscillator, s/s; positive: fast
	Skew         float64   // its deviation, s/s
	Weights      []float64 // of the discipline's hypotheses, log
	Kernel       float64   // rate correction in force, s/s
	At           time.Time // when it was saved, by the clock then
	Synchronised time.Time // when the clock was last known to be right: now is not before it
}

// stateFile is its form, JSON. Frequencies are in ppm, for people.
type stateFile struct {
	Version      int       `json:"version"`
	Frequency    *float64  `json:"frequency_ppm,omitempty"`
	Skew         float64   `json:"skew_ppm,omitempty"`
	Weights      []float64 `json:"weights,omitempty"`
	Kernel       float64   `json:"kernel_ppm"`
	At           time.Time `json:"saved"`
	Synchronised time.Time `json:"synchronised"`
}

const (
	stateVersion = 1
	// maxStateFile and maxDriftFile bound what is read, octets.
	maxStateFile = 1 << 16
	maxDriftFile = 1 << 10
	maxWeights   = 64
	// mostSkew bounds what is believed of a frequency's deviation, s/s.
	mostSkew = 1e-3
	// unknownAge is taken for the age of a state without a date.
	unknownAge = 30 * 24 * time.Hour
)

// Times outside are not believed: before NTP was, after which the discipline's
// times overflow.
var (
	leastTime = time.Date(1985, 1, 1, 0, 0, 0, 0, time.UTC)
	mostTime  = time.Date(2096, 1, 1, 0, 0, 0, 0, time.UTC)
)

// ReadState reads a state file. What is out of range is left out, and the
// error tells so; a file that is not there is fs.ErrNotExist.
func ReadState(path string) (Saved, error) {
	text, err := readSmall(path, maxStateFile)
	if err != nil {
		return Saved{}, err
	}
	s, err := parseState(text)
	if err != nil {
		err = fmt.Errorf("state file %s: %w; it is written anew within the hour", path, err)
	}
	return s, err
}

func readSmall(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s: longer than %d octets; is it the right file?", path, most)
	}
	return text, err
}

func parseState(text []byte) (s Saved, err error) {
	var f stateFile
	if err := json.Unmarshal(text, &f); err != nil {
		return s, err
	}
	if f.Version != stateVersion {
		return s, fmt.Errorf("version %d, wants %d", f.Version, stateVersion)
	}
	var left []error
	s.At, s.Synchronised = f.At, f.Synchronised
	for name, t := range map[string]*time.Time{"saved": &s.At, "synchronised": &s.Synchronised} {
		if !t.IsZero() && (t.Before(leastTime) || t.After(mostTime)) {
			left = append(left, fmt.Errorf("%s: %v is out of range", name, *t))
			*t = time.Time{}
		}
	}
	if f.Frequency != nil {
		s.Known, s.Frequency, s.Skew, s.Weights = true, *f.Frequency*1e-6, f.Skew*1e-6, f.Weights
		if err := checkFrequency(s.Frequency, s.Skew); err != nil {
			left = append(left, err)
			s.Known, s.Frequency, s.Skew, s.Weights = false, 0, 0, nil
		}
	}
	if err := checkWeights(s.Weights); err != nil {
		left = append(left, err)
		s.Weights = nil
	}
	if s.Kernel = f.Kernel * 1e-6; math.Abs(s.Kernel) > maxRate {
		left = append(left, fmt.Errorf("kernel_ppm: %g is out of range", f.Kernel))
		s.Kernel = 0
	}
	return s, errors.Join(left...)
}

func checkFrequency(frequency, skew float64) error {
	if !(math.Abs(frequency) <= maxFrequency) {
		return fmt.Errorf("frequency %.6g ppm is out of range, -500 to 500", frequency*1e6)
	}
	if !(skew >= 0 && skew <= mostSkew) {
		return fmt.Errorf("skew %.6g ppm is out of range, 0 to 1000", skew*1e6)
	}
	return nil
}

func checkWeights(weights []float64) error {
	if len(weights) > maxWeights {
		return fmt.Errorf("%d weights", len(weights))
	}
	for _, w := range weights {
		if !(w <= 0 && w >= -1e6) {
			return fmt.Errorf("weight %g is out of range", w)
		}
	}
	return nil
}

func (s *Saved) format() []byte {
	f := stateFile{Version: stateVersion, Kernel: s.Kernel * 1e6, At: s.At, Synchronised: s.Synchronised}
	if s.Known {
		ppm := s.Frequency * 1e6
		f.Frequency, f.Skew, f.Weights = &ppm, s.Skew*1e6, s.Weights
	}
	text, err := json.MarshalIndent(&f, "", "  ")
	if err != nil {
		return nil // no number: nothing to keep
	}
	return append(text, '\n')
}

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
	ok := d.d.Restore(discipline.Saved{Frequency: s.Frequency, Variance: s.Skew * s.Skew, Weights: s.Weights, At: s.At.UnixNano()}, c.System)
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

// saver writes files beside the ticks: a disk may take seconds.
type saver struct {
	work chan Saved
	done chan struct{}
}

func startSaver(c *DriverConfig, log hclog.Logger) *saver {
	s := &saver{make(chan Saved, 1), make(chan struct{})}
	go func() {
		defer close(s.done)
		for w := range s.work {
			if err := writeSaved(c, &w); err != nil {
				log.Error("state of the clock is not saved", "error", err)
			}
		}
	}()
	return s
}

// save replaces what waits to be written.
func (s *saver) save(w Saved) {
	select {
	case <-s.work:
	default:
	}
	s.work <- w
}

func (s *saver) finish() {
	close(s.work)
	<-s.done
}

func writeSaved(c *DriverConfig, s *Saved) error {
	var err error
	if text := s.format(); c.StateFile != "" && text != nil {
		err = statedir.Write(c.StateFile, text, 0o644)
	}
	if c.DriftFile != "" && s.Known {
		err = errors.Join(err, writeDriftFile(c.DriftFile, c.DriftForm, drift{frequency: s.Frequency, skew: s.Skew}))
	}
	return err
}
