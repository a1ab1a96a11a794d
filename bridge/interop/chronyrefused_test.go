package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"ntsbridge/bridge/fleet/history"
)

const chronyRefusedPlan = `gates: {better_means: {share: 0}, watched: {days: 0}, no_forgotten: false, another_server: false,
  nts_ke: {headroom: 0, certificate_days: 0}}
back_out: {others: 0}
brown_out: {lengths: [70 polls]}
groups:
`

// TestLongChronyRefused refuses real chronyd: alone, at one poll alone, and with
// another server beside the one that it follows. Its packets show nothing but
// how its poll grows, by which the one with another server is known, and none of
// the others is; nobody is called hurt, and all come back by themselves.
func TestLongChronyRefused(t *testing.T) {
	requireLong(t)
	if standsIn(t) {
		t.Skip("a migration is ntsbridge's")
	}
	s := newSite(t, "-l", "30")
	spare := s.Host("spare")
	const climbs = "minpoll 1 maxpoll 8 polltarget 60" // while it is answered it keeps its poll
	clients := []struct{ name, options, more string }{
		{"alone", climbs, ""},
		{"fixed", "minpoll 2 maxpoll 2", ""},
		{"another", climbs + " prefer", "server spare iburst " + climbs},
	}
	hosts := map[string]*Host{}
	for _, c := range clients {
		hosts[c.name] = s.Host(c.name)
	}
	s.Names()
	wire := s.host.Record()
	s.Start()
	spare.Write("keys", ntpKeys)
	autokeyServer(spare)
	startNTPD(spare)
	var good, canaries, brownOuts []Condition
	var another *Client
	f := newSteering(t, s)
	plan := chronyRefusedPlan
	for _, c := range clients {
		started := chronyClient(hosts[c.name], Chronyd46, serverName, c.options, c.more)
		if c.more != "" {
			started.Good = func() error { return twoReached(started.Host, Chronyd46) }
			another = started
		}
		good = append(good, started.Condition())
		plan += fmt.Sprintf("  - {name: %s, prefixes: [%s], stages: {none: brown-out}}\n", c.name, hosts[c.name].IPv4)
		canaries = append(canaries, f.passed(c.name, "none", "canary"))
		brownOuts = append(brownOuts, f.passed(c.name, "none", "brown-out"))
	}
	Await(t, 2*limit, good...)
	s.host.Write("fleet.yaml", plan)
	f.do("apply", filepath.Join(s.host.Dir, "fleet.yaml"), "--reason", "test")
	for range 2 {
		for _, c := range clients {
			f.do("advance", c.name)
		}
	}
	Await(t, longLimit, canaries...)
	before := len(another.Log())
	for _, c := range clients {
		f.do("advance", c.name)
	}
	Await(t, 2*longLimit, brownOuts...)
	want := map[string]int{"alone": 1, "fixed": 1, "another": 0}
	if strings.Contains(another.Log()[before:], "Selected source "+spare.IPv4.String()) {
		t.Log("another failed over, which it seldom does so soon: then it shows no more than the others")
		want["another"] = 1
	}
	Await(t, longLimit, good...)
	for name, want := range want {
		if got, why := f.couldNotTell(name); got != want {
			t.Errorf("%s: %d could not show whether it was hurt, want %d: %s; its polls:%s", name, got, want, why,
				polls(wire, hosts[name].IPv4))
		}
	}
	for _, p := range wire.Packets(func(p Packet) bool { return p.To.Addr() == s.host.IPv4 && len(p.Payload) == 48 }) {
		if head := p.Payload; head[0]&0xc0 != 0 || head[1] != 0 || strings.Trim(string(head[4:40]), "\x00") != "" {
			t.Errorf("chronyd shows more than its poll: % x", head)
			break
		}
	}
}

// polls returns the poll exponents of the requests from an address, each with how
// many followed one another.
func polls(wire *Wire, from netip.Addr) (list string) {
	last, n := byte(0), 0
	tell := func() {
		if n > 0 {
			list += fmt.Sprintf(" %d of %d", n, last)
		}
	}
	for _, p := range wire.Packets(func(p Packet) bool { return p.From.Addr() == from && len(p.Payload) == 48 }) {
		if p.Payload[2] != last {
			tell()
			last, n = p.Payload[2], 0
		}
		n++
	}
	tell()
	return list
}

// twoReached wants two sources of a chronyd that answer, one of them selected.
func twoReached(h *Host, chronyd Program) error {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	out, err := h.Output(ctx, chronyc(chronyd), "-c", "-n", "-h", h.Path(chronyd, "run/chronyd.sock"), "sources")
	if err != nil {
		return err
	}
	reached, selected := 0, false
	for line := range strings.Lines(out) {
		if f := strings.Split(line, ","); len(f) > 5 && f[5] != "0" {
			reached++
			selected = selected || f[1] == "*"
		}
	}
	if reached != 2 || !selected {
		return fmt.Errorf("%d sources answer:\n%s", reached, out)
	}
	return nil
}

// couldNotTell returns how many clients of a group's last step that passed could
// not show whether they were hurt.
func (f *steering) couldNotTell(group string) (n int, why string) {
	f.t.Helper()
	out, err := f.try("history", "--json")
	if err != nil {
		f.t.Fatal(err)
	}
	n = -1
	for line := range strings.Lines(out) {
		var e history.Entry
		var found struct {
			CannotTell int `json:"cannot_tell"`
		}
		if json.Unmarshal([]byte(line), &e) == nil && e.Group == group && e.What == history.Passed &&
			json.Unmarshal(e.Evidence, &found) == nil {
			n, why = found.CannotTell, e.Stage+": "+e.Why
		}
	}
	return n, why
}
