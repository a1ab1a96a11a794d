package convert

import (
	"math"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/chronyconf"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"time"
)

// chronySlew is chronyd's maxslewrate without a line, ppm.
const chronySlew = 83333.333

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

// chronyValue returns the arguments of the directive that counts; nil is none,
// or one with which chronyd does not start.
func (c *conversion) chronyValue(word string, wanted int) (*syntax.Statement, []float64) {
	s := c.lastOf(word)
	if s == nil {
		return nil, nil
	}
	list, ok := numbersOf(s, wanted)
	if !ok {
		c.record(s).Note(report.Error, "chrony-value", "write the values that chrony.conf(5) names", "chronyd does not start: %s wants %d numbers", word, wanted)
		return nil, nil
	}
	return s, list
}

// chronySteering works out how chronyd steers the clock.
func (c *conversion) chronySteering() {
	if c.start.never != "" {
		c.model.clock.idle = c.start.never
	}
	c.chronySteps()
	c.chronyChange()
	rate, remark := chronySlew, "chronyd's default."
	s, v := c.chronyValue("maxslewrate", 1)
	if s != nil {
		rate, remark = v[0], ""
	}
	clock := c.clock()
	draft.Set(c.draft, &clock.MaxSlewPPM, within(rate, 1, 100000), s).Remark("%s", remark)
	draft.Set(c.draft, &clock.StartSlewPPM, within(rate, 1, 100000), s)
	if s, v := c.chronyValue("maxdistance", 1); s != nil {
		draft.Set(c.draft, &clock.MaxDistance, seconds(v[0], 0.001, 16), s)
	}
	if s, v := c.chronyValue("maxclockerror", 1); s != nil {
		draft.Set(c.draft, &clock.DriftPPM, within(v[0], 0, 500), s)
	}
	if s, v := c.chronyValue("minsources", 1); s != nil {
		draft.Set(c.draft, &clock.MinSources, int(within(v[0], 1, 64)), s)
	}
	if s, v := c.chronyValue("nocerttimecheck", 1); s != nil {
		draft.Set(c.draft, &clock.NoCertTimeCheck, int(within(v[0], 0, 100)), s)
		if v[0] > 0 {
			c.record(s).Note(report.Dangerous, "nocerttimecheck", "delete it, if the clock of this host survives a restart",
				"certificates are taken without their dates until the clock is set: an old one, and its stolen key, count again; here three NTS sources have to agree")
		}
	}
	if s := c.lastOf("authselectmode"); s != nil {
		switch mode := c.authSelect(); mode {
		case "mix", "require", "prefer", "ignore":
			draft.Set(c.draft, &clock.AuthSelect, mode, s)
		default:
			c.record(s).Note(report.Error, "chrony-value", "write mix, require, prefer or ignore", "chronyd does not start with this mode")
		}
	}
	if s := c.lastOf("driftfile"); s != nil {
		if spell.PlainPath(s.Argument()) {
			draft.Set(c.draft, &clock.DriftFile, absolute(s.Argument()), s)
		} else {
			c.record(s).Note(report.Error, "file-name", "give a name", "that is no name of a file")
		}
	}
	c.chronyLeap()
	c.chronySmear()
}

// chronySteps writes makestep: without it, chronyd never steps.
func (c *conversion) chronySteps() {
	step := &c.clock().Step
	s, v := c.chronyValue("makestep", 2)
	start := c.lastOf("initstepslew")
	if s == nil && start != nil {
		if t, ok := numbersOf(start, 1); ok {
			c.record(start).Note(report.Approximated, "initstepslew", "write makestep", "the first update may step, by all sources and not only by those named here")
			draft.Set(c.draft, &step.Threshold, seconds(t[0], 0, longest), start)
			draft.Set(c.draft, &step.Updates, 1)
			return
		}
	} else if start != nil {
		c.record(start).Note(report.Folded, "initstepslew", "delete the line", "makestep does it")
	}
	if s == nil {
		draft.Set(c.draft, &step.Threshold, 0).Remark("Without makestep, chronyd never steps the clock.")
		return
	}
	if v[0] <= 0 || v[1] == 0 {
		// A threshold of nothing steps at every update.
		threshold := time.Duration(0)
		if v[1] != 0 {
			threshold = 1
		}
		draft.Set(c.draft, &step.Threshold, threshold, s)
	} else {
		draft.Set(c.draft, &step.Threshold, seconds(v[0], 1e-9, longest), s)
	}
	if v[1] >= 0 {
		draft.Set(c.draft, &step.Updates, int(within(v[1], 0, 1e6)), s)
		return
	}
	draft.Set(c.draft, &step.Updates, 3, s)
	draft.Set(c.draft, &step.AnyTime, true, s)
	draft.Set(c.draft, &step.Stepout, 0, s)
	c.record(s).Note(report.Approximated, "makestep-always", "write a limit, such as 3", "after the start a step needs several samples, and two sources if there are three: a single one may be wrong")
}

// chronyChange writes maxchange: without it, chronyd follows any offset.
func (c *conversion) chronyChange() {
	clock := c.clock()
	s, v := c.chronyValue("maxchange", 3)
	if s == nil {
		draft.Set(c.draft, &clock.Panic, 0).Remark("Without maxchange, chronyd makes any correction.")
		return
	}
	r := c.record(s)
	r.Note(report.Changed, "maxchange", "", "larger offsets are left alone, and the alarm is served; chronyd ignores some of them, and then exits")
	if v[1] <= 0 {
		draft.Set(c.draft, &clock.Panic, seconds(v[0], 1e-9, longest), s)
		return
	}
	draft.Set(c.draft, &clock.Panic, 0, s)
	draft.Set(c.draft, &clock.MaxChange, seconds(v[0], 1e-9, longest), s)
	if v[1] > 1 {
		r.Note(report.Approximated, "maxchange-start", "", "the limit counts from the first correction on, not from that number %g on", v[1])
	}
}

// chronyLeap writes where leap seconds are known from, and how the clock gets
// one.
func (c *conversion) chronyLeap() {
	if s := c.lastOf("leapsectz"); s != nil {
		c.chronyLeapFile(s, "/usr/share/zoneinfo/"+s.Argument())
	}
	if s := c.lastOf("leapseclist"); s != nil {
		c.chronyLeapFile(s, absolute(s.Argument()))
	}
	s := c.lastOf("leapsecmode")
	if s == nil {
		return
	}
	switch mode := spell.AsciiLower(s.Argument()); mode {
	case "system", "step", "slew", "ignore":
		draft.Set(c.draft, &c.clock().Leap.Mode, mode, s)
	default:
		c.record(s).Note(report.Error, "chrony-value", "write system, step, slew or ignore", "chronyd does not start with this mode")
	}
}

func (c *conversion) chronyLeapFile(s *syntax.Statement, name string) {
	r := c.record(s)
	switch {
	case !spell.PlainPath(s.Argument()):
		r.Note(report.Error, "file-name", "give a name", "that is no name of a file")
	case c.missing(name) && c.missing("/usr/share/zoneinfo/UTC"):
		// The root that was given has no such files at all.
		draft.Set(c.draft, &c.clock().Leap.File, absolute(name), s)
	case c.missing(name):
		r.Note(report.Changed, "leapfile-missing", "install the file, or delete the line", "%s is not there, and is left out; leap seconds are those that the system or the sources know", name)
	default:
		draft.Set(c.draft, &c.clock().Leap.File, absolute(name), s)
	}
}

// chronySmear writes smoothtime, if it is about leap seconds only. Its spline
// is nearest to half a wave of the cosine; its length follows from its limits
// of frequency and wander.
func (c *conversion) chronySmear() {
	s, v := c.chronyValue("smoothtime", 2)
	if s == nil {
		return
	}
	r := c.record(s)
	only := len(s.Options) > 2 && spell.AsciiLower(s.Options[2].Text) == "leaponly"
	if !only {
		r.Note(report.Unsupported, "smoothtime", "point clients that need it at a server of their own",
			"served time is not smoothed, but for leap seconds: clients see corrections as they are made")
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
	c.smear(seconds(math.Round(length), 1, 48*3600), config.PlacementAfter, s)
	if leap := &c.clock().Leap; leap.Mode == config.LeapIgnore {
		leap.Mode = config.LeapSlew
		r.Note(report.Approximated, "smear-ignore", "", "leapsecmode ignore with a smear becomes slew")
	}
	r.Note(report.Dangerous, "leap-smear", "change all servers of a client at once; never mix servers that smear differently",
		"the smear is as long as chronyd's (%gs), but a cosine and no spline: during it, the two differ", seconds(math.Round(length), 1, 48*3600).Seconds())
}

// chronyLocal reads local.
func (c *conversion) chronyLocal() {
	s := c.lastOf("local")
	if s == nil {
		return
	}
	r := c.record(s)
	stratum, orphan := 10.0, false
	bad := ""
	shifted := &syntax.Statement{File: s.File, Line: s.Line, Options: append([]syntax.Option{{}}, s.Options...)}
	c.chronyWords(shifted, func(word string) (byte, func(float64)) {
		switch word {
		case "stratum":
			return 'i', func(v float64) { stratum = v }
		case "orphan":
			return 'f', func(float64) { orphan = true }
		case "distance", "waitsynced", "waitunsynced":
			return 'd', func(float64) {
				r.Note(report.Approximated, "local-distance", "", "%s: the fallback begins when the clock is not synchronised any more", word)
			}
		case "activate":
			return 'd', func(v float64) {
				if v > 0 {
					r.Note(report.Dangerous, "local-activate", "leave fallback_stratum out, if this host may start without its sources",
						"activate: the fallback is served even before the clock was set for the first time")
				}
			}
		}
		return 0, nil
	}, func(why string) { bad = why })
	if bad != "" {
		return
	}
	if stratum < 1 || stratum > 15 {
		r.Note(report.Error, "local", "write 1 to 15", "stratum %g", stratum)
		return
	}
	c.model.localStratum, c.model.localLines = int(stratum), []*syntax.Statement{s}
	if orphan {
		c.model.orphanLocal = true
	}
	r.Note(report.Dangerous, "local-clock", "leave it out, unless clients have to stay together without a source",
		"without a source, time that nobody vouches for is served at stratum %g, and authentication makes it look good", stratum)
}
