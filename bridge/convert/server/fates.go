package server

import (
	"maps"
	"strings"

	"ntsbridge/bridge/convert/job"
)

// becomes is the fate of a word that becomes an option.
func becomes(options string, said ...string) job.Fate {
	return job.Fate{Options: strings.Fields(options), Said: said}
}

// isSaid is the fate of a word that findings with these codes speak of.
func isSaid(codes ...string) job.Fate { return job.Fate{Said: codes} }

// holds is the fate of a word that says what holds here anyway.
func holds(why string, said ...string) job.Fate { return job.Fate{Holds: why, Said: said} }

// line is what may become of a directive's words, all alike.
func line(f job.Fate) map[string]job.Fate { return map[string]job.Fate{"*": f} }

// fates say what may become of the words of both languages here. Sources and
// reference clocks have tables of their own (account.go).
var fates = func() job.Fates {
	f := job.Fates{}
	maps.Copy(f, ofNTP)
	for directive, words := range ofChrony {
		if f[directive] == nil {
			f[directive] = make(map[string]job.Fate)
		}
		maps.Copy(f[directive], words)
	}
	for code, directives := range spoken {
		for directive := range strings.FieldsSeq(directives) {
			f[directive] = line(isSaid(code))
		}
	}
	return f
}()

// spoken are the directives of which a finding speaks as a whole, by its code.
var spoken = map[string]string{
	"acquisitionport": "acquisitionport",
	"bindacqdevice":   "bindacqdevice",
	"binddevice":      "binddevice",
	"broadcast":       "broadcast",
	"broadcastdelay":  "broadcastdelay",
	"buffers":         "maxtxbuffers",
	"command":         "commandkey opencommands",
	"command-device":  "bindcmddevice",
	"command-rate":    "cmdratelimit",
	"controlkey":      "controlkey",
	"dumpdir":         "dumpdir",
	"hwtimestamp":     "hwtstimeout",
	"ident":           "ident",
	"log":             "logfile logconfig logchange",
	"mail":            "mailonchange",
	"manycastserver":  "manycastserver",
	"maxstratum":      "maxstratum",
	"mdns":            "mdnstries",
	"minstratum":      "minstratum",
	"multicastclient": "multicastclient",
	"nonvolatile":     "nonvolatile",
	"nts-cache":       "ntscachedir",
	"nts-processes":   "ntsprocesses",
	"nts-rate":        "ntsratelimit",
	"nts-refresh":     "ntsrefresh",
	"nts-trust":       "nosystemcert",
	"phone":           "phone",
	"pidfile":         "pidfile",
	"pollskewlist":    "pollskewlist",
	"process":         "sched_priority user linux_hz linux_freq_scale",
	"ptp":             "ptpport ptpdomain",
	"refresh":         "refresh",
	"requestkey":      "requestkey",
	"reset":           "reset",
	"rlimit":          "rlimit",
	"rtc":             "rtcautotrim rtcdevice rtcfile hwclockfile",
	"saveconfigdir":   "saveconfigdir",
	"setvar":          "setvar",
	"switch":          "enable disable",
	"tempcomp":        "tempcomp",
	"tick":            "tick",
	"trap":            "trap",
	"tuning": "combinelimit corrtimeratio fallbackdrift maxjitter maxsamples " +
		"maxupdateskew minsamples reselectdist stratumweight clockprecision",
}

// restrictions are the fates of the flags of restrict.
var restrictions = map[string]job.Fate{
	"ignore":              becomes("access.default.action access.rules[].action"),
	"noserve":             becomes("access.default.action access.rules[].action"),
	"notrust":             becomes("access.default.kinds access.rules[].kinds", "notrust"),
	"noquery":             becomes("access.default.query access.rules[].query access.default.action access.rules[].action", "restrict-source"),
	"version":             becomes("access.default.min_version access.rules[].min_version"),
	"limited":             becomes("access.default.rate access.rules[].rate", "limited"),
	"kod":                 becomes("access.default.rate access.rules[].rate", "kod-alone"),
	"ntpport":             becomes("access.rules[].source_port_123", "restrict-source"),
	"nomodify":            holds("settings are never changed over the network"),
	"notrap":              holds("no traps are sent"),
	"lowpriotrap":         holds("no traps are sent"),
	"nomrulist":           holds("the list of clients is given to those only who may query"),
	"nopeer":              holds("strangers never become sources"),
	"noepeer":             holds("strangers never become sources"),
	"mssntp":              becomes("access.default.ms_sntp access.rules[].ms_sntp", "mssntp-alone"),
	"flake":               isSaid("restrict-odd"),
	"serverresponse fuzz": isSaid("restrict-odd"),
	"epeer":               isSaid("epeer"),
	"ippeerlimit":         isSaid("ippeerlimit"),
}

// ofNTP are the fates of words of ntp.conf.
var ofNTP = job.Fates{
	"restrict":   restrictions,
	"unrestrict": restrictions,
	"crypto": {
		"host": becomes("autokey.host"), "ident": becomes("autokey.ident"), "pw": becomes("autokey.password_file"),
		"digest": becomes("autokey.digest", "autokey-digest"), "randfile": isSaid("randfile"),
	},
	"keysdir": line(becomes("autokey.keysdir")), "automax": line(isSaid("automax", "timer-range")),
	"revoke": line(isSaid("revoke", "timer-range")),
	"tos": {
		"minsane": becomes("clock.min_sources"), "maxdist": becomes("clock.max_distance"),
		"orphan":     becomes("clock.fallback_stratum", "orphan-off", "orphan-and-local"),
		"orphanwait": becomes("clock.fallback_wait"), "maxclock": becomes("sources[].max_sources", "maxclock"),
		"minclock": isSaid("tos-cluster"), "mindist": isSaid("tos-cluster"), "floor": isSaid("tos-floor"),
		"ceiling": isSaid("tos-ceiling"), "cohort": isSaid("tos-cohort"), "beacon": isSaid("tos-beacon"),
		"basedate": isSaid("tos-basedate"), "bcpollbstep": isSaid("tos-bcpollbstep"),
		"maxdisp": isSaid("tos-maxdisp"), "holdover": isSaid("tos-holdover"),
	},
	"tinker": {
		"panic": becomes("clock.panic"), "step": becomes("clock.step.threshold"), "stepfwd": becomes("clock.step.threshold"),
		"stepback": becomes("clock.step.threshold"), "stepout": becomes("clock.step.stepout", "stepout"),
		"dispersion": becomes("clock.drift_ppm"), "freq": isSaid("freq"), "huffpuff": isSaid("huffpuff"),
		"allan": isSaid("tinker-allan"), "tick": isSaid("tinker-tick"),
	},
	"mru": {"maxmem": becomes("rate_limit.clients"), "maxdepth": becomes("rate_limit.clients"), "*": isSaid("mru-other")},
	"discard": {
		"average": becomes("rate_limit.limits[].interval"), "minimum": becomes("rate_limit.limits[].minimum"),
		"monitor": isSaid("discard-monitor"),
	},
	"limit": {
		"average": becomes("rate_limit.limits[].interval", "limit"), "burst": becomes("rate_limit.limits[].burst", "limit"),
		"kod": isSaid("limit-kod"),
	},
	"extra":      {"port": becomes("server.listen")},
	"interface":  line(becomes("server.listen", "interface-all", "interface-name")),
	"statsdir":   line(becomes("statistics.dir")),
	"statistics": line(becomes("statistics.files", "statistics")),
	"filegen": {
		"enable": becomes("statistics.files", "statistics"), "disable": becomes("statistics.files"),
		"type": becomes("statistics.rotate", "filegen-type"), "link": becomes("statistics.link"), "nolink": becomes("statistics.link"),
		"file": becomes("", "filegen-file"),
	},

	"driftfile": line(becomes("clock.drift_file", "nonvolatile", "driftfile-none")),
	"leapfile": {
		"": becomes("clock.leap.file autokey.leap_file", "leapfile-missing"), "ignorehash": isSaid("ignorehash"),
		"checkhash": holds("the hash is always checked"),
	},
	"leapsmearinterval": line(becomes("clock.leap.smear", "leap-smear-off", "running-meaning")),
	"keys":              line(becomes("keys.files[].path")),
	"trustedkey":        line(becomes("keys.trusted", "trusted", "trusted-range", "trusted-without-file")),

	"dscp":           line(becomes("server.dscp", "dscp")),
	"ntpsigndsocket": line(becomes("server.ms_sntp.socket", "mssntp", "file-name")),
	"nts": {
		"enable": becomes("nts.enabled"), "disable": becomes("nts.enabled"), "cert": becomes("nts.certificates[].cert", "nts-off"),
		"key": becomes("nts.certificates[].key", "nts-off"), "ca": becomes("sources[].trusted_certificates", "nts-ca"),
		"cookie": isSaid("nts-keys"), "mintls": isSaid("nts-tls"), "maxtls": isSaid("nts-tls"), "tlsciphersuites": isSaid("nts-tls"),
		"tlsecdhcurves": isSaid("nts-tls"), "tlscipherserverpreference": isSaid("nts-tls"), "*": isSaid("nts-option"),
	},

	"ttl": line(becomes("broadcast[].ttl", "hops")),
}

// limits are the fates of the words of chronyd's limits of rates.
var limits = map[string]job.Fate{
	"interval": becomes("rate_limit.limits[].interval"), "burst": becomes("rate_limit.limits[].burst"),
	"leak": becomes("rate_limit.limits[].leak"), "kod": becomes("rate_limit.limits[].kiss", "ratelimit-kod"),
}

// ofChrony are the fates of words of chrony.conf.
var ofChrony = job.Fates{
	"cmdport": line(becomes("chronyc.listen", "command-off")), "cmdallow": line(becomes("chronyc.allow", "command-off", "command-name")),
	"cmddeny":        line(becomes("chronyc.allow", "command-off", "command-name", "command-deny")),
	"bindcmdaddress": line(becomes("chronyc.listen chronyc.socket", "command-off", "bindcmdaddress")),
	"makestep":       line(becomes("clock.step.threshold")), "maxchange": line(becomes("clock.panic clock.max_change")),
	"initstepslew": {"": becomes("clock.step.threshold", "initstepslew"), "servers": isSaid("initstepslew", "initstepslew-servers")},
	"maxslewrate":  line(becomes("clock.max_slew_ppm")), "maxdistance": line(becomes("clock.max_distance")),
	"maxclockerror": line(becomes("clock.drift_ppm")), "minsources": line(becomes("clock.min_sources")),
	"nocerttimecheck": line(becomes("clock.nocerttimecheck")), "authselectmode": line(becomes("clock.auth_select")),
	"driftfile": {"": becomes("clock.drift_file"), "interval": isSaid("drift-interval")},
	"maxdrift":  line(becomes("clock.max_drift_ppm")), "leapsectz": line(becomes("clock.leap.file", "leapfile-missing")),
	"leapseclist": line(becomes("clock.leap.file", "leapfile-missing")), "leapsecmode": line(becomes("clock.leap.mode")),
	"smoothtime": {
		"": becomes("clock.smooth.max_rate_ppm clock.leap.smear", "smoothtime"), "leaponly": becomes("clock.leap.smear", "smoothtime"),
	},
	"local": {
		"stratum": becomes("clock.fallback_stratum clock.stratum", "local"), "orphan": becomes("clock.orphan", "orphan-alone"),
		"distance": becomes("clock.fallback_distance"), "activate": becomes("clock.fallback_activate"),
		"waitsynced":   becomes("clock.fallback_wait"),
		"waitunsynced": becomes("clock.fallback_wait_start"),
	},
	"allow": line(becomes("access.default.action access.rules[].action", "allow-name", "port-0")),
	"deny":  line(becomes("access.default.action access.rules[].action", "allow-name", "port-0")),
	"port":  line(becomes("server.listen", "port-0", "port-default")), "bindaddress": line(becomes("server.listen", "bindaddress")),
	"bindacqaddress": line(becomes("sources[].local_address", "bindacqaddress", "bindacqaddress-unused")),
	"ratelimit":      limits, "keyfile": line(becomes("keys.files[].path")), "dscp": line(becomes("server.dscp", "dscp")),
	"clientloglimit": line(becomes("rate_limit.clients")),
	"ntsservercert":  line(becomes("nts.certificates[].cert", "nts-pair")),
	"ntsserverkey":   line(becomes("nts.certificates[].key", "nts-pair")),
	"ntsport":        line(becomes("nts.listen")), "ntsntpserver": line(becomes("nts.server")),
	"ntsrotate":         line(becomes("nts.cookies.rotation", "nts-rotation")),
	"maxntsconnections": line(becomes("nts.limits.connections")), "ntsaeads": line(becomes("nts.aeads", "nts-aead")),
	"ntstrustedcerts": line(becomes("sources[].trusted_certificates", "nts-trust")),

	"ntsdumpdir": line(isSaid("nts-keys", "nts-cache")),
	"log":        line(becomes("statistics.files", "log")), "logdir": line(becomes("statistics.dir", "log")),
	"logbanner":   line(becomes("statistics.banner", "log")),
	"hwtimestamp": {"": becomes("server.hardware_timestamps", "hwtimestamp"), "*": isSaid("hwtimestamp-option")},
	"refclock": {
		"": becomes("reference_clocks[].driver"), "poll": becomes("reference_clocks[].poll", "range"),
		"dpoll": becomes("reference_clocks[].driver_poll", "range"), "rate": becomes("reference_clocks[].rate", "range"),
		"offset": becomes("reference_clocks[].offset", "range"), "delay": becomes("reference_clocks[].delay", "range"),
		"stratum": becomes("reference_clocks[].stratum", "range"), "precision": becomes("reference_clocks[].precision", "range"),
		"pps": becomes("reference_clocks[].pps"), "tai": becomes("reference_clocks[].tai", "local-wins"),
		"prefer": becomes("reference_clocks[].prefer", "noselect-wins", "local-wins"), "noselect": becomes("reference_clocks[].noselect"),
		"trust":         becomes("reference_clocks[].trust", "noselect-wins", "local-wins"),
		"require":       becomes("reference_clocks[].require", "noselect-wins", "local-wins"),
		"refid":         becomes("reference_clocks[].refid", "refid"),
		"lock":          becomes("reference_clocks[].lock", "refclock-lock", "local-wins"),
		"maxdispersion": becomes("reference_clocks[].max_dispersion"),
		"filter":        becomes("reference_clocks[].filter"), "maxlockage": becomes("reference_clocks[].max_lock_age"),
		"width": becomes("reference_clocks[].width"), "minsamples": isSaid("weighing"), "maxsamples": isSaid("weighing"),
		"maxunreach": isSaid("maxunreach"), "local": becomes("reference_clocks[].local", "local-twice"),
		":clear":     becomes("reference_clocks[].clear"),
		":nocrossts": becomes("reference_clocks[].no_cross_timestamps"), ":perm": isSaid("shm-perm", "shm-public"),
		":extpps": becomes("reference_clocks[].external_pps"), ":pin": becomes("reference_clocks[].pin"),
		":channel": becomes("reference_clocks[].channel"),
	},
}
