package ntpconf

import "ntsbridge/bridge/convert/syntax"

func (p *parser) restrict(word string) bool {
	s := &syntax.Statement{Word: word}
	if name, ok := p.keyword("source"); ok {
		s.Address, s.Keyword = name, true
	} else if !p.restrictAddress(s) {
		return false
	}
	if _, ok := p.keyword("ippeerlimit"); ok {
		o, ok := p.value(tokenInteger)
		if !ok {
			return false
		}
		if o.Int < -1 || o.Int > 100 {
			p.say("Unreasonable ippeerlimit value (%d).  Using 0.", o.Int)
			o.Int = 0
		}
		o.Name = "ippeerlimit"
		s.Options = append(s.Options, o)
	}
	flags, ok := p.collect(anyOf(plain(RestrictFlags), (*parser).serverResponse))
	if !ok {
		return false
	}
	s.Options = append(s.Options, flags...)
	p.keep(s)
	return true
}

// restrictAddress reads what a restriction is for.
func (p *parser) restrictAddress(s *syntax.Statement) bool {
	s.Family = p.family()
	if name, ok := p.keyword("default"); ok {
		s.Address, s.Keyword = name, true
		return true
	}
	o, ok := p.value(tokenString)
	if !ok {
		return false
	}
	s.Address = o.Text
	if _, ok := p.keyword("mask"); !ok {
		return true
	}
	mask, ok := p.value(tokenString)
	s.Mask = mask.Text
	return ok
}

// serverResponse reads the two words of one flag.
func (p *parser) serverResponse() (syntax.Option, bool, bool) {
	if _, found := p.keyword("serverresponse"); !found {
		return syntax.Option{}, false, true
	}
	_, ok := p.keyword("fuzz")
	return syntax.Option{Name: "serverresponse fuzz"}, true, ok
}

func (p *parser) networkInterface(string) bool {
	s := &syntax.Statement{Word: "interface"}
	action, ok := p.keyword(InterfaceActions)
	if !ok {
		return false
	}
	s.Options = []syntax.Option{{Name: action}}
	if class, ok := p.keyword(InterfaceClasses); ok {
		s.Address, s.Keyword = class, true
	} else {
		o, ok := p.value(tokenString)
		if !ok {
			return false
		}
		s.Address = o.Text
	}
	p.keep(s)
	return true
}

// driftFile reads a name that may be missing, and a number in the old form.
func (p *parser) driftFile(word string) bool {
	s := &syntax.Statement{Word: word}
	o, ok := p.value(tokenString)
	if ok {
		s.Options = append(s.Options, o)
		if wander, ok := p.value(tokenDouble); ok {
			wander.Name = "nonvolatile"
			s.Options = append(s.Options, wander)
			p.say("'driftfile FILENAME WanderValue' is deprecated, please use separate 'driftfile FILENAME' and 'nonvolatile WanderValue' lines instead.")
		}
	}
	p.keep(s)
	return true
}

func (p *parser) leapFile(word string) bool {
	o, ok := p.value(tokenString)
	if !ok {
		return false
	}
	s := &syntax.Statement{Word: word, Options: []syntax.Option{o}}
	if check, ok := p.keyword("checkhash ignorehash"); ok {
		s.Options = append(s.Options, syntax.Option{Name: check})
	}
	p.keep(s)
	return true
}

func (p *parser) setVar(word string) bool {
	name, ok := p.value(tokenString)
	if !ok || !p.special("=") {
		return false
	}
	o, ok := p.value(tokenString)
	if !ok {
		return false
	}
	o.Name = name.Text
	s := &syntax.Statement{Word: word, Options: []syntax.Option{o}}
	if _, ok := p.keyword("default"); ok {
		s.Options = append(s.Options, syntax.Option{Name: "default"})
	}
	p.keep(s)
	return true
}

func (p *parser) trap(word string) bool {
	o, ok := p.value(tokenString)
	if !ok {
		return false
	}
	options, ok := p.collect(anyOf(typed("port", tokenInteger), typed("interface", tokenString)))
	if !ok {
		return false
	}
	p.keep(&syntax.Statement{Word: word, Address: o.Text, Options: options})
	return true
}

// includeFile reads a name and, as ntpd's grammar has it, another command on
// the same line, which takes effect before the file.
func (p *parser) includeFile(word string) bool {
	name, ok := p.value(tokenString)
	if !ok {
		return false
	}
	s := p.keep(&syntax.Statement{Word: word, Options: []syntax.Option{name}})
	if p.peek().kind == tokenKeyword && p.grammar.directives[p.peek().text] != nil {
		if !p.directive() {
			p.drop(s)
			return false
		}
	} else if p.peek().kind != tokenEOC {
		p.drop(s)
		return false
	}
	p.include(name.Text)
	return true
}

// drop takes a statement back.
func (p *parser) drop(s *syntax.Statement) {
	list := p.result.Statements
	for i := len(list) - 1; i >= 0; i-- {
		if list[i] == s {
			p.result.Statements = append(list[:i], list[i+1:]...)
			return
		}
	}
}

// end makes ntpd stop reading altogether, without a look at the next word.
func (p *parser) end(word string) bool {
	s := p.keep(&syntax.Statement{Word: word})
	p.result.Ends = &syntax.End{File: s.File, Line: s.Line, Text: "the word end: ntpd reads nothing after it, in any file"}
	p.flush()
	return true
}
