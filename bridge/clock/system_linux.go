package clock

import "errors"

// OpenSystem returns the kernel's clock, or ErrPrivilege if this process may
// not set it.
func OpenSystem() (System, error) { return nil, errors.New("not yet") }

// ReadOnlySystem returns the kernel's clock for a driver that only measures.
func ReadOnlySystem() System { return nil }
