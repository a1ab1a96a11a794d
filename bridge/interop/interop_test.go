package interop

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

// limit is for clients to come to their final state. Autokey needs one poll
// of 8 s for each of its steps.
const limit = 150 * time.Second

// TestAllKindsAtOnce runs clients of every kind against one running server, at
// the same time, and beside them those that must be refused.
func TestAllKindsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hosts := map[string]*Host{}
	for _, name := range []string{
		"ntpd-none", "ntpd-md5", "ntpd-sha1", "ntpd-cmac", "ntpd-tc", "ntpd-iff", "ntpd-iff-ipv6",
		"chrony43-none", "chrony43-sha1", "chrony43-cmac", "chrony43-nts",
		"chrony46-sha1", "chrony46-cmac-ipv6", "chrony46-nts15", "chrony46-nts30",
		"ntpsec-cmac", "ntpsec-nts", "ntpd-rs-nts",
		"wrong-key", "wrong-group", "expired-nts", "forger",
	} {
		hosts[name] = s.Host(name)
	}
	s.Names()
	wire, ntsWire := s.host.Record(), s.nts.Record()
	s.Start()
	ipv6 := s.host.IPv6.String()
	group := s.group.File(serverName)

	// The slowest first.
	clients := []*Client{
		ntpdAutokeyClient(hosts["ntpd-tc"], serverName, "", ""),
		ntpdAutokeyClient(hosts["ntpd-iff"], serverName, serverName, group),
		ntpdAutokeyClient(hosts["ntpd-iff-ipv6"], ipv6, serverName, group),
		ntpdClient(hosts["ntpd-none"], serverName, "", ""),
		ntpdKeyClient(hosts["ntpd-md5"], serverName, 1, ntpKeys),
		ntpdKeyClient(hosts["ntpd-sha1"], serverName, 2, ntpKeys),
		ntpdKeyClient(hosts["ntpd-cmac"], serverName, 3, ntpKeys),
		chronyClient(hosts["chrony43-none"], Chronyd43, serverName, ""),
		chronyKeyClient(hosts["chrony43-sha1"], Chronyd43, serverName, 2),
		chronyKeyClient(hosts["chrony43-cmac"], Chronyd43, serverName, 3),
		chronyNTSClient(hosts["chrony43-nts"], Chronyd43, ntsName, s.ca, 15, 256),
		chronyKeyClient(hosts["chrony46-sha1"], Chronyd46, serverName, 2, "xleave"),
		chronyKeyClient(hosts["chrony46-cmac-ipv6"], Chronyd46, ipv6, 3),
		chronyNTSClient(hosts["chrony46-nts15"], Chronyd46, ntsName, s.ca, 15, 256, "ntsaeads 15"),
		// One port for all requests, so that replays reach it.
		chronyNTSClient(hosts["chrony46-nts30"], Chronyd46, ntsName, s.ca, 30, 128, "acquisitionport 123"),
		ntpsecClient(hosts["ntpsec-cmac"], serverName, "key 3"),
		ntpsecNTSClient(hosts["ntpsec-nts"], ntsName, s.ca),
		ntpdrsClient(hosts["ntpd-rs-nts"], ntsName, s.ca),
	}
	stranger := s.group
	stranger.V = stranger.G // of the same group and file time, but another key
	refused := []*Client{
		refusedKeyClient(hosts["wrong-key"]),
		refusedGroupClient(hosts["wrong-group"], stranger.File(serverName)),
		refusedCertificateClient(hosts["expired-nts"], s.ca),
	}
	conditions := []Condition{
		{"forged NTS cookie", func() error { return forgedNTSCookie(hosts["forger"], s.nts) }},
		{"forged Autokey cookie", func() error { return forgedAutokeyCookie(hosts["forger"], s.host) }},
		{"forged symmetric MAC", func() error { return forgedMAC(hosts["forger"], s.host) }},
	}
	for _, c := range append(clients, refused...) {
		conditions = append(conditions, c.Condition())
	}
	Await(t, limit, conditions...)

	replay(t, ntsWire, s.nts, hosts["chrony46-nts30"], func() (int, error) {
		c, err := QueryChronyd(hosts["chrony46-nts30"], Chronyd46)
		return c.RX - c.ValidRX, err
	})
	replay(t, wire, s.host, hosts["ntpd-sha1"], rejected(hosts["ntpd-sha1"]))
	replay(t, wire, s.host, hosts["ntpd-iff"], rejected(hosts["ntpd-iff"]))

	// The good are still good, and the refused have not slipped in.
	Await(t, limit, conditions...)
	amplified(t, wire)
	amplified(t, ntsWire)
	Await(t, 10*time.Second, Condition{"counters", func() error { return countersTell(s) }})
}

// countersTell checks that the server counted everybody, good and refused.
func countersTell(s *site) error {
	c, err := s.Counters()
	if errors.Is(err, errNoCounters) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, want := range []struct{ kind, reason string }{
		{"none", "ok"}, {"symmetric", "ok"}, {"autokey", "ok"}, {"nts", "ok"},
		{"symmetric", "bad-mac"}, {"nts", "unknown-cookie"}, {"autokey", "unknown-cookie"},
	} {
		if c.Count(want.kind, want.reason) == 0 {
			return fmt.Errorf("no request of kind %s with reason %s was counted: %+v", want.kind, want.reason, c)
		}
	}
	if c.Interleaved == 0 {
		return fmt.Errorf("chronyd with xleave was not answered in interleaved mode: %+v", c)
	}
	// A client that does not like the certificate says so in a TLS alert, or
	// just hangs up.
	if c.KE["agreed"] == 0 || c.KE["handshake-alert"]+c.KE["handshake-left"] == 0 {
		return fmt.Errorf("key establishments, good and with the expired certificate, were not counted: %+v", c)
	}
	return nil
}

// TestTakeover lets a real ntpd serve Autokey, symmetric-key and plain
// clients, replaces it by the server under test with the same files at the
// same address, restarts that, and wants every client to go on untouched.
func TestTakeover(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hosts := map[string]*Host{}
	for _, name := range []string{"ntpd-tc", "ntpd-iff", "ntpd-iff-ipv6", "ntpd-none", "ntpd-md5", "ntpd-sha1", "ntpd-cmac"} {
		hosts[name] = s.Host(name)
	}
	s.Names()
	old := startNTPD(s.host)
	group := s.group.File(serverName)
	clients := []*Client{
		ntpdAutokeyClient(hosts["ntpd-tc"], serverName, "", ""),
		ntpdAutokeyClient(hosts["ntpd-iff"], serverName, serverName, group),
		ntpdAutokeyClient(hosts["ntpd-iff-ipv6"], s.host.IPv6.String(), serverName, group),
		ntpdClient(hosts["ntpd-none"], serverName, "", ""),
		ntpdKeyClient(hosts["ntpd-md5"], serverName, 1, ntpKeys),
		ntpdKeyClient(hosts["ntpd-sha1"], serverName, 2, ntpKeys),
		ntpdKeyClient(hosts["ntpd-cmac"], serverName, 3, ntpKeys),
	}
	var good []Condition
	for _, c := range clients {
		good = append(good, c.Condition())
	}
	Await(t, limit, good...)

	old.Stop()
	s.Start()
	t.Log("the real ntpd stopped, its successor started")
	Await(t, limit, served(clients, 3, 0b111)...)
	if c, err := s.Counters(); err == nil && c.Autokey.ForeignSeed == 0 {
		t.Errorf("no packet was counted under a cookie of the real ntpd: %+v", c)
	} else if err != nil && !errors.Is(err, errNoCounters) {
		t.Error(err)
	}

	s.Stop()
	s.Start()
	t.Log("the successor restarted")
	Await(t, limit, served(clients, 3, 0xff)...)
	Await(t, limit, good...)
}

// served are conditions that each client took time from the server at so many
// moments after now, and that its reach register has at least these bits.
func served(clients []*Client, times int, reach uint8) []Condition {
	var conditions []Condition
	for _, c := range clients {
		seen := map[string]bool{}
		first := true
		conditions = append(conditions, Condition{c.Host.Name, func() error {
			if err := c.Alive(); err != nil {
				return err
			}
			a, err := QueryNTPD(c.Host)
			if err != nil {
				return err
			}
			if first { // that one is from before
				seen[a.Received], first = true, false
			}
			seen[a.Received] = true
			if len(seen) <= times || a.Reach&reach != reach {
				return fmt.Errorf("took time %d times, reach %o, auth %s, flags %#x; want %d times, reach with %o", len(seen)-1, a.Reach,
					a.Auth, a.Flags, times, reach)
			}
			return nil
		}})
	}
	return conditions
}
