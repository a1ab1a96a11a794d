package convert

var cryptoOption = anyOf(typed(cryptoStrings, tokenString), typed("ident", tokenString), (*parser).cryptoRevoke)

// cryptoRevoke is a directive of its own by now, and takes effect even if the
// line is lost.
func (p *parser) cryptoRevoke() (Option, bool, bool) {
	o, found, ok := typed("revoke", tokenInteger)(p)
	if found && ok {
		p.say("'crypto revoke %d' is deprecated, please use 'revoke %d' instead.", o.Int, o.Int)
		p.keep(&Statement{Word: "revoke", Options: []Option{{Kind: valueInt, Int: o.Int, Text: o.Text}}})
		o = Option{}
	}
	return o, found, ok
}

// crypto reads a list that may be empty: crypto alone turns Autokey on.
func (p *parser) crypto(word string) bool {
	options, ok := p.collect(cryptoOption)
	if ok {
		p.keep(&Statement{Word: word, Options: options})
	}
	return ok
}

var tosOption = anyOf(typed(tosIntegers, tokenInteger), typed(tosNumbers, tokenInteger, tokenDouble),
	(*parser).cohort, typed("basedate", tokenString))

func (p *parser) cohort() (Option, bool, bool) {
	if _, found := p.keyword("cohort"); !found {
		return Option{}, false, true
	}
	o, ok := p.boolean()
	o.Name = "cohort"
	return o, true, ok
}

// boolean reads 0, 1 or true; any other integer is 1.
func (p *parser) boolean() (Option, bool) {
	if _, ok := p.keyword("true"); ok {
		return Option{Kind: valueInt, Int: 1, Text: "true"}, true
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
func (p *parser) fudgeStratum() (Option, bool, bool) {
	o, found, ok := typed("stratum", tokenInteger)(p)
	if found && ok && (o.Int < 0 || o.Int > 16) {
		p.say("fudge factor: stratum value not in [0..16], ignored")
		return Option{}, true, true
	}
	return o, found, ok
}

func (p *parser) fudgeFlag() (Option, bool, bool) {
	name, found := p.keyword(fudgeFlags)
	if !found {
		return Option{}, false, true
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
	name, ok := p.keyword(statisticsNames)
	if !ok {
		return false
	}
	options, ok := p.collect(anyOf(typed("file", tokenString), (*parser).filegenType, plain(filegenFlags)))
	if !ok {
		return false
	}
	p.keep(&Statement{Word: word, Address: name, Options: options})
	return true
}

func (p *parser) filegenType() (Option, bool, bool) {
	if _, found := p.keyword("type"); !found {
		return Option{}, false, true
	}
	name, ok := p.keyword(filegenTypes)
	return Option{Name: "type", Kind: valueString, Text: name}, true, ok
}

func (p *parser) trustedKey(word string) bool {
	return list(func(p *parser) (Option, bool, bool) {
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
		return Option{Kind: valueRange, Int: low.Int, High: high.Int}, true, ok
	})(p, word)
}
