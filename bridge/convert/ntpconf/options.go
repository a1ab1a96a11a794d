package ntpconf

import (
	"ntsbridge/bridge/convert/syntax"
)

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

// maxKeyID is the first number that ntpd does not take as a key identifier.
const maxKeyID = 1<<32 - 1

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
