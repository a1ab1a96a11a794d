package clock

import "math"

// A machine that a hypervisor pauses, moves or restores from a snapshot loses
// time that none of its own clocks shows: all of them stand still. Something
// else may show it.

// PauseSign is something that goes on while the machine stands still, or that
// the host says of it. It is a reason to doubt and to ask; what the time is the
// sources say.
type PauseSign interface {
	// Pause returns how much time was perhaps lost since the last call, s; 0:
	// none, or none that it shows. The first call only begins. raw is
	// CLOCK_MONOTONIC_RAW, ns.
	Pause(raw int64) float64
	// String names it for the log.
	String() string
}

// leastPause is the shortest pause that is told from noise, s.
const leastPause = 0.1

// paused asks all signs.
func (d *Driver) paused(c *Clocks) (lost float64) {
	for _, sign := range d.config.Pauses {
		if by := sign.Pause(c.Raw); by != 0 {
			lost = max(lost, math.Abs(by))
			d.log.Warn("the machine was paused or moved, which its clocks do not show", "sign", sign.String(), "seconds", by)
		}
	}
	return lost
}

// stolenTime is the processors' time that the hypervisor gave to others
// (/proc/stat, steal). Each of n processors can lose no more than the time that
// passed: what is more was stolen while the clocks stood still.
type stolenTime struct {
	read func() (seconds float64, processors int, ok bool)
	last struct {
		raw        int64
		stolen     float64
		processors int
	}
}

func (s *stolenTime) String() string { return "steal time" }

// Pause implements PauseSign.
func (s *stolenTime) Pause(raw int64) (lost float64) {
	stolen, n, ok := s.read()
	if !ok || n < 1 {
		return 0
	}
	was := s.last
	s.last.raw, s.last.stolen, s.last.processors = raw, stolen, n
	if was.processors != n { // the first call, or one was plugged in
		return 0
	}
	if lost = (stolen-was.stolen)/float64(n) - float64(raw-was.raw)/1e9; lost < leastPause {
		return 0
	}
	return lost
}

// disruption is a number that the hypervisor changes when it has moved or
// restored the machine (vmclock's disruption_marker). For how long it stood
// still the number does not say.
type disruption struct {
	read func() (marker uint64, ok bool)
	last uint64
	set  bool
}

func (s *disruption) String() string { return "vmclock" }

// unknownPause is how uncertain the time is after a disruption, s.
const unknownPause = 1.0

// Pause implements PauseSign.
func (s *disruption) Pause(int64) float64 {
	marker, ok := s.read()
	if !ok {
		return 0
	}
	moved := s.set && marker != s.last
	s.last, s.set = marker, true
	if moved {
		return unknownPause
	}
	return 0
}

// hostClock is the host's clock (ptp_kvm), which goes on. It may be stepped,
// too.
type hostClock struct {
	read func() (ns int64, ok bool)
	last struct {
		raw, host int64
		set       bool
	}
}

func (s *hostClock) String() string { return "ptp_kvm" }

// Pause implements PauseSign.
func (s *hostClock) Pause(raw int64) float64 {
	host, ok := s.read()
	if !ok {
		return 0
	}
	was := s.last
	s.last.raw, s.last.host, s.last.set = raw, host, true
	if !was.set {
		return 0
	}
	passed := float64(raw-was.raw) / 1e9
	lost := float64(host-was.host)/1e9 - passed
	if math.Abs(lost) < leastPause+1e-3*passed {
		return 0
	}
	return lost
}
