package client

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/syntax"
)

// kept are the directives of chrony.conf that a chronyd which is a client needs
// as they are: how it steers the clock, its files and its logs.
var kept = strings.Fields(`makestep maxchange maxslewrate maxdistance maxclockerror corrtimeratio maxupdateskew maxdrift maxjitter
	combinelimit reselectdist stratumweight minsamples maxsamples fallbackdrift maxstratum minstratum clockprecision
	leapsectz leapseclist leapsecmode rtcsync rtcfile rtcdevice rtconutc rtcautotrim hwclockfile hwtimestamp hwtstimeout tempcomp
	lock_all sched_priority user log logdir logbanner logchange mailonchange dumpdir dumponexit pidfile driftfile
	bindacqaddress bindacqdevice acquisitionport dscp nocerttimecheck ntscachedir refresh ntsrefresh maxtxbuffers
	bindcmdaddress bindcmddevice cmdallow cmddeny cmdport cmdratelimit opencommands manual ptpport ptpdomain`)

// serving are those that one needs which goes on serving others.
var serving = strings.Fields(`allow deny port ratelimit bindaddress binddevice clientloglimit noclientlog local smoothtime broadcast
	ntsservercert ntsserverkey ntsport ntsprocesses maxntsconnections ntsntpserver ntsrotate ntsaeads ntsratelimit ntpsigndsocket`)

// same takes over what a chronyd needs that becomes a client.
func (c *writer) same(t *clientText, m *clientModel) {
	commands, serves := false, c.serves()
	if s, v, ok := c.number("initstepslew"); ok && len(c.All("makestep")) == 0 {
		c.startStep(s)
		t.put(job.One(s), "makestep", fmt.Sprintf("makestep %g 1", v))
	}
	for _, s := range c.Parsed.Statements {
		switch {
		case c.Bad[s]:
			continue
		case s.Word == "minsources":
			t.put(job.One(s), s.Word, fmt.Sprintf("minsources %d", m.minsane))
		case slices.Contains(kept, s.Word), serves && slices.Contains(serving, s.Word):
			t.put(job.One(s), s.Word, strings.TrimSpace(c.Text(s)))
		}
		if len(c.Record(s).Became) > 0 {
			c.Ledger.Use(s, c.Words(s)...)
		}
		commands = commands || s.Word == "cmdport" || s.Word == "cmdallow"
	}
	var last []string
	if !serves {
		last = []string{"# This host serves nobody.", "port 0"}
	}
	if !commands {
		last = append(last, "cmdport 0")
	}
	if len(last) > 0 {
		t.put(nil, "", last...)
	}
}

// startStep tells of the step at the start that initstepslew was.
func (c *writer) startStep(s *syntax.Statement) {
	c.Record(s).Note(report.Approximated, "initstepslew", "",
		"a larger offset is stepped by what the gateway says, and not by the servers that are named here before all others")
	c.Ledger.Tell(s, job.FateSaid+"initstepslew", c.Words(s)...)
}

// number returns the first number of the directive that counts; ok is false if
// there is none.
func (c *writer) number(word string) (s *syntax.Statement, v float64, ok bool) {
	list := c.All(word)
	if len(list) == 0 {
		return nil, 0, false
	}
	s = list[len(list)-1]
	v, err := strconv.ParseFloat(s.Argument(), 64)
	return s, v, err == nil
}

// ofChrony looks for the settings of chronyd that other daemons have too.
func (c *writer) ofChrony(m *clientModel) {
	if s, v, ok := c.number("minsources"); ok {
		m.minsane = int(c.Bounded(s, "minsources", v, 1, 64))
	}
	if f := c.Opt.Client.Format; f == "chrony" || f == "timesyncd" {
		return
	}
	if s, v, ok := c.number("initstepslew"); ok && len(c.All("makestep")) == 0 && v > 0 {
		m.step, m.stepAt = s, v
		c.startStep(s)
	}
	if s, v, ok := c.number("makestep"); ok && v > 0 {
		m.step, m.stepAt = s, v
		c.Record(s).Note(report.Approximated, "makestep", "",
			"larger offsets are stepped, at the start and later; %s has no number of updates for it", c.Opt.Client.Format)
	}
	if s, v, ok := c.number("maxchange"); ok && v > 0 {
		m.panicOff, m.panicAt = s, v
		c.Record(s).Note(report.Approximated, "maxchange", "",
			"a larger offset ends %s; how many are left alone first has no counterpart", c.Opt.Client.Format)
	}
	if s, v, ok := c.number("maxdistance"); ok && v > 0 && c.Opt.Client.Format == "ntpsec" {
		m.maxDistance, m.maxDistanceAt = s, v
	}
}

// tinkerOfChrony writes what of chronyd's settings ntpsec has.
func (c *writer) tinkerOfChrony(t *clientText, m *clientModel) {
	if c.Dialect != "chrony" {
		return
	}
	if m.step != nil {
		t.put(job.One(m.step), "tinker", fmt.Sprintf("tinker step %g", m.stepAt))
	} else if len(c.All("makestep")) == 0 {
		t.put(nil, "", "# Without makestep, chronyd never steps the clock.", "tinker step 0")
	}
	if m.panicOff != nil {
		t.put(job.One(m.panicOff), "tinker", fmt.Sprintf("tinker panic %g", m.panicAt))
	} else {
		t.put(nil, "", "# Without maxchange, chronyd makes any correction.", "tinker panic 0")
	}
}
