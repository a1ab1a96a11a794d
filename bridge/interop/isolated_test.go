package interop

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ntsbridge/bridge/ntp"
)

// TestIsolatedNetwork is a network without any outside time: three gateways that
// were never synchronised stay together, with certificates of an authority that
// the command certificate makes; its lines, to the letter, are what the real
// clients of NTS get, and a chronyd that asks all three takes them for one.
func TestIsolatedNetwork(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("the gateways are ntsbridge's")
	}
	file, err := build()
	if err != nil {
		t.Fatal(err)
	}
	n := NewNetwork(t)
	gateways := []*Host{n.Host("gw1"), n.Host("gw2"), n.Host("gw3")}
	clients := map[string]*Host{}
	for _, kind := range []string{"chrony43", "chrony46", "ntpsec", "ntpdrs"} {
		clients[kind] = n.Host(kind)
	}
	plain, probe := n.Host("plain"), n.Host("probe")
	n.Names()

	certificate := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		out, err := gateways[0].Output(ctx, Program{Path: file}, append([]string{"certificate"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	authority := filepath.Join(gateways[0].Dir, "authority")
	var views []*witness
	var all []*follower
	for i, h := range gateways {
		made := certificate("make", h.Name, h.IPv4.String(), "--dir", authority)
		_, rest, _ := strings.Cut(made, "# configuration of ntsbridge\n")
		configuration, _, found := strings.Cut(rest, "\n\n")
		if !found {
			t.Fatalf("no configuration in %q", made)
		}
		var others []string
		for j, o := range gateways {
			if i != j {
				others = append(others, "{server: "+o.IPv4.String()+", minpoll: 0, maxpoll: 1}")
			}
		}
		f := startFollower(h, fmt.Sprintf("log: {level: debug}\nclock: {mode: discipline, fallback_stratum: 8, orphan: true}\n%s\nsources: [%s]\n",
			configuration, strings.Join(others, ", ")))
		all, views = append(all, f), append(views, f.watch(probe))
	}
	Await(t, chaosLimit, views[0].serves(ntp.LeapNone, 8), views[1].serves(ntp.LeapNone, 9), views[2].serves(ntp.LeapNone, 9))
	for i, w := range views[1:] {
		if s, _ := w.last(); s.Header.ReferenceID != binary.BigEndian.Uint32(gateways[0].IPv4.AsSlice()) {
			t.Errorf("%s follows %#x", gateways[i+1].Name, s.Header.ReferenceID)
		}
	}

	lines := printedForClients(t, certificate("clients", "gw1", "--dir", authority, "--ca", "/mnt/root.crt"))
	root, err := os.ReadFile(filepath.Join(authority, "root.crt"))
	if err != nil {
		t.Fatal(err)
	}
	var good []Condition
	for kind, h := range clients {
		h.Write("root.crt", string(root))
		program := strings.TrimRight(kind, "0123456789")
		good = append(good, printedClient(h, kind, lines[program], "NTS").Condition())
	}
	plain.Write("run/empty", "")
	plain.Write("chrony.conf", "server gw1 iburst maxpoll 2\nserver gw2 iburst maxpoll 2\nserver gw3 iburst maxpoll 2\n"+
		"bindcmdaddress /mnt/run/chronyd.sock\npidfile /mnt/run/chronyd.pid\ncmdport 0\n")
	plain.Start("chronyd", Chronyd46, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")
	good = append(good, Condition{"a chronyd takes all gateways", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		out, err := plain.Output(ctx, chronyc(Chronyd46), "-c", "-n", "-h", "/mnt/run/chronyd.sock", "sources")
		if err == nil && len(regexp.MustCompile(`(?m)^\^,[*+],`).FindAllString(out, -1)) != len(gateways) {
			err = fmt.Errorf("%s", out)
		}
		return err
	}})
	Await(t, chaosLimit, good...)
	for i, w := range views {
		w.end(all[i])
	}
}

// printedForClients are the lines that certificate prints, by program.
func printedForClients(t *testing.T, text string) map[string]string {
	t.Helper()
	lines := map[string]string{}
	program := ""
	for line := range strings.Lines(text) {
		if head := regexp.MustCompile(`^# (chrony|ntpsec|ntpd-rs) \(`).FindStringSubmatch(line); head != nil {
			program = strings.ReplaceAll(head[1], "-", "")
		} else if program != "" {
			lines[program] += line
		}
	}
	if len(lines) != 3 {
		t.Fatalf("lines for %d programs in %q", len(lines), text)
	}
	return lines
}
