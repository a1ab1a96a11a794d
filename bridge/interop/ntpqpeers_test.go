package interop

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	localPeer   = regexp.MustCompile(`(?m)^\*LOCAL\(0\) +\.LOCL\. `)
	anyPeer     = regexp.MustCompile(`(?m)^\*\S+ `)
	statusWord  = regexp.MustCompile(`\bstatus=([0-9a-f]{4})`)
	filterValue = regexp.MustCompile(`-?\d+\.\d+`)
)

// peersTable is `ntpq -p`, with names, as monitors run it.
func peersTable(h *Host, want *regexp.Regexp) Condition {
	return Condition{"ntpq -p on " + h.Name, func() error {
		out, err := runNTPQ(h, "-p", "127.0.0.1")
		if err == nil && !want.MatchString(out) {
			err = fmt.Errorf("no %s in\n%s", want, out)
		}
		return err
	}}
}

// checked is what a monitoring system sees: check_ntp_peer's verdict, and the
// figures that it was asked for.
func checked(h *Host, stratum string) Condition {
	return Condition{"check_ntp_peer on " + h.Name, func() error {
		out, err := runProgram(h, CheckPeer, "-H", "127.0.0.1", "-w", "1", "-c", "2", "-W", "10", "-C", "12", "-j", "500", "-k", "900",
			"-m", "1:")
		if err == nil && !(strings.HasPrefix(out, "NTP OK: ") && strings.Contains(out, "stratum="+stratum+";") &&
			strings.Contains(out, "truechimers=1;")) {
			err = errors.New("not the figures of one source")
		}
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	}}
}

// systemPeerVariables reads the variables of an association that is the system peer of an
// ntpd, real or ours.
func (h *Host) systemPeerVariables(into *map[string][]string) Condition {
	return Condition{"rv on " + h.Name, func() error {
		out, err := ntpq(h, "127.0.0.1", "as", "rv &1")
		if err != nil {
			return err
		}
		m := statusWord.FindStringSubmatch(out)
		if m == nil || !strings.HasPrefix(m[1], "f6") || !strings.HasSuffix(m[1], "a") {
			return fmt.Errorf("status %q, want that of an authenticated system peer:\n%s", m, out)
		}
		if !strings.Contains(out, "reach=377") {
			return fmt.Errorf("not yet eight answers: %s", out)
		}
		*into = shownVariables(out)
		return nil
	}}
}

// TestNtpqPeers shows the real ntpq the clock of each mode: a local one, one that
// follows a server with a key (beside a real ntpd that does the same, variable by
// variable), and one that another program steers.
func TestNtpqPeers(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	up, local, ours, theirs, observer := n.Host("up"), n.Host("local"), n.Host("ours"), n.Host("theirs"), n.Host("observer")
	n.Names()
	up.Write("keys", ntpKeys)
	up.Write("drift", "0.000\n")
	up.Write("ntp.conf", "server 127.127.1.0 prefer minpoll 3 maxpoll 3 iburst\nfudge 127.127.1.0 stratum 3\n"+
		"keys /mnt/keys\ntrustedkey 1 2 3\n"+ntpdConf)
	up.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")
	startFollower(local, "clock: {mode: local, stratum: 3}\nnts: {enabled: false}\n")
	ours.Write("keys", ntpKeys)
	startFollower(ours, fmt.Sprintf(`clock: {mode: discipline}
nts: {enabled: false}
keys: {files: [{path: %q, format: ntp}], trusted: [all]}
sources: [{server: %s, auth: symmetric, key: 3, minpoll: 3, maxpoll: 3, iburst: true}]
`, filepath.Join(ours.Dir, "keys"), up.IPv4))
	ntpdKeyClient(theirs, up.IPv4.String(), 3, ntpKeys)
	observer.Write("chrony.conf",
		"local stratum 5\nport 0\ncmdport 323\nbindcmdaddress 127.0.0.1\nbindcmdaddress /run/chronyd.sock\npidfile /run/chronyd.pid\n")
	observer.Start("chronyd", Chronyd46, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")
	o := startFollower(observer, "clock: {mode: observe, ask: chronyd, stratum: 9}\nnts: {enabled: false}\n")

	var got, want map[string][]string
	conditions := []Condition{peersTable(local, localPeer), peersTable(theirs, anyPeer), peersTable(ours, anyPeer),
		checked(local, "2"), checked(ours, "4"), checked(theirs, "4"),
		ours.systemPeerVariables(&got), theirs.systemPeerVariables(&want), o.logged("its program tells", "chronyd", "stratum=5")}
	var k unix.Timex
	if state, err := unix.Adjtimex(&k); err == nil && state != unix.TIME_ERROR && k.Status&unix.STA_UNSYNC == 0 {
		conditions = append(conditions, peersTable(observer, localPeer))
	} else { // nor is there a peer to follow for who asks
		conditions = append(conditions, peersTable(observer, regexp.MustCompile("No association")))
	}
	Await(t, limit, conditions...)

	delete(want, "xleave") // how long a packet took to leave, which we do not measure
	for name := range want {
		if len(got[name]) == 0 {
			t.Errorf("%s is not shown; a real ntpd shows %s", name, want[name])
		}
	}
	for name := range got {
		if len(want[name]) == 0 {
			t.Errorf("%s=%s is shown, and a real ntpd does not", name, got[name])
		}
	}
	for _, name := range []string{"srcadr", "srcport", "dstport", "leap", "stratum", "refid", "reach", "unreach", "hmode", "pmode",
		"hpoll", "keyid", "flash"} {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s=%s, a real ntpd shows %s", name, got[name], want[name])
		}
	}
	for h, shown := range map[*Host]map[string][]string{ours: got, theirs: want} {
		if !slices.Equal(shown["dstadr"], []string{h.IPv4.String()}) {
			t.Errorf("%s: dstadr=%s", h.Name, shown["dstadr"])
		}
		for _, name := range []string{"filtdelay", "filtoffset", "filtdisp"} {
			values := filterValue.FindAllString(strings.Join(shown[name], " "), -1)
			if len(values) != 8 || name == "filtdelay" && slices.Contains(values, "0.00") {
				t.Errorf("%s: %s=%s, want eight samples", h.Name, name, shown[name])
			}
		}
	}
}
