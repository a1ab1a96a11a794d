package interop

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAddressesComeAndGo listens on what interfaces and a network have, and
// wants every address that comes to be answered, and none that is there but is
// not of them: one that goes from an interface to another, interfaces that are
// made later, renamed, and taken away.
func TestAddressesComeAndGo(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("about ntsbridge's listeners")
	}
	n := NewNetwork(t)
	h, asker := n.Host("gate"), n.Host("asker")
	n.Names()
	do := func(batch string) {
		t.Helper()
		n.must(h.Do(func() error { return ip(batch) }))
	}
	do("link add other0 type veth peer name other1\nlink set other0 up\nlink set other1 up\naddr add 10.66.0.1/24 dev other0\n")
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	h.Write("ntsbridge.yaml", `server:
  listen: ["eth0:123", "late0:123", "only4/ipv4:123", "10.88.0.0/16:123"]
clock: {mode: local, stratum: 3}
nts: {enabled: false}
`)
	d := h.Start("ntsbridge", Program{Path: program}, "serve", "--no-clock", "-c", filepath.Join(h.Dir, "ntsbridge.yaml"),
		"--state-dir", filepath.Join(h.Dir, "state"), "--run-dir", filepath.Join(h.Dir, "run"))
	is := func(from *Host, address string, want bool) {
		t.Helper()
		Await(t, 30*time.Second, Condition{fmt.Sprintf("%s answered: %v", address, want), func() error {
			if err := d.Alive(); err != nil {
				return err
			}
			if answered(from, netip.Addr{}, netip.MustParseAddr(address)) != want {
				return fmt.Errorf("not so:\n%s", d.Tail(5))
			}
			return nil
		}})
	}
	is(asker, h.IPv4.String(), true)
	is(asker, h.IPv6.String(), true)
	is(h, "10.66.0.1", false)
	is(h, "127.0.0.1", false)

	do("addr add 10.123.0.200/24 dev eth0\naddr add fd12:3::200/64 dev eth0\n") // the IPv6 one is tentative first
	is(asker, "10.123.0.200", true)
	is(asker, "fd12:3::200", true)
	do("addr del 10.123.0.200/24 dev eth0\naddr add 10.123.0.200/32 dev other0\n")
	is(h, "10.123.0.200", false)
	is(asker, h.IPv4.String(), true)

	do("link add late0 type veth peer name late1\naddr add 10.77.0.1/24 dev late0\nlink set late1 up\nlink set late0 up\n")
	is(h, "10.77.0.1", true)
	do("link set late0 down\nlink set late0 name renamed0\nlink set renamed0 up\n")
	is(h, "10.77.0.1", false)
	do("link set renamed0 down\nlink set renamed0 name late0\nlink set late0 up\n")
	is(h, "10.77.0.1", true)
	do("link del late0\n")
	do("link add late0 type veth peer name late1\naddr add 10.77.0.2/24 dev late0\nlink set late1 up\nlink set late0 up\n")
	is(h, "10.77.0.2", true)

	do("link add only4 type veth peer name only5\naddr add 10.78.0.1/24 dev only4\naddr add fd78::1/64 dev only4 nodad\nlink set only5 up\n" +
		"link set only4 up\n")
	is(h, "10.78.0.1", true)
	is(h, "fd78::1", false)
	do("addr add 10.88.3.1/32 dev other0\n")
	is(h, "10.88.3.1", true)
	do("addr del 10.88.3.1/32 dev other0\n")

	if log := d.Log(); strings.Contains(log, "the sockets stay as they are") || strings.Contains(log, "panic") {
		t.Errorf("faults in the log:\n%s", log)
	}
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	if out, err := h.Output(ctx, Program{Path: program}, "serverstats", "--json", "--run-dir", filepath.Join(h.Dir, "run")); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
