package control

import (
	"math"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
)

// following is a LocalSource with a discipline and a source of each state.
func following() *LocalSource {
	states := []SourceState{StateCombined, StateSelected, StateNotCombined, StateFalseticker, StateTooVariable, StateUnusable}
	var list []Association
	for i, s := range states {
		list = append(list, Association{ID: uint16(100 + i), Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}),
			123),
			Destination: netip.MustParseAddrPort("192.0.2.99:123"), HostMode: ntp.ModeClient, PeerMode: ntp.ModeServer, Stratum: 2,
			ReferenceID: 0xc6336401,
			HostPoll:    6, PeerPoll: 6, Reach: 0o377, SinceReceived: 17, Offset: -1500 * time.Microsecond, Delay: 2 * time.Millisecond,
			Jitter: 250 * time.Microsecond,
			Status: PeerStatus{Configured: true, Selection: s.Selection(false), Event: ntp.PeerReachable}})
	}
	return &LocalSource{Version: "ntsbridge", Processor: "x86_64", OS: "Linux/1", ClockSource: SourceOther,
		Tracking: func() *Tracking {
			return &Tracking{SystemOffset: 0.00125, Frequency: 12.345, Skew: 0.067, RMSOffset: 0.0005, Poll: 7}
		},
		List: func(ntp.Timestamp) []Association { return list }}
}

func TestSystemVariablesFollowTheDiscipline(t *testing.T) {
	l := following()
	want := func(clock *ntp.ClockState, status string, texts ...string) {
		t.Helper()
		text, first := systemText(t, l, clock)
		for _, w := range texts {
			if !strings.Contains(strings.ReplaceAll(text, "\r\n", " "), w) {
				t.Errorf("%q is not in %q", w, text)
			}
		}
		if got := string(hexDigits(first[4:6])); got != status {
			t.Errorf("status %s, want %s", got, status)
		}
	}
	const values = "tc=7, mintc=3, offset=-1.250000, frequency=-12.345,"
	want(localClock(), "0600", "peer=101", values, "sys_jitter=0.250000, clk_jitter=0.500, clk_wander=0.067")

	unsynchronised := localClock()
	unsynchronised.Leap = ntp.LeapUnknown
	want(unsynchronised, "c000", "stratum=16", "peer=0,", values, "sys_jitter=0.500000")

	all := l.List(0)
	all[1].ReferenceClock, l.MinPoll = true, 4
	want(localClock(), "0400", "peer=101", "mintc=4")
	all[1].Status.Selection = StateSelected.Selection(true)
	want(localClock(), "0100", "peer=101")

	l.List, l.MinPoll = nil, 0
	want(localClock(), "0700", "peer=0,", values)
	l.Tracking = func() *Tracking { return nil }
	if text, _ := systemText(t, l, localClock()); strings.Contains(text, "tc=") {
		t.Errorf("without a report: %q", text)
	}
	l.Tracking = func() *Tracking { return &Tracking{SystemOffset: math.Inf(1), Frequency: math.NaN(), Poll: -9} }
	systemText(t, l, localClock())
}

func hexDigits(b []byte) (out []byte) {
	const digits = "0123456789abcdef"
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return out
}

// TestNtpqShowsTheDiscipline lets the real ntpq ask, in a network of its own.
func TestNtpqShowsTheDiscipline(t *testing.T) {
	out := askReal(t, following(), "bullseye/usr/bin/ntpq", "-n", "-c", "peers", "-c", "associations", "-c", "rv", "127.0.0.1")
	for _, want := range []string{
		`\+192\.0\.2\.1 +198\.51\.100\.1 +2 u +\S+ +64 +377 +2\.000 +-1\.500 +0\.250`,
		`\n\*192\.0\.2\.2 `, `\n#192\.0\.2\.3 `, `\nx192\.0\.2\.4 `, `\n-192\.0\.2\.5 `, `\n 192\.0\.2\.6 `,
		`101 +9604 +yes +yes +none +sys\.peer`, `100 .*candidate`, `102 .*backup`, `103 .*falsetick`, `104 .*outlier`, `105 .*reject`,
		`sync_ntp`, `peer=101, tc=7`, `offset=-1\.250000, frequency=-12\.345`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("%s is not in\n%s", want, out)
		}
	}
}

// TestNtpqShowsAnObservedClock: what another program steers is the system peer
// that monitors look for, whether the kernel of this machine is steered or not.
func TestNtpqShowsAnObservedClock(t *testing.T) {
	clock := localClock()
	seen := Snapshot{At: time.Unix(1785509249, 0), Served: clock}
	l := &LocalSource{Version: "ntsbridge", ClockSource: SourceOther, List: func(ntp.Timestamp) []Association { return seen.Associations() }}
	if out := askReal(t, l, "bullseye/usr/bin/ntpq", "-p", "127.0.0.1"); !regexp.MustCompile(`(?m)^\*LOCAL\(0\) `).Match(out) {
		t.Errorf("no system peer in\n%s", out)
	}
	out := askReal(t, l, "bookworm-monitoring/usr/lib/nagios/plugins/check_ntp_peer", "-H", "127.0.0.1", "-W", "10", "-C", "12", "-m", "1:")
	if !regexp.MustCompile(`^NTP OK: .*stratum=3;.*truechimers=1;`).Match(out) {
		t.Errorf("check_ntp_peer says %s", out)
	}
	seen.Served.Leap = ntp.LeapUnknown
	if out := askReal(t, l, "bullseye/usr/bin/ntpq", "-p", "127.0.0.1"); !regexp.MustCompile(`No association`).Match(out) {
		t.Errorf("a clock that nobody steers is shown as\n%s", out)
	}
}

// askReal runs a program of the peers in a network of its own, where the source
// answers on port 123, and returns what it says.
func askReal(t *testing.T, l *LocalSource, program string, args ...string) []byte {
	t.Helper()
	needs.Root(t, "make a network")
	folder, program, _ := strings.Cut(program, "/")
	root := needs.Peer(t, folder)
	runtime.LockOSThread() // and never unlocked: the thread ends with its network
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 123})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		request := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(request)
			if err != nil {
				return
			}
			for _, p := range Respond(l, ntp.TimestampFromTime(time.Unix(1785509249, 0)), localClock(), request[:n]) {
				c.WriteToUDPAddrPort(p, from)
			}
		}
	}()
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, program), args...)
	cmd.Env = []string{"LD_LIBRARY_PATH=" + filepath.Join(root, "usr/lib/x86_64-linux-gnu")}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
	return out
}
