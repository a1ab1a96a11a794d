package convert

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ntsbridge/bridge/config"
)

// oracleHost has the addresses of the host of testdata/oracle/interfaces.txt.
var oracleHost = map[string][]string{
	"lo": {"127.0.0.1", "::1"}, "eth0": {"10.9.0.1", "10.9.0.11", "fd09::1"}, "eth1": {"10.8.0.1", "fd08::1"},
}

// opened returns the addresses of oracleHost that a list stands for.
func opened(list []config.Listen) (open []string) {
	for name, addresses := range oracleHost {
		for _, text := range addresses {
			a := netip.MustParseAddr(text)
			if len(list) == 0 || slices.ContainsFunc(list, func(l config.Listen) bool {
				switch {
				case l.Network.IsValid():
					return l.Network.Contains(a)
				case l.Interface != "":
					return l.Interface == name && (l.Family == "" || (l.Family == config.FamilyIPv4) == a.Is4())
				}
				return l.Addr() == a || l.Addr().IsUnspecified() && l.Addr().Is4() == a.Is4()
			}) {
				open = append(open, text)
			}
		}
	}
	slices.Sort(open)
	return open
}

// ofOracle returns the addresses that ntpd answers on.
func ofOracle(said string) (open []string) {
	wild := map[string]bool{}
	for word := range strings.FieldsSeq(said) {
		name, _, _ := strings.Cut(word, "=")
		wild[name] = true
	}
	for name, addresses := range oracleHost {
		for _, a := range addresses {
			family := "v4wildcard"
			if strings.Contains(a, ":") {
				family = "v6wildcard"
			}
			if wild[family] || slices.Contains(strings.Fields(said), name+"="+a) {
				open = append(open, a)
			}
		}
	}
	slices.Sort(open)
	return open
}

// TestInterfaces compares what the server listens on with ntpd, for every set
// of rules that was shown to it. Questions are the sets that no list of
// addresses, interfaces and networks says.
func TestInterfaces(t *testing.T) {
	questions := map[string]bool{
		"interface listen all;interface ignore eth1":       true, // all but eth1
		"interface listen eth0;interface ignore 10.9.0.11": true, // eth0 but one address
		"interface listen 10.9.0.1;interface ignore eth0":  true, // is it eth0's?
		"interface drop lo":                               true, // nothing at all
		"interface ignore ipv4;interface ignore ipv6":     true, // nothing at all
		"interface listen all;interface drop lo":          true, // all but loopback
		"interface ignore 127.0.0.1;interface listen all": true, // all but loopback
		"-I eth0|interface listen eth1":                   true, // ntpd exits
	}
	text, err := os.ReadFile("testdata/oracle/interfaces.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		rules, said, ok := strings.Cut(strings.TrimSpace(line), " =>")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		t.Run(rules, func(t *testing.T) {
			options, conf, ok := strings.Cut(rules, "|")
			if !ok {
				options, conf = "", rules
			}
			in := Input{Name: "ntp.conf", Data: []byte(strings.ReplaceAll(conf, ";", "\n") + "\n"), Files: fstest.MapFS{}}
			res := Convert(in, Options{Dialect: "ntp", DaemonOptions: options})
			if asked := len(res.Report.Questions) > 0; asked != questions[rules] {
				t.Fatalf("a question: %v\n%v", asked, res.Report.Questions)
			}
			if res.Output == nil {
				return
			}
			if got, want := opened(res.Config.Server.Listen), ofOracle(said); !slices.Equal(got, want) {
				t.Errorf("listens on %v, ntpd on %v (%v)", got, want, res.Config.Server.Listen)
			}
		})
	}
}

// TestInterfacesKnown names the addresses that an interface has.
func TestInterfacesKnown(t *testing.T) {
	known := map[string][]netip.Addr{"eth0": {netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}}
	in := Input{Name: "ntp.conf", Data: []byte("interface listen eth0\ninterface drop lo\n"), Files: fstest.MapFS{}}
	res := Convert(in, Options{Dialect: "ntp", Addresses: known})
	if res.Config == nil || !slices.Equal(res.Config.Server.Listen,
		config.ListenOn(netip.MustParseAddrPort("192.0.2.1:123"), netip.MustParseAddrPort("[2001:db8::1]:123"))) {
		t.Errorf("%s", res.Output)
	}
}
