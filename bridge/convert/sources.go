package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// sourceLine says what is said of every line about time sources as long
// as the output has none. It is the one place: see sourcesSupported.
func (c *conversion) sourceLine(s *Statement, place string) {
	r := c.record(s)
	switch {
	case c.opt.Client != nil:
		return // the client's formats say where it goes
	case sourcesSupported:
		r.into(place)
		return
	}
	r.note(Unsupported, "sources", "let another daemon keep the clock of this host for now (clock.mode: observe)",
		"unsupported by this version: sources steer no clock yet, they are measured and shown")
}

// buildSources reads the associations with their fudge lines.
func (c *conversion) buildSources() {
	seen := make(map[string]*Statement)
	for _, s := range c.all("server", "pool", "peer", "broadcast", "manycastclient") {
		src := c.sourceOf(s)
		if first := seen[s.Address]; first != nil && s.Word != "broadcast" && s.Word != "pool" {
			c.record(s).note(Folded, "duplicate-source", "delete one of the two", "line %d has the same address: ntpd refuses the second one", first.Line)
			continue
		}
		seen[s.Address] = s
		c.model.sources = append(c.model.sources, src)
		if c.opt.Client == nil {
			c.judgeSource(src)
		} else {
			c.deadSource(src)
		}
	}
	for _, s := range c.all("refclock") {
		c.sourceLine(s, "sources")
		c.model.sources = append(c.model.sources, c.ntpsecRefclock(s))
	}
	c.unpeer()
	c.fudges()
	for _, src := range c.model.sources {
		if src.refclock != nil && c.opt.Client == nil {
			c.judgeRefclock(src)
		}
	}
}

// sourceOf reads the options of an association.
func (c *conversion) sourceOf(s *Statement) *source {
	src := &source{line: s, kind: s.Word, address: s.Address, family: s.Family, minPoll: 6, maxPoll: 10, version: 4, mode: -1}
	if s.refclock() {
		src.kind = "refclock"
		src.refclock = newRefclock(s)
	}
	if o, ok := s.last("minpoll"); ok {
		src.minPoll = int(o.Int)
	}
	if o, ok := s.last("maxpoll"); ok && o.Int != 0 {
		src.maxPoll = int(max(o.Int, minPollExponent))
	} else if src.refclock != nil {
		src.maxPoll = min(max(src.minPoll, minPollExponent), maxPollExponent)
	}
	src.minPoll = min(src.minPoll, maxPollExponent, src.maxPoll)
	if o, ok := s.last("version"); ok {
		src.version = int(o.Int)
	}
	if o, ok := s.last("mode"); ok {
		src.mode = o.Int
	}
	if o, ok := s.last("key"); ok {
		src.key = uint32(o.Int)
	}
	src.ident, src.ca = s.text("ident"), s.text("ca")
	src.autokey, src.nts = s.flag("autokey"), s.flag("nts")
	src.iburst, src.burst, src.prefer = s.flag("iburst"), s.flag("burst"), s.flag("prefer")
	src.trusted, src.noSelect, src.xleave = s.flag("true"), s.flag("noselect"), s.flag("xleave")
	if src.autokey {
		src.key = 0
	}
	return src
}

// judgeSource says what becomes of an association.
func (c *conversion) judgeSource(src *source) {
	s, r := src.line, c.record(src.line)
	if src.refclock == nil || src.refclock.driver != localDriver {
		c.sourceLine(s, "sources")
	}
	c.deadSource(src)
	if src.dead != "" {
		r.note(Dangerous, "dead-source", "correct or delete the line", "ntpd never had time of %s: %s", printable(s.Address), src.dead)
		r.Did = "no usable source"
	}
	switch s.Word {
	case "peer":
		r.note(Dangerous, "peer", "if the other host takes its time from this one, give it a server line",
			"a peer becomes a plain source here: the other host cannot take time by this association any more")
	case "broadcast":
		r.note(Dangerous, "broadcast", "give every client that listens a server line", "broadcasts are not sent any more: clients that listen for them lose their time")
	case "manycastclient":
		r.note(Unsupported, "manycast", "name the servers", "servers are not looked for by multicast")
	}
	switch {
	case src.autokey:
		c.groupTraps(src)
		r.note(Dangerous, "autokey-source", "move it to NTS or to a symmetric key; it is not used without authentication in the meantime",
			"a source with Autokey is legacy-signed only")
	case src.key != 0 && src.dead == "":
		if ok, why := c.usableKey(src.key); !ok {
			src.dead = why
			r.note(Dangerous, "source-key", "correct the key, or move to NTS", "ntpd cannot use this source: %s; it is not used without authentication either", why)
		}
	}
	if src.trusted {
		r.note(Dangerous, "true", "delete the word, if the source is not beyond doubt", "true switches the protection against a wrong source off")
	}
	if src.version < 4 {
		r.note(Changed, "version", "", "requests have version 4 where authentication needs it, not %d", src.version)
	}
	for _, word := range []string{"preempt", "xmtnonce", "ttl", "burst", "xleave"} {
		if s.flag(word) && src.refclock == nil {
			r.note(Folded, "option-"+word, "", "%s is not needed", word)
		}
	}
}

// deadSource finds associations of which ntpd never had time.
func (c *conversion) deadSource(src *source) {
	if !plainName(src.address) || src.ident != "" && !plainName(src.ident) {
		src.dead = "that is no name of a host"
		return
	}
	switch {
	case src.autokey && len(c.model.autokey.lines) == 0:
		src.dead = "there is no crypto line: Autokey is not configured"
		return
	case src.key > 65535 && c.dialect != "chrony":
		src.dead = fmt.Sprintf("%d is no key identifier", src.key)
		return
	}
	addr, err := netip.ParseAddr(src.address)
	if err != nil {
		if strings.Contains(src.address, ":") && c.dialect == "ntp" {
			src.dead = "it takes HOST:PORT for a name"
		}
		return
	}
	multicast := addr.IsMulticast()
	switch {
	case src.refclock != nil && src.refclock.name == "":
		src.dead = fmt.Sprintf("there is no driver %d", src.refclock.driver)
	case multicast && (src.kind == "server" || src.kind == "peer" || src.kind == "pool"):
		src.dead = "it is a multicast address"
	case !multicast && src.kind == "manycastclient":
		src.dead = "it is no multicast address"
	case addr.IsUnspecified() || addr.Is4() && addr.As4()[0] >= 240 && src.kind != "broadcast":
		src.dead = "that address is never used"
	}
	if src.refclock == nil && src.dead == "" && src.kind != "broadcast" {
		c.restrictedSource(src, addr)
	}
}

// restrictedSource finds sources whose answers ntpd drops by its own
// restrictions.
func (c *conversion) restrictedSource(src *source, addr netip.Addr) {
	if c.model.restricts.source != nil {
		return
	}
	f := c.model.restricts.lookup(netip.AddrPortFrom(addr.Unmap(), 123)).flags
	switch {
	case f.has(flagIgnore | flagNoServe):
		src.dead = "its own restrictions drop what this server sends; here it becomes a source"
	case f.has(flagNoTrust) && src.key == 0 && !src.autokey:
		src.dead = "its own restrictions (notrust) drop what this server sends without authentication; here it becomes a source"
	}
}

// ntpsecRefclock reads ntpsec's form of a reference clock.
func (c *conversion) ntpsecRefclock(s *Statement) *source {
	src := c.sourceOf(s)
	rc := &refclock{stratum: -1, flags: [5]int{-1, -1, -1, -1, -1}, name: strings.ToUpper(s.Address)}
	for i, name := range drivers {
		if i > 0 && strings.HasPrefix(name, strings.ToUpper(s.Address)) && rc.driver == 0 {
			rc.driver = i
		}
	}
	if o, ok := s.last("unit"); ok {
		rc.unit = int(o.Int)
	}
	rc.fudge(s)
	src.kind, src.refclock = "refclock", rc
	return src
}

// unpeer takes associations back.
func (c *conversion) unpeer() {
	gone := make(map[string]*Statement)
	for _, s := range c.all("unpeer") {
		gone[s.Address] = s
	}
	if len(gone) == 0 {
		return
	}
	found := make(map[string]bool)
	c.model.sources = slices.DeleteFunc(c.model.sources, func(src *source) bool {
		by := gone[src.address]
		if by != nil {
			found[src.address] = true
			c.record(src.line).note(Folded, "unpeered", "delete both lines", "line %d takes it back", by.Line)
		}
		return by != nil
	})
	for _, s := range c.all("unpeer") {
		if found[s.Address] {
			c.record(s).note(Folded, "unpeer", "delete both lines", "it takes an association of this file back")
		} else {
			c.record(s).note(Obsolete, "unpeer", "delete the line", "there is no such association")
		}
	}
}

// newRefclock reads the address 127.127.DRIVER.UNIT.
func newRefclock(s *Statement) *refclock {
	rc := &refclock{stratum: -1, flags: [5]int{-1, -1, -1, -1, -1}}
	parts := strings.Split(s.Address, ".")
	if len(parts) == 4 {
		rc.driver, _ = strconv.Atoi(parts[2])
		rc.unit, _ = strconv.Atoi(parts[3])
	}
	if rc.driver > 0 && rc.driver < len(drivers) {
		rc.name = drivers[rc.driver]
	}
	return rc
}

// fudges puts fudge lines to their reference clocks.
func (c *conversion) fudges() {
	clocks := make(map[string]*refclock)
	for _, src := range c.model.sources {
		clocks[src.address] = src.refclock
	}
	for _, s := range c.all("fudge") {
		r := c.record(s)
		if s.flag("abbrev") {
			r.note(Error, "fudge-abbrev", "delete the word", "ntpd exits on fudge abbrev")
		}
		if !s.refclock() {
			r.note(Error, "fudge-address", "delete the line", "%s is no reference clock: ntpd ignores the line", printable(s.Address))
			continue
		}
		rc := clocks[s.Address]
		if rc == nil {
			r.note(Obsolete, "fudge-unused", "delete the line", "no server line has this reference clock: ntpd does nothing")
			continue
		}
		rc.fudge(s)
		if rc.driver == localDriver {
			c.model.localLines = append(c.model.localLines, s)
			continue
		}
		c.sourceLine(s, "sources")
	}
}

func (rc *refclock) fudge(s *Statement) {
	rc.lines = append(rc.lines, s)
	for _, o := range s.Options {
		switch o.Name {
		case "time1":
			rc.time1 = o.number()
		case "time2":
			rc.time2 = o.number()
		case "stratum":
			rc.stratum = int(o.Int)
		case "refid":
			rc.refid = o.Text[:min(len(o.Text), 4)]
		case "flag1", "flag2", "flag3", "flag4":
			rc.flags[o.Name[4]-'0'] = int(o.Int)
		}
	}
}

// localDriver is the undisciplined local clock.
const localDriver = 1

// drivers are the names of ntpd's reference clock drivers by number.
var drivers = strings.Split("|LOCAL|GPS_TRAK|WWV_PST|WWVB_SPEC|TRUETIME|IRIG_AUDIO|CHU_AUDIO|PARSE|GPS_MX4200|GPS_AS2201|GPS_ARBITER|IRIG_TPRO|"+
	"ATOM_LEITCH|MSF_EES|TRUETIME_OLD|GPS_BANCOMM|GPS_DATUM|ACTS|WWV_HEATH|NMEA|GPS_VME|PPS|PTB|USNO|USNO_OLD|GPS_HP|MSF_ARCRON|SHM|PALISADE|"+
	"ONCORE|JUPITER|CHRONOLOG|DUMBCLOCK|ULINK|PCF|WWV_AUDIO|FG|HOPF_SERIAL|HOPF_PCI|JJY|TT560|ZYFER|RIPENCC|NEOCLOCK4X|TSYNCPCI|GPSD_JSON", "|")

// judgeRefclock says what becomes of a reference clock.
func (c *conversion) judgeRefclock(src *source) {
	rc, r := src.refclock, c.record(src.line)
	if src.dead != "" {
		return
	}
	switch rc.driver {
	case localDriver:
		c.localClock(src)
	case 20:
		r.note(Approximated, "refclock-nmea", "run gpsd, and take its SHM or socket", "serial NMEA receivers are read by gpsd")
		if rc.flags[1] != 1 {
			r.note(Changed, "nmea-no-pps", "", "without fudge flag1 1 ntpd does not use the PPS signal, whatever the cabling")
		}
	case 22:
	case 28:
		if rc.unit >= 2 && src.mode != 1 {
			r.note(Dangerous, "shm-public", "use unit 0 or 1", "shared memory of unit %d is open to every local user, who can set this host's time", rc.unit)
		}
		if rc.flags[1] == 1 {
			r.note(Dangerous, "shm-no-limit", "delete flag1", "flag1 1 switches the limit on jumps off")
		}
	case 46:
		r.note(Approximated, "refclock-gpsd", "take gpsd's SHM or socket", "gpsd's JSON is replaced by its shared memory or socket")
	case 8:
		r.note(Unsupported, "refclock", "read the receiver with gpsd or mbgtools, through SHM", "driver 8 (PARSE) is not offered")
	default:
		r.note(Unsupported, "refclock", "read the receiver with gpsd, or keep ntpd for it on another host", "driver %d (%s) is not offered", rc.driver, rc.name)
	}
	if rc.driver == localDriver {
		return
	}
	for _, word := range []string{"key", "iburst", "burst", "version", "autokey"} {
		if src.line.flag(word) {
			r.note(Folded, "refclock-option", "", "%s means nothing for a reference clock", word)
		}
	}
}

// localClock turns the LOCAL driver into a stratum to fall back to.
func (c *conversion) localClock(src *source) {
	m, r := &c.model, c.record(src.line)
	stratum := src.refclock.stratum
	if stratum < 0 {
		stratum = 5
	}
	m.localStratum = min(stratum+1, 15)
	m.localLines = append([]*Statement{src.line}, m.localLines...)
	alone := true
	for _, other := range m.sources {
		if other != src && other.dead == "" && other.kind != "broadcast" {
			alone = false
		}
	}
	switch {
	case src.noSelect:
		m.localStratum = 0
		r.note(Obsolete, "local-noselect", "delete the line", "the local clock was never used")
		return
	case alone:
		r.note(Dangerous, "local-only", "give this host a real source",
			"the local clock is the only source: the time that is served, also with authentication, is whatever this host's clock says")
	default:
		r.note(Dangerous, "local-clock", "leave it out, unless clients have to stay together without a source",
			"without a source the local clock is served at stratum %d, and authentication makes it look good", m.localStratum)
	}
	if src.prefer {
		r.note(Dangerous, "local-prefer", "delete prefer", "prefer makes ntpd follow its own clock instead of a source")
	}
	if stratum < 5 {
		r.note(Dangerous, "local-stratum", "write fudge stratum 10 or more", "stratum %d makes a free-running clock win over real servers", stratum)
	}
}
