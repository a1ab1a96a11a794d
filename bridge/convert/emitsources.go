package convert

import (
	"fmt"
	"net/netip"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"path"
	"slices"
	"strconv"
	"strings"
)

// planSources decides which sources are written, and counts those that the
// clock can follow. A source that was not usable, or whose authentication cannot
// be kept, is left out: it is never written with less.
func (c *conversion) planSources() {
	m := &c.model
	seen := make(map[string]*source)
	for _, src := range m.sources {
		switch {
		case src.left != "" || src.refclock != nil && src.refclock.driver == localDriver:
			continue
		case src.dead != "" && !src.revived():
			src.left = src.dead
			continue
		case src.kind == "broadcast":
			continue
		case src.refclock != nil:
			src.clocks = slices.DeleteFunc(src.clocks, func(o outClock) bool { return c.twice(seen, src, fmt.Sprint(o.driver, o.unit, o.device)) })
			if len(src.clocks) == 0 {
				src.left = "it is there already"
				continue
			}
		default:
			if c.twice(seen, src, strings.ToLower(fmt.Sprint(src.hostPort()))) {
				src.left = "it is there already"
				continue
			}
		}
		c.count(src)
	}
}

// twice reports whether a source of that name was seen before.
func (c *conversion) twice(seen map[string]*source, src *source, id string) bool {
	first := seen[id]
	if first == nil {
		seen[id] = src
		return false
	}
	c.record(src.line).Note(report.Folded, "duplicate-source", "delete one of the two", "line %d has it already", first.line.Line)
	return true
}

// count adds a source that is written to those that can be followed.
func (c *conversion) count(src *source) {
	switch {
	case src.refclock == nil && !src.noSelect,
		slices.ContainsFunc(src.clocks, func(o outClock) bool { return !o.noSelect }):
		c.model.followed++
	}
}

// poolSizes gives each pool of an ntp.conf its part of tos maxclock, of which
// other associations and the pools themselves take one each.
func (c *conversion) poolSizes() {
	m := &c.model
	if m.maxClock == 0 {
		m.maxClock = defaultMaxClock
	}
	var pools []*source
	free := m.maxClock
	for _, src := range m.sources {
		if src.left != "" {
			continue
		}
		free--
		if src.kind == "pool" {
			pools = append(pools, src)
		}
	}
	for i, src := range pools {
		src.maxSources = min(max((free+len(pools)-1-i)/len(pools), 1), 16)
	}
	switch {
	case len(pools) == 0:
		if m.maxClockLine != nil {
			c.record(m.maxClockLine).Note(report.Folded, "maxclock", "", "maxclock counts for pools, and there is none")
		}
	case free < len(pools) || free > 16*len(pools):
		c.record(pools[0].line).Note(report.Approximated, "maxclock", "", "a pool has 1 to 16 sources, and tos maxclock would make it %d for %d of them", max(free, 0), len(pools))
	}
}

// hostPort returns what a source asks, NTS-KE's port aside.
func (src *source) hostPort() (host string, port int) {
	host, port = src.address, 123
	if src.nts {
		host, _ = ntsAddress(src.address)
	}
	if src.port > 0 && src.port < 1<<16 {
		port = src.port
	}
	return host, port
}

// ntsAddress splits HOST:PORT, which ntpsec takes with NTS.
func ntsAddress(address string) (name, port string) {
	name, port, ok := strings.Cut(address, ":")
	v, err := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil || v == 0 {
		return address, ""
	}
	return name, port
}

// emitSources writes the network sources.
func (c *conversion) emitSources() {
	n := c.top.section("sources")
	for _, src := range c.model.sources {
		if src.refclock != nil {
			continue
		}
		if src.left != "" || src.kind == "manycastclient" {
			c.remarkLeft(n, src)
			continue
		}
		if src.kind == "broadcast" {
			continue
		}
		lines := []*syntax.Statement{src.line}
		if src.kind == "pool" && c.model.maxClockLine != nil {
			lines = append(lines, c.model.maxClockLine)
		}
		c.emitSource(n.item().from(lines...), src)
		c.became(fmt.Sprintf("sources[%d]", len(n.children)-1), lines...)
	}
	c.drop(n)
}

// drop takes an empty section back; its remarks go to the next one.
func (c *conversion) drop(n *node) {
	if len(n.children) > 0 {
		return
	}
	c.top.children = slices.DeleteFunc(c.top.children, func(other *node) bool { return other == n })
	c.top.remarks = append(c.top.remarks, n.remarks...)
}

// remarkLeft tells in the output of a source that is not there.
func (c *conversion) remarkLeft(n *node, src *source) {
	n.remarks = append(n.remarks, fmt.Sprintf("Left out: %s (%s:%d): %s.", spell.Printable(src.address), spell.Printable(path.Base(c.parsed.Files[src.line.File].Name)), src.line.Line, src.left))
}

func (c *conversion) leftOut(src *source) report.LeftOut {
	return report.LeftOut{File: c.parsed.Files[src.line.File].Name, Line: src.line.Line, Source: spell.Printable(src.address), Why: src.left}
}

// modes are the values of sources[].mode by directive.
var modes = map[string]string{"server": "client", "pool": "pool", "peer": "peer"}

func (c *conversion) emitSource(item *node, src *source) {
	host, port := src.hostPort()
	item.set("server", yamlString(host))
	a := Association{Server: host, Mode: modes[src.kind], Auth: "none"}
	if src.kind != "server" {
		item.set("mode", modes[src.kind])
	}
	if src.kind == "pool" && src.maxSources > 0 {
		item.set("max_sources", fmt.Sprint(src.maxSources))
	}
	switch src.family {
	case "-4":
		item.set("family", "ipv4")
	case "-6":
		item.set("family", "ipv6")
	}
	if port != 123 {
		item.set("port", fmt.Sprint(port))
	}
	if src.local.IsValid() {
		item.set("local_address", strconv.Quote(src.local.String()))
	}
	a.Auth, a.Key = c.emitAuth(item, src)
	if src.version >= 1 && src.version < 4 && !src.autokey && !src.nts {
		item.set("version", fmt.Sprint(src.version))
	}
	a.MaxPoll = min(max(src.maxPoll, leastPoll), ntpconf.MaxPollExponent)
	a.MinPoll = min(max(src.minPoll, leastPoll), a.MaxPoll)
	item.set("minpoll", fmt.Sprint(a.MinPoll))
	item.set("maxpoll", fmt.Sprint(a.MaxPoll))
	emitTuning(item, src)
	a.IBurst, a.Prefer, a.NoSelect, a.Trust = src.iburst, src.prefer, src.noSelect, src.trusted
	c.model.expect.Associations = append(c.model.expect.Associations, a)
}

// emitAuth writes how a source is authenticated.
func (c *conversion) emitAuth(item *node, src *source) (auth string, key uint32) {
	switch {
	case src.autokey:
		item.set("auth", "autokey")
		if src.ident != "" {
			item.set("ident", yamlString(src.ident))
		}
		return "autokey", 0
	case src.nts:
		item.set("auth", "nts")
		if _, port := ntsAddress(src.address); port != "" {
			item.set("nts_port", port)
		}
		if spell.PlainPath(src.ca) {
			item.set("trusted_certificates", yamlString(absolute(src.ca)))
		}
		if len(src.aeads) > 0 {
			item.set("aeads", yamlList(src.aeads, func(s string) string { return s }))
		}
		return "nts", 0
	case src.key != 0:
		item.set("auth", "symmetric")
		item.set("key", fmt.Sprint(src.key))
		return "symmetric", src.key
	}
	return "none", 0
}

// emitTuning writes how a source is polled, judged and chosen.
func emitTuning(item *node, src *source) {
	flag := func(key string, on bool) {
		if on {
			item.set(key, "true")
		}
	}
	value := func(key, text string, there bool) {
		if there {
			item.set(key, text)
		}
	}
	flag("iburst", src.iburst)
	flag("burst", src.burst)
	value("presend", fmt.Sprint(src.presend), src.presend != 0)
	flag("interleaved", src.xleave)
	flag("prefer", src.prefer)
	flag("noselect", src.noSelect)
	flag("trust", src.trusted)
	flag("require", src.require)
	value("offset", number(src.offset, -3600, 3600), src.offset != 0)
	value("asymmetry", number(src.asymmetry, -0.5, 0.5), src.asymmetry != 0)
	value("max_delay", duration(src.maxDelay, 1e-6, 1000), src.maxDelay != 0)
	value("max_delay_ratio", number(src.maxDelayRatio, 0, 1e6), src.maxDelayRatio != 0)
	value("max_delay_dev_ratio", number(src.maxDelayDevRatio, 0, 1e6), src.maxDelayDevRatio != 0)
	value("min_stratum", fmt.Sprint(min(max(src.minStratum, 0), 15)), src.minStratum != 0)
}

// emitClocks writes the reference clocks.
func (c *conversion) emitClocks() {
	n := c.top.section("reference_clocks")
	for _, src := range c.model.sources {
		if src.refclock == nil || src.refclock.driver == localDriver {
			continue
		}
		if src.left != "" {
			c.remarkLeft(n, src)
			for _, s := range src.refclock.lines {
				c.record(s).Note(report.Folded, "fudge-left-out", "", "the clock of line %d is left out", src.line.Line)
			}
			continue
		}
		lines := append([]*syntax.Statement{src.line}, src.refclock.lines...)
		for _, out := range src.clocks {
			emitReference(n.item().from(lines...), out)
			c.became(fmt.Sprintf("reference_clocks[%d]", len(n.children)-1), lines...)
			c.model.expect.Associations = append(c.model.expect.Associations, out.association())
		}
	}
	c.drop(n)
}

func (o outClock) association() Association {
	a := Association{Server: o.device, Mode: o.driver, MinPoll: o.poll, MaxPoll: o.poll, Prefer: o.prefer, NoSelect: o.noSelect, Trust: o.trust}
	if o.driver == "shm" {
		a.Server = fmt.Sprint(o.unit)
	}
	return a
}

func emitReference(item *node, o outClock) {
	item.set("driver", o.driver)
	if o.driver == "shm" {
		item.set("unit", fmt.Sprint(o.unit))
	} else {
		item.set("device", yamlString(o.device))
	}
	value := func(key, text string, there bool) {
		if there {
			item.set(key, text)
		}
	}
	flag := func(key string, on bool) { value(key, "true", on) }
	value("refid", yamlString(o.refid), o.refid != "")
	value("stratum", fmt.Sprint(o.stratum), o.stratum != 0)
	item.set("poll", fmt.Sprint(o.poll))
	value("driver_poll", fmt.Sprint(o.driverPoll), o.driverPoll != 0)
	value("offset", number(o.offset, -3600, 3600), o.offset != 0)
	value("delay", duration(o.delay, 0, 10), o.delay != 0)
	value("precision", duration(o.precision, 1e-9, 1), o.precision != 0)
	value("lock", yamlString(o.lock), o.lock != "")
	value("rate", fmt.Sprint(o.rate), o.rate > 1)
	flag("clear", o.clear)
	flag("pps", o.pps)
	flag("tai", o.tai)
	flag("prefer", o.prefer)
	flag("noselect", o.noSelect)
	flag("trust", o.trust)
	flag("require", o.require)
}

// judgeBroadcast keeps a broadcast association that is authenticated.
func (c *conversion) judgeBroadcast(src *source) {
	r := c.record(src.line)
	destination, err := netip.ParseAddr(src.address)
	switch {
	case src.dead != "":
	case err != nil:
		src.left = "the destination must be an address"
		r.Note(report.Dangerous, "broadcast", "write the address, or give every client that listens a server line", "the broadcasts are not sent: %s", src.left)
	case src.autokey && !c.model.autokey.enabled || src.key == 0 && !src.autokey:
		src.left = "without authentication anybody can forge a broadcast"
		r.Note(report.Dangerous, "broadcast", "give the broadcast a symmetric key, or every client that listens a server line",
			"the broadcasts are not sent any more: %s; clients that listen for them lose their time", src.left)
	case destination.Is6() && !destination.IsMulticast():
		src.left = "that is no multicast address"
		r.Note(report.Dangerous, "broadcast", "give every client that listens a server line", "the broadcasts are not sent: %s", src.left)
	case src.autokey:
		r.Note(report.Dangerous, "broadcast-autokey", "give every client that listens a server line",
			"ntpd 4.2.8 drops every broadcast with Autokey, by a defect of its own: no client ever followed this")
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
	n := c.top.section("broadcast")
	seen := make(map[netip.Addr]bool)
	for _, src := range c.model.sources {
		if src.kind != "broadcast" || src.left != "" {
			continue
		}
		to, _ := netip.ParseAddr(src.address)
		if seen[to] {
			c.record(src.line).Note(report.Folded, "duplicate-source", "delete one of the two", "the destination is there already")
			continue
		}
		seen[to] = true
		item := n.item().from(src.line)
		item.set("destination", strconv.Quote(to.String()))
		a := Association{Server: to.String(), Mode: "broadcast", MinPoll: min(max(src.minPoll, 1), ntpconf.MaxPollExponent)}
		a.Auth, a.Key = c.emitAuth(item, src)
		a.MaxPoll = a.MinPoll
		c.model.expect.Broadcasts = append(c.model.expect.Broadcasts, a)
		item.set("poll", fmt.Sprint(a.MinPoll))
		if to.IsMulticast() {
			item.set("ttl", fmt.Sprint(c.hops(src.ttl)))
		}
		if src.version >= 1 && src.version < 4 {
			item.set("version", fmt.Sprint(src.version))
		}
		c.became(fmt.Sprintf("broadcast[%d]", len(n.children)-1), src.line)
	}
	c.drop(n)
}
