package interop

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// AddNames adds lines to the host's file of names; it may be at work.
func (h *Host) AddNames(name string, addresses ...netip.Addr) {
	h.t.Helper()
	file, err := os.OpenFile(filepath.Join(h.Dir, "hosts"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	defer file.Close()
	for _, a := range addresses {
		if _, err := fmt.Fprintln(file, a, name); err != nil {
			h.t.Fatal(err)
		}
	}
}

// sourceLine is all of a line of ntsbridge sources --json.
type sourceLine struct {
	followed
	Mode    string `json:"mode"`
	Address string `json:"address"`
	Poll    int    `json:"poll"`
	LastRx  int    `json:"last_rx"`
}

// lines are all sources.
func (f *follower) lines() (list []sourceLine, err error) {
	err = f.ask(&list, "sources")
	return list, err
}

// line is the condition that a source's line, found by name or address, is as
// wanted.
func (f *follower) line(name, what string, want func(*sourceLine) bool) Condition {
	return Condition{name + " " + what, func() error {
		list, err := f.lines()
		if err != nil {
			return err
		}
		for _, s := range list {
			if (s.Name == name || s.Address == name) && want(&s) {
				return nil
			}
		}
		return fmt.Errorf("sources says %+v", list)
	}}
}

// good reports whether a source is followed.
func (s *sourceLine) good() bool { return s.State == "combined" || s.State == "selected" }

// answers reports whether the last three requests were answered. Whether a
// source that answers is followed as well is the discipline's to say, by what a
// busy machine makes of the delays; a test of the wiring asks no more than this.
func (s *sourceLine) answers() bool { return s.Reach&7 == 7 }

// TestPool follows a pool of which one address more than wanted is there: the
// one that dies is replaced. A server's name with a dead address and one of a
// family, and a name that is known only later, are found too.
func TestPool(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server, client := n.Host("true"), n.Host("client")
	relays := []*Host{n.Host("r0")}
	for i := 1; i < 4; i++ {
		relays = append(relays, n.Alias(relays[0], fmt.Sprintf("r%d", i)))
	}
	n.Names()
	chronyServer(server, Chronyd43)
	dead := netip.MustParseAddr("10.123.0.250")
	client.AddNames("six", server.IPv4, server.IPv6)
	client.AddNames("two", dead, server.IPv4)
	relay := map[string]*Relay{}
	for _, h := range relays {
		relay[h.IPv4.String()] = h.Relay(server.IPv4)
		client.AddNames("pool", h.IPv4, h.IPv6)
	}
	f := startFollower(client, followerYAML("", `sources:
  - {server: pool, mode: pool, max_sources: 3, family: ipv4, minpoll: 1, maxpoll: 1}
  - {server: six, family: ipv6, minpoll: 1, maxpoll: 1}
  - {server: two, family: ipv4, minpoll: 1, maxpoll: 1}
  - {server: later, minpoll: 1, maxpoll: 1}
`))
	members := func() (used []string, err error) {
		list, err := f.lines()
		for _, s := range list {
			if relay[s.Address] != nil && s.Name == s.Address && s.answers() {
				used = append(used, s.Address)
			}
		}
		if err == nil && len(used) != 3 {
			err = fmt.Errorf("of the pool three are to answer: %+v", list)
		}
		return used, err
	}
	Await(t, chaosLimit, Condition{"pool", func() error { _, err := members(); return err }},
		f.line("six", "by IPv6", func(s *sourceLine) bool { return s.answers() && s.Address == server.IPv6.String() }),
		f.line("later", "has no address", func(s *sourceLine) bool { return s.State == "unusable" && s.Address == "" }))
	before, err := members()
	if err != nil {
		t.Fatal(err)
	}
	relay[before[0]].Set(Mischief{Silent: true})
	client.AddNames("later", server.IPv4)
	Await(t, chaosLimit,
		Condition{"pool with another member", func() error {
			now, err := members()
			if err == nil && slices.Contains(now, before[0]) {
				err = fmt.Errorf("%s is dead: %v", before[0], now)
			}
			return err
		}},
		f.line("two", "by the address that lives", func(s *sourceLine) bool { return s.answers() && s.Address == server.IPv4.String() }),
		f.line("later", "is found", func(s *sourceLine) bool { return s.answers() && s.Address == server.IPv4.String() }))
}
