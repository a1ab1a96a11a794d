package convert

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ntsbridge/bridge/convert/chronyd"
	"ntsbridge/bridge/convert/report"
)

// chronyDocumented are the directives that chrony.conf(5) of 4.6 to 4.9 names,
// with arguments that chronyd takes, and those that it still reads and does
// not name any more.
const chronyDocumented = `server a.example.org
pool p.example.org
peer b.example.org
initstepslew 30 a.example.org
refclock PPS /dev/pps0
manual
acquisitionport 1123
bindacqaddress 192.0.2.1
bindacqdevice eth0
dscp 46
dumpdir /d
maxsamples 10
minsamples 6
ntsaeads 30 15
ntsdumpdir /d
ntsrefresh 1000
ntstrustedcerts /d
nosystemcert
nocerttimecheck 1
refresh 1000
authselectmode mix
combinelimit 3
maxdistance 3
maxjitter 1
maxstratum 5
minstratum 1
minsources 1
reselectdist 0.1
stratumweight 0.1
clockprecision 1e-9
corrtimeratio 3
driftfile /d interval 60
fallbackdrift 16 19
leapsecmode slew
leapsectz right/UTC
leapseclist /l
makestep 1 3
maxchange 1000 1 2
maxclockerror 1
maxdrift 500
maxupdateskew 100
maxslewrate 500
tempcomp /t 30 26000 0.0 0.000183 0.0
allow all 10.0.0.0/8
deny 10.1.0.0/16
bindaddress 192.0.2.1
binddevice eth0
broadcast 60 192.0.2.255
clientloglimit 100000
noclientlog
local stratum 10
ntpsigndsocket /d
ntsport 4460
ntsservercert /c
ntsserverkey /k
ntsprocesses 1
maxntsconnections 100
ntsntpserver a.example.org
ntsrotate 1000
port 123
ratelimit interval 1 burst 16 leak 2 kod 2
ntsratelimit interval 1
smoothtime 400 0.01 leaponly
bindcmdaddress 127.0.0.1
bindcmddevice lo
cmdallow 192.0.2.1
cmddeny 192.0.2.2
cmdport 323
cmdratelimit interval 1
opencommands clients
hwclockfile /h
rtcautotrim 30
rtcdevice /dev/rtc
rtcfile /r
rtconutc
rtcsync
log measurements statistics tracking
logbanner 32
logchange 0.5
logdir /l
mailonchange root@localhost 0.5
confdir /c
sourcedir /s
include /i
hwtimestamp eth0
hwtstimeout 0.001
maxtxbuffers 10
keyfile /k
lock_all
pidfile /p
ptpport 319
ptpdomain 123
sched_priority 1
user _chrony
commandkey 1
generatecommandkey
linux_hz 100
linux_freq_scale 0.99
dumponexit
ntscachedir /d
`

// TestChronyDirectives wants a word about every directive: none is unknown,
// and none is lost.
func TestChronyDirectives(t *testing.T) {
	for line := range strings.Lines(chronyDocumented) {
		in := Input{Name: "chrony.conf", Data: []byte(line), Files: fstest.MapFS{}}
		res := Convert(in, Options{Dialect: "chrony"})
		checkResult(t, in, res)
		r := res.Report.Lines[0]
		if r.Class == report.Comment || r.Class == report.Kept && len(r.Became) == 0 && len(r.Findings) == 0 || res.Output == nil {
			t.Errorf("nothing is said of %s", line)
		}
		for _, f := range r.Findings {
			if slices.Contains([]string{"unknown-directive", "chrony-value", "chrony-option"}, f.Code) {
				t.Errorf("%s: %s", line, f.Text)
			}
		}
	}
	for word := range chronyd.ChronyDirectives {
		if !strings.Contains("\n"+chronyDocumented, "\n"+word) {
			t.Errorf("%s is in no list", word)
		}
	}
}

// TestChronyRefused wants what chronyd 4.6.1 says of lines that it does not
// start with (chronyd -p): here they are errors, and make no source and no
// access.
func TestChronyRefused(t *testing.T) {
	for line := range strings.Lines(`server
server a bogus
server a key
server a key x
server a minpoll 3x
server a maxdelay GPS
pool p iburst key 5 kod
refclock
refclock SHM
refclock PPS /dev/pps0 poll
refclock PPS /dev/pps0 refid TOOLONG
refclock TDC 0
makestep 1
makestep 1 3 5
maxchange 1000
dscp
dscp x
allow 10.0.0.0/8 192.0.2.0/24
deny 192.0.2.1 all
driftfile /d 5
ratelimit interval
ratelimit 3
log everything
local stratum
local 10
smoothtime 1
rtcsync 1
keyfile
keyfile a b
minsources many
ntsaeads x
bogus
server a # comment
`) {
		in := Input{Name: "chrony.conf", Data: []byte(line), Files: fstest.MapFS{}}
		res := Convert(in, Options{Dialect: "chrony"})
		checkResult(t, in, res)
		if !res.Report.Has(report.Error) {
			t.Errorf("no error: %s", line)
		}
		if !strings.Contains(line, "#") && (len(associationsOf(res.Config)) > 0 || strings.Contains(string(res.Output), "action: allow")) {
			t.Errorf("%s became\n%s", line, res.Output)
		}
	}
}
