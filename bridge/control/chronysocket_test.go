package control

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

// TestChronycOnTheSocket asks by the real chronyc of Debian 12 (4.3) and 13
// (4.6), over the socket that the daemon has for it.
func TestChronycOnTheSocket(t *testing.T) {
	peers := os.Getenv("NTSBRIDGE_PEERS")
	if peers == "" || os.Getuid() != 0 {
		t.Skip("needs root, and NTSBRIDGE_PEERS to be the directory of the installed peers")
	}
	for release, wide := range map[string]string{"bookworm": "0", "trixie": "8589934592"} {
		path := filepath.Join(t.TempDir(), "chronyd.sock")
		// Not in a root of its own: both sides need the same paths for sockets.
		library := filepath.Join(peers, release, "lib/x86_64-linux-gnu")
		chronyc := []string{filepath.Join(library, "ld-linux-x86-64.so.2"), "--library-path",
			library + ":" + filepath.Join(peers, release, "usr/lib/x86_64-linux-gnu"),
			filepath.Join(peers, release, "usr/bin/chronyc"), "-N", "-h", path}
		s, err := ListenChrony(path, reported, hclog.NewNullLogger())
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
			"sourcestats": {"time.example", "12", "400"},
			"selectdata":  {"* time.example", "x nts.example"},
			"authdata":    {"NTS     2   30  128", "SK     7   13  128"},
			"activity":    {"200 OK\n6 sources online\n0 sources offline", "1 sources with unknown address"},
			"serverstats": {"NTP packets received       : " + wide, "NTS-KE connections accepted: 12", "Authenticated NTP packets  : 34"},
			"ntpdata": {"Remote address  : 192.0.2.1 (C0000201)", "Remote port     : 123", "Stratum         : 1",
				"Poll interval   : 6 (64 seconds)",
				"Peer delay      : 0.002000000 seconds", "Offset          : -0.000020000 seconds", "NTP tests       : 111 111 1111",
				"Authenticated   : Yes"},
		} {
			out := ask(command)
			for _, want := range words {
				if !strings.Contains(out, want) {
					t.Errorf("%s %s: %q is not in\n%s", release, command, want, out)
				}
			}
		}
		if out, _ := exec.Command(chronyc[0], append(slices.Clone(chronyc[1:]),
			"makestep")...).CombinedOutput(); !strings.Contains(string(out), "501 Not authorised") {
			t.Errorf("%s makestep: %s", release, out)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); err == nil {
			t.Error("the socket stays")
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
	f.Fuzz(func(t *testing.T, request []byte) {
		reply := RespondChrony(func() *ChronyReports { return reports }, request)
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
	for command := range byte(lastCommand + 2) {
		request := make([]byte, 520)
		copy(request, []byte{chronyProtocol, chronyRequest, 0, 0, 0, command})
		if reply := RespondChrony(func() *ChronyReports { return s.Chrony(nil) }, request); len(reply) < chronyReplyLen {
			t.Errorf("command %d: reply %x", command, reply)
		}
	}
}
