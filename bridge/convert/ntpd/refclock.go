package ntpd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// ntpsecRefclock reads ntpsec's form of a reference clock.
func (c *reader) ntpsecRefclock(s *syntax.Statement) *job.Source {
	src := c.sourceOf(s)
	rc := &job.Refclock{Stratum: -1, Flags: [5]int{-1, -1, -1, -1, -1}, Name: strings.ToUpper(s.Address)}
	for i, name := range drivers {
		if i > 0 && strings.HasPrefix(name, strings.ToUpper(s.Address)) && rc.Driver == 0 {
			rc.Driver = i
		}
	}
	if o, ok := s.Last("unit"); ok {
		rc.Unit = int(min(max(o.Int, 0), 255))
	}
	rc.Device = s.Value("path")
	if device := s.Value("ppspath"); device != "" && rc.Driver == job.PPSDriver {
		rc.Device = device
	}
	if !spell.PlainPath(rc.Device) {
		rc.Device = ""
	}
	rc.Fudge(s)
	src.Kind, src.Refclock = "refclock", rc
	return src
}

// newRefclock reads the address 127.127.DRIVER.UNIT.
func newRefclock(s *syntax.Statement) *job.Refclock {
	rc := &job.Refclock{Stratum: -1, Flags: [5]int{-1, -1, -1, -1, -1}}
	parts := strings.Split(s.Address, ".")
	if len(parts) == 4 {
		rc.Driver, _ = strconv.Atoi(parts[2])
		rc.Unit, _ = strconv.Atoi(parts[3])
	}
	if rc.Driver > 0 && rc.Driver < len(drivers) {
		rc.Name = drivers[rc.Driver]
	}
	return rc
}

// fudges puts fudge lines to their reference clocks.
func (c *reader) fudges() {
	clocks := make(map[string]*job.Refclock)
	for _, src := range c.Model.Sources {
		clocks[src.Address] = src.Refclock
	}
	for _, s := range c.All("fudge") {
		r := c.Record(s)
		if s.Flag("abbrev") {
			r.Note(report.Error, "fudge-abbrev", "delete the word", "ntpd exits on fudge abbrev")
		}
		if !s.Refclock() {
			r.Note(report.Error, "fudge-address", "delete the line", "%s is no reference clock: ntpd ignores the line",
				spell.Printable(s.Address))
			continue
		}
		rc := clocks[s.Address]
		if rc == nil {
			r.Note(report.Obsolete, "fudge-unused", "delete the line", "no server line has this reference clock: ntpd does nothing")
			continue
		}
		rc.Fudge(s)
		if rc.Driver == job.LocalDriver {
			c.Model.LocalLines = append(c.Model.LocalLines, s)
		}
	}
}

// drivers are the names of ntpd's reference clock drivers by number.
var drivers = strings.Split("|LOCAL|GPS_TRAK|WWV_PST|WWVB_SPEC|TRUETIME|IRIG_AUDIO|CHU_AUDIO|PARSE|GPS_MX4200|GPS_AS2201|GPS_ARBITER|IRIG_TPRO|"+
	"ATOM_LEITCH|MSF_EES|TRUETIME_OLD|GPS_BANCOMM|GPS_DATUM|ACTS|WWV_HEATH|NMEA|GPS_VME|PPS|PTB|USNO|USNO_OLD|GPS_HP|MSF_ARCRON|SHM|PALISADE|"+
	"ONCORE|JUPITER|CHRONOLOG|DUMBCLOCK|ULINK|PCF|WWV_AUDIO|FG|HOPF_SERIAL|HOPF_PCI|JJY|TT560|ZYFER|RIPENCC|NEOCLOCK4X|TSYNCPCI|GPSD_JSON",
	"|")

// judgeRefclock says what becomes of a reference clock.
func (c *reader) judgeRefclock(src *job.Source) {
	rc, r := src.Refclock, c.Record(src.Line)
	if src.Dead != "" {
		return
	}
	if rc.Driver == job.LocalDriver {
		c.localClock(src)
		return
	}
	for _, word := range []string{"key", "iburst", "burst", "version", "autokey"} {
		if src.Line.Flag(word) {
			r.Note(report.Folded, "refclock-option", "", "%s means nothing for a reference clock", word)
		}
	}
	if src.Trusted && !src.NoSelect {
		r.Note(report.Dangerous, "true", "delete the word, if the clock is not beyond doubt",
			"true switches the protection against a wrong source off")
	}
	if src.NoSelect && (src.Prefer || src.Trusted) {
		r.Note(report.Folded, "noselect-wins", "delete one of the words", "noselect goes before prefer and true")
		src.Prefer, src.Trusted = false, false
	}
	switch rc.Driver {
	case job.NMEADriver:
		c.nmeaClock(src)
	case job.PPSDriver:
		c.ppsClock(src)
	case job.ShmDriver:
		c.shmClock(src)
	case job.GpsdDriver:
		c.gpsdClock(src)
	case 8:
		src.Left = "the driver is not offered"
		r.Note(report.Unsupported, "refclock",
			"read the receiver with gpsd or mbgtools, through shm or sock; a card with a PTP clock through phc",
			"driver 8 (PARSE) is not offered")
	default:
		src.Left = "the driver is not offered"
		r.Note(report.Unsupported, "refclock", "read the receiver with gpsd, through shm or sock, or keep ntpd for it on another host",
			"driver %s is not offered", rc.Title())
	}
	c.fudgeLimits(src)
}

// shmClock keeps driver 28. Its flag1 and time2 are about jumps, of which the
// discipline has its own idea.
func (c *reader) shmClock(src *job.Source) {
	rc, r := src.Refclock, c.Record(src.Line)
	if rc.Unit >= 2 && max(src.Mode, 0)&1 == 0 {
		r.Note(report.Dangerous, "shm-public", "use unit 0 or 1, or let the writer use a socket (driver sock)",
			"ntpd opens shared memory of unit %d to every local user, who can set this host's time", rc.Unit)
	}
	if rc.Flags[1] == 1 {
		r.Note(report.Dangerous, "shm-no-limit", "delete flag1",
			"flag1 1 switches ntpd's limit on jumps of the reference clock off; here only clock.panic is left")
	}
	if rc.Time2 != 0 {
		r.Note(report.Approximated, "shm-time2", "",
			"a reference clock that is off by more than time2 (%g s) is judged by selection and clock.panic", rc.Time2)
	}
	out := src.Reference(config.DriverSHM)
	out.Unit = rc.Unit
	src.Clocks = []config.ReferenceClock{out}
}

// ppsClock keeps driver 22. ntpd numbers the seconds by its clock, and only
// while a preferred source is followed.
func (c *reader) ppsClock(src *job.Source) {
	rc, r := src.Refclock, c.Record(src.Line)
	out := src.Reference(config.DriverPPS)
	out.Device = rc.Device
	if out.Device == "" {
		out.Device = fmt.Sprintf("/dev/pps%d", rc.Unit)
	}
	out.Clear = rc.Flags[2] == 1
	if rc.Flags[3] == 1 {
		r.Note(report.Folded, "pps-kernel", "", "flag3 1: the kernel's own PPS loop is not needed")
	}
	preferred := slices.ContainsFunc(c.Model.Sources, func(other *job.Source) bool {
		return other != src && other.Prefer && (other.Dead == "" || other.Revived)
	})
	switch {
	case !preferred:
		r.Note(report.Changed, "pps-no-prefer", "",
			"ntpd uses PPS only with a preferred source, and there is none: it was never used; it is now")
	case !out.Prefer && !out.NoSelect:
		out.Prefer = true
		r.Note(report.Approximated, "pps-prefer", "",
			"ntpd follows PPS alone while a preferred source agrees with it; here it is preferred too, and both are weighed by their errors")
	}
	src.Clocks = []config.ReferenceClock{out}
}

// nmeaClock turns driver 20 into what gpsd offers for the same receiver.
func (c *reader) nmeaClock(src *job.Source) {
	rc, r := src.Refclock, c.Record(src.Line)
	unit := c.GpsdUnit(src)
	device := rc.Device
	if device == "" {
		device = fmt.Sprintf("/dev/gps%d", rc.Unit)
	}
	r.Note(report.Unsupported, "refclock-nmea",
		fmt.Sprintf("run gpsd -n %s as root before this server; ntpshmmon shows whether units %d and %d come", spell.Printable(device),
			unit, unit+1),
		"serial receivers are not read: gpsd has to read this one and pass its time on through shared memory")
	serial := src.Reference(config.DriverSHM)
	serial.Unit, serial.Offset = unit, rc.Time2
	if rc.Flags[1] != 1 {
		r.Note(report.Changed, "nmea-no-pps", "", "without fudge flag1 1 ntpd does not use the PPS signal, whatever the cabling")
		src.Clocks = []config.ReferenceClock{serial}
		return
	}
	if rc.Flags[2] == 1 {
		r.Note(report.Approximated, "nmea-edge", "check which edge gpsd takes", "flag2 1: gpsd finds the edge of the pulse by itself")
	}
	pulse := src.Reference(config.DriverSHM)
	pulse.Unit = unit + 1
	serial.Prefer, serial.NoSelect, serial.Trust, serial.RefID = false, true, false, 0
	src.Clocks = []config.ReferenceClock{pulse, serial}
}

// gpsdClock turns driver 46 into the shared memory of the gpsd that runs
// already: units from 128 on are the pulses of those from 0 on.
func (c *reader) gpsdClock(src *job.Source) {
	rc, r := src.Refclock, c.Record(src.Line)
	unit := c.GpsdUnit(src)
	out := src.Reference(config.DriverSHM)
	out.Unit, out.Offset = unit, rc.Time2
	if rc.Unit >= 128 || max(src.Mode, 0)&0xf != 0 {
		out.Unit, out.Offset = unit+1, rc.Time1
	}
	r.Note(report.Approximated, "refclock-gpsd", fmt.Sprintf("let gpsd run as root, and check with ntpshmmon that unit %d comes", out.Unit),
		"gpsd's JSON is replaced by its shared memory, unit %d", out.Unit)
	src.Clocks = []config.ReferenceClock{out}
}

// neverFollowed is the stratum from which on ntpd 4.2.8p15 follows no clock: as
// its client it would be unsynchronised. Seen of the LOCAL driver, with prefer
// and without: leap indicator 3, stratum 16 in ntpq and 0 in its packets.
const neverFollowed = 15

// fudgeLimits tells of values that the output does not take.
func (c *reader) fudgeLimits(src *job.Source) {
	r := c.Record(src.Line)
	for i := range src.Clocks {
		out := &src.Clocks[i]
		if !(out.Offset >= -3600 && out.Offset <= 3600) {
			r.Note(report.Error, "fudge-offset", "write an offset below an hour", "an offset of %g s is not written", out.Offset)
			out.Offset = 0
		}
		if out.Stratum >= neverFollowed {
			r.Note(report.Changed, "fudge-stratum", "write the stratum of the receiver, 0 as a rule, if it was to be followed",
				"ntpd never follows a clock of stratum %d: it is measured only, as with noselect", out.Stratum)
			out.Stratum, out.NoSelect, out.Prefer, out.Trust = 0, true, false, false
		}
	}
	if refid := src.Refclock.Refid; refid != "" && job.RefID(refid) == 0 && len(src.Clocks) > 0 {
		r.Note(report.Changed, "fudge-refid", "", "the refid is left out: it has invisible characters")
	}
	if src.Refclock.Flags[4] == 1 {
		r.Note(report.Folded, "flag4", "", "flag4 1: no more than usual is written about a reference clock")
	}
}

// localClock turns the LOCAL driver into a stratum to fall back to.
func (c *reader) localClock(src *job.Source) {
	m, r := &c.Model, c.Record(src.Line)
	stratum := src.Refclock.Stratum
	if stratum < 0 {
		stratum = 5
	}
	for _, s := range append([]*syntax.Statement{src.Line}, src.Refclock.Lines...) {
		c.Ledger.Tell(s, job.FateWritten, "stratum", "prefer", "noselect")
		c.Lost(s, report.Folded, job.NamedWords(s), "the local clock is a stratum to fall back to here, and no source")
	}
	if stratum >= neverFollowed {
		for _, s := range append([]*syntax.Statement{src.Line}, src.Refclock.Lines...) {
			c.Record(s).Note(report.Obsolete, "local-never", "delete the line",
				"ntpd never follows a clock of stratum %d: without another source it serves the alarm", stratum)
		}
		return
	}
	m.LocalStratum = stratum + 1
	m.LocalLines = append([]*syntax.Statement{src.Line}, m.LocalLines...)
	alone := true
	for _, other := range m.Sources {
		if other != src && (other.Dead == "" || other.Revived) && other.Left == "" && other.Kind != "broadcast" {
			alone = false
		}
	}
	switch {
	case src.NoSelect:
		m.LocalStratum = 0
		r.Note(report.Obsolete, "local-noselect", "delete the line", "the local clock was never used")
		return
	case alone:
		r.Note(report.Dangerous, "local-only", "give this host a real source",
			"the local clock is the only source: the time that is served, also with authentication, is whatever this host's clock says")
	default:
		r.Note(report.Dangerous, "local-clock", "leave it out, unless clients have to stay together without a source",
			"without a source the local clock is served at stratum %d, and authentication makes it look good", m.LocalStratum)
	}
	if src.Prefer {
		r.Note(report.Dangerous, "local-prefer", "delete prefer", "prefer makes ntpd follow its own clock instead of a source")
	}
	if stratum < 5 {
		r.Note(report.Dangerous, "local-stratum", "write fudge stratum 10 or more",
			"stratum %d makes a free-running clock win over real servers", stratum)
	}
}
