package convert

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ntsbridge/bridge/convert/chronyd"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/ntpconf"
	"ntsbridge/bridge/convert/report"
)

// form is a directive with what may stand behind it.
type form struct {
	dialect string
	before  string // other lines
	head    string // the directive with what it must have
	beside  string // a word that it may have, beside which each is tried
	words   string // names of words, each with the value that valueOf has, or value
	value   string // of all
}

// valueOf are values of words that are not numbers between 1 and 8.
var valueOf = map[string]string{
	"ident": "g", "digest": "SHA1", "host": "h", "pw": "x", "randfile": "/r", "basedate": "2020-01-01", "cohort": "1",
	"mindist": "0.01", "maxdist": "2.5", "orphan": "7", "floor": "3", "ceiling": "4", "file": "other", "type": "week",
	"panic": "500", "step": "0.5", "stepfwd": "0.5", "stepback": "0.5", "stepout": "600", "dispersion": "20", "huffpuff": "7200",
	"time1": "0.25", "time2": "0.5", "minjitter": "0.1", "refid": "ABC", "abbrev": "ABC", "flag1": "1", "flag2": "1", "flag3": "1",
	"flag4": "1", "serverresponse": "fuzz", "maxmem": "4096", "maxdepth": "50000", "key": "5", "interface": "a", "mode": "1",
	"ca": "/ca.pem", "cert": "/c.pem", "aead": "AES_SIV_CMAC_512", "ask": "s", "require": "s", "bias": "0.1", "cookie": "/cookies",
	"mintls": "TLS1.2", "maxtls": "TLS1.3", "tlsciphersuites": "c", "tlsecdhcurves": "c", "path": "/dev/x", "ppspath": "/dev/p",
	"version": "3", "minpoll": "4", "maxpoll": "8", "average": "4", "burst": "9", "filter": "5",
	"offset": "0.1", "asymmetry": "0.2", "maxdelay": "0.3", "maxdelayratio": "2", "maxdelaydevratio": "4", "mindelay": "0.001",
	"maxdelayquant": "0.1", "extfield": "F323", "port": "11123", "delay": "0.2", "precision": "1e-3", "lock": "GPS",
	"maxdispersion": "0.1", "width": "0.1", "rate": "5", "dpoll": "2", "poll": "3",
	"distance": "0.1", "activate": "0.2", "waitsynced": "10", "waitunsynced": "20", "stratum": "3", "interval": "4", "leak": "3",
	"certset": "1", "txcomp": "1e-6", "rxcomp": "1e-6", "rxfilter": "ntp", "leaponly": "", "monitor": "5", "minimum": "4",
}

// flagWords are words without a value, where the list does not say so.
var flagWords = strings.Fields(ntpconf.AssociationFlags + " " + ntpconf.RestrictFlags + " nts noval enable disable " +
	"tlscipherserverpreference link nolink trust require copy offline auto_offline ipv4 ipv6 pps tai local nocrossts orphan")

const (
	keysBefore   = ntpBase + "keys /etc/ntp.keys\ntrustedkey 5\nserver other.example.org\n"
	limitBefore  = "restrict default noquery limited\nserver other.example.org\n"
	chronyBefore = "allow\nkeyfile /etc/chrony.keys\nserver other.example.org\n"
	sourceWords  = ntpconf.AssociationFlags + " key version minpoll maxpoll"
	clockWords   = "time1 time2 stratum refid flag1 flag2 flag3 flag4 minjitter"
)

// forms are those of all directives of the three dialects.
func forms() (list []form) {
	add := func(dialect, before, head, beside, words, value string) {
		list = append(list, form{dialect, before, head, beside, words, value})
	}
	for _, kind := range []string{"server", "pool", "peer"} {
		add("ntp", keysBefore, kind+" a.example.org", "", sourceWords, "")
	}
	add("ntp", keysBefore, "broadcast 192.0.2.255", "key 5", "minpoll maxpoll version ttl prefer", "")
	add("ntp", keysBefore, "manycastclient 224.0.1.1", "", sourceWords, "")
	for _, driver := range []string{"20", "22", "28", "46", "1", "8"} {
		clock := "127.127." + driver + ".0"
		add("ntp", keysBefore, "server "+clock, "", "minpoll maxpoll prefer true noselect mode key iburst version", "")
		add("ntp", keysBefore+"server "+clock+" minpoll 4\n", "fudge "+clock, "", clockWords, "")
	}
	add("ntp", keysBefore, "crypto", "", ntpconf.CryptoStrings+" revoke", "")
	add("ntp", keysBefore, "tos", "minsane 2", ntpconf.TosIntegers+" "+ntpconf.TosNumbers+" cohort basedate", "")
	add("ntp", keysBefore, "tinker", "step 0.2", ntpconf.TinkerNumbers, "")
	add("ntp", limitBefore, "discard", "average 5", ntpconf.DiscardIntegers, "")
	add("ntp", keysBefore, "mru", "maxdepth 20000", ntpconf.MruIntegers, "")
	add("ntp", keysBefore, "rlimit", "", ntpconf.RlimitIntegers, "")
	add("ntp", keysBefore, "restrict 10.0.0.0 mask 255.0.0.0", "noquery", "ippeerlimit "+ntpconf.RestrictFlags+" serverresponse", "")
	add("ntp", keysBefore, "restrict source", "noquery", ntpconf.RestrictFlags, "")
	add("ntp", keysBefore, "interface listen eth0\ninterface", "", ntpconf.InterfaceActions, "eth1")
	add("ntp", keysBefore, "interface listen eth0\ninterface listen", "", ntpconf.InterfaceClasses, " ")
	add("ntp", keysBefore+"statsdir /s\n", "statistics", "loopstats", ntpconf.StatisticsNames, " ")
	add("ntp", keysBefore+"statsdir /s\nstatistics loopstats\n", "filegen loopstats", "", ntpconf.FilegenFlags+" file type", "")
	add("ntp", keysBefore+"statsdir /s\nstatistics loopstats\n", "filegen loopstats type", "", ntpconf.FilegenTypes, " ")
	add("ntp", keysBefore, "enable", "stats", ntpconf.SystemSwitches, " ")
	add("ntp", keysBefore, "disable", "stats", ntpconf.SystemSwitches, " ")
	add("ntp", keysBefore, "reset", "", ntpconf.ResetCounters, " ")
	add("ntp", keysBefore, "driftfile /d", "", "5", " ")
	add("ntp", keysBefore, "leapfile /etc/leap.list", "", "checkhash ignorehash", " ")
	add("ntp", keysBefore, "trap 192.0.2.9", "", "port interface", "")
	for _, line := range []string{"trustedkey 5 7", "setvar a = b default", "pollskewlist 4 1 | 2", "logconfig =syncall +clockall",
		"phone x y",
		"ttl 1 2", "broadcastclient", "unpeer b.example.org", "unconfig b.example.org", "includefile /none", "manycastserver 224.0.1.1",
		"multicastclient 224.0.1.1", "automax 10", "controlkey 5", "dscp 10", "leapsmearinterval 3600", "mdnstries 3", "requestkey 5",
		"revoke 10", "ident g", "keys /etc/other.keys", "keysdir /k", "logfile /l", "ntpsigndsocket /s", "pidfile /p", "saveconfigdir /s",
		"statsdir /t", "broadcastdelay 0.1", "nonvolatile 1", "tick 10", "nic listen eth0", "end",
		"simulate { simulation_duration = 1 \n beep_delay = 1 \n server = a { server_offset = 1 \n duration = 1 { \n freq_offset = 1 \n } \n } }"} {
		add("ntp", keysBefore, line, "", "", "")
	}

	add("ntpsec", keysBefore, "server a.example.org", "nts", "noval ca cert aead ask require expire bias", "")
	add("ntpsec", keysBefore, "server a.example.org", "", sourceWords+" nts bias", "")
	add("ntpsec", keysBefore, "refclock shm unit 0", "", "minpoll maxpoll prefer true noselect mode subtype path ppspath baud holdover "+clockWords, "")
	add("ntpsec", keysBefore, "nts", "cert /a.pem", "enable disable cert key ca cookie mintls maxtls tlsciphersuites tlsecdhcurves aead port "+
		"tlscipherserverpreference", "")
	add("ntpsec", limitBefore, "limit", "average 2", "average burst kod", "")
	for _, line := range []string{"extra port 1123", "unrestrict default noquery"} {
		add("ntpsec", keysBefore, line, "", "", "")
	}

	words := "key nts port minpoll maxpoll iburst burst prefer trust require noselect xleave presend version offset asymmetry maxdelay " +
		"maxdelayratio maxdelaydevratio minstratum ipv4 ipv6 filter copy offline auto_offline minsamples maxsamples polltarget mindelay " +
		"maxdelayquant extfield maxunreach"
	for _, kind := range []string{"server", "pool", "peer"} {
		add("chrony", chronyBefore, kind+" a.example.org", "", words, "")
	}
	add("chrony", chronyBefore, "pool a.example.org", "", "maxsources", "6")
	add("chrony", chronyBefore+"ntstrustedcerts 1 /ca.pem\n", "server a.example.org nts", "", "certset ntsport", "")
	for _, clock := range []string{"SHM 1", "PPS /dev/pps0", "SOCK /run/sock", "PHC /dev/ptp0"} {
		add("chrony", chronyBefore+"refclock SHM 3 refid GPS\n", "refclock "+clock, "", "poll dpoll rate offset delay stratum precision pps tai prefer "+
			"noselect trust require refid lock maxdispersion filter maxlockage width minsamples maxsamples maxunreach local", "")
	}
	add("chrony", chronyBefore, "refclock PHC /dev/ptp0", "", ":nocrossts", "glued")
	add("chrony", chronyBefore, "refclock PHC /dev/ptp0", "", ":extpps :pin=1 :channel=1", "glued")
	add("chrony", chronyBefore, "refclock PPS /dev/pps0", "", ":clear", "glued")
	add("chrony", chronyBefore, "refclock SHM 0", "", ":perm=0600", "glued")
	add("chrony", chronyBefore, "local", "", "stratum orphan distance activate waitsynced waitunsynced", "")
	add("chrony", chronyBefore, "ratelimit", "", "interval burst leak kod", "")
	add("chrony", chronyBefore, "ntsratelimit", "", "interval burst leak", "")
	add("chrony", chronyBefore, "cmdratelimit", "", "interval burst leak", "")
	add("chrony", chronyBefore+"logdir /l\n", "log", "tracking", "measurements rawmeasurements refclocks rtc selection statistics tempcomp", " ")
	add("chrony", chronyBefore, "hwtimestamp eth0", "", "minpoll maxpoll precision txcomp rxcomp nocrossts rxfilter minsamples maxsamples", "")
	add("chrony", chronyBefore, "smoothtime 400 0.01", "", "leaponly", "")
	add("chrony", chronyBefore, "driftfile /d", "", "interval", "")
	add("chrony", chronyBefore, "initstepslew 30", "", "a.example.org b.example.org", " ")
	for line := range strings.Lines(chronyDocumented) {
		before := chronyBefore + "ntsservercert /c\nntsserverkey /k\n"
		add("chrony", before, strings.TrimSpace(line), "", "", "")
	}
	return list
}

// cases are the lines of a form, each with what is there without the word.
func (f form) cases(yield func(word, line, without string)) {
	beside := f.head
	if f.beside != "" {
		beside += " " + f.beside
	}
	if f.words == "" {
		yield(strings.Fields(f.head)[0], f.head, "")
		return
	}
	alone := strings.Contains(f.head, " ") || f.head == "crypto" || f.head == "local"
	for word := range strings.FieldsSeq(f.words) {
		text := word
		switch value, ok := valueOf[word]; {
		case f.value == "glued":
			yield(word, f.head+word, f.head)
			continue
		case f.value != "":
			text += strings.TrimRight(" "+f.value, " ")
		case ok && !(slices.Contains(flagWords, word) && f.flag(word)):
			text += strings.TrimRight(" "+value, " ")
		case !ok && !slices.Contains(flagWords, word):
			text += " 6"
		}
		without := beside
		if f.beside == "" && !alone {
			without = ""
		}
		if text == f.beside {
			without = f.head
			if !alone {
				without = ""
			}
			yield(word, beside, without)
			continue
		}
		yield(word, beside+" "+text, without)
	}
}

// flag reports whether a word that has a value elsewhere has none here.
func (f form) flag(word string) bool {
	switch word {
	case "burst":
		return !strings.HasPrefix(f.head, "limit") && !strings.Contains(f.head, "ratelimit")
	case "version":
		return strings.HasPrefix(f.head, "restrict")
	case "require":
		return f.dialect == "chrony"
	case "orphan":
		return f.dialect == "chrony"
	case "minimum", "monitor":
		return false
	}
	return true
}

// TestGrammar goes through the words of all directives for the five outputs and
// ours: each changes what is written, or what is said of its line; or the line
// as a whole is one of which something is said.
func TestGrammar(t *testing.T) {
	walked := make(map[string]bool)
	lost := make(map[string][]string)
	for i, f := range forms() {
		walked[f.dialect+" "+strings.Fields(f.head)[0]] = true
		if testing.Short() && i%8 != 0 {
			continue
		}
		for _, format := range append([]string{""}, ClientFormats...) {
			f.cases(func(word, line, without string) {
				if problem := f.try(t, format, word, line, without); problem != "" {
					key := fmt.Sprintf("%s: %s: %s: %s", f.dialect, line, word, problem)
					lost[key] = append(lost[key], "["+format+"]")
				}
			})
		}
	}
	for key, formats := range lost {
		t.Errorf("%s %v", key, formats)
	}
	for word := range ntpconf.Directives {
		if !walked["ntp "+word] {
			t.Errorf("%s of ntp.conf is not tried", word)
		}
	}
	for word := range chronyd.ChronyDirectives {
		if !walked["chrony "+word] {
			t.Errorf("%s of chrony.conf is not tried", word)
		}
	}
}

// conversions are those of the lines without a word.
var conversions = make(map[string]*Result)

func cached(format, dialect string, in Input, opt Options) *Result {
	key := format + dialect + string(in.Data)
	if conversions[key] == nil {
		conversions[key] = Convert(in, opt)
	}
	return conversions[key]
}

// try converts a line with a word and without.
func (f form) try(t *testing.T, format, word, line, without string) string {
	t.Helper()
	opt := Options{Dialect: f.dialect, Decide: running, PasswordFile: "/pw"}
	if format != "" {
		opt.Client = &ClientOptions{Format: format, Gateways: []string{"gw1", "gw2"}}
	}
	in := Input{Name: "x.conf", Files: mappingFiles, Data: []byte(f.before + line + "\n")}
	with := Convert(in, opt)
	in.Data = []byte(f.before + without + "\n")
	before := cached(format, f.dialect, in, opt)
	if with.Output == nil {
		return fmt.Sprintf("nothing is written: %v %v", with.Report.Questions, with.Report.Findings)
	}
	r := recordAt(with.Report, strings.Count(f.before, "\n")+1)
	for _, l := range with.Report.Lines { // the words of a block
		if l.Line >= r.Line && l.Class == report.Comment {
			return "nothing is said of " + l.Text
		}
	}
	changed := before.Output == nil || withoutComments(string(with.Output)) != withoutComments(string(before.Output))
	said := r.Findings
	if without != "" {
		was := recordAt(before.Report, r.Line).Findings
		said = slices.DeleteFunc(slices.Clone(said), func(f report.Finding) bool { return slices.Contains(was, f) })
	}
	fate := fateOf(r, word)
	accounted := job.OfTheLine(strings.TrimPrefix(fate, job.FateSaid)) || strings.HasPrefix(fate, job.FateHolds) ||
		slices.Contains(defaults, line)
	switch {
	case len(r.Became) > 0 && slices.ContainsFunc(r.Findings, func(f report.Finding) bool { return f.Code == "refclock" }):
		return "it is written, and said not to be"
	case slices.ContainsFunc(r.Findings, func(f report.Finding) bool { return f.Code == "word-lost" && f.Do == job.NoMapping }):
		return fmt.Sprintf("it has no fate (%v)", r.Findings)
	case r.Class == report.Kept && !changed && !accounted:
		return "kept, and nothing comes of it: " + fate
	case len(said) == 0 && !changed && !accounted:
		return fmt.Sprintf("it changes nothing, and nothing is said: %s %s %v; without: %q", r.Class, fate, r.Findings, without)
	}
	return ""
}

// defaults are lines that say what holds without them.
var defaults = []string{"authselectmode mix", "dscp 46", "maxdistance 3", "minsources 1", "filegen loopstats link",
	"filegen loopstats enable",
	"filegen loopstats type day", "interface listen eth0\ninterface ignore eth1", "interface listen eth0\ninterface drop eth1", "leapsecmode slew", "nts cert /a.pem disable"}

// fateOf returns what became of a word of a record.
func fateOf(r *report.Record, word string) string {
	name, _, _ := strings.Cut(word, "=")
	for _, w := range r.Words {
		if w.Name == name {
			return w.Fate
		}
	}
	for _, w := range r.Words {
		if w.Name == "servers" || w.Name == word+" fuzz" {
			return w.Fate
		}
	}
	for _, w := range r.Words { // it stands in its place, as the class of interfaces does
		if w.Name == "" || slices.Contains(strings.Fields(ntpconf.InterfaceActions), w.Name) {
			return w.Fate
		}
	}
	return ""
}

func recordAt(r *report.Report, line int) *report.Record {
	for _, l := range r.Lines {
		if l.Line == line && l.File == "x.conf" {
			return l
		}
	}
	return &report.Record{}
}
