package interop

import (
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// TestClientOptions follows real chronyds in interleaved mode, from an address
// of choice, with bursts where answers are lost, and with requests ahead of
// those that count.
func TestClientOptions(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server, client := n.Host("true"), n.Host("client")
	second := n.Alias(client, "second")
	relays := []*Host{n.Host("plain")}
	for _, name := range []string{"presend", "burst"} {
		relays = append(relays, n.Alias(relays[0], name))
	}
	n.Names()
	chronyServer(server, Chronyd46)
	var relay []*Relay
	for _, h := range relays {
		relay = append(relay, h.Relay(server.IPv4))
	}
	relay[2].Set(Mischief{Drop: 0.2})
	wire := server.Record()
	names := []string{server.IPv4.String(), server.IPv6.String(), "plain", "presend", "burst"}
	f := startFollower(client, followerYAML("", fmt.Sprintf(`sources:
  - {server: %q, minpoll: 1, maxpoll: 1, interleaved: true}
  - {server: %q, minpoll: 1, maxpoll: 1, local_address: %q}
  - {server: plain, minpoll: 2, maxpoll: 2}
  - {server: presend, minpoll: 2, maxpoll: 2, presend: 1}
  - {server: burst, minpoll: 1, maxpoll: 3, burst: true}
`, names[0], names[1], second.IPv6)))
	Await(t, chaosLimit, append(f.combined(names...),
		counted("interleaved packets", server, Chronyd46, func(c chronyCounts) bool { return c.Interleaved >= 3 }),
		// Both ask at the same times.
		Condition{"presend", func() error {
			if plain, more := relay[0].Stats().Requests, relay[1].Stats().Requests; more < plain+2 {
				return fmt.Errorf("%d requests, and %d with presend", plain, more)
			}
			return nil
		}})...)
	from := func(a netip.Addr) int {
		return len(wire.Packets(func(p Packet) bool { return p.From.Addr() == a && ntp.ModeOf(p.Payload) == ntp.ModeClient }))
	}
	if from(second.IPv6) < 3 || from(client.IPv6) != 0 || from(client.IPv4) < 3 {
		t.Errorf("%d requests from the address that was asked for, %d from the other one", from(second.IPv6), from(client.IPv6))
	}
}

// TestFollowsPeers follows symmetric peers, one over IPv6, and broadcasts of
// real ntpds. A passive association is shown, too.
func TestFollowsPeers(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	client, peer, six, caller := n.Host("client"), n.Host("peer"), n.Host("six"), n.Host("caller")
	caster := n.Host("caster")
	n.Names()
	withBroadcast(t, caster, client)
	startPeerNTPD(peer, "3", localClock+"peer client key 3 minpoll 3 maxpoll 3\n")
	startPeerNTPD(six, "2", localClock)
	startPeerNTPD(caller, "1", localClock+"peer client key 1 minpoll 3 maxpoll 3\n")
	startPeerNTPD(caster, "1", localClock+"broadcast "+network4+" key 1 minpoll 3 maxpoll 3\n")
	client.Write("keys", ntpKeys)
	f := startFollower(client, followerYAML("", fmt.Sprintf(`keys: {files: [{path: %q, format: ntp}], trusted: [all]}
passive: {enabled: true, keys: [1]}
sources:
  - {server: peer, mode: peer, auth: symmetric, key: 3, minpoll: 3, maxpoll: 3}
  - {server: %q, mode: peer, auth: symmetric, key: 2, minpoll: 3, maxpoll: 3}
  - {server: caster, mode: broadcast, auth: symmetric, key: 1, minpoll: 3, maxpoll: 3}
`, filepath.Join(client.Dir, "keys"), six.IPv6)))
	mode := func(name, mode string, good bool) Condition {
		return f.line(name, "is a "+mode, func(s *sourceLine) bool { return s.Mode == mode && s.Reach != 0 && (s.good() || !good) })
	}
	Await(t, peeringLimit,
		mode("peer", "peer", true), mode(six.IPv6.String(), "peer", true), mode("caster", "server", true),
		mode(caller.IPv4.String(), "peer", false),
		f.auth("peer", "has its key", func(a *credential) bool { return a.Mode == "symmetric" && a.KeyID == 3 }),
		f.auth(caller.IPv4.String(), "has its key", func(a *credential) bool { return a.Mode == "symmetric" && a.KeyID == 1 }),
		f.holds("tracking", func(k *tracking) bool { return k.Leap == 0 && k.Stratum == 5 && math.Abs(k.SystemOffset) < 0.01 }),
	)
}

// TestKissCodes obeys a real ntpd that limits the rate and a real ntpd-rs that
// denies: the one is asked less often, the other not at all until a reload.
func TestKissCodes(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	client, limited, denied, good := n.Host("client"), n.Host("limited"), n.Host("denied"), n.Host("good")
	n.Names()
	chronyServer(good, Chronyd46)
	limited.Write("drift", "0.000\n")
	limited.Write("ntp.conf",
		localClock+"disable kernel\ndriftfile /mnt/drift\nrestrict 127.0.0.1\nrestrict default limited kod\ndiscard average 4 minimum 2\n")
	limited.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")
	// Over IPv4 alone: on [::] ntpd-rs sees mapped addresses, which no IPv4 filter
	// of a list matches.
	rust := func(server string) *Daemon {
		denied.Write("ntp.toml", fmt.Sprintf(`[observability]
log-level = "info"
[[source]]
mode = "server"
address = %q
[source-defaults]
poll-interval-limits = { min = 2, max = 3 }
initial-poll-interval = 2
[synchronization]
minimum-agreeing-sources = 1
[[server]]
listen = "0.0.0.0:123"
%s`, good.IPv4, server))
		return denied.Start("ntp-daemon", NTPDRS, "-c", "/mnt/ntp.toml")
	}
	no := rust(fmt.Sprintf("denylist = { filter = [\"%s/32\"], action = \"deny\" }\n", client.IPv4))
	wire := denied.Record()
	requests := func() int {
		return len(wire.Packets(func(p Packet) bool { return p.From.Addr() == client.IPv4 && ntp.ModeOf(p.Payload) == ntp.ModeClient }))
	}
	names := []string{"limited", "denied", "good"}
	// What asks to be asked less often is obeyed as far as maxpoll.
	sources := strings.Replace(sourcesOf(names), "maxpoll: 1", "maxpoll: 3", 1)
	f := startFollower(client, followerYAML("", sources))
	Await(t, chaosLimit,
		f.line("limited", "is asked less often", func(s *sourceLine) bool { return s.Poll >= 2 }),
		f.line("denied", "says why", func(s *sourceLine) bool { return s.State == "unusable" && strings.Contains(s.Why, "DENY") }),
		f.logged("refuses to serve this host", "denied", "DENY"),
		f.state("good", "combined"))
	before := requests()
	f.asks(t, good, 4)
	if now := requests(); now != before || before == 0 {
		t.Errorf("%d requests after the kiss-o'-death, %d before", now-before, before)
	}
	no.Stop()
	rust("")
	if err := f.Signal(hangUp); err != nil {
		t.Fatal(err)
	}
	Await(t, chaosLimit, f.logged("reloaded"), f.state("denied", "combined"))
}

// asks waits until a chronyd was asked so many times more.
func (f *follower) asks(t *testing.T, server *Host, more int) {
	t.Helper()
	c, err := chronyServerStats(server, Chronyd46)
	if err != nil {
		t.Fatal(err)
	}
	Await(t, chaosLimit, counted("more requests", server, Chronyd46,
		func(now chronyCounts) bool { return now.Received >= c.Received+more }))
}

// statistic is a line of ntsbridge sourcestats --json.
type statistic struct {
	Name      string  `json:"name"`
	Samples   int     `json:"samples"`
	Span      int     `json:"span"`
	Offset    float64 `json:"offset"`
	Deviation float64 `json:"standard_deviation"`
}

func (f *follower) statistics() (map[string]statistic, error) {
	var list []statistic
	if err := f.ask(&list, "sourcestats"); err != nil {
		return nil, err
	}
	all := map[string]statistic{}
	for _, s := range list {
		all[s.Name] = s
	}
	return all, nil
}

// TestReloadGoesOn adds a source by a reload: what is served stays synchronised
// all the time, and what is known of the other sources stays known.
func TestReloadGoesOn(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server, client, probe := n.Host("chrony"), n.Host("client"), n.Host("probe")
	n.Names()
	ca := newAuthority(t)
	ca.issue(server, server.Name, time.Now().Add(24*time.Hour))
	client.Write("ca.pem", ca.pem())
	chronyServer(server, Chronyd46, "ntsserverkey /mnt/chrony.key", "ntsservercert /mnt/chrony.crt")
	sources := fmt.Sprintf("sources:\n  - {server: %s, minpoll: 1, maxpoll: 1}\n  - {server: chrony, auth: nts, trusted_certificates: %q, minpoll: 1, maxpoll: 1}\n",
		server.IPv4, filepath.Join(client.Dir, "ca.pem"))
	f := startFollower(client, followerYAML("", sources))
	names := []string{server.IPv4.String(), "chrony"}
	Await(t, chaosLimit, f.combined(names...)...)
	w := f.watch(probe)
	Await(t, chaosLimit, w.serves(ntp.LeapNone, 4),
		counted("requests", server, Chronyd46, func(c chronyCounts) bool { return c.Received >= 12 }))
	before, err := f.statistics()
	if err != nil {
		t.Fatal(err)
	}
	synchronised, _ := w.all()
	begin := len(synchronised)
	client.Write("ntsbridge.yaml", followerYAML("", sources+fmt.Sprintf("  - {server: %q, minpoll: 1, maxpoll: 1}\n", server.IPv6)))
	if err := f.Signal(hangUp); err != nil {
		t.Fatal(err)
	}
	more := []Condition{f.logged("reloaded"), f.right(), {"measurements go on", func() error {
		after, err := f.statistics()
		if err != nil {
			return err
		}
		for _, name := range names {
			if a, b := after[name], before[name]; a.Samples < b.Samples+3 || a.Span < b.Span+4 {
				return fmt.Errorf("%s: before the reload %+v, after it %+v", name, b, a)
			}
			// Anew it would be less.
			if after[name].Samples <= after[server.IPv6.String()].Samples {
				return permanent{fmt.Errorf("%+v", after)}
			}
		}
		return nil
	}}}
	Await(t, chaosLimit, append(more, f.combined(append(names, server.IPv6.String())...)...)...)
	served, _ := w.all()
	for _, s := range served[begin:] {
		if !s.Synchronised() || s.Header.Stratum != 4 {
			t.Fatalf("served during the reload: %+v", s.Header)
		}
	}
	if c, err := chronyServerStats(server, Chronyd46); err != nil || c.KE != 1 {
		t.Errorf("keys were made anew: %+v %v", c, err)
	}
	w.end(f)
}
