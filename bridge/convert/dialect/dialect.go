// Package dialect tells whose configuration a text is, and whose words a line has.
package dialect

import (
	"fmt"
	"strings"

	"ntsbridge/bridge/convert/chronyconf"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/spell"
)

// Guess is what a file seems to be.
type Guess struct {
	Dialect string // ntp, ntpsec, chrony, or empty: none that can be converted
	// Why is what the operator should know about the guess; empty if it is
	// plain.
	Why   string
	Do    string
	Class report.Class
	Code  string
	// Unsure is set if no word tells ntpd's configuration from chronyd's.
	Unsure bool
}

// templateMarks begin an expression of a template language.
var templateMarks = []string{"{{", "{%", "<%", "${", "$("}

// Detect tells whose configuration a text is, by the first words of its
// lines. Templates and the files of other programs are refused, since ntpd
// would read next to nothing of them.
func Detect(data []byte) Guess {
	var v votes
	for line := range strings.SplitSeq(string(data), "\n") {
		v.line(line)
	}
	switch {
	case v.template != "":
		return Guess{Class: report.Error, Code: "dialect",
			Why: fmt.Sprintf("this is a template, not a configuration: it has %s in line %d", v.template, v.templateLine),
			Do:  "render it first, or choose --from ntp if it is none"}
	case v.rust > 0 && v.ntp == 0:
		return Guess{Class: report.Error, Code: "dialect", Why: "this is a configuration of ntpd-rs",
			Do: "give the ntp.conf or chrony.conf"}
	case v.timesyncd > 0 && v.ntp == 0:
		return Guess{Class: report.Error, Code: "dialect", Why: "this is a configuration of systemd-timesyncd",
			Do: "give the ntp.conf or chrony.conf"}
	case v.openntpd > v.ntp:
		return Guess{Class: report.Error, Code: "dialect", Why: "this is a configuration of OpenNTPD",
			Do: "give the ntp.conf or chrony.conf"}
	case v.ntp+v.chrony+v.common == 0 && v.junk > 0:
		return Guess{Class: report.Error, Code: "dialect",
			Why: fmt.Sprintf("this is no configuration of time: none of its %d lines begins with a word of ntpd or chronyd", v.junk),
			Do:  "give the ntp.conf or chrony.conf, or choose --from ntp"}
	case v.ntp+v.chrony+v.common == 0:
		return Guess{Class: report.Error, Code: "empty", Why: "there is no setting in it: that is no configuration to go by",
			Do: "give the right file, or choose --from ntp for what ntpd does without one, which is to answer everybody"}
	case v.chrony > 0 && v.chrony > v.ntp:
		return Guess{Dialect: "chrony"}
	case v.junk > 2*(v.ntp+v.common) && v.junk > 3:
		return Guess{Class: report.Error, Code: "dialect",
			Why: "this is no ntp.conf or chrony.conf: most lines begin with words of neither",
			Do:  "give the right file, or choose --from ntp"}
	case v.ntpsec != "":
		return Guess{Dialect: "ntpsec", Class: report.Dangerous, Code: "dialect-ntpsec",
			Why: fmt.Sprintf("read as ntpsec's, for %s in line %d; if ntpd 4.2.8 ran with it, that word was ignored", v.ntpsec,
				v.ntpsecLine),
			Do: "find out which daemon ran it; choose --from ntp if it was ntpd 4.2.8"}
	}
	return Guess{Dialect: "ntp", Unsure: v.ntp == 0}
}

type votes struct {
	number                    int
	ntp, chrony, common       int
	timesyncd, openntpd, rust int
	junk                      int
	template, ntpsec          string
	templateLine, ntpsecLine  int
}

func (v *votes) line(line string) {
	v.number++
	list := spell.Words(strings.TrimPrefix(line, "\ufeff"))
	if len(list) == 0 || strings.HasPrefix(list[0], "#") {
		return
	}
	for _, mark := range templateMarks {
		if v.template == "" && strings.Contains(strings.Join(list, " "), mark) {
			v.template, v.templateLine = mark, v.number
		}
	}
	first := list[0]
	lower := spell.AsciiLower(first)
	ntp := ntpconf.Known(first)
	isChrony := chronyconf.Known(lower)
	switch {
	case ntp && isChrony:
		v.common++
	case ntp || xntpWords[first] != "":
		v.ntp++
	case isChrony || strings.IndexByte("!;%", first[0]) >= 0:
		v.chrony++
	case strings.HasPrefix(first, "[[source") || first == "[source-defaults]" || first == "[synchronization]" || first == "[[server]]":
		v.rust++
	case strings.HasPrefix(first, "NTP=") || first == "[Time]" || strings.HasPrefix(first, "FallbackNTP="):
		v.timesyncd++
	case first == "servers" || first == "sensor" || first == "constraint" || first == "constraints" || first == "query" ||
		first == "listen":
		v.openntpd++
	default:
		v.junk++
	}
	if word := ntpsecWord(list); word != "" && v.ntpsec == "" {
		v.ntpsec, v.ntpsecLine = word, v.number
		v.ntp++
	}
}

// ntpsecWord returns what marks a line as one of ntpsec's.
func ntpsecWord(list []string) string {
	switch list[0] {
	case "refclock":
		// chrony has it too: there the driver is in capitals.
		if len(list) > 1 && list[1] == spell.AsciiLower(list[1]) {
			return "refclock"
		}
	case "nts", "limit", "unrestrict", "extra":
		return list[0]
	case "server", "pool":
		// chrony has the option too, but none of the words with it.
		for i, w := range list {
			if i > 1 && (w == "noval" || w == "ca" && i+1 < len(list)) {
				return "nts " + w
			}
		}
	}
	return ""
}

// xntpWords are directives of other releases and programs, and what they were.
var xntpWords = map[string]string{
	"authenticate": "xntp3's switch to require authentication of every source, which ntpd 4.2 does not know",
	"authdelay":    "a correction of xntp3", "clientperiod": "a setting of xntp3", "clientlimit": "a rate limit of xntp3",
	"maxskew": "a setting of xntp3", "precision": "a setting of xntp3, measured by now", "resolver": "a helper program of xntp3",
	"monitor": "xntp3's form of enable monitor", "slewalways": "Solaris' form of tinker step 0", "pps": "a device of xntp3 and HP-UX",
	"minpoll": "an option of server, no directive", "maxpoll": "an option of server, no directive",
	"wander_threshold": "an old name of nonvolatile",
	"multicast":        "an old word", "dispersion": "an option of tinker, no directive", "select": "a setting of xntp3",
	"peer_clear_digest_early": "an option of enable",
}

// ForeignWord tells what a directive is that ntpd does not know; why is empty
// if that is not known either.
func ForeignWord(line string) (code, why string) {
	list := spell.Words(line)
	if len(list) == 0 {
		return "line-lost", ""
	}
	if why := xntpWords[list[0]]; why != "" {
		return "old-word", "it is " + why
	}
	if word := ntpsecWord(list); word != "" && word == list[0] {
		return "ntpsec-word", "it is a directive of ntpsec"
	}
	if chronyconf.Known(list[0]) && !ntpconf.Known(list[0]) {
		return "chrony-word", "it is a directive of chrony"
	}
	switch list[0] {
	case "servers", "listen", "sensor", "constraint", "constraints", "query", "weight":
		return "openntpd-word", "it is a directive of OpenNTPD"
	}
	return "line-lost", ""
}
