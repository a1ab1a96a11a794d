package chronyconf

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// arguments are the arguments of directives in chronyd 4.6: i is an
// integer, d a number, s a word; behind a stroke stand those that may be left
// out, and * takes any number of words. Others are looked at where they are
// read.
var arguments = func() map[string]string {
	m := map[string]string{
		"makestep": "di", "maxchange": "dii", "fallbackdrift": "ii", "smoothtime": "dd|s", "leapsectz": "s", "leapseclist": "s",
		"log": "|*", "ratelimit": "|*", "ntsratelimit": "|*", "cmdratelimit": "|*", "driftfile": "s|si", "allow": "|ss", "deny": "|ss",
		"cmdallow": "|ss", "cmddeny": "|ss",
		"broadcast": "is|i", "initstepslew": "d|*", "mailonchange": "sd", "ntstrustedcerts": "s|s", "include": "s", "confdir": "s|*",
		"sourcedir":   "s|*",
		"hwtimestamp": "s|*", "local": "|*", "ntsaeads": "|iiiiiiii", "tempcomp": "sds|dddd",
	}
	for kinds, words := range map[string]string{
		"i": "acquisitionport cmdport dscp logbanner maxntsconnections maxsamples minsamples minsources maxstratum minstratum nocerttimecheck " +
			"ntsport ntsprocesses ntsrefresh ntsrotate port ptpdomain ptpport refresh sched_priority maxtxbuffers clientloglimit",
		"d": "clockprecision combinelimit corrtimeratio hwtstimeout logchange maxclockerror maxdistance maxdrift maxjitter maxslewrate " +
			"maxupdateskew reselectdist rtcautotrim stratumweight",
		"s": "authselectmode bindacqaddress bindacqdevice bindaddress bindcmdaddress bindcmddevice binddevice dumpdir hwclockfile keyfile " +
			"leapsecmode logdir ntpsigndsocket ntsdumpdir ntscachedir ntsntpserver ntsservercert ntsserverkey pidfile rtcdevice rtcfile user",
		"": "dumponexit lock_all manual noclientlog nosystemcert rtconutc rtcsync",
	} {
		for word := range strings.FieldsSeq(words) {
			m[word] = kinds
		}
	}
	return m
}()

// Problem returns why chronyd does not take the arguments of a
// directive, for which it does not start; empty: it does.
func Problem(s *syntax.Statement) string {
	kinds, known := arguments[s.Word]
	if !known {
		return ""
	}
	required, optional, _ := strings.Cut(kinds, "|")
	problem := ""
	for i, o := range s.Options {
		kind := kindAt(required+optional, i)
		read := Prefix
		if i+1 < len(s.Options) && i+1 < len(required) {
			read = Number // the next number has to begin behind it
		}
		switch _, ok := read(kind, o.Text); {
		case kind == 0:
			problem = "there are too many words"
		case kind != 's' && kind != '*' && !ok:
			problem = fmt.Sprintf("%s is no number", spell.Printable(o.Text))
		}
	}
	if len(s.Options) < len(required) {
		problem = "a value is missing"
	}
	if problem == "" {
		problem = wordsProblem(s)
	}
	return problem
}

// kindAt returns the kind of an argument; 0: there is none in that place.
func kindAt(kinds string, i int) byte {
	switch {
	case i < len(kinds) && kinds[i] != '*':
		return kinds[i]
	case strings.HasSuffix(kinds, "*"):
		return '*'
	}
	return 0
}

// NaN returns an argument that stands for a number and is none, with which
// chronyd starts all the same: nan. Empty: there is no such argument.
func NaN(s *syntax.Statement) string {
	kinds := strings.Replace(arguments[s.Word], "|", "", 1)
	for i, o := range s.Options {
		if v, ok := Prefix('d', o.Text); kindAt(kinds, i) == 'd' && ok && math.IsNaN(v) {
			return o.Text
		}
	}
	return ""
}

// wordsProblem tells what is wrong with words in places where only some
// are known.
func wordsProblem(s *syntax.Statement) string {
	switch n := len(s.Options); {
	case s.Word == "driftfile" && n > 1 && (n != 3 || spell.AsciiLower(s.Options[1].Text) != "interval"):
		return "the second word is not interval with a value"
	case isAccess(s.Word):
		return accessProblem(s.Options)
	case isAddress(s.Word):
		if text := s.Options[0].Text; !(s.Word == "bindcmdaddress" && strings.HasPrefix(text, "/")) && !plainAddress(text) {
			return spell.Printable(text) + " is no address"
		}
	case s.Word == "broadcast" && !plainAddress(s.Options[1].Text):
		return spell.Printable(s.Options[1].Text) + " is no address"
	case s.Word == "smoothtime" && n > 2 && spell.AsciiLower(s.Options[2].Text) != "leaponly":
		return "it does not know " + spell.Printable(s.Options[2].Text)
	case oneOf[s.Word] != "":
		if !slices.Contains(strings.Fields(oneOf[s.Word]), spell.AsciiLower(s.Options[0].Text)) {
			return "it does not know " + spell.Printable(s.Options[0].Text)
		}
	case s.Word == "local":
		return localProblem(s.Options)
	case s.Word == "tempcomp" && n != 3 && n != 6:
		return "it wants an interval with a file, or with four numbers"
	case s.Word == "hwtimestamp":
		return hwtimestampProblem(s.Options[1:])
	case s.Word == "ntstrustedcerts" && n > 1:
		if _, ok := Number('i', s.Options[0].Text); !ok {
			return "the number of the set is none"
		}
	case s.Word == "log":
		for _, o := range s.Options {
			if !slices.Contains(logs, spell.AsciiLower(o.Text)) {
				return "there is no log of " + spell.Printable(o.Text)
			}
		}
	case s.Word == "ratelimit" || s.Word == "ntsratelimit" || s.Word == "cmdratelimit":
		for i := 0; i < n; i++ {
			switch word := spell.AsciiLower(s.Options[i].Text); word {
			case "interval", "burst", "leak", "kod":
				if i++; i >= n {
					return word + " has no value"
				}
				if _, ok := Number('i', s.Options[i].Text); !ok {
					return word + " is no number"
				}
			default:
				return "it does not know " + spell.Printable(word)
			}
		}
	}
	return ""
}

func isAccess(word string) bool {
	return slices.Contains([]string{"allow", "deny", "cmdallow", "cmddeny"}, word)
}

func isAddress(word string) bool {
	return slices.Contains([]string{"bindaddress", "bindacqaddress", "bindcmdaddress"}, word)
}

// plainAddress reports whether a word is an address without an interface.
func plainAddress(text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && a.Zone() == ""
}

// accessProblem tells what is wrong with the arguments of allow and its like:
// the word all may stand before a network.
func accessProblem(args []syntax.Option) string {
	if len(args) > 0 && spell.AsciiLower(args[0].Text) == "all" {
		args = args[1:]
	}
	switch {
	case len(args) > 1:
		return "there are too many words"
	case len(args) == 0:
		return ""
	}
	if _, _, ok := Subnet(args[0].Text); !ok {
		return spell.Printable(args[0].Text) + " is no network"
	}
	return ""
}

// Subnet reads a network as allow does. IPv4 networks may be cut short: 10.1 is
// 10.1.0.0/16. What is not of digits, and has no prefix length, is a name.
func Subnet(text string) (p netip.Prefix, isName, ok bool) {
	name, length, hasLength := strings.Cut(text, "/")
	bits, err := strconv.Atoi(length)
	if hasLength && (err != nil || bits < 0) {
		return p, false, false
	}
	a, err := netip.ParseAddr(name)
	if err != nil {
		parts := strings.Split(name, ".")
		digits := spell.All(strings.ReplaceAll(name, ".", ""), spell.IsDigit)
		switch {
		case !digits || len(parts) == 4 && !hasLength:
			_, number := spell.IPv4(name)
			return p, true, !hasLength && name != "" && (!digits || number)
		case len(parts) > 3 || slices.Contains(parts, ""):
			return p, false, false
		case !hasLength:
			bits, hasLength = 8*len(parts), true
		}
		for i, part := range parts { // decimal, whatever is in front
			parts[i] = strings.TrimLeft(part[:len(part)-1], "0") + part[len(part)-1:]
		}
		if a, err = netip.ParseAddr(strings.Join(append(parts, "0", "0", "0")[:4], ".")); err != nil {
			return p, false, false
		}
	}
	if !hasLength {
		bits = a.BitLen()
	}
	if a.Zone() != "" || bits > a.BitLen() {
		return p, false, false
	}
	p, err = a.Prefix(bits)
	return p, false, err == nil
}

// oneOf are the words that some directives take.
var oneOf = map[string]string{"leapsecmode": "system step slew ignore", "authselectmode": "require prefer mix ignore"}

// localProblem tells what is wrong with the options of local.
func localProblem(options []syntax.Option) string {
	for i := 0; i < len(options); i++ {
		word := spell.AsciiLower(options[i].Text)
		kind, known := map[string]byte{"stratum": 'i', "orphan": 'f', "distance": 'd', "activate": 'd', "waitsynced": 'd',
			"waitunsynced": 'd'}[word]
		switch {
		case !known:
			return "it does not know " + spell.Printable(word)
		case kind == 'f':
			continue
		}
		if i++; i >= len(options) {
			return word + " has no value"
		}
		v, ok := Number(kind, options[i].Text)
		switch {
		case !ok:
			return fmt.Sprintf("%s %s is no number", word, spell.Printable(options[i].Text))
		case word == "stratum" && (v < 1 || v > 15):
			return fmt.Sprintf("stratum %g is none", v)
		}
	}
	return ""
}

// hwtimestampProblem tells what is wrong with the options of hwtimestamp.
func hwtimestampProblem(options []syntax.Option) string {
	for i := 0; i < len(options); i++ {
		word := spell.AsciiLower(options[i].Text)
		kind, known := map[string]byte{"minpoll": 'i', "minsamples": 'i', "maxsamples": 'i', "precision": 'd', "rxcomp": 'd', "txcomp": 'd',
			"nocrossts": 'f', "rxfilter": 's'}[word]
		switch i++; {
		case !known:
			return "it does not know " + spell.Printable(word)
		case kind == 'f':
			i--
			continue
		case i >= len(options):
			return word + " has no value"
		case kind == 's':
			if value := spell.AsciiLower(options[i].Text); !slices.Contains([]string{"none", "ntp", "ptp", "all"}, value) {
				return "it does not know rxfilter " + spell.Printable(value)
			}
			continue
		}
		if _, ok := Number(kind, options[i].Text); !ok {
			return fmt.Sprintf("%s %s is no number", word, spell.Printable(options[i].Text))
		}
	}
	return ""
}

// logs are the words behind log.
var logs = strings.Fields("measurements rawmeasurements refclocks rtc selection statistics tempcomp tracking")

// Prefix reads the number that a word begins with, as chronyd does with
// values of directives.
func Prefix(kind byte, text string) (v float64, ok bool) {
	for n := len(text); n > 0 && !ok; n-- {
		v, ok = Number(kind, text[:n])
	}
	return v, ok
}

// Number reads a value of an option, which may be nan and inf.
func Number(kind byte, text string) (float64, bool) {
	switch kind {
	case 'x':
		v, err := strconv.ParseUint(text, 16, 32)
		return float64(v), err == nil
	case 'i':
		v, err := strconv.ParseInt(text, 10, 64)
		return float64(v), err == nil
	}
	if strings.HasPrefix(spell.AsciiLower(text), "0x") && !strings.ContainsAny(text, "pP") {
		text += "p0"
	}
	if unsigned := strings.TrimLeft(text, "+-"); len(text)-len(unsigned) <= 1 && spell.AsciiLower(unsigned) == "nan" {
		text = unsigned
	}
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil
}
