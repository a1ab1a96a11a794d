package convert

import (
	"fmt"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/chronyconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"path"
	"strconv"
	"strings"
	"time"
)

// chronyClockOptions are the options of reference clocks.
var chronyClockOptions = map[string]chronyOption{
	"poll": {kind: 'i'}, "dpoll": {kind: 'i'}, "rate": {kind: 'i'}, "offset": {kind: 'd'}, "delay": {kind: 'd'}, "stratum": {kind: 'i'},
	"precision": {kind: 'd'}, "pps": {kind: 'f'}, "tai": {kind: 'f'},
	"prefer": {kind: 'f'}, "noselect": {kind: 'f'}, "trust": {kind: 'f'}, "require": {kind: 'f'},
	"refid": {kind: 's'}, "lock": {kind: 's'},
	"maxdispersion": {kind: 'd', note: weighing}, "filter": {kind: 'i', note: weighing}, "minsamples": {kind: 'i', note: weighing},
	"maxsamples": {kind: 'i', note: weighing}, "maxlockage": {kind: 'i', note: weighing},
	"maxunreach": {kind: 'i', note: chronyOptions["maxunreach"].note},
	"width":      {kind: 'd', note: disposition{report.Unsupported, "refclock-width", "pulses are not told apart by their width", "let the driver see one edge only"}},
	"local":      {kind: 'f', note: disposition{report.Unsupported, "refclock-local", "a reference clock does not stabilise the system clock without being followed", ""}},
}

// chronyRefclockLine reads a reference clock. number is how many stand above.
func (c *conversion) chronyRefclockLine(s *syntax.Statement, number int) {
	r := c.record(s)
	src := &source{line: s, kind: "refclock", mode: -1, refclock: &refclock{stratum: -1}}
	c.model.sources = append(c.model.sources, src)
	if len(s.Options) < 2 {
		src.dead = "driver and device are missing"
		r.Note(report.Error, "refclock-line", "write driver and device", "chronyd does not start: %s", src.dead)
		return
	}
	driver, parameter := strings.ToUpper(s.Options[0].Text), s.Options[1].Text
	src.address = driver + " " + parameter
	out := config.DefaultReferenceClock()
	out.Driver, out.RefID = spell.AsciiLower(driver), refID(fmt.Sprintf("%.3s%d", driver, number))
	parts := strings.Split(parameter, ":")
	out.Device = parts[0]
	c.chronyDriver(src, &out, parts[1:])
	if src.dead != "" || src.left != "" || !c.chronyClockWords(src, &out) {
		return
	}
	if out.NoSelect && (out.Prefer || out.Trust || out.Require) {
		r.Note(report.Folded, "noselect-wins", "delete one of the words", "noselect goes before prefer, trust and require")
		out.Prefer, out.Trust, out.Require = false, false, false
	}
	src.noSelect = out.NoSelect
	src.clocks = []config.ReferenceClock{out}
}

// chronyDriver reads the driver with its own options.
func (c *conversion) chronyDriver(src *source, out *config.ReferenceClock, options []string) {
	r := c.record(src.line)
	switch out.Driver {
	case "shm":
		unit, err := strconv.Atoi(out.Device)
		if err != nil || unit < 0 || unit > 255 {
			src.dead = "that is no unit of shared memory"
			r.Note(report.Error, "refclock-line", "write 0 to 255", "chronyd does not start: %s", src.dead)
		}
		out.Unit, out.Device = unit, ""
	case "sock", "pps", "phc":
		if out.Driver == "phc" && spell.PlainName(out.Device) && !strings.HasPrefix(out.Device, "/") {
			src.left = "the PTP clock of a network interface has to be named by its device"
			r.Note(report.Unsupported, "refclock-phc-interface", "write the device: ethtool -T "+spell.Printable(out.Device)+" tells it", "%s", src.left)
			return
		}
		if !spell.PlainPath(out.Device) {
			src.dead = "that is no name of a device"
			r.Note(report.Error, "refclock-line", "give a name", "%s", src.dead)
			return
		}
		out.Device = path.Clean(absolute(out.Device))
	case "rtc":
		src.left = "the hardware clock is not followed"
		r.Note(report.Unsupported, "refclock-rtc", "leave it out: the kernel sets the clock by it at the start", "%s", src.left)
	default:
		src.dead = "there is no driver " + spell.Printable(out.Driver)
		r.Note(report.Error, "refclock-line", "write SHM, SOCK, PPS or PHC", "chronyd does not start: %s", src.dead)
	}
	for _, o := range options {
		name, value, _ := strings.Cut(spell.AsciiLower(o), "=")
		switch {
		case name == "clear" && out.Driver == "pps":
			out.Clear = true
		case name == "perm" && out.Driver == "shm":
			if v, err := strconv.ParseUint(value, 8, 32); err == nil && v&0o022 != 0 {
				r.Note(report.Dangerous, "shm-public", "use a socket (driver sock)", "perm=%s opens the shared memory to other users, who can set this host's time", spell.Printable(value))
			} else {
				r.Note(report.Folded, "shm-perm", "", "perm=%s is the program's that makes the segment", spell.Printable(value))
			}
		case name == "nocrossts" && out.Driver == "phc":
			r.Note(report.Folded, "phc-crossts", "", "how the clock is read is worked out by itself")
		default:
			src.left = "its option " + spell.Printable(o) + " has no counterpart"
			r.Note(report.Unsupported, "refclock-option", "", "the clock is left out: %s", src.left)
		}
	}
}

// chronyClockWords reads the options of a reference clock.
func (c *conversion) chronyClockWords(src *source, out *config.ReferenceClock) bool {
	s, r := src.line, c.record(src.line)
	for i := 2; i < len(s.Options); i++ {
		word := spell.AsciiLower(s.Options[i].Text)
		o, ok := chronyClockOptions[word]
		text := ""
		if ok && o.kind != 'f' {
			i++
			ok = i < len(s.Options)
			if ok {
				text = s.Options[i].Text
			}
		}
		v := 0.0
		if ok && o.kind != 'f' && o.kind != 's' {
			v, ok = chronyconf.Number(o.kind, text)
		}
		if o.kind == 's' {
			ok = ok && len(text) <= 4 && spell.PlainName(text) && spell.All(text, spell.IsVisible)
		}
		if !ok {
			src.dead = fmt.Sprintf("it does not take %s", strings.TrimSpace(spell.Printable(word)+" "+spell.Printable(text)))
			r.Note(report.Error, "chrony-option", "correct or delete the word", "chronyd does not start: %s; the line is left out", src.dead)
			return false
		}
		if o.note.class != "" {
			c.apply(r, disposition{o.note.class, o.note.code, word + ": " + o.note.text, o.note.do_})
			continue
		}
		setClockWord(out, word, text, v)
	}
	if bounded := clamped(*out); bounded != *out {
		r.Note(report.Approximated, "range", "", "a value beyond the output's range is put to its bound")
		*out = bounded
	}
	return true
}

// set takes an option of chronyd in.
func setClockWord(o *config.ReferenceClock, word, text string, v float64) {
	switch word {
	case "poll":
		o.Poll = int(min(max(v, -99), 99))
	case "dpoll":
		o.DriverPoll = int(min(max(v, -99), 99))
	case "rate":
		o.Rate = int(min(max(v, 1), 1e6))
	case "offset":
		o.Offset = v
	case "delay":
		o.Delay = seconds(v, 0, 1000)
	case "stratum":
		o.Stratum = int(min(max(v, 0), 99))
	case "precision":
		o.Precision = seconds(v, 0, 1000)
	case "pps":
		o.PPS = o.Driver != config.DriverPPS
	case "tai":
		o.TAI = true
	case "prefer":
		o.Prefer = true
	case "noselect":
		o.NoSelect = true
	case "trust":
		o.Trust = true
	case "require":
		o.Require = true
	case "refid":
		o.RefID = refID(text)
	case "lock":
		o.Lock = refID(text)
	}
}

// clamped puts every value into the output's range.
func clamped(o config.ReferenceClock) config.ReferenceClock {
	o.Poll = min(max(o.Poll, leastPoll), mostRefclockPoll)
	o.DriverPoll = min(max(o.DriverPoll, leastPoll), o.Poll)
	o.Rate = min(o.Rate, 1000)
	o.Stratum = min(o.Stratum, 14)
	o.Offset = within(o.Offset, -3600, 3600)
	o.Delay = min(o.Delay, 10*time.Second)
	o.Precision = min(max(o.Precision, 1), time.Second)
	return o
}

// chronyLocks drops locks to clocks that are not there, and gives clocks with
// the same name one of their own.
func (c *conversion) chronyLocks() {
	names := make(map[config.RefID]bool)
	for _, src := range c.model.sources {
		for i := range src.clocks {
			if names[src.clocks[i].RefID] {
				c.record(src.line).Note(report.Error, "refid", "give each clock a refid of its own", "chronyd does not start with two clocks named %s", src.clocks[i].RefID)
				src.clocks[i].RefID = 0
			}
			names[src.clocks[i].RefID] = true
		}
	}
	for _, src := range c.model.sources {
		for i := range src.clocks {
			out := &src.clocks[i]
			if out.Lock != 0 && (!names[out.Lock] || out.Lock == out.RefID) {
				c.record(src.line).Note(report.Approximated, "refclock-lock", "write the refid of the clock that numbers the seconds", "there is no clock %s to lock to: the system clock numbers the seconds", out.Lock)
				out.Lock = 0
			}
		}
	}
}
