package client

import (
	"fmt"
	"strconv"
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// clockLine is a line about a reference clock in the making.
type clockLine struct {
	strings.Builder
	c   *writer
	src *job.Source
}

// use notes the words of the server and fudge lines that were used.
func (l *clockLine) use(words ...string) {
	for _, s := range l.lines() {
		l.c.Ledger.Use(s, words...)
	}
}

func (l *clockLine) lines() []*syntax.Statement {
	return append([]*syntax.Statement{l.src.Line}, l.src.Refclock.Lines...)
}

// word adds a word with a value, if there is one, for the words of the input
// that it comes from.
func (l *clockLine) word(there bool, text string, from ...string) {
	if l.use(from...); there {
		l.WriteString(" " + text)
	}
}

// putClocks writes the lines about reference clocks, and says which words are
// lost. Clocks of one device are one.
func (c *writer) putClocks(t *clientText, m *clientModel, line func(*clockLine) string) {
	seen := make(map[string]bool)
	for _, src := range m.clocks {
		l := &clockLine{c: c, src: src}
		if src.Dead != "" {
			l.leaveOut("correct or delete the line", src.Dead)
			continue
		}
		device := line(l)
		if device == "" {
			continue
		}
		if seen[device] {
			c.Record(src.Line).Note(report.Dangerous, "clock-twice", "give each clock a unit of its own, and check with ntpshmmon",
				"%s is written above for another clock: this one is left out", device)
			continue
		}
		seen[device] = true
		t.put(l.lines(), "refclock", device+l.String())
		for _, s := range l.lines() {
			c.Lost(s, report.Approximated, job.NamedWords(s), c.Opt.Client.Format+" has no counterpart")
		}
	}
}

// shmOf returns the unit of shared memory with the time of a clock: that of the
// SHM driver, or that of gpsd for the drivers whose receivers it has to read.
func (l *clockLine) shmOf() (unit int, ok bool) {
	rc, r := l.src.Refclock, l.c.Record(l.src.Line)
	switch rc.Driver {
	case job.ShmDriver:
		return rc.Unit, true
	case job.NMEADriver, job.GpsdDriver:
		unit = l.c.GpsdUnit(l.src)
		if rc.Flags[1] == 1 && rc.Driver == job.NMEADriver || rc.Driver == job.GpsdDriver && rc.Unit >= 128 {
			unit++ // the pulse
		}
		r.Note(report.Approximated, "refclock-gpsd",
			fmt.Sprintf("run gpsd -n for the receiver, and check with ntpshmmon that unit %d comes", unit),
			"the receiver is read by gpsd, which passes its time on in shared memory, unit %d", unit)
		return unit, true
	}
	return 0, false
}

// offset returns the correction of a clock that is read through shared memory.
func (l *clockLine) offset() float64 {
	rc := l.src.Refclock
	if rc.Driver == job.NMEADriver && rc.Flags[1] != 1 || rc.Driver == job.GpsdDriver && rc.Unit < 128 {
		return rc.Time2
	}
	return rc.Time1
}

// offsetWord writes the correction of a clock, which is one of time1 and time2.
func (l *clockLine) offsetWord(name string) string {
	offset := l.offset()
	if offset == l.src.Refclock.Time1 {
		l.use("time1")
	}
	if offset == l.src.Refclock.Time2 {
		l.use("time2")
	}
	if offset == 0 {
		return ""
	}
	return fmt.Sprintf(" %s %g", name, offset)
}

// leaveOut tells of a clock that is not carried over, and of its fudge lines.
func (l *clockLine) leaveOut(do, why string) {
	rc, r := l.src.Refclock, l.c.Record(l.src.Line)
	l.c.Ledger.Tell(l.src.Line, job.FateSaid+"left-out", l.c.Words(l.src.Line)...)
	if rc.Driver == job.LocalDriver {
		r.Note(report.Changed, "local-clock", "", "a client does not follow its own clock")
	} else {
		r.Note(report.Unsupported, "refclock", do, "%s", why)
	}
	for _, s := range rc.Lines {
		if s == l.src.Line { // ntpsec has them on one line
			continue
		}
		l.c.Record(s).Note(report.Folded, "fudge-left-out", "", "the clock of line %d is left out", l.src.Line.Line)
	}
}

// chronyRefclock writes a line of chrony.conf; it returns driver and device.
func (c *writer) chronyRefclock(l *clockLine) string {
	rc, r := l.src.Refclock, c.Record(l.src.Line)
	if rc.Driver == 0 && len(l.src.Clocks) > 0 {
		return c.sameRefclock(l)
	}
	device := ""
	unit, shared := l.shmOf()
	switch {
	case shared:
		device = fmt.Sprintf("refclock SHM %d", unit)
		if rc.Time2 != 0 && rc.Driver == job.ShmDriver {
			r.Note(report.Approximated, "shm-time2", "", "a reference clock that is off by more than time2 (%g s) is judged by selection",
				rc.Time2)
		}
	case rc.Driver == job.PPSDriver:
		device = "refclock PPS " + l.pulse()
		if rc.Flags[2] == 1 {
			device += ":clear"
		}
		l.use("flag2")
	default:
		l.leaveOut("read the receiver with gpsd, through SHM", "chronyd has no driver for it")
		return ""
	}
	l.word(true, fmt.Sprintf("poll %d", min(l.src.MinPoll, 6)), "minpoll")
	if l.src.Line.Flag("maxpoll") && l.src.MaxPoll == l.src.MinPoll {
		l.use("maxpoll")
	}
	l.WriteString(l.offsetWord("offset"))
	l.word(rc.Refid != "" && spell.All(rc.Refid, spell.IsRefID), "refid "+rc.Refid, "refid")
	l.word(rc.Stratum > 0, fmt.Sprintf("stratum %d", rc.Stratum), "stratum")
	l.word(l.src.NoSelect, "noselect", "noselect")
	l.word(l.src.Prefer, "prefer", "prefer")
	l.word(l.src.Trusted, "trust", "true")
	return device
}

// sameRefclock takes a line of chrony.conf as it is.
func (c *writer) sameRefclock(l *clockLine) string {
	var words []string
	for _, o := range l.src.Line.Options {
		words = append(words, o.Text)
	}
	l.word(len(words) > 2, strings.Join(words[2:], " "), l.c.Words(l.src.Line)...)
	return "refclock " + strings.Join(words[:2], " ")
}

// pulse returns the device with the pulses of a second.
func (l *clockLine) pulse() string {
	if l.src.Refclock.Device != "" {
		return l.src.Refclock.Device
	}
	return "/dev/pps" + strconv.Itoa(l.src.Refclock.Unit)
}

// ntpsecRefclock writes a line of ntpsec's ntp.conf; it returns driver and unit.
// ntpsec 1.2.3 of Debian has no driver gpsd, and does not start with its name.
func (c *writer) ntpsecRefclock(l *clockLine) string {
	rc := l.src.Refclock
	if rc.Driver == 0 && len(l.src.Clocks) > 0 {
		return c.ntpsecOfChrony(l)
	}
	names := map[int]string{job.NMEADriver: "nmea", job.PPSDriver: "pps", job.ShmDriver: "shm", job.GpsdDriver: "shm"}
	name, unit := names[rc.Driver], rc.Unit
	if name == "" {
		l.leaveOut("take another daemon for it", "the reference clock is not carried over")
		return ""
	}
	if rc.Driver == job.GpsdDriver {
		unit, _ = l.shmOf()
	}
	device := fmt.Sprintf("refclock %s unit %d", name, unit)
	l.word(true, fmt.Sprintf("minpoll %d", l.src.MinPoll), "minpoll")
	l.word(l.src.Line.Flag("maxpoll"), fmt.Sprintf("maxpoll %d", l.src.MaxPoll), "maxpoll")
	if rc.Driver == job.GpsdDriver {
		l.WriteString(l.offsetWord("time1"))
	} else {
		l.word(rc.Time1 != 0, fmt.Sprintf("time1 %g", rc.Time1), "time1")
	}
	if rc.Driver != job.GpsdDriver {
		l.word(rc.Time2 != 0, fmt.Sprintf("time2 %g", rc.Time2), "time2")
	}
	l.word(rc.Refid != "" && spell.All(rc.Refid, spell.IsRefID), "refid "+rc.Refid, "refid")
	l.word(rc.Stratum >= 0, fmt.Sprintf("stratum %d", rc.Stratum), "stratum")
	for i := 1; i <= 4; i++ {
		l.word(rc.Flags[i] >= 0, fmt.Sprintf("flag%d %d", i, rc.Flags[i]), fmt.Sprintf("flag%d", i))
	}
	l.word(rc.Driver == job.NMEADriver && l.src.Mode >= 0, fmt.Sprintf("mode %d", l.src.Mode))
	if rc.Driver == job.NMEADriver && l.src.Mode >= 0 {
		l.use("mode")
	}
	l.word(l.src.Prefer, "prefer", "prefer")
	l.word(l.src.NoSelect, "noselect", "noselect")
	l.word(l.src.Trusted, "true", "true")
	return device
}

// ntpsecOfChrony writes a clock of chronyd's for ntpsec.
func (c *writer) ntpsecOfChrony(l *clockLine) string {
	clock, r := l.src.Clocks[0], c.Record(l.src.Line)
	device := ""
	switch pulse, numbered := strings.CutPrefix(clock.Device, "/dev/pps"); {
	case clock.Driver == config.DriverSHM:
		device = fmt.Sprintf("refclock shm unit %d", clock.Unit)
	case clock.Driver == config.DriverPPS && numbered:
		device = "refclock pps unit " + pulse
	default:
		r.Note(report.Unsupported, "refclock", "take another daemon for it", "the reference clock is not carried over")
		return ""
	}
	l.word(true, fmt.Sprintf("minpoll %d", max(clock.Poll, 3)), "poll")
	l.word(clock.Offset != 0, fmt.Sprintf("time1 %g", clock.Offset), "offset")
	l.word(clock.RefID != 0, "refid "+clock.RefID.String(), "refid")
	l.word(clock.Stratum != 0, fmt.Sprintf("stratum %d", clock.Stratum), "stratum")
	l.word(clock.Clear, "flag2 1", ":clear")
	l.word(clock.Prefer, "prefer", "prefer")
	l.word(clock.NoSelect, "noselect", "noselect")
	l.word(clock.Trust, "true", "trust")
	if clock.Lock != 0 {
		c.Lost(l.src.Line, report.Approximated, []string{"lock"}, "ntpsec numbers the pulses by the source that has prefer")
	}
	l.use("")
	c.Lost(l.src.Line, report.Approximated, c.Words(l.src.Line), "ntpsec has no counterpart")
	return device
}
