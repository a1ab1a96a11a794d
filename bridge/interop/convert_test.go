package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// oldClient is the ntp.conf of a client of the site, as real ones are: keys,
// Autokey, restrictions, a local clock, statistics. Keys are in /mnt/etc.
const oldClient = `# Time on this host
driftfile /var/lib/ntp/drift
keys /mnt/etc/ntp.keys
trustedkey 2
server old1.example.net key 2 iburst minpoll 3 maxpoll 3
server old2.example.net autokey minpoll 3 maxpoll 3
crypto pw clientpw
tinker panic 0
tos minsane 2 maxdist 16
restrict default nomodify notrap nopeer noquery limited kod
restrict -6 default ignore
restrict 127.0.0.1
restrict ::1
statsdir /var/log/ntpstats/
statistics loopstats
filegen loopstats file loopstats type day enable
disable monitor
`

// runConvert runs ntsbridge convert, which must end well, and returns the
// report.
func runConvert(t testing.TB, args ...string) string {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, append([]string{"convert"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ntsbridge convert %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// convertClient makes the configuration of a client's daemon in the host's
// scratch directory and returns it. Names of files are those in the daemon's
// root.
func convertClient(h *Host, format, step, output string) string {
	h.t.Helper()
	return convertClientOf(h, oldClient, format, step, output)
}

// convertClientOf is convertClient for an ntp.conf.
func convertClientOf(h *Host, conf, format, step, output string) string {
	h.t.Helper()
	h.Write("etc/ntp.keys", ntpKeys)
	h.Write("etc/ntp.conf", strings.ReplaceAll(conf, "/mnt/etc/", "/etc/"))
	gateway := ntsName
	if step == "key" {
		gateway = serverName
	}
	name := filepath.Join(h.Dir, output)
	args := []string{"--client-format", format, "--gateway", gateway, "--step", step, "-o", name, filepath.Join(h.Dir, "etc/ntp.conf")}
	if step == "nts" {
		args = append(args, "--ca", "/mnt/ca.pem")
	}
	runConvert(h.t, args...)
	text, err := os.ReadFile(name)
	if err != nil {
		h.t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), h.Dir, "/mnt")
}

// convertedChrony starts chronyd with a converted file, included by one that
// has what the test's host needs.
func convertedChrony(h *Host, chronyd Program, ca, step string) *Client {
	h.t.Helper()
	return chronyOf(h, chronyd, ca, convertClient(h, "chrony", step, "client.conf"), step == "key")
}

// chronyOf starts a chronyd with sources of a text.
func chronyOf(h *Host, chronyd Program, ca, text string, key bool) *Client {
	h.t.Helper()
	h.Write("ca.pem", ca)
	h.Write("converted.conf", text)
	if err := os.MkdirAll(filepath.Join(h.Dir, "run"), 0o700); err != nil {
		h.t.Fatal(err)
	}
	h.Write("chrony.conf", `include /mnt/converted.conf
bindcmdaddress /mnt/run/chronyd.sock
pidfile /mnt/run/chronyd.pid
driftfile /mnt/drift
maxdistance 16
`)
	c := &Client{Daemon: h.Start("chronyd", chronyd, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")}
	c.Good = func() error {
		if key {
			return sourceGood(h, chronyd, "SK", 0, 0)
		}
		if chronyd == Chronyd46 {
			return sourceGood(h, chronyd, "NTS", 30, 128)
		}
		return sourceGood(h, chronyd, "NTS", 15, 256)
	}
	return c
}

// convertedNTPsec starts ntpsec's ntpd with a converted file.
func convertedNTPsec(h *Host, ca, step string) *Client {
	h.t.Helper()
	return ntpsecOf(h, ca, convertClient(h, "ntpsec", step, "client.conf"))
}

// ntpsecOf starts ntpsec's ntpd with sources of a text.
func ntpsecOf(h *Host, ca, text string) *Client {
	h.t.Helper()
	h.Write("ca.pem", ca)
	h.Write("drift", "0.000\n")
	h.Write("converted.conf", text)
	h.Write("ntp.conf", `includefile /mnt/converted.conf
tos mindist 0.1 maxdist 16
disable kernel
driftfile /mnt/drift
`)
	c := &Client{Daemon: h.Start("ntpsec", NTPsecNTPD, "-n", "-g", "-c", "/mnt/ntp.conf")}
	c.Good = func() error {
		if strings.Contains(c.Log(), "syntax error") {
			return permanent{fmt.Errorf("ntpsec does not accept the file:\n%s", c.Tail(20))}
		}
		return associationGood(h, "ok", 0)
	}
	return c
}

// convertedNTPDRS starts ntpd-rs with a converted file.
func convertedNTPDRS(h *Host, ca string) *Client {
	h.t.Helper()
	return ntpdrsOf(h, ca, convertClient(h, "ntpd-rs", "nts", "client.toml"))
}

// ntpdrsOf starts ntpd-rs with a text.
func ntpdrsOf(h *Host, ca, text string) *Client {
	h.t.Helper()
	h.Write("ca.pem", ca)
	h.Write("ntp.toml", strings.Replace(text, "[observability]\n", "[observability]\nobservation-path = \"/mnt/observe\"\n", 1))
	c := &Client{Daemon: h.Start("ntp-daemon", NTPDRS, "-c", "/mnt/ntp.toml")}
	c.Good = func() error {
		s, err := queryNTPDRS(h)
		if err == nil && (s.Unanswered != 0 || !s.Offset || s.Cookies < 7) {
			err = fmt.Errorf("%+v, want answers and at least 7 cookies", s)
		}
		return err
	}
	return c
}

// TestConvertedClients starts the real daemons with what convert made of a
// client's ntp.conf: they accept it, and have authenticated time of the gateway.
func TestConvertedClients(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if standsIn(t) {
		t.Skip("the gateway is ntsbridge")
	}
	hosts := map[string]*Host{}
	for _, name := range []string{"to-chrony43", "to-chrony46", "to-chrony-key", "to-ntpsec", "to-ntpsec-key", "to-ntpd-rs"} {
		hosts[name] = s.Host(name)
	}
	s.Names()
	s.Start()
	var good []Condition
	for _, c := range []*Client{
		convertedChrony(hosts["to-chrony43"], Chronyd43, s.ca, "nts"),
		convertedChrony(hosts["to-chrony46"], Chronyd46, s.ca, "nts"),
		convertedChrony(hosts["to-chrony-key"], Chronyd46, s.ca, "key"),
		convertedNTPsec(hosts["to-ntpsec"], s.ca, "nts"),
		convertedNTPsec(hosts["to-ntpsec-key"], s.ca, "key"),
		convertedNTPDRS(hosts["to-ntpd-rs"], s.ca),
	} {
		good = append(good, c.Condition())
	}
	Await(t, limit, good...)
}

// oldRelay is the ntp.conf of a client of the site that serves others: those of
// its network, with and without a key, and nobody else.
const oldRelay = `server old1.example.net iburst minpoll 3 maxpoll 3
server 127.127.1.0
fudge 127.127.1.0 stratum 10
keys /mnt/etc/ntp.keys
trustedkey 2
restrict default ignore
restrict 10.123.0.0 mask 255.255.255.0 nomodify notrap noquery limited kod
restrict 10.123.0.1 ignore
restrict 127.0.0.1
discard average 2 minimum 1
tos maxdist 16
`

// TestConvertedRelays starts the real daemons with what convert made of a
// client that serves others: its clients have the gateway's time of it, with a
// key where the daemon has any, and those that it refused are refused.
func TestConvertedRelays(t *testing.T) {
	t.Parallel()
	s := newSite(t) // the first host is the gateway, which is not served
	if standsIn(t) {
		t.Skip("the gateway is ntsbridge")
	}
	hosts := map[string]*Host{}
	for _, name := range []string{"chrony", "ntpsec", "ntpd-rs"} {
		for _, role := range []string{"", "-plain", "-key"} {
			hosts[name+role] = s.Host(name + role)
		}
	}
	s.Names()
	s.Start()
	relay := func(format string) string {
		return convertClientOf(hosts[format], oldRelay, format, "nts", "client.conf")
	}
	relays := map[string]*Client{
		"chrony":  chronyOf(hosts["chrony"], Chronyd46, s.ca, relay("chrony"), false),
		"ntpsec":  ntpsecOf(hosts["ntpsec"], s.ca, relay("ntpsec")),
		"ntpd-rs": ntpdrsOf(hosts["ntpd-rs"], s.ca, relay("ntpd-rs")),
	}
	var good []Condition
	for name, c := range relays {
		plain := ntpdClient(hosts[name+"-plain"], c.Host.IPv4.String(), "", "")
		good = append(good, c.Condition(), plain.Condition(), ofGateway(plain))
		if name != "ntpd-rs" { // it has no keys
			good = append(good, ntpdKeyClient(hosts[name+"-key"], c.Host.IPv4.String(), 2, ntpKeys).Condition())
		}
	}
	Await(t, limit, good...)
	for name, c := range relays {
		for _, refused := range []struct{ from, to netip.Addr }{{s.host.IPv4, c.Host.IPv4}, {s.host.IPv6, c.Host.IPv6}} {
			if answered(s.host, refused.from, refused.to) {
				t.Errorf("%s answers %v, which its old daemon refused", name, refused.from)
			}
		}
	}
}

// ofGateway is the condition that a client's server has the time of the gateway,
// and not what it falls back to.
func ofGateway(c *Client) Condition {
	return Condition{c.Host.Name + " of the gateway", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		out, err := c.Host.Output(ctx, NTPQ, "-n", "-c", "rv &1 stratum,reach", "127.0.0.1")
		if v := shownVariables(out); err == nil && (len(v["stratum"]) != 1 || v["stratum"][0] != "4") {
			err = fmt.Errorf("not stratum 4: %s", out)
		}
		return err
	}}
}

// oldServer is the ntp.conf of the site's server: it follows two servers and
// four peers, of which one has a better clock and the others have their time
// from it.
const oldServer = `# The servers above
server above-plain iburst minpoll 3 maxpoll 3
server above-key key 3 iburst minpoll 3 maxpoll 3
# The server of the other building, and those that have their time from here
peer lead key 2 minpoll 3 maxpoll 3
peer pupil key 1 minpoll 3 maxpoll 3
peer hearer key 3 minpoll 3 maxpoll 3
keys /mnt/keys
trustedkey 1 2 3
keysdir /mnt/autokey
crypto pw serverpw
restrict default ignore
restrict -6 default ignore
restrict 10.123.0.0 mask 255.255.255.0 nomodify notrap nopeer limited kod   # the site
restrict fd12:3:: mask ffff:ffff:ffff:ffff:: notrust nomodify notrap nopeer noquery
restrict 127.0.0.1
tos mindist 0.1 maxdist 16
disable kernel
driftfile /mnt/drift
`

// converted is ntsbridge with what convert made of the site's old server.
type converted struct{ *bridge }

func (c *converted) Start() {
	h := c.site.host
	name := filepath.Join(h.Dir, "old.conf")
	h.Write("old.conf", strings.ReplaceAll(oldServer, "/mnt/", h.Dir+"/"))
	yaml := filepath.Join(h.Dir, "new.yaml")
	report := runConvert(h.t, "--root", "/", "--hostname", h.Name, "--takeover-until",
		time.Now().Add(48*time.Hour).UTC().Format(time.DateOnly),
		"--nts-cert", filepath.Join(h.Dir, ntsName+".crt"), "--nts-key", filepath.Join(h.Dir, ntsName+".key"), "-o", yaml, name)
	for _, want := range []string{"the same as before for every address", "crypto pw ********"} {
		if !strings.Contains(report, want) {
			h.t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	text, err := os.ReadFile(yaml)
	if err != nil {
		h.t.Fatal(err)
	}
	if strings.Contains(report+string(text), serverPassword) {
		h.t.Error("the password is in the report or the configuration")
	}
	c.daemon = h.Start("ntsbridge", c.program, "serve", "--no-clock", "-c", yaml,
		"--state-dir", filepath.Join(h.Dir, "state"), "--run-dir", filepath.Join(h.Dir, "run"))
}

// peerShown is the condition that the real ntpq -p of h shows a server with
// this mark, reached by each of its last polls.
func peerShown(h *Host, mark string, server *Host) Condition {
	row := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(mark) + regexp.QuoteMeta(server.IPv4.String()) + ` .* ([0-7]+) +\S+ +\S+ +\S+$`)
	return Condition{fmt.Sprintf("ntpq -p of %s shows %s%s", h.Name, mark, server.Name), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		out, err := h.Output(ctx, NTPQ, "-n", "-p", "127.0.0.1")
		if m := row.FindStringSubmatch(out); err == nil && (m == nil || m[1][len(m[1])-1] != '7') {
			err = fmt.Errorf("it is not there, or not reached:\n%s", out)
		}
		return err
	}}
}

// above starts the real daemons that the site's server follows, and its peers:
// lead has a clock, and of the others hearer does not name the server, and
// caller is not named by it.
func above(s *site) (peers map[string]*Host) {
	peers = make(map[string]*Host)
	for _, name := range []string{"above-plain", "above-key", "lead", "pupil", "hearer", "caller"} {
		peers[name] = s.Host(name)
	}
	return peers
}

func startAbove(peers map[string]*Host) {
	plain := peers["above-plain"]
	plain.Write("chrony.conf", "local stratum 2\nallow all\ncmdport 0\nbindcmdaddress /\npidfile /mnt/chronyd.pid\n")
	plain.Start("chronyd", Chronyd46, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")
	startPeerNTPD(peers["above-key"], "3", localClock)
	startPeerNTPD(peers["lead"], "2", localClock+"peer "+serverName+" key 2 minpoll 3 maxpoll 3\n")
	startPeerNTPD(peers["pupil"], "1", "peer "+serverName+" key 1 minpoll 3 maxpoll 3\n")
	startPeerNTPD(peers["hearer"], "3", "")
	startPeerNTPD(peers["caller"], "2", "peer "+serverName+" key 2 minpoll 3 maxpoll 3\n")
}

// TestConvertedServer lets a real ntpd follow servers and peers and serve a
// site, converts its ntp.conf, starts what comes of it in its place, and wants
// it to follow the same with the same authentication, every client and peer to
// go on untouched, those that were refused to stay so, and clients of NTS to
// join.
func TestConvertedServer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b, ok := s.Server.(*bridge)
	if !ok {
		t.Skip("the successor is ntsbridge")
	}
	s.Server = &converted{b}
	hosts := map[string]*Host{}
	for _, name := range []string{"ntpd-iff", "ntpd-iff-ipv6", "ntpd-none", "ntpd-sha1", "ntpd-cmac", "refused-ipv6", "chrony-nts",
		"ntpd-rs-nts"} {
		hosts[name] = s.Host(name)
	}
	peers := above(s)
	s.Names()
	startAbove(peers)
	s.host.Write("drift", "0.000\n")
	s.host.Write("ntp.conf", oldServer)
	old := s.host.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")
	group := s.group.File(serverName)
	clients := []*Client{
		ntpdAutokeyClient(hosts["ntpd-iff"], serverName, serverName, group),
		ntpdAutokeyClient(hosts["ntpd-iff-ipv6"], s.host.IPv6.String(), serverName, group),
		ntpdClient(hosts["ntpd-none"], serverName, "", ""),
		ntpdKeyClient(hosts["ntpd-sha1"], serverName, 2, ntpKeys),
		ntpdKeyClient(hosts["ntpd-cmac"], serverName, 3, ntpKeys),
	}
	refused := ntpdClient(hosts["refused-ipv6"], s.host.IPv6.String(), "", "") // notrust
	unanswered := Condition{"refused-ipv6", func() error {
		a, err := QueryNTPD(refused.Host)
		if err == nil && a.Reach != 0 {
			err = permanent{fmt.Errorf("reach %o for a client that notrust refuses", a.Reach)}
		}
		return err
	}}
	var good []Condition
	for _, c := range clients {
		good = append(good, c.Condition())
	}
	Await(t, limit, append(good, unanswered)...)

	old.Stop()
	s.Start()
	t.Log("the real ntpd stopped, its converted successor started")
	joined := []*Client{
		chronyNTSClient(hosts["chrony-nts"], Chronyd46, ntsName, s.ca, 30, 128),
		ntpdrsClient(hosts["ntpd-rs-nts"], ntsName, s.ca),
	}
	conditions := append(served(clients, 3, 0b111), unanswered)
	for _, c := range joined {
		conditions = append(conditions, c.Condition())
	}
	Await(t, limit, append(conditions, follows(b, peers)...)...)
}

// follows are the conditions that the successor follows what its predecessor
// did, and that its peers show it so.
func follows(b *bridge, peers map[string]*Host) []Condition {
	host := b.site.host
	f := &follower{Daemon: b.daemon, program: b.program}
	mode := func(name, want string) Condition {
		return Condition{name + " with " + want, func() error {
			var list []credential
			if err := f.ask(&list, "authdata"); err != nil {
				return err
			}
			for _, c := range list {
				if c.Name == name && c.Mode == want {
					return nil
				}
			}
			return fmt.Errorf("%+v", list)
		}}
	}
	return []Condition{
		f.state("above-plain", "combined"), f.state("above-key", "combined"), f.state("lead", "combined"),
		mode("above-plain", "none"), mode("above-key", "symmetric"), mode("lead", "symmetric"),
		associated(host, peers["lead"].IPv4.String(), "1", "1", 0),
		associated(host, peers["pupil"].IPv4.String(), "1", "1", 0),
		associated(host, peers["hearer"].IPv4.String(), "1", "2", 0),
		associated(peers["lead"], host.IPv4.String(), "1", "1", 0),
		associated(peers["pupil"], host.IPv4.String(), "1", "1", 0),
		associated(peers["hearer"], host.IPv4.String(), "2", "1", 0),
		associated(peers["caller"], host.IPv4.String(), "1", "2", 0),
		peerShown(peers["pupil"], "*", host), peerShown(peers["caller"], "*", host),
	}
}

// withoutComments drops what no daemon reads, so that equal configurations
// are shown to a daemon once.
func withoutComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && strings.TrimSpace(line) != "" {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestConvertedCorpus shows the real daemons every configuration that convert
// makes of real and hand-written ntp.conf files: they accept all of them.
func TestConvertedCorpus(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	h := n.Host("reader")
	h.Write("ca.pem", newAuthority(t).pem())
	corpus := filepath.Join(repository(), "bridge", "convert", "testdata", "ntp.conf")
	for _, c := range []struct {
		format, ending string
		readers        []Program
		args           []string
		refused        string // what a program prints that refuses; empty: its exit status tells
	}{
		{"chrony", ".chrony.conf", []Program{Chronyd43, Chronyd46}, []string{"-p", "-f", "/mnt/read"}, ""},
		{"ntpd-rs", ".ntp.toml", []Program{NTPDRSCtl}, []string{"validate", "-c", "/mnt/read"}, ""},
		// It has no way to read a file and end, but ends for a user that is not there.
		{"ntpsec", ".ntpsec.conf", []Program{NTPsecNTPD}, []string{"-n", "-u", "nobody-at-all", "-c", "/mnt/read"}, "syntax error"},
	} {
		out := filepath.Join(h.Dir, c.format)
		runConvert(t, "--client-format", c.format, "--gateway", "gateway", "--ca", "/mnt/ca.pem", "--lost", "running", "--out-dir", out,
			corpus)
		files, err := filepath.Glob(filepath.Join(out, "*"+c.ending))
		if err != nil || len(files) < 200 {
			t.Fatalf("%d files: %v", len(files), err)
		}
		seen := make(map[string]bool)
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			bare := withoutComments(string(text))
			if seen[bare] {
				continue
			}
			seen[bare] = true
			h.Write("read", string(text))
			for _, reader := range c.readers {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				printed, err := h.Output(ctx, reader, c.args...)
				cancel()
				if c.refused != "" {
					err, printed = nil, printed+fmt.Sprint(err)
				}
				if err != nil || c.refused != "" && strings.Contains(printed, c.refused) {
					t.Errorf("%s does not accept %s: %v\n%s\n%s", reader.Path, filepath.Base(name), err, printed, bare)
				}
			}
		}
		t.Logf("%s: %d files, %d different", c.format, len(files), len(seen))
	}
}

// TestChronydVerdict shows the real chronyd chrony.conf files, and lines with
// and without mistakes: what it does not start with is an error in the report,
// and nothing else is.
func TestChronydVerdict(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	h := n.Host("verdict")
	files, err := filepath.Glob(filepath.Join(repository(), "bridge", "convert", "testdata", "chrony.conf", "*.conf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	cases := make(map[string]string)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains("\n"+string(text), "\ninclude ") { // what it names is not there
			cases[filepath.Base(name)] = string(text)
		}
	}
	for line := range strings.Lines(`server a nts iburst minpoll -3 maxpoll 24
server a key 5 offset 0x1 asymmetry -0.1 presend 3 extfield F323 filter 3
server a bogus
server a key
server a minpoll 3x
SERVER a IBURST
pool p maxsources 3 kod
peer p copy
refclock PPS /dev/pps0:clear lock GPS rate 5 dpoll -3
refclock SHM 0:perm=0644 refid TOOLONG
refclock PHC /dev/ptp0 poll
makestep 1 3
makestep 1
makestep 1 3 5
maxchange 1 1 1
dscp x
dscp 0.5
allow
allow all 10.0.0.0/8
allow 10.1
allow 10.0.0.0/8 192.0.2.0/24
driftfile /d
driftfile /d 60
ratelimit interval 1 burst 2 leak 2
ratelimit 3
log tracking everything
local stratum 8 orphan distance 0.1 activate 0.5
local stratum
smoothtime 400 0.01 leaponly
smoothtime 1
rtcsync 1
keyfile /a /b
minsources many
ntsaeads 15 30
ntsaeads x
ntstrustedcerts 1 /c
bogus 1
! a comment
server a # no comment
linux_hz 100
`) {
		cases[strings.TrimSpace(line)] = line
	}
	for name, text := range cases {
		h.Write("read", text)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		printed, err := h.Output(ctx, Chronyd46, "-p", "-f", "/mnt/read")
		cancel()
		var report struct {
			Counts map[string]int
		}
		file := filepath.Join(h.Dir, "report.json")
		runConvert(t, "--from", "chrony", "--report-format", "json", "--report", file, filepath.Join(h.Dir, "read"))
		data, err2 := os.ReadFile(file)
		if err2 != nil || json.Unmarshal(data, &report) != nil {
			t.Fatalf("%v: %s", err2, data)
		}
		if refused := report.Counts["error"] > 0; refused != (err != nil) {
			t.Errorf("%s: chronyd: %v %s; our report has %d errors", name, err, printed, report.Counts["error"])
		}
	}
	t.Logf("%d configurations", len(cases))
}
