package ntpconf

import "ntsbridge/bridge/convert/syntax"

// Commands of ntpd's grammar that nothing is converted from: they are read so
// that what stands around them is read as ntpd reads it.

// pollSkewList reads entries of POLL LOW|HIGH or default LOW|HIGH.
func (p *parser) pollSkewList(word string) bool {
	s := &syntax.Statement{Word: word}
	for {
		entry := syntax.Option{Name: "default"}
		if _, ok := p.keyword("default"); !ok {
			o, ok := p.value(tokenInteger)
			if !ok {
				p.keep(s)
				return true
			}
			entry.Name = o.Text
			entry.Double = float64(o.Int) // the poll exponent
		}
		low, ok := p.value(tokenInteger)
		if !ok || !p.special("|") {
			return false
		}
		high, ok := p.value(tokenInteger)
		if !ok {
			return false
		}
		entry.Kind, entry.Int, entry.High = syntax.ValueRange, low.Int, high.Int
		if p.goodSkew(entry) {
			s.Options = append(s.Options, entry)
		}
	}
}

func (p *parser) goodSkew(o syntax.Option) bool {
	poll := int64(o.Double)
	switch {
	case o.Int < 0 || o.High < 0:
		p.say("pollskewlist: skew values must be >=0")
	case o.Name == "default":
		return true
	case poll < 3 || poll > 17:
		p.say("pollskewlist: poll value must be 3-17, inclusive")
	case o.Int >= 1<<(poll-1) || o.High >= 1<<(poll-1):
		p.say("pollskewlist: randomization limit must be <= half the poll interval")
	default:
		return true
	}
	return false
}

// simulate reads the block of the simulator, in which commands end with a
// semicolon. A block with a mistake leaves ntpd in that mode for good.
func (p *parser) simulate(word string) bool {
	s := &syntax.Statement{Word: word}
	p.simulator = true
	if !p.special("{") || !p.assignments("beep_delay simulation_duration") {
		return p.simulatorStuck()
	}
	for first := true; ; first = false {
		if _, ok := p.keyword("server"); !ok {
			if first || !p.special("}") {
				return p.simulatorStuck()
			}
			break
		}
		if !p.simulatedServer() {
			return p.simulatorStuck()
		}
	}
	p.simulator = false
	p.keep(s).End = p.file().tokenLine
	return true
}

// simulatorStuck notes that the rest of the file is read as a simulator's.
func (p *parser) simulatorStuck() bool {
	if p.result.Ends == nil {
		p.result.Ends = &syntax.End{File: p.place.File, Line: p.place.Line,
			Text: "a simulator block with a mistake: from here on ntpd ends commands at semicolons instead of lines"}
	}
	return false
}

func (p *parser) simulatedServer() bool {
	if !p.special("=") {
		return false
	}
	if _, _, ok := p.address(); !ok || !p.special("{") {
		return false
	}
	if _, ok := p.keyword("server_offset"); !ok || !p.assigned() || !p.endOfAssignment() {
		return false
	}
	for first := true; ; first = false {
		if _, ok := p.keyword("duration"); !ok {
			return !first && p.special("}")
		}
		if !p.assigned() || !p.special("{") || !p.assignments("freq_offset jitter proc_delay prop_delay wander") || !p.special("}") {
			return false
		}
	}
}

// assignments reads at least one assignment to one of the words.
func (p *parser) assignments(words string) bool {
	for first := true; ; first = false {
		if _, ok := p.keyword(words); !ok {
			return !first
		}
		if !p.assigned() || !p.endOfAssignment() {
			return false
		}
	}
}

func (p *parser) assigned() bool {
	if !p.special("=") {
		return false
	}
	_, ok := p.value(tokenInteger, tokenDouble)
	return ok
}

func (p *parser) endOfAssignment() bool {
	if p.peek().kind != tokenEOC {
		return false
	}
	p.take()
	return true
}
