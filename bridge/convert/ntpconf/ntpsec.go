package ntpconf

import (
	"maps"
	"strings"
	"sync"

	"ntsbridge/bridge/convert/syntax"
)

// Words that ntpsec 1.2 has beside ntpd's.
const (
	ntpsecStrings  = "ca cert aead ask require mintls maxtls tlsciphersuites tlsecdhcurves"
	refclockOption = "unit subtype baud"
)

// ntpsecRemoved are ntpd's words that ntpsec 1.2.3 does not know, and those of its
// own manual that it does not know either (it says so of each: Debian trixie).
// A line loses them, and all that stands behind them. It does not know port
// either (extra port, nts port), which is read here: other releases may.
const ntpsecRemoved = "autokey automax auth basedate bclient bcpollbstep beacon broadcast broadcastclient broadcastdelay checkhash cohort " +
	"crypto cryptostats discard epeer fuzz ident ignorehash ippeerlimit keysdir lowpriotrap manycastclient manycastserver mode7 " +
	"multicastclient noepeer peer_clear_digest_early pollskewlist preempt revoke saveconfigdir serverresponse simulate timingstats trap " +
	"ttl unpeer_crypto_early unpeer_crypto_nak_early unpeer_digest_early xleave xmtnonce " +
	"ask expire require tlscipherserverpreference"

// ntpsecGrammar is ntpd's with what ntpsec added, and without what it removed.
var ntpsecGrammar = sync.OnceValue(func() *grammar {
	g := &grammar{keywords: maps.Clone(Keywords), directives: maps.Clone(Directives)}
	for word := range strings.FieldsSeq("nts noval expire bias refclock limit unrestrict extra unit subtype baud enable disable cookie mintls maxtls tlsciphersuites tlsecdhcurves tlscipherserverpreference port pool maxdisp holdover ntsstats ntskestats usestats") {
		if _, there := g.keywords[word]; !there {
			g.keywords[word] = followToken
		}
	}
	for word := range strings.FieldsSeq("ca cert aead ask require path ppspath cookie mintls maxtls tlsciphersuites tlsecdhcurves") {
		g.keywords[word] = followString
	}
	g.keywords["refclock"] = followString
	g.keywords["unrestrict"] = followToken
	g.association = anyOf(associationOption, plain("nts noval tlscipherserverpreference"), typed(ntpsecStrings, tokenString),
		typed("bias", tokenInteger, tokenDouble), typed("expire", tokenInteger))
	g.directives["nts"] = list(anyOf(plain("enable disable tlscipherserverpreference"), (*parser).ntsText))
	g.directives["tos"] = list(anyOf(tosOption, typed("maxdisp", tokenInteger, tokenDouble)))
	g.directives["statistics"] = flags(StatisticsNames + " " + ntpsecStatistics)
	g.directives["limit"] = list(typed("average burst kod", tokenInteger, tokenDouble))
	g.directives["extra"] = list(typed("port", tokenInteger))
	g.directives["unrestrict"] = g.directives["restrict"]
	g.directives["refclock"] = (*parser).ntpsecRefclock
	for word := range strings.FieldsSeq(ntpsecRemoved) {
		delete(g.keywords, word)
		delete(g.directives, word)
	}
	return g
})

// ParseNTPsec reads an ntp.conf of ntpsec, and the directory ntp.d beside it.
// files is as in grammar.
func ParseNTPsec(name string, data []byte, read syntax.Reader, files func(name, by string) (string, []string)) *syntax.Parsed {
	g := *ntpsecGrammar()
	g.files = files
	return parse(&g, name, data, read)
}

// ntsText reads an option of the directive nts with its value: files, and
// words that look like keywords.
func (p *parser) ntsText() (syntax.Option, bool, bool) {
	name, found := p.keyword("cert key ca cookie mintls maxtls tlsciphersuites tlsecdhcurves aead port")
	if !found {
		return syntax.Option{}, false, true
	}
	o, ok := p.value(tokenString, tokenInteger)
	o.Name = name
	return o, true, ok
}

// ntpsecRefclock reads refclock DRIVER and its options, which join those of
// server and fudge.
func (p *parser) ntpsecRefclock(word string) bool {
	driver, ok := p.value(tokenString)
	if !ok {
		return false
	}
	options, ok := p.collect(anyOf(p.grammar.association, fudgeOption, typed(refclockOption, tokenInteger),
		typed("path ppspath", tokenString), typed("holdover", tokenInteger)))
	if !ok {
		return false
	}
	p.keep(&syntax.Statement{Word: word, Address: driver.Text, Options: options})
	return true
}
