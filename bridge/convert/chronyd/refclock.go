package chronyd

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/chronyconf"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// clockOptions are the options of reference clocks.
var clockOptions = map[string]option{
	"poll": {kind: 'i'}, "dpoll": {kind: 'i'}, "rate": {kind: 'i'}, "offset": {kind: 'd'}, "delay": {kind: 'd'}, "stratum": {kind: 'i'},
	"precision": {kind: 'd'}, "pps": {kind: 'f'}, "tai": {kind: 'f'},
	"prefer": {kind: 'f'}, "noselect": {kind: 'f'}, "trust": {kind: 'f'}, "require": {kind: 'f'},
	"refid": {kind: 's'}, "lock": {kind: 's'},
	"maxdispersion": {kind: 'd'}, "filter": {kind: 'i'}, "maxlockage": {kind: 'i'}, "width": {kind: 'd'},
	"minsamples": {kind: 'i', note: weighing}, "maxsamples": {kind: 'i', note: weighing},
	"maxunreach": {kind: 'i', note: sourceOptions["maxunreach"].note},
	"local":      {kind: 'f'},
}

// refclockLine reads a reference clock. number is how many stand above.
func (c *reader) refclockLine(s *syntax.Statement, number int) {
	r := c.Record(s)
	src := &job.Source{Line: s, Kind: "refclock", Mode: -1, Refclock: &job.Refclock{Stratum: -1}}
	c.Model.Sources = append(c.Model.Sources, src)
	if len(s.Options) < 2 {
		src.Dead = "driver and device are missing"
		r.Note(report.Error, "refclock-line", "write driver and device", "chronyd does not start: %s", src.Dead)
		return
	}
	driver, parameter := strings.ToUpper(s.Options[0].Text), s.Options[1].Text
	src.Address = driver + " " + parameter
	out := config.DefaultReferenceClock()
	out.Driver, out.RefID = spell.AsciiLower(driver), job.RefID(fmt.Sprintf("%.3s%d", driver, number))
	parts := strings.Split(parameter, ":")
	out.Device = parts[0]
	c.driver(src, &out, parts[1:])
	if src.Dead != "" || src.Left != "" || !c.clockWords(src, &out) {
		return
	}
	c.standard(src, &out)
	if out.NoSelect && (out.Prefer || out.Trust || out.Require) {
		r.Note(report.Folded, "noselect-wins", "delete one of the words", "noselect goes before prefer, trust and require")
		out.Prefer, out.Trust, out.Require = false, false, false
	}
	src.NoSelect = out.NoSelect
	src.Clocks = []config.ReferenceClock{out}
}

// driver reads the driver with its own options.
func (c *reader) driver(src *job.Source, out *config.ReferenceClock, options []string) {
	r := c.Record(src.Line)
	switch out.Driver {
	case "shm":
		unit, err := strconv.Atoi(out.Device)
		if err != nil || unit < 0 || unit > 255 {
			src.Dead = "that is no unit of shared memory"
			r.Note(report.Error, "refclock-line", "write 0 to 255", "chronyd does not start: %s", src.Dead)
		}
		out.Unit, out.Device = unit, ""
	case "sock", "pps", "phc":
		if out.Driver == "phc" && spell.PlainName(out.Device) && !strings.HasPrefix(out.Device, "/") {
			src.Left = "the PTP clock of a network interface has to be named by its device"
			r.Note(report.Unsupported, "refclock-phc-interface", "write the device: ethtool -T "+spell.Printable(out.Device)+" tells it",
				"%s", src.Left)
			return
		}
		if !spell.PlainPath(out.Device) {
			src.Dead = "that is no name of a device"
			r.Note(report.Error, "refclock-line", "give a name", "%s", src.Dead)
			return
		}
		out.Device = path.Clean(job.Absolute(out.Device))
	case "rtc":
		src.Left = "the hardware clock is not followed"
		r.Note(report.Unsupported, "refclock-rtc", "leave it out: the kernel sets the clock by it at the start", "%s", src.Left)
	default:
		src.Dead = "there is no driver " + spell.Printable(out.Driver)
		r.Note(report.Error, "refclock-line", "write SHM, SOCK, PPS or PHC", "chronyd does not start: %s", src.Dead)
	}
	for _, o := range options {
		name, value, _ := strings.Cut(spell.AsciiLower(o), "=")
		switch {
		case name == "clear" && (out.Driver == "pps" || out.Driver == "phc"):
			out.Clear = true
		case name == "perm" && out.Driver == "shm":
			if v, err := strconv.ParseUint(value, 8, 32); err == nil && v&0o022 != 0 {
				r.Note(report.Dangerous, "shm-public", "use a socket (driver sock)",
					"perm=%s opens the shared memory to other users, who can set this host's time", spell.Printable(value))
			} else {
				r.Note(report.Folded, "shm-perm", "", "perm=%s is the program's that makes the segment", spell.Printable(value))
			}
		case name == "nocrossts" && out.Driver == "phc":
			out.NoCrossTimestamps = true
		case name == "extpps" && out.Driver == "phc":
			out.ExternalPPS = true
		case (name == "pin" || name == "channel") && out.Driver == "phc":
			v, err := strconv.Atoi(value)
			if err != nil || v < 0 || v > 255 {
				src.Dead = spell.Printable(o) + " is no number of a pin or channel"
				r.Note(report.Error, "refclock-line", "write 0 to 255", "%s", src.Dead)
				return
			}
			*map[string]*int{"pin": &out.Pin, "channel": &out.Channel}[name] = v
			if v == 0 && name == "channel" {
				c.Ledger.Tell(src.Line, job.FateHolds+"it is so without the word", ":channel")
			}
		default:
			src.Left = "its option " + spell.Printable(o) + " has no counterpart"
			r.Note(report.Unsupported, "refclock-left", "", "the clock is left out: %s", src.Left)
		}
	}
	c.pulses(src, out, options)
}

// pulses checks the options of a clock that stamps pulses: chronyd takes pin 0
// without one, and an edge with extpps only.
func (c *reader) pulses(src *job.Source, out *config.ReferenceClock, options []string) {
	if out.Driver != "phc" {
		return
	}
	given := slices.ContainsFunc(options, func(o string) bool { return strings.HasPrefix(spell.AsciiLower(o), "pin=") })
	switch {
	case out.ExternalPPS && !given:
		out.Pin = 0
	case !out.ExternalPPS && (out.Clear || out.Pin >= 0 || out.Channel > 0):
		out.Clear, out.Pin, out.Channel = false, -1, 0
		c.Record(src.Line).Note(report.Folded, "phc-no-extpps", "delete them", "clear, pin and channel mean nothing without extpps")
		c.Ledger.Tell(src.Line, job.FateSaid+"phc-no-extpps", ":clear", ":pin", ":channel")
	}
}

// clockWords reads the options of a reference clock.
func (c *reader) clockWords(src *job.Source, out *config.ReferenceClock) bool {
	s, r := src.Line, c.Record(src.Line)
	for i := 2; i < len(s.Options); i++ {
		word := spell.AsciiLower(s.Options[i].Text)
		o, ok := clockOptions[word]
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
			if ok && (math.IsNaN(v) || math.IsInf(v, 0)) {
				src.Dead = fmt.Sprintf("%s %s is no finite number", word, spell.Printable(text))
				r.Note(report.Dangerous, "chrony-nan", "correct or delete the word",
					"%s, which chronyd does not say when it starts; the line is left out", src.Dead)
				return false
			}
			ok = ok && !(word == "stratum" && (v < 0 || v > 15))
		}
		if o.kind == 's' {
			ok = ok && len(text) <= 4 && spell.PlainName(text) && spell.All(text, spell.IsVisible)
		}
		if !ok {
			src.Dead = fmt.Sprintf("it does not take %s", strings.TrimSpace(spell.Printable(word)+" "+spell.Printable(text)))
			r.Note(report.Error, "chrony-option", "correct or delete the word", "chronyd does not start: %s; the line is left out",
				src.Dead)
			return false
		}
		if o.note.Class != "" {
			if c.Opt.Client == nil {
				c.apply(r, disposition{o.note.Class, o.note.Code, word + ": " + o.note.Text, o.note.Do})
			}
			continue
		}
		before := *out
		if setClockWord(out, word, text, v); *out == before {
			c.Ledger.Tell(s, job.FateHolds+"it is so without the word", word)
		}
	}
	if bounded := clamped(*out); bounded != *out {
		r.Note(report.Approximated, "range", "", "a value beyond the output's range is put to its bound")
		*out = bounded
	}
	return true
}

// standard drops what chronyd overlooks in a clock that keeps the clock's rate: it
// numbers its own seconds, of which only the parts count, and is never selected.
// Several would work against each other: the first one counts.
func (c *reader) standard(src *job.Source, out *config.ReferenceClock) {
	if !out.Local {
		return
	}
	r := c.Record(src.Line)
	for _, o := range c.Model.Sources {
		for i := range o.Clocks {
			if o.Clocks[i].Local {
				r.Note(report.Changed, "local-twice", "write local on one line", "chronyd lets two clocks keep its rate, "+
					"which work against each other; here the one of line %d does, and this one is only measured (noselect)", o.Line.Line)
				out.Local, out.NoSelect = false, true
				return
			}
		}
	}
	if out.Prefer || out.Trust || out.Require || out.Lock != 0 || out.TAI {
		out.Prefer, out.Trust, out.Require, out.Lock, out.TAI = false, false, false, 0, false
		r.Note(report.Folded, "local-wins", "delete the other words",
			"local goes before prefer, trust, require, lock and tai: chronyd never selects the clock, and takes the part of the second alone")
	}
}

// set takes an option of chronyd in.
func setClockWord(o *config.ReferenceClock, word, text string, v float64) {
	switch word {
	case "poll":
		o.Poll = int(min(max(v, -99), 99))
	case "dpoll":
		o.DriverPoll = int(min(max(v, -99), 99))
	case "rate":
		o.Rate = int(job.Within(v, -1e6, 1e6))
	case "offset":
		o.Offset = v
	case "delay":
		o.Delay = job.Seconds(v, -1000, 1000)
	case "stratum":
		o.Stratum = int(min(max(v, 0), 99))
	case "precision":
		o.Precision = job.Seconds(v, -1000, 1000)
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
	case "maxdispersion":
		o.MaxDispersion = job.Seconds(v, -1000, 1000)
	case "filter":
		o.Filter = int(atLeastOne(v))
	case "maxlockage":
		o.MaxLockAge = int(atLeastOne(v))
	case "width":
		o.Width = job.Seconds(v, -1000, 1000)
	case "refid":
		o.RefID = job.RefID(text)
	case "lock":
		o.Lock = job.RefID(text)
	case "local":
		o.Local = true
	}
}

// atLeastOne keeps 0, which the output has for its default, out of range.
func atLeastOne(v float64) float64 {
	if v == 0 {
		return -1
	}
	return job.Within(v, -1e7, 1e7)
}

// clamped puts every value into the output's range.
func clamped(o config.ReferenceClock) config.ReferenceClock {
	o.Poll = min(max(o.Poll, job.LeastPoll), job.MostRefclockPoll)
	o.DriverPoll = min(max(o.DriverPoll, job.LeastPoll), o.Poll)
	o.Rate = min(max(o.Rate, 1), 1000)
	o.Stratum = min(o.Stratum, 14)
	o.Offset = job.Within(o.Offset, -3600, 3600)
	o.Delay = min(max(o.Delay, 0), 10*time.Second)
	o.MaxDispersion = min(max(o.MaxDispersion, 0), 16*time.Second)
	o.Width = min(max(o.Width, 0), time.Second)
	if o.Filter != 0 {
		o.Filter = min(max(o.Filter, 1), 256)
	}
	if o.MaxLockAge != 0 {
		o.MaxLockAge = min(max(o.MaxLockAge, 1), 1e6)
	}
	o.Precision = min(max(o.Precision, 1), time.Second)
	return o
}

// locks drops locks to clocks that are not there.
func (c *reader) locks() {
	names := make(map[config.RefID]bool)
	for _, src := range c.Model.Sources {
		for i := range src.Clocks {
			names[src.Clocks[i].RefID] = true
		}
	}
	for _, src := range c.Model.Sources {
		for i := range src.Clocks {
			out := &src.Clocks[i]
			if out.Lock != 0 && (!names[out.Lock] || out.Lock == out.RefID) {
				c.Record(src.Line).Note(report.Approximated, "refclock-lock", "write the refid of the clock that numbers the seconds",
					"there is no clock %s to lock to: the system clock numbers the seconds", out.Lock)
				out.Lock = 0
			}
		}
	}
}
