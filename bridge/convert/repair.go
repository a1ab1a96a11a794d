package convert

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// optionWords are the words that a directive takes as options.
var optionWords = map[string]string{
	"server": associationFlags + " " + associationNumbers + " ident nts", "restrict": restrictFlags + " serverresponse fuzz mask ippeerlimit default source",
	"interface": interfaceActions + " " + interfaceClasses, "crypto": cryptoStrings + " ident revoke",
	"tos": tosIntegers + " " + tosNumbers + " cohort basedate", "tinker": tinkerNumbers,
	"enable": systemSwitches, "disable": systemSwitches, "discard": discardIntegers, "mru": mruIntegers,
	"fudge": fudgeFlags + " time1 time2 stratum refid minjitter", "trustedkey": "...",
}

// canonical names the directive whose options a directive shares.
func canonical(directive string) string {
	switch directive {
	case "pool", "peer", "broadcast", "manycastclient":
		return "server"
	case "nic":
		return "interface"
	}
	return directive
}

// repair returns what a line with a mistake most likely means, as a line that
// ntpd would take whole; ok is false if that cannot be told.
func repair(line string) (fixed string, ok bool) {
	list := words(line)
	if len(list) == 0 || len(list) > 64 {
		return "", false
	}
	list[0] = meant(list[0], repairable)
	options := fieldsOf(optionWords[canonical(list[0])])
	if list[0] == "" {
		return "", false
	}
	for i := 1; i < len(list); i++ {
		if w := meant(list[i], options); w != "" && !keepsName(list, i) {
			list[i] = w
		}
	}
	if list[0] == "restrict" {
		list = repairRestrict(list)
	}
	for i, w := range list {
		if strings.ContainsAny(w, " \t#") {
			list[i] = `"` + w + `"`
		}
	}
	fixed = strings.Join(list, " ")
	p := ParseNTP("", []byte(fixed+"\n"), NoFiles)
	for _, d := range p.Diagnostics {
		if d.Syntax {
			return "", false
		}
	}
	return fixed, len(p.Statements) == 1
}

// repairable are the directives of which a lost word can weaken security.
var repairable = strings.Fields("server pool peer broadcast manycastclient restrict interface nic crypto tos tinker enable disable discard trustedkey")

// keepsName reports whether word i is an address, which is never corrected.
func keepsName(list []string, i int) bool {
	switch canonical(list[0]) {
	case "server", "fudge":
		return i == 1 || i == 2 && (list[1] == "-4" || list[1] == "-6")
	case "restrict":
		w := asciiLower(list[i])
		return i == 1 && w != "default" && w != "source" && strings.ContainsAny(w, ".:0123456789")
	case "crypto":
		return cryptoWord(list[i-1])
	}
	return false
}

// repairRestrict mends the forms of an address that ntpd does not take.
func repairRestrict(list []string) []string {
	if len(list) < 2 {
		return list
	}
	if p, err := netip.ParsePrefix(list[1]); err == nil {
		mask := prefixMask(p.Addr(), p.Bits())
		list = append([]string{"restrict", p.Addr().String(), "mask", mask.String()}, list[2:]...)
	}
	if i := slices.Index(list, "mask"); i > 0 && i+1 < len(list) {
		list = repairMask(list, i)
	}
	if i := slices.Index(list, "ippeerlimit"); i > 0 && i+1 < len(list) {
		// It has to stand before the flags.
		pair := []string{list[i], list[i+1]}
		list = slices.Delete(list, i, i+2)
		at := 2
		if j := slices.Index(list, "mask"); j > 0 {
			at = j + 2
		}
		if at <= len(list) {
			list = slices.Insert(list, at, pair...)
		}
	}
	return list
}

// repairMask mends the mask at list[i+1].
func repairMask(list []string, i int) []string {
	if list[i-1] == "default" {
		switch list[i+1] {
		case "0.0.0.0":
			return append([]string{"restrict", "-4", "default"}, list[i+2:]...)
		case "::":
			return append([]string{"restrict", "-6", "default"}, list[i+2:]...)
		}
		return list
	}
	addr, err := netip.ParseAddr(list[i-1])
	if bits, err2 := strconv.Atoi(list[i+1]); err == nil && err2 == nil && bits >= 0 && bits <= addr.BitLen() {
		list[i+1] = prefixMask(addr, bits).String()
	}
	return list
}

// describe says a kept statement in words, without secrets.
func describe(s *Statement) string {
	list := []string{s.Word}
	if s.Family != "" {
		list = append(list, s.Family)
	}
	if s.Word == "interface" {
		list = append(list, s.names())
	}
	if s.Address != "" {
		list = append(list, printable(s.Address))
	}
	if s.Mask != "" {
		list = append(list, "mask", printable(s.Mask))
	}
	for _, o := range s.Options {
		if s.Word == "interface" {
			break
		}
		switch {
		case o.Name == "pw":
			list = append(list, "pw", masked)
		case o.Kind == valueRange:
			list = append(list, fmt.Sprintf("(%d ... %d)", o.Int, o.High))
		default:
			list = append(list, strings.TrimSpace(o.Name+" "+printable(o.Text)))
		}
	}
	return strings.Join(list, " ")
}
