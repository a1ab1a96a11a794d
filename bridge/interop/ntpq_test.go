package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ntpq runs the real ntpq on a host against a server, with one command after
// the other, and returns all that it printed, complaints too.
func ntpq(h *Host, server string, commands ...string) (string, error) {
	args := []string{"-n"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	return runNTPQ(h, append(args, server)...)
}

// runNTPQ runs it with any arguments.
func runNTPQ(h *Host, args ...string) (string, error) { return runProgram(h, NTPQ, args...) }

// runProgram runs a program to its end and returns all that it says.
func runProgram(h *Host, p Program, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	cmd := h.command(ctx, p, args)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := h.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	return out.String(), err
}

// variableText is one variable as ntpq prints it.
var variableText = regexp.MustCompile(`([a-z_]+)=("[^"]*"|[^,\n]*[^,\s])`)

// shownVariables returns the values that ntpq printed, by name and in order.
func shownVariables(text string) map[string][]string {
	all := map[string][]string{}
	for _, m := range variableText.FindAllStringSubmatch(text, -1) {
		all[m[1]] = append(all[m[1]], m[2])
	}
	return all
}

// TestNtpqShowsTheServerAsNtpd lets the real ntpq ask a real ntpd and then
// ntsbridge, with the same key files, and wants it to print the same of
// Autokey.
func TestNtpqShowsTheServerAsNtpd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	operator, stranger := s.Host("operator"), s.Host("stranger")
	s.Names()
	if standsIn(t) {
		t.Skip("compares ntsbridge with ntpd")
	}

	autokey := []string{"host", "flags", "digest", "signature", "cert", "until"}
	show := func(want func(map[string][]string) error) (shown map[string][]string) {
		Await(t, limit, Condition{"ntpq rv 0", func() error {
			out, err := ntpq(s.host, "127.0.0.1", "rv 0", "rv 0 cert", "rv 0 "+strings.Join(autokey, ","))
			if err != nil {
				return err
			}
			shown = shownVariables(out)
			return want(shown)
		}})
		return shown
	}
	// All thrice: by rv 0, by rv 0 cert, by name.
	signed := func(shown map[string][]string) error {
		if len(shown["update"]) == 0 || len(shown["cert"]) != 3 {
			return fmt.Errorf("not signed yet: %q", shown)
		}
		return nil
	}
	old := startNTPD(s.host)
	want := show(signed)
	old.Stop()
	allowQueries(t, s, operator)
	s.Start()
	got := show(signed)
	for _, name := range autokey {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("ntpq prints %s=%q of ntsbridge, %q of ntpd", name, got[name], want[name])
		}
	}
	if flags := got["flags"]; len(flags) != 2 || flags[0] != "0x80023" {
		t.Errorf("flags %q, want 0x80023 twice", flags)
	}
	for _, name := range []string{"version", "processor", "system", "leap", "stratum", "precision", "rootdelay", "rootdisp", "refid",
		"reftime", "clock", "peer"} {
		if len(got[name]) != 1 || len(want[name]) != 1 {
			t.Errorf("%s=%q of ntsbridge, %q of ntpd", name, got[name], want[name])
		}
	}
	shownNames(t, s.host)
	shownElsewhere(t, s, operator, stranger)
}

// shownNames asks for the rest of what people ask for.
func shownNames(t *testing.T, h *Host) {
	t.Helper()
	for _, c := range []struct{ command, want string }{
		{"as", "1 65535  961a   yes   yes  none"},
		{"peers", "127.127.1.0     .LOCL.           2 l "}, // when follows
		{"peers", "   64  377"},
		{"rv 0 leap,stratum,refid", "leap=00, stratum=3, refid=LOCL"},
		{"rv", "associd=0 status=0515 leap_none, sync_local, 1 event, clock_sync,"},
		{"sysinfo", "stratum:            3"},
		{"rv 0 nonsense", "A request variable unknown to the server"},
		{"rv 9", "Association ID 9 unknown to server"},
		{"mrulist", "lstint avgint rstr r m v  count rport remote address"},
	} {
		for _, version := range []string{"1", "2", "3", "4"} {
			out, err := ntpq(h, "127.0.0.1", "ntpversion "+version, c.command)
			if err != nil || !strings.Contains(out, c.want) {
				t.Errorf("ntpq -c %q in version %s: %q %v, want %q", c.command, version, out, err, c.want)
			}
		}
	}
	// What monitors look for: a system peer. (Version 1 has other marks.)
	if out, err := ntpq(h, "127.0.0.1", "peers"); err != nil || !strings.Contains(out, "\n*127.127.1.0 ") {
		t.Errorf("ntpq -p: %q %v", out, err)
	}
	for _, address := range []string{"::1", "127.0.0.2"} {
		out, err := ntpq(h, address, "rv 0 flags")
		if err != nil || !strings.Contains(out, "flags=0x80023") {
			t.Errorf("ntpq at %s: %q %v", address, out, err)
		}
	}
}

// shownElsewhere wants other hosts to get nothing without a rule, and the
// server to have counted that.
func shownElsewhere(t *testing.T, s *site, operator, stranger *Host) {
	t.Helper()
	if out, err := ntpq(operator, s.host.IPv4.String(), "rv 0 flags"); err != nil || !strings.Contains(out, "flags=0x80023") {
		t.Errorf("the host of the operator got %q %v", out, err)
	}
	if out, err := ntpq(stranger, s.host.IPv4.String(), "timeout 200", "rv 0 flags"); !strings.Contains(out, "timed out") {
		t.Errorf("another host got %q %v", out, err)
	}
	Await(t, limit, Condition{"counters", func() error {
		c, err := s.Counters()
		if err == nil && (c.Count("none", "denied") == 0 || c.Count("none", "ok") == 0) {
			err = fmt.Errorf("queries were not counted: %+v", c)
		}
		return err
	}})
}

// allowQueries adds a rule to the server's configuration.
func allowQueries(t *testing.T, s *site, from *Host) {
	t.Helper()
	name := filepath.Join(s.host.Dir, "ntsbridge.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s.host.Write("ntsbridge.yaml", fmt.Sprintf("%saccess:\n  rules:\n    - prefixes: [%s/32]\n      query: true\n", text, from.IPv4))
}
