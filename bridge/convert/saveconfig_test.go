package convert

import (
	"fmt"
	"strconv"
	"strings"

	"ntsbridge/bridge/convert/syntax"
)

// saveConfig prints what the parser kept in the form of ntpd's own
// --saveconfigquit, for comparison with it.
func saveConfig(r *syntax.Parsed) []string {
	d := dumper{statements: r.Statements}
	d.variables()
	d.merged("logconfig", func(o syntax.Option) string {
		if strings.ContainsAny(o.Text[:1], "+-=") {
			return o.Text
		}
		return "=" + o.Text
	})
	d.lastText("statsdir")
	d.merged("statistics", optionName)
	d.filegens()
	d.merged("crypto", optionPair)
	d.lastNumber("revoke")
	d.lastText("keysdir")
	d.lastText("keys")
	d.trusted()
	d.lastNumber("controlkey")
	d.lastNumber("requestkey")
	d.merged("enable", optionName)
	d.merged("disable", optionName)
	d.merged("tos", func(o syntax.Option) string {
		if o.Name == "basedate" {
			return "basedate *"
		}
		return optionPair(o)
	})
	d.merged("rlimit", optionPair)
	d.merged("tinker", optionPair)
	if len(d.of("broadcastclient")) > 0 {
		d.out = append(d.out, "broadcastclient")
	}
	d.associations()
	for _, word := range []string{"manycastserver", "multicastclient"} {
		d.merged(word, func(o syntax.Option) string { return o.Text })
	}
	for _, s := range d.of("unpeer") {
		d.out = append(d.out, "unpeer "+s.Address)
	}
	d.merged("mru", optionPair)
	d.merged("discard", optionPair)
	d.merged("pollskewlist", func(o syntax.Option) string { return fmt.Sprintf("%s %d|%d", o.Name, o.Int, o.High) })
	d.restricts()
	for _, s := range d.of("interface") {
		d.out = append(d.out, "interface "+s.Names()+" "+s.Address)
	}
	d.merged("phone", func(o syntax.Option) string { return `"` + o.Text + `"` })
	d.setvars()
	d.merged("ttl", optionValue)
	d.traps()
	for _, s := range d.of("reset") {
		d.out = append(d.out, "reset "+s.Names())
	}
	return d.out
}

type dumper struct {
	statements []*syntax.Statement
	out        []string
}

func (d *dumper) of(words ...string) (list []*syntax.Statement) {
	for _, s := range d.statements {
		for _, w := range words {
			if s.Word == w {
				list = append(list, s)
			}
		}
	}
	return list
}

func optionName(o syntax.Option) string { return o.Name }

func optionValue(o syntax.Option) string {
	switch o.Kind {
	case syntax.ValueInt:
		return strconv.FormatInt(int64(int32(uint32(o.Int))), 10)
	case syntax.ValueDouble:
		return formatG(o.Double)
	case syntax.ValueRange:
		return fmt.Sprintf("(%d ... %d)", o.Int, o.High)
	}
	return o.Text
}

// formatG is C's %g.
func formatG(v float64) string {
	s := strconv.FormatFloat(v, 'g', 6, 64)
	mantissa, exponent, found := strings.Cut(s, "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	if !found {
		return mantissa
	}
	return mantissa + "e" + exponent[:1] + strings.TrimLeft(exponent[1:], "0")
}

func optionPair(o syntax.Option) string {
	if o.Kind == syntax.ValueNone {
		return o.Name
	}
	return strings.TrimSpace(o.Name + " " + optionValue(o))
}

// merged prints the options of all statements of a word in one line.
func (d *dumper) merged(word string, format func(syntax.Option) string) {
	var list []string
	for _, s := range d.of(word) {
		for _, o := range s.Options {
			list = append(list, format(o))
		}
	}
	if len(list) > 0 {
		d.out = append(d.out, word+" "+strings.Join(list, " "))
	}
}

func (d *dumper) lastText(word string) {
	if list := d.of(word); len(list) > 0 {
		d.out = append(d.out, fmt.Sprintf("%s \"%s\"", word, list[len(list)-1].Argument()))
	}
}

func (d *dumper) lastNumber(word string) {
	if list := d.of(word); len(list) > 0 {
		if v := optionValue(list[len(list)-1].Options[0]); v != "0" {
			d.out = append(d.out, word+" "+v)
		}
	}
}

func (d *dumper) variables() {
	for _, s := range d.of("broadcastdelay", "nonvolatile", "dscp", "tick", "driftfile", "leapfile", "logfile", "pidfile",
		"saveconfigdir", "ident", "automax", "leapsmearinterval") {
		var line string
		switch s.Word {
		case "driftfile":
			line = fmt.Sprintf(`driftfile "%s"`, s.Argument())
			if o, ok := s.Last("nonvolatile"); ok {
				line += " " + optionValue(o)
			}
		case "leapfile":
			line = fmt.Sprintf(`leapfile "%s" `, s.Argument())
			if s.Flag("ignorehash") {
				line += "ignorehash"
			} else {
				line += "checkhash"
			}
		case "logfile", "pidfile", "saveconfigdir", "ident":
			line = fmt.Sprintf(`%s "%s"`, s.Word, s.Argument())
		default:
			line = s.Word + " " + optionValue(s.Options[0])
		}
		d.out = append(d.out, line)
	}
}

func (d *dumper) filegens() {
	for _, s := range d.of("filegen") {
		if len(s.Options) == 0 {
			continue
		}
		line := "filegen " + s.Address
		for _, o := range s.Options {
			line += " " + optionPair(o)
		}
		d.out = append(d.out, line)
	}
}

func (d *dumper) trusted() {
	if list := d.of("trustedkey"); len(list) > 0 {
		line := "trustedkey"
		for _, o := range list[len(list)-1].Options {
			line += " " + optionValue(o)
		}
		d.out = append(d.out, line)
	}
}

func (d *dumper) associations() {
	for _, s := range d.of("server", "pool", "peer", "broadcast", "manycastclient") {
		d.out = append(d.out, dumpAssociation(s))
		for _, f := range d.of("fudge") {
			if f.Address != s.Address {
				continue
			}
			line := "fudge " + f.Address
			for _, o := range f.Options {
				line += " " + optionPair(o)
			}
			d.out = append(d.out, line)
		}
	}
}

func dumpAssociation(s *syntax.Statement) string {
	line := s.Word
	if s.Family != "" {
		line += " " + s.Family
	}
	line += " " + s.Address
	for _, name := range []string{"minpoll", "maxpoll", "ttl", "mode", "version", "key"} {
		o, ok := s.Last(name)
		if ok && (o.Int != 0 || name == "version") && !(name == "version" && o.Int == 4) {
			line += " " + name + " " + strconv.FormatUint(uint64(uint32(o.Int)), 10)
		}
	}
	if ident, ok := s.Last("ident"); ok {
		line += ` ident "` + ident.Text + `"`
	}
	for _, o := range s.Options {
		if o.Kind == syntax.ValueNone {
			line += " " + o.Name
		}
	}
	return line
}

func (d *dumper) restricts() {
	for _, s := range d.of("restrict") {
		line := "restrict "
		if s.Keyword && s.Family != "" {
			line += s.Family + " "
		}
		line += s.Address
		if s.Mask != "" {
			line += " mask " + s.Mask
		}
		limit := int64(-1)
		if o, ok := s.Last("ippeerlimit"); ok {
			limit = o.Int
		}
		line += fmt.Sprintf(" ippeerlimit %d", limit)
		for _, o := range s.Options {
			if o.Kind == syntax.ValueNone {
				line += " " + o.Name
			}
		}
		d.out = append(d.out, line)
	}
}

func (d *dumper) setvars() {
	for _, s := range d.of("setvar") {
		o := s.Options[0]
		quote := func(s string) string {
			if strings.ContainsAny(s, " \t#{}(),;|=") {
				return `"` + s + `"`
			}
			return s
		}
		name, text, _ := strings.Cut(o.Name+"="+o.Text, "=") // as ntpd keeps it
		line := "setvar " + quote(name) + " = " + quote(text)
		if len(s.Options) > 1 {
			line += " default"
		}
		d.out = append(d.out, line)
	}
}

func (d *dumper) traps() {
	for _, s := range d.of("trap") {
		line := "trap " + s.Address
		for _, o := range s.Options {
			line += " " + optionPair(o)
		}
		d.out = append(d.out, line)
	}
}

func formatPlace(d syntax.Diagnostic) string { return fmt.Sprintf("%d:%d", d.Line, d.Column) }
