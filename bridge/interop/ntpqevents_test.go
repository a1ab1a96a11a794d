package interop

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// eventsRow is a row of ntpq's associations: reach, auth, condition, the
// last event and the count of events.
var eventsRow = regexp.MustCompile(`(?m)^ +\d+ +\d+ +[0-9a-f]{4} +yes +(.*?) *$`)

// associationRows returns the rows of all associations, as ntpq shows them.
func associationRows(h *Host) (rows []string, err error) {
	out, err := ntpq(h, "127.0.0.1", "as")
	for _, m := range eventsRow.FindAllStringSubmatch(out, -1) {
		rows = append(rows, strings.Join(strings.Fields(m[1]), " "))
	}
	return rows, err
}

// showsEvents waits until the associations of a host are as a classic ntpd shows
// them.
func showsEvents(h *Host, want ...string) Condition {
	return Condition{"associations of " + h.Name, func() error {
		rows, err := associationRows(h)
		if err == nil && strings.Join(rows, "\n") != strings.Join(want, "\n") {
			err = fmt.Errorf("%q, want %q", rows, want)
		}
		return err
	}}
}

// eventsSite has an ntpd and ntsbridge follow a server with a key, one whose key
// is another, and one that is not there.
type eventsSite struct {
	up, ours, theirs *Host
	server           *Daemon
}

func newEventsSite(t *testing.T) *eventsSite {
	n := NewNetwork(t)
	s := &eventsSite{up: n.Host("up"), ours: n.Host("ours"), theirs: n.Host("theirs")}
	n.Names()
	other := strings.ReplaceAll(ntpKeys, "0f1e", "ff1e")
	s.up.Write("keys", ntpKeys)
	s.up.Write("drift", "0.000\n")
	s.up.Write("ntp.conf", "server 127.127.1.0 prefer minpoll 3 maxpoll 3 iburst\nfudge 127.127.1.0 stratum 3\n"+
		"keys /mnt/keys\ntrustedkey 1 2 3\n"+ntpdConf)
	s.start()
	s.ours.Write("keys", other)
	startFollower(s.ours, fmt.Sprintf(`clock: {mode: discipline}
nts: {enabled: false}
keys: {files: [{path: %q, format: ntp}], trusted: [all]}
sources:
  - {server: %[2]s, auth: symmetric, key: 3, minpoll: 3, maxpoll: 3, iburst: true}
  - {server: "%[3]s", auth: symmetric, key: 2, minpoll: 3, maxpoll: 3, iburst: true}
  - {server: 10.123.0.99, minpoll: 3, maxpoll: 3, iburst: true}
`, filepath.Join(s.ours.Dir, "keys"), s.up.IPv4, s.up.IPv6))
	s.theirs.Write("keys", other)
	s.theirs.Write("drift", "0.000\n")
	s.theirs.Write("ntp.conf", fmt.Sprintf("server %s key 3 minpoll 3 maxpoll 3 iburst\nserver %s key 2 minpoll 3 maxpoll 3 iburst\n"+
		"server 10.123.0.99 minpoll 3 maxpoll 3 iburst\nkeys /mnt/keys\ntrustedkey 1 2 3\n", s.up.IPv4, s.up.IPv6)+ntpdConf)
	s.theirs.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")
	return s
}

func (s *eventsSite) start() { s.server = s.up.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf") }

// Events of associations have the names and counts of a classic ntpd in the same
// situation.
func TestNtpqEvents(t *testing.T) {
	t.Parallel()
	s := newEventsSite(t)
	want := []string{"yes ok sys.peer sys_peer 1", "no bad reject mobilize 1", "no none reject mobilize 1"}
	Await(t, limit, showsEvents(s.theirs, want...), showsEvents(s.ours, want...))
}

// A server that goes and comes back is counted as a classic ntpd does.
func TestLongNtpqEvents(t *testing.T) {
	requireLong(t)
	s := newEventsSite(t)
	for _, step := range []struct {
		change func()
		row    string
	}{
		{func() {}, "yes ok sys.peer sys_peer 1"},
		{s.server.Stop, "no ok reject unreachable 1"},
		{s.start, "yes ok sys.peer sys_peer 1"},
	} {
		step.change()
		want := []string{step.row, "no bad reject mobilize 1", "no none reject mobilize 1"}
		Await(t, limit, showsEvents(s.theirs, want...), showsEvents(s.ours, want...))
		for _, h := range []*Host{s.ours, s.theirs} {
			out, err := ntpq(h, "127.0.0.1", "rv 0")
			first, _, _ := strings.Cut(out, "\n")
			t.Logf("%s: %s %v", h.Name, first, err)
		}
	}
}
