package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// besideChrony are the reports that are compared field by field, in this order,
// with the columns of chronyc -c that must be the same where two daemons ask the
// same servers; the others must be there.
var besideChrony = []struct {
	command string
	columns []int
}{
	{"tracking", []int{2, 13}},               // stratum, leap
	{"sources", []int{0, 2, 3, 4, 5}},        // mode, name, stratum, poll, reach
	{"sourcestats", []int{0}},                // name
	{"authdata", []int{0, 1, 2, 3, 4, 7, 9}}, // not when, how often tried, and the cookies that are under way
	// Not the tests of delays, which depend on each side's own samples.
	{"ntpdata", []int{0, 1, 2, 5, 6, 7, 8, 9, 10, 23, 24, 26, 27, 28, 29}},
	{"activity", []int{0, 1, 2, 3, 4}},
	{"serverstats", nil},
	{"rtcdata", nil},
	{"smoothing", nil},
	{"accheck 10.123.0.9", nil},
	{"accheck 192.0.2.9", nil},
	{"sourcename 10.123.0.1", []int{0}},
	{"selectdata", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 17}}, // name, authentication, options, leap
	{"manual list", nil},
	{"clients -k", nil},
	{"waitsync 1", nil},
	{"refresh", []int{0}},
	{"minpoll 10.123.0.1 -1", []int{0}},
	{"minpoll 10.123.0.77 3", []int{0}},
	{"deny 198.51.100.0/24", []int{0}},
	{"accheck 198.51.100.1", nil},
	{"add server 10.123.0.3", []int{0}}, // which is there
	{"burst 1/2", []int{0}},
	{"offline 10.123.0.1", []int{0}},
	{"online", []int{0}},
	{"delete 10.123.0.1", []int{0}},
	{"makestep", []int{0}}, // neither may
}

// TestChronycBesideChronyd lets a chronyd and ntsbridge follow the same three
// servers and one that is not there, and chronyc say the same of both, for 4.3,
// 4.6 and 4.9.
func TestChronycBesideChronyd(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("it is ntsbridge that is asked")
	}
	s := newSite(t)
	reals := map[Program][2]*Host{}
	for _, p := range []Program{Chronyd43, Chronyd46, Chronyd49} {
		reals[p] = [2]*Host{s.Host("chronyd-" + p.Root), s.Host("ntsbridge-" + p.Root)}
	}
	s.Names()
	s.Start()
	for p, pair := range reals {
		startBeside(s, p, pair[0], pair[1])
	}
	Await(t, limit, Condition{"all reach all", func() error {
		for p, pair := range reals {
			for _, h := range pair {
				out, err := runChronyc(h, p, "sources")
				if err != nil {
					return err
				}
				if n := strings.Count(out, ",377,"); n != 3 {
					return fmt.Errorf("%s: %q", h.Name, out)
				}
			}
		}
		return nil
	}})
	for p, pair := range reals {
		for _, c := range besideChrony {
			want, errReal := runChronyc(pair[0], p, strings.Fields(c.command)...)
			got, errOurs := runChronyc(pair[1], p, strings.Fields(c.command)...)
			if (errReal == nil) != (errOurs == nil) {
				t.Errorf("%s %s: chronyd: %v, ntsbridge: %v", p.Root, c.command, errReal, errOurs)
			}
			if errReal != nil && errOurs != nil { // by the same words
				if a, b := lastLine(errReal.Error()), lastLine(errOurs.Error()); a != b {
					t.Errorf("%s %s: chronyd %q, ntsbridge %q", p.Root, c.command, a, b)
				}
				continue
			}
			if own := pair[1].IPv4.String(); c.command == "ntpdata" && strings.Count(got, ","+own+",") != 3 {
				t.Errorf("%s: %s is not this side in\n%s", p.Root, own, got)
			}
			compareColumns(t, p.Root+" "+c.command, want, got, c.columns)
			if c.command == "sourcestats" && lastRow(got) != lastRow(want) {
				t.Errorf("%s: never measured: %s, chronyd %s", p.Root, lastRow(got), lastRow(want))
			}
			if c.command == "sourcestats" {
				compareSamples(t, p.Root, want, got)
			}
		}
	}
}

// startBeside starts a chronyd, and an ntsbridge in the root of its chronyc, with
// the same sources.
func startBeside(s *site, p Program, real, ours *Host) {
	real.Write("ca.pem", s.ca)
	real.Write("keys", chronyKeys)
	real.Write("run/empty", "")
	real.Write("chrony.conf", fmt.Sprintf(`server %s minpoll 0 maxpoll 0 iburst key 3
server %s minpoll 0 maxpoll 0 iburst nts
server %s minpoll 0 maxpoll 0 iburst prefer
server 10.123.0.250 minpoll 0 maxpoll 0
authselectmode ignore
keyfile /mnt/keys
ntstrustedcerts /mnt/ca.pem
bindcmdaddress /mnt/run/chronyd.sock
pidfile /mnt/run/chronyd.pid
cmdport 0
maxdistance 16
allow 10.0.0.0/8
`, s.host.IPv4, ntsName, s.old.IPv4))
	real.Start("chronyd", p, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")
	ours.Write("keys", ntpKeys)
	ours.Write("ca.pem", s.ca)
	ours.Write("run/empty", "")
	aeads := map[Program]string{Chronyd43: "[AES-SIV-CMAC-256]", Chronyd46: "[AES-128-GCM-SIV]", Chronyd49: "[AES-128-GCM-SIV]"}[p]
	followerInRoot(ours, p.Root, fmt.Sprintf(`clock: {mode: discipline, auth_select: ignore, max_distance: 16s}
access: {default: {action: deny}, rules: [{prefixes: [10.0.0.0/8]}]}
keys: {files: [{path: %q}], trusted: [all]}
sources:
  - {server: %s, minpoll: 0, maxpoll: 0, iburst: true, auth: symmetric, key: 3}
  - {server: %s, minpoll: 0, maxpoll: 0, iburst: true, auth: nts, aeads: %s, trusted_certificates: %q}
  - {server: %s, minpoll: 0, maxpoll: 0, iburst: true, prefer: true}
  - {server: 10.123.0.250, minpoll: 0, maxpoll: 0}
`, "/mnt/keys", s.host.IPv4, ntsName, aeads, "/mnt/ca.pem", s.old.IPv4))
}

// followerInRoot starts a follower in the root that chronyc runs in: replies go
// to a path that both must see.
func followerInRoot(h *Host, root, yaml string) *Daemon {
	h.t.Helper()
	file, err := build()
	if err != nil {
		h.t.Fatal(err)
	}
	program, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(filepath.Join(h.Dir, "ntsbridge"), program, 0o755)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.Write("ntsbridge.yaml", yaml)
	return h.Start("ntsbridge", Program{Root: root, Path: "/mnt/ntsbridge"}, "serve", "--no-clock", "-c", "/mnt/ntsbridge.yaml",
		"--state-dir", "/mnt/state", "--run-dir", "/mnt/run")
}

func lastRow(text string) string {
	rows := strings.Split(strings.TrimSpace(text), "\n")
	return rows[len(rows)-1]
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	_, said, _ := strings.Cut(lines[len(lines)-1], "exit status 1: ")
	return said
}

// runChronyc runs chronyc on a host whose daemon has its socket in run.
func runChronyc(h *Host, chronyd Program, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	return h.Output(ctx, chronyc(chronyd), append([]string{"-c", "-N", "-h", "/mnt/run/chronyd.sock"}, args...)...)
}

// compareSamples looks that the samples, runs and spans of sourcestats are what
// chronyd's mean: the regression keeps at most 64 samples, and has about as many
// runs of one sign as there would be by chance.
func compareSamples(t *testing.T, root, want, got string) {
	w, g := strings.Split(strings.TrimSpace(want), "\n"), strings.Split(strings.TrimSpace(got), "\n")
	t.Logf("%s: chronyd\n%s\nntsbridge\n%s", root, want, got)
	for i := range min(len(w), len(g), 3) { // those that answer
		var samples, runs, span int
		columns := strings.Split(g[i], ",")
		if _, err := fmt.Sscan(strings.Join(columns[1:4], " "), &samples, &runs, &span); err != nil {
			t.Fatal(err)
		}
		if samples < 4 || samples > 64 || runs < 1 || runs >= samples || span < samples/4 || span > 4*samples {
			t.Errorf("%s: sourcestats say %s, chronyd %s", root, g[i], w[i])
		}
	}
}

func compareColumns(t *testing.T, what, want, got string, columns []int) {
	t.Helper()
	w, g := strings.Split(strings.TrimSpace(want), "\n"), strings.Split(strings.TrimSpace(got), "\n")
	if strings.HasPrefix(what[strings.Index(what, " ")+1:], "clients") { // whoever asks
		return
	}
	if len(w) != len(g) {
		t.Errorf("%s: chronyd\n%sntsbridge\n%s", what, want, got)
		return
	}
	for i := range w {
		a, b := strings.Split(w[i], ","), strings.Split(g[i], ",")
		if len(a) != len(b) {
			t.Errorf("%s: %d columns, %d in chronyd:\n%s\n%s", what, len(b), len(a), g[i], w[i])
			continue
		}
		for n := range a {
			if slices.Contains(columns, n) && a[n] != b[n] {
				t.Errorf("%s: column %d is %q, %q in chronyd:\n%s\n%s", what, n, b[n], a[n], g[i], w[i])
			}
		}
	}
}
