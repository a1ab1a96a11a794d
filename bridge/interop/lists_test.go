package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// lists are what an operator asks ntpq for by name, with a line that must be
// there, of both makes.
var lists = []struct{ command, classic, ntpsec string }{
	{"sysinfo", `stratum: +3`, `stratum: +3`},
	{"sysstats", `packets received: +[1-9]`, `control requests: +[1-9]`},
	{"iostats", `receive buffers: +[1-9]`, `receive buffers: +[1-9]`},
	{"monstats", `addresses: +[1-9]`, `addresses in use: +[1-9]`},
	{"authinfo", `stored keys: +3`, `stored keys: +3`},
	{"kerninfo", `frequency tolerance: +500`, `frequency tolerance: +500`},
	{"timerstats", `calls to transmit: +0`, `calls to transmit: +0`},
	{"cv", `device="System clock"`, ""},
	{"cv &1", `device="System clock"`, `device="System clock"`},
	{"ntsinfo", "", `NTS KE serves good: +[0-9]`},
	{"pstats &1", `remote host: +127.127.1.0:123`, `remote host: +127.127.1.0`},
	{"associations", `sys.peer`, `sys.peer`},
	{"opeers", `127.127.1.0`, `127.127.1.0`},
	{"mrulist", `mode-3-client|[1-9] +[0-9]+ +10\.`, `10\.`},
}

// complaints are what either ntpq prints when it did not get what it asked for.
var complaints = regexp.MustCompile(`\*\*\*|Unknown variable|not understood|(?m)\?$|Traceback|timed out`)

// TestNtpqPrintsEveryList has both makes of ntpq print every list that they
// know: none fails, and none of ntpsec's is gathered one variable at a time,
// which its own daemon makes it do. The lists that want ntpd's control key want
// it here.
func TestNtpqPrintsEveryList(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("asks ntsbridge")
	}
	s := newSite(t)
	client := s.Host("client")
	s.Names()
	name := filepath.Join(s.host.Dir, "ntsbridge.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s.host.Write("ntsbridge.yaml", strings.Replace(string(text), "  trusted: [all]\n", "  trusted: [all]\n  control: 1\n", 1))
	s.Start()
	c := chronyKeyClient(client, Chronyd46, serverName, 3)
	Await(t, limit, c.Condition())
	for _, list := range lists {
		if list.classic != "" {
			show(t, list.command, list.classic, func() (string, error) { return ntpq(s.host, "127.0.0.1", list.command) })
		}
		if list.ntpsec != "" {
			show(t, list.command, list.ntpsec, func() (string, error) { return ntpsecNTPQ(s.host, "-c", list.command) })
		}
	}
	s.host.Write("lists.keys", ntpKeys)
	keyed := []string{"keyid 1", "passwd " + keySecret(t, 1)}
	for command, want := range map[string]string{"ifstats": `v4wildcard|127.0.0.1:123|0.0.0.0:123`, "reslist": `serve trust nopeer noepeer`} {
		show(t, command, want, func() (string, error) { return ntpq(s.host, "127.0.0.1", append(keyed, command)...) })
		out, _ := ntpq(s.host, "127.0.0.1", "keytype SHA1", "keyid 2", "passwd "+keySecret(t, 2), command)
		if !strings.Contains(out, "disallowed") {
			t.Errorf("%s with another key: %s", command, out)
		}
	}
	show(t, "ifstats", `0.0.0.0:123`, func() (string, error) { return ntpsecNTPQ(s.host, "-a", "1", "-k", "/mnt/lists.keys", "-c", "ifstats") })
	show(t, "reslist", `nomodify`, func() (string, error) { return ntpsecNTPQ(s.host, "-a", "1", "-k", "/mnt/lists.keys", "-c", "reslist") })
}

// show waits until a command prints a line, and never takes a complaint.
func show(t *testing.T, command, want string, run func() (string, error)) {
	t.Helper()
	line := regexp.MustCompile("(?m)" + want)
	var out string
	Await(t, limit, Condition{"ntpq " + command, func() (err error) {
		if out, err = run(); err == nil && !line.MatchString(out) {
			err = fmt.Errorf("no %q in %q", want, out)
		}
		return err
	}})
	if found := complaints.FindString(out); found != "" {
		t.Errorf("%s: %q in %s", command, found, out)
	}
}

func ntpsecNTPQ(h *Host, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*queryTimeout)
	defer cancel()
	return h.Output(ctx, NTPsecNTPQ, append(append([]string{"-n"}, args...), "127.0.0.1")...)
}

// keySecret returns the secret of a key of ntpKeys as ntpq's passwd takes it.
func keySecret(t *testing.T, id int) string {
	t.Helper()
	for line := range strings.Lines(ntpKeys) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == fmt.Sprint(id) {
			return f[2]
		}
	}
	t.Fatalf("no key %d", id)
	return ""
}
