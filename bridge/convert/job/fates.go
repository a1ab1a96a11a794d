package job

import (
	"slices"
	"strings"

	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/syntax"
)

// Fate is what may become of a word in an output: one of the options or findings
// that are named, if they are there, or that it says what holds anyway.
type Fate struct {
	Options []string // paths of options, [] for any item of a list
	Said    []string // codes of findings that speak of it
	Holds   string   // why nothing has to be written for it; empty: something has
}

// Fates are those of the words of directives; the word * stands for all words
// that are not named.
type Fates map[string]map[string]Fate

// of returns the fate of a word.
func (f Fates) of(directive, word string) Fate {
	words := f[directive]
	if fate, ok := words[word]; ok {
		return fate
	}
	return words["*"]
}

// ofTheLine are the findings that speak of all words of their line.
var ofTheLine = codes(`overridden duplicate-source dead-source unpeered unpeer decided never-read reading-ends line-lost chrony-nan client-smear
	include include-missing include-unknown include-unread include-depth chrony-value chrony-option peer-nts no-address
	fudge-left-out fudge-address fudge-unused refclock refclock-line refclock-rtc refclock-phc-interface refclock-left
	clock-twice local-noselect local-alone
	restrict-ignored restrict-server restrict-name restrict-refclock mask serves-nobody left-out not-steering without-effect
	discard-unused limit-unused ratelimit-unused no-crypto autokey-names autokey-over autokey-dead
	statistics-off statistics-nowhere nts-replaced ntp-server-only extra-port unrestrict file-name keys-unused
	restrict-source trap initstepslew nts-off keys-missing keys-rejected keys-too-long autokey-files
	simulate include end client-serves-nobody client-own client-default client-process refclock-pps broadcast keeps-serving
	client-logs client-command client-lost client-gateway`)

func codes(list string) map[string]bool {
	m := make(map[string]bool)
	for _, code := range strings.Fields(list) {
		m[code] = true
	}
	return m
}

// OfTheLine reports whether a finding speaks of all words of its line.
func OfTheLine(code string) bool { return ofTheLine[code] }

// NoMapping is what is to be done about a word that has no fate.
const NoMapping = "report it, with the line: ntsbridge should know the word"

// Settle closes the account of the words: it names what became of each in the
// records, and says which are lost. options are the paths of the options that
// come from a line.
func (c *Job) Settle(fates Fates, options func(*syntax.Statement) map[string]bool) {
	for _, s := range c.Parsed.Statements {
		if c.Bad[s] {
			continue
		}
		r, words := c.Record(s), c.Words(s)
		set := options(s)
		for _, w := range words {
			if fate := fates.of(s.Word, w).found(r, set); fate != "" {
				c.Ledger.Tell(s, fate, w)
			}
		}
		c.lose(s, report.Unsupported, words, "nothing of the output comes of it", NoMapping)
		for _, w := range words {
			r.Words = append(r.Words, report.Word{Name: w, Fate: c.Ledger.fates[entry{s, w}]})
		}
	}
}

// found returns what became of a word, as far as the record and the options of
// its line show.
func (f Fate) found(r *report.Record, set map[string]bool) string {
	for _, path := range f.Options {
		if set[path] {
			return path
		}
	}
	for _, finding := range r.Findings {
		if slices.Contains(f.Said, finding.Code) || ofTheLine[finding.Code] {
			return FateSaid + finding.Code
		}
	}
	if f.Holds != "" {
		return FateHolds + f.Holds
	}
	return ""
}
