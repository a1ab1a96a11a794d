package control

import (
	"time"
)

// ntpdMinPoll is the least poll interval of ntpd, log2 seconds.
const ntpdMinPoll = 3

// systemPeer returns the association that the clock follows, nil: none.
func systemPeer(list []Association) *Association {
	for i := range list {
		if s := list[i].Status.Selection; s == SelectSystemPeer || s == SelectPPSPeer {
			return &list[i]
		}
	}
	return nil
}

func (a *Association) clockSource() ClockSource {
	switch {
	case a.System != 0:
		return a.System
	case a.Status.Selection == SelectPPSPeer:
		return SourcePPS
	case a.ReferenceClock:
		return SourceUHF
	}
	return SourceNTP
}

// discipline returns ntpd's words for a report. Its signs are the other way
// round: it shows what has to be done to the clock, chrony what is wrong with
// it. As clk_jitter it shows the mean square of the offsets at updates, which
// is chrony's RMS offset; as sys_jitter the same until there is a system peer.
func (t *Tracking) discipline() *Discipline {
	rms := fromSeconds(t.RMSOffset)
	return &Discipline{
		TimeConstant: uint8(min(max(t.Poll, 0), 17)),
		Offset:       fromSeconds(0 - t.SystemOffset), Frequency: 0 - t.Frequency, Wander: t.Skew,
		SystemJitter: rms, ClockJitter: rms,
	}
}

// fromSeconds returns a duration; what is too large becomes the largest.
func fromSeconds(s float64) time.Duration {
	const limit = float64(1 << 62)
	return time.Duration(min(max(s*1e9, -limit), limit))
}
