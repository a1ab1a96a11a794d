//go:build linux

package attack

import "testing"

// What a real ntpq 4.2.8p15 prints of an association that had an answer to
// something else, and one that is not authentic.
const pstats = `
ind assid status  conf reach auth condition  last_event cnt
===========================================================
  1  4201  f63a   yes   yes   ok   sys.peer    sys_peer  3
remote host:          10.88.0.1
local address:        10.88.129.1
time last received:   4
time until next send: 5
reachability change:  28
packets sent:         14
packets received:     12
bad authentication:   1
bogus origin:         1
duplicate:            0
bad dispersion:       2
bad reference time:   0
candidate order:      6
`

func TestParseCounts(t *testing.T) {
	got, err := parseCounts(pstats)
	if want := (counts{authenticated: true, sent: 14, answered: 10}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, said := range []string{"", "No association ID's returned\n", "10.88.0.1: timed out, nothing received\n"} {
		if got, err := parseCounts(said); err == nil {
			t.Errorf("%q: %+v", said, got)
		}
	}
}

func TestShares(t *testing.T) {
	for s, want := range map[share]bool{
		{14, 14}: false, {13, 14}: false, {12, 14}: true, {1, 1}: false, {0, 1}: true, {1, 2}: false, {0, 2}: true, {0, 0}: true,
	} {
		if s.hurt() != want {
			t.Errorf("%v: hurt %v", s, !want)
		}
	}
}
