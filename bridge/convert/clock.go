package convert

import (
	"slices"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/syntax"
)

// clockModel is how the daemon steers the clock. The options are in the draft.
type clockModel struct {
	// idle is why the daemon does not steer, and idleLine where that stands;
	// empty: it does, if it has sources.
	idle     string
	idleLine *syntax.Statement
}

// clock are the options of the section clock.
func (c *conversion) clock() *config.Clock { return &c.draft.Config.Clock }

// steers reports whether the output steers the clock: the daemon did, and there
// is something to follow.
func (c *conversion) steers() bool { return c.model.clock.idle == "" && c.model.followed > 0 }

// emitClock writes where time comes from: the sources, the local clock if that
// is all there is, or the clock that another program steers.
func (c *conversion) emitClock() {
	clock := c.clock()
	steers := c.steers()
	switch {
	case steers:
		draft.Set(c.draft, &clock.Mode, config.ClockDiscipline).Remark("The sources below are followed, as %s did.", c.daemon())
	case c.model.followed == 0 && c.model.localStratum > 0:
		draft.Set(c.draft, &clock.Mode, config.ClockLocal, c.model.localLines...).Remark("There is no source but the clock of this host.")
		draft.Set(c.draft, &clock.Stratum, c.model.localStratum)
		c.dropSteering()
		return
	case c.model.clock.idle != "":
		draft.Set(c.draft, &clock.Mode, config.ClockObserve, c.model.clock.idleLine).
			Remark("%s does not steer the clock: another program does, and this one serves it.", c.daemon())
		c.report.Note(report.Changed, "not-steered", "let another program keep the clock, or write clock.mode: discipline",
			"%s: the clock is served as another program keeps it, and only while the kernel calls it synchronised", c.model.clock.idle)
	default:
		draft.Set(c.draft, &clock.Mode, config.ClockObserve).Remark("There is no source to follow: the clock is served as another program keeps it.")
		c.report.Note(report.Changed, "no-source", "name a source, and write clock.mode: discipline",
			"there is no source that could be followed: the clock is served as another program keeps it, and only while the kernel calls it synchronised")
	}
	c.emitFallback(steers)
	if !steers {
		c.dropSteering()
	}
}

// emitFallback writes the stratum to fall back to.
func (c *conversion) emitFallback(steers bool) {
	m, clock := &c.model, c.clock()
	orphan := m.orphan != nil && m.orphanValue >= 1 && m.orphanValue <= 15
	stratum, lines := m.localStratum, m.localLines
	switch {
	case stratum > 0 && orphan:
		c.record(m.orphan).Note(report.Approximated, "orphan-and-local", "", "the local clock's stratum is taken for both")
	case orphan:
		stratum, lines = m.orphanValue, one(m.orphan)
	}
	if stratum == 0 {
		return
	}
	draft.Set(c.draft, &clock.FallbackStratum, stratum, lines...)
	switch {
	case !steers:
	case orphan:
		draft.Set(c.draft, &clock.Orphan, true, m.orphan)
	case m.orphanLocal:
		draft.Set(c.draft, &clock.Orphan, true, m.localLines...)
	}
}

// dropSteering takes back the options that count only while the clock is
// steered; those about what is served stay.
func (c *conversion) dropSteering() {
	clock, standard := c.clock(), config.Default().Clock
	lines := slices.Concat(
		draft.Drop(c.draft, &clock.Step, standard.Step),
		draft.Drop(c.draft, &clock.Panic, standard.Panic),
		draft.Drop(c.draft, &clock.PanicOnce, standard.PanicOnce),
		draft.Drop(c.draft, &clock.MaxChange, standard.MaxChange),
		draft.Drop(c.draft, &clock.MaxSlewPPM, standard.MaxSlewPPM),
		draft.Drop(c.draft, &clock.StartSlewPPM, standard.StartSlewPPM),
		draft.Drop(c.draft, &clock.MaxDistance, standard.MaxDistance),
		draft.Drop(c.draft, &clock.MinSources, standard.MinSources),
		draft.Drop(c.draft, &clock.AuthSelect, standard.AuthSelect),
		draft.Drop(c.draft, &clock.NoCertTimeCheck, standard.NoCertTimeCheck),
		draft.Drop(c.draft, &clock.DriftFile, standard.DriftFile),
		draft.Drop(c.draft, &clock.Leap.Mode, standard.Leap.Mode))
	for _, s := range lines {
		c.record(s).Note(report.Folded, "not-steering", "", "the clock is not steered: there is nothing to set")
	}
}
