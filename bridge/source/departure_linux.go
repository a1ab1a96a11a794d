package source

import (
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock/nic"
)

// hardwareWait is how long the timestamp of an interface may come after the
// answer.
const hardwareWait = time.Millisecond

// transmitted looks for the timestamp of a packet that was sent and, if there
// is no better one, waits for it. Older ones are thrown away.
func (s *socket) transmitted(d *departure, wait time.Duration) {
	if d.at.kind == StampHardware || d.at.kind == StampKernel && s.hardware == nil {
		return
	}
	_ = s.apply(func(fd int) error {
		for s.nextTransmitted(fd, d) {
		}
		if wait > 0 && s.hardware != nil && d.at.kind < StampHardware {
			ready := []unix.PollFd{{Fd: int32(fd)}} // only for the error queue
			if n, err := unix.Poll(ready, int(wait.Milliseconds())); n > 0 && err == nil {
				for s.nextTransmitted(fd, d) {
				}
			}
		}
		return nil
	})
}

// awaitTransmitted looks for the timestamp of a packet whose answer is here;
// interfaces may tell it a little later than that.
func (s *socket) awaitTransmitted(d *departure) { s.transmitted(d, hardwareWait) }

// nextTransmitted reads one message of the error queue and reports whether
// there was one.
func (s *socket) nextTransmitted(fd int, d *departure) bool {
	var oob [oobLen]byte
	_, n, _, _, err := unix.Recvmsg(fd, nil, oob[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return err == unix.EINTR
	}
	a := parseAncillary(oob[:n])
	if !a.isTransmit || a.number != d.number {
		return true
	}
	pair := s.clock.Pair()
	take := func(t stamp) {
		if t.kind > d.at.kind && t.raw >= d.before.Raw-int64(readingSlop) && t.raw <= pair.Raw+int64(readingSlop) {
			d.at = t
		}
	}
	if a.software != 0 {
		// The earlier reading is the nearer one, and on the same side of a step.
		take(stampAt(d.before, a.software, StampKernel))
	}
	if s.hardware != nil && a.hardware != 0 {
		if raw, ok := s.hardware.Convert(a.hardware); ok && nic.Left(raw, d.at.raw) {
			take(rawStamp(d.before, raw, StampHardware))
		}
	}
	return true
}
