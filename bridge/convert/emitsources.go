package convert

import (
	"net/netip"
	"path"
	"strconv"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/bridge/ntp"
)

// emitSources writes the network sources.
func (c *conversion) emitSources() {
	section := &c.draft.Config.Sources
	for _, src := range c.model.sources {
		switch {
		case src.refclock != nil:
		case src.left != "" || src.kind == "manycastclient":
			c.remarkLeft(section, src)
		case src.kind != "broadcast":
			lines := []*syntax.Statement{src.line}
			if src.kind == "pool" {
				lines = append(lines, c.model.maxClockLine)
			}
			c.emitSource(draft.Add(c.draft, section, config.DefaultSource(), lines...), src)
		}
	}
}

// remarkLeft tells in the output of a source that is not there.
func (c *conversion) remarkLeft(list any, src *source) {
	c.draft.From(list).Remark("Left out: %s (%s:%d): %s.", spell.Printable(src.address), spell.Printable(path.Base(c.parsed.Files[src.line.File].Name)), src.line.Line, src.left)
}

func (c *conversion) leftOut(src *source) report.LeftOut {
	return report.LeftOut{File: c.parsed.Files[src.line.File].Name, Line: src.line.Line, Source: spell.Printable(src.address), Why: src.left}
}

// setIf sets an option, if there is something to set.
func setIf[T any](c *conversion, there bool, option *T, value T) {
	if there {
		draft.Set(c.draft, option, value)
	}
}

func (c *conversion) emitSource(to *config.Source, src *source) {
	host, port := src.hostPort()
	draft.Set(c.draft, &to.Server, host)
	switch src.kind {
	case "pool":
		draft.Set(c.draft, &to.Mode, config.ModePool)
		setIf(c, src.maxSources > 0, &to.MaxSources, src.maxSources)
	case "peer":
		draft.Set(c.draft, &to.Mode, config.ModePeer)
	}
	setIf(c, src.family == "-4", &to.Family, config.FamilyIPv4)
	setIf(c, src.family == "-6", &to.Family, config.FamilyIPv6)
	setIf(c, port != config.PortNTP, &to.Port, port)
	setIf(c, src.local.IsValid(), &to.LocalAddress, src.local)
	c.emitAuth(to, src)
	setIf(c, src.version >= 1 && src.version < 4 && !src.autokey && !src.nts, &to.Version, src.version)
	high := min(max(src.maxPoll, leastPoll), ntpconf.MaxPollExponent)
	draft.Set(c.draft, &to.MinPoll, min(max(src.minPoll, leastPoll), high))
	draft.Set(c.draft, &to.MaxPoll, high)
	c.emitTuning(to, src)
}

// emitAuth writes how a source is authenticated.
func (c *conversion) emitAuth(to *config.Source, src *source) {
	switch {
	case src.autokey:
		draft.Set(c.draft, &to.Auth, ntp.KindAutokey)
		setIf(c, src.ident != "", &to.Ident, src.ident)
	case src.nts:
		draft.Set(c.draft, &to.Auth, ntp.KindNTS)
		if _, port := ntsAddress(src.address); port != "" {
			number, _ := strconv.Atoi(port)
			draft.Set(c.draft, &to.NTSPort, number)
		}
		setIf(c, spell.PlainPath(src.ca), &to.TrustedCertificates, absolute(src.ca))
		setIf(c, len(src.aeads) > 0, &to.AEADs, src.aeads)
	case src.key != 0:
		draft.Set(c.draft, &to.Auth, ntp.KindSymmetric)
		draft.Set(c.draft, &to.Key, int(src.key))
	}
}

// emitTuning writes how a source is polled, judged and chosen.
func (c *conversion) emitTuning(to *config.Source, src *source) {
	setIf(c, src.iburst, &to.IBurst, true)
	setIf(c, src.burst, &to.Burst, true)
	setIf(c, src.presend != 0, &to.Presend, src.presend)
	setIf(c, src.xleave, &to.Interleaved, true)
	setIf(c, src.prefer, &to.Prefer, true)
	setIf(c, src.noSelect, &to.NoSelect, true)
	setIf(c, src.trusted, &to.Trust, true)
	setIf(c, src.require, &to.Require, true)
	setIf(c, src.offset != 0, &to.Offset, within(src.offset, -3600, 3600))
	setIf(c, src.asymmetry != 0, &to.Asymmetry, within(src.asymmetry, -0.5, 0.5))
	setIf(c, src.maxDelay != 0, &to.MaxDelay, seconds(src.maxDelay, 1e-6, 1000))
	setIf(c, src.maxDelayRatio != 0, &to.MaxDelayRatio, within(src.maxDelayRatio, 0, 1e6))
	setIf(c, src.maxDelayDevRatio != 0, &to.MaxDelayDevRatio, within(src.maxDelayDevRatio, 0, 1e6))
	setIf(c, src.minStratum != 0, &to.MinStratum, min(max(src.minStratum, 0), 15))
}

// emitClocks writes the reference clocks.
func (c *conversion) emitClocks() {
	section := &c.draft.Config.ReferenceClocks
	for _, src := range c.model.sources {
		if src.refclock == nil || src.refclock.driver == localDriver {
			continue
		}
		if src.left != "" {
			c.remarkLeft(section, src)
			for _, s := range src.refclock.lines {
				c.record(s).Note(report.Folded, "fudge-left-out", "", "the clock of line %d is left out", src.line.Line)
			}
			continue
		}
		lines := append([]*syntax.Statement{src.line}, src.refclock.lines...)
		for _, clock := range src.clocks {
			c.emitReference(draft.Add(c.draft, section, clock, lines...))
		}
	}
}

// emitReference writes what of a reference clock is not the default.
func (c *conversion) emitReference(to *config.ReferenceClock) {
	standard := config.DefaultReferenceClock()
	draft.Set(c.draft, &to.Driver, to.Driver)
	if to.Driver == config.DriverSHM {
		draft.Set(c.draft, &to.Unit, to.Unit)
	} else {
		draft.Set(c.draft, &to.Device, to.Device)
	}
	draft.Set(c.draft, &to.Poll, to.Poll)
	setIf(c, to.RefID != 0, &to.RefID, to.RefID)
	setIf(c, to.Stratum != 0, &to.Stratum, to.Stratum)
	setIf(c, to.DriverPoll != 0, &to.DriverPoll, to.DriverPoll)
	setIf(c, to.Offset != 0, &to.Offset, to.Offset)
	setIf(c, to.Delay != standard.Delay, &to.Delay, to.Delay)
	setIf(c, to.Precision != standard.Precision, &to.Precision, to.Precision)
	setIf(c, to.Lock != 0, &to.Lock, to.Lock)
	setIf(c, to.Rate != standard.Rate, &to.Rate, to.Rate)
	for _, flag := range []*bool{&to.Clear, &to.PPS, &to.TAI, &to.Prefer, &to.NoSelect, &to.Trust, &to.Require} {
		setIf(c, *flag, flag, true)
	}
}

// hops are ntpd's lives of packets by the index that the option ttl is, as the
// directive ttl sets them.
func (c *conversion) hops(index int) int {
	table := []int64{0, 32, 64, 96, 128, 160, 192, 224}
	if list := c.all("ttl"); len(list) > 0 {
		for i, o := range list[len(list)-1].Options {
			if i < len(table) {
				table[i] = o.Int
			}
		}
	}
	return int(min(max(table[min(max(index, 0), len(table)-1)], 1), 255))
}

// emitBroadcast writes the networks that the time is sent to.
func (c *conversion) emitBroadcast() {
	section := &c.draft.Config.Broadcast
	seen := make(map[netip.Addr]bool)
	for _, src := range c.model.sources {
		if src.kind != "broadcast" || src.left != "" {
			continue
		}
		destination, _ := netip.ParseAddr(src.address)
		if seen[destination] {
			c.record(src.line).Note(report.Folded, "duplicate-source", "delete one of the two", "the destination is there already")
			continue
		}
		seen[destination] = true
		to := draft.Add(c.draft, section, config.DefaultBroadcast(), src.line)
		draft.Set(c.draft, &to.Destination, destination)
		if src.autokey {
			draft.Set(c.draft, &to.Auth, ntp.KindAutokey)
		} else {
			draft.Set(c.draft, &to.Auth, ntp.KindSymmetric)
			draft.Set(c.draft, &to.Key, int(src.key))
		}
		draft.Set(c.draft, &to.Poll, min(max(src.minPoll, 1), ntpconf.MaxPollExponent))
		setIf(c, destination.IsMulticast(), &to.TTL, c.hops(src.ttl))
		setIf(c, src.version >= 1 && src.version < 4, &to.Version, src.version)
	}
}

// seconds are a duration, put into a range.
func seconds(v, from, upTo float64) time.Duration {
	return time.Duration(within(v, from, upTo)*1e9 + 0.5)
}

// within puts a number into a range; what is no number becomes its begin.
func within(v, from, upTo float64) float64 {
	if !(v >= from) {
		v = from
	}
	return min(v, upTo)
}

// longest is the largest duration that the output takes, s.
const longest = 876000 * 3600
