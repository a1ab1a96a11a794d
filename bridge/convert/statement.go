package convert

import "strings"

// Statement is one command as the parser kept it.
type Statement struct {
	// Word is the directive: server, restrict, and so on; unconfig is unpeer,
	// nic is interface.
	Word string
	File int // index of the file it stands in
	Line int // from 1
	End  int // last line of a simulator's block; 0: Line
	// Family is "-4", "-6" or empty, where the grammar has it.
	Family string
	// Address is the address or name of an association, of restrict (also
	// "default" and "source", if Keyword is set), fudge, unpeer and trap, or the
	// class, name or address of interface.
	Address string
	// Keyword tells a keyword in Address from a string that reads the same.
	Keyword bool
	Mask    string // of restrict; empty: none
	// Options are words with or without values, in file order. Lists of numbers
	// and strings are options without a name.
	Options []Option
	// Lost is what ntpd did not read of the line: everything from the first
	// word that it could not place. Empty: nothing.
	Lost string
}

// valueKind is the type of an option's value.
type valueKind uint8

const (
	valueNone   valueKind = iota
	valueInt              // Int
	valueDouble           // Double
	valueString           // Text
	valueRange            // Int to High
)

// Option is a word of a command with its value, as ntpd computed it.
type Option struct {
	Name   string
	Kind   valueKind
	Int    int64
	High   int64
	Double float64
	Text   string // as written, for numbers too
}

// number returns the value of an Int or Double.
func (o Option) number() float64 {
	if o.Kind == valueDouble {
		return o.Double
	}
	return float64(o.Int)
}

// flag reports whether an option of that name is there.
func (s *Statement) flag(name string) bool {
	_, ok := s.last(name)
	return ok
}

// last returns the last option of a name, the one that counts.
func (s *Statement) last(name string) (Option, bool) {
	for i := len(s.Options) - 1; i >= 0; i-- {
		if s.Options[i].Name == name {
			return s.Options[i], true
		}
	}
	return Option{}, false
}

// text returns the text of the last option of a name, or nothing.
func (s *Statement) text(name string) string {
	o, _ := s.last(name)
	return o.Text
}

// argument returns the first value without a name, or nothing.
func (s *Statement) argument() string {
	for _, o := range s.Options {
		if o.Name == "" {
			return o.Text
		}
	}
	return ""
}

// names returns the options' names joined by blanks.
func (s *Statement) names() string {
	var list []string
	for _, o := range s.Options {
		list = append(list, o.Name)
	}
	return strings.Join(list, " ")
}

// refclock reports whether the address is one of a reference clock: ntpd looks
// at the first eight characters.
func (s *Statement) refclock() bool { return strings.HasPrefix(s.Address, "127.127.") }
