package chronyconf

import (
	"fmt"
	"math"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
	"slices"
	"strconv"
	"strings"
)

// arguments are the arguments of directives in chronyd 4.6: i is an
// integer, d a number, s a word; behind a stroke stand those that may be left
// out, and * takes any number of words. Others are looked at where they are
// read.
var arguments = func() map[string]string {
	m := map[string]string{
		"makestep": "di", "maxchange": "dii", "fallbackdrift": "ii", "smoothtime": "dd|s", "leapsectz": "s", "leapseclist": "s",
		"log": "|*", "ratelimit": "|*", "ntsratelimit": "|*", "cmdratelimit": "|*", "driftfile": "s|si", "allow": "|ss", "deny": "|ss",
		"broadcast": "is|i", "initstepslew": "d|*", "mailonchange": "sd", "ntstrustedcerts": "s|s", "include": "s", "confdir": "s|*",
		"sourcedir":   "s|*",
		"hwtimestamp": "s|*", "ntsaeads": "|iiiiiiii", "tempcomp": "sd|*",
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
		kind := byte(0)
		switch all := required + optional; {
		case i < len(all) && all[i] != '*':
			kind = all[i]
		case strings.HasSuffix(all, "*"):
			kind = '*'
		}
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

// wordsProblem tells what is wrong with words in places where only some
// are known.
func wordsProblem(s *syntax.Statement) string {
	switch n := len(s.Options); {
	case s.Word == "driftfile" && n > 1 && (n != 3 || spell.AsciiLower(s.Options[1].Text) != "interval"):
		return "the second word is not interval with a value"
	case (s.Word == "allow" || s.Word == "deny") && n > 1 && spell.AsciiLower(s.Options[0].Text) != "all":
		return "there are too many words"
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

// Number reads a value of an option.
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
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}
