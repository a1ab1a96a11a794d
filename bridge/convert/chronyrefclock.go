package convert

import (
	"fmt"
	"ntsbridge/bridge/convert/chronyconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"path"
	"strconv"
	"strings"
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
	out := outClock{driver: spell.AsciiLower(driver), poll: 4, refid: fmt.Sprintf("%.3s%d", driver, number)}
	parts := strings.Split(parameter, ":")
	out.device = parts[0]
	c.chronyDriver(src, &out, parts[1:])
	if src.dead != "" || src.left != "" || !c.chronyClockWords(src, &out) {
		return
	}
	if out.noSelect && (out.prefer || out.trust || out.require) {
		r.Note(report.Folded, "noselect-wins", "delete one of the words", "noselect goes before prefer, trust and require")
		out.prefer, out.trust, out.require = false, false, false
	}
	src.noSelect = out.noSelect
	src.clocks = []outClock{out}
}

// chronyDriver reads the driver with its own options.
func (c *conversion) chronyDriver(src *source, out *outClock, options []string) {
	r := c.record(src.line)
	switch out.driver {
	case "shm":
		unit, err := strconv.Atoi(out.device)
		if err != nil || unit < 0 || unit > 255 {
			src.dead = "that is no unit of shared memory"
			r.Note(report.Error, "refclock-line", "write 0 to 255", "chronyd does not start: %s", src.dead)
		}
		out.unit, out.device = unit, ""
	case "sock", "pps", "phc":
		if out.driver == "phc" && spell.PlainName(out.device) && !strings.HasPrefix(out.device, "/") {
			src.left = "the PTP clock of a network interface has to be named by its device"
			r.Note(report.Unsupported, "refclock-phc-interface", "write the device: ethtool -T "+spell.Printable(out.device)+" tells it", "%s", src.left)
			return
		}
		if !spell.PlainPath(out.device) {
			src.dead = "that is no name of a device"
			r.Note(report.Error, "refclock-line", "give a name", "%s", src.dead)
			return
		}
		out.device = path.Clean(absolute(out.device))
	case "rtc":
		src.left = "the hardware clock is not followed"
		r.Note(report.Unsupported, "refclock-rtc", "leave it out: the kernel sets the clock by it at the start", "%s", src.left)
	default:
		src.dead = "there is no driver " + spell.Printable(out.driver)
		r.Note(report.Error, "refclock-line", "write SHM, SOCK, PPS or PHC", "chronyd does not start: %s", src.dead)
	}
	for _, o := range options {
		name, value, _ := strings.Cut(spell.AsciiLower(o), "=")
		switch {
		case name == "clear" && out.driver == "pps":
			out.clear = true
		case name == "perm" && out.driver == "shm":
			if v, err := strconv.ParseUint(value, 8, 32); err == nil && v&0o022 != 0 {
				r.Note(report.Dangerous, "shm-public", "use a socket (driver sock)", "perm=%s opens the shared memory to other users, who can set this host's time", spell.Printable(value))
			} else {
				r.Note(report.Folded, "shm-perm", "", "perm=%s is the program's that makes the segment", spell.Printable(value))
			}
		case name == "nocrossts" && out.driver == "phc":
			r.Note(report.Folded, "phc-crossts", "", "how the clock is read is worked out by itself")
		default:
			src.left = "its option " + spell.Printable(o) + " has no counterpart"
			r.Note(report.Unsupported, "refclock-option", "", "the clock is left out: %s", src.left)
		}
	}
}

// chronyClockWords reads the options of a reference clock.
func (c *conversion) chronyClockWords(src *source, out *outClock) bool {
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
		out.set(word, text, v)
	}
	if clamped := out.clamped(); clamped != *out {
		r.Note(report.Approximated, "range", "", "a value beyond the output's range is put to its bound")
		*out = clamped
	}
	return true
}

// set takes an option of chronyd in.
func (o *outClock) set(word, text string, v float64) {
	switch word {
	case "poll":
		o.poll = int(min(max(v, -99), 99))
	case "dpoll":
		o.driverPoll = int(min(max(v, -99), 99))
	case "rate":
		o.rate = int(min(max(v, 0), 1e6))
	case "offset":
		o.offset = v
	case "delay":
		o.delay = v
	case "stratum":
		o.stratum = int(min(max(v, 0), 99))
	case "precision":
		o.precision = v
	case "pps":
		o.pps = o.driver != "pps"
	case "tai":
		o.tai = true
	case "prefer":
		o.prefer = true
	case "noselect":
		o.noSelect = true
	case "trust":
		o.trust = true
	case "require":
		o.require = true
	case "refid":
		o.refid = text
	case "lock":
		o.lock = text
	}
}

// clamped puts every value into the output's range.
func (o outClock) clamped() outClock {
	o.poll = min(max(o.poll, leastPoll), mostRefclockPoll)
	o.driverPoll = min(max(o.driverPoll, leastPoll), o.poll)
	o.rate = min(o.rate, 1000)
	o.stratum = min(o.stratum, 14)
	o.offset = min(max(o.offset, -3600), 3600)
	o.delay = min(max(o.delay, 0), 10)
	if o.precision != 0 {
		o.precision = min(max(o.precision, 1e-9), 1)
	}
	return o
}

// chronyLocks drops locks to clocks that are not there, and gives clocks with
// the same name one of their own.
func (c *conversion) chronyLocks() {
	names := make(map[string]bool)
	for _, src := range c.model.sources {
		for i := range src.clocks {
			if names[src.clocks[i].refid] {
				c.record(src.line).Note(report.Error, "refid", "give each clock a refid of its own", "chronyd does not start with two clocks named %s", src.clocks[i].refid)
				src.clocks[i].refid = ""
			}
			names[src.clocks[i].refid] = true
		}
	}
	for _, src := range c.model.sources {
		for i := range src.clocks {
			out := &src.clocks[i]
			if out.lock != "" && (!names[out.lock] || out.lock == out.refid) {
				c.record(src.line).Note(report.Approximated, "refclock-lock", "write the refid of the clock that numbers the seconds", "there is no clock %s to lock to: the system clock numbers the seconds", spell.Printable(out.lock))
				out.lock = ""
			}
		}
	}
}
