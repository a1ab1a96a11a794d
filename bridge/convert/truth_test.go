package convert

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ntsbridge/bridge/convert/report"
)

// TestSentences are inputs of which something was said that the options written
// for them contradict: what the report and the output have, and have not.
func TestSentences(t *testing.T) {
	for _, c := range []struct {
		name, dialect, conf string
		has, hasNot         []string
	}{
		{"statistics that are off", "ntp", ntpBase + follow1 + "statsdir /s/\nstatistics loopstats\ndisable stats\n",
			[]string{"ntpd wrote none of these files"}, []string{"statistics:", "kept         statistics"}},
		{"statistics that are on", "ntp", ntpBase + follow1 + "statsdir /s/\nstatistics clockstats\nserver 127.127.28.0\nfudge 127.127.28.0 flag4 1\n",
			[]string{"statistics:"}, []string{"no statistics files"}},
		{"orphan beside the local clock", "ntp", ntpBase + follow1 + "tos orphan 6\nserver 127.127.1.0\nfudge 127.127.1.0 stratum 10\n",
			[]string{"served at stratum 11", "fallback_stratum: 11"}, []string{"at stratum 6"}},
		{"orphan alone", "ntp", ntpBase + follow1 + "tos orphan 6\n", []string{"served at stratum 6", "fallback_stratum: 6"}, nil},
		{"size of the list", "ntp", ntpBase + follow1 + "restrict 10.0.0.0 mask 255.0.0.0 limited\nmru maxdepth 90000\n",
			[]string{"room for 90000 addresses", "clients: 90000"}, nil},
		{"who may begin an association", "ntp",
			"restrict default ignore\nrestrict 10.0.0.0 mask 255.0.0.0\nkeys /etc/ntp.keys\ntrustedkey 5\n" + follow1,
			[]string{"let every host with a trusted key begin"}, nil},
		{"who may not", "ntp", "restrict default ignore\nrestrict 127.0.0.1\nkeys /etc/ntp.keys\ntrustedkey 5\n" + follow1,
			nil, []string{"let every host with a trusted key begin"}},

		{"a network cut off", "chrony", "local stratum 8 orphan\nallow 10/8\nrtcsync\nhwtimestamp *\n",
			[]string{"mode: local", "clock.mode: local serves the system clock at stratum 8", "there is no source: nobody vouches",
				"the kernel does not set the hardware clock", "clients are answered with the network card's timestamps",
				"hardware_timestamps: [\"*\"]"},
			[]string{"without a source", "while the clock is synchronised", "sources are measured"}},
		{"a network set by hand", "chrony", "local stratum 8\nallow 10/8\nmanual\nrtcsync\n",
			[]string{"mode: discipline", "settime (ntsbridge's and chronyc's) sets the clock", "while the clock is synchronised"},
			[]string{"mode: local"}},
		{"a network that follows", "chrony", "server a\nlocal stratum 8 orphan\nallow 10/8\nmanual\nrtcsync\nhwtimestamp *\n",
			[]string{"mode: discipline", "without a source, time that nobody vouches for is served at stratum 8",
				"while the clock is synchronised", "hardware_timestamps: true", "sources are measured"},
			[]string{"there is no source", "mode: local"}},
		{"a value beyond its range", "chrony", "server a\nsmoothtime 50000 0.01\n",
			[]string{"the rate is put to 2000: here it may be from 0 to 2000", "max_rate_ppm: 2000"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := Convert(Input{Name: "x.conf", Data: []byte(c.conf), Files: mappingFiles}, Options{Dialect: c.dialect})
			said := text(t, res.Report) + string(res.Output)
			for _, want := range c.has {
				if !strings.Contains(said, want) {
					t.Errorf("lacks %q:\n%s", want, said)
				}
			}
			for _, not := range c.hasNot {
				if strings.Contains(said, not) {
					t.Errorf("has %q:\n%s", not, said)
				}
			}
		})
	}
}

// TestKeyZero: chronyd does not start with it, and it is no source without
// authentication either; ntpd takes it for no key, which is asked about.
func TestKeyZero(t *testing.T) {
	for _, key := range []string{"0", "4294967296"} {
		res := Convert(Input{Name: "chrony.conf", Data: []byte("server a\nserver b key " + key + "\n")}, Options{Dialect: "chrony"})
		found := codes(res.Report, report.Error)
		if s := res.Config.Sources; len(s) != 1 || s[0].Server != "a" || !slices.Contains(found, "chrony-option") {
			t.Errorf("key %s:\n%s", key, res.Output)
		}
	}
	in := Input{Name: "ntp.conf", Data: []byte(ntpBase + "server a key 0\n")}
	res := Convert(in, Options{Dialect: "ntp"})
	if !slices.Contains(questionCodes(res.Report), "lost-authentication") || res.Output != nil {
		t.Errorf("%v\n%s", res.Report.Questions, res.Output)
	}
	if res := Convert(in, Options{Dialect: "ntp", Decide: running}); len(res.Config.Sources) != 1 {
		t.Errorf("%s", res.Output)
	}
}

// TestChronyNumbers: a number that another one follows has to end where it
// ends, for chronyd to start.
func TestChronyNumbers(t *testing.T) {
	for line, starts := range map[string]bool{"maxchange 1 2.5 1": false, "maxchange 1 2 1.5": true, "makestep 1x 3": false,
		"makestep 1 3x": true, "fallbackdrift 16.5 19": false, "refclock SHM 0 stratum 16": false, "refclock SHM 0 stratum 15": true,
		"dscp 46.5": true} {
		res := Convert(Input{Name: "chrony.conf", Data: []byte("server a\n" + line + "\n")}, Options{Dialect: "chrony"})
		if got := len(codes(res.Report, report.Error)) == 0; got != starts {
			t.Errorf("%s: chronyd starts: %v, said: %v", line, starts, got)
		}
	}
}

// TestFamilies: lines for one name and the two families are two associations
// of ntpd's (4.2.8p15, as it runs); an address of the other family is none.
func TestFamilies(t *testing.T) {
	for _, c := range []struct{ conf, want, code string }{
		{"server -4 a.example.org\nserver -6 a.example.org\n", "a.example.org/ipv4 a.example.org/ipv6", ""},
		{"server -4 a.example.org\nserver -4 a.example.org\n", "a.example.org/ipv4", "duplicate-source"},
		{"server a.example.org\nserver -6 a.example.org\n", "a.example.org/any", "duplicate-source"},
		{"server -6 a.example.org\nserver a.example.org\n", "a.example.org/ipv6", "duplicate-source"},
		{"server -6 10.0.0.1\nserver b.example.org\n", "b.example.org/any", "dead-source"},
		{"server -4 2001:db8::1\nserver b.example.org\n", "b.example.org/any", "dead-source"},
		{"server -4 10.0.0.1\nserver -6 2001:db8::1\n", "10.0.0.1/ipv4 2001:db8::1/ipv6", ""},
	} {
		res := Convert(Input{Name: "ntp.conf", Data: []byte(ntpBase + c.conf)}, Options{Dialect: "ntp"})
		var got []string
		for _, s := range res.Config.Sources {
			got = append(got, s.Server+"/"+s.Family)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: %v, want %s", c.conf, got, c.want)
		}
		if found := codes(res.Report, report.Folded); c.code != "" && !slices.Contains(found, c.code) {
			t.Errorf("%q: %v, want %s", c.conf, found, c.code)
		}
		open := strings.Contains(c.conf, "server a.example.org\n") // of which family is not said
		if strings.Contains(text(t, res.Report), "one of the two no family") != open {
			t.Errorf("%q: what is refused depends on the first address: %v\n%s", c.conf, open, text(t, res.Report))
		}
	}
}

// TestPathsOfWindows are no places here, and what has none is not written.
func TestPathsOfWindows(t *testing.T) {
	for _, line := range []string{`statsdir "C:\NTP\stats\"` + "\nstatistics loopstats", `driftfile C:\NTP\drift`, `driftfile "C:\Program Files\NTP\drift"`,
		`leapfile "C:\NTP\leap.list"`, `keys C:\NTP\keys`, `keysdir C:\NTP` + "\ncrypto"} {
		res := Convert(Input{Name: "ntp.conf", Data: []byte(ntpBase + follow1 + line + "\n")}, Options{Dialect: "ntp", Decide: running,
			PasswordFile: "/pw"})
		if strings.Contains(withoutComments(string(res.Output)), `NTP`) {
			t.Errorf("%s:\n%s", line, res.Output)
		}
		said := text(t, res.Report)
		if !slices.Contains(codes(res.Report, report.Error), "file-name") || strings.Contains(said, "report it, with the line") {
			t.Errorf("%s: %v\n%s", line, codes(res.Report, report.Comment), said)
		}
	}
}

// TestControlKey: the key that ntpd wants for ifstats and reslist goes on being
// the one that ntpq gives, if ntpd could use it.
func TestControlKey(t *testing.T) {
	for conf, want := range map[string]int{
		"keys /etc/ntp.keys\ntrustedkey 5\ncontrolkey 5\n": 5,
		"keys /etc/ntp.keys\ntrustedkey 5\ncontrolkey 7\n": 0, // not trusted
		"keys /etc/ntp.keys\ntrustedkey 5\ncontrolkey 0\n": 0,
		"controlkey 5\n": 0, // no keys
		"keys /etc/ntp.keys\ntrustedkey 5\ncontrolkey 7\ncontrolkey 5\n": 5,
	} {
		res := Convert(Input{Name: "ntp.conf", Data: []byte(ntpBase + conf), Files: fieldFiles}, Options{Dialect: "ntp"})
		if res.Config.Keys.Control != want {
			t.Errorf("%q: keys.control %d, want %d", conf, res.Config.Keys.Control, want)
		}
		said := text(t, res.Report)
		if strings.Contains(said, "asks for ifstats") != (want != 0) || !strings.Contains(said, "are not offered") {
			t.Errorf("%q: %s", conf, said)
		}
	}
}

// TestOrderOfNotes: a line of which several words are changed is told in one
// order.
func TestOrderOfNotes(t *testing.T) {
	for _, line := range []string{"allow\nratelimit interval -99 burst 9999 leak 9999\nserver a", "peer a iburst burst",
		"pool a minstratum 99 presend 99 maxsources 99"} {
		var first string
		for i := range 30 {
			said := text(t, Convert(Input{Name: "c.conf", Data: []byte(line + "\n")}, Options{Dialect: "chrony"}).Report)
			if i == 0 {
				first = said
			} else if said != first {
				t.Errorf("%q is told differently:\n%s\n%s", line, first, said)
				break
			}
		}
	}
}

// TestLeftOutBecomesNothing: of a source that is left out nothing is said that
// holds for sources that are written.
func TestLeftOutBecomesNothing(t *testing.T) {
	conf := ntpBase + "keys /etc/ntp.keys\ntrustedkey 5\npeer 10.0.0.9 true burst\nserver 10.0.0.9 key 5\n"
	res := Convert(Input{Name: "ntp.conf", Data: []byte(conf), Files: fieldFiles}, Options{Dialect: "ntp", Decide: running})
	said := text(t, res.Report)
	for _, wrong := range []string{"becomes a plain source", "true switches", "burst means nothing"} {
		if strings.Contains(said, wrong) {
			t.Errorf("%q is said of a line that is left out:\n%s", wrong, said)
		}
	}
	if !strings.Contains(said, "asks it with authentication") {
		t.Errorf("the reason is missing:\n%s", said)
	}
}

// TestSourceOfUnknownAddress: where it depends on a name's addresses whether ntpd
// had time of it, the line is not called kept, until they are told.
func TestSourceOfUnknownAddress(t *testing.T) {
	const lan = "restrict 10.0.0.0 mask 255.0.0.0 nomodify\n"
	told := map[string][]netip.Addr{"s.example.org": {netip.MustParseAddr("10.1.1.1")}}
	for _, c := range []struct {
		conf string
		says bool
	}{
		{"pool s.example.org\nrestrict default nopeer nomodify\n" + lan, true},
		{"server s.example.org\nrestrict default ignore\n" + lan, true},
		{"server s.example.org\nrestrict default notrust\n" + lan, true},
		{"server s.example.org\nrestrict default nopeer\n" + lan, false},
		{"server s.example.org\nrestrict default ignore\nrestrict source nomodify\n" + lan, false},
	} {
		in := Input{Name: "ntp.conf", Data: []byte(c.conf), Files: fieldFiles}
		said := text(t, Convert(in, Options{Dialect: "ntp", Decide: running}).Report)
		if got := strings.Contains(said, "if no restrict line but the default is for its addresses"); got != c.says {
			t.Errorf("%q: said: %v, want %v\n%s", c.conf, got, c.says, said)
		}
		if c.says && regexp.MustCompile(`(?m)^ +ntp.conf:1: kept`).MatchString(said) {
			t.Errorf("%q: the line is called kept:\n%s", c.conf, said)
		}
		said = text(t, Convert(in, Options{Dialect: "ntp", Decide: running, Addresses: told}).Report)
		if strings.Contains(said, "never had time") {
			t.Errorf("%q: with its address under the other line it is a source:\n%s", c.conf, said)
		}
	}
}

// TestOddNumbers: addresses that the C library reads otherwise than they look are
// the ones that it reads, and that is said. Verdicts are the real ntpd's.
func TestOddNumbers(t *testing.T) {
	for line, want := range map[string]string{
		"server 10.1":                                 `- server: "10.0.0.1"`,
		"server 0x0a000002":                           `- server: "10.0.0.2"`,
		"server 3232235777":                           `- server: "192.168.1.1"`,
		"pool 192.168.001.010":                        `- server: "192.168.1.8"`,
		"restrict 192.168.002.010 noserve":            `- prefixes: ["192.168.2.8"]`,
		"restrict 10.020.0.0 mask 255.255.0.0 ignore": `- prefixes: ["10.16.0.0/16"]`,
		"server 192.168.5.08":                         "never had time",
		"server 10.256.1.1":                           "never had time",
		"server 1.2.3.4.5":                            "never had time",
	} {
		in := Input{Name: "ntp.conf", Data: []byte(ntpBase + line + "\n"), Files: fieldFiles}
		res := Convert(in, Options{Dialect: "ntp"})
		said := text(t, res.Report)
		if strings.Contains(want, "never") {
			if !strings.Contains(said, want) {
				t.Errorf("%s: wanted %q:\n%s", line, want, said)
			}
			continue
		}
		if !strings.Contains(string(res.Output), want) || !strings.Contains(said, "makes it octal") {
			t.Errorf("%s: wanted %s:\n%s\n%s", line, want, res.Output, said)
		}
	}
}

// The same of chronyd 4.3, by its sources and accheck.
func TestOddNumbersOfChronyd(t *testing.T) {
	for line, want := range map[string]string{
		"server 192.168.001.010": "- server: 192.168.1.8",
		"server 10.1":            "- server: 10.0.0.1",
		"pool 3232235777":        "- server: 192.168.1.1",
		"allow 192.168.002.010":  `- prefixes: ["192.168.2.8"]`,
		"allow 10.020":           `- prefixes: ["10.20.0.0/16"]`,
		"allow 0x0a000003":       `- prefixes: ["10.0.0.3"]`,
		"allow 10.1":             `- prefixes: ["10.1.0.0/16"]`,
		"allow 010/8":            `- prefixes: ["10.0.0.0/8"]`,
		"allow 0":                `action: allow`,
	} {
		res := Convert(Input{Name: "chrony.conf", Data: []byte("server b\n" + line + "\n")}, Options{Dialect: "chrony"})
		if got := strings.ReplaceAll(string(res.Output), `server: "`, "server: "); !strings.Contains(got, want) {
			t.Errorf("%s: wanted %s:\n%s\n%s", line, want, res.Output, text(t, res.Report))
		}
	}
}

// TestKeysOfAClient: a client has no server that could read the keys later.
func TestKeysOfAClient(t *testing.T) {
	in := Input{Name: "ntp.conf", Data: []byte("keys /etc/ntp.keys\ntrustedkey 3\nserver s.example.org key 3\n")}
	for _, format := range ClientFormats {
		opt := Options{Dialect: "ntp", Decide: running, Client: &ClientOptions{Format: format, Gateways: []string{"gw"}, Mixed: true}}
		if said := text(t, Convert(in, opt).Report); !strings.Contains(said, "none can be kept for the gateway") ||
			strings.Contains(said, "before the server reads it") {
			t.Errorf("%s:\n%s", format, said)
		}
	}
}

// TestWhyChronydServesNobody: the reason is the file's.
func TestWhyChronydServesNobody(t *testing.T) {
	for conf, want := range map[string]string{
		"server a\n":                  "nobody without allow",
		"server a\ndeny 10.0.0.0/8\n": "nobody without allow",
		"server a\nallow\nport 0\n":   "nobody with port 0",
		"server a\nport 0\n":          "nobody with port 0",
	} {
		res := Convert(Input{Name: "chrony.conf", Data: []byte(conf)}, Options{Dialect: "chrony"})
		said := text(t, res.Report)
		if strings.Count(said, "serves nobody with") != 1 || !strings.Contains(said, want) {
			t.Errorf("%q: wanted %q:\n%s", conf, want, said)
		}
	}
}

// TestInterfacesLeaveNoSource: rules about interfaces that leave only addresses
// of loopback leave ntpd none to ask from.
func TestInterfacesLeaveNoSource(t *testing.T) {
	for _, c := range []struct {
		line, options string
		dead          bool
	}{
		{"server s.example.org\ninterface listen lo\n", "", true},
		{"server s.example.org\ninterface ignore wildcard\n", "", true},
		{"server s.example.org\ninterface drop eth0\n", "", true},
		{"pool s.example.org\ninterface listen 127.0.0.1\n", "", true},
		{"server s.example.org\n", "-I lo", true},
		{"server 192.0.2.1\ninterface listen fd09::1\n", "", true},
		{"server -6 s.example.org\ninterface listen 10.9.0.1\n", "", true},
		{"server s.example.org\ninterface listen fd09::1\n", "", false},
		{"server 192.0.2.1\ninterface listen 10.9.0.0/24\n", "", false},
		{"server s.example.org\ninterface listen eth0\n", "", false},
		{"server s.example.org\n", "-I eth0", false},
		{"server s.example.org\n", "-4", false},
		{"server 127.127.28.0\ninterface listen lo\n", "", false},
	} {
		res := Convert(Input{Name: "ntp.conf", Data: []byte(ntpBase + c.line), Files: fieldFiles},
			Options{Dialect: "ntp", Decide: running, DaemonOptions: c.options})
		said := text(t, res.Report)
		if got := strings.Contains(said, "no address to ask from"); got != c.dead {
			t.Errorf("%q %s: said to be dead: %v, want %v\n%s", c.line, c.options, got, c.dead, said)
		}
	}
}

// TestRestrictedByName: what a restriction of a source's own name says holds for
// what the source sends, whatever its address is.
func TestRestrictedByName(t *testing.T) {
	for line, dead := range map[string]bool{
		"server s.example.org\nrestrict s.example.org ignore\n":                         true,
		"server s.example.org\nrestrict S.example.org noserve\n":                        true,
		"server s.example.org\nrestrict s.example.org notrust\n":                        true,
		"server s.example.org key 5\nrestrict s.example.org notrust\n":                  false,
		"server s.example.org\nrestrict s.example.org nomodify\n":                       false,
		"server s.example.org\nrestrict other.example.org ignore\n":                     false,
		"server s.example.org\nrestrict source ignore\nrestrict s.example.org nopeer\n": false,
	} {
		conf := ntpBase + "keys /etc/ntp.keys\ntrustedkey 5\n" + line
		res := Convert(Input{Name: "ntp.conf", Data: []byte(conf), Files: fieldFiles}, Options{Dialect: "ntp", Decide: running})
		said := text(t, res.Report)
		if got := strings.Contains(said, "its own restrictions"); got != dead {
			t.Errorf("%q: said to be dead: %v, want %v\n%s", line, got, dead, said)
		}
	}
}
