package chronyd

import (
	"math"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/chronyconf"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// defaultSlew is chronyd's maxslewrate without a line, ppm.
const defaultSlew = 83333.333

// numbersOf reads the arguments of a directive as numbers; ok is false if there
// are fewer than wanted, or one is none.
func numbersOf(s *syntax.Statement, wanted int) (list []float64, ok bool) {
	for i := range wanted {
		if i >= len(s.Options) {
			return nil, false
		}
		v, ok := chronyconf.Prefix('d', s.Options[i].Text)
		if !ok {
			return nil, false
		}
		list = append(list, v)
	}
	return list, true
}

// value returns the arguments of the directive that counts; nil is none,
// or one with which chronyd does not start.
func (c *reader) value(word string, wanted int) (*syntax.Statement, []float64) {
	s := c.LastOf(word)
	if s == nil {
		return nil, nil
	}
	list, ok := numbersOf(s, wanted)
	if !ok {
		c.Record(s).Note(report.Error, "chrony-value", "write the values that chrony.conf(5) names",
			"chronyd does not start: %s wants %d numbers", word, wanted)
		return nil, nil
	}
	return s, list
}

// steering works out how chronyd steers the clock.
func (c *reader) steering() {
	if c.Start.Never != "" {
		c.Model.Clock.Idle = c.Start.Never
	}
	c.steps()
	c.change()
	rate, remark := defaultSlew, "chronyd's default."
	s, v := c.value("maxslewrate", 1)
	if s != nil {
		rate, remark = v[0], ""
	}
	clock := c.Clock()
	rate = c.Bounded(s, "maxslewrate", rate, 1, 90000)
	draft.Set(c.Draft, &clock.MaxSlewPPM, rate, s).Remark("%s", remark)
	draft.Set(c.Draft, &clock.StartSlewPPM, rate, s)
	if s, v := c.value("maxdistance", 1); s != nil {
		draft.Set(c.Draft, &clock.MaxDistance, c.BoundedSeconds(s, "maxdistance", v[0], 0.001, 16), s)
	}
	if s, v := c.value("maxclockerror", 1); s != nil {
		draft.Set(c.Draft, &clock.DriftPPM, c.Bounded(s, "maxclockerror", v[0], 0.001, 500), s)
	}
	if s, v := c.value("minsources", 1); s != nil {
		draft.Set(c.Draft, &clock.MinSources, int(c.Bounded(s, "minsources", v[0], 1, 64)), s)
	}
	if s, v := c.value("nocerttimecheck", 1); s != nil {
		draft.Set(c.Draft, &clock.NoCertTimeCheck, int(c.Bounded(s, "nocerttimecheck", v[0], 0, 100)), s)
		if v[0] > 0 {
			c.Record(s).Note(report.Dangerous, "nocerttimecheck", "delete it, if the clock of this host survives a restart",
				"certificates are taken without their dates until the clock is set: an old one, and its stolen key, count again; here three NTS sources have to agree")
		}
	}
	if s := c.LastOf("authselectmode"); s != nil {
		switch mode := c.authSelect(); mode {
		case "mix", "require", "prefer", "ignore":
			draft.Set(c.Draft, &clock.AuthSelect, mode, s)
		default:
			c.Record(s).Note(report.Error, "chrony-value", "write mix, require, prefer or ignore", "chronyd does not start with this mode")
		}
	}
	if s := c.LastOf("driftfile"); s != nil {
		if len(s.Options) > 1 {
			c.Record(s).Note(report.Folded, "drift-interval", "", "the drift file is written when the frequency changes, not by an interval")
		}
		if spell.PlainPath(s.Argument()) {
			draft.Set(c.Draft, &clock.DriftFile, job.Absolute(s.Argument()), s)
		} else {
			c.Record(s).Note(report.Error, "file-name", "give a name", "that is no name of a file")
		}
	}
	if s, v := c.value("maxdrift", 1); s != nil {
		draft.Set(c.Draft, &clock.MaxDriftPPM, c.Bounded(s, "maxdrift", v[0], 1, 50000), s)
	}
	c.leap()
	c.smear()
}

// steps writes makestep: without it, chronyd never steps.
func (c *reader) steps() {
	step := &c.Clock().Step
	s, v := c.value("makestep", 2)
	start := c.LastOf("initstepslew")
	if s == nil && start != nil {
		if t, ok := numbersOf(start, 1); ok {
			c.Record(start).Note(report.Approximated, "initstepslew", "write makestep",
				"the first update may step, by all sources and not only by those named here")
			draft.Set(c.Draft, &step.Threshold, c.BoundedSeconds(start, "the threshold", t[0], 0, job.Longest), start)
			draft.Set(c.Draft, &step.Updates, 1)
			return
		}
	} else if start != nil {
		c.Record(start).Note(report.Folded, "initstepslew", "delete the line", "makestep does it")
	}
	if s == nil {
		draft.Set(c.Draft, &step.Threshold, 0).Remark("Without makestep, chronyd never steps the clock.")
		return
	}
	if v[0] <= 0 || v[1] == 0 {
		// A threshold of nothing steps at every update.
		threshold := time.Duration(0)
		if v[1] != 0 {
			threshold = 1
		}
		draft.Set(c.Draft, &step.Threshold, threshold, s)
	} else {
		draft.Set(c.Draft, &step.Threshold, c.BoundedSeconds(s, "the threshold", v[0], 1e-9, job.Longest), s)
	}
	if v[1] >= 0 {
		draft.Set(c.Draft, &step.Updates, int(c.Bounded(s, "the number of updates", v[1], 0, 1e6)), s)
		return
	}
	draft.Set(c.Draft, &step.Updates, 3, s)
	draft.Set(c.Draft, &step.AnyTime, true, s)
	draft.Set(c.Draft, &step.Stepout, 0, s)
	c.Record(s).Note(report.Approximated, "makestep-always", "write a limit, such as 3",
		"after the start a step needs several samples, and two sources if there are three: a single one may be wrong")
}

// change writes maxchange: without it, chronyd follows any offset.
func (c *reader) change() {
	clock := c.Clock()
	s, v := c.value("maxchange", 3)
	if s == nil {
		draft.Set(c.Draft, &clock.Panic, 0).Remark("Without maxchange, chronyd makes any correction.")
		return
	}
	r := c.Record(s)
	r.Note(report.Changed, "maxchange", "",
		"larger offsets are left alone, and the alarm is served; chronyd ignores some of them, and then exits")
	if v[1] <= 0 {
		draft.Set(c.Draft, &clock.Panic, c.BoundedSeconds(s, "maxchange", v[0], 1e-9, job.Longest), s)
		return
	}
	draft.Set(c.Draft, &clock.Panic, 0, s)
	draft.Set(c.Draft, &clock.MaxChange, c.BoundedSeconds(s, "maxchange", v[0], 1e-9, job.Longest), s)
	if v[1] > 1 {
		r.Note(report.Approximated, "maxchange-start", "", "the limit counts from the first correction on, not from that number %g on",
			v[1])
	}
}

// leap writes where leap seconds are known from, and how the clock gets
// one.
func (c *reader) leap() {
	if s := c.LastOf("leapsectz"); s != nil {
		c.leapFile(s, "/usr/share/zoneinfo/"+s.Argument())
	}
	if s := c.LastOf("leapseclist"); s != nil {
		c.leapFile(s, job.Absolute(s.Argument()))
	}
	s := c.LastOf("leapsecmode")
	if s == nil {
		return
	}
	switch mode := spell.AsciiLower(s.Argument()); mode {
	case "system", "step", "slew", "ignore":
		draft.Set(c.Draft, &c.Clock().Leap.Mode, mode, s)
	default:
		c.Record(s).Note(report.Error, "chrony-value", "write system, step, slew or ignore", "chronyd does not start with this mode")
	}
}

func (c *reader) leapFile(s *syntax.Statement, name string) {
	r := c.Record(s)
	switch {
	case !spell.PlainPath(s.Argument()):
		r.Note(report.Error, "file-name", "give a name", "that is no name of a file")
	case c.Missing(name) && c.Missing("/usr/share/zoneinfo/UTC"):
		// The root that was given has no such files at all.
		draft.Set(c.Draft, &c.Clock().Leap.File, job.Absolute(name), s)
	case c.Missing(name):
		r.Note(report.Changed, "leapfile-missing", "install the file, or delete the line",
			"%s is not there, and is left out; leap seconds are those that the system or the sources know", name)
	default:
		draft.Set(c.Draft, &c.Clock().Leap.File, job.Absolute(name), s)
	}
}

// smear writes smoothtime, if it is about leap seconds only. Its spline
// is nearest to half a wave of the cosine; its length follows from its limits
// of frequency and wander.
func (c *reader) smear() {
	s, v := c.value("smoothtime", 2)
	if s == nil {
		return
	}
	r := c.Record(s)
	only := len(s.Options) > 2 && spell.AsciiLower(s.Options[2].Text) == "leaponly"
	if !only {
		smooth := &c.Clock().Smooth
		draft.Set(c.Draft, &smooth.MaxRatePPM, c.Bounded(s, "the rate", v[0], 0, 2000), s)
		draft.Set(c.Draft, &smooth.MaxWanderPPM, c.Bounded(s, "the wander", v[1], 0.0001, 100), s)
		return
	}
	frequency, wander := v[0]*1e-6, v[1]*1e-6
	if !(frequency > 0 && wander > 0) {
		r.Note(report.Error, "smoothtime", "write two positive numbers", "these limits smear nothing")
		return
	}
	length := math.Sqrt(4 / wander)
	if wander*length/2 > frequency {
		length = 1/frequency + frequency/wander
	}
	c.Smear(c.BoundedSeconds(s, "the length of the smear", math.Round(length), 1, 48*3600), config.PlacementAfter, s)
	if leap := &c.Clock().Leap; leap.Mode == config.LeapIgnore {
		leap.Mode = config.LeapSlew
		r.Note(report.Approximated, "smear-ignore", "", "leapsecmode ignore with a smear becomes slew")
	}
	r.Note(report.Dangerous, "leap-smear", "change all servers of a client at once; never mix servers that smear differently",
		"the smear is as long as chronyd's (%gs), but a cosine and no spline: during it, the two differ",
		job.Seconds(math.Round(length), 1, 48*3600).Seconds())
}

// manual reads manual: settime needs no permission here.
func (c *reader) manual() { c.Model.Manual = c.LastOf("manual") }

// local reads local.
func (c *reader) local() {
	s := c.LastOf("local")
	if s == nil {
		return
	}
	r := c.Record(s)
	stratum, orphan := 10.0, false
	clock := c.Clock()
	bad := ""
	shifted := &syntax.Statement{File: s.File, Line: s.Line, Options: append([]syntax.Option{{}}, s.Options...)}
	c.words(shifted, func(word string) (byte, func(float64)) {
		switch word {
		case "stratum":
			return 'i', func(v float64) { stratum = v }
		case "orphan":
			return 'f', func(float64) { orphan = true }
		case "distance":
			return 'd', func(v float64) {
				draft.Set(c.Draft, &clock.FallbackDistance, c.BoundedSeconds(s, "distance", v, 1e-6, 16), s)
			}
		case "activate":
			return 'd', func(v float64) {
				draft.Set(c.Draft, &clock.FallbackActivate, c.BoundedSeconds(s, "activate", v, 0, 16), s)
			}
		case "waitsynced":
			return 'd', func(v float64) {
				draft.Set(c.Draft, &clock.FallbackWait, c.BoundedSeconds(s, "waitsynced", v, 0, 240*3600), s)
			}
		case "waitunsynced":
			return 'd', func(v float64) {
				draft.Set(c.Draft, &clock.FallbackWaitStart, c.BoundedSeconds(s, "waitunsynced", v, 0, 240*3600), s)
			}
		}
		return 0, nil
	}, func(why string) { bad = why })
	if bad != "" {
		return
	}
	if stratum < 1 || stratum > 15 {
		r.Note(report.Error, "local", "write 1 to 15", "chronyd does not start: stratum %g is no stratum; the line is left out", stratum)
		return
	}
	c.Model.LocalStratum, c.Model.LocalLines = int(stratum), []*syntax.Statement{s}
	if orphan {
		c.Model.OrphanLocal = true
	}
}
