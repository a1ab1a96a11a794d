package ntpd

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// buildSources reads the associations with their fudge lines.
func (c *reader) buildSources() {
	seen := make(map[association]*syntax.Statement)
	for _, s := range c.All(associations...) {
		src := c.sourceOf(s)
		if c.refused(seen, s) {
			continue
		}
		c.Model.Sources = append(c.Model.Sources, src)
		c.deadSource(src)
		if c.Opt.Client == nil {
			c.restrictedSource(src)
			c.judgeSource(src)
		}
	}
	for _, s := range c.All("refclock") {
		c.Model.Sources = append(c.Model.Sources, c.ntpsecRefclock(s))
	}
	c.unpeer()
	c.fudges()
	if c.Opt.Client != nil {
		return
	}
	for _, local := range []bool{false, true} { // the local clock is judged by the others
		for _, src := range c.Model.Sources {
			if src.Refclock != nil && (src.Refclock.Driver == job.LocalDriver) == local {
				c.judgeRefclock(src)
			}
		}
	}
	c.PlanSources()
	for _, src := range c.Model.Sources {
		if src.Refclock == nil && src.Left == "" {
			c.judgeWritten(src)
		}
	}
}

// judgeWritten says what of an association is not written as it is.
func (c *reader) judgeWritten(src *job.Source) {
	if src.Line.Word == "peer" {
		c.judgePeer(src)
	}
	c.judgeOptions(src)
}

// sourceOf reads the options of an association.
func (c *reader) sourceOf(s *syntax.Statement) *job.Source {
	src := &job.Source{Line: s, Kind: s.Word, Address: s.Address, Family: s.Family, MinPoll: 6, MaxPoll: 10, Version: 4, Mode: -1,
		Words: job.NamedWords(s)}
	if _, err := netip.ParseAddr(s.Address); err != nil && src.Family == "" {
		src.Family = c.Start.Family
	}
	if s.Refclock() {
		src.Kind = "refclock"
		src.Refclock = newRefclock(s)
	}
	if o, ok := s.Last("minpoll"); ok {
		src.MinPoll = int(o.Int)
	}
	if o, ok := s.Last("maxpoll"); ok && o.Int != 0 {
		src.MaxPoll = int(max(o.Int, c.leastPoll()))
	} else if src.Refclock != nil {
		src.MaxPoll = min(max(src.MinPoll, int(c.leastPoll())), ntpconf.MaxPollExponent)
	}
	src.MinPoll = min(src.MinPoll, ntpconf.MaxPollExponent, src.MaxPoll)
	if o, ok := s.Last("version"); ok {
		src.Version = int(o.Int)
	}
	if o, ok := s.Last("mode"); ok {
		src.Mode = o.Int
	}
	if o, ok := s.Last("ttl"); ok {
		src.Ttl = int(o.Int)
	}
	if o, ok := s.Last("key"); ok {
		src.Key = uint32(o.Int)
	}
	src.Ident, src.Ca = s.Value("ident"), s.Value("ca")
	src.Autokey, src.Nts = s.Flag("autokey"), s.Flag("nts")
	src.Iburst, src.Burst, src.Prefer = s.Flag("iburst"), s.Flag("burst"), s.Flag("prefer")
	src.Trusted, src.NoSelect, src.Xleave = s.Flag("true"), s.Flag("noselect"), s.Flag("xleave")
	if src.Autokey {
		src.Key = 0
	}
	return src
}

// judgeSource says what becomes of an association.
func (c *reader) judgeSource(src *job.Source) {
	s, r := src.Line, c.Record(src.Line)
	if src.Dead != "" {
		r.Note(report.Dangerous, "dead-source", "correct or delete the line", "%s never had time of %s: %s", c.Daemon(),
			spell.Printable(s.Address), src.Dead)
		r.Did = "no usable source"
	}
	if src.Refclock != nil {
		return
	}
	switch {
	case src.Autokey && s.Word != "broadcast":
		c.groupTraps(src)
		r.Note(report.Dangerous, "autokey-source", "move it to NTS or to a symmetric key", "a source with Autokey is legacy-signed only")
		if !c.Model.Autokey.Enabled && src.Dead == "" {
			src.Left = "Autokey cannot be used with the files of this host"
			r.Note(report.Dangerous, "autokey-left-out", "correct the files, or move to NTS",
				"it is left out, and not used without authentication either: %s", src.Left)
		}
	case src.Key != 0 && src.Dead == "":
		if ok, why := c.UsableKey(src.Key); !ok {
			src.Dead = why
			r.Note(report.Dangerous, "source-key", "correct the key, or move to NTS",
				"%s cannot use this source: %s; it is not used without authentication either", c.Daemon(), why)
		}
	}
	switch s.Word {
	case "broadcast":
		c.judgeBroadcast(src)
	case "manycastclient":
		src.Left = "servers are not looked for by multicast"
		r.Note(report.Unsupported, "manycast", "name the servers", "servers are not looked for by multicast: anybody could answer")
	}
}

// judgePeer keeps a symmetric association that is authenticated; without, it
// is one for everybody to forge, and only half of it is kept.
func (c *reader) judgePeer(src *job.Source) {
	if c.Dialect == "ntpsec" {
		src.Kind = "server"
		c.Record(src.Line).Note(report.Folded, "peer", "write server", "ntpsec takes peer for server")
		return
	}
	if (src.Key != 0 || src.Autokey) && src.Dead == "" && src.Left == "" {
		return
	}
	if src.Key != 0 || src.Autokey || src.Dead != "" && !src.Revived {
		return
	}
	src.Kind = "server"
	c.Record(src.Line).Note(report.Dangerous, "peer",
		"give both a symmetric key; or, if the other host takes its time from this one, give it a server line",
		"a peer without authentication becomes a plain source here: the other host cannot take time by this association any more")
}

// judgeOptions tells of options that are not kept as they are.
func (c *reader) judgeOptions(src *job.Source) {
	s, r := src.Line, c.Record(src.Line)
	if src.Trusted && !src.NoSelect {
		r.Note(report.Dangerous, "true", "delete the word, if the source is not beyond doubt",
			"true switches the protection against a wrong source off")
	}
	if src.NoSelect && (src.Prefer || src.Trusted) {
		r.Note(report.Folded, "noselect-wins", "delete one of the words", "noselect goes before prefer and true")
		src.Prefer, src.Trusted = false, false
	}
	if src.Version < 1 || src.Version > 4 {
		r.Note(report.Changed, "version", "", "requests have version 4, not %d", src.Version)
		src.Version = 4
	}
	if src.Version < 4 && (src.Nts || src.Autokey) {
		r.Note(report.Changed, "version", "", "requests have version 4, which authentication needs, not %d", src.Version)
		src.Version = 4
	}
	for _, word := range []string{"preempt", "xmtnonce"} {
		if s.Flag(word) {
			r.Note(report.Folded, "option-"+word, "", "%s is not needed", word)
		}
	}
	if s.Flag("ttl") && s.Word != "broadcast" && s.Word != "manycastclient" {
		r.Note(report.Folded, "option-ttl", "", "ttl means nothing here")
	}
	if src.Xleave {
		src.Xleave = false
		if src.Kind == "peer" || src.Kind == "broadcast" {
			r.Note(report.Changed, "option-xleave", "", "interleaved packets are for clients here, and not for %s", s.Word)
		} else {
			r.Note(report.Folded, "option-xleave", "", "xleave means nothing on this line to ntpd")
		}
	}
	if src.Burst && src.Kind == "peer" {
		src.Burst = false
		r.Note(report.Folded, "option-burst", "", "burst means nothing to a peer")
	}
	c.ntpsecOptions(src)
}

// deadSource finds associations of which ntpd never had time.
func (c *reader) deadSource(src *job.Source) {
	if !spell.PlainName(src.Address) || src.Ident != "" && !spell.PlainName(src.Ident) {
		src.Dead = "that is no name of a host"
		return
	}
	switch {
	case src.Autokey && len(c.Model.Autokey.Lines) == 0:
		src.Dead = "there is no crypto line: Autokey is not configured"
		return
	case src.Key > 65535 && c.Dialect != "chrony":
		src.Dead = fmt.Sprintf("%d is no key identifier", src.Key)
		return
	}
	addr, err := netip.ParseAddr(src.Address)
	if err != nil {
		host, _ := src.HostPort()
		switch bad := config.ServerName(host); {
		case src.Refclock != nil || src.Kind == "broadcast":
		case slices.ContainsFunc(c.Resolve(host), c.own):
			src.Dead = "it is this host itself"
		case strings.Contains(src.Address, ":") && c.Dialect == "ntp":
			src.Dead = "it takes HOST:PORT for a name"
		case bad != nil:
			src.Dead = "that is no name of a host: " + bad.Error()
		}
		return
	}
	multicast := addr.IsMulticast()
	switch {
	case src.Family == "-4" && !addr.Unmap().Is4(), src.Family == "-6" && addr.Unmap().Is4():
		src.Dead = "it is looked for as an address of the other family (" + src.Family + ")"
	case src.Refclock != nil && src.Refclock.Name == "":
		src.Dead = fmt.Sprintf("there is no driver %d", src.Refclock.Driver)
	case multicast && (src.Kind == "server" || src.Kind == "peer" || src.Kind == "pool"):
		src.Dead = "it is a multicast address"
	case !multicast && src.Kind == "manycastclient":
		src.Dead = "it is no multicast address"
	case addr.IsUnspecified() || addr.Is4() && addr.As4()[0] >= 240 && src.Kind != "broadcast":
		src.Dead = "that address is never used"
	}
	if src.Dead == "" && src.Refclock == nil && src.Kind != "broadcast" && c.own(addr) {
		src.Dead = "it is this host itself"
	}
}

// own reports whether an address is known to be this host's.
func (c *reader) own(a netip.Addr) bool {
	if a = a.Unmap(); a.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(c.All("interface"), func(s *syntax.Statement) bool {
		listen, err := netip.ParseAddr(s.Address)
		return err == nil && s.Flag("listen") && listen.Unmap() == a && !a.IsUnspecified()
	})
}

// leastPoll is the shortest interval of the daemon, log2 s.
func (c *reader) leastPoll() int64 {
	if c.Dialect == "ntpsec" {
		return 0
	}
	return ntpconf.MinPollExponent
}

// restrictedSource finds sources whose answers ntpd drops by its own
// restrictions, and pools of which it makes no sources. What a restriction says
// of all hosts was not said of a source that is named; what restrict source
// says, and the demand of authentication, was.
func (c *reader) restrictedSource(src *job.Source) {
	if src.Dead != "" || src.Refclock != nil || src.Kind == "broadcast" {
		return
	}
	f, known := c.sourceFlags(src.Address)
	if c.Dialect == "ntpsec" {
		f &^= restrict.FlagNoPeer // "restrict nopeer ignored", it says
	}
	template := c.Model.Restricts.Source != nil && f == restrict.FlagsOf(c.Model.Restricts.Source)
	why, revived := droppedBy(f, src, template)
	switch {
	case c.unasked(src):
		src.Dead, src.Revived = "the rules about interfaces leave it no address to ask from", true
	case why == "":
	case !known:
		name := spell.Printable(src.Address)
		c.Record(src.Line).Note(report.Dangerous, "source-default", "say which addresses it has: --address "+name+"=ADDRESS[,ADDRESS]",
			"if no restrict line but the default is for its addresses, %s never had time of %s: %s; here it is a source", c.Daemon(), name, why)
	default:
		src.Dead, src.Revived = why, revived
	}
	if src.Revived {
		src.Dead += "; here it becomes a source"
	}
}

// droppedBy says why ntpd has no time of a source under these flags; empty: it
// has. template is whether they are those of restrict source. revived is whether
// it becomes a source here all the same: what was not said of sources was hardly
// meant for them.
func droppedBy(f restrict.Set, src *job.Source, template bool) (why string, revived bool) {
	switch {
	case f.Has(restrict.FlagIgnore | restrict.FlagNoServe):
		return "its own restrictions drop what this server sends", !template
	case f.Has(restrict.FlagNoTrust) && src.Key == 0 && !src.Autokey && !src.Nts:
		return "its own restrictions (notrust) drop what this server sends without authentication", false
	case f.Has(restrict.FlagNoPeer) && !template && src.Kind == "pool":
		return "nopeer without restrict source keeps it from making sources of a pool", true
	}
	return "", false
}

// unasked reports whether ntpd has no address from which to ask a source: of
// those that rules about interfaces leave, it takes none of loopback, and of the
// others the nearest, whatever the route (findinterface of ntpd 4.2.8p15).
func (c *reader) unasked(src *job.Source) bool {
	left := c.Model.Listen
	if left.Lines == nil || left.Unsure {
		return false
	}
	asks := func(l config.Listen, ipv4 bool) bool {
		a := l.Addr()
		if l.Network.IsValid() {
			a = l.Network.Addr()
		}
		if l.Interface != "" {
			return l.Family == "" || (l.Family == config.FamilyIPv4) == ipv4
		}
		return !a.IsLoopback() && a.Is4() == ipv4
	}
	addr, err := netip.ParseAddr(src.Address)
	return !slices.ContainsFunc(left.Addresses, func(l config.Listen) bool {
		if err == nil {
			return asks(l, addr.Unmap().Is4())
		}
		return src.Family != "-6" && asks(l, true) || src.Family != "-4" && asks(l, false)
	})
}

// sourceFlags returns the flags that hold for what a source sends: of the entry
// for its address alone, of restrict source, or of the entry that it falls
// under. known is false if that depends on the addresses of its name.
func (c *reader) sourceFlags(address string) (f restrict.Set, known bool) {
	l := c.Model.Restricts
	addresses := c.Resolve(address)
	if a, err := netip.ParseAddr(address); err == nil {
		addresses = []netip.Addr{a}
	}
	if len(addresses) == 0 {
		if f, known := c.restrictOf(address); known { // both names stand for the same addresses
			return f, true
		}
		if l.Source != nil {
			return restrict.FlagsOf(l.Source), true
		}
		return c.defaultFlags(), l.OnlyDefaults()
	}
	e := l.Lookup(netip.AddrPortFrom(addresses[0].Unmap().WithZone(""), 123))
	if l.Source != nil && !e.Host() {
		return restrict.FlagsOf(l.Source), true
	}
	return e.Flags, true
}

// restrictOf returns what the restrictions of the name of one server say, which
// add up as those of an address; a pool's name has its own address each time
// that it is asked for.
func (c *reader) restrictOf(name string) (f restrict.Set, known bool) {
	named := func(s *syntax.Statement) bool { return strings.EqualFold(s.Address, name) }
	if slices.ContainsFunc(c.All("pool"), named) {
		return 0, false
	}
	for _, s := range c.All("restrict") {
		if named(s) {
			f, known = f|restrict.FlagsOf(s), true
		}
	}
	return f, known
}

// sourceEntries adds the entries that ntpd makes of restrict source for each
// source that has none for its address alone, as far as addresses are known,
// and tells of the others.
func (c *reader) sourceEntries(l *restrict.List) {
	if l.Source == nil {
		return
	}
	flags := restrict.FlagsOf(l.Source)
	var names []string
	for _, s := range c.All("server", "pool", "peer", "manycastclient") {
		if s.Refclock() {
			continue
		}
		addresses := c.Resolve(s.Address)
		if a, err := netip.ParseAddr(s.Address); err == nil {
			addresses = []netip.Addr{a}
		}
		if len(addresses) == 0 && restrict.ServiceOf(flags) != restrict.ServiceOf(c.defaultFlags()) {
			names = append(names, spell.Printable(s.Address))
		}
		for _, a := range addresses {
			a = a.Unmap().WithZone("")
			e := l.Lookup(netip.AddrPortFrom(a, 123))
			if a.IsMulticast() || e.Host() || restrict.ServiceOf(e.Flags) == restrict.ServiceOf(flags) {
				continue
			}
			l.Add(a, restrict.HostMask(a), flags&^restrict.FlagSourcePort, l.Source)
		}
	}
	l.Names = slices.Compact(names)
	if len(names) == 0 {
		return
	}
	was, now := restrict.ServiceOf(flags), restrict.ServiceOf(c.defaultFlags())
	class := report.Changed
	if now.LaxerThan(was) {
		class = report.Dangerous
	}
	c.Record(l.Source).Note(class, "source-access", "if they ask this host for time, say which addresses they have: --address NAME=ADDRESS",
		"%s gives the addresses of its sources what this line says (%s); of %s they are not known, and have what the default gives (%s)",
		c.Daemon(), was, strings.Join(l.Names, " "), now)
}

// unpeer takes associations back.
func (c *reader) unpeer() {
	gone := make(map[string]*syntax.Statement)
	for _, s := range c.All("unpeer") {
		gone[s.Address] = s
	}
	if len(gone) == 0 {
		return
	}
	found := make(map[string]bool)
	c.Model.Sources = slices.DeleteFunc(c.Model.Sources, func(src *job.Source) bool {
		by := gone[src.Address]
		if by != nil {
			found[src.Address] = true
			c.Record(src.Line).Note(report.Folded, "unpeered", "delete both lines", "line %d takes it back", by.Line)
		}
		return by != nil
	})
	for _, s := range c.All("unpeer") {
		if found[s.Address] {
			c.Record(s).Note(report.Folded, "unpeer", "delete both lines", "it takes an association of this file back")
		} else {
			c.Record(s).Note(report.Obsolete, "unpeer", "delete the line", "there is no such association")
		}
	}
}

// judgeBroadcast keeps a broadcast association that is authenticated.
func (c *reader) judgeBroadcast(src *job.Source) {
	r := c.Record(src.Line)
	destination, err := netip.ParseAddr(src.Address)
	switch {
	case src.Dead != "":
	case err != nil:
		src.Left = "the destination must be an address"
		r.Note(report.Dangerous, "broadcast", "write the address, or give every client that listens a server line",
			"the broadcasts are not sent: %s", src.Left)
	case src.Autokey && !c.Model.Autokey.Enabled || src.Key == 0 && !src.Autokey:
		src.Left = "without authentication anybody can forge a broadcast"
		r.Note(report.Dangerous, "broadcast", "give the broadcast a symmetric key, or every client that listens a server line",
			"the broadcasts are not sent any more: %s; clients that listen for them lose their time", src.Left)
	case destination.Is6() && !destination.IsMulticast():
		src.Left = "that is no multicast address"
		r.Note(report.Dangerous, "broadcast", "give every client that listens a server line", "the broadcasts are not sent: %s", src.Left)
	case src.Autokey:
		r.Note(report.Dangerous, "broadcast-autokey", "give every client that listens a server line",
			"ntpd 4.2.8 drops every broadcast with Autokey, by a defect of its own: no client ever followed this")
	}
}
