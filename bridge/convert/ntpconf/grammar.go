package ntpconf

import (
	"strings"

	"ntsbridge/bridge/convert/syntax"
)

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

func (p *parser) bare(word string) bool {
	p.keep(&syntax.Statement{Word: word})
	return true
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

// Parse reads an ntp.conf as ntpd 4.2.8p15 does. The reader is asked for
// included files.
func Parse(name string, data []byte, read syntax.Reader) *syntax.Parsed {
	g := &grammar{keywords: Keywords, directives: Directives, association: associationOption, leastPoll: MinPollExponent}
	return parse(g, name, data, read)
}
