package convert

import (
	"fmt"
	"net/netip"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/report"
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
			src.clocks = slices.DeleteFunc(src.clocks, func(o config.ReferenceClock) bool { return c.twice(seen, src, fmt.Sprint(o.Driver, o.Unit, o.Device)) })
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
		slices.ContainsFunc(src.clocks, func(o config.ReferenceClock) bool { return !o.NoSelect }):
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
