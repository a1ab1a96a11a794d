package ntpd

import (
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// thresholds are ntpd's with the lines that set them.
type thresholds struct {
	forward, back, stepout, panic             float64
	forwardLine, backLine, outLine, panicLine *syntax.Statement
	distance                                  float64
	distanceLine                              *syntax.Statement
}

// buildClock works out how ntpd steers the clock.
func (c *reader) buildClock() {
	st := thresholds{forward: job.DefaultStep, back: job.DefaultStep, stepout: job.DefaultStepout, panic: job.DefaultPanic,
		distance: job.DefaultDistance}
	if c.Start.SlewOnly {
		st.forward, st.back = job.SlewOnlyStep, job.SlewOnlyStep
	}
	for _, s := range c.All("tinker") {
		c.buildTinker(s, &st)
	}
	c.buildTos(&st)
	c.poolSizes()
	for _, s := range c.All("disable") {
		if s.Flag("ntp") {
			c.Model.Clock.Idle, c.Model.Clock.IdleLine = "disable ntp", s
		}
	}
	if c.Model.Clock.Idle == "" && c.Start.Never != "" {
		c.Model.Clock.Idle = c.Start.Never
	}
	c.setSteps(&st)
	c.setPanic(&st)
	draft.Set(c.Draft, &c.Clock().MaxDistance, job.Seconds(st.distance, 0.001, 16), st.distanceLine).Remark("%s",
		given(st.distanceLine, "ntpd's default."))
	if st.distance > 16 || st.distance < 0.001 {
		c.Record(st.distanceLine).Note(report.Approximated, "maxdist", "", "the root distance is bounded by 1 ms and 16 s")
	}
	c.buildDrift()
	c.buildLeapFile()
	c.buildSmear()
	c.authMix()
}

// given drops a remark about a default if there is a line.
func given(line *syntax.Statement, remark string) string {
	if line != nil {
		return ""
	}
	return remark
}

// setSteps writes when the clock is stepped.
func (c *reader) setSteps(st *thresholds) {
	threshold := max(st.forward, st.back)
	if st.forward <= 0 || st.back <= 0 {
		threshold = 0
	}
	if st.forward != st.back && !(st.forward <= 0 && st.back <= 0) {
		for _, s := range []*syntax.Statement{st.forwardLine, st.backLine} {
			if s != nil {
				c.Record(s).Note(report.Approximated, "step-directions", "",
					"there is one threshold for steps forward and back: the one with fewer steps, %gs", threshold)
			}
		}
	}
	remark := "ntpd's default: larger offsets are stepped at once at the start, and later when they stood for stepout."
	switch {
	case c.Start.SlewOnly && st.forwardLine == nil:
		remark = "ntpd -x."
	case st.forwardLine != nil || st.backLine != nil:
		remark = ""
	}
	step := &c.Clock().Step
	draft.Set(c.Draft, &step.Threshold, c.BoundedSeconds(st.forwardLine, "step", threshold, 0, job.Longest), st.forwardLine, st.backLine).Remark("%s", remark)
	if threshold == 0 {
		if st.outLine != nil {
			c.Record(st.outLine).Note(report.Folded, "stepout", "delete the word", "with step 0 nothing is stepped, after whatever time")
		}
		return
	}
	draft.Set(c.Draft, &step.Updates, 1)
	draft.Set(c.Draft, &step.AnyTime, true)
	draft.Set(c.Draft, &step.Stepout, c.BoundedSeconds(st.outLine, "stepout", max(st.stepout, job.DefaultStepout), 0, 86400), st.outLine)
	if st.outLine != nil && st.stepout < job.DefaultStepout {
		c.Record(st.outLine).Note(report.Folded, "stepout", "", "ntpd takes %d s at least", job.DefaultStepout)
	}
}

// setPanic writes from which offset on the clock is left alone.
func (c *reader) setPanic(st *thresholds) {
	clock := c.Clock()
	switch {
	case st.panic <= 0:
		draft.Set(c.Draft, &clock.Panic, 0, st.panicLine)
		c.Record(st.panicLine).Note(report.Dangerous, "panic-off",
			"delete it, and write clock.panic_once: true, which allows one large step at the start",
			"panic 0 lets the sources move the clock by any amount at any time")
		return
	case st.panicLine != nil:
		draft.Set(c.Draft, &clock.Panic, c.BoundedSeconds(st.panicLine, "panic", st.panic, 0.001, job.Longest), st.panicLine)
	default:
		draft.Set(c.Draft, &clock.Panic, job.Seconds(st.panic, 0.001, job.Longest)).
			Remark("ntpd's default. ntpd exits above it; here the clock is left alone and the alarm is served.")
	}
	once := false
	remark := "How ntpd was started is not known; true is what ntpd -g does, with which most distributions start it."
	if c.Start.Known {
		remark = "ntpd was started without -g."
		if c.Start.PanicOnce {
			once, remark = true, "ntpd -g."
		}
	}
	draft.Set(c.Draft, &clock.PanicOnce, once).Remark("%s", remark)
	if c.Start.Known || !c.Steers() {
		return
	}
	c.Report.Note(report.Changed, "panic-once",
		"give ntpd's command line with --daemon-options '-g', or the host's root directory with --root",
		"how ntpd was started is not known: without -g it exits if the clock is off by more than the panic threshold at the start, and here the alarm is served then")
}

// buildTinker reads the options of tinker: last ones count.
func (c *reader) buildTinker(s *syntax.Statement, st *thresholds) {
	r := c.Record(s)
	for _, o := range c.Live(s) {
		v := o.Number()
		switch o.Name {
		case "panic":
			st.panic, st.panicLine = v, s
		case "step":
			st.forward, st.back, st.forwardLine, st.backLine = v, v, s, s
		case "stepfwd":
			st.forward, st.forwardLine = v, s
		case "stepback":
			st.back, st.backLine = v, s
		case "stepout":
			st.stepout, st.outLine = v, s
		case "dispersion":
			draft.Set(c.Draft, &c.Clock().DriftPPM, c.Bounded(s, "dispersion", v, 0.001, 500), s)
		case "freq":
			r.Note(report.Approximated, "freq", "", "the frequency is measured anew at the first start, in place of the %s ppm given",
				spell.Printable(o.Text))
		case "huffpuff":
			r.Note(report.Approximated, "huffpuff", "", "answers are weighed by their delay always: no filter has to be asked for")
		default:
			r.Note(report.Obsolete, "tinker-"+o.Name, "", "tinker %s belongs to ntpd's loop", o.Name)
		}
	}
}

// buildTos reads the options of tos; orphan has its place.
func (c *reader) buildTos(st *thresholds) {
	for _, s := range c.All("tos") {
		r := c.Record(s)
		for _, o := range c.Live(s) {
			switch o.Name {
			case "orphan":
				c.orphanLine(s, o)
			case "maxdist":
				st.distance, st.distanceLine = o.Number(), s
			case "minsane":
				c.minSane(s, o.Int)
			case "maxclock":
				c.Model.MaxClock, c.Model.MaxClockLine = int(min(max(o.Int, 1), 1000)), s
			default:
				c.tosOther(s, r, o)
			}
		}
	}
}

func (c *reader) minSane(s *syntax.Statement, n int64) {
	draft.Set(c.Draft, &c.Clock().MinSources, int(min(max(n, 1), 64)), s)
	if n < 1 || n > 64 {
		c.Record(s).Note(report.Approximated, "minsane", "",
			"tos minsane is bounded by 1 and 64: with 0 ntpd would set the clock without any source that agrees")
	}
}

// tosOther tells of the options that the discipline does not have.
func (c *reader) tosOther(s *syntax.Statement, r *report.Record, o syntax.Option) {
	switch o.Name {
	case "orphanwait":
		wait := c.BoundedSeconds(s, "orphanwait", o.Number(), 0, 240*3600)
		draft.Set(c.Draft, &c.Clock().FallbackWait, wait, s)
		draft.Set(c.Draft, &c.Clock().FallbackWaitStart, wait, s)
	case "minclock", "mindist":
		r.Note(report.Folded, "tos-cluster", "", "sources that agree are weighed by their errors: none has to be dropped")
	case "floor", "ceiling":
		if o.Name == "floor" && o.Int <= 1 || o.Name == "ceiling" && o.Int >= 15 {
			r.Note(report.Obsolete, "tos-"+o.Name, "", "tos %s %d refuses nothing", o.Name, o.Int)
			return
		}
		r.Note(report.Unsupported, "tos-"+o.Name, "name only sources of the strata that are wanted",
			"sources are not refused for their stratum (tos %s %d)", o.Name, o.Int)
	case "cohort":
		r.Note(report.Folded, "tos-cohort", "", "sources of the same stratum are followed as others are")
	default:
		r.Note(report.Obsolete, "tos-"+o.Name, "", "tos %s is not needed", o.Name)
	}
}

func (c *reader) orphanLine(s *syntax.Statement, o syntax.Option) {
	r := c.Record(s)
	switch {
	case o.Int < 1 || o.Int > 15:
		r.Note(report.Folded, "orphan-off", "", "orphan %d is off", o.Int)
	case c.Model.LocalStratum > 0:
		r.Note(report.Folded, "orphan-local", "", "the local clock goes before the orphans: its stratum counts")
	default:
		r.Note(report.Dangerous, "orphan", "leave it out, unless clients have to stay together without a source",
			"without a source, time that nobody vouches for is served at stratum %d, and authentication makes it look good", o.Int)
	}
}

// buildDrift writes the drift file.
func (c *reader) buildDrift() {
	s := c.LastOf("driftfile")
	if s == nil {
		if spell.PlainPath(c.Start.Drift) {
			draft.Set(c.Draft, &c.Clock().DriftFile, job.Absolute(c.Start.Drift)).Remark("ntpd -f.")
		}
		return
	}
	r := c.Record(s)
	if len(s.Options) > 1 {
		r.Note(report.Folded, "nonvolatile", "", "the second value is an old form of nonvolatile, which is not needed")
	}
	switch name := s.Argument(); {
	case name == "":
		r.Note(report.Folded, "driftfile-none", "", "driftfile without a name: no drift file")
	case !spell.PlainPath(name):
		r.Note(report.Error, "file-name", "give a name", "that is no name of a file")
	default:
		draft.Set(c.Draft, &c.Clock().DriftFile, job.Absolute(name), s)
	}
}

// buildLeapFile writes the list of leap seconds.
func (c *reader) buildLeapFile() {
	s := c.LastOf("leapfile")
	if s == nil {
		return
	}
	r := c.Record(s)
	if !spell.PlainPath(s.Argument()) {
		r.Note(report.Error, "file-name", "give a name", "that is no name of a file")
		return
	}
	if s.Flag("ignorehash") {
		r.Note(report.Dangerous, "ignorehash", "get a list with a correct hash",
			"ignorehash lets a damaged leap second list pass; here the hash is checked, and such a list is not used")
	}
	name := job.Absolute(s.Argument())
	if c.Missing(name) {
		r.Note(report.Changed, "leapfile-missing", "get the list, or delete the line",
			"%s is not there, and is left out; leap seconds are those that the system or the sources know", name)
		return
	}
	c.Model.LeapFile = s
	draft.Set(c.Draft, &c.Clock().Leap.File, name, s)
}

// buildSmear writes how ntpd smears a leap second: over the interval that
// ends with it, by half a wave of the cosine (README.leapsmear).
func (c *reader) buildSmear() {
	s := c.LastOf("leapsmearinterval")
	if s == nil {
		return
	}
	r, v := c.Record(s), s.Options[0].Int
	if _, notRun := c.running[s.Place()]; notRun {
		return
	}
	if v <= 0 {
		r.Note(report.Folded, "leap-smear-off", "delete the line", "leapsmearinterval %d is off", v)
		return
	}
	c.Smear(job.Seconds(float64(v), 1, 48*3600), config.PlacementBefore, s)
	if v > 48*3600 {
		r.Note(report.Approximated, "leap-smear-long", "", "the smear is at most 48 hours long")
	}
	r.Note(report.Dangerous, "leap-smear", "delete it, unless the old server really smeared; never mix servers that smear with others",
		"leap seconds are smeared from now on; ntpd does that only if it was built for it, which Debian's is not")
}

// authMix keeps that ntpd makes no difference between sources with and without
// authentication.
func (c *reader) authMix() {
	authenticated, plain := false, false
	for _, src := range c.Model.Sources {
		if src.Left != "" || src.Refclock != nil || src.NoSelect || src.Kind == "broadcast" {
			continue
		}
		if src.Nts || src.Key != 0 {
			authenticated = true
		} else {
			plain = true
		}
	}
	if !authenticated || !plain {
		return
	}
	draft.Set(c.Draft, &c.Clock().AuthSelect, config.AuthSelectIgnore).
		Remark("ntpd makes no difference between sources with and without authentication. mix is safer.")
	c.Report.Note(report.Changed, "mixed-sources", "write clock.auth_select: mix, or authenticate all sources",
		"sources without authentication have as much of a say as those with it: whoever forges enough of them sets the clock, as before")
}

// poolSizes gives each pool of an ntp.conf its part of tos maxclock, of which
// other associations and the pools themselves take one each.
func (c *reader) poolSizes() {
	m := &c.Model
	if m.MaxClock == 0 {
		m.MaxClock = job.DefaultMaxClock
	}
	var pools []*job.Source
	free := m.MaxClock
	for _, src := range m.Sources {
		if src.Left != "" {
			continue
		}
		free--
		if src.Kind == "pool" {
			pools = append(pools, src)
		}
	}
	for i, src := range pools {
		src.MaxSources = min(max((free+len(pools)-1-i)/len(pools), 1), 16)
	}
	switch {
	case len(pools) == 0:
		if m.MaxClockLine != nil {
			c.Record(m.MaxClockLine).Note(report.Folded, "maxclock", "", "maxclock counts for pools, and there is none")
		}
	case free < len(pools) || free > 16*len(pools):
		c.Record(pools[0].Line).Note(report.Approximated, "maxclock", "",
			"a pool has 1 to 16 sources, and tos maxclock would make it %d for %d of them", max(free, 0), len(pools))
	}
}
