package convert

import (
	"fmt"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"slices"
	"strconv"
	"strings"
)

// ntpsecRefclock reads ntpsec's form of a reference clock.
func (c *conversion) ntpsecRefclock(s *syntax.Statement) *source {
	src := c.sourceOf(s)
	rc := &refclock{stratum: -1, flags: [5]int{-1, -1, -1, -1, -1}, name: strings.ToUpper(s.Address)}
	for i, name := range drivers {
		if i > 0 && strings.HasPrefix(name, strings.ToUpper(s.Address)) && rc.driver == 0 {
			rc.driver = i
		}
	}
	if o, ok := s.Last("unit"); ok {
		rc.unit = int(min(max(o.Int, 0), 255))
	}
	rc.device = s.Text("path")
	if device := s.Text("ppspath"); device != "" && rc.driver == ppsDriver {
		rc.device = device
	}
	if !spell.PlainPath(rc.device) {
		rc.device = ""
	}
	rc.fudge(s)
	src.kind, src.refclock = "refclock", rc
	return src
}

// newRefclock reads the address 127.127.DRIVER.UNIT.
func newRefclock(s *syntax.Statement) *refclock {
	rc := &refclock{stratum: -1, flags: [5]int{-1, -1, -1, -1, -1}}
	parts := strings.Split(s.Address, ".")
	if len(parts) == 4 {
		rc.driver, _ = strconv.Atoi(parts[2])
		rc.unit, _ = strconv.Atoi(parts[3])
	}
	if rc.driver > 0 && rc.driver < len(drivers) {
		rc.name = drivers[rc.driver]
	}
	return rc
}

// fudges puts fudge lines to their reference clocks.
func (c *conversion) fudges() {
	clocks := make(map[string]*refclock)
	for _, src := range c.model.sources {
		clocks[src.address] = src.refclock
	}
	for _, s := range c.all("fudge") {
		r := c.record(s)
		if s.Flag("abbrev") {
			r.Note(report.Error, "fudge-abbrev", "delete the word", "ntpd exits on fudge abbrev")
		}
		if !s.Refclock() {
			r.Note(report.Error, "fudge-address", "delete the line", "%s is no reference clock: ntpd ignores the line", spell.Printable(s.Address))
			continue
		}
		rc := clocks[s.Address]
		if rc == nil {
			r.Note(report.Obsolete, "fudge-unused", "delete the line", "no server line has this reference clock: ntpd does nothing")
			continue
		}
		rc.fudge(s)
		if rc.driver == localDriver {
			c.model.localLines = append(c.model.localLines, s)
		}
	}
}

func (rc *refclock) fudge(s *syntax.Statement) {
	rc.lines = append(rc.lines, s)
	for _, o := range s.Options {
		switch o.Name {
		case "time1":
			rc.time1 = o.Number()
		case "time2":
			rc.time2 = o.Number()
		case "stratum":
			rc.stratum = int(o.Int)
		case "refid":
			rc.refid = o.Text[:min(len(o.Text), 4)]
		case "flag1", "flag2", "flag3", "flag4":
			rc.flags[o.Name[4]-'0'] = int(o.Int)
		}
	}
}

// localDriver is the undisciplined local clock.
const localDriver = 1

// drivers are the names of ntpd's reference clock drivers by number.
var drivers = strings.Split("|LOCAL|GPS_TRAK|WWV_PST|WWVB_SPEC|TRUETIME|IRIG_AUDIO|CHU_AUDIO|PARSE|GPS_MX4200|GPS_AS2201|GPS_ARBITER|IRIG_TPRO|"+
	"ATOM_LEITCH|MSF_EES|TRUETIME_OLD|GPS_BANCOMM|GPS_DATUM|ACTS|WWV_HEATH|NMEA|GPS_VME|PPS|PTB|USNO|USNO_OLD|GPS_HP|MSF_ARCRON|SHM|PALISADE|"+
	"ONCORE|JUPITER|CHRONOLOG|DUMBCLOCK|ULINK|PCF|WWV_AUDIO|FG|HOPF_SERIAL|HOPF_PCI|JJY|TT560|ZYFER|RIPENCC|NEOCLOCK4X|TSYNCPCI|GPSD_JSON", "|")

// judgeRefclock says what becomes of a reference clock.
func (c *conversion) judgeRefclock(src *source) {
	rc, r := src.refclock, c.record(src.line)
	if src.dead != "" {
		return
	}
	if rc.driver == localDriver {
		c.localClock(src)
		return
	}
	for _, word := range []string{"key", "iburst", "burst", "version", "autokey"} {
		if src.line.Flag(word) {
			r.Note(report.Folded, "refclock-option", "", "%s means nothing for a reference clock", word)
		}
	}
	if src.trusted && !src.noSelect {
		r.Note(report.Dangerous, "true", "delete the word, if the clock is not beyond doubt", "true switches the protection against a wrong source off")
	}
	if src.noSelect && (src.prefer || src.trusted) {
		r.Note(report.Folded, "noselect-wins", "delete one of the words", "noselect goes before prefer and true")
		src.prefer, src.trusted = false, false
	}
	switch rc.driver {
	case nmeaDriver:
		c.nmeaClock(src)
	case ppsDriver:
		c.ppsClock(src)
	case shmDriver:
		c.shmClock(src)
	case gpsdDriver:
		c.gpsdClock(src)
	case 8:
		src.left = "the driver is not offered"
		r.Note(report.Unsupported, "refclock", "read the receiver with gpsd or mbgtools, through shm or sock; a card with a PTP clock through phc",
			"driver 8 (PARSE) is not offered")
	default:
		src.left = "the driver is not offered"
		r.Note(report.Unsupported, "refclock", "read the receiver with gpsd, through shm or sock, or keep ntpd for it on another host", "driver %s is not offered", rc.title())
	}
	c.fudgeLimits(src)
}

// title names a driver.
func (rc *refclock) title() string {
	if rc.driver == 0 {
		return rc.name
	}
	return fmt.Sprintf("%d (%s)", rc.driver, rc.name)
}

// Numbers of drivers that have a counterpart, or nearly.
const (
	nmeaDriver = 20
	ppsDriver  = 22
	shmDriver  = 28
	gpsdDriver = 46
)

// reference returns what all drivers have in common.
func (src *source) reference(driver string) config.ReferenceClock {
	rc, clock := src.refclock, config.DefaultReferenceClock()
	clock.Driver, clock.RefID, clock.Stratum = driver, refID(rc.refid), max(rc.stratum, 0)
	clock.Poll, clock.Offset = src.minPoll, rc.time1
	clock.Prefer, clock.NoSelect, clock.Trust = src.prefer, src.noSelect, src.trusted
	return clock
}

// refID reads a reference identifier; what is none is left out.
func refID(text string) (id config.RefID) {
	if id.UnmarshalText([]byte(text)) != nil {
		return 0
	}
	return id
}

// shmClock keeps driver 28. Its flag1 and time2 are about jumps, of which the
// discipline has its own idea.
func (c *conversion) shmClock(src *source) {
	rc, r := src.refclock, c.record(src.line)
	if rc.unit >= 2 && max(src.mode, 0)&1 == 0 {
		r.Note(report.Dangerous, "shm-public", "use unit 0 or 1, or let the writer use a socket (driver sock)",
			"ntpd opens shared memory of unit %d to every local user, who can set this host's time", rc.unit)
	}
	if rc.flags[1] == 1 {
		r.Note(report.Dangerous, "shm-no-limit", "delete flag1", "flag1 1 switches ntpd's limit on jumps of the reference clock off; here only clock.panic is left")
	}
	if rc.time2 != 0 {
		r.Note(report.Approximated, "shm-time2", "", "a reference clock that is off by more than time2 (%g s) is judged by selection and clock.panic", rc.time2)
	}
	out := src.reference(config.DriverSHM)
	out.Unit = rc.unit
	src.clocks = []config.ReferenceClock{out}
}

// ppsClock keeps driver 22. ntpd numbers the seconds by its clock, and only
// while a preferred source is followed.
func (c *conversion) ppsClock(src *source) {
	rc, r := src.refclock, c.record(src.line)
	out := src.reference(config.DriverPPS)
	out.Device = rc.device
	if out.Device == "" {
		out.Device = fmt.Sprintf("/dev/pps%d", rc.unit)
	}
	out.Clear = rc.flags[2] == 1
	if rc.flags[3] == 1 {
		r.Note(report.Folded, "pps-kernel", "", "flag3 1: the kernel's own PPS loop is not needed")
	}
	preferred := slices.ContainsFunc(c.model.sources, func(other *source) bool {
		return other != src && other.prefer && (other.dead == "" || other.revived())
	})
	switch {
	case !preferred:
		r.Note(report.Changed, "pps-no-prefer", "", "ntpd uses PPS only with a preferred source, and there is none: it was never used; it is now")
	case !out.Prefer && !out.NoSelect:
		out.Prefer = true
		r.Note(report.Approximated, "pps-prefer", "", "ntpd follows PPS alone while a preferred source agrees with it; here it is preferred too, and both are weighed by their errors")
	}
	src.clocks = []config.ReferenceClock{out}
}

// nmeaClock turns driver 20 into what gpsd offers for the same receiver.
func (c *conversion) nmeaClock(src *source) {
	rc, r := src.refclock, c.record(src.line)
	unit := c.gpsdUnit(src)
	device := rc.device
	if device == "" {
		device = fmt.Sprintf("/dev/gps%d", rc.unit)
	}
	r.Note(report.Unsupported, "refclock-nmea", fmt.Sprintf("run gpsd -n %s as root before this server; ntpshmmon shows whether units %d and %d come", spell.Printable(device), unit, unit+1),
		"serial receivers are not read: gpsd has to read this one and pass its time on through shared memory")
	serial := src.reference(config.DriverSHM)
	serial.Unit, serial.Offset = unit, rc.time2
	if rc.flags[1] != 1 {
		r.Note(report.Changed, "nmea-no-pps", "", "without fudge flag1 1 ntpd does not use the PPS signal, whatever the cabling")
		src.clocks = []config.ReferenceClock{serial}
		return
	}
	if rc.flags[2] == 1 {
		r.Note(report.Approximated, "nmea-edge", "check which edge gpsd takes", "flag2 1: gpsd finds the edge of the pulse by itself")
	}
	pulse := src.reference(config.DriverSHM)
	pulse.Unit = unit + 1
	serial.Prefer, serial.NoSelect, serial.Trust, serial.RefID = false, true, false, 0
	src.clocks = []config.ReferenceClock{pulse, serial}
}

// gpsdClock turns driver 46 into the shared memory of the gpsd that runs
// already: units from 128 on are the pulses of those from 0 on.
func (c *conversion) gpsdClock(src *source) {
	rc, r := src.refclock, c.record(src.line)
	unit := c.gpsdUnit(src)
	out := src.reference(config.DriverSHM)
	out.Unit, out.Offset = unit, rc.time2
	if rc.unit >= 128 || max(src.mode, 0)&0xf != 0 {
		out.Unit, out.Offset = unit+1, rc.time1
	}
	r.Note(report.Approximated, "refclock-gpsd", fmt.Sprintf("let gpsd run as root, and check with ntpshmmon that unit %d comes", out.Unit),
		"gpsd's JSON is replaced by its shared memory, unit %d", out.Unit)
	src.clocks = []config.ReferenceClock{out}
}

// gpsdUnit returns the unit of shared memory that gpsd has for the time of a
// receiver; the next one is for its pulse. gpsd numbers receivers in the order
// in which it is given them.
func (c *conversion) gpsdUnit(src *source) int {
	seen := make(map[string]int)
	for _, other := range c.model.sources {
		rc := other.refclock
		if rc == nil || other.dead != "" || rc.driver != nmeaDriver && rc.driver != gpsdDriver {
			continue
		}
		device := fmt.Sprint(rc.unit%128, rc.device)
		if _, ok := seen[device]; !ok {
			seen[device] = len(seen)
		}
		if other == src {
			return 2 * seen[device]
		}
	}
	return 0
}

// fudgeLimits tells of values that the output does not take.
func (c *conversion) fudgeLimits(src *source) {
	r := c.record(src.line)
	for i := range src.clocks {
		out := &src.clocks[i]
		if !(out.Offset >= -3600 && out.Offset <= 3600) {
			r.Note(report.Error, "fudge-offset", "write an offset below an hour", "an offset of %g s is not written", out.Offset)
			out.Offset = 0
		}
		if out.Stratum > 14 {
			r.Note(report.Approximated, "fudge-stratum", "", "stratum %d becomes 14: with more nobody could follow this server", out.Stratum)
			out.Stratum = 14
		}
	}
	if refid := src.refclock.refid; refid != "" && refID(refid) == 0 && len(src.clocks) > 0 {
		r.Note(report.Changed, "fudge-refid", "", "the refid is left out: it has invisible characters")
	}
	if src.refclock.flags[4] == 1 {
		r.Note(report.Folded, "flag4", "", "flag4 1: no statistics files are written")
	}
}

// localClock turns the LOCAL driver into a stratum to fall back to.
func (c *conversion) localClock(src *source) {
	m, r := &c.model, c.record(src.line)
	stratum := src.refclock.stratum
	if stratum < 0 {
		stratum = 5
	}
	m.localStratum = min(stratum+1, 15)
	m.localLines = append([]*syntax.Statement{src.line}, m.localLines...)
	alone := true
	for _, other := range m.sources {
		if other != src && (other.dead == "" || other.revived()) && other.left == "" && other.kind != "broadcast" {
			alone = false
		}
	}
	switch {
	case src.noSelect:
		m.localStratum = 0
		r.Note(report.Obsolete, "local-noselect", "delete the line", "the local clock was never used")
		return
	case alone:
		r.Note(report.Dangerous, "local-only", "give this host a real source",
			"the local clock is the only source: the time that is served, also with authentication, is whatever this host's clock says")
	default:
		r.Note(report.Dangerous, "local-clock", "leave it out, unless clients have to stay together without a source",
			"without a source the local clock is served at stratum %d, and authentication makes it look good", m.localStratum)
	}
	if src.prefer {
		r.Note(report.Dangerous, "local-prefer", "delete prefer", "prefer makes ntpd follow its own clock instead of a source")
	}
	if stratum < 5 {
		r.Note(report.Dangerous, "local-stratum", "write fudge stratum 10 or more", "stratum %d makes a free-running clock win over real servers", stratum)
	}
}
