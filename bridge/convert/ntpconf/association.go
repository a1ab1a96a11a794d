package ntpconf

import (
	"ntsbridge/bridge/convert/syntax"
)

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

// minPoll and maxPoll put what is out of range to ntpd's least and largest.
func (p *parser) minPoll(v int32) int64 {
	least := p.grammar.leastPoll
	switch {
	case least == 0 && v < 0: // ntpsec, which says no more of what is too large
		p.say("minpoll: provided value (%d) is too small [0-17])", v)
		return 0
	case v < least || v > 255:
		p.say("minpoll: provided value (%d) is out of range [3-255])", v)
		return int64(least)
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
