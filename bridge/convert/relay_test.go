package convert

import (
	"strings"
	"testing"
)

// relayConf serves a network, and says how often, and what without a source.
const relayConf = "server a.example.org\nserver 127.127.1.0 prefer\nfudge 127.127.1.0 stratum 9\nrestrict default ignore\n" +
	"restrict 10.0.0.0 mask 255.0.0.0 limited nomodify\ndiscard average 5 minimum 1\ndisable monitor\n"

// TestRelays are the outputs for a client that goes on serving others: what it
// serves without a source, and how often they may ask.
func TestRelays(t *testing.T) {
	for _, c := range []struct {
		name, dialect, conf, format string
		has, hasNot                 []string
	}{
		{"chrony", "ntp", relayConf, "chrony", []string{"local stratum 10\n", "ratelimit interval 5 burst 8\n", "allow 10.0.0.0/8"},
			[]string{"this host answers nobody", "a client does not follow its own clock"}},
		{"ntpsec", "ntp", relayConf, "ntpsec", []string{" orphan 10\n", "limit average 0.03125 burst 8\n"}, []string{"this host answers nobody"}},
		{"ntpd-rs", "ntp", relayConf, "ntpd-rs", []string{"local-stratum = 10\n"}, []string{"this host answers nobody"}},
		{"timesyncd", "ntp", relayConf, "timesyncd", []string{"those who ask it lose their time", "this host answers nobody"},
			[]string{"left at the default of timesyncd"}},
		{"driver's own stratum", "ntp", strings.ReplaceAll(relayConf, "fudge 127.127.1.0 stratum 9\n", ""), "chrony",
			[]string{"local stratum 6\n"}, nil},
		{"never followed", "ntp", strings.ReplaceAll(relayConf, "stratum 9", "stratum 15"), "chrony", nil, []string{"local stratum"}},
		{"not selected", "ntp", strings.ReplaceAll(relayConf, "prefer", "noselect"), "chrony", nil, []string{"local stratum"}},
		{"orphan", "ntp", "server a.example.org\nrestrict default ignore\nrestrict 10.0.0.0 mask 255.0.0.0\ntos orphan 7\n", "chrony",
			[]string{"local stratum 7 orphan\n", "at stratum 7, as before"}, nil},
		{"orphan that is off", "ntp", "server a.example.org\nrestrict default ignore\nrestrict 10.0.0.0 mask 255.0.0.0\ntos orphan 16\n", "chrony",
			nil, []string{"local stratum"}},
		{"local of chronyd", "chrony", "server a\nallow 10/8\nlocal stratum 8 orphan\n", "ntpd-rs", []string{"local-stratum = 8\n"}, nil},
		{"the same of chronyd", "chrony", "server a\nallow 10/8\nlocal stratum 8 orphan\n", "chrony", []string{"local stratum 8 orphan\n"},
			[]string{"without the gateway"}},
		{"one that serves nobody", "ntp", "server a.example.org\nserver 127.127.1.0\nrestrict default noserve\ntos orphan 7\n", "chrony",
			[]string{"port 0\n", "a client does not follow its own clock"}, []string{"local stratum"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := Convert(Input{Name: "x.conf", Data: []byte(c.conf), Files: mappingFiles}, Options{Dialect: c.dialect, Decide: running,
				Client: &ClientOptions{Format: c.format, Gateways: []string{"gw"}}})
			said := withoutComments(string(res.Output)) + text(t, res.Report)
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

// TestClientKey takes a key that ntpd trusts, and no other.
func TestClientKey(t *testing.T) {
	for trusted, want := range map[string]bool{"5": true, "7": false} {
		res := Convert(Input{Name: "x.conf", Data: []byte("keys /etc/ntp.keys\ntrustedkey " + trusted + "\nserver a key 5\n"), Files: fieldFiles},
			Options{Dialect: "ntp", Client: &ClientOptions{Format: "chrony", Gateways: []string{"gw"}, Key: true, KeyFile: "/etc/keys"}})
		if (res.Output != nil) != want || strings.Contains(text(t, res.Report), "no source of this file has a symmetric key") == want {
			t.Errorf("trusted %s:\n%s%s", trusted, res.Output, text(t, res.Report))
		}
	}
}

// TestClientPanic: ntpd's threshold does not hold for the first update.
func TestClientPanic(t *testing.T) {
	for conf, want := range map[string]string{"tinker panic 500\n": "maxchange 500 1 -1\n", "": "maxchange 1000 1 -1\n",
		"tinker panic 0\n": "# No panic threshold: no maxchange.\n"} {
		res := Convert(Input{Name: "x.conf", Data: []byte("server a\n" + conf)},
			Options{Dialect: "ntp", Client: &ClientOptions{Format: "chrony", Gateways: []string{"gw"}}})
		if !strings.Contains(string(res.Output), want) {
			t.Errorf("%q: no %q in\n%s", conf, want, res.Output)
		}
	}
}

// TestClientClock reads what gpsd passes on of a receiver: its pulse, in the next
// unit, if ntpd used it.
func TestClientClock(t *testing.T) {
	for fudge, want := range map[string]string{"": "refclock SHM 0 ", "fudge 127.127.20.0 flag1 1\n": "refclock SHM 1 "} {
		res := Convert(Input{Name: "x.conf", Data: []byte("server a\nserver 127.127.20.0 mode 1\n" + fudge)},
			Options{Dialect: "ntp", Client: &ClientOptions{Format: "chrony", Gateways: []string{"gw"}}})
		if !strings.Contains(string(res.Output), want) {
			t.Errorf("%q: no %q in\n%s", fudge, want, res.Output)
		}
	}
}

// TestWithoutAuthentication: a client loses its authentication by decision only.
func TestWithoutAuthentication(t *testing.T) {
	in := Input{Name: "x.conf", Data: []byte("keys /etc/ntp.keys\ntrustedkey 5\nserver a key 5\n"), Files: fieldFiles}
	opt := Options{Dialect: "ntp", Client: &ClientOptions{Format: "timesyncd", Gateways: []string{"gw"}}}
	if res := Convert(in, opt); res.Output != nil || strings.Join(questionCodes(res.Report), " ") != "lost-authentication" {
		t.Errorf("not asked:\n%s", res.Output)
	}
	opt.Decide = running
	if res := Convert(in, opt); res.Output == nil || len(res.Report.Questions) > 0 {
		t.Errorf("decided, and asked: %v", res.Report.Questions)
	}
}

// TestRelayListens: a host that goes on serving is asked where it was, and
// nowhere else.
func TestRelayListens(t *testing.T) {
	const ntp = "server a.example.org\nrestrict default ignore\nrestrict 10.0.0.0 mask 255.0.0.0\n"
	for _, c := range []struct {
		dialect, conf, format string
		has, hasNot           []string
	}{
		{"ntp", ntp + "interface listen 10.9.0.1\n", "chrony", []string{"bindaddress 10.9.0.1\nbindaddress ::1\n"}, nil},
		{"ntp", ntp + "interface listen 10.9.0.1\n", "ntpsec", []string{"interface listen 10.9.0.1\n"}, nil},
		{"ntp", ntp + "interface listen 10.9.0.1\n", "ntpd-rs", []string{"listen = \"10.9.0.1:123\""}, []string{"0.0.0.0:123", "[::]:123"}},
		{"ntp", ntp + "interface ignore ipv6\ninterface listen ipv4\n", "chrony", []string{"bindaddress ::1\n"}, []string{"bindaddress 127"}},
		{"ntp", ntp + "interface listen eth0\n", "chrony", []string{"binddevice eth0\n"}, nil},
		{"ntp", ntp + "interface listen eth0\n", "ntpd-rs", []string{"nobody is served on \"eth0:123\""}, []string{"listen = \"0.0.0.0"}},
		{"ntp", ntp + "interface listen 10.9.0.1\ninterface listen 10.9.0.2\n", "chrony",
			[]string{"it answers at every address of this host"}, []string{"bindaddress"}},
		{"chrony", "server a\nallow 10/8\nbindaddress 10.0.0.9\n", "ntpsec", []string{"interface listen 10.0.0.9\ninterface listen ipv6\n"}, nil},
		{"chrony", "server a\nallow 10/8\nbindaddress 10.0.0.9\n", "ntpd-rs", []string{"listen = \"10.0.0.9:123\""}, []string{"listen = \"0.0.0.0"}},
		{"ntp", ntp + "interface ignore wildcard\n", "chrony", []string{"port 0\n"}, []string{"allow 10", "bindaddress"}},
		{"ntp", ntp + "interface ignore all\n", "ntpsec", []string{"restrict default ignore\n"},
			[]string{"restrict 10.0.0.0 mask 255.0.0.0 nomodify"}},
		{"chrony", "server a\nallow 10/8\nbinddevice eth0\n", "ntpsec", []string{"interface listen eth0\n"}, nil},
	} {
		res := Convert(Input{Name: "x.conf", Data: []byte(c.conf), Files: mappingFiles}, Options{Dialect: c.dialect, Decide: running,
			Client: &ClientOptions{Format: c.format, Gateways: []string{"gw"}}})
		said := withoutComments(string(res.Output)) + text(t, res.Report)
		for _, want := range c.has {
			if !strings.Contains(said, want) {
				t.Errorf("%s: %q: lacks %q:\n%s", c.format, c.conf, want, said)
			}
		}
		for _, not := range c.hasNot {
			if strings.Contains(said, not) {
				t.Errorf("%s: %q: has %q:\n%s", c.format, c.conf, not, said)
			}
		}
	}
}

// TestBindAddress is what chronyd 4.6 listens on: the last address of each
// family, and everything in a family that has none (as ss shows it).
func TestBindAddress(t *testing.T) {
	for conf, want := range map[string]string{
		"bindaddress 10.0.0.9\n":                             "10.0.0.9:123 [::]:123",
		"bindaddress 2001:db8::1\n":                          "[2001:db8::1]:123 0.0.0.0:123",
		"bindaddress 10.0.0.9\nbindaddress ::1\n":            "10.0.0.9:123 [::1]:123",
		"bindaddress 10.0.0.9\nbindaddress 10.0.0.8\n":       "10.0.0.8:123 [::]:123",
		"port 1123\nbindaddress 10.0.0.9\nbindaddress ::1\n": "10.0.0.9:1123 [::1]:1123",
	} {
		res := Convert(Input{Name: "chrony.conf", Data: []byte("server a\nallow\n" + conf)}, Options{Dialect: "chrony"})
		var got []string
		for _, l := range res.Config.Server.Listen {
			got = append(got, l.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", conf, got, want)
		}
	}
}
