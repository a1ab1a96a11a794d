package interop

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// network4 is the broadcast address of a Network, group4 and group6 are NTP's
// multicast groups.
const (
	network4 = "10.123.0.255"
	group4   = "224.0.1.1"
	group6   = "ff05::101"
)

// startPeering starts ntsbridge with a clock of its own at a stratum, the
// symmetric keys, and more of a configuration.
func startPeering(h *Host, stratum int, more string) *Daemon {
	h.t.Helper()
	file, err := build()
	if err != nil {
		h.t.Fatal(err)
	}
	h.Write("keys", ntpKeys)
	path := func(name string) string { return filepath.Join(h.Dir, name) }
	h.Write("ntsbridge.yaml", fmt.Sprintf(`log:
  level: debug
server:
  listen: ["0.0.0.0:123", "[::]:123"]
  workers: 4
clock:
  mode: local
  stratum: %d
keys:
  files:
    - path: %q
  trusted: [all]
nts:
  enabled: false
%s`, stratum, path("keys"), more))
	return h.Start("ntsbridge", Program{Path: file}, "serve", "-c", path("ntsbridge.yaml"),
		"--state-dir", path("state"), "--run-dir", path("run"))
}

// autokeyPeering is startPeering with the Autokey files in the folder autokey.
func autokeyPeering(h *Host, stratum int, more string) *Daemon {
	h.t.Helper()
	h.Write("password", serverPassword+"\n")
	return startPeering(h, stratum, fmt.Sprintf(`autokey:
  enabled: true
  keysdir: %q
  host: %s
  password_file: %q
%s`, filepath.Join(h.Dir, "autokey"), h.Name, filepath.Join(h.Dir, "password"), more))
}

// sourceYAML is a configuration's sources, polled every 8 s.
func sourceYAML(server, mode, more string) string {
	return fmt.Sprintf("sources:\n  - server: %q\n    mode: %s\n    %s\n    minpoll: 3\n    maxpoll: 3\n", server, mode, more)
}

// broadcastYAML is what a configuration broadcasts, every 8 s.
func broadcastYAML(items ...string) string {
	var s strings.Builder
	s.WriteString("broadcast:\n")
	for _, i := range items {
		fmt.Fprintf(&s, "  - {poll: 3, %s}\n", i)
	}
	return s.String()
}

// startPeerNTPD starts a real ntpd with the symmetric keys that are trusted,
// and no source but those that conf names.
func startPeerNTPD(h *Host, trusted, conf string) *Daemon {
	h.t.Helper()
	h.Write("drift", "0.000\n")
	h.Write("keys", ntpKeys)
	h.Write("ntp.conf", fmt.Sprintf("%s\nkeys /mnt/keys\ntrustedkey %s\n%s", conf, trusted, ntpdConf))
	return h.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")
}

// localClock makes a real ntpd synchronised by its own clock.
const localClock = "server 127.127.1.0 prefer minpoll 3 maxpoll 3 iburst\nfudge 127.127.1.0 stratum 3\n"

// peerRow is one association of ntpq -c as that is not a reference clock.
var peerRow = regexp.MustCompile(`(?m)^ *\d+ +(\d+) +([0-9a-f]{4}) +(?:yes|no) +(?:yes|no) +(\S+) `)

// associated is the condition that h's daemon has an association with a host,
// reached, authentic, in this mode of ours and one of those of the other side,
// and with these Autokey flags at least.
func associated(h *Host, with string, hmode, pmodes string, flags uint32) Condition {
	name := fmt.Sprintf("%s with %s in mode %s", h.Name, with, hmode)
	return Condition{name, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		out, err := h.Output(ctx, NTPQ, "-n", "-c", "as", "127.0.0.1")
		if err != nil {
			return err
		}
		var seen []string
		for _, row := range peerRow.FindAllStringSubmatch(out, -1) {
			text, err := h.Output(ctx, NTPQ, "-n", "-c", "rv "+row[1], "127.0.0.1")
			if err != nil {
				return err
			}
			v := shownVariables(text)
			seen = append(seen, row[0]+text)
			if len(v["srcadr"]) != 1 || v["srcadr"][0] != with || v["hmode"][0] != hmode {
				continue
			}
			got := uint32(number(flagsVariable, text, 16))
			if row[3] == "ok" && v["reach"][0] != "000" && strings.Contains(pmodes, v["pmode"][0]) && got&flags == flags {
				return nil
			}
		}
		return fmt.Errorf("no such association that is reached and authentic, peer mode %s, flags %#x: %s", pmodes, flags,
			strings.Join(seen, "\n"))
	}}
}

// TestPeers lets ntsbridge and the real ntpd be symmetric peers: both active,
// and either side passive.
func TestPeers(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("about associations of ntsbridge")
	}
	n := NewNetwork(t)
	gate, real := n.Host("gate"), n.Host("real")
	willing, caller := n.Host("willing"), n.Host("caller")
	active, hearer := n.Host("active"), n.Host("hearer")
	stateless := n.Host("stateless")
	n.Names()
	startPeering(gate, 4, sourceYAML("real", "peer", "auth: symmetric\n    key: 3"))
	startPeerNTPD(real, "3", "peer gate key 3 minpoll 3 maxpoll 3\n")
	startPeering(willing, 4, "passive:\n  enabled: true\n  keys: [2]\n")
	startPeerNTPD(caller, "2", "peer willing key 2 minpoll 3 maxpoll 3\n")
	startPeering(active, 4, sourceYAML(hearer.IPv6.String(), "peer", "auth: symmetric\n    key: 1"))
	startPeerNTPD(hearer, "1", "")
	startPeerNTPD(stateless, "1", "peer willing key 1 minpoll 3 maxpoll 3\n")
	Await(t, peeringLimit,
		associated(gate, real.IPv4.String(), "1", "1", 0),
		associated(real, gate.IPv4.String(), "1", "1", 0),
		associated(willing, caller.IPv4.String(), "2", "1", 0),
		associated(caller, willing.IPv4.String(), "1", "2", 0),
		associated(active, hearer.IPv6.String(), "1", "2", 0),
		associated(hearer, active.IPv6.String(), "2", "1", 0),
		// A key that may not begin an association is answered all the same.
		associated(stateless, willing.IPv4.String(), "1", "2", 0),
	)
	if err := ntpqShows(willing, "peers", stateless.IPv4.String()); err == nil {
		t.Error("a key that may not begin an association did")
	}
}

// peeringLimit is for everybody to come to their final state.
const peeringLimit = 90 * time.Second

// withBroadcast gives the hosts' interfaces a broadcast address and a route
// for multicast, without which the real ntpd does not listen to them.
func withBroadcast(t *testing.T, hosts ...*Host) {
	t.Helper()
	for _, h := range hosts {
		err := h.Do(func() error {
			return ip(fmt.Sprintf("addr del %s/24 dev eth0\naddr add %[1]s/24 brd + dev eth0\nroute add 224.0.0.0/4 dev eth0\n", h.IPv4))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestBroadcasts lets ntsbridge follow broadcast, and IPv4 and IPv6 multicast
// of the real ntpd, and the other way round.
func TestBroadcasts(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("about associations of ntsbridge")
	}
	n := NewNetwork(t)
	real, gate, multi, multi6 := n.Host("real"), n.Host("gate"), n.Host("multi"), n.Host("multi6")
	ear, mear, mear6, deaf := n.Host("ear"), n.Host("mear"), n.Host("mear6"), n.Host("deaf")
	n.Names()
	withBroadcast(t, real, ear, mear)
	startPeerNTPD(real, "1 2 3",
		localClock+"broadcast "+network4+" key 1 minpoll 3 maxpoll 3\nbroadcast "+group4+" key 1 minpoll 3 maxpoll 3\n"+
			"broadcast "+group6+" key 1 minpoll 3 maxpoll 3\n")
	keyed := func(key int) string { return fmt.Sprintf("auth: symmetric\n    key: %d", key) }
	startPeering(gate, 4, sourceYAML("real", "broadcast", keyed(1))+
		broadcastYAML("destination: "+network4+", key: 3", "destination: "+group4+", key: 2, ttl: 5", `destination: "`+group6+`", key: 2`))
	startPeering(multi, 4, sourceYAML("real", "broadcast", keyed(1)+"\n    group: "+group4))
	startPeering(multi6, 4, sourceYAML(real.IPv6.String(), "broadcast", keyed(1)+"\n    group: \""+group6+"\""))
	startPeering(deaf, 4, sourceYAML("real", "broadcast", keyed(2)))
	startPeerNTPD(ear, "3", "broadcastclient\n")
	startPeerNTPD(mear, "2", "multicastclient "+group4+"\n")
	startPeerNTPD(mear6, "2", "multicastclient "+group6+"\n")
	Await(t, peeringLimit,
		associated(gate, real.IPv4.String(), "6", "5", 0),
		associated(multi, real.IPv4.String(), "6", "5", 0),
		associated(multi6, real.IPv6.String(), "6", "5", 0),
		associated(ear, gate.IPv4.String(), "6", "5", 0),
		associated(mear, gate.IPv4.String(), "6", "5", 0),
		associated(mear6, gate.IPv6.String(), "6", "5", 0),
		Condition{"what gate sends", func() error { return ntpqShows(gate, "rv &2", "srcadr="+network4, "hmode=5", "bcast", "keyid=3") }},
		Condition{"packets of another key", func() error {
			out, err := ntpq(deaf, "127.0.0.1", "rv &1 reach,badauth")
			if v := shownVariables(out); err == nil && (len(v["reach"]) != 1 || v["reach"][0] != "000" || v["badauth"][0] == "0") {
				err = fmt.Errorf("not refused: %s", out)
			}
			return err
		}},
	)
}

// TestAutokeyPeersAndBroadcasts does with Autokey what real 4.2.8p15 daemons
// cannot do with one another: symmetric peers, and broadcasts that are
// followed after the exchange, those of ntsbridge and of the real ntpd.
func TestAutokeyPeersAndBroadcasts(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("about associations of ntsbridge")
	}
	n := NewNetwork(t)
	left, right, ear, realEar, real := n.Host("left"), n.Host("right"), n.Host("ear"), n.Host("realear"), n.Host(serverName)
	n.Names()
	group := autokeyServer(real).File(serverName)
	for _, h := range []*Host{left, right} {
		keygen(h, "-p", serverPassword, "-T")
	}
	for _, h := range []*Host{ear, realEar} {
		keygen(h, "-p", serverPassword)
	}
	realEar.Write("autokey/ntpkey_iffpar_"+serverName, group)
	startPeerNTPD(real, "1",
		localClock+"keysdir /mnt/autokey\ncrypto pw "+serverPassword+"\nbroadcast "+network4+" autokey minpoll 3 maxpoll 3\n")
	autokeyPeering(left, 4, sourceYAML("right", "peer", "auth: autokey")+broadcastYAML("destination: "+network4+", auth: autokey"))
	autokeyPeering(right, 4, sourceYAML("left", "peer", "auth: autokey"))
	autokeyPeering(ear, 4, sourceYAML("left", "broadcast", "auth: autokey"))
	autokeyPeering(realEar, 4, sourceYAML(serverName, "broadcast", "auth: autokey\n    ident: "+serverName))
	Await(t, peeringLimit,
		associated(left, right.IPv4.String(), "1", "1", flagsTC),
		associated(right, left.IPv4.String(), "1", "1", flagsTC),
		associated(ear, left.IPv4.String(), "6", "5", flagsTC),
		associated(realEar, real.IPv4.String(), "6", "5", flagsIFF),
		Condition{"autokey values", func() error {
			return ntpqShows(realEar, "rv &1 initsequence,timestamp,signature", "initsequence=", "initkey=0x")
		}},
	)
}
