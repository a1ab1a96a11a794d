package clock

import (
	"os"
	"strings"
	"testing"

	"ntsbridge/bridge/statedir/smalldisk"
)

// On a full or read-only disk what is known of the clock is not saved, the error
// says what to do, and what was saved before is there still.
func TestSavedOnABadDisk(t *testing.T) {
	d := smalldisk.New(t)
	c := &DriverConfig{StateFile: d.Path("clock.json"), DriftFile: d.Path("drift")}
	saved := func(ppm float64) *Saved {
		s := goodState()
		s.Frequency = ppm * 1e-6
		return &s
	}
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if err := writeSaved(c, saved(1)); err != nil {
		t.Fatal(err)
	}
	state, drift := read(c.StateFile), read(c.DriftFile)
	bad := func(want string) {
		t.Helper()
		err := writeSaved(c, saved(2))
		if err == nil || strings.Count(err.Error(), want) != 2 || !strings.Contains(err.Error(), c.StateFile) ||
			!strings.Contains(err.Error(), c.DriftFile) {
			t.Errorf("%v, want %q for each file", err, want)
		}
		if read(c.StateFile) != state || read(c.DriftFile) != drift {
			t.Error("a file was changed")
		}
		d.Whole()
	}
	d.Fill(0)
	bad("make room")
	d.ReadOnly(true)
	bad("remount,rw")
	d.ReadOnly(false)
	d.Empty()
	if err := writeSaved(c, saved(2)); err != nil || read(c.StateFile) == state || read(c.DriftFile) == drift {
		t.Errorf("with room again: %v", err)
	}
}
