package ntpconf

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ntsbridge/bridge/convert/restrict"
	"ntsbridge/bridge/convert/spell"
	"ntsbridge/bridge/convert/syntax"
)

// OptionWords are the words that a directive takes as options.
var OptionWords = map[string]string{
	"server":    AssociationFlags + " " + AssociationNumbers + " ident nts",
	"restrict":  RestrictFlags + " serverresponse fuzz mask ippeerlimit default source",
	"interface": InterfaceActions + " " + InterfaceClasses, "crypto": CryptoStrings + " ident revoke",
	"tos": TosIntegers + " " + TosNumbers + " cohort basedate", "tinker": TinkerNumbers,
	"enable": SystemSwitches, "disable": SystemSwitches, "discard": DiscardIntegers, "mru": MruIntegers,
	"fudge": FudgeFlags + " time1 time2 stratum refid minjitter", "trustedkey": "...",
}

// Canonical names the directive whose options a directive shares.
func Canonical(directive string) string {
	switch directive {
	case "pool", "peer", "broadcast", "manycastclient":
		return "server"
	case "nic":
		return "interface"
	}
	return directive
}

// Repair returns what a line with a mistake most likely means, as a line that
// ntpd would take whole; ok is false if that cannot be told.
func Repair(line string) (fixed string, ok bool) {
	list := spell.Words(line)
	if len(list) == 0 || len(list) > 64 {
		return "", false
	}
	if Known(list[0]) && !slices.Contains(Repairable, list[0]) {
		return "", false // it is what it says
	}
	list[0] = spell.Meant(list[0], Repairable)
	options := FieldsOf(OptionWords[Canonical(list[0])])
	if list[0] == "" {
		return "", false
	}
	for i := 1; i < len(list); i++ {
		if w := spell.Meant(list[i], options); w != "" && !keepsName(list, i) {
			list[i] = w
		}
	}
	if list[0] == "restrict" {
		list = RepairRestrict(list)
	}
	for i, w := range list {
		if strings.ContainsAny(w, " \t#") {
			list[i] = `"` + w + `"`
		}
	}
	fixed = strings.Join(list, " ")
	p := Parse("", []byte(fixed+"\n"), syntax.NoFiles)
	for _, d := range p.Diagnostics {
		if d.Syntax {
			return "", false
		}
	}
	return fixed, len(p.Statements) == 1
}

// Repairable are the directives of which a lost word can weaken security.
var Repairable = strings.Fields("server pool peer broadcast manycastclient restrict interface nic crypto tos tinker enable disable discard trustedkey")

// keepsName reports whether word i is an address, which is never corrected.
func keepsName(list []string, i int) bool {
	switch Canonical(list[0]) {
	case "server", "fudge":
		return i == 1 || i == 2 && (list[1] == "-4" || list[1] == "-6")
	case "restrict":
		w := spell.AsciiLower(list[i])
		return i == 1 && w != "default" && w != "source" && strings.ContainsAny(w, ".:0123456789")
	case "crypto":
		return spell.CryptoWord(list[i-1])
	}
	return false
}

// RepairRestrict mends the forms of an address that ntpd does not take.
func RepairRestrict(list []string) []string {
	if len(list) < 2 {
		return list
	}
	if p, err := netip.ParsePrefix(list[1]); err == nil {
		mask := restrict.PrefixMask(p.Addr(), p.Bits())
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
		list[i+1] = restrict.PrefixMask(addr, bits).String()
	}
	return list
}

// Describe says a kept statement in words, without secrets.
func Describe(s *syntax.Statement) string {
	list := []string{s.Word}
	if s.Family != "" {
		list = append(list, s.Family)
	}
	if s.Word == "interface" {
		list = append(list, s.Names())
	}
	if s.Address != "" {
		list = append(list, spell.Printable(s.Address))
	}
	if s.Mask != "" {
		list = append(list, "mask", spell.Printable(s.Mask))
	}
	for _, o := range s.Options {
		if s.Word == "interface" {
			break
		}
		switch {
		case o.Name == "pw":
			list = append(list, "pw", spell.Masked)
		case o.Kind == syntax.ValueRange:
			list = append(list, fmt.Sprintf("(%d ... %d)", o.Int, o.High))
		default:
			list = append(list, strings.TrimSpace(o.Name+" "+spell.Printable(o.Text)))
		}
	}
	return strings.Join(list, " ")
}
