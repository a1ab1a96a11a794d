package control

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/ntp"
)

// reported are the reports of the snapshot with everything.
func reported() *ChronyReports {
	s := everything()
	s.Sources = s.Sources[:7] // chronyc has no word for the others
	return s.Chrony(&ServerStats{NTPReceived: 1 << 33, KEAccepted: 12, Authenticated: 34, TimestampsHeld: 5, TimestampSpan: 6,
		KernelRXTimestamps: 78})
}

// TestChronycOnTheSocket asks by the real chronyc of Debian 12 (4.3), 13 (4.6)
// and the next one (4.9), over the socket that the daemon has for it.
func TestChronycOnTheSocket(t *testing.T) {
	needs.Root(t, "run as chronyc's user")
	for release, wide := range map[string]string{"bookworm": "0", "trixie": "8589934592", "forky": "8589934592"} {
		path := filepath.Join(t.TempDir(), "chronyd.sock")
		// Not in a root of its own: both sides need the same paths for sockets.
		root := needs.Peer(t, release)
		library := filepath.Join(root, "lib/x86_64-linux-gnu")
		chronyc := []string{filepath.Join(library, "ld-linux-x86-64.so.2"), "--library-path",
			library + ":" + filepath.Join(root, "usr/lib/x86_64-linux-gnu"),
			filepath.Join(root, "usr/bin/chronyc"), "-N", "-h", path}
		if release == "forky" { // it would become _chrony, whom the machine may not have
			chronyc = append(chronyc, "-u", "root")
		}
		told, status := make(chan *Command, 100), error(nil)
		answers := &Chrony{Reports: reported, Do: func(c *Command) error { told <- c; return status }, Clients: someClients,
			Serves: func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.1") },
			MayAsk: func(a netip.Addr) bool { return a.IsLoopback() }}
		s, err := ListenChrony(path, nil, answers, hclog.NewNullLogger())
		if err != nil {
			t.Fatal(err)
		}
		ask := func(args ...string) string {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			all := append(slices.Clone(chronyc), args...)
			out, err := exec.CommandContext(ctx, all[0], all[1:]...).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v: %v: %s", release, args, err, out)
			}
			return string(out)
		}
		r, o := reported(), ReportOptions{WholeNames: true}
		var sources, tracking bytes.Buffer
		if err := WriteSources(&sources, r.Sources, o); err != nil {
			t.Fatal(err)
		}
		if err := r.Tracking.WriteText(&tracking, o); err != nil {
			t.Fatal(err)
		}
		compareLines(t, release+" sources", strings.ReplaceAll(sources.String(), "-0ns", "+0ns"),
			strings.ReplaceAll(ask("sources", "-a"), "-0ns", "+0ns"))
		compareLines(t, release+" tracking", tracking.String(), ask("tracking"))
		for command, words := range map[string][]string{
			"sourcestats":       {"time.example", "12", "7", "400"},
			"selectdata":        {"* time.example", "x nts.example"},
			"authdata":          {"NTS     2   30  128", "SK     7   13  128"},
			"activity":          {"200 OK\n6 sources online\n0 sources offline", "1 sources with unknown address"},
			"clients":           {"192.0.2.7                      12      3   6   -     5       0      0   -     -"},
			"clients -k -p 20":  {"2001:db8::9                    30      0   -   -     -      10      1   -     -"},
			"accheck 192.0.2.1": {"208 Access allowed"}, "accheck 192.0.2.2": {"209 Access denied"},
			"cmdaccheck 127.0.0.1": {"208 Access allowed"}, "cmdaccheck 10.0.0.1": {"209 Access denied"},
			"sourcename 192.0.2.1": {"time.example"},
			"manual list":          {"210 n_samples = 0"}, "dump": {"200 OK"}, "cyclelogs": {"200 OK"},
			"serverstats": {"NTP packets received       : " + wide, "NTS-KE connections accepted: 12", "Authenticated NTP packets  : 34"},
			"ntpdata": {"Remote address  : 192.0.2.1 (C0000201)", "Remote port     : 123", "Stratum         : 1",
				"Poll interval   : 6 (64 seconds)",
				"Peer delay      : 0.002000000 seconds", "Offset          : -0.000020000 seconds", "NTP tests       : 111 111 1111",
				"Authenticated   : Yes"},
		} {
			out := ask(strings.Fields(command)...)
			for _, want := range words {
				if !strings.Contains(out, want) {
					t.Errorf("%s %s: %q is not in\n%s", release, command, want, out)
				}
			}
		}
		for command, want := range map[string]string{"rtcdata": "513 RTC driver not running",
			"smoothing": "505 Facility not enabled in daemon",
			"manual on": "505 Facility not enabled in daemon", "add server 192.0.2.97 certset 3": "505 Facility not enabled in daemon",
			"add server 192.0.2.97 copy": "505 Facility not enabled in daemon"} {
			out, _ := exec.Command(chronyc[0], append(slices.Clone(chronyc[1:]), strings.Fields(command)...)...).CombinedOutput()
			if !strings.Contains(string(out), want) {
				t.Errorf("%s %s: %s, want %s", release, command, out, want)
			}
		}
		commands := maps.Clone(writingCommands)
		maps.Copy(commands, newerCommands[release])
		for command, want := range commands {
			ask(strings.Fields(command)...)
			var got *Command
			select {
			case got = <-told:
			case <-time.After(10 * time.Second):
				t.Fatalf("%s %s: nothing was told", release, command)
			}
			if !strings.HasPrefix(got.By, "user 0, process ") {
				t.Errorf("%s %s: told by %q", release, command, got.By)
			}
			got.By = ""
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Errorf("%s %s: (-want +got)\n%s", release, command, diff)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); err == nil {
			t.Error("the socket stays")
		}
	}
}

// writingCommands are what chronyc sends of commands that change something.
var writingCommands = map[string]Command{
	"online":                       {Name: CommandOnline},
	"offline 192.0.2.1":            {Name: CommandOffline, Source: "192.0.2.1"},
	"offline 192.0.2.1/32":         {Name: CommandOffline, Source: "192.0.2.1"},
	"burst 2/4":                    {Name: CommandBurst, Good: 2, Max: 4},
	"burst 3/5 192.0.2.1":          {Name: CommandBurst, Source: "192.0.2.1", Good: 3, Max: 5},
	"onoffline":                    {Name: CommandOnOffline},
	"makestep":                     {Name: CommandMakeStep},
	"rekey":                        {Name: CommandRekey},
	"refresh":                      {Name: CommandRefresh},
	"reset sources":                {Name: CommandReset},
	"reload sources":               {Name: CommandReload},
	"shutdown":                     {Name: CommandShutdown},
	"allow 10.0.0.0/8":             {Name: CommandAllow, Source: "10.0.0.0/8"},
	"allow all 2001:db8::/32":      {Name: CommandAllow, Source: "2001:db8::/32", All: true},
	"deny":                         {Name: CommandDeny},
	"deny all 10.1.2.3":            {Name: CommandDeny, Source: "10.1.2.3/32", All: true},
	"delete 192.0.2.1":             {Name: CommandDelete, Source: "192.0.2.1"},
	"minpoll 192.0.2.1 4":          {Name: CommandModify, Source: "192.0.2.1", Options: map[string]any{"minpoll": 4}},
	"maxpoll 192.0.2.1 9":          {Name: CommandModify, Source: "192.0.2.1", Options: map[string]any{"maxpoll": 9}},
	"minstratum 192.0.2.1 3":       {Name: CommandModify, Source: "192.0.2.1", Options: map[string]any{"min_stratum": 3}},
	"maxdelay 192.0.2.1 0.125":     {Name: CommandModify, Source: "192.0.2.1", Options: map[string]any{"max_delay": "125ms"}},
	"maxdelayratio 192.0.2.1 2":    {Name: CommandModify, Source: "192.0.2.1", Options: map[string]any{"max_delay_ratio": 2.0}},
	"maxdelaydevratio 192.0.2.1 3": {Name: CommandModify, Source: "192.0.2.1", Options: map[string]any{"max_delay_dev_ratio": 3.0}},
	"add server 192.0.2.99 iburst minpoll 4 maxpoll 5 key 7": {Name: CommandAdd, Source: "192.0.2.99",
		Options: map[string]any{"mode": "client", "port": 123, "minpoll": 4, "maxpoll": 5, "iburst": true, "auth": "symmetric", "key": 7}},
	"add pool localhost nts prefer maxsources 3 xleave offset 0.5": {Name: CommandAdd, Source: "localhost",
		Options: map[string]any{"mode": "pool", "port": 123, "minpoll": 6, "maxpoll": 10, "max_sources": 3, "auth": "nts", "nts_port": 4460,
			"prefer": true, "interleaved": true, "offset": 0.5}},
	"add peer 192.0.2.98 version 3 maxdelay 0.5 presend 6": {Name: CommandAdd, Source: "192.0.2.98",
		Options: map[string]any{"mode": "peer", "port": 123, "minpoll": 6, "maxpoll": 10, "version": 3,
			"max_delay": "500ms", "presend": 6}},
	"add server localhost minstratum 3 asymmetry 0.25 maxdelayratio 2 maxdelaydevratio 3 noselect trust require burst port 77": {Name: CommandAdd,
		Source: "localhost", Options: map[string]any{"mode": "client", "port": 77, "minpoll": 6, "maxpoll": 10, "min_stratum": 3,
			"asymmetry": 0.25, "max_delay_ratio": 2.0, "max_delay_dev_ratio": 3.0, "noselect": true, "trust": true, "require": true,
			"burst": true}},
	"add server localhost polltarget 7 minsamples 9 maxsamples 10 filter 11 mindelay 0.5 auto_offline": {Name: CommandAdd,
		Source: "localhost", Options: map[string]any{"mode": "client", "port": 123, "minpoll": 6, "maxpoll": 10},
		Without: []string{"polltarget", "minsamples", "maxsamples", "filter", "mindelay", "auto_offline"}},
}

// newerCommands are those that chronyc has since.
var newerCommands = map[string]map[string]Command{
	"trixie": {
		"add server localhost ipv4 maxdelayquant 0.5 extfield F323": {Name: CommandAdd, Source: "localhost",
			Options: map[string]any{"mode": "client", "port": 123, "minpoll": 6, "maxpoll": 10, "family": "ipv4"},
			Without: []string{"maxdelayquant", "extfield"}},
	},
	"forky": {
		"add server localhost ipv6 maxdelayquant 0.5 extfield F324": {Name: CommandAdd, Source: "localhost",
			Options: map[string]any{"mode": "client", "port": 123, "minpoll": 6, "maxpoll": 10, "family": "ipv6"},
			Without: []string{"maxdelayquant", "extfield"}},
		"add server localhost ipv4 maxunreach 9 maxntsretry 5": {Name: CommandAdd, Source: "localhost",
			Options: map[string]any{"mode": "client", "port": 123, "minpoll": 6, "maxpoll": 10, "family": "ipv4"},
			Without: []string{"maxunreach", "maxntsretry"}},
	},
}

func someClients() []ChronyClient {
	now := time.Now()
	return []ChronyClient{
		{Addr: netip.MustParseAddr("192.0.2.7"), Hits: 12, Drops: 3, KEHits: 4, Last: now.Add(-5500 * time.Millisecond),
			LastKE: now.Add(-2500 * time.Millisecond), Interval: 64 * time.Second},
		{Addr: netip.MustParseAddr("2001:db8::9"), Hits: 30, KEHits: 10, KEDrops: 1},
	}
}

// A report on a source has the reference identifier that it would be, by which
// monitors tell sources apart; of one that was never measured nothing is known
// in chronyd's figures.
func TestChronySourceStatsPacket(t *testing.T) {
	r := &ChronyReports{SourceStats: []SourceStats{
		{Name: "a.example", Address: "192.0.2.9", Samples: 5, Deviation: 0.25, Skew: 1, Error: 0.5},
		{Name: "192.0.2.10", Address: "192.0.2.10"}}}
	c := Chrony{Reports: func() *ChronyReports { return r }}
	for index, want := range []struct {
		id                     uint32
		deviation, skew, error float64
	}{{0xc0000209, 0.25, 1, 0.5}, {0xc000020a, 4, 2000, 0}} {
		request := make([]byte, 84)
		copy(request, []byte{chronyProtocol, chronyRequest, 0, 0, 0, askStats})
		request[chronyRequestLen+3] = byte(index)
		reply := c.Respond(request, true)
		if len(reply) != 84 {
			t.Fatalf("reply %x", reply)
		}
		word := func(at int) uint32 { return binary.BigEndian.Uint32(reply[chronyReplyLen+at:]) }
		if word(0) != want.id || parseChronyFloat(word(36)) != want.deviation || parseChronyFloat(word(44)) != want.skew ||
			parseChronyFloat(word(52)) != want.error {
			t.Errorf("%d: %x", index, reply[chronyReplyLen:])
		}
	}
}

// A list of clients is read in parts, and begun anew when somebody asks.
func TestChronyClients(t *testing.T) {
	counted := make([]ChronyClient, 20)
	for i := range counted {
		counted[i] = ChronyClient{Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), Hits: uint64(i)}
	}
	c := Chrony{Clients: func() []ChronyClient { return slices.Clone(counted) }}
	hits := func(reset byte) (all []uint32) {
		t.Helper()
		for next := uint32(0); next < 20; {
			request := make([]byte, 520)
			copy(request, []byte{chronyProtocol, chronyRequest, 0, 0, 0, askClients})
			copy(request[chronyRequestLen:], []byte{0, 0, 0, byte(next), 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, reset})
			reply := c.Respond(request, true)
			if len(reply) != 520 || reply[7] != tellClients {
				t.Fatalf("reply %x", reply)
			}
			words := reply[chronyReplyLen:]
			next = binary.BigEndian.Uint32(words[4:])
			for i := range binary.BigEndian.Uint32(words[8:]) {
				all = append(all, binary.BigEndian.Uint32(words[12+chronyClientLen*i+chronyAddressLen:]))
			}
		}
		return all
	}
	if all := hits(1); len(all) != 20 || all[19] != 19 {
		t.Errorf("hits %v", all)
	}
	counted[3].Hits += 5
	if all := hits(1); all[19] != 0 || all[3] != 5 {
		t.Errorf("after a reset %v", all)
	}
	counted[3].Hits++
	if all := hits(0); all[3] != 1 {
		t.Errorf("after the second reset %v", all)
	}
}

// Over the network only a few commands are answered, and nothing changes.
func TestChronyOverTheNetwork(t *testing.T) {
	c := Chrony{Reports: reported, Do: func(*Command) error { t.Error("somebody told"); return nil }, Clients: someClients}
	open := []byte{askNothing, askLogon, askSources, askSource, askTracking, askStats, askRTC, askManualList,
		askActivity, askSmoothing, askName}
	for command := range byte(90) {
		request := make([]byte, 520)
		copy(request, []byte{chronyProtocol, chronyRequest, 0, 0, 0, command})
		reply := c.Respond(request, false)
		if status := chronyStatus(reply[9]); (status == chronyUnauth || status == chronyInvalid) == slices.Contains(open, command) {
			t.Errorf("command %d: status %d", command, status)
		}
	}
}

// A reply is never longer than what asked for it, and what is no request has
// none.
func FuzzRespondChrony(f *testing.F) {
	for command := range byte(80) {
		request := make([]byte, 520)
		copy(request, []byte{chronyProtocol, chronyRequest, 0, 0, 0, command, 0, 0, 1, 2, 3, 4})
		f.Add(request)
		f.Add(request[:chronyRequestLen+int(command)])
		copy(request[chronyRequestLen:], chronyIP(netip.MustParseAddr("192.0.2.1")))
		f.Add(request)
	}
	f.Add([]byte{5, 1, 0, 0, 0, 33, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	reports := reported()
	c := Chrony{Reports: func() *ChronyReports { return reports }, Do: func(*Command) error { return nil }, Clients: someClients}
	f.Fuzz(func(t *testing.T, request []byte) {
		reply := c.Respond(request, true)
		if reply == nil {
			return
		}
		if len(reply) > max(len(request), chronyReplyLen) || !bytes.Equal(reply[16:20], request[8:12]) ||
			!bytes.Equal(reply[4:6], request[4:6]) {
			t.Errorf("%x is answered by %x", request, reply)
		}
	})
}

// Without sources and counters every question has an answer.
func TestChronyOfNothing(t *testing.T) {
	s := &Snapshot{At: viewed, Served: &ntp.ClockState{Leap: ntp.LeapUnknown, Stratum: ntp.StratumUnsynchronised}}
	c := Chrony{Reports: func() *ChronyReports { return s.Chrony(nil) }}
	for command := range byte(80) {
		request := make([]byte, 520)
		copy(request, []byte{chronyProtocol, chronyRequest, 0, 0, 0, command})
		if reply := c.Respond(request, true); len(reply) < chronyReplyLen {
			t.Errorf("command %d: reply %x", command, reply)
		}
	}
}
