package convert

import (
	"fmt"
	"net/netip"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"slices"
	"strings"
)

// buildSources reads the associations with their fudge lines.
func (c *conversion) buildSources() {
	seen := make(map[string]*syntax.Statement)
	for _, s := range c.all("server", "pool", "peer", "broadcast", "manycastclient") {
		src := c.sourceOf(s)
		if first := seen[s.Address]; first != nil && s.Word != "broadcast" && s.Word != "pool" {
			c.record(s).Note(report.Folded, "duplicate-source", "delete one of the two", "line %d has the same address: ntpd refuses the second one", first.Line)
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
		c.model.sources = append(c.model.sources, c.ntpsecRefclock(s))
	}
	c.unpeer()
	c.fudges()
	if c.opt.Client != nil {
		return
	}
	for _, local := range []bool{false, true} { // the local clock is judged by the others
		for _, src := range c.model.sources {
			if src.refclock != nil && (src.refclock.driver == localDriver) == local {
				c.judgeRefclock(src)
			}
		}
	}
	c.planSources()
}

// sourceOf reads the options of an association.
func (c *conversion) sourceOf(s *syntax.Statement) *source {
	src := &source{line: s, kind: s.Word, address: s.Address, family: s.Family, minPoll: 6, maxPoll: 10, version: 4, mode: -1}
	if s.Refclock() {
		src.kind = "refclock"
		src.refclock = newRefclock(s)
	}
	if o, ok := s.Last("minpoll"); ok {
		src.minPoll = int(o.Int)
	}
	if o, ok := s.Last("maxpoll"); ok && o.Int != 0 {
		src.maxPoll = int(max(o.Int, ntpconf.MinPollExponent))
	} else if src.refclock != nil {
		src.maxPoll = min(max(src.minPoll, ntpconf.MinPollExponent), ntpconf.MaxPollExponent)
	}
	src.minPoll = min(src.minPoll, ntpconf.MaxPollExponent, src.maxPoll)
	if o, ok := s.Last("version"); ok {
		src.version = int(o.Int)
	}
	if o, ok := s.Last("mode"); ok {
		src.mode = o.Int
	}
	if o, ok := s.Last("ttl"); ok {
		src.ttl = int(o.Int)
	}
	if o, ok := s.Last("key"); ok {
		src.key = uint32(o.Int)
	}
	src.ident, src.ca = s.Text("ident"), s.Text("ca")
	src.autokey, src.nts = s.Flag("autokey"), s.Flag("nts")
	src.iburst, src.burst, src.prefer = s.Flag("iburst"), s.Flag("burst"), s.Flag("prefer")
	src.trusted, src.noSelect, src.xleave = s.Flag("true"), s.Flag("noselect"), s.Flag("xleave")
	if src.autokey {
		src.key = 0
	}
	return src
}

// judgeSource says what becomes of an association.
func (c *conversion) judgeSource(src *source) {
	s, r := src.line, c.record(src.line)
	c.deadSource(src)
	if src.dead != "" {
		r.Note(report.Dangerous, "dead-source", "correct or delete the line", "%s never had time of %s: %s", c.daemon(), spell.Printable(s.Address), src.dead)
		r.Did = "no usable source"
	}
	if src.refclock != nil {
		return
	}
	switch {
	case src.autokey && s.Word != "broadcast":
		c.groupTraps(src)
		r.Note(report.Dangerous, "autokey-source", "move it to NTS or to a symmetric key", "a source with Autokey is legacy-signed only")
		if !c.model.autokey.enabled && src.dead == "" {
			src.left = "Autokey cannot be used with the files of this host"
			r.Note(report.Dangerous, "autokey-left-out", "correct the files, or move to NTS", "it is left out, and not used without authentication either: %s", src.left)
		}
	case src.key != 0 && src.dead == "":
		if ok, why := c.usableKey(src.key); !ok {
			src.dead = why
			r.Note(report.Dangerous, "source-key", "correct the key, or move to NTS", "%s cannot use this source: %s; it is not used without authentication either", c.daemon(), why)
		}
	}
	switch s.Word {
	case "peer":
		c.judgePeer(src)
	case "broadcast":
		c.judgeBroadcast(src)
	case "manycastclient":
		src.left = "servers are not looked for by multicast"
		r.Note(report.Unsupported, "manycast", "name the servers", "servers are not looked for by multicast: anybody could answer")
	}
	c.judgeOptions(src)
}

// judgePeer keeps a symmetric association that is authenticated; without, it
// is one for everybody to forge, and only half of it is kept.
func (c *conversion) judgePeer(src *source) {
	if c.dialect == "ntpsec" {
		src.kind = "server"
		c.record(src.line).Note(report.Folded, "peer", "write server", "ntpsec takes peer for server")
		return
	}
	if (src.key != 0 || src.autokey) && src.dead == "" && src.left == "" {
		return
	}
	if src.key != 0 || src.autokey || src.dead != "" && !src.revived() {
		return
	}
	src.kind = "server"
	c.record(src.line).Note(report.Dangerous, "peer", "give both a symmetric key; or, if the other host takes its time from this one, give it a server line",
		"a peer without authentication becomes a plain source here: the other host cannot take time by this association any more")
}

// revived reports whether a source that the daemon itself shut out is one
// here.
func (src *source) revived() bool { return strings.Contains(src.dead, "here it becomes a source") }

// judgeOptions tells of options that are not kept as they are.
func (c *conversion) judgeOptions(src *source) {
	s, r := src.line, c.record(src.line)
	if src.trusted && !src.noSelect {
		r.Note(report.Dangerous, "true", "delete the word, if the source is not beyond doubt", "true switches the protection against a wrong source off")
	}
	if src.noSelect && (src.prefer || src.trusted) {
		r.Note(report.Folded, "noselect-wins", "delete one of the words", "noselect goes before prefer and true")
		src.prefer, src.trusted = false, false
	}
	if src.version < 1 || src.version > 4 {
		r.Note(report.Changed, "version", "", "requests have version 4, not %d", src.version)
		src.version = 4
	}
	if src.version < 4 && (src.nts || src.autokey) {
		r.Note(report.Changed, "version", "", "requests have version 4, which authentication needs, not %d", src.version)
		src.version = 4
	}
	for _, word := range []string{"preempt", "xmtnonce"} {
		if s.Flag(word) {
			r.Note(report.Folded, "option-"+word, "", "%s is not needed", word)
		}
	}
	if s.Flag("ttl") && s.Word != "broadcast" {
		r.Note(report.Folded, "option-ttl", "", "ttl means nothing here")
	}
	if src.xleave {
		src.xleave = false
		if src.kind == "peer" || src.kind == "broadcast" {
			r.Note(report.Changed, "option-xleave", "", "interleaved packets are for clients here, and not for %s", s.Word)
		} else {
			r.Note(report.Folded, "option-xleave", "", "xleave means nothing on this line to ntpd")
		}
	}
	if src.burst && src.kind == "peer" {
		src.burst = false
		r.Note(report.Folded, "option-burst", "", "burst means nothing to a peer")
	}
	c.ntpsecOptions(src)
}

// deadSource finds associations of which ntpd never had time.
func (c *conversion) deadSource(src *source) {
	if !spell.PlainName(src.address) || src.ident != "" && !spell.PlainName(src.ident) {
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
	if c.model.restricts.Source != nil {
		return
	}
	f := c.model.restricts.Lookup(netip.AddrPortFrom(addr.Unmap(), 123)).Flags
	switch {
	case f.Has(restrict.FlagIgnore | restrict.FlagNoServe):
		src.dead = "its own restrictions drop what this server sends; here it becomes a source"
	case f.Has(restrict.FlagNoTrust) && src.key == 0 && !src.autokey:
		src.dead = "its own restrictions (notrust) drop what this server sends without authentication; here it becomes a source"
	}
}

// unpeer takes associations back.
func (c *conversion) unpeer() {
	gone := make(map[string]*syntax.Statement)
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
			c.record(src.line).Note(report.Folded, "unpeered", "delete both lines", "line %d takes it back", by.Line)
		}
		return by != nil
	})
	for _, s := range c.all("unpeer") {
		if found[s.Address] {
			c.record(s).Note(report.Folded, "unpeer", "delete both lines", "it takes an association of this file back")
		} else {
			c.record(s).Note(report.Obsolete, "unpeer", "delete the line", "there is no such association")
		}
	}
}
