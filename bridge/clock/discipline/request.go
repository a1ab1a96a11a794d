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

// SetMinSources changes how many sources must agree, at least 1.
func (d *Discipline) SetMinSources(n int) { d.config.MinSources = max(n, 1) }
