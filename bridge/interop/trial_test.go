package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// edit replaces parts of the configuration that the next start reads.
func (b *bridge) edit(oldnew ...string) {
	h := b.site.host
	h.t.Helper()
	text, err := os.ReadFile(filepath.Join(h.Dir, "ntsbridge.yaml"))
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(string(text), oldnew[i]) {
			h.t.Fatalf("no %q in ntsbridge.yaml", oldnew[i])
		}
	}
	h.Write("ntsbridge.yaml", strings.NewReplacer(oldnew...).Replace(string(text)))
}

// trialClients are clients of all kinds, as they would stand at a site.
func trialClients(hosts map[string]*Host, group string) []*Client {
	peer := &Client{Daemon: startPeerNTPD(hosts["ntpd-peer"], "1", "peer "+serverName+" minpoll 3 maxpoll 3")}
	peer.Good = func() error { return associationGood(peer.Host, "none", 0) }
	return []*Client{
		ntpdAutokeyClient(hosts["ntpd-tc"], serverName, "", ""),
		ntpdAutokeyClient(hosts["ntpd-iff"], serverName, serverName, group),
		ntpdClient(hosts["ntpd-none"], serverName, "", ""),
		ntpdKeyClient(hosts["ntpd-md5"], serverName, 1, ntpKeys),
		ntpdKeyClient(hosts["ntpd-sha1"], serverName, 2, ntpKeys),
		ntpdKeyClient(hosts["ntpd-cmac"], serverName, 3, ntpKeys),
		peer,
		chronyClient(hosts["chrony-none"], Chronyd43, serverName, ""),
		chronyKeyClient(hosts["chrony-sha1"], Chronyd46, serverName, 2),
	}
}

// TestLongTrialAndBack goes the whole way, there and back again: a real ntpd serves
// clients of all kinds; ntsbridge takes its place for a trial, in which further
// clients start; the ntpd comes back; ntsbridge takes over for good, with
// cookies of its own. Nobody is touched, and each takes time in every phase.
func TestLongTrialAndBack(t *testing.T) {
	requireLong(t)
	if standsIn(t) {
		t.Skip("of ntsbridge only")
	}
	s := newSite(t)
	hosts := map[string]*Host{}
	for _, name := range []string{"ntpd-tc", "ntpd-iff", "ntpd-none", "ntpd-md5", "ntpd-sha1", "ntpd-cmac", "ntpd-peer",
		"chrony-none", "chrony-sha1", "late-tc", "late-iff", "sntp"} {
		hosts[name] = s.Host(name)
	}
	s.Names()
	b := s.Server.(*bridge)
	group := s.group.File(serverName)
	hosts["sntp"].Write("keys", ntpKeys)
	old := startNTPD(s.host)
	clients := trialClients(hosts, group)
	phase := func(name string) {
		t.Helper()
		t.Log(name)
		// One who asks once, as from cron, without a key and with one.
		askOnce(t, hosts["sntp"], SNTP, "-K", "/mnt/kod", serverName)
		askOnce(t, hosts["sntp"], SNTP, "-K", "/mnt/kod", "-k", "/mnt/keys", "-a", "1", serverName)
		Await(t, limit, allServed(clients, 3)...)
	}
	Await(t, limit, conditionsOf(clients)...)

	old.Stop()
	b.edit("  takeover:\n", "  seed: zero-compatible\n  takeover:\n", "    enabled: true\n    until:", "    enabled: false\n    until:")
	s.Start()
	clients = append(clients, ntpdAutokeyClient(hosts["late-tc"], serverName, "", ""),
		ntpdAutokeyClient(hosts["late-iff"], serverName, serverName, group))
	Await(t, limit, conditionsOf(clients[len(clients)-2:])...)
	phase("the trial")

	s.Stop()
	old = startNTPD(s.host)
	phase("the ntpd is back")

	old.Stop()
	b.edit("seed: zero-compatible", "seed: own", "    enabled: false\n    until:", "    enabled: true\n    until:")
	s.Start()
	phase("the takeover")
	Await(t, limit, conditionsOf(clients)...)

	// Without a takeover they are refused, but recognised and named.
	s.Stop()
	b.edit("    enabled: true\n    until:", "    enabled: false\n    until:")
	s.Start()
	Await(t, limit, Condition{"ntpd's clients are named", func() error {
		c, err := s.Counters()
		if err != nil {
			return err
		}
		if c.Count("autokey", "ntpd-cookie") == 0 {
			return errors.New("no cookie of an ntpd was counted")
		}
		if log := b.daemon.Log(); !strings.Contains(log, "these clients were ntpd's") ||
			!strings.Contains(log, hosts["ntpd-tc"].IPv4.String()) {
			return errors.New("the log does not name them")
		}
		return nil
	}}, Condition{"clients names them", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		out, err := s.host.Output(ctx, b.program, "clients", "--run-dir", filepath.Join(s.host.Dir, "run"))
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			if strings.Contains(line, hosts["ntpd-tc"].IPv4.String()+" ") && strings.Contains(line, "ntpd's cookie") &&
				strings.Contains(line, "ntpd-cookie") {
				return nil
			}
		}
		return fmt.Errorf("no such line in\n%s", out)
	}})
}

func conditionsOf(clients []*Client) []Condition {
	var list []Condition
	for _, c := range clients {
		list = append(list, c.Condition())
	}
	return list
}

// allServed are conditions that each client, of ntpd or chronyd, took time at
// so many moments after now.
func allServed(clients []*Client, times int) []Condition {
	var list []Condition
	for _, c := range clients {
		if !strings.HasPrefix(c.Host.Name, "chrony") {
			list = append(list, served([]*Client{c}, times, 0b111)...)
			continue
		}
		chronyd := Chronyd46
		if c.Host.Name == "chrony-none" {
			chronyd = Chronyd43
		}
		begun, at := false, 0
		list = append(list, Condition{c.Host.Name, func() error {
			q, err := QueryChronyd(c.Host, chronyd)
			if err != nil {
				return err
			}
			if !begun {
				begun, at = true, q.ValidRX
			}
			if q.ValidRX < at+times {
				return fmt.Errorf("%d good packets, want %d", q.ValidRX-at, times)
			}
			return nil
		}})
	}
	return list
}

// kissLimit bounds the waiting for a kiss and what follows from it.
const kissLimit = 120 * time.Second

// TestKissesHeeded limits real clients by the rate: they take the kiss for what
// it is and ask less often.
func TestKissesHeeded(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("of ntsbridge only")
	}
	s := newSite(t)
	names := []string{"ntpd", "ntpsec", "chronyd", "ntpd-rs"}
	hosts := map[string]*Host{}
	for _, name := range names {
		hosts[name] = s.Host(name)
	}
	s.Names()
	s.Server.(*bridge).edit("keys:\n  files",
		"access: {default: {rate: few}}\nrate_limit: {limits: [{name: few, interval: 1m, burst: 2, leak: 0}]}\nkeys:\n  files")
	s.Start()
	ntpdClient(hosts["ntpd"], serverName, "", "")
	ntpsecClient(hosts["ntpsec"], serverName, "")
	chrony := chronyClient(hosts["chronyd"], Chronyd46, serverName, "")
	hosts["ntpd-rs"].Write("ntp.toml", fmt.Sprintf(`[observability]
log-level = "info"
observation-path = "/mnt/observe"
[[source]]
mode = "server"
address = %q
[source-defaults]
poll-interval-limits = { min = 2, max = 8 }
initial-poll-interval = 2
[synchronization]
minimum-agreeing-sources = 1
`, serverName))
	rust := hosts["ntpd-rs"].Start("ntp-daemon", NTPDRS, "-c", "/mnt/ntp.toml")
	wire := s.host.Record()
	Await(t, kissLimit,
		Condition{"ntpd polls every 64 s", func() error { return pollAtLeast(hosts["ntpd"], 6) }},
		Condition{"ntpsec polls less often", func() error { return pollAtLeast(hosts["ntpsec"], 4) }},
		Condition{"chronyd logs it", func() error {
			if !strings.Contains(chrony.Log(), "Received KoD RATE") {
				return errors.New("no such line")
			}
			return nil
		}},
		Condition{"ntpd-rs polls less often", func() error {
			if err := rust.Alive(); err != nil {
				return err
			}
			most := byte(0)
			for _, p := range wire.Packets(func(p Packet) bool { return p.From.Addr() == hosts["ntpd-rs"].IPv4 && len(p.Payload) >= 48 }) {
				most = max(most, p.Payload[2])
			}
			if most < 3 {
				return fmt.Errorf("poll field %d", most)
			}
			return nil
		}})
}

var pollVariable = regexp.MustCompile(`\bhpoll=(\d+)`)

// pollAtLeast is nil if h's ntpd polls its server at most every 2^exponent s.
func pollAtLeast(h *Host, exponent uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	out, err := h.Output(ctx, NTPQ, "-n", "-c", "ntpversion 4", "-c", "as", "-c", "rv &1", "127.0.0.1")
	if err != nil {
		return err
	}
	if got := number(pollVariable, out, 10); got < exponent {
		return fmt.Errorf("hpoll %d, want %d", got, exponent)
	}
	return nil
}
