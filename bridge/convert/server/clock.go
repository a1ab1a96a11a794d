package server

import (
	"fmt"
	"slices"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
)

// emitClock writes where time comes from: the sources, the local clock if that
// is all there is, or the clock that another program steers.
func (c *writer) emitClock() {
	clock := c.Clock()
	steers := c.Steers()
	c.noteManual(steers)
	switch {
	case steers && c.Model.Followed == 0:
		draft.Set(c.Draft, &clock.Mode, config.ClockDiscipline, c.Model.Manual).
			Remark("There is no source: the clock is set by hand (ntsbridge settime, chronyc settime).")
	case steers:
		draft.Set(c.Draft, &clock.Mode, config.ClockDiscipline).Remark("The sources below are followed, as %s did.", c.Daemon())
	case c.Model.Followed == 0 && c.Model.LocalStratum > 0:
		draft.Set(c.Draft, &clock.Mode, config.ClockLocal, c.Model.LocalLines...).Remark("There is no source but the clock of this host.")
		draft.Set(c.Draft, &clock.Stratum, c.Model.LocalStratum, c.Model.LocalLines...)
		c.Record(c.Model.LocalLines[0]).Note(report.Changed, "mode-local",
			fmt.Sprintf("to have it set by hand (ntsbridge settime), write clock.mode: discipline and clock.fallback_stratum: %d", c.Model.LocalStratum),
			"clock.mode: local serves the system clock at stratum %d whatever its state, and never sets or steers it", c.Model.LocalStratum)
		if c.Dialect == "chrony" {
			c.Record(c.Model.LocalLines[0]).Note(report.Dangerous, "local-clock", "name a source, unless this network is cut off from all",
				"there is no source: nobody vouches for the time that is served all the time, and authentication makes it look good")
		}
		if c.Model.OrphanLocal {
			c.noteOrphanAlone()
		}
		c.dropSteering()
		c.bySteering()
		return
	case c.Model.Clock.Idle != "":
		draft.Set(c.Draft, &clock.Mode, config.ClockObserve, c.Model.Clock.IdleLine).
			Remark("%s does not steer the clock: another program does, and this one serves it.", c.Daemon())
		c.Report.Note(report.Changed, "not-steered", "let another program keep the clock, or write clock.mode: discipline",
			"%s: the clock is served as another program keeps it, and only while the kernel calls it synchronised", c.Model.Clock.Idle)
	default:
		draft.Set(c.Draft, &clock.Mode,
			config.ClockObserve).Remark("There is no source to follow: the clock is served as another program keeps it.")
		c.Report.Note(report.Changed, "no-source", "name a source, and write clock.mode: discipline",
			"there is no source that could be followed: the clock is served as another program keeps it, and only while the kernel calls it synchronised")
	}
	c.emitFallback(steers)
	c.bySteering()
	if !steers {
		c.dropSteering()
	}
}

// noteManual says what becomes of settime.
func (c *writer) noteManual(steers bool) {
	if c.Model.Manual == nil {
		return
	}
	r := c.Record(c.Model.Manual)
	switch {
	case !steers:
		r.Note(report.Unsupported, "manual", "write clock.mode: discipline, and clock.fallback_stratum if nothing is followed",
			"the clock is not this program's to set: settime is refused")
	default:
		r.Note(report.Changed, "manual", "",
			"settime (ntsbridge's and chronyc's) sets the clock while no source is followed; its rate is not learned from that")
	}
}

func (c *writer) noteOrphanAlone() {
	c.Record(c.Model.LocalLines[0]).Note(report.Folded, "orphan-alone", "to keep several gateways together, name the others as sources of each",
		"there is no source whose loss orphan would wait for")
}

// bySteering tells of lines whose meaning depends on where time comes from.
func (c *writer) bySteering() {
	for _, s := range c.All("rtcsync") {
		if c.Steers() {
			c.Record(s).Note(report.Folded, "rtcsync", "", "the kernel sets the hardware clock while the clock is synchronised")
		} else {
			c.Record(s).Note(report.Changed, "rtcsync", "set the hardware clock by another program (hwclock --systohc)",
				"the clock is not steered from here, so that the kernel does not set the hardware clock because of it")
		}
	}
	for _, s := range c.All("hwtimestamp") {
		text := "sources are measured and clients answered with the network card's timestamps, where it has them"
		if c.Model.Followed == 0 {
			text = "clients are answered with the network card's timestamps, where it has them"
		}
		c.Record(s).Note(report.Folded, "hwtimestamp", "", "%s: check tells where not", text)
	}
}

// emitFallback writes the stratum to fall back to.
func (c *writer) emitFallback(steers bool) {
	m, clock := &c.Model, c.Clock()
	orphan := m.Orphan != nil && m.OrphanValue >= 1 && m.OrphanValue <= 15
	stratum, lines := m.LocalStratum, m.LocalLines
	switch {
	case stratum > 0 && orphan:
		c.Record(m.Orphan).Note(report.Approximated, "orphan-and-local", "",
			"the local clock's stratum, %d, is taken for both", m.LocalStratum)
	case orphan:
		stratum, lines = m.OrphanValue, job.One(m.Orphan)
	}
	if stratum == 0 {
		return
	}
	if c.Dialect == "chrony" {
		c.Record(lines[0]).Note(report.Dangerous, "local-clock", "leave it out, unless clients have to stay together without a source",
			"without a source, time that nobody vouches for is served at stratum %d, and authentication makes it look good", stratum)
	}
	draft.Set(c.Draft, &clock.FallbackStratum, stratum, lines...)
	switch {
	case !steers:
	case orphan:
		draft.Set(c.Draft, &clock.Orphan, true, m.Orphan)
	case m.OrphanLocal && m.Followed == 0:
		c.noteOrphanAlone()
	case m.OrphanLocal:
		draft.Set(c.Draft, &clock.Orphan, true, m.LocalLines...)
	}
}

// dropSteering takes back the options that count only while the clock is
// steered; those about what is served stay.
func (c *writer) dropSteering() {
	clock, standard := c.Clock(), config.Default().Clock
	lines := slices.Concat(
		draft.Drop(c.Draft, &clock.FallbackDistance, standard.FallbackDistance),
		draft.Drop(c.Draft, &clock.FallbackActivate, standard.FallbackActivate),
		draft.Drop(c.Draft, &clock.FallbackWait, standard.FallbackWait),
		draft.Drop(c.Draft, &clock.FallbackWaitStart, standard.FallbackWaitStart),
		draft.Drop(c.Draft, &clock.MaxDriftPPM, standard.MaxDriftPPM),
		draft.Drop(c.Draft, &clock.Smooth, standard.Smooth),
		draft.Drop(c.Draft, &clock.Step, standard.Step),
		draft.Drop(c.Draft, &clock.Panic, standard.Panic),
		draft.Drop(c.Draft, &clock.PanicOnce, standard.PanicOnce),
		draft.Drop(c.Draft, &clock.MaxChange, standard.MaxChange),
		draft.Drop(c.Draft, &clock.MaxSlewPPM, standard.MaxSlewPPM),
		draft.Drop(c.Draft, &clock.StartSlewPPM, standard.StartSlewPPM),
		draft.Drop(c.Draft, &clock.MaxDistance, standard.MaxDistance),
		draft.Drop(c.Draft, &clock.MinSources, standard.MinSources),
		draft.Drop(c.Draft, &clock.AuthSelect, standard.AuthSelect),
		draft.Drop(c.Draft, &clock.NoCertTimeCheck, standard.NoCertTimeCheck),
		draft.Drop(c.Draft, &clock.DriftFile, standard.DriftFile),
		draft.Drop(c.Draft, &clock.Leap.Mode, standard.Leap.Mode))
	for _, s := range lines {
		c.Record(s).Note(report.Folded, "not-steering", "", "the clock is not steered: there is nothing to set")
	}
}
