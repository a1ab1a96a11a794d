package server

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/bridge/ntp"
)

// emitSources writes the network sources.
func (c *writer) emitSources() {
	section := &c.Draft.Config.Sources
	for _, src := range c.Model.Sources {
		switch {
		case src.Refclock != nil:
		case src.Left != "" || src.Kind == "manycastclient":
			c.Ledger.Tell(src.Line, job.FateSaid+"left-out", c.Words(src.Line)...)
			c.remarkLeft(section, src)
		case src.Kind != "broadcast":
			lines := []*syntax.Statement{src.Line}
			if src.Kind == "pool" {
				lines = append(lines, c.Model.MaxClockLine)
			}
			c.emitSource(draft.Add(c.Draft, section, config.DefaultSource(), lines...), src)
		}
	}
}

// remarkLeft tells in the output of a source that is not there.
func (c *writer) remarkLeft(list any, src *job.Source) {
	c.Draft.From(list).Remark("Left out: %s (%s:%d): %s.", spell.Printable(src.Address),
		spell.Printable(path.Base(c.Parsed.Files[src.Line.File].Name)), src.Line.Line, src.Left)
}

// setIf sets an option, if there is something to set.
func setIf[T any](c *writer, there bool, option *T, value T) {
	if there {
		draft.Set(c.Draft, option, value)
	}
}

func (c *writer) emitSource(to *config.Source, src *job.Source) {
	host, port := src.HostPort()
	draft.Set(c.Draft, &to.Server, host)
	switch src.Kind {
	case "pool":
		draft.Set(c.Draft, &to.Mode, config.ModePool)
		setIf(c, src.MaxSources > 0, &to.MaxSources, src.MaxSources)
	case "peer":
		draft.Set(c.Draft, &to.Mode, config.ModePeer)
	}
	setIf(c, src.Family == "-4", &to.Family, config.FamilyIPv4)
	setIf(c, src.Family == "-6", &to.Family, config.FamilyIPv6)
	setIf(c, port != config.PortNTP, &to.Port, port)
	if src.Local.IsValid() {
		draft.Set(c.Draft, &to.LocalAddress, src.Local, src.LocalLine)
	}
	c.emitAuth(to, src)
	setIf(c, src.Version >= 1 && src.Version < 4 && !src.Autokey && !src.Nts, &to.Version, src.Version)
	high := min(max(src.MaxPoll, job.LeastPoll), ntpconf.MaxPollExponent)
	draft.Set(c.Draft, &to.MinPoll, min(max(src.MinPoll, job.LeastPoll), high))
	draft.Set(c.Draft, &to.MaxPoll, high)
	setIf(c, c.Model.Hardware, &to.HardwareTimestamps, true)
	c.emitTuning(to, src)
	c.words(to, src)
}

// emitAuth writes how a source is authenticated.
func (c *writer) emitAuth(to *config.Source, src *job.Source) {
	switch {
	case src.Autokey:
		draft.Set(c.Draft, &to.Auth, ntp.KindAutokey)
		setIf(c, src.Ident != "", &to.Ident, src.Ident)
	case src.Nts:
		draft.Set(c.Draft, &to.Auth, ntp.KindNTS)
		if _, port := job.NtsAddress(src.Address); port != "" {
			number, _ := strconv.Atoi(port)
			draft.Set(c.Draft, &to.NTSPort, number)
		}
		trust := src.Trust
		if len(trust) == 0 && spell.PlainPath(src.Ca) {
			trust = []string{job.Absolute(src.Ca)}
		}
		if len(trust) > 0 {
			draft.Set(c.Draft, &to.TrustedCertificates, trust, append(src.TrustLines, src.TrustLine)...)
		}
		setIf(c, len(src.Aeads) > 0, &to.AEADs, src.Aeads)
	case src.Key != 0:
		draft.Set(c.Draft, &to.Auth, ntp.KindSymmetric)
		draft.Set(c.Draft, &to.Key, int(src.Key))
	}
}

// emitTuning writes how a source is polled, judged and chosen.
func (c *writer) emitTuning(to *config.Source, src *job.Source) {
	setIf(c, src.Iburst, &to.IBurst, true)
	setIf(c, src.Burst, &to.Burst, true)
	setIf(c, src.Presend != 0, &to.Presend, src.Presend)
	setIf(c, src.Xleave, &to.Interleaved, true)
	setIf(c, src.Prefer, &to.Prefer, true)
	setIf(c, src.NoSelect, &to.NoSelect, true)
	setIf(c, src.Trusted, &to.Trust, true)
	setIf(c, src.Require, &to.Require, true)
	setIf(c, src.Offset != 0, &to.Offset, job.Within(src.Offset, -3600, 3600))
	setIf(c, src.Asymmetry != 0, &to.Asymmetry, job.Within(src.Asymmetry, -0.5, 0.5))
	setIf(c, src.MaxDelay != 0, &to.MaxDelay, job.Seconds(src.MaxDelay, 1e-6, 1000))
	setIf(c, src.MaxDelayRatio != 0, &to.MaxDelayRatio, job.Within(src.MaxDelayRatio, 0, 1e6))
	setIf(c, src.MaxDelayDevRatio != 0, &to.MaxDelayDevRatio, job.Within(src.MaxDelayDevRatio, 0, 1e6))
	setIf(c, src.MinStratum != 0, &to.MinStratum, min(max(src.MinStratum, 0), 15))
}

// emitClocks writes the reference clocks.
func (c *writer) emitClocks() {
	section := &c.Draft.Config.ReferenceClocks
	called := make(map[string]bool)
	for _, src := range c.Model.Sources {
		if src.Refclock == nil || src.Refclock.Driver == job.LocalDriver {
			continue
		}
		if src.Left != "" {
			c.Ledger.Tell(src.Line, job.FateSaid+"left-out", c.Words(src.Line)...)
			c.remarkLeft(section, src)
			for _, s := range src.Refclock.Lines {
				if s == src.Line { // ntpsec has them on one line
					continue
				}
				c.Record(s).Note(report.Folded, "fudge-left-out", "", "the clock of line %d is left out", src.Line.Line)
			}
			continue
		}
		lines := append([]*syntax.Statement{src.Line}, src.Refclock.Lines...)
		c.clockWords(src)
		for _, clock := range src.Clocks {
			c.ownName(src, &clock, called)
			c.emitReference(draft.Add(c.Draft, section, clock, lines...))
		}
	}
}

// ownName gives a clock a name of its own: ntpd lets several have one refid.
func (c *writer) ownName(src *job.Source, clock *config.ReferenceClock, called map[string]bool) {
	was := clock.Name()
	for n := 0; called[clock.Name()] && n < 100; n++ {
		clock.RefID = job.RefID(fmt.Sprintf("%.2s%02d", was, n))
	}
	if clock.Name() != was {
		c.Record(src.Line).Note(report.Approximated, "refid", "give each clock a refid of its own",
			"another clock is called %s too: this one is called %s", was, clock.Name())
	}
	called[clock.Name()] = true
}

// emitReference writes what of a reference clock is not the default.
func (c *writer) emitReference(to *config.ReferenceClock) {
	standard := config.DefaultReferenceClock()
	draft.Set(c.Draft, &to.Driver, to.Driver)
	if to.Driver == config.DriverSHM {
		draft.Set(c.Draft, &to.Unit, to.Unit)
	} else {
		draft.Set(c.Draft, &to.Device, to.Device)
	}
	draft.Set(c.Draft, &to.Poll, to.Poll)
	setIf(c, to.RefID != 0, &to.RefID, to.RefID)
	setIf(c, to.Stratum != 0, &to.Stratum, to.Stratum)
	setIf(c, to.DriverPoll != 0, &to.DriverPoll, to.DriverPoll)
	setIf(c, to.Offset != 0, &to.Offset, to.Offset)
	setIf(c, to.Delay != standard.Delay, &to.Delay, to.Delay)
	setIf(c, to.Precision != standard.Precision, &to.Precision, to.Precision)
	setIf(c, to.Lock != 0, &to.Lock, to.Lock)
	setIf(c, to.Rate != standard.Rate, &to.Rate, to.Rate)
	setIf(c, to.Width != standard.Width, &to.Width, to.Width)
	setIf(c, to.MaxLockAge != standard.MaxLockAge, &to.MaxLockAge, to.MaxLockAge)
	setIf(c, to.Filter != standard.Filter, &to.Filter, to.Filter)
	setIf(c, to.MaxDispersion != standard.MaxDispersion, &to.MaxDispersion, to.MaxDispersion)
	setIf(c, to.Channel != 0, &to.Channel, to.Channel)
	setIf(c, to.Pin != standard.Pin, &to.Pin, to.Pin)
	for _, flag := range []*bool{&to.ExternalPPS, &to.NoCrossTimestamps, &to.Clear, &to.Local, &to.PPS, &to.TAI,
		&to.Prefer, &to.NoSelect, &to.Trust, &to.Require} {
		setIf(c, *flag, flag, true)
	}
}

// hops are ntpd's lives of packets by the index that the option ttl is, as the
// directive ttl sets them.
func (c *writer) hops(index int) int {
	table := []int64{0, 32, 64, 96, 128, 160, 192, 224}
	if list := c.All("ttl"); len(list) > 0 {
		for i, o := range list[len(list)-1].Options {
			if i < len(table) {
				table[i] = o.Int
			}
		}
	}
	return int(min(max(table[min(max(index, 0), len(table)-1)], 1), 255))
}

// emitBroadcast writes the networks that the time is sent to.
func (c *writer) emitBroadcast() {
	section := &c.Draft.Config.Broadcast
	seen := make(map[netip.Addr]bool)
	for _, src := range c.Model.Sources {
		if src.Kind != "broadcast" || src.Left != "" {
			continue
		}
		c.Ledger.Tell(src.Line, job.FateHolds+"broadcasts are sent at one interval, minpoll", "maxpoll")
		destination, _ := netip.ParseAddr(src.Address)
		if seen[destination] {
			c.Record(src.Line).Note(report.Folded, "duplicate-source", "delete one of the two", "the destination is there already")
			continue
		}
		seen[destination] = true
		to := draft.Add(c.Draft, section, config.DefaultBroadcast(), src.Line)
		draft.Set(c.Draft, &to.Destination, destination)
		if src.Autokey {
			draft.Set(c.Draft, &to.Auth, ntp.KindAutokey)
		} else {
			draft.Set(c.Draft, &to.Auth, ntp.KindSymmetric)
			draft.Set(c.Draft, &to.Key, int(src.Key))
		}
		draft.Set(c.Draft, &to.Poll, min(max(src.MinPoll, 1), ntpconf.MaxPollExponent))
		c.Ledger.Use(src.Line, "minpoll", "key", "autokey")
		if destination.IsMulticast() {
			draft.Set(c.Draft, &to.TTL, c.hops(src.Ttl), c.All("ttl")...)
		}
		setIf(c, src.Version >= 1 && src.Version < 4, &to.Version, src.Version)
		c.Ledger.Use(src.Line, "version")
		if destination.IsMulticast() {
			c.Ledger.Use(src.Line, "ttl")
		}
		c.Lost(src.Line, report.Folded, job.NamedWords(src.Line), "it means nothing to a broadcast like this one")
	}
}
