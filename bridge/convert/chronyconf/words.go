package chronyconf

import (
	"slices"
	"strings"

	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// firstWords is how many arguments of a directive stand in their places, before
// those that have names.
var firstWords = map[string]int{"server": 1, "pool": 1, "peer": 1, "refclock": 2, "local": 0, "ratelimit": 0, "ntsratelimit": 0,
	"cmdratelimit": 0, "log": 0, "hwtimestamp": 1, "driftfile": 1, "smoothtime": 2, "initstepslew": 1}

// flagWords are the named arguments without a value.
var flagWords = strings.Fields("nts iburst burst prefer trust require noselect xleave ipv4 ipv6 offline auto_offline copy pps tai local " +
	"orphan nocrossts leaponly")

// Words returns the names of the arguments of a directive; those that stand in
// their places have none. Options of a reference clock's driver begin with a
// colon; the logs, and the servers of initstepslew, are words of their own.
func Words(s *syntax.Statement) (list []string) {
	first, named := firstWords[s.Word]
	for i := 0; i < len(s.Options); i++ {
		word := spell.AsciiLower(s.Options[i].Text)
		switch {
		case s.Word == "refclock" && i == 1:
			list = append(list, "")
			for _, o := range strings.Split(word, ":")[1:] {
				name, _, _ := strings.Cut(o, "=")
				list = append(list, ":"+name)
			}
		case !named || i < first:
			list = append(list, "")
		case s.Word == "log":
			list = append(list, word)
		case s.Word == "initstepslew":
			list = append(list, "servers")
		default:
			list = append(list, word)
			if !slices.Contains(flagWords, word) || strings.HasSuffix(s.Word, "ratelimit") {
				i++
			}
		}
	}
	return list
}
