package clock

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ntsbridge/bridge/statedir"
)

// DriftForm is the form of a drift file.
type DriftForm uint8

// The forms.
const (
	DriftNTP    DriftForm = iota // ntpd's and ntpsec's: the correction in ppm, positive for a slow oscillator
	DriftChrony                  // chrony's: the oscillator's frequency, positive for a fast one, and its skew, in ppm
)

// drift is what a drift file says.
type drift struct {
	form      DriftForm
	frequency float64 // of the oscillator, s/s; positive: fast
	skew      float64 // s/s
}

// ntpSkew is what is assumed of ntpd's drift file, s/s: it does not say.
const ntpSkew = 1e-6

func readDriftFile(path string) (drift, error) {
	text, err := readSmall(path, maxDriftFile)
	if err != nil {
		return drift{}, err
	}
	f, err := parseDrift(string(text))
	if err != nil {
		err = fmt.Errorf("drift file %s: %w", path, err)
	}
	return f, err
}

// parseDrift tells the forms apart by the number of numbers. Some versions of
// ntpd write more lines: only the first counts.
func parseDrift(text string) (f drift, err error) {
	line, _, _ := strings.Cut(strings.TrimLeft(text, " \t\r\n"), "\n")
	fields := strings.Fields(line)
	var n [2]float64
	if len(fields) == 0 {
		return f, errors.New("empty; remove it")
	}
	for i := range min(len(fields), len(n)) {
		if n[i], err = strconv.ParseFloat(fields[i], 64); err != nil {
			return f, errors.New("wants one number, as ntpd writes, or two, as chronyd does")
		}
	}
	f = drift{DriftNTP, -n[0] * 1e-6, ntpSkew}
	if len(fields) > 1 {
		f = drift{DriftChrony, n[0] * 1e-6, n[1] * 1e-6}
	}
	return f, checkFrequency(f.frequency, f.skew)
}

func (f drift) String() string {
	if f.form == DriftChrony {
		return fmt.Sprintf("%20.6f %20.6f\n", f.frequency*1e6, f.skew*1e6)
	}
	return fmt.Sprintf("%.3f\n", -f.frequency*1e6)
}

// writeDriftFile keeps the form of a file that is there, so that its program
// can come back.
func writeDriftFile(path string, form DriftForm, f drift) error {
	f.form = form
	if old, err := readDriftFile(path); err == nil {
		f.form = old.form
	}
	return statedir.Write(path, []byte(f.String()), 0o644)
}
