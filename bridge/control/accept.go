package control

import (
	"strconv"
	"strings"
)

// accepted are the media ranges of the header Accept (RFC 9110, section
// 12.5.1).
type accepted []mediaRange

type mediaRange struct {
	main, sub string // "*" for all
	refused   bool   // q=0
}

// parseAccept reads the header. What cannot be understood is left out; if all
// of it is, everything is accepted.
func parseAccept(header string) (list accepted) {
	for _, part := range strings.Split(header, ",") {
		kind, parameters, _ := strings.Cut(part, ";")
		main, sub, ok := strings.Cut(strings.ToLower(strings.TrimSpace(kind)), "/")
		if !ok || main == "" || sub == "" {
			continue
		}
		list = append(list, mediaRange{main, sub, weightless(parameters)})
	}
	return list
}

// weightless reports whether parameters have a q of 0.
func weightless(parameters string) bool {
	for _, p := range strings.Split(parameters, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return err == nil && q == 0
		}
	}
	return false
}

// takes reports whether a media type is accepted: by the range that is the
// most exact about it.
func (a accepted) takes(kind string) bool {
	if len(a) == 0 {
		return true
	}
	kind, _, _ = strings.Cut(kind, ";")
	main, sub, _ := strings.Cut(strings.TrimSpace(kind), "/")
	best, taken := 0, false
	for _, m := range a {
		exact := 0
		switch {
		case m.main == main && m.sub == sub:
			exact = 3
		case m.main == main && m.sub == "*":
			exact = 2
		case m.main == "*" && m.sub == "*":
			exact = 1
		}
		if exact > best {
			best, taken = exact, !m.refused
		}
	}
	return taken
}
