package convert

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/ntp"
)

// mappingFiles are the files of the host of TestMapping.
var mappingFiles = fstest.MapFS{
	"etc/ntp.keys":                         {Data: []byte("5 AES128CMAC 00112233445566778899aabbccddeeff\n")},
	"etc/chrony.keys":                      {Data: []byte("5 AES128 HEX:00112233445566778899aabbccddeeff\n")},
	"etc/leap.list":                        {Data: []byte("#@ 3991593600\n")},
	"usr/share/zoneinfo/UTC":               {Data: []byte("x")},
	"usr/share/zoneinfo/right/UTC":         {Data: []byte("x")},
	"usr/share/zoneinfo/leap-seconds.list": {Data: []byte("x")},
	"etc/default/ntp":                      {Data: []byte("NTPD_OPTS='-g'\n")},
}

// mapping is what must come of a configuration.
type mapping struct {
	name, conf string
	want       []string // in the output, without indentation
	not        []string // not in it
	code       string   // a finding; empty: none of classes changed and worse
}

const (
	ntpBase    = "restrict default noquery\nrestrict 127.0.0.1\n"
	ntpKeysUse = "keys /etc/ntp.keys\ntrustedkey 5\nrestrict -4 default noquery noepeer\nrestrict -6 default noquery noepeer\n"
	follow1    = "server other.example.org\n"
)

// ntpMappings are of ntp.conf.
var ntpMappings = []mapping{
	{"server", "server a.example.org", []string{"mode: discipline", "- server: a.example.org", "minpoll: 6", "maxpoll: 10"},
		[]string{"iburst", "auth:"}, ""},
	{"server options", "server a iburst burst minpoll 4 maxpoll 8 version 3 prefer",
		[]string{"minpoll: 4", "maxpoll: 8", "version: 3", "iburst: true", "burst: true", "prefer: true"}, nil, ""},
	{"maxpoll alone", "server a maxpoll 4", []string{"minpoll: 4", "maxpoll: 4"}, nil, ""},
	{"noselect", "server a noselect\n" + follow1, []string{"noselect: true"}, nil, ""},
	{"only noselect", "server a noselect", []string{"mode: observe", "noselect: true"}, []string{"mode: discipline"}, "no-source"},
	{"noselect and prefer", "server a noselect prefer\n" + follow1, []string{"noselect: true"}, []string{"prefer"}, ""},
	{"true", "server a true", []string{"trust: true"}, nil, "true"},
	{"preempt", "server a preempt xmtnonce", []string{"- server: a"}, []string{"preempt"}, ""},
	{"family", "server -4 a\nserver -6 b", []string{"family: ipv4", "family: ipv6"}, nil, ""},
	{"key", ntpKeysUse + "server a key 5", []string{"auth: symmetric", "key: 5", "path: /etc/ntp.keys", "trusted: [5]"}, nil, ""},
	{"key absent", ntpKeysUse + "server a key 6", []string{"mode: observe"}, []string{"- server: a"}, "source-key"},
	{"both kinds", ntpKeysUse + "server a key 5\nserver b", []string{"auth_select: ignore"}, nil, "mixed-sources"},
	{"version 7", "server a version 7", nil, []string{"version:"}, "version"},
	{"pool", "pool p iburst", []string{"mode: pool", "max_sources: 9"}, nil, ""},
	{"pools", "pool p\npool q\npool r\npool s\ntos maxclock 11", []string{"max_sources: 2", "max_sources: 1"}, nil, ""},
	{"many of a pool", "pool p\ntos maxclock 40", []string{"max_sources: 16"}, nil, "maxclock"},
	{"peer with key", ntpKeysUse + "peer a key 5", []string{"mode: peer", "auth: symmetric", "key: 5"}, nil, ""},
	{"peer", "peer a", []string{"- server: a"}, []string{"mode: peer"}, "peer"},
	{"same twice", "server a iburst\nserver a prefer", []string{"iburst: true"}, []string{"prefer"}, ""},
	{"broadcast with key", ntpKeysUse + "broadcast 192.0.2.255 key 5 minpoll 7\n" + follow1,
		[]string{`destination: "192.0.2.255"`, "key: 5", "poll: 7"}, []string{"ttl"}, ""},
	{"multicast", ntpKeysUse + "broadcast 224.0.1.1 key 5 ttl 4\n" + follow1, []string{`destination: "224.0.1.1"`, "ttl: 128"}, nil, ""},
	{"multicast with hops", ntpKeysUse + "ttl 1 7\nbroadcast 224.0.1.1 key 5 ttl 1\n" + follow1, []string{"ttl: 7"}, nil, ""},
	{"broadcast", "broadcast 192.0.2.255\n" + follow1, nil, []string{"destination"}, "broadcast"},
	{"broadcastclient", "broadcastclient\n" + follow1, nil, nil, "broadcastclient"},
	{"multicastclient", "multicastclient 224.0.1.1\n" + follow1, nil, nil, "multicastclient"},
	{"manycastclient", "manycastclient 224.0.1.1\n" + follow1, nil, []string{"224.0.1.1\n"}, "manycast"},
	{"manycastserver", "manycastserver 224.0.1.1\n" + follow1, nil, nil, "manycastserver"},

	{"defaults", follow1, []string{"threshold: 0.128s", "updates: 1", "any_time: true", "stepout: 300s", "panic: 1000s",
		"panic_once: true", "max_distance: 1.5s"}, nil, ""},
	{"step", follow1 + "tinker step 0.4 stepout 900", []string{"threshold: 0.4s", "stepout: 900s"}, nil, ""},
	{"stepout too short", follow1 + "tinker stepout 10", []string{"stepout: 300s"}, nil, ""},
	{"step 0", follow1 + "tinker step 0", []string{"threshold: 0s"}, []string{"any_time"}, ""},
	{"step directions", follow1 + "tinker stepback 0.2 stepfwd 0.5", []string{"threshold: 0.5s"}, nil, "step-directions"},
	{"never back", follow1 + "tinker stepback 0", []string{"threshold: 0s"}, nil, "step-directions"},
	{"panic", follow1 + "tinker panic 60", []string{"panic: 60s"}, nil, ""},
	{"panic 0", follow1 + "tinker panic 0", []string{"panic: 0s"}, []string{"panic_once"}, "panic-off"},
	{"dispersion", follow1 + "tinker dispersion 2.5", []string{"drift_ppm: 2.5"}, nil, ""},
	{"freq", follow1 + "tinker freq 3", nil, nil, "freq"},
	{"minsane", follow1 + "tos minsane 3", []string{"min_sources: 3"}, nil, ""},
	{"minsane 0", follow1 + "tos minsane 0", []string{"min_sources: 1"}, nil, "minsane"},
	{"maxdist", follow1 + "tos maxdist 3", []string{"max_distance: 3s"}, nil, ""},
	{"maxdist too long", follow1 + "tos maxdist 300", []string{"max_distance: 16s"}, nil, "maxdist"},
	{"tos others", follow1 + "tos minclock 4 mindist 0.01 cohort 1 beacon 60 floor 1 ceiling 15", nil, nil, ""},
	{"floor", follow1 + "tos floor 3", nil, nil, "tos-floor"},
	{"ceiling", follow1 + "tos ceiling 3", nil, nil, "tos-ceiling"},
	{"orphan", follow1 + "tos orphan 7", []string{"fallback_stratum: 7", "orphan: true"}, nil, "orphan"},
	{"drift file", follow1 + "driftfile /var/lib/ntp/drift", []string{"drift_file: /var/lib/ntp/drift"}, nil, ""},
	{"no drift file", follow1 + `driftfile ""`, nil, []string{"drift_file"}, ""},
	{"leap file", follow1 + "leapfile /etc/leap.list", []string{"file: /etc/leap.list"}, nil, ""},
	{"leap file missing", follow1 + "leapfile /etc/none.list", nil, []string{"none.list"}, "leapfile-missing"},
	{"leap file without source", "leapfile /etc/leap.list", []string{"file: /etc/leap.list", "mode: observe"}, nil, "no-source"},
	{"smear off", follow1 + "leapsmearinterval 0", nil, []string{"smear"}, "value"},
	{"disable ntp", follow1 + "disable ntp\ndriftfile /d", []string{"mode: observe", "server: other.example.org"},
		[]string{"drift_file", "threshold"}, "disable-ntp"},
	{"disable kernel", follow1 + "disable kernel stats monitor", []string{"mode: discipline"}, nil, ""},
	{"mssntp", "restrict default noquery mssntp\nntpsigndsocket /var/lib/samba/ntp_signd\n" + follow1,
		[]string{"socket: /var/lib/samba/ntp_signd/socket", "ms_sntp: true"}, nil, ""},
	{"mssntp without a socket", "restrict 192.0.2.0 mask 255.255.255.0 mssntp\n" + follow1,
		[]string{"socket: /var/run/ntp_signd/socket", "ms_sntp: true"}, nil, ""},
	{"mssntp, second socket", "restrict default noquery mssntp\nntpsigndsocket /a\nntpsigndsocket /b\n" + follow1,
		[]string{"socket: /b/socket"}, []string{"/a/"}, ""},
	{"mssntp in vain", "restrict 192.0.2.0 mask 255.255.255.0 mssntp notrust\nntpsigndsocket /a\n" + follow1, nil,
		[]string{"ms_sntp"}, "notrust"},
	{"a socket alone", "ntpsigndsocket /a\n" + follow1, nil, []string{"ms_sntp"}, ""},
	{"local clock", follow1 + "server 127.127.1.0\nfudge 127.127.1.0 stratum 10", []string{"mode: discipline", "fallback_stratum: 11"},
		[]string{"127.127"}, "local-clock"},
	{"local clock alone", "server 127.127.1.0", []string{"mode: local", "stratum: 6"}, []string{"fallback"}, "local-only"},
	{"local clock of stratum 14", follow1 + "server 127.127.1.0\nfudge 127.127.1.0 stratum 14", []string{"fallback_stratum: 15"}, nil,
		"local-clock"},
	{"local clock of stratum 15", follow1 + "server 127.127.1.0\nfudge 127.127.1.0 stratum 15", nil, []string{"fallback"}, ""},
	{"local clock of stratum 15 alone", "server 127.127.1.0 prefer\nfudge 127.127.1.0 stratum 15", []string{"mode: observe"},
		[]string{"fallback", "mode: local"}, "no-source"},
	{"shm of stratum 15", follow1 + "server 127.127.28.1\nfudge 127.127.28.1 stratum 15", []string{"noselect: true"}, nil, "fudge-stratum"},
	{"local clock, noselect", follow1 + "server 127.127.1.0 noselect", nil, []string{"fallback"}, ""},

	{"shm", "server 127.127.28.1 mode 1 minpoll 4 prefer\nfudge 127.127.28.1 time1 0.130 refid GPS stratum 1",
		[]string{"driver: shm", "unit: 1", "refid: GPS", "stratum: 1", "poll: 4", "offset: 0.13", "prefer: true"}, nil, ""},
	{"shm public", "server 127.127.28.2", []string{"unit: 2"}, nil, "shm-public"},
	{"shm private", "server 127.127.28.2 mode 1", []string{"unit: 2"}, nil, ""},
	{"shm without limit", "server 127.127.28.0\nfudge 127.127.28.0 flag1 1", []string{"unit: 0"}, nil, "shm-no-limit"},
	{"pps", "server 127.127.22.1 minpoll 4\nserver a prefer\nfudge 127.127.22.1 flag2 1 flag3 1 time1 0.001",
		[]string{"driver: pps", "device: /dev/pps1", "clear: true", "offset: 0.001", "offset: 0.001\nclear: true\nprefer: true"},
		[]string{"\nlock:"}, "pps-prefer"},
	{"pps without prefer", "server 127.127.22.0\n" + follow1, []string{"device: /dev/pps0"}, []string{"clear"}, "pps-no-prefer"},
	{"nmea", "server 127.127.20.0 prefer\nfudge 127.127.20.0 flag1 1 time1 0.01 time2 0.4",
		[]string{"unit: 1", "offset: 0.01", "unit: 0", "offset: 0.4", "noselect: true"}, nil, "refclock-nmea"},
	{"gpsd", "server 127.127.46.0\nserver 127.127.46.128\nfudge 127.127.46.0 time2 0.1", []string{"unit: 0", "unit: 1", "offset: 0.1"},
		nil, "refclock-gpsd"},
	{"parse", "server 127.127.8.0\n" + follow1, nil, []string{"reference_clocks:"}, "refclock"},
	{"no driver", "server 127.127.99.0\n" + follow1, nil, []string{"reference_clocks:"}, "dead-source"},
	{"offset of days", "server 127.127.28.0\nfudge 127.127.28.0 time1 86400", nil, []string{"offset"}, "fudge-offset"},
}

// chronyMappings are of chrony.conf.
var chronyMappings = []mapping{
	{"signing", "server a.example.org\nallow 192.0.2.0/24\nntpsigndsocket /var/lib/samba/ntp_signd",
		[]string{"socket: /var/lib/samba/ntp_signd/socket", "ms_sntp: true"}, nil, ""},
	{"server", "server a", []string{"mode: discipline", "- server: a", "threshold: 0s", "panic: 0s", "max_slew_ppm: 83333.333",
		"action: deny"}, []string{"auth:"}, ""},
	{"options", "allow\nserver a minpoll 4 maxpoll 5 iburst burst prefer trust require xleave presend 6 offset 0.001 asymmetry 0.1 maxdelay 0.3 maxdelayratio 2 maxdelaydevratio 4 minstratum 3 port 11123 version 3 ipv4",
		[]string{"minpoll: 4", "maxpoll: 5", "iburst: true", "burst: true", "prefer: true", "trust: true", "require: true",
			"interleaved: true", "presend: 6", "offset: 0.001",
			"asymmetry: 0.1", "max_delay: 0.3s", "max_delay_ratio: 2", "max_delay_dev_ratio: 4", "min_stratum: 3", "port: 11123",
			"version: 3", "family: ipv4"}, nil, ""},
	{"case", "ALLOW\nServer a IBURST", []string{"iburst: true"}, nil, ""},
	{"maxpoll alone", "allow\nserver a maxpoll 4", []string{"minpoll: 6", "maxpoll: 6"}, nil, ""},
	{"short polls", "allow\nserver a minpoll -3 maxpoll 1", []string{"minpoll: -3", "maxpoll: 1"}, nil, ""},
	{"shorter polls", "allow\nserver a minpoll -7 maxpoll 1", []string{"minpoll: -6", "maxpoll: 1"}, nil, "poll"},
	{"pool", "allow\npool p maxsources 6", []string{"mode: pool", "max_sources: 6"}, nil, ""},
	{"nts", "allow\nserver a nts ntsport 4461", []string{"auth: nts", "nts_port: 4461"}, nil, ""},
	{"nts certificates", "allow\nnosystemcert\nntstrustedcerts /etc/ca.pem\nntstrustedcerts 1 /etc/one.pem\nserver a nts\nserver b nts certset 1",
		[]string{"trusted_certificates: [/etc/ca.pem]", "trusted_certificates: [/etc/one.pem]"}, nil, ""},
	{"nts certificates beside the system's", "allow\nntstrustedcerts /etc/ca.pem\nserver a nts",
		[]string{"trusted_certificates: [system, /etc/ca.pem]"}, nil, ""},
	{"nts set is empty", "allow\nserver a nts certset 3\n" + follow1, nil, []string{"- server: a"}, "certset"},
	{"key", "allow\nkeyfile /etc/chrony.keys\nserver a key 5", []string{"auth: symmetric", "key: 5"}, nil, ""},
	{"key absent", "allow\nkeyfile /etc/chrony.keys\nserver a key 6\n" + follow1, nil, []string{"- server: a"}, "source-key"},
	{"key without file", "allow\nserver a key 6\n" + follow1, nil, []string{"- server: a"}, "source-key"},
	{"unknown option", "allow\nserver a kye 5\n" + follow1, nil, []string{"- server: a"}, "chrony-option"},
	{"peer with key", "allow\nkeyfile /etc/chrony.keys\npeer a key 5", []string{"mode: peer"}, nil, ""},
	{"peer", "allow\npeer a", []string{"- server: a"}, []string{"mode: peer"}, "peer"},
	{"peer with nts", "allow\npeer a nts\n" + follow1, nil, []string{"- server: a"}, "peer-nts"},
	{"copy", "allow\nserver a copy", nil, nil, "copy"},
	{"weighing", "allow\nserver a filter 3 maxsamples 10", nil, nil, "weighing"},
	{"bindacqaddress", "allow\nbindacqaddress 192.0.2.1\nserver 198.51.100.1\nserver 2001:db8::1", []string{`local_address: "192.0.2.1"`},
		[]string{"family"}, ""},
	{"bindacqaddress and names", "allow\nbindacqaddress 192.0.2.1\nserver a", []string{`local_address: "192.0.2.1"`, "family: ipv4"}, nil,
		"bindacqaddress"},

	{"makestep", "allow\nserver a\nmakestep 0.1 3", []string{"threshold: 0.1s", "updates: 3"}, []string{"any_time"}, ""},
	{"makestep always", "allow\nserver a\nmakestep 0.1 -1", []string{"threshold: 0.1s", "any_time: true", "stepout: 0s"}, nil,
		"makestep-always"},
	{"makestep never", "allow\nserver a\nmakestep 1 0", []string{"threshold: 0s"}, nil, ""},
	{"makestep is wrong", "allow\nserver a\nmakestep x", []string{"threshold: 0s"}, nil, "chrony-value"},
	{"initstepslew", "allow\nserver a\ninitstepslew 30 b", []string{"threshold: 30s", "updates: 1"}, nil, "initstepslew"},
	{"maxchange", "allow\nserver a\nmaxchange 1000 1 2", []string{"panic: 0s", "max_change: 1000s"}, nil, "maxchange"},
	{"maxchange from the start", "allow\nserver a\nmaxchange 1000 0 2", []string{"panic: 1000s"}, []string{"max_change"}, "maxchange"},
	{"maxslewrate", "allow\nserver a\nmaxslewrate 1000", []string{"max_slew_ppm: 1000", "start_slew_ppm: 1000"}, nil, ""},
	{"limits", "allow\nserver a\nmaxdistance 1\nminsources 2\nmaxclockerror 0.5",
		[]string{"max_distance: 1s", "min_sources: 2", "drift_ppm: 0.5"}, nil, ""},
	{"authselectmode", "allow\nserver a nts\nauthselectmode require", []string{"auth_select: require"}, nil, ""},
	{"required without authentication", "allow\nserver a require\nserver b nts\nauthselectmode require", []string{"auth_select: require"},
		[]string{"require: true"}, ""},
	{"nocerttimecheck", "allow\nserver a nts\nnocerttimecheck 1", []string{"nocerttimecheck: 1"}, nil, "nocerttimecheck"},
	{"drift file", "allow\nserver a\ndriftfile /var/lib/chrony/drift", []string{"drift_file: /var/lib/chrony/drift"}, nil, ""},
	{"leap zone", "allow\nserver a\nleapsectz right/UTC\nleapsecmode slew", []string{"file: /usr/share/zoneinfo/right/UTC", "mode: slew"},
		nil, ""},
	{"leap list", "allow\nserver a\nleapseclist /usr/share/zoneinfo/leap-seconds.list",
		[]string{"file: /usr/share/zoneinfo/leap-seconds.list"}, nil, ""},
	{"smear", "allow\nserver a\nleapsecmode slew\nmaxslewrate 1000\nsmoothtime 400 0.001024 leaponly",
		[]string{"smear: 62500s", "shape: cosine", "placement: after", "mode: slew"}, nil, "leap-smear"},
	{"smear at the limit of frequency", "allow\nserver a\nsmoothtime 20 0.001 leaponly", []string{"smear: 70000s"}, nil, "leap-smear"},
	{"smoothtime", "allow\nserver a\nsmoothtime 400 0.01", []string{"max_rate_ppm: 400", "max_wander_ppm: 0.01"}, []string{"smear"}, ""},
	{"isolated", "allow\nlocal stratum 8", []string{"mode: local", "stratum: 8"}, []string{"fallback_stratum"}, "mode-local"},
	{"isolated, set by hand", "allow\nmanual\nlocal stratum 8 orphan\nsmoothtime 400 0.01",
		[]string{"mode: discipline", "fallback_stratum: 8", "max_rate_ppm: 400", "max_wander_ppm: 0.01"},
		[]string{"orphan", "mode: local"}, "manual"},
	{"manual beside sources", "allow\nmanual\nserver a", []string{"mode: discipline"}, []string{"fallback_stratum"}, "manual"},
	{"manual alone", "allow\nmanual", []string{"mode: observe"}, []string{"fallback_stratum"}, "manual"},
	{"local", "allow\nserver a\nlocal stratum 8 orphan", []string{"fallback_stratum: 8", "orphan: true"}, nil, "local-clock"},
	{"local alone", "allow\nlocal", []string{"mode: local", "stratum: 10"}, nil, "local-clock"},
	{"local activate", "allow\nserver a\nlocal activate 0.1 distance 0.5", []string{"fallback_stratum: 10"}, nil, "local-clock"},
	{"tuning", "allow\nserver a\ncombinelimit 0", nil, nil, "tuning"},
	{"rtcsync", "allow\nserver a\nrtcsync", nil, nil, ""},

	{"shm", "allow\nrefclock SHM 0 refid GPS offset 0.1 delay 0.2 precision 1e-3 poll 3 noselect\nrefclock PPS /dev/pps0 lock GPS rate 5 dpoll -3 prefer trust",
		[]string{"driver: shm", "unit: 0", "refid: GPS", "offset: 0.1", "delay: 0.2s", "precision: 0.001s", "poll: 3", "noselect: true",
			"driver: pps", "device: /dev/pps0", "lock: GPS", "rate: 5", "driver_poll: -3", "refid: PPS1", "prefer: true", "trust: true"},
		nil, ""},
	{"default names", "allow\nrefclock SHM 3\nrefclock PPS /dev/pps0 lock SHM0", []string{"refid: SHM0", "lock: SHM0", "refid: PPS1"},
		nil, ""},
	{"sock", "allow\nrefclock SOCK /var/run/chrony.ttyS0.sock refid GPS", []string{"driver: sock", "device: /var/run/chrony.ttyS0.sock"},
		nil, ""},
	{"phc", "allow\nrefclock PHC /dev/ptp0 poll 0 dpoll -2 offset -37 tai",
		[]string{"driver: phc", "device: /dev/ptp0", "poll: 0", "driver_poll: -2", "offset: -37", "tai: true"}, nil, ""},
	{"free-running clock", "allow\nserver a\nrefclock PHC /dev/ptp0 poll 0 local", []string{"driver: phc", "local: true"},
		[]string{"noselect"}, ""},
	{"free-running clock that is to be trusted", "allow\nserver a\nrefclock PPS /dev/pps0 poll 0 local trust prefer lock SHM0\nrefclock SHM 0",
		[]string{"local: true"}, []string{"trust:", "prefer:", "lock: SHM0"}, ""},
	{"two free-running clocks", "allow\nserver a\nrefclock PPS /dev/pps0 poll 0 local\nrefclock PHC /dev/ptp0 local",
		[]string{"local: true", "noselect: true"}, nil, "local-twice"},
	{"phc of an interface", "allow\nserver a\nrefclock PHC eth0", nil, []string{"phc"}, "refclock-phc-interface"},
	{"edge", "allow\nserver a\nrefclock PPS /dev/pps1:clear", []string{"clear: true", "device: /dev/pps1"}, nil, ""},
	{"perm", "allow\nserver a\nrefclock SHM 1:perm=0666", []string{"unit: 1"}, nil, "shm-public"},
	{"extpps", "allow\nrefclock SHM 0 refid GPS\nrefclock PHC /dev/ptp2:extpps:pin=1:channel=3:clear lock GPS poll 2",
		[]string{"device: /dev/ptp2", "external_pps: true", "pin: 1", "channel: 3", "clear: true", "lock: GPS"}, nil, ""},
	{"extpps without a pin", "allow\nrefclock SHM 0 refid GPS\nrefclock PHC /dev/ptp2:extpps lock GPS", []string{"pin: 0"},
		[]string{"channel"}, ""},
	{"a pin without extpps", "allow\nrefclock PHC /dev/ptp2:pin=1:clear", []string{"driver: phc"}, []string{"pin:", "clear"}, ""},
	{"extpps of no pin", "allow\nserver a\nrefclock PHC /dev/ptp2:extpps:pin=x", nil, []string{"ptp2\n"}, "refclock-line"},
	{"an option that is none", "allow\nserver a\nrefclock PHC /dev/ptp2:fast", nil, []string{"ptp2\n"}, "refclock-left"},
	{"rtc", "allow\nserver a\nrefclock RTC /dev/rtc0:utc", nil, []string{"rtc0\n"}, "refclock-rtc"},
	{"lock to nothing", "allow\nserver a\nrefclock PPS /dev/pps0 lock GPS", []string{"driver: pps"}, []string{"\nlock:"}, "refclock-lock"},
	{"same name", "allow\nrefclock SHM 0 refid GPS\nrefclock SHM 1 refid GPS", []string{"unit: 1"}, nil, "refid"},
}

// ntpsecMappings are of ntpsec's ntp.conf.
var ntpsecMappings = []mapping{
	{"nts", "server a:4461 nts ca /etc/ca.pem aead AES_SIV_CMAC_512", []string{"- server: a", "auth: nts", "nts_port: 4461",
		"trusted_certificates: [/etc/ca.pem]", "aeads: [AES-SIV-CMAC-512]"}, nil, ""},
	{"ca for all", "nts ca /etc/ca.pem\nserver a nts", []string{"trusted_certificates: [/etc/ca.pem]"}, nil, ""},
	{"noval", "server a nts noval", []string{"auth: nts"}, nil, "nts-noval"},
	{"bias", "server a bias 0.001", []string{"offset: 0.001"}, nil, ""},
	{"peer", "peer a", []string{"- server: a"}, []string{"mode: peer"}, ""},
	{"refclock", "refclock shm unit 1 refid GPS time1 0.1 minpoll 4 prefer",
		[]string{"driver: shm", "unit: 1", "refid: GPS", "offset: 0.1", "poll: 4", "prefer: true"}, nil, ""},
	{"pps device", "refclock pps ppspath /dev/gpspps0 prefer\nserver a prefer", []string{"device: /dev/gpspps0", "prefer: true"}, nil, ""},
	{"generic", "refclock generic unit 0\nserver a", nil, []string{"reference_clocks:"}, "refclock"},
}

// TestMapping converts a line and what it needs, and looks at the output and
// the gravest findings.
func TestMapping(t *testing.T) {
	for dialect, list := range map[string][]mapping{"ntp": ntpMappings, "ntpsec": ntpsecMappings, "chrony": chronyMappings} {
		for _, m := range list {
			t.Run(dialect+" "+m.name, func(t *testing.T) {
				conf := m.conf + "\n"
				opt := Options{Dialect: dialect}
				if dialect != "chrony" {
					conf = ntpBase + conf
				}
				if dialect == "ntpsec" {
					opt.DaemonOptions = "-g"
				}
				in := Input{Name: "x.conf", Data: []byte(conf), Files: mappingFiles}
				res := Convert(in, opt)
				checkResult(t, in, res)
				flat := strings.ReplaceAll(string(res.Output), "    ", "")
				settings := withoutComments(flat)
				for _, want := range m.want {
					if !strings.Contains(settings, want) {
						t.Errorf("lacks %q", want)
					}
				}
				for _, not := range m.not {
					if strings.Contains(settings, not) {
						t.Errorf("has %q", not)
					}
				}
				found := codes(res.Report, report.Changed)
				if m.code == "" && len(found) > 0 || m.code != "" && !slices.Contains(found, m.code) {
					t.Errorf("found %q, want %q", found, m.code)
				}
				if t.Failed() {
					t.Log(string(res.Output) + text(t, res.Report))
				}
			})
		}
	}
}

// withoutComments drops what the server does not read.
func withoutComments(yaml string) string {
	var b strings.Builder
	for line := range strings.Lines(yaml) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// association is a source as far as the inputs can say it. A reference clock
// has its unit or device for a server, and its driver for a mode.
type association struct {
	Server, Mode, Auth              string
	Key                             int
	MinPoll, MaxPoll                int
	IBurst, Prefer, NoSelect, Trust bool
}

// associationsOf returns the sources of a configuration.
func associationsOf(c *config.Config) (list []association) {
	if c == nil {
		return nil
	}
	for _, s := range c.Sources {
		list = append(list, association{
			Server: s.Server, Mode: s.Mode, Auth: s.Auth.String(), Key: s.Key, MinPoll: s.MinPoll, MaxPoll: s.MaxPoll,
			IBurst: s.IBurst, Prefer: s.Prefer, NoSelect: s.NoSelect, Trust: s.Trust,
		})
	}
	for _, k := range c.ReferenceClocks {
		a := association{Server: k.Device, Mode: k.Driver, MinPoll: k.Poll, MaxPoll: k.Poll, Prefer: k.Prefer, NoSelect: k.NoSelect,
			Trust: k.Trust}
		if k.Driver == config.DriverSHM {
			a.Server = fmt.Sprint(k.Unit)
		}
		list = append(list, a)
	}
	return list
}

// TestProof changes options of a result, which the comparison must see.
func TestProof(t *testing.T) {
	in := Input{Name: "x.conf", Data: []byte(ntpBase + ntpKeysUse +
		"server a key 5 iburst\nserver b prefer\nserver 127.127.28.0\nbroadcast 192.0.2.255 key 5\ntos orphan 7\n"), Files: mappingFiles}
	res := Convert(in, Options{Dialect: "ntp"})
	read := func() *config.Config {
		c, err := config.Parse("out.yaml", "/", res.Output)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if at := draft.Difference(res.Config, read()); at != "" {
		t.Fatal(at)
	}
	for want, change := range map[string]func(c *config.Config){
		"sources":                  func(c *config.Config) { c.Sources = c.Sources[:1] },
		"reference_clocks":         func(c *config.Config) { c.ReferenceClocks = append(c.ReferenceClocks, c.ReferenceClocks[0]) },
		"sources[0].auth":          func(c *config.Config) { c.Sources[0].Auth = ntp.KindNone },
		"sources[0].key":           func(c *config.Config) { c.Sources[0].Key = 6 },
		"sources[1].minpoll":       func(c *config.Config) { c.Sources[1].MinPoll-- },
		"sources[1].prefer":        func(c *config.Config) { c.Sources[1].Prefer = false },
		"reference_clocks[0].unit": func(c *config.Config) { c.ReferenceClocks[0].Unit = 1 },
		"broadcast":                func(c *config.Config) { c.Broadcast = nil },
		"broadcast[0].key":         func(c *config.Config) { c.Broadcast[0].Key = 1 },
		"keys.trusted":             func(c *config.Config) { c.Keys.Trusted = append(c.Keys.Trusted, access.AllKeys) },
		"clock.mode":               func(c *config.Config) { c.Clock.Mode = config.ClockLocal },
		"clock.fallback_stratum":   func(c *config.Config) { c.Clock.FallbackStratum = 0 },
		"clock.step.threshold":     func(c *config.Config) { c.Clock.Step.Threshold++ },
		"access.default.query":     func(c *config.Config) { c.Access.Default.Query = !c.Access.Default.Query },
		"rate_limit.limits":        func(c *config.Config) { c.RateLimit.Limits = nil },
		"nts.generate":             func(c *config.Config) { c.NTS.Generate = !c.NTS.Generate },
	} {
		c := read()
		if change(c); draft.Difference(res.Config, c) != want {
			t.Errorf("%s: not seen but %q", want, draft.Difference(res.Config, c))
		}
	}
}
