package bridge

import (
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"ntsbridge/autokey"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
)

// buildQuery makes what answers ntpq. It goes last: it shows the other parts.
func (p *parts) buildQuery(hclog.Logger, time.Time) (err error) {
	l := &control.LocalSource{Version: "ntsbridge", ClockSource: control.SourceOther, Leap: p.leap, Autokey: p.shown}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		l.Processor = unix.ByteSliceToString(u.Machine[:])
		l.OS = unix.ByteSliceToString(u.Sysname[:]) + "/" + unix.ByteSliceToString(u.Release[:])
	}
	if p.cfg.Clock.Mode == config.ClockLocal {
		l.ClockSource, l.ReferenceClock = control.SourceLocal, true
	}
	p.local = l
	p.state.Query, err = control.NewQueries(l)
	return err
}

// leapTable is what ntpq shows of a leap-seconds.list; the end of its validity
// is on a line of its own, "#@" and NTP seconds.
func leapTable(v autokey.LeapValues, text []byte) control.LeapTable {
	t := control.LeapTable{TAI: v.TAIOffset, Last: v.LastLeap}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "#@"); ok {
			if at, err := strconv.ParseUint(strings.TrimSpace(rest), 10, 32); err == nil {
				t.Expire = uint32(at)
			}
			break
		}
	}
	return t
}
