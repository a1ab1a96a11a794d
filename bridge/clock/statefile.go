package clock

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
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

// Believable tells whether a clock may be set to a time.
func Believable(t time.Time) bool { return !t.Before(leastTime) && !t.After(mostTime) }

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
		if !t.IsZero() && !Believable(*t) {
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
