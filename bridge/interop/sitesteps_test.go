package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/history"
	fleetsite "ntsbridge/bridge/fleet/site"
)

// twoGateways are gateways with symmetric keys and Autokey, which agree by an etcd,
// and real ntpds that have both as servers.
type twoGateways struct {
	*Network
	hosts   []*Host
	fleet   []*steering
	clients []*Client
	wires   []*Wire
	plan    string
}

func newTwoGateways(t *testing.T, plan string, means ...string) *twoGateways {
	t.Helper()
	g := &twoGateways{Network: NewNetwork(t), plan: plan}
	g.hosts = []*Host{g.Host("gw1"), g.Host("gw2")}
	store := g.Host("store")
	var hosts []*Host
	for _, m := range means {
		hosts = append(hosts, g.Host(m))
	}
	g.Names()
	url := startEtcd(t, store)
	for _, h := range g.hosts {
		h.Write("keys", ntpKeys)
		h.Write("password", serverPassword+"\n")
		autokeyServer(h)
		path := func(name string) string { return filepath.Join(h.Dir, name) }
		g.fleet = append(g.fleet, startSiteGateway(h, []string{url}, []string{"gw1", "gw2"}, "6s", fmt.Sprintf(
			"keys: {files: [{path: %q, format: ntp}], trusted: [all]}\nautokey: {enabled: true, keysdir: %q, host: %s, password_file: %q}\n",
			path("keys"), path("autokey"), h.Name, path("password"))))
	}
	for i, m := range means {
		options, more := "key 1", "keys /mnt/keys\ntrustedkey 1 2 3\n"
		if m == "autokey" {
			keygen(hosts[i], "-p", clientPassword)
			options, more = m, "keysdir /mnt/autokey\ncrypto pw "+clientPassword+"\n"
		}
		hosts[i].Write("keys", ntpKeys)
		g.wires = append(g.wires, hosts[i].Record())
		c := ntpdClient(hosts[i], "gw1", options, "server gw2 iburst minpoll 3 maxpoll 3 "+options+"\n"+more)
		c.Good = func() error { return survivors(hosts[i], 2) }
		g.clients = append(g.clients, c)
	}
	Await(t, 2*siteLimit, append(conditionsOf(g.clients), g.fleet[0].complete(2), g.fleet[1].complete(2))...)
	text := plan
	for i, m := range means {
		text += fmt.Sprintf("  - {name: %s, prefixes: [%s], stages: {%s: refuse}}\n", m, hosts[i].IPv4, m)
	}
	g.hosts[0].Write("fleet.yaml", text)
	g.fleet[0].do("apply", filepath.Join(g.hosts[0].Dir, "fleet.yaml"), "--reason", "test")
	return g
}

// stands is the condition that a means stands at a stage on a gateway, and whether
// a step runs.
func (f *steering) stands(means, stage string, runs bool) Condition {
	return Condition{f.host.Name + " stands at " + stage + " with " + means, func() error {
		p, err := f.place(means, means)
		if err == nil && (p.Stage != stage || (p.Running != nil) != runs) {
			err = fmt.Errorf("%+v, %+v", p, p.Running)
		}
		return err
	}}
}

// advances is the condition that the next step begins.
func (f *steering) advances(group string) Condition {
	return Condition{f.host.Name + " takes a step with " + group, func() error {
		_, err := f.try("advance", group)
		return err
	}}
}

// refused are when a client asked a gateway that did not answer.
func (g *twoGateways) refused(client, gateway int) (list []time.Time) {
	h := g.clients[client].Host
	var waits time.Time
	for _, p := range g.wires[client].Packets(func(p Packet) bool {
		return p.From.Addr() == g.hosts[gateway].IPv4 || p.To.Addr() == g.hosts[gateway].IPv4
	}) {
		if p.From.Addr() != h.IPv4 {
			waits = time.Time{}
			continue
		}
		if !waits.IsZero() {
			list = append(list, waits)
		}
		waits = p.At
	}
	return list
}

// kept fails the test if a client had no answer of any gateway for longer than
// three polls.
func (g *twoGateways) kept(t *testing.T, since, until time.Time) {
	t.Helper()
	for i, c := range g.clients {
		last, longest := since, time.Duration(0)
		for _, p := range g.wires[i].Packets(func(p Packet) bool {
			return slices.Contains([]netip.Addr{g.hosts[0].IPv4, g.hosts[1].IPv4}, p.From.Addr())
		}) {
			if p.At.After(since) && p.At.Before(until) {
				longest, last = max(longest, p.At.Sub(last)), p.At
			}
		}
		if longest = max(longest, until.Sub(last)); longest > 30*time.Second {
			t.Errorf("%s had no answer for %v", c.Host.Name, longest)
		}
		t.Logf("%s: refused %d times by gw1, %d times by gw2; without any answer for %v at most", c.Host.Name, len(g.refused(i, 0)),
			len(g.refused(i, 1)), longest.Round(time.Second))
	}
}

// trials wants that the history of the site has no two steps on trial at one time
// on two gateways, and returns how many there were.
func (f *steering) trials() (n int, err error) {
	out, err := f.try("history", "--site", "--json")
	if err != nil {
		return 0, err
	}
	type trial struct {
		gateway    string
		from, till time.Time
	}
	var list []*trial
	open := map[string]*trial{}
	for line := range strings.Lines(out) {
		var e history.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return 0, err
		}
		at := fmt.Sprint(e.Gateway, e.Group, e.Means)
		switch e.What {
		case history.Began:
			if e.Stage == "refuse" { // that stays
				continue
			}
			open[at] = &trial{gateway: e.Gateway, from: e.Time}
			list = append(list, open[at])
		case history.Watching, history.Passed, history.Ended, history.BackedOut, history.RolledBack:
			if x := open[at]; x != nil {
				x.till = e.Time
				delete(open, at)
			}
		}
	}
	for _, a := range list {
		for _, b := range list {
			if a.gateway < b.gateway && (a.till.IsZero() || b.from.Before(a.till)) && (b.till.IsZero() || a.from.Before(b.till)) {
				return 0, fmt.Errorf("%s refused from %v to %v, and %s from %v to %v", a.gateway, a.from, a.till, b.gateway, b.from, b.till)
			}
		}
	}
	return len(list), nil
}

const sitePlan = `gates: {better_means: {share: 0}, watched: {days: 0}, no_forgotten: false, nts_ke: {headroom: 0, certificate_days: 0}}
back_out: {others: 0}
canary: {share: 50%, max: 5, polls: 10}
brown_out: {lengths: [60s]}
groups:
`

// TestSiteCanary: of two gateways one refuses a real ntpd that has both as servers,
// which keeps the other one. The second gateway may not do so at the same time; a
// rollback that is asked for there ends the step on the first one.
func TestSiteCanary(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("a migration is ntsbridge's")
	}
	g := newTwoGateways(t, sitePlan, "symmetric")
	a, b := g.fleet[0], g.fleet[1]
	began := time.Now()
	Await(t, siteLimit, b.stands("symmetric", "observe", false))
	Await(t, siteLimit, a.advances("symmetric"), b.advances("symmetric"))
	Await(t, siteLimit, a.advances("symmetric"))
	Await(t, siteLimit, Condition{"gw1 refuses", func() error {
		if n := len(g.refused(0, 0)); n < 2 {
			return fmt.Errorf("%d refusals", n)
		}
		return nil
	}})
	if out, err := b.try("advance", "symmetric"); err == nil || !strings.Contains(err.Error(), "another gateway is trying a step: gw1") {
		t.Errorf("two gateways refuse at once: %s %v", out, err)
	}
	b.do("rollback", "symmetric", "--reason", "test")
	Await(t, siteLimit, a.stands("symmetric", "warn", false), Condition{"the client has both again", func() error {
		return survivors(g.clients[0].Host, 2)
	}})
	g.kept(t, began, time.Now())
	if len(g.refused(0, 1)) > 0 {
		t.Error("gw2 refused")
	}
}

// TestLongSiteSteps takes real ntpds, with a symmetric key and with Autokey, which
// have two gateways as servers, through a canary, a brown-out and the refusal, on
// one gateway after the other; a gateway that is missing shuts the gate. Then all
// is rolled back, from the other gateway.
func TestLongSiteSteps(t *testing.T) {
	requireLong(t)
	if standsIn(t) {
		t.Skip("a migration is ntsbridge's")
	}
	g := newTwoGateways(t, sitePlan, "symmetric", "autokey")
	a, b := g.fleet[0], g.fleet[1]
	means := []string{"symmetric", "autokey"}
	each := func(do func(m string) Condition) {
		t.Helper()
		var list []Condition
		for _, m := range means {
			list = append(list, do(m))
		}
		Await(t, longLimit, list...)
	}
	danced := make([]map[netip.Addr]int, len(g.hosts))
	for i, h := range g.hosts {
		danced[i] = dances(g.wires[1], h.IPv4)
	}
	began := time.Now()
	each(func(m string) Condition { return b.stands(m, "observe", false) })
	for _, stage := range []string{"warn", "canary", "brown-out"} {
		for _, f := range []*steering{a, b} {
			each(f.advances)
			if f == a && stage != "warn" {
				if out, err := b.try("advance", means[0]); err == nil {
					t.Errorf("two gateways refuse at once: %s", out)
				}
			}
			each(func(m string) Condition { return f.stands(m, stage, false) })
		}
	}
	n, err := a.trials()
	if err != nil || n != 8 {
		t.Errorf("%d trials, %v", n, err)
	}
	g.kept(t, began, time.Now())
	for i := range g.clients {
		if len(g.refused(i, 0)) < 5 || len(g.refused(i, 1)) < 5 {
			t.Errorf("%s was refused %d and %d times", means[i], len(g.refused(i, 0)), len(g.refused(i, 1)))
		}
	}
	// The gate names who is missing.
	if err := b.daemon.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// It is missed as soon as its lease has ended; until then it is here for all that
	// anybody can know, and a step may begin.
	Await(t, siteLimit, Condition{"gw2 is missed", func() error {
		s, err := a.site()
		if err == nil && slices.ContainsFunc(s.Gateways, func(g fleetsite.Gateway) bool { return g.Name == "gw2" && g.Here }) {
			err = errors.New("gw2 is here")
		}
		return err
	}})
	if out, err := a.try("advance", means[0]); err == nil || !strings.Contains(err.Error(), "gw2 is gone since") {
		t.Errorf("a step without gw2: %s %v", out, err)
	}
	if err := b.daemon.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	Await(t, siteLimit, a.complete(2), b.complete(2))
	// Refused for good by the one and then by the other, and back: who is refused by
	// both has nobody left until then.
	each(a.advances)
	each(func(m string) Condition { return a.stands(m, "refuse", false) })
	each(b.advances)
	for i := range g.clients {
		before := len(g.refused(i, 1))
		Await(t, longLimit, Condition{means[i] + " has no server left", func() error {
			if n := len(g.refused(i, 1)) - before; n < 3 {
				return fmt.Errorf("%d refusals", n)
			}
			return nil
		}})
	}
	for _, m := range means {
		b.do("rollback", m, "--reason", "test")
	}
	back := conditionsOf(g.clients)
	for _, m := range means {
		back = append(back, a.stands(m, "warn", false), b.stands(m, "warn", false))
	}
	Await(t, longLimit, back...)
	for i, h := range g.hosts {
		t.Logf("Autokey's exchanges with %s: %v before, %v after", h.Name, danced[i], dances(g.wires[1], h.IPv4))
	}
}
