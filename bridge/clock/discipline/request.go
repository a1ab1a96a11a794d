package discipline

import "errors"

// ErrNothingToStep says that MakeStep has no offset to correct.
var ErrNothingToStep = errors.New("the offset of the clock is not known yet, or beyond the panic threshold")

// MakeStep makes the next Tick step the offset away, whatever its size and
// whatever the policy says of steps, but for the panic threshold (chronyc's
// makestep).
func (d *Discipline) MakeStep() error {
	if !d.started || len(d.selected) == 0 || d.panicked {
		return ErrNothingToStep
	}
	d.stepAsked = true
	return nil
}

// SetSelection changes what is asked of sources, from the next tick or sample
// on. What is out of range, which Config's check refuses, changes nothing.
func (d *Discipline) SetSelection(s Selection) error {
	next := d.config
	next.Selection = s
	if err := next.check(); err != nil {
		return err
	}
	d.config = next
	return nil
}
