package interop

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// sectionHead is the comment above the lines for a client that serve prints.
var sectionHead = regexp.MustCompile(`^# (\S+(?: or \S+)*), ([^;]+)((?:; [^;]+)*); in (\S+):$`)

// printedSection is what serve prints for a kind of client.
type printedSection struct {
	clients, means, run, from, to string
	lines                         string
}

// printedSections reads them from the output of a serve that has no
// configuration.
func printedSections(output string) (all []printedSection) {
	for _, block := range strings.Split(output, "\n\n") {
		lines := strings.Split(strings.TrimSpace(block), "\n")
		m := sectionHead.FindStringSubmatch(lines[0])
		if m == nil {
			continue
		}
		s := printedSection{clients: m[1], means: m[2], lines: strings.Join(lines[1:], "\n") + "\n"}
		for _, step := range strings.Split(m[3], "; ") {
			if run, ok := strings.CutPrefix(step, "run here: "); ok {
				s.run = run
			}
			if files, ok := strings.CutPrefix(step, "copy "); ok {
				s.from, s.to, _ = strings.Cut(files, " to ")
			}
		}
		all = append(all, s)
	}
	return all
}

// TestPrintedLines does for each kind of client what a first start prints, to
// the letter but for directories, and each real client must take it and use
// the server so.
func TestPrintedLines(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("the lines are ntsbridge's")
	}
	file, err := build()
	if err != nil {
		t.Fatal(err)
	}
	n := NewNetwork(t)
	server := n.Host(serverName)
	clients := map[string][]string{"chrony": {"chrony43", "chrony46"}, "ntpsec": {"ntpsec"}, "ntpd-rs": {"ntpdrs"},
		"ntpd or ntpsec": {"ntpd", "ntpsec"}}
	short := map[string]string{"NTS": "nts", "a symmetric key": "key", "nothing": "none"}
	hosts := map[string]*Host{}
	for _, name := range []string{"chrony43-nts", "chrony46-nts", "ntpsec-nts", "ntpdrs-nts", "chrony43-key", "chrony46-key", "ntpd-key",
		"ntpsec-key", "chrony43-none", "chrony46-none", "ntpd-none", "ntpsec-none"} {
		hosts[name] = n.Host(name)
	}
	n.Names()
	daemon := server.Start("ntsbridge", Program{Path: file}, "serve", "--state-dir", filepath.Join(server.Dir, "state"),
		"--run-dir", filepath.Join(server.Dir, "run"))
	Await(t, limit, Condition{"serves", func() error {
		if text := daemon.Log(); !strings.Contains(text, "nothing; in ntp.conf:\nserver tick iburst\n") {
			return fmt.Errorf("nothing is printed for a plain ntpd yet")
		}
		return daemon.Alive()
	}})
	var good []Condition
	for _, s := range printedSections(daemon.Log()) {
		lines := strings.ReplaceAll(s.lines, s.to, "/mnt/copied")
		if s.to == "" {
			lines = s.lines
		}
		for _, kind := range clients[s.clients] {
			h := hosts[kind+"-"+short[s.means]]
			if h == nil {
				t.Fatalf("nobody stands ready for %+v", s)
			}
			delete(hosts, kind+"-"+short[s.means])
			if s.from != "" {
				copyPrinted(t, server, h, s)
			}
			good = append(good, printedClient(h, kind, lines, s.means).Condition())
		}
	}
	for name := range hosts {
		t.Errorf("no lines for %s were printed", name)
	}
	Await(t, limit, good...)
}

// copyPrinted runs the command of a section, if it has one, and copies its file.
func copyPrinted(t *testing.T, server, client *Host, s printedSection) {
	t.Helper()
	run := "true"
	if s.run != "" {
		run = s.run
	}
	script := fmt.Sprintf("umask 077; cd %q && %s && cat %q >%q", server.Dir, run, s.from, filepath.Join(client.Dir, "copied"))
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}

// printedClient starts a daemon with the lines and what a test needs to watch
// it; the polls are the daemon's own.
func printedClient(h *Host, kind, lines, means string) *Client {
	h.t.Helper()
	chrony := func(p Program) *Client {
		h.Write("run/empty", "") // chronyd wants the directory
		h.Write("chrony.conf", lines+"bindcmdaddress /mnt/run/chronyd.sock\npidfile /mnt/run/chronyd.pid\ncmdport 0\n")
		c := &Client{Daemon: h.Start("chronyd", p, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")}
		c.Good = func() error {
			s, err := QueryChronyd(h, p)
			if mode := map[string]string{"NTS": "NTS", "a symmetric key": "SK", "nothing": "-"}[means]; err == nil &&
				(s.Mode != mode || s.Reach == 0 || s.ValidRX == 0 || s.Verified != (mode != "-")) {
				err = fmt.Errorf("%+v, want %s", s, mode)
			}
			return err
		}
		return c
	}
	ntp := func(p Program) *Client {
		h.Write("drift", "0.000\n")
		h.Write("ntp.conf", lines+"driftfile /mnt/drift\nrestrict 127.0.0.1\ndisable kernel\n")
		c := &Client{Daemon: h.Start("ntpd", p, "-n", "-g", "-c", "/mnt/ntp.conf")}
		auth := "ok"
		if means == "nothing" {
			auth = "none"
		}
		c.Good = func() error { return associationGood(h, auth, 0) }
		return c
	}
	switch kind {
	case "chrony43":
		return chrony(Chronyd43)
	case "chrony46":
		return chrony(Chronyd46)
	case "ntpd":
		return ntp(NTPD)
	case "ntpsec":
		return ntp(NTPsecNTPD)
	}
	h.Write("ntp.toml", lines+"[observability]\nobservation-path = \"/mnt/observe\"\n[synchronization]\nminimum-agreeing-sources = 1\n")
	c := &Client{Daemon: h.Start("ntp-daemon", NTPDRS, "-c", "/mnt/ntp.toml")}
	c.Good = func() error {
		s, err := queryNTPDRS(h)
		if err == nil && (!s.Offset || s.Cookies == 0) {
			err = fmt.Errorf("%+v, want an offset and cookies", s)
		}
		return err
	}
	return c
}
