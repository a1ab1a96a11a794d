package ntpconf

import (
	"ntsbridge/bridge/convert/syntax"
	"strings"
)

// Words that are options of directives.
const (
	AssociationFlags   = "autokey burst iburst noselect preempt prefer true xleave xmtnonce"
	AssociationNumbers = "key minpoll maxpoll ttl mode version"
	CryptoStrings      = "digest host ident pw randfile"
	TosIntegers        = "bcpollbstep beacon ceiling floor maxclock minclock minsane orphan orphanwait"
	TosNumbers         = "mindist maxdist"
	StatisticsNames    = "clockstats cryptostats loopstats peerstats protostats rawstats sysstats timingstats"
	FilegenTypes       = "age day month none pid week year"
	FilegenFlags       = "link nolink enable disable"
	DiscardIntegers    = "average minimum monitor"
	MruIntegers        = "incalloc incmem initalloc initmem maxage maxdepth maxmem mindepth"
	RestrictFlags      = "epeer flake ignore kod limited lowpriotrap mssntp nomodify nomrulist noepeer nopeer noquery noserve notrap notrust ntpport version"
	FudgeFlags         = "flag1 flag2 flag3 flag4"
	RlimitIntegers     = "memlock stacksize filenum"
	SystemSwitches     = "auth bclient calibrate kernel mode7 monitor ntp peer_clear_digest_early stats unpeer_crypto_early unpeer_crypto_nak_early unpeer_digest_early"
	TinkerNumbers      = "allan dispersion freq huffpuff panic step stepback stepfwd stepout tick"
	ResetCounters      = "allpeers auth ctl io mem sys timer"
	InterfaceActions   = "drop ignore listen"
	InterfaceClasses   = "all ipv4 ipv6 wildcard"
)

var fieldCache = func() map[string][]string {
	cache := make(map[string][]string)
	for _, words := range []string{
		AssociationFlags, AssociationNumbers, CryptoStrings, TosIntegers, TosNumbers, StatisticsNames, FilegenTypes,
		FilegenFlags, DiscardIntegers, MruIntegers, RestrictFlags, FudgeFlags, RlimitIntegers, SystemSwitches,
		TinkerNumbers, ResetCounters, InterfaceActions, InterfaceClasses, "-4 -6", "default", "source", "mask",
		"ippeerlimit", "serverresponse", "fuzz", "revoke", "ident", "basedate", "cohort", "true", "file", "type",
		"stratum", "refid abbrev", "time1 time2 minjitter", "port", "interface", "...", "checkhash ignorehash",
	} {
		cache[words] = strings.Fields(words)
	}
	return cache
}()

// Directives are the commands. Each function reads what stands behind the
// word; false is a syntax error at the next token before anything was complete.
var Directives map[string]func(p *parser, word string) bool

func init() { // not an initialiser: include is reached from itself
	Directives = map[string]func(p *parser, word string) bool{
		"broadcastclient": (*parser).bare,
		"crypto":          (*parser).crypto,
		"discard":         integers(DiscardIntegers),
		"mru":             integers(MruIntegers),
		"rlimit":          integers(RlimitIntegers),
		"tinker":          numbers(TinkerNumbers),
		"tos":             list(tosOption),
		"fudge":           (*parser).fudge,
		"enable":          flags(SystemSwitches),
		"disable":         flags(SystemSwitches),
		"statistics":      flags(StatisticsNames),
		"reset":           flags(ResetCounters),
		"filegen":         (*parser).filegen,
		"trustedkey":      (*parser).trustedKey,
		"restrict":        (*parser).restrict,
		"interface":       (*parser).networkInterface,
		"nic":             (*parser).networkInterface,
		"driftfile":       (*parser).driftFile,
		"leapfile":        (*parser).leapFile,
		"setvar":          (*parser).setVar,
		"trap":            (*parser).trap,
		"pollskewlist":    (*parser).pollSkewList,
		"unpeer":          (*parser).unpeer,
		"unconfig":        (*parser).unpeer,
		"includefile":     (*parser).includeFile,
		"end":             (*parser).end,
		"simulate":        (*parser).simulate,
		"logconfig":       values(tokenString),
		"phone":           values(tokenString),
		"ttl":             values(tokenInteger),
	}
	for word := range strings.FieldsSeq("server pool peer broadcast manycastclient") {
		Directives[word] = (*parser).association
	}
	for word := range strings.FieldsSeq("manycastserver multicastclient") {
		Directives[word] = (*parser).addresses
	}
	for word := range strings.FieldsSeq("automax controlkey dscp leapsmearinterval mdnstries requestkey revoke") {
		Directives[word] = single(tokenInteger)
	}
	for word := range strings.FieldsSeq("ident keys keysdir logfile ntpsigndsocket pidfile saveconfigdir statsdir") {
		Directives[word] = single(tokenString)
	}
	for word := range strings.FieldsSeq("broadcastdelay nonvolatile tick") {
		Directives[word] = single(tokenInteger, tokenDouble)
	}
}

// directive reads one command up to the first word that cannot continue it. It
// reports false if nothing complete was there.
func (p *parser) directive() bool {
	t := p.peek()
	read := p.grammar.directives[t.text]
	if t.kind != tokenKeyword || read == nil {
		return false
	}
	p.take()
	return read(p, t.text)
}

func (p *parser) bare(word string) bool {
	p.keep(&syntax.Statement{Word: word})
	return true
}

// family takes -4 or -6 if it is there.
func (p *parser) family() string {
	family, _ := p.keyword("-4 -6")
	return family
}

// address takes an address or name with its family.
func (p *parser) address() (family, address string, ok bool) {
	family = p.family()
	o, ok := p.value(tokenString)
	return family, o.Text, ok
}

// option is an option that a list knows: found is false if the next token is
// none, ok is false if its value is missing or of the wrong type.
type option func(p *parser) (o syntax.Option, found, ok bool)

// typed returns the option of the given words with a value.
func typed(words string, kinds ...tokenKind) option {
	return func(p *parser) (syntax.Option, bool, bool) {
		name, found := p.keyword(words)
		if !found {
			return syntax.Option{}, false, true
		}
		o, ok := p.value(kinds...)
		o.Name = name
		return o, true, ok
	}
}

// plain returns the option of the given words without a value.
func plain(words string) option {
	return func(p *parser) (syntax.Option, bool, bool) {
		name, found := p.keyword(words)
		return syntax.Option{Name: name}, found, true
	}
}

// anyOf returns the first option that is found.
func anyOf(options ...option) option {
	return func(p *parser) (syntax.Option, bool, bool) {
		for _, read := range options {
			if o, found, ok := read(p); found {
				return o, found, ok
			}
		}
		return syntax.Option{}, false, true
	}
}

// collect reads options as long as there are any; ok is false after an option
// without its value, for which ntpd loses the whole command.
func (p *parser) collect(read option) (list []syntax.Option, ok bool) {
	for {
		o, found, ok := read(p)
		if !ok {
			return nil, false
		}
		if !found {
			return list, true
		}
		if o.Name != "" || o.Kind != syntax.ValueNone {
			list = append(list, o)
		}
	}
}

// list returns a directive that is a list of at least one option.
func list(read option) func(*parser, string) bool {
	return func(p *parser, word string) bool {
		first, found, ok := read(p)
		if !found || !ok {
			return false
		}
		rest, ok := p.collect(read)
		if !ok {
			return false
		}
		options := rest
		if first.Name != "" || first.Kind != syntax.ValueNone {
			options = append([]syntax.Option{first}, rest...)
		}
		p.keep(&syntax.Statement{Word: word, Options: options})
		return true
	}
}

func integers(words string) func(*parser, string) bool { return list(typed(words, tokenInteger)) }
func numbers(words string) func(*parser, string) bool {
	return list(typed(words, tokenInteger, tokenDouble))
}
func flags(words string) func(*parser, string) bool { return list(plain(words)) }

// value returns an option without a name.
func value(kinds ...tokenKind) option {
	return func(p *parser) (syntax.Option, bool, bool) {
		o, found := p.value(kinds...)
		return o, found, true
	}
}

func values(kinds ...tokenKind) func(*parser, string) bool { return list(value(kinds...)) }

// single returns a directive with exactly one value.
func single(kinds ...tokenKind) func(*parser, string) bool {
	return func(p *parser, word string) bool {
		if word == "leapsmearinterval" {
			p.say("Built without LEAP_SMEAR support.")
		}
		o, ok := p.value(kinds...)
		if ok {
			p.keep(&syntax.Statement{Word: word, Options: []syntax.Option{o}})
		}
		return ok
	}
}

var associationOption = anyOf(plain(AssociationFlags), typed(AssociationNumbers, tokenInteger, tokenUint),
	typed("ident", tokenString))

func (p *parser) association(word string) bool {
	s := &syntax.Statement{Word: word}
	var ok bool
	if s.Family, s.Address, ok = p.address(); !ok {
		return false
	}
	if s.Options, ok = p.collect(p.grammar.association); !ok {
		return false
	}
	if p.checkAssociation(s) {
		p.keep(s)
	}
	return true
}

// checkAssociation corrects values as ntpd does when it takes the line; it
// reports false if ntpd drops the line for one of them.
func (p *parser) checkAssociation(s *syntax.Statement) bool {
	good := true
	kept := s.Options[:0]
	for _, o := range s.Options {
		v := int32(uint32(o.Int))
		problem := ""
		switch o.Name {
		case "minpoll":
			o.Int = p.minPoll(v)
		case "maxpoll":
			o.Int = p.maxPoll(v)
		case "key":
			if uint32(v) >= maxKeyID {
				problem = "key: invalid argument"
			}
		case "version":
			if uint32(v) >= 255 {
				problem = "version: invalid argument"
			}
		case "ttl":
			if s.Refclock() {
				problem = "'ttl' does not apply for refclocks"
			} else if uint32(v) >= 8 { // of the table of the directive ttl
				problem = "ttl: invalid argument"
			}
		case "mode":
			if !s.Refclock() {
				problem = "'mode' does not apply for network peers"
			}
		}
		if problem != "" {
			p.say("%s", problem)
			good = false
		}
		kept = append(kept, o)
	}
	s.Options = kept
	return good
}

// maxKeyID is the first number that ntpd does not take as a key identifier.
const maxKeyID = 1<<32 - 1

// minPoll and maxPoll put what is out of range to ntpd's least and largest.
func (p *parser) minPoll(v int32) int64 {
	if v < MinPollExponent || v > 255 {
		p.say("minpoll: provided value (%d) is out of range [3-255])", v)
		return MinPollExponent
	}
	return int64(v)
}

func (p *parser) maxPoll(v int32) int64 {
	if v < 0 || v > MaxPollExponent {
		p.say("maxpoll: provided value (%d) is out of range [0-17])", v)
		return MaxPollExponent
	}
	return int64(v)
}

// The poll exponents of ntpd: 8 s to 36 h.
const (
	MinPollExponent = 3
	MaxPollExponent = 17
)

func (p *parser) unpeer(string) bool {
	family, address, ok := p.address()
	if !ok {
		return false
	}
	p.keep(&syntax.Statement{Word: "unpeer", Family: family, Address: address})
	return true
}

// addresses reads a list of at least one address; the family of each is in
// the option's name.
func (p *parser) addresses(word string) bool {
	s := &syntax.Statement{Word: word}
	for {
		family := p.family()
		o, ok := p.value(tokenString)
		if !ok {
			if family != "" || len(s.Options) == 0 {
				return false
			}
			p.keep(s)
			return true
		}
		o.Name = family
		s.Options = append(s.Options, o)
	}
}

// Known reports whether a word is a directive of ntpd.
func Known(word string) bool { return Directives[word] != nil }
