package interop

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// longVariable asks for the tests that take minutes (make interop-long).
const longVariable = "NTSBRIDGE_INTEROP_LONG"

func requireLong(t *testing.T) {
	t.Helper()
	if os.Getenv(longVariable) != "1" {
		t.Skipf("takes minutes: set %s=1, or run make interop-long", longVariable)
	}
	t.Parallel()
}

const longLimit = 5 * time.Minute

// keyRole is a role with a symmetric key.
func keyRole(h *Host, kind string, id uint32) role {
	h.Write("keys", ntpKeys)
	return role{Kind: kind, Local: h.IPv4, Keys: filepath.Join(h.Dir, "keys"), KeyID: id, Poll: 3}
}

// autokeyRole is a role with Autokey and a trusted certificate.
func autokeyRole(h *Host, kind string) role {
	keygen(h, "-p", serverPassword, "-T")
	return role{Kind: kind, Local: h.IPv4, KeysDir: filepath.Join(h.Dir, "autokey"), Host: h.Name, Password: serverPassword, Poll: 3}
}

// broadcastAddress is that of the networks of NewNetwork.
var broadcastAddress = netip.MustParseAddr("10.123.0.255")

// hears tells the kernel the broadcast address, which ntpd asks it for, and
// where multicast groups are, without which ntpd cannot join one.
func hears(h *Host) {
	h.t.Helper()
	if err := h.Do(func() error {
		return ip(fmt.Sprintf("addr del %[1]s/24 dev eth0\naddr add %[1]s/24 brd %[2]s dev eth0\nroute add 224.0.0.0/4 dev eth0\n",
			h.IPv4, broadcastAddress))
	}); err != nil {
		h.t.Fatal(err)
	}
}

// TestLongBroadcast runs broadcasts and multicasts with keys in both
// directions between ntsbridge and real ntpds.
func TestLongBroadcast(t *testing.T) {
	requireLong(t)
	type pairing struct {
		name        string
		destination string // as in ntp.conf
		listen      string // line of a listening ntpd
		key         uint32
	}
	var conditions []Condition
	for i, c := range []pairing{
		{"broadcast", "10.123.0.255", "broadcastclient", 1},
		{"multicast", "224.0.1.1", "multicastclient 224.0.1.1", 2},
		{"multicast over IPv6", "ff05::101", "multicastclient ff05::101", 3},
	} {
		// Each on a wire of its own: everybody there hears the broadcasts.
		n := NewNetwork(t)
		theirs, ours := n.Host("theirs"), n.Host("ours")
		n.Names()
		peered(theirs, fmt.Sprintf("broadcast %s key %d minpoll 3 maxpoll 3 ttl 2", c.destination, c.key))
		r := keyRole(ours, "broadcast-client", c.key)
		r.Destination = netip.MustParseAddr(c.destination)
		conditions = append(conditions, samples(c.name+" of ntpd", associate(ours, r), 4, "symmetric", "broadcast=true"))

		m := NewNetwork(t)
		sender, listener := m.Host("sender"), m.Host("listener")
		m.Names()
		r = keyRole(sender, "broadcast-server", c.key)
		r.Destination = netip.MustParseAddr(c.destination)
		if r.Destination.Is6() {
			r.Local = sender.IPv6
		}
		hears(listener)
		associate(sender, r)
		peered(listener, c.listen)
		conditions = append(conditions, reaches(fmt.Sprintf("ntpd %d listening to our %s", i, c.name), listener))
	}
	Await(t, longLimit, conditions...)
}

// TestLongBroadcastAutokey follows a real ntpd and ntsbridge with Autokey; a
// real ntpd finishes the exchange with ntsbridge and then drops all
// broadcasts, as it does with its own kind.
func TestLongBroadcastAutokey(t *testing.T) {
	requireLong(t)
	n := NewNetwork(t)
	theirs, ours := n.Host("theirs"), n.Host("ours")
	n.Names()
	keygen(theirs, "-p", serverPassword, "-T")
	classicServer(theirs, fmt.Sprintf("broadcast %s autokey minpoll 4 maxpoll 4\n", broadcastAddress))
	real := associate(ours, autokeyRole(ours, "broadcast-client"))

	m := NewNetwork(t)
	sender, listener, ntpd := m.Host("sender"), m.Host("listener"), m.Host("ntpd")
	m.Names()
	r := autokeyRole(sender, "broadcast-server")
	r.Destination = broadcastAddress
	associate(sender, r)
	own := associate(listener, autokeyRole(listener, "broadcast-client"))
	hears(ntpd)
	keygen(ntpd, "-p", clientPassword)
	ntpd.Write("drift", "0.000\n")
	ntpd.Write("ntp.conf", fmt.Sprintf("broadcastclient\nkeysdir /mnt/autokey\ncrypto pw %s\n%s", clientPassword, ntpdConf))
	ntpd.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")

	Await(t, longLimit,
		samples("broadcasts of ntpd", real, 6, "autokey", "broadcast=true", "flags=0x87f03"),
		samples("our own broadcasts", own, 10, "autokey", "broadcast=true", "7f03"),
		Condition{"exchange of ntpd with us", func() error {
			a, err := QueryNTPD(ntpd)
			if err == nil && a.Flags&flagsTC != flagsTC {
				err = fmt.Errorf("flags %#x", a.Flags)
			}
			return err
		}},
	)
}

// TestLongClient keeps Autokey associations with a real ntpd going through
// many key lists and refreshes, and through restarts of the ntpd.
func TestLongClient(t *testing.T) {
	requireLong(t)
	n := NewNetwork(t)
	tick, lists, fresh := n.Host("tick"), n.Host("lists"), n.Host("fresh")
	n.Names()
	keygen(tick, "-p", serverPassword, "-T")
	server := classicServer(tick, "")
	r := autokeyRole(lists, "client")
	r.Peer, r.Automax = tick.IPv4, 6 // nine keys of 8 s
	a := associate(lists, r)
	r = autokeyRole(fresh, "client")
	r.Peer, r.Local, r.Refresh = tick.IPv6, fresh.IPv6, 40*time.Second
	b := associate(fresh, r)
	Await(t, longLimit,
		samples("several key lists", a, 30, "flags=0x87f0", "restarts=0"),
		samples("refresh", b, 1, "flags=0x87f03", "restarts=2"),
	)
	server.Stop()
	t.Log("ntpd stopped")
	Await(t, longLimit, Condition{"polls without an answer", func() error {
		if n := strings.Count(b.Log(), "failure: no"); n < 2 {
			return fmt.Errorf("%d", n)
		}
		return nil
	}})
	seenA, seenB := count(a), count(b)
	classicServer(tick, "")
	t.Log("ntpd started again")
	Await(t, longLimit,
		samples("key lists over the restart", a, seenA+12, "restarts=0"),
		samples("refreshes over the restart", b, seenB+8, "flags="),
	)
}

// count returns how many samples a role printed.
func count(d *Daemon) int {
	n := 0
	for samples("", d, n+1).Check() == nil {
		n++
	}
	return n
}
