package ntpconf

import (
	"strings"
)

// Words that are options of directives.
const (
	AssociationFlags   = "autokey burst iburst noselect preempt prefer true xleave xmtnonce"
	AssociationNumbers = "key minpoll maxpoll ttl mode version"
	CryptoStrings      = "digest host ident pw randfile"
	TosIntegers        = "bcpollbstep beacon ceiling floor maxclock minclock minsane orphan orphanwait"
	TosNumbers         = "mindist maxdist"
	StatisticsNames    = "clockstats cryptostats loopstats peerstats protostats rawstats sysstats timingstats"
	ntpsecStatistics   = "ntsstats ntskestats usestats" // beside them, of ntpsec 1.2
	FilegenTypes       = "age day month none pid week year"
	FilegenFlags       = "link nolink enable disable"
	DiscardIntegers    = "average minimum monitor"
	MruIntegers        = "incalloc incmem initalloc initmem maxage maxdepth maxmem mindepth"
	RestrictFlags      = "epeer flake ignore kod limited lowpriotrap mssntp nomodify nomrulist noepeer nopeer noquery noserve notrap notrust ntpport version"
	FudgeFlags         = "flag1 flag2 flag3 flag4"
	RlimitIntegers     = "memlock stacksize filenum"
	SystemSwitches     = "auth bclient calibrate kernel mode7 monitor ntp peer_clear_digest_early stats unpeer_crypto_early unpeer_crypto_nak_early unpeer_digest_early"
	TinkerNumbers      = "allan dispersion freq huffpuff panic step stepback stepfwd stepout tick"
	ResetCounters      = "allpeers auth ctl io mem sys timer"
	InterfaceActions   = "drop ignore listen"
	InterfaceClasses   = "all ipv4 ipv6 wildcard"
)

var fieldCache = func() map[string][]string {
	cache := make(map[string][]string)
	for _, words := range []string{
		AssociationFlags, AssociationNumbers, CryptoStrings, TosIntegers, TosNumbers, StatisticsNames, FilegenTypes,
		FilegenFlags, DiscardIntegers, MruIntegers, RestrictFlags, FudgeFlags, RlimitIntegers, SystemSwitches,
		TinkerNumbers, ResetCounters, InterfaceActions, InterfaceClasses, "-4 -6", "default", "source", "mask",
		"ippeerlimit", "serverresponse", "fuzz", "revoke", "ident", "basedate", "cohort", "true", "file", "type",
		"stratum", "refid abbrev", "time1 time2 minjitter", "port", "interface", "...", "checkhash ignorehash",
	} {
		cache[words] = strings.Fields(words)
	}
	return cache
}()

// FieldsOf is strings.Fields with a memory: the lists are constants.
func FieldsOf(words string) []string {
	if f, ok := fieldCache[words]; ok {
		return f
	}
	return strings.Fields(words)
}
