package clock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
)

// ReadKernel asks the kernel for its clock's state. It changes nothing and
// needs no privilege.
func ReadKernel() (Kernel, error) {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	if err != nil {
		return Kernel{}, fmt.Errorf("adjtimex: %w", err)
	}
	return kernelOf(state, &tx), nil
}

// ownLoops are the kernel's own ways of steering the clock.
const ownLoops = unix.STA_PLL | unix.STA_FLL | unix.STA_PPSFREQ | unix.STA_PPSTIME

// kernelOf reads adjtimex's answer.
func kernelOf(state int, tx *unix.Timex) Kernel {
	k := Kernel{
		Synchronised: tx.Status&unix.STA_UNSYNC == 0 && state != unix.TIME_ERROR,
		MaxError:     time.Duration(tx.Maxerror) * time.Microsecond,
		EstError:     time.Duration(tx.Esterror) * time.Microsecond,
		TAI:          int(tx.Tai),
		Loop:         tx.Status&ownLoops != 0,
		LeapOver:     state == unix.TIME_OOP || state == unix.TIME_WAIT,
	}
	switch {
	case tx.Status&unix.STA_INS != 0:
		k.Leap = ntp.LeapInsert
	case tx.Status&unix.STA_DEL != 0:
		k.Leap = ntp.LeapDelete
	}
	return k
}
