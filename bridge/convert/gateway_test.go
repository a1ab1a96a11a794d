package convert

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/ntp"
)

// hostOf converts a host's ntp.conf with its keys.
func hostOf(name, conf, keys string) report.FileOutcome {
	files := fstest.MapFS{"etc/ntp.keys": {Data: []byte(keys)}}
	res := Convert(Input{Name: name, Data: []byte(conf), Files: files}, Options{Dialect: "ntp", Hostname: name, Decide: running})
	return report.FileOutcome{Input: name, Host: res.Report.Host}
}

const (
	keyA = "5 SHA1 0123456789012345678901234567890123456789\n"
	keyB = "5 SHA1 9999999999012345678901234567890123456789\n"
)

// TestGateway wants the server that the hosts of a fleet need: their keys, their
// networks and the upstreams that are no hosts themselves.
func TestGateway(t *testing.T) {
	client := "restrict default ignore\nkeys /etc/ntp.keys\ntrustedkey 5\nserver time.plant.example key 5\n"
	server := "restrict default ignore\nrestrict 192.168.0.0 mask 255.255.0.0 noquery\nkeys /etc/ntp.keys\ntrustedkey 5 7\n" +
		"server ntp1.example.net iburst\nserver 192.0.2.9\npool de.pool.ntp.org\n"
	results := []report.FileOutcome{hostOf("one", client, keyA), hostOf("two", client, keyA), {Input: "junk"},
		hostOf("time.plant.example", server, keyA+"7 SHA256 abcdefgh\n"),
		hostOf("three", "restrict default ignore\nserver ntp1.example.net\nserver old.example.net autokey\ncrypto pw x\n", "")}
	g := NewGateway(results, GatewayOptions{KeyFile: "/etc/ntsbridge/gateway.keys"})
	c, err := config.Parse("gateway.yaml", "/", g.Output)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(g.Keys); !strings.Contains(got, "5 SHA1 HEX:0123") || strings.Count(got, "\n") != 2 {
		t.Errorf("keys:\n%s", got)
	}
	if len(c.Keys.Files) != 1 || c.Keys.Files[0].Path != "/etc/ntsbridge/gateway.keys" || len(c.Keys.Trusted) != 2 || c.Keys.Generate {
		t.Errorf("keys: %+v", c.Keys)
	}
	if len(c.Sources) != 3 || c.Sources[0].Server != "ntp1.example.net" || c.Sources[1].Server != "192.0.2.9" ||
		c.Sources[2].Mode != config.ModePool || c.Clock.Mode != config.ClockDiscipline {
		t.Errorf("sources: %+v", c.Sources)
	}
	if len(c.Access.Rules) != 1 || c.Access.Rules[0].Prefixes[0].String() != "192.168.0.0/16" || len(c.Access.Default.Kinds) != 2 ||
		c.Access.Default.Kinds[1] != ntp.KindNTS || !c.NTS.Enabled {
		t.Errorf("access: %+v", c.Access)
	}
	if all := strings.Join(g.Notes, "\n"); !strings.Contains(all, "1 sources are asked with Autokey") {
		t.Errorf("notes: %s", all)
	}
	if strings.Contains(string(g.Output), "0123456789") {
		t.Error("a key is in the configuration")
	}
}

// TestGatewayClash has two hosts with different keys of one number, one whose
// key is not at hand, and hosts that answer everybody.
func TestGatewayClash(t *testing.T) {
	client := "keys /etc/ntp.keys\ntrustedkey 5 6\nserver a.example.net key 5\n"
	results := []report.FileOutcome{hostOf("one", client, keyA), hostOf("two", client, keyB),
		hostOf("three", "restrict default noquery\nkeys /etc/ntp.keys\ntrustedkey 6\nserver b.example.net key 6\nserver c.example.net\n", "")}
	g := NewGateway(results, GatewayOptions{KeyFile: "/k", NTSCert: "/c.pem", NTSKey: "/k.pem"})
	c, err := config.Parse("gateway.yaml", "/", g.Output)
	if err != nil {
		t.Fatal(err)
	}
	if g.Keys != nil || len(c.Keys.Files) != 0 || len(c.Keys.Trusted) != 0 {
		t.Errorf("keys: %+v", c.Keys)
	}
	if !strings.Contains(strings.Join(g.Notes, "\n"), "key 5 is left out: one and 1 others") {
		t.Errorf("notes: %q", g.Notes)
	}
	for _, s := range c.Sources {
		if s.Server != "c.example.net" {
			t.Errorf("a source without its key: %+v", s)
		}
	}
	if c.Access.Default.Rate != "everybody" || len(c.Access.Default.Kinds) != 4 || c.NTS.Certificates[0].Cert != "/c.pem" {
		t.Errorf("access: %+v, %+v", c.Access.Default, c.NTS)
	}
	if g := NewGateway([]report.FileOutcome{{Input: "junk"}}, GatewayOptions{}); g.Output != nil {
		t.Errorf("for nobody:\n%s", g.Output)
	}
}

// TestSurvivors are numbers and conditions of which mutations were not seen.
func TestSurvivors(t *testing.T) {
	files := fs.FS(mappingFiles)
	convert := func(dialect, conf string, opt Options) *config.Config {
		t.Helper()
		opt.Dialect, opt.Decide, opt.PasswordFile = dialect, running, "/pw"
		res := Convert(Input{Name: "x.conf", Data: []byte(conf + "\n"), Files: files}, opt)
		if res.Config == nil {
			t.Fatalf("%s: %s", conf, text(t, res.Report))
		}
		return res.Config
	}
	if c := convert("ntp", ntpBase+"server a\nserver 127.127.1.0\ndisable ntp", Options{}); c.Clock.Mode != config.ClockObserve {
		t.Errorf("a clock that another program steers: %s", c.Clock.Mode)
	}
	if c := convert("ntp", ntpBase+"server a\ntos orphan 16", Options{}); c.Clock.FallbackStratum != config.Default().Clock.FallbackStratum {
		t.Errorf("orphan 16: %d", c.Clock.FallbackStratum)
	}
	if c := convert("ntp", ntpBase+"server a\ntos orphan 15", Options{}); c.Clock.FallbackStratum != 15 || !c.Clock.Orphan {
		t.Errorf("orphan 15: %d", c.Clock.FallbackStratum)
	}
	now := time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)
	files = nil // Autokey's are not looked at
	if c := convert("ntp", ntpBase+"server a\ncrypto pw x host h", Options{Now: now}); c.Autokey.Takeover.Until.Format(time.DateOnly) != "2027-06-30" {
		t.Errorf("the old cookies count until %v", c.Autokey.Takeover.Until)
	}
	files = mappingFiles
	if c := convert("chrony", "allow\nserver a asymmetry 0.4", Options{}); c.Sources[0].Asymmetry != 0.4 {
		t.Errorf("asymmetry: %v", c.Sources[0].Asymmetry)
	}
	if c := convert("chrony", "allow\nserver a\nmaxchange 100 1 2", Options{DaemonOptions: "-x"}); c.Clock.MaxChange != 0 {
		t.Errorf("maxchange of a clock that is not steered: %v", c.Clock.MaxChange)
	}
}

// TestSurvivingClients are the same of clients.
func TestSurvivingClients(t *testing.T) {
	for _, c := range []struct{ dialect, conf, format, want string }{
		{"ntp", "server a minpoll 3", "ntpd-rs", "{ min = 4, max = 10 }"},
		{"ntp", "server a minpoll 4 maxpoll 4", "timesyncd", "PollIntervalMaxSec=32"},
		{"chrony", "server a\nminsources 3", "chrony", "\nminsources 2\n"},
		{"ntp", ntpBase + "server a\ntos minsane 3", "chrony", "\nminsources 2\n"},
		{"ntp", ntpBase + "server a\ntinker step 0", "chrony", "no makestep"},
	} {
		res := Convert(Input{Name: "x.conf", Data: []byte(c.conf + "\n"), Files: mappingFiles},
			Options{Dialect: c.dialect, Client: &ClientOptions{Format: c.format, Gateways: []string{"gw1", "gw2"}}})
		if !strings.Contains(string(res.Output), c.want) {
			t.Errorf("%s for %s lacks %q:\n%s", c.conf, c.format, c.want, res.Output)
		}
	}
}

// TestSurvivingLimits are limits of rates, and of timers.
func TestSurvivingLimits(t *testing.T) {
	limit := func(dialect, conf string) config.Limit {
		res := Convert(Input{Name: "x.conf", Data: []byte(conf + "\n"), Files: mappingFiles}, Options{Dialect: dialect})
		if res.Config == nil || len(res.Config.RateLimit.Limits) != 1 {
			t.Fatalf("%s: %s", conf, text(t, res.Report))
		}
		return res.Config.RateLimit.Limits[0]
	}
	if l := limit("ntpsec", "server a noval nts\nrestrict default limited"); l.Burst != 20 || l.Interval != time.Second {
		t.Errorf("ntpsec's limit: %+v", l)
	}
	if l := limit("chrony", "server a\nallow\nratelimit"); l.Leak != 0.25 || l.Burst != 8 || l.Interval != 8*time.Second {
		t.Errorf("chronyd's limit: %+v", l)
	}
	if l := limit("chrony", "server a\nallow\nratelimit interval -1"); l.Interval != 500*time.Millisecond {
		t.Errorf("chronyd's limit of half a second: %+v", l)
	}
	res := Convert(Input{Name: "x.conf", Data: []byte(ntpBase + "server a\nautomax 32\nrevoke 31\n")}, Options{Dialect: "ntp"})
	local := Convert(Input{Name: "x.conf", Data: []byte(ntpBase + "server a\nserver 127.127.1.0\nfudge 127.127.1.0 stratum 4\n")},
		Options{Dialect: "ntp"})
	if !slices.Contains(codes(local.Report, report.Dangerous), "local-stratum") {
		t.Error("a local clock of stratum 4 is not told of")
	}
	small := Convert(Input{Name: "x.conf", Data: []byte("server a\nallow\nclientloglimit 100000\n")}, Options{Dialect: "chrony"})
	if small.Config.RateLimit.Clients != 4096 {
		t.Errorf("a small list of clients: %d", small.Config.RateLimit.Clients)
	}
	if found := codes(res.Report, report.Folded); !slices.Contains(found, "timer-range") || !slices.Contains(found, "revoke") {
		t.Errorf("timers: %v", found)
	}
}
