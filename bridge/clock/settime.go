package clock

import (
	"errors"
	"fmt"
	"time"
)

// ErrHasSources says that the clock is not to be set by hand.
var ErrHasSources = errors.New("the clock follows its sources; take them offline before you set it by hand")

// ErrNotByHand is ErrMeasureOnly with what an operator who sets the clock needs.
var ErrNotByHand = fmt.Errorf("%w; for one that is set by hand, without sources, write clock.mode: discipline and clock.fallback_stratum",
	ErrMeasureOnly)

// SetTime sets the clock to what an operator says, within a second (chronyc's
// settime). While sources are followed that is refused: they would take it
// back.
func (d *Driver) SetTime(to time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.config.Measure:
		return ErrNotByHand
	case d.synced:
		return ErrHasSources
	case !Believable(to):
		return errors.New("a time outside of what is believed, 1985 to 2096")
	}
	c, err := d.system.Read()
	if err != nil {
		return err
	}
	d.setBy = to.UnixNano() - c.System
	return nil
}

// setByHand does what SetTime was told.
func (d *Driver) setByHand(c *Clocks) error {
	d.mu.Lock()
	by := d.setBy
	d.setBy = 0
	if by != 0 {
		d.foreign.expected = float64(by) / 1e9
	}
	d.mu.Unlock()
	if by == 0 {
		return nil
	}
	d.log.Warn("the system clock is set by hand", "seconds", float64(by)/1e9)
	_, err := d.step(c, by)
	return err
}
