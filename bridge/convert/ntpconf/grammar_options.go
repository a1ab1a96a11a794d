package ntpconf

import "ntsbridge/bridge/convert/syntax"

var cryptoOption = anyOf(typed(CryptoStrings, tokenString), typed("ident", tokenString), (*parser).cryptoRevoke)

// cryptoRevoke is a directive of its own by now, and takes effect even if the
// line is lost.
func (p *parser) cryptoRevoke() (syntax.Option, bool, bool) {
	o, found, ok := typed("revoke", tokenInteger)(p)
	if found && ok {
		p.say("'crypto revoke %d' is deprecated, please use 'revoke %d' instead.", o.Int, o.Int)
		p.keep(&syntax.Statement{Word: "revoke", Options: []syntax.Option{{Kind: syntax.ValueInt, Int: o.Int, Text: o.Text}}})
		o = syntax.Option{}
	}
	return o, found, ok
}

// crypto reads a list that may be empty: crypto alone turns Autokey on.
func (p *parser) crypto(word string) bool {
	options, ok := p.collect(cryptoOption)
	if ok {
		p.keep(&syntax.Statement{Word: word, Options: options})
	}
	return ok
}

var tosOption = anyOf(typed(TosIntegers, tokenInteger), typed(TosNumbers, tokenInteger, tokenDouble),
	(*parser).cohort, typed("basedate", tokenString))

func (p *parser) cohort() (syntax.Option, bool, bool) {
	if _, found := p.keyword("cohort"); !found {
		return syntax.Option{}, false, true
	}
	o, ok := p.boolean()
	o.Name = "cohort"
	return o, true, ok
}

// boolean reads 0, 1 or true; any other integer is 1.
func (p *parser) boolean() (syntax.Option, bool) {
	if _, ok := p.keyword("true"); ok {
		return syntax.Option{Kind: syntax.ValueInt, Int: 1, Text: "true"}, true
	}
	o, ok := p.value(tokenInteger)
	if ok && o.Int != 0 && o.Int != 1 {
		p.say("Integer value is not boolean (0 or 1). Assuming 1")
		o.Int = 1
	}
	return o, ok
}

var fudgeOption = anyOf(typed("time1 time2 minjitter", tokenInteger, tokenDouble), (*parser).fudgeStratum,
	typed("refid abbrev", tokenString), (*parser).fudgeFlag)

// fudgeStratum drops a stratum out of range, and nothing else of the line.
func (p *parser) fudgeStratum() (syntax.Option, bool, bool) {
	o, found, ok := typed("stratum", tokenInteger)(p)
	if found && ok && (o.Int < 0 || o.Int > 16) {
		p.say("fudge factor: stratum value not in [0..16], ignored")
		return syntax.Option{}, true, true
	}
	return o, found, ok
}

func (p *parser) fudgeFlag() (syntax.Option, bool, bool) {
	name, found := p.keyword(FudgeFlags)
	if !found {
		return syntax.Option{}, false, true
	}
	o, ok := p.boolean()
	o.Name = name
	return o, true, ok
}

func (p *parser) fudge(word string) bool {
	family, address, ok := p.address()
	if !ok {
		return false
	}
	before := len(p.result.Statements)
	if !list(fudgeOption)(p, word) {
		return false
	}
	s := p.result.Statements[before]
	s.Family, s.Address = family, address
	return true
}

func (p *parser) filegen(word string) bool {
	name, ok := p.keyword(StatisticsNames + " " + ntpsecStatistics)
	if !ok {
		return false
	}
	options, ok := p.collect(anyOf(typed("file", tokenString), (*parser).filegenType, plain(FilegenFlags)))
	if !ok {
		return false
	}
	p.keep(&syntax.Statement{Word: word, Address: name, Options: options})
	return true
}

func (p *parser) filegenType() (syntax.Option, bool, bool) {
	if _, found := p.keyword("type"); !found {
		return syntax.Option{}, false, true
	}
	name, ok := p.keyword(FilegenTypes)
	return syntax.Option{Name: "type", Kind: syntax.ValueString, Text: name}, true, ok
}

func (p *parser) trustedKey(word string) bool {
	return list(func(p *parser) (syntax.Option, bool, bool) {
		if !p.special("(") {
			o, found := p.value(tokenInteger)
			return o, found, true
		}
		low, ok := p.value(tokenInteger)
		if !ok {
			return low, true, false
		}
		if _, ok := p.keyword("..."); !ok {
			return low, true, false
		}
		high, ok := p.value(tokenInteger)
		ok = ok && p.special(")")
		return syntax.Option{Kind: syntax.ValueRange, Int: low.Int, High: high.Int}, true, ok
	})(p, word)
}
