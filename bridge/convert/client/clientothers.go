package client

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/symkey"
)

// shortestPoll puts the intervals of the gateway's lines to the shortest of the
// client's daemon, log2 s. ntpsec would read minpoll -4 as the family of an
// address, and lose the rest of the line with its nts.
func (c *writer) shortestPoll(m *clientModel, least int) {
	if m.minPoll >= least {
		return
	}
	c.Report.Note(report.Approximated, "client-poll", "", "the gateway is asked every %d s at most often: %s has no shorter interval", 1<<least,
		c.Opt.Client.Format)
	m.minPoll, m.maxPoll = least, max(m.maxPoll, least)
}

// ntpsecClient writes an ntp.conf of ntpsec.
func (c *writer) ntpsecClient(m *clientModel) string {
	t := c.newClientText("ntp.conf of ntpsec")
	withNTS := ""
	if c.Opt.Client.CA != "" {
		withNTS = " ca " + c.Opt.Client.CA
	}
	c.shortestPoll(m, 0)
	t.put(m.was, "server", m.serverLines(withNTS, "")...)
	if keys := c.clientKeys(m.key); len(keys) > 0 {
		if !c.keySecret(keys, symkey.AppendNTPKeysLine) {
			return ""
		}
		trusted := "trustedkey"
		for _, k := range keys {
			trusted += fmt.Sprintf(" %d", k.ID())
		}
		t.put(slices.Concat(job.One(c.Model.KeyFile), job.One(c.Model.Trust)), "keys", "keys "+c.Opt.Client.KeyFile, trusted)
	}
	c.putClocks(t, m, c.ntpsecRefclock)
	// With one source, ntpd's defaults for many would never set the clock.
	tos := fmt.Sprintf("tos minsane %d minclock %d", max(m.minsane, 1), max(m.minsane, min(3, len(m.servers))))
	for _, s := range c.All("tos") {
		for _, o := range s.Options {
			switch o.Name {
			case "maxdist", "mindist", "floor", "ceiling":
				tos += " " + o.Name + " " + strconv.FormatFloat(o.Number(), 'g', -1, 64)
				c.Ledger.Use(s, o.Name)
			}
		}
	}
	if m.maxDistance != nil {
		tos += fmt.Sprintf(" maxdist %g", m.maxDistanceAt)
	}
	if m.fallback.stratum > 0 {
		tos += fmt.Sprintf(" orphan %d", m.fallback.stratum)
	}
	t.put(slices.Concat(c.All("tos"), c.All("minsources"), job.One(m.maxDistance), m.fallback.from), "tos", tos)
	for _, s := range c.All("tinker") {
		var list []string
		for _, o := range s.Options {
			switch o.Name {
			case "panic", "step", "stepfwd", "stepback", "stepout":
				list = append(list, o.Name+" "+strconv.FormatFloat(o.Number(), 'g', -1, 64))
				c.Ledger.Use(s, o.Name)
			}
		}
		if len(list) > 0 {
			t.put(job.One(s), "tinker", "tinker "+strings.Join(list, " "))
		}
	}
	c.tinkerOfChrony(t, m)
	if m.noSteer != nil {
		t.put(job.One(m.noSteer), "disable", "disable ntp")
	}
	if m.leap != nil {
		t.put(job.One(m.leap), "leapfile", "leapfile "+m.leapFile)
	}
	c.putStatistics(t)
	c.putDSCP(t)
	t.put(c.All("driftfile"), "driftfile", "driftfile /var/lib/ntpsec/ntp.drift")
	c.ownDrift("/var/lib/ntpsec/ntp.drift")
	heard := []string{"restrict source nomodify noquery", "restrict 127.0.0.1", "restrict ::1"}
	if c.serves() {
		t.put(c.access(), "restrict", append(c.ntpsecServing(), heard...)...)
		c.putNTPsecListen(t)
	} else {
		t.put(c.All("restrict"), "restrict", append([]string{"# This host serves nobody; its sources are heard.",
			"restrict default ignore"}, heard...)...)
	}
	return t.String()
}

// rustClient writes an ntp.toml of ntpd-rs.
func (c *writer) rustClient(m *clientModel) string {
	t := c.newClientText("ntp.toml of ntpd-rs")
	t.put(nil, "", "[observability]", `log-level = "info"`)
	for i, s := range m.servers {
		lines := []string{"[[source]]", `mode = "nts"`, "address = " + strconv.Quote(s.name)}
		if c.Opt.Client.CA != "" {
			lines = append(lines, "certificate-authority = "+strconv.Quote(c.Opt.Client.CA))
		}
		from := m.was
		if i > 0 {
			from = nil
		}
		t.put(from, "source", lines...)
	}
	for _, src := range m.clocks {
		r := c.Record(src.Line)
		if src.Refclock.Driver != 22 || src.Dead != "" {
			do, why := "let gpsd write to a socket, and add a source with mode sock", "ntpd-rs has no driver for it"
			if src.Dead == "" && len(src.Clocks) > 0 && src.Clocks[0].Driver == config.DriverSOCK {
				do, why = "add a source with mode sock and this path", "ntpd-rs names the options of its sockets in each release otherwise: it is left out"
			}
			(&clockLine{c: c, src: src}).leaveOut(do, why)
			continue
		}
		r.Note(report.Unsupported, "refclock-pps", "uncomment the lines, if ntpd-rs was built with pps",
			"PPS is written as a comment: ntpd-rs as Debian builds it does not start with it")
		for _, s := range append(job.One(src.Line), src.Refclock.Lines...) {
			c.Lost(s, report.Unsupported, job.NamedWords(s), "ntpd-rs has no counterpart")
		}
		t.put(append(job.One(src.Line), src.Refclock.Lines...), "source", "# [[source]]", `# mode = "pps"`,
			"# path = "+strconv.Quote(fmt.Sprintf("/dev/pps%d", src.Refclock.Unit)), "# precision = 0.000001")
	}
	if c.serves() {
		places, from := c.rustListen()
		t.put(append(c.access(), from...), "server", c.rustServing(places)...)
	}
	low := min(max(m.minPoll, 4), 17)
	high := min(max(m.maxPoll, low), 17)
	t.put(nil, "", "[source-defaults]", fmt.Sprintf("poll-interval-limits = { min = %d, max = %d }", low, high),
		fmt.Sprintf("initial-poll-interval = %d", low))
	if low != m.minPoll || high != m.maxPoll {
		c.Report.Note(report.Approximated, "poll", "", "poll exponents are %d to %d: ntpd-rs has 4 to 17", low, high)
	}
	lines := []string{"[synchronization]", fmt.Sprintf("minimum-agreeing-sources = %d", max(m.minsane, 1))}
	from := slices.Clone(m.fallback.from)
	if m.fallback.stratum > 0 {
		lines = append(lines, fmt.Sprintf("local-stratum = %d", m.fallback.stratum))
	}
	switch {
	case m.panicOff != nil && m.panicAt == 0:
		lines = append(lines, `single-step-panic-threshold = "inf"`, `startup-step-panic-threshold = "inf"`)
		from = append(from, m.panicOff)
	case m.panicOff != nil:
		lines = append(lines, "single-step-panic-threshold = "+strconv.FormatFloat(m.panicAt, 'f', -1, 64))
		from = append(from, m.panicOff)
	case c.Dialect == "chrony":
		lines = append(lines, "# Without maxchange, chronyd makes any correction.",
			`single-step-panic-threshold = "inf"`, `startup-step-panic-threshold = "inf"`)
	}
	from = slices.Concat(from, c.withOption("tos", "minsane"), c.All("minsources"))
	if m.step != nil && m.stepAt > 0 {
		lines = append(lines, "[synchronization.algorithm]", "step-threshold = "+tomlFloat(m.stepAt))
		from = append(from, m.step)
	} else if m.step != nil {
		c.Record(m.step).Note(report.Approximated, "step-never", "", "ntpd-rs steps the clock at its own threshold")
	} else if c.Dialect == "chrony" {
		c.Report.Note(report.Approximated, "step-never", "", "without makestep chronyd never steps the clock; ntpd-rs does, at its own threshold")
	}
	t.put(from, "synchronization", lines...)
	return t.String()
}

func tomlFloat(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// timesyncdClient writes a timesyncd.conf. That daemon authenticates nothing;
// a client that had authentication does not lose it in silence.
func (c *writer) timesyncdClient(m *clientModel, authenticated bool) string {
	c.Report.Note(report.Dangerous, "no-authentication", "take chrony, ntpsec or ntpd-rs where time matters",
		"systemd-timesyncd has neither NTS nor keys: anybody on the path can set this client's time")
	for _, src := range m.clocks {
		(&clockLine{c: c, src: src}).leaveOut("take another daemon", "systemd-timesyncd has no reference clocks")
	}
	if authenticated {
		q := report.Question{File: c.Parsed.Files[0].Name, Line: m.was[0].Line, Text: spell.Show(c.Text(m.was[0])),
			Code:    "lost-authentication",
			Written: "sources with authentication", Running: "systemd-timesyncd cannot authenticate",
			Do: "take another daemon, or choose --lost running to go without authentication"}
		if c.Opt.Decide == nil || c.Opt.Decide(q) != job.LostRunning {
			c.Report.Questions = append(c.Report.Questions, q)
			return ""
		}
	}
	if c.serves() {
		c.Report.Note(report.Dangerous, "serving", "take another daemon, or point its clients at the gateway first",
			"this host lets networks in by name, and systemd-timesyncd serves nobody: those who ask it lose their time")
	}
	var names []string
	for _, s := range m.servers {
		names = append(names, s.name)
	}
	t := c.newClientText("timesyncd.conf of systemd-timesyncd")
	t.put(m.was, "NTP", "[Time]", "NTP="+strings.Join(names, " "), "FallbackNTP=",
		fmt.Sprintf("PollIntervalMinSec=%d", 1<<min(max(m.minPoll, 4), 17)), fmt.Sprintf("PollIntervalMaxSec=%d",
			1<<min(max(m.maxPoll, m.minPoll, 5), 17)))
	return t.String()
}
