package client

import (
	"fmt"
	"slices"
	"strings"

	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/syntax"
)

// fate is what becomes of a line of which nothing is written.
type fate struct {
	class          report.Class
	code, text, do string // %s in text is the client's daemon
}

// lines are the fates of the directives of both languages, as far as an output
// has nothing of them.
var lines = func() map[string]fate {
	m := make(map[string]fate)
	for _, group := range []struct {
		words string
		fate
	}{
		{"restrict unrestrict allow deny", fate{report.Changed, "serves-nobody",
			"this host answers nobody any more, so that it needs no restrictions", "point its clients at the gateway"}},
		{"mru discard limit clientloglimit noclientlog ratelimit ntsratelimit extra ntsservercert ntsserverkey ntsport ntsprocesses " +
			"maxntsconnections ntsntpserver ntsrotate ntsaeads smoothtime ptpport ptpdomain local bindaddress binddevice port interface " +
			"leapsmearinterval ttl",
			fate{report.Folded, "client-serves-nobody", "it is about those that a server answers, and this host answers nobody any more", ""}},
		{"nts", fate{report.Folded, "client-serves-nobody",
			"this host serves no NTS any more; how it verifies the gateway is --ca's to say, or the system's certificates'", ""}},
		{"crypto keysdir automax revoke ident", fate{report.Changed, "autokey-over", "this host has no Autokey any more", ""}},
		{"broadcastclient multicastclient manycastclient broadcastdelay", fate{report.Changed, "client-gateway",
			"the gateway takes the place of broadcasts", ""}},
		{"keys trustedkey keyfile", fate{report.Changed, "client-gateway", "the gateway is asked without a key: none is carried over", ""}},
		{"ntstrustedcerts nosystemcert nocerttimecheck", fate{report.Changed, "client-gateway",
			"it is about the servers that the gateway takes the place of; --ca says how the gateway is verified", ""}},
		{"ntsdumpdir ntscachedir", fate{report.Folded, "client-own", "%s keeps keys and cookies in a place of its own", ""}},
		{"authselectmode", fate{report.Folded, "client-own", "the gateway is authenticated, and no other source is named", ""}},
		{"statistics filegen statsdir log logdir logbanner logchange mailonchange", fate{report.Approximated, "client-logs",
			"%s has other files with measurements, or none, and is asked for none", "set up its logs, where somebody reads these files"}},
		{"logfile logconfig", fate{report.Folded, "client-logs", "messages of %s go to the journal", ""}},
		{"pidfile user lock_all sched_priority rlimit linux_hz linux_freq_scale maxtxbuffers",
			fate{report.Obsolete, "client-process", "the process is the service manager's", ""}},
		{"controlkey requestkey setvar saveconfigdir cmdallow cmddeny cmdport cmdratelimit bindcmdaddress bindcmddevice commandkey " +
			"generatecommandkey opencommands reset mdnstries",
			fate{report.Obsolete, "client-command", "nobody may ask or change %s over the network: who might before is not carried over", ""}},
		{"nonvolatile tick pollskewlist dumpdir dumponexit rtcautotrim rtcdevice rtcfile rtconutc rtcsync hwclockfile driftfile " +
			"leapfile refresh ntsrefresh",
			fate{report.Obsolete, "client-own", "%s does that in a way of its own", ""}},
		{"makestep maxchange maxslewrate maxdistance minsources maxclockerror leapsectz leapseclist leapsecmode initstepslew " +
			"maxupdateskew corrtimeratio combinelimit fallbackdrift maxdrift maxjitter maxsamples minsamples reselectdist stratumweight " +
			"clockprecision dscp hwtimestamp hwtstimeout bindacqaddress acquisitionport",
			fate{report.Approximated, "client-default", "left at the default of %s", ""}},
		{"manycastserver trap ntpsigndsocket phone tempcomp manual maxstratum minstratum bindacqdevice",
			fate{report.Unsupported, "client-lost", "%s does not do that", "see whether somebody needs it"}},
		{"broadcast", fate{report.Dangerous, "broadcast", "this host sends no broadcasts any more: those who listen lose their time",
			"point them at the gateway"}},
		{"refclock fudge", fate{report.Unsupported, "refclock", "the reference clock is not carried over", "take another daemon for it"}},
		{"unpeer", fate{report.Folded, "unpeer", "there is no such association any more", ""}},
		{"includefile include confdir sourcedir", fate{report.Folded, "include", "what the file has is converted with its own lines", ""}},
		{"simulate", fate{report.Obsolete, "simulate", "the simulator's block means nothing to a client", ""}},
		{"end", fate{report.Folded, "end", "ntpd reads no further", ""}},
	} {
		for word := range strings.FieldsSeq(group.words) {
			m[word] = group.fate
		}
	}
	return m
}()

// switches are the words of enable and disable, and why they are not carried
// over.
var switches = map[string]string{
	"auth":      "strangers never become sources",
	"bclient":   "the gateway takes the place of broadcasts",
	"calibrate": "reference clocks are not calibrated", "kernel": "it steers the clock in a way of its own",
	"mode7":                   "ntpdc's protocol is not there",
	"monitor":                 "this host answers nobody, and has no list of clients",
	"ntp":                     "it steers the clock",
	"stats":                   "it is asked for no statistics files",
	"peer_clear_digest_early": "it is about Autokey and keys of peers", "unpeer_crypto_early": "it is about Autokey",
	"unpeer_crypto_nak_early": "it is about Autokey", "unpeer_digest_early": "it is about keys of peers",
}

// rest accounts for the lines and words of which the output has nothing.
func (c *writer) rest() {
	for _, s := range c.Parsed.Statements {
		if c.Bad[s] {
			continue
		}
		for line := s.Line; line <= max(s.Line, s.End); line++ {
			c.restOf(s, c.Records[syntax.Place{File: s.File, Line: line}])
		}
	}
	c.Settle(fates, func(*syntax.Statement) map[string]bool { return nil })
}

func (c *writer) restOf(s *syntax.Statement, r *report.Record) {
	format := c.Opt.Client.Format
	switch s.Word {
	case "leapfile":
		c.Ledger.Tell(s, job.FateHolds+"the hash is always checked", "checkhash")
		if len(r.Became) > 0 && s.Flag("ignorehash") {
			c.Lost(s, report.Changed, []string{"ignorehash"}, "the hash is always checked")
		}
	case "tos", "tinker":
		c.Lost(s, report.Approximated, job.NamedWords(s), "left at the default of "+format)
		return
	case "enable", "disable":
		for _, o := range s.Options {
			why := switches[o.Name]
			if o.Name == "monitor" && c.serves() && format != "timesyncd" {
				why = "the list of clients of " + format + " cannot be abused as ntpd's could"
			}
			c.Lost(s, report.Folded, []string{o.Name}, why)
		}
		return
	}
	f, known := lines[s.Word]
	told := len(c.Ledger.Unused(s, c.Words(s))) == 0 || slices.ContainsFunc(r.Findings, func(f report.Finding) bool {
		return job.OfTheLine(f.Code)
	})
	if !known || told && (r.Class != report.Comment || len(r.Became) > 0) {
		return
	}
	if f.code == "client-serves-nobody" && c.serves() && format != "timesyncd" {
		f = lines["makestep"] // of those that it serves, but not carried over
		if (s.Word == "smoothtime" || s.Word == "leapsmearinterval") && format != "chrony" {
			f = fate{report.Changed, "client-smear", "%s smooths nothing of what it serves: those that ask this host get leap seconds as they are",
				"take chrony, or point those clients at a gateway that smears"}
		}
	}
	text := f.text
	if strings.Contains(text, "%s") {
		text = fmt.Sprintf(text, format)
	}
	if len(r.Became) > 0 { // and what is left of the line is not
		c.Lost(s, f.class, c.Words(s), text)
		return
	}
	r.Note(f.class, f.code, f.do, "%s", text)
}

// fates are those of the words of which a finding of the line does not speak
// by itself.
var fates = job.Fates{
	"server": source, "pool": source, "peer": source, "manycastclient": source,
	"broadcast": {"*": {Said: []string{"broadcast"}}},
}

// source is the fate of the address of a source: the gateway's takes its place.
var source = map[string]job.Fate{"": {Said: []string{"gateway"}}}
