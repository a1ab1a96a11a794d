package refclock

import "errors"

// driver is a device. Its methods are called by one goroutine.
type driver interface {
	// open makes the device ready. It may be called again after close.
	open() error
	// read appends what came since the last call, without waiting. An error
	// means that the device is to be closed and opened again.
	read(dst []stamp) ([]stamp, error)
	// close lets the device go. It may be called when not open.
	close()
}

// errGone says that what was opened is no longer what others find under its
// name.
var errGone = errors.New("it was removed or replaced; opening it anew")

// audit is after how many reads a driver looks whether its name still leads to
// what it opened: 8 s as SHM and SOCK are read.
const audit = 64

// newDriver returns the device of a configuration.
func newDriver(c *Config) driver {
	switch c.Driver {
	case SHM:
		return &shmDriver{unit: c.Unit, perm: uint32(c.Perm)}
	case SOCK:
		return &sockDriver{path: c.Path}
	case PPS:
		return &ppsDriver{clear: c.Clear, access: func() (ppsDevice, error) { return openPPS(c.Path) }}
	default:
		if c.External {
			return &externalDriver{phc: phcDriver{cross: !c.NoCrossTimestamps}, channel: c.Channel, pin: c.Pin, clear: c.Clear,
				access: func() (externalDevice, error) { return openExternal(c.Path) }}
		}
		return &phcDriver{cross: !c.NoCrossTimestamps, access: func() (phcDevice, error) { return openPHC(c.Path) }}
	}
}
