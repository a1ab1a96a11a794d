package client

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/syntax"
)

// keepFallback takes the local clock out of the clocks, if the host goes on
// serving: its clients depend on it when the gateway is out of reach.
func (c *writer) keepFallback(m *clientModel) {
	if !c.serves() || c.Opt.Client.Format == "timesyncd" || c.Dialect == "chrony" && c.Opt.Client.Format == "chrony" {
		return
	}
	f := c.fallbackOf(m)
	if f.stratum == 0 {
		return
	}
	m.fallback = f
	c.Record(f.from[0]).Note(report.Dangerous, "local-clock", "leave it out, unless its clients have to stay together without a source",
		"without the gateway, this host serves time that nobody vouches for at stratum %d, as before", f.stratum)
	m.clocks = slices.DeleteFunc(m.clocks, func(src *job.Source) bool { return src.Refclock.Driver == job.LocalDriver })
	for _, s := range f.from {
		switch {
		case f.orphan && c.Opt.Client.Format == "ntpd-rs":
			c.Record(s).Note(report.Approximated, "orphan", "name the other hosts of the stratum as sources",
				"ntpd-rs does not settle with other orphans whose clock counts")
			c.Ledger.Tell(s, job.FateSaid+"orphan", "orphan")
		case f.orphan && c.Opt.Client.Format == "ntpsec":
			c.Ledger.Tell(s, job.FateHolds+"tos orphan", "orphan")
		default:
			c.Ledger.Use(s, "orphan")
		}
		c.Ledger.Use(s, "stratum")
		if s.Word != "tos" {
			c.Lost(s, report.Folded, job.NamedWords(s), "the local clock is a stratum to fall back to, and no source")
		}
	}
}

func (c *writer) fallbackOf(m *clientModel) (f fallback) {
	for _, src := range m.clocks {
		if rc := src.Refclock; rc.Driver == job.LocalDriver && !src.NoSelect && src.Dead == "" {
			if f.stratum = rc.Stratum + 1; rc.Stratum < 0 {
				f.stratum = 6 // the driver's own is 5
			}
			f.from = append([]*syntax.Statement{src.Line}, rc.Lines...)
		}
	}
	if f.stratum > 15 { // ntpd never followed it
		f = fallback{}
	}
	if n := c.Model.OrphanValue; c.Model.Orphan != nil && n >= 1 && n <= 15 && f.stratum == 0 {
		f = fallback{n, true, job.One(c.Model.Orphan)}
	}
	if c.Dialect == "chrony" && c.Model.LocalStratum > 0 {
		f = fallback{c.Model.LocalStratum, c.Model.OrphanLocal, c.Model.LocalLines}
	}
	return f
}

// limits returns how often the clients of the host may ask, if its file says
// so: seconds from one request to the next, and requests in a burst.
func (c *writer) limits() (interval float64, burst int, ok bool) {
	limited := slices.ContainsFunc(c.Model.Rules, func(r restrict.Rule) bool { return r.Service.Serve && r.Service.Limited })
	l := c.Model.Limits
	return l.Interval.Seconds(), l.Burst, limited && len(l.Lines) > 0 && l.Interval > 0
}

// chronyLimit is chronyd's line about that; its numbers are powers of two.
func (c *writer) chronyLimit() string {
	interval, burst, ok := c.limits()
	if !ok {
		return "ratelimit"
	}
	line := fmt.Sprintf("ratelimit interval %d", min(max(int(math.Round(math.Log2(interval))), -19), 12))
	if burst > 0 {
		line += fmt.Sprintf(" burst %d", min(burst, 255))
	}
	return line
}

// ntpsecLimit is ntpsec's, of requests in a second.
func (c *writer) ntpsecLimit() (lines []string) {
	interval, burst, ok := c.limits()
	if !ok {
		return nil
	}
	line := "limit average " + strconv.FormatFloat(1/interval, 'g', 6, 64)
	if burst > 0 {
		line += fmt.Sprintf(" burst %d", burst)
	}
	return []string{line}
}
