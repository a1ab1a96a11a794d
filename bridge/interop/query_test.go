package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// relay passes NTP packets between clients, which send them to port 123 of a
// host, and a server. What pass returns goes on, in the direction to the
// server or back; none: the packet is lost.
func relay(h *Host, server netip.Addr, pass func(p []byte, back bool) [][]byte) {
	h.t.Helper()
	var front *net.UDPConn
	if err := h.Do(func() (err error) {
		front, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(h.IPv4, ntpPort)))
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
	var mu sync.Mutex
	behind := map[netip.AddrPort]*net.UDPConn{} // a socket for each client
	h.t.Cleanup(func() {
		front.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, c := range behind {
			c.Close()
		}
	})
	connect := func(client netip.AddrPort) (*net.UDPConn, error) {
		mu.Lock()
		defer mu.Unlock()
		if c := behind[client]; c != nil {
			return c, nil
		}
		var c *net.UDPConn
		err := h.Do(func() (err error) {
			c, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(server, ntpPort)))
			return err
		})
		if err != nil {
			return nil, err
		}
		behind[client] = c
		go copyPackets(c.Read, func(p []byte) { front.WriteToUDPAddrPort(p, client) }, func(p []byte) [][]byte { return pass(p, true) })
		return c, nil
	}
	go func() {
		buf := make([]byte, 2048)
		for {
			n, client, err := front.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			c, err := connect(client)
			if err != nil {
				continue
			}
			for _, p := range pass(buf[:n], false) {
				c.Write(p)
			}
		}
	}()
}

func copyPackets(read func([]byte) (int, error), write func([]byte), pass func([]byte) [][]byte) {
	buf := make([]byte, 2048)
	for {
		n, err := read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		for _, p := range pass(buf[:n]) {
			write(p)
		}
	}
}

// ntsChronyd starts a chronyd with NTS on a host; its NTS-KE names the NTP
// server, if it is given.
func ntsChronyd(ca *authority, h *Host, ntpServer string) *Daemon {
	h.t.Helper()
	ca.issue(h, h.Name, time.Now().Add(24*time.Hour))
	h.Write("run/keep", "")
	more := ""
	if ntpServer != "" {
		more = "ntsntpserver " + ntpServer
	}
	h.Write("chrony-keys", chronyKeys)
	h.Write("chrony.conf", fmt.Sprintf(`local stratum 3
allow all
ntsserverkey /mnt/%s.key
ntsservercert /mnt/%s.crt
ntsdumpdir /mnt/run
keyfile /mnt/chrony-keys
bindcmdaddress /mnt/run/chronyd.sock
pidfile /mnt/run/chronyd.pid
cmdport 0
%s
`, h.Name, h.Name, more))
	return h.Start("chronyd", Chronyd46, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")
}

// caused is the condition that a query fails for a cause, or not at all.
func caused(name string, h *Host, cause source.Cause, words string, args ...string) Condition {
	return Condition{name, func() error {
		r, err := queryOn(h, 20*time.Second, args...)
		if err != nil {
			return err
		}
		if r.Cause != string(cause) || !strings.Contains(r.Explanation, words) || len(r.Warnings) > 0 {
			return fmt.Errorf("cause %q, want %q: %s", r.Cause, cause, r.Explanation)
		}
		return nil
	}}
}

// TestQueryCauses lets real servers, and ways with something on them, fail a
// query in every way that takes a network.
func TestQueryCauses(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	host := map[string]*Host{}
	for _, name := range []string{"client", "good", "via-filter", "filter", "via-answers", "answers", "via-nothing", "nothing",
		"via-forger", "forger", "via-other", "via-classic", "classic", "via-refused", "twice", "hole"} {
		host[name] = n.Host(name)
	}
	client, good := host["client"], host["good"]
	n.Alias(good, "alias")
	n.Names()
	// What this host sends back is lost.
	n.must(host["hole"].Do(func() error { return ip(fmt.Sprintf("route add blackhole %s/32\n", client.IPv4)) }))
	ca := newAuthority(t)
	client.Write("ca.pem", ca.pem())
	client.Write("keys", strings.ReplaceAll(ntpKeys, "1 MD5", "77 MD5"))
	stranger := newAuthority(t)
	client.Write("stranger.pem", stranger.pem())

	ntsChronyd(ca, good, "")
	for via, to := range map[string]string{
		"via-filter": "filter", "via-answers": "answers", "via-nothing": "nothing", "via-forger": "forger",
		"via-other": "good", "via-classic": "classic", "via-refused": "client",
	} {
		// Names are for the client to look up; an address has no need of it.
		ntsChronyd(ca, host[via], host[to].IPv4.String())
	}
	startPlainNTPD(host["classic"])
	relay(host["filter"], host["via-filter"].IPv4, func(p []byte, back bool) [][]byte {
		if len(p) > 90 {
			return nil
		}
		return [][]byte{p}
	})
	relay(host["answers"], host["via-answers"].IPv4, func(p []byte, back bool) [][]byte {
		if back && len(p) > 90 {
			return nil
		}
		return [][]byte{p}
	})
	relay(host["nothing"], good.IPv4, func([]byte, bool) [][]byte { return nil })
	relay(host["forger"], host["via-forger"].IPv4, func(p []byte, back bool) [][]byte {
		if back && len(p) > ntp.HeaderLen {
			p[33]++ // a second later, or so
		}
		return [][]byte{p}
	})
	relay(host["twice"], good.IPv4, func(p []byte, back bool) [][]byte {
		if !back {
			return [][]byte{p}
		}
		q := append([]byte(nil), p...)
		q[43]++
		return [][]byte{p, q}
	})

	nts := func(name string, more ...string) []string {
		return append(append([]string{"--auth", "nts", "--ca", filepath.Join(client.Dir, "ca.pem")}, more...), name)
	}
	Await(t, clientLimit,
		caused("NTS", client, "", "", nts("good")...),
		caused("NTS with AEAD 15", client, "", "", nts("good", "--aead", "15")...),
		caused("long requests lost", client, source.CauseSizeFilter, "up to 76 octets", nts("via-filter")...),
		caused("long answers lost", client, source.CauseSizeFilter, "do not come back", nts("via-answers")...),
		caused("all packets lost", client, source.CauseUDPFiltered, "not even", nts("via-nothing")...),
		caused("answers changed", client, source.CauseInterception, "somebody", nts("via-forger")...),
		caused("keys of another server", client, source.CauseNTSNAK, "NAK", nts("via-other")...),
		caused("no NTP server", client, source.CauseUDPRefused, "", nts("via-refused")...),
		caused("no common AEAD", client, source.CauseKEAEAD, "", nts("good", "--aead", "17")...),
		caused("no NTS-KE", client, source.CauseTCPRefused, "", nts("classic")...),
		caused("other authority", client, source.CauseUnknownAuthority, "interop", "--auth", "nts", "--ca",
			filepath.Join(client.Dir, "stranger.pem"), "good"),
		caused("other name", client, source.CauseCertificateName, `"good"`, nts("alias")...),
		caused("TCP filtered", client, source.CauseTCPFiltered, "", nts("hole")...),
		caused("UDP filtered", client, source.CauseUDPFiltered, "", "hole"),
		caused("no such host", client, source.CauseUnreachable, "", nts("10.123.0.200")...),
		caused("no such network", client, source.CauseUnreachable, "", nts("192.0.2.1")...),
		caused("key that chronyd does not know", client, source.CauseKeySilent, "none with our key",
			"--auth", "key", "--keys", filepath.Join(client.Dir, "keys"), "--key-id", "77", "good"),
		// Classic ntpd takes the end of an NTS request for a MAC.
		caused("server without NTS", client, source.CauseNTSUnprotected, "without NTS", nts("via-classic")...),
		caused("two answers", client, source.CauseInterception, "two different answers", "twice"),
	)
}

// startPlainNTPD starts a classic ntpd as a server without authentication.
func startPlainNTPD(h *Host) *Daemon {
	h.t.Helper()
	h.Write("drift", "0.000\n")
	h.Write("ntp.conf", "server 127.127.1.0 prefer minpoll 3 maxpoll 3 iburst\nfudge 127.127.1.0 stratum 3\n"+ntpdConf)
	return h.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")
}

// TestProbeRealServers checks what the search for a size filter rests on: real
// servers answer requests with an extension field that they do not know, of
// every length.
func TestProbeRealServers(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	ca := newAuthority(t)
	client := n.Host("client")
	hosts := map[string]*Host{}
	for _, name := range []string{"ntpd", "chronyd"} {
		hosts[name] = n.Host(name)
	}
	n.Names()
	startPlainNTPD(hosts["ntpd"])
	ntsChronyd(ca, hosts["chronyd"], "")
	for name, h := range hosts {
		for _, size := range []int{76, 228, 1024} {
			Await(t, clientLimit, Condition{fmt.Sprintf("%s, %d octets", name, size), func() error {
				cfg := source.ProbeConfig{Server: netip.AddrPortFrom(h.IPv4, ntpPort), Size: size, Kind: ntp.KindSymmetric,
					Wait: 300 * time.Millisecond}
				var r source.ProbeResult
				err := client.Do(func() error { r = source.Probe(context.Background(), cfg); return nil })
				if err == nil && (!r.Plain || r.Passed != size) {
					err = fmt.Errorf("%+v", r)
				}
				return err
			}})
		}
	}
}
