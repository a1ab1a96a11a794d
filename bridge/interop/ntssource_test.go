package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// chronyCounts are some of chronyc's serverstats.
type chronyCounts struct {
	Received      int // NTP packets
	KE            int // connections accepted
	Authenticated int // NTP packets
	Interleaved   int
}

func chronyServerStats(h *Host, p Program) (c chronyCounts, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	out, err := h.Output(ctx, chronyc(p), "-c", "-h", "/mnt/run/chronyd.sock", "serverstats")
	if err != nil {
		return c, err
	}
	columns := strings.Split(strings.TrimSpace(out), ",")
	const least = 9
	if len(columns) < least {
		return c, fmt.Errorf("chronyc serverstats prints other columns: %q", out)
	}
	atoi := func(i int) int { n, _ := strconv.Atoi(columns[i]); return n }
	return chronyCounts{Received: atoi(0), KE: atoi(5), Authenticated: atoi(7), Interleaved: atoi(8)}, nil
}

// auth is the condition that a source's line of authdata is as wanted.
func (f *follower) auth(name, what string, want func(*credential) bool) Condition {
	return Condition{name + " " + what, func() error {
		var list []credential
		if err := f.ask(&list, "authdata"); err != nil {
			return err
		}
		for _, a := range list {
			if a.Name == name && want(&a) {
				return nil
			}
		}
		return fmt.Errorf("authdata says %+v", list)
	}}
}

// logged is the condition that a daemon's log has all the words in a line.
func (d *Daemon) logged(words ...string) Condition {
	return Condition{fmt.Sprintf("%s logs %q", d.name, words), func() error {
		for line := range strings.Lines(d.Log()) {
			found := true
			for _, w := range words {
				found = found && strings.Contains(line, w)
			}
			if found {
				return nil
			}
		}
		return fmt.Errorf("no such line in the log of %s", d.name)
	}}
}

// counted is the condition on what a real chronyd counted.
func counted(what string, h *Host, p Program, want func(chronyCounts) bool) Condition {
	return Condition{h.Name + " counts " + what, func() error {
		c, err := chronyServerStats(h, p)
		if err == nil && !want(c) {
			err = fmt.Errorf("%+v", c)
		}
		return err
	}}
}

// TestNTSKeysOverRestarts restarts ntsbridge, which keeps keys and cookies, and
// then the real chronyd, which loses its keys: only that makes new keys.
func TestNTSKeysOverRestarts(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server, client := n.Host("chrony"), n.Host("client")
	n.Names()
	ca := newAuthority(t)
	ca.issue(server, server.Name, time.Now().Add(24*time.Hour))
	client.Write("ca.pem", ca.pem())
	more := []string{"ntsserverkey /mnt/chrony.key", "ntsservercert /mnt/chrony.crt"}
	chronyd := chronyServer(server, Chronyd46, more...)
	yaml := followerYAML("", fmt.Sprintf("sources:\n  - {server: chrony, auth: nts, trusted_certificates: %q, minpoll: 1, maxpoll: 1}\n",
		filepath.Join(client.Dir, "ca.pem")))
	f := startFollower(client, yaml)
	once := func(least int) Condition {
		return counted("one key establishment", server, Chronyd46,
			func(c chronyCounts) bool { return c.KE == 1 && c.Authenticated >= least })
	}
	Await(t, chaosLimit, append(f.combined("chrony"), once(3))...)
	f.Stop()
	saved, err := filepath.Glob(filepath.Join(client.Dir, "state/nts-sources/*"))
	if err != nil || len(saved) == 0 {
		t.Errorf("nothing was kept: %v", err)
	}
	for _, name := range saved {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	f = startFollower(client, yaml)
	Await(t, chaosLimit, append(f.combined("chrony"), once(7),
		f.auth("chrony", "has cookies", func(a *credential) bool { return a.Mode == "nts" && a.Cookies > 5 && a.KeyID == 0 }))...)

	chronyd.Stop()
	chronyServer(server, Chronyd46, more...)
	Await(t, chaosLimit, append(f.combined("chrony"), once(2),
		f.auth("chrony", "has new keys", func(a *credential) bool { return a.Mode == "nts" && a.Cookies > 5 && a.KeyID == 1 }))...)
	Await(t, chaosLimit, f.right())
}

// TestNTSNegotiation lets a real chronyd send its clients to another host for
// NTP, and offers algorithms in another order than is preferred. One server's
// certificate has expired. The way to the other host loses answers, and then
// all packets that are larger than most.
func TestNTSNegotiation(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server, client, relayHost := n.Host("chrony"), n.Host("client"), n.Host("elsewhere")
	old := n.Alias(server, expiredName)
	plain := n.Host("plain")
	n.Names()
	ca := newAuthority(t)
	for _, h := range []*Host{server, plain} {
		ca.issue(h, h.Name, time.Now().Add(24*time.Hour))
	}
	ca.issue(old, expiredName, time.Now().Add(-time.Hour))
	client.Write("ca.pem", ca.pem())
	chronyServer(server, Chronyd46, "ntsserverkey /mnt/chrony.key", "ntsservercert /mnt/chrony.crt",
		"ntsntpserver "+relayHost.IPv4.String(),
		"ntsserverkey /mnt/expired.key", "ntsservercert /mnt/expired.crt")
	chronyServer(plain, Chronyd46, "ntsserverkey /mnt/plain.key", "ntsservercert /mnt/plain.crt")
	relay := relayHost.Relay(server.IPv4)
	f := startFollower(client, followerYAML("", fmt.Sprintf(`sources:
  - {server: chrony, auth: nts, trusted_certificates: %[1]q, minpoll: 1, maxpoll: 1}
  - {server: plain, auth: nts, trusted_certificates: %[1]q, minpoll: 1, maxpoll: 1, aeads: [AES-SIV-CMAC-256, AES-128-GCM-SIV]}
  - {server: expired, auth: nts, trusted_certificates: %[1]q, minpoll: 1, maxpoll: 1}
`, filepath.Join(client.Dir, "ca.pem"))))
	Await(t, chaosLimit,
		f.line("chrony", "is asked elsewhere", func(s *sourceLine) bool { return s.answers() && s.Address == relayHost.IPv4.String() }),
		f.line("plain", "", (*sourceLine).good),
		f.line("expired", "says why", func(s *sourceLine) bool { return s.State == "unusable" && strings.Contains(s.Why, "expired") }),
		f.logged("expired", "certificate"),
		f.auth("chrony", "prefers AES-128-GCM-SIV", func(a *credential) bool { return a.Type == 30 && a.KeyLength == 128 }),
		f.auth("plain", "uses AES-SIV-CMAC-256", func(a *credential) bool { return a.Type == 15 && a.KeyLength == 256 }))
	// Answers are lost, so that cookies run short.
	relay.Set(Mischief{Silent: true})
	Await(t, chaosLimit, relay.asked("silent relay", 5))
	// A request with one cookie passes.
	relay.Set(Mischief{MaxSize: 300})
	Await(t, chaosLimit, f.line("chrony", "is reached by small packets", func(s *sourceLine) bool { return s.answers() }))
}
