package interop

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// startAutokeyBridge starts ntsbridge as a server of Autokey clients alone,
// with the files in the folder autokey; more are further options of autokey.
func startAutokeyBridge(h *Host, more ...string) *Daemon {
	h.t.Helper()
	file, err := build()
	if err != nil {
		h.t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(h.Dir, name) }
	h.Write("ntsbridge.yaml", fmt.Sprintf(`server:
  listen: ["0.0.0.0:123", "[::]:123"]
clock:
  mode: local
  stratum: 3
autokey:
  enabled: true
  keysdir: %q
  host: %s
  password_file: %q
%snts:
  enabled: false
`, path("autokey"), h.Name, path("password"), strings.Join(more, "")))
	return h.Start("ntsbridge", Program{Path: file}, "serve", "-c", path("ntsbridge.yaml"),
		"--state-dir", path("state"), "--run-dir", path("run"))
}

// TestEverySchemeServed lets ntsbridge serve a real ntpd in every identity
// scheme, up to the last flag.
func TestEverySchemeServed(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("the server is ntsbridge; real daemons on both sides are in TestKeygenFilesLoad")
	}
	n := NewNetwork(t)
	servers, clients := map[string]*Host{}, map[string]*Host{}
	for _, p := range keygenPairs {
		servers[p.name], clients[p.name] = n.Host("s"+p.name), n.Host("c"+p.name)
	}
	n.Names()
	var good []Condition
	for _, p := range keygenPairs {
		p.makeServer(servers[p.name])
		startAutokeyBridge(servers[p.name])
	}
	for _, p := range keygenPairs {
		good = append(good, p.startClient(clients[p.name], servers[p.name]))
	}
	Await(t, limit, good...)
}

// TestLongTrialSchemes goes the way there and back with clients of the group
// schemes that TestLongTrialAndBack has not: a real ntpd, a trial in which further
// clients begin, the ntpd again, and the takeover. No client is touched.
func TestLongTrialSchemes(t *testing.T) {
	requireLong(t)
	if standsIn(t) {
		t.Skip("of ntsbridge only")
	}
	n := NewNetwork(t)
	var pairs []keygenPair
	servers, hosts := map[string]*Host{}, map[string][]*Host{}
	for _, p := range keygenPairs {
		if !slices.Contains([]string{"gq", "oldgq", "mv"}, p.name) {
			continue
		}
		pairs = append(pairs, p)
		servers[p.name] = n.Host("s" + p.name)
		hosts[p.name] = []*Host{n.Host("c" + p.name), n.Host("late" + p.name)}
	}
	n.Names()
	var clients []*Client
	begin := func(which int) {
		t.Helper()
		var begun []*Client
		for _, p := range pairs {
			begun = append(begun, p.follow(hosts[p.name][which], servers[p.name]))
		}
		clients = append(clients, begun...)
		Await(t, limit, conditionsOf(begun)...)
	}
	running := map[string]*Daemon{}
	phase := func(name string, start func(h *Host) *Daemon) {
		t.Helper()
		t.Log(name)
		for _, p := range pairs {
			if d := running[p.name]; d != nil {
				d.Stop()
			}
			running[p.name] = start(servers[p.name])
		}
		Await(t, limit, served(clients, 3, 0b111)...)
	}
	for _, p := range pairs {
		p.makeServer(servers[p.name])
	}
	phase("the ntpd", startNTPD)
	begin(0)
	phase("the trial", func(h *Host) *Daemon { return startAutokeyBridge(h, "  seed: zero-compatible\n") })
	begin(1)
	phase("the ntpd is back", startNTPD)
	phase("the takeover", func(h *Host) *Daemon {
		until := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
		return startAutokeyBridge(h, "  seed: own\n", fmt.Sprintf("  takeover: {enabled: true, until: %q}\n", until))
	})
	Await(t, limit, conditionsOf(clients)...)
}
