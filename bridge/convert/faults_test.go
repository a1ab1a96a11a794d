package convert

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ntsbridge/bridge/config"
)

// fault is an input with which something went wrong once.
type fault struct {
	name, dialect, conf string
	format              string // of a client; empty: ours
	has, hasNot         []string
}

var faults = []fault{
	{"chrony's settings", "chrony", "server a\nmakestep 0.1 -1\nmaxchange 50 2 5\nminsources 2\nmaxslewrate 500\nmaxdistance 1\nleapsectz right/UTC",
		"chrony", []string{"\nmakestep 0.1 -1\n", "\nmaxchange 50 2 5\n", "\nminsources 2\n", "\nmaxslewrate 500\n", "\nmaxdistance 1\n",
			"\nleapsectz right/UTC\n"}, []string{"maxchange 1000", "makestep 1 3"}},
	{"chrony's settings in ntpsec", "chrony", "server a\nmakestep 0.1 -1\nmaxchange 50 2 5\nminsources 2\nmaxdistance 1\nmaxslewrate 500",
		"ntpsec", []string{"\ntinker step 0.1\n", "\ntinker panic 50\n", "minsane 2", "maxdist 1\n"}, []string{"panic 1000"}},
	{"chrony's settings in ntpd-rs", "chrony", "server a\nmakestep 0.1 -1\nmaxchange 50 2 5\nminsources 2", "ntpd-rs",
		[]string{"\nstep-threshold = 0.1\n", "\nsingle-step-panic-threshold = 50\n", "\nminimum-agreeing-sources = 2\n"}, nil},
	{"nothing of chrony's is ntpd's", "chrony", "server a", "chrony", []string{"\nserver gw1"}, []string{"makestep", "maxchange"}},
	{"no step is none", "chrony", "server a", "ntpsec", []string{"\ntinker step 0\n", "\ntinker panic 0\n"}, nil},
	{"no panic is none", "chrony", "server a", "ntpd-rs", []string{`single-step-panic-threshold = "inf"`}, nil},
	{"initstepslew", "chrony", "server a\ninitstepslew 30 b c", "chrony", []string{"\nmakestep 30 1\n"}, nil},
	{"initstepslew in ntpsec", "chrony", "server a\ninitstepslew 30 b c", "ntpsec", []string{"\ntinker step 30\n"}, nil},
	{"chrony's clocks", "chrony", "server a\nrefclock PPS /dev/pps0:clear lock NMEA refid PPS\nrefclock SHM 0 offset 0.5 delay 0.2 refid NMEA noselect",
		"chrony", []string{"\nrefclock PPS /dev/pps0:clear lock NMEA refid PPS\n", "\nrefclock SHM 0 offset 0.5 delay 0.2 refid NMEA noselect\n"}, nil},
	{"chrony's clocks in ntpsec", "chrony", "server a\nrefclock PPS /dev/pps0:clear lock NMEA refid PPS\nrefclock SHM 0 offset 0.5 delay 0.2 refid NMEA noselect",
		"ntpsec", []string{"\nrefclock pps unit 0 minpoll 4 refid PPS flag2 1\n", "\nrefclock shm unit 0 minpoll 4 time1 0.5 refid NMEA noselect\n"}, nil},
	{"clock words in chrony", "ntp", "server a\nserver 127.127.22.1 minpoll 4 maxpoll 4 true prefer\nfudge 127.127.22.1 flag2 1 stratum 3 time1 0.2 refid ABC",
		"chrony", []string{"\nrefclock PPS /dev/pps1:clear poll 4 offset 0.2 refid ABC stratum 3 prefer trust\n"}, nil},
	{"clock words in ntpsec", "ntp", "server a\nserver 127.127.20.1 mode 17 minpoll 4 maxpoll 5 true\nfudge 127.127.20.1 flag1 1 flag2 1 stratum 3 time1 0.2 time2 0.4 refid ABC",
		"ntpsec", []string{"\nrefclock nmea unit 1 minpoll 4 maxpoll 5 time1 0.2 time2 0.4 refid ABC stratum 3 flag1 1 flag2 1 mode 17 true\n"}, nil},
	{"gpsd in ntpsec", "ntp", "server a\nserver 127.127.46.0\nfudge 127.127.46.0 time2 0.1", "ntpsec", []string{"\nrefclock shm unit 0 minpoll 6 time1 0.1\n"},
		[]string{"refclock gpsd"}},
	{"NMEA and SHM of one unit", "ntp", "server a\nserver 127.127.28.0\nserver 127.127.20.0", "chrony", []string{"\nrefclock SHM 0 "},
		[]string{"\nrefclock SHM 0 poll 6\n\n# x.conf:5"}},
	{"the same here", "ntp", "server a\nserver 127.127.28.0\nserver 127.127.20.0", "", []string{"driver: shm"}, []string{"unit: 0 #2"}},
	{"SHM twice in chrony's", "chrony", "allow\nserver a\nrefclock SHM 0 refid A\nrefclock SHM 0 refid B", "", []string{"refid: A"}, []string{"refid: B"}},
	{"noselect", "ntp", "server a noselect\nserver b noselect", "chrony", []string{" nts noselect\n"}, []string{"prefer"}},
	{"noselect in ntpd-rs", "ntp", "server a noselect", "ntpd-rs", nil, nil},
	{"brackets of ntpsec", "ntpsec", "server [fd95::1]:4461 nts", "", []string{`server: "fd95::1"`, "nts_port: 4461"}, []string{"["}},
	{"brackets without a port", "ntpsec", "server [fd95::1] nts", "", []string{`server: "fd95::1"`}, []string{"nts_port", "["}},
	{"chrony's kod", "chrony", "server 198.51.100.1 iburst\nallow 192.0.2.0/24\nratelimit interval 2 burst 8 kod 1", "",
		[]string{"rate: limited-kod", "interval: 4s", "burst: 8", "kiss: true"}, nil},
	{"itself", "ntp", "server 127.0.0.1\nserver ::1\nserver localhost\nserver a", "", []string{"- server: a"}, []string{"server: 127.0.0.1", "::1", "localhost"}},
	{"a name that is none", "ntp", "server a;b\nserver http://x\nserver a", "", []string{"- server: a\n"}, []string{"server: a;b", "http"}},
	{"a name that is none in chrony", "chrony", "allow\nserver a:123\nserver b", "", []string{"- server: b\n"}, []string{"a:123"}},
	{"logs in chrony", "ntp", "server a\nstatsdir /var/log/ntpstats\nstatistics loopstats peerstats\nfilegen rawstats enable", "chrony",
		[]string{"\nlogdir /var/log/ntpstats\n", "\nlog tracking statistics rawmeasurements\n"}, nil},
	{"statistics in ntpsec", "ntp", "server a\nstatsdir /s/\nstatistics loopstats timingstats\nfilegen loopstats file l type week link enable", "ntpsec",
		[]string{"\nstatsdir /s/\n", "\nstatistics loopstats\n", "\nfilegen loopstats file l type week link enable\n"}, nil},
	{"chrony's deny of a name for a client", "chrony", "server a\nallow\ndeny some.example.org", "chrony",
		[]string{"\nallow\n", "\ndeny some.example.org\n"}, []string{"\nport 0\n"}},
	{"chronyc's access", "chrony", "allow\nserver a\ncmdallow 10.0.0.0/8\nbindcmdaddress 10.9.0.1\nbindcmdaddress /run/x.sock\ncmdport 1323", "",
		[]string{`listen: ["10.9.0.1:1323", "[::1]:1323"]`, `allow: ["127.0.0.0/8", "::1", "10.0.0.0/8"]`, "socket: /run/x.sock"}, nil},
	{"chronyc's access denied", "chrony", "allow\nserver a\ncmdallow 10.0.0.0/8\ncmddeny 10.0.0.0/8\ncmddeny 192.0.2.1", "",
		[]string{`allow: ["127.0.0.0/8", "::1"]`}, nil},
	{"no port for chronyc", "chrony", "allow\nserver a\ncmdport 0\nbindcmdaddress /", "", []string{`socket: "none"`}, []string{"chronyc:\n  listen"}},
	{"a server that becomes a client serves", "ntp", "restrict 10.0.0.0 mask 255.0.0.0 noquery limited kod\nrestrict 10.9.0.0 mask 255.255.0.0 ignore\nserver a",
		"chrony", []string{"\nallow 0.0.0.0/0\nallow ::/0\nallow 10.0.0.0/8\ndeny 10.9.0.0/16\nratelimit\n"}, []string{"\nport 0\n"}},
	{"the same in ntpsec", "ntp", "restrict 10.0.0.0 mask 255.0.0.0 noquery limited kod\nrestrict 10.9.0.0 mask 255.255.0.0 ignore\nserver a",
		"ntpsec", []string{"\nrestrict default nomodify noquery\n", "\nrestrict 10.0.0.0 mask 255.0.0.0 kod limited nomodify noquery\n",
			"\nrestrict 10.9.0.0 mask 255.255.0.0 ignore\n"}, []string{"restrict default ignore"}},
	{"the same in ntpd-rs", "ntp", "restrict 10.0.0.0 mask 255.0.0.0 noquery limited kod\nrestrict 10.9.0.0 mask 255.255.0.0 ignore\nserver a",
		"ntpd-rs", []string{"\n[[server]]\nlisten = \"0.0.0.0:123\"\ndenylist = { filter = [\"10.9.0.0/16\"], action = \"ignore\" }\n"}, nil},
	{"who needs authentication is not served without", "ntp", "restrict 10.0.0.0 mask 255.0.0.0 noquery notrust\nserver a", "chrony",
		[]string{"\ndeny 10.0.0.0/8\n"}, []string{"\nport 0\n"}},
	{"chronyd goes on serving", "chrony", "server a\nallow 10.0.0.0/8\nlocal stratum 8\nport 1123", "chrony",
		[]string{"\nallow 10.0.0.0/8\n", "\nlocal stratum 8\n", "\nport 1123\n"}, []string{"\nport 0\n"}},
	{"an entry for a source is no sign of clients", "ntp", "restrict 192.0.2.5 noquery\nserver 192.0.2.5", "chrony", []string{"\nport 0\n"}, []string{"allow"}},
	{"an open default is none either", "ntp", "server a", "chrony", []string{"\nport 0\n"}, []string{"allow"}},
	{"its clients' keys", "ntp", "restrict 10.0.0.0 mask 255.0.0.0 noquery\nkeys /etc/ntp.keys\ntrustedkey 5\nserver a", "chrony",
		[]string{"\nkeyfile /k\n", " nts\n"}, nil},
	{"two words of tos", "ntp", "server a\ntos minsane 2\ntos minsane 3 minsane 4", "", []string{"min_sources: 4"}, []string{"min_sources: 2"}},
}

// TestFaults has inputs with which the converter was wrong once, and what it
// writes now.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			conf := f.conf + "\n"
			if f.dialect == "ntp" {
				conf = ntpBase + conf
			}
			opt := Options{Dialect: f.dialect}
			if f.format != "" {
				opt.Client = &ClientOptions{Format: f.format, Gateways: []string{"gw1", "gw2"}, KeyFile: "/k"}
			}
			res := Convert(Input{Name: "x.conf", Data: []byte(conf), Files: mappingFiles}, opt)
			if res.Output == nil {
				t.Fatalf("nothing is written\n%s", text(t, res.Report))
			}
			output := "\n" + withoutComments(string(res.Output))
			for _, has := range f.has {
				if !strings.Contains(output, has) {
					t.Errorf("lacks %q", has)
				}
			}
			for _, not := range f.hasNot {
				if strings.Contains(output, not) {
					t.Errorf("has %q", not)
				}
			}
			if t.Failed() {
				t.Log(string(res.Output))
			}
		})
	}
}

// TestQuestions has inputs that lose security, or would switch something on that
// was off, and are asked about.
func TestQuestions(t *testing.T) {
	for _, c := range []struct{ name, dialect, conf, code string }{
		{"smear", "ntp", "server a\nleapsmearinterval 3600", "leap-smear"},
		{"authenticate", "ntp", "authenticate yes\nserver a", "lost-authentication"},
		{"duplicate", "ntp", "keys /etc/ntp.keys\ntrustedkey 5\nserver a\nserver a key 5", "lost-authentication"},
		{"interface on both", "ntp", "interface listen 10.9.0.1\nserver a", "interface"},
	} {
		in := Input{Name: "x.conf", Data: []byte(ntpBase + c.conf + "\n"), Files: mappingFiles}
		opt := Options{Dialect: c.dialect}
		if c.code == "interface" {
			opt.DaemonOptions = "-I eth0"
		}
		if res := Convert(in, opt); res.Output != nil || !slices.Contains(questionCodes(res.Report), c.code) {
			t.Errorf("%s: written %v, questions %v", c.name, res.Output != nil, questionCodes(res.Report))
		}
	}
}

// TestStartedWith has what ntpd's command line says about addresses.
func TestStartedWith(t *testing.T) {
	for options, want := range map[string]string{
		"-g -I eth0": "127.0.0.1:123 [::1]:123 eth0:123", "-g -I eth0 -I 192.0.2.1": "127.0.0.1:123 192.0.2.1:123 [::1]:123 eth0:123",
		"-4": "0.0.0.0:123", "-6 -g": "[::]:123", "--interface=eth0": "127.0.0.1:123 [::1]:123 eth0:123", "-g": "",
	} {
		res := Convert(Input{Name: "x.conf", Data: []byte(ntpBase + "server a\n"), Files: fstest.MapFS{}},
			Options{Dialect: "ntp", DaemonOptions: options})
		if res.Config == nil {
			t.Errorf("%s: %v", options, res.Report.Questions)
			continue
		}
		if got := listens(res.Config); got != want {
			t.Errorf("%s: listens on %q, want %q", options, got, want)
		}
	}
}

func listens(c *config.Config) string {
	var list []string
	for _, l := range c.Server.Listen {
		list = append(list, l.String())
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}
