package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/history"
)

// browned is a real ntpd that goes through a canary and a brown-out.
type browned struct {
	*Client
	name, means string
	length      string // of its brown-out, as the plan has it
	spare       bool   // it has another server
	hurt        bool   // by that length
}

// brownOuts are ntpd 4.2.8p15, polling every 8 s, on both sides of each limit:
// with and without another server, refused for less than 10 polls, for 10, and
// for more than the 32 after which an ntpd without another server is hurt.
func brownOuts() []*browned {
	var list []*browned
	for _, means := range []string{"symmetric", "autokey"} {
		for _, x := range []browned{{length: "60s"}, {length: "10 polls"}, {length: "40 polls", hurt: true},
			{length: "40 polls", spare: true}} {
			x.means, x.name = means, fmt.Sprintf("%s-%d", means, len(list))
			list = append(list, &x)
		}
	}
	return list
}

func (b *browned) start(h *Host) {
	more := ""
	if b.spare {
		more = "server spare iburst minpoll 3 maxpoll 3\n"
	}
	if b.means == "autokey" {
		keygen(h, "-p", clientPassword)
		b.Client = ntpdClient(h, serverName, "autokey", "keysdir /mnt/autokey\ncrypto pw "+clientPassword+"\n"+more)
		b.Good = func() error { return associationGood(h, "ok", flagsTC) }
		return
	}
	h.Write("keys", ntpKeys)
	b.Client = ntpdClient(h, serverName, "key 1", "keys /mnt/keys\ntrustedkey 1 2 3\n"+more)
	b.Good = func() error { return associationGood(h, "ok", 0) }
}

func (b *browned) group() string {
	return fmt.Sprintf("  - {name: %s, prefixes: [%s], stages: {%s: brown-out}, brown_out: {lengths: [%s]}}\n", b.name, b.Host.IPv4,
		b.means, b.length)
}

const brownOutPlan = `gates: {better_means: {share: 0}, watched: {days: 0}, no_forgotten: false, nts_ke: {headroom: 0, certificate_days: 0}}
back_out: {others: 0}
groups:
`

// TestLongBrownOut refuses real ntpd for less than what proves something, for
// just that, and for so long that one without another server is hurt. Each
// window ends by itself or because of that, and every client is served again
// without a hand on it, and without a new Autokey dance.
func TestLongBrownOut(t *testing.T) {
	requireLong(t)
	if standsIn(t) {
		t.Skip("a migration is ntsbridge's")
	}
	s, list := newSite(t, "-l", "30"), brownOuts()
	spare := s.Host("spare")
	hosts := make([]*Host, len(list))
	for i, b := range list {
		hosts[i] = s.Host(b.name)
	}
	s.Names()
	wire := s.host.Record()
	s.Start()
	spare.Write("keys", ntpKeys)
	autokeyServer(spare)
	startNTPD(spare)
	var good, canaries []Condition
	f := newSteering(t, s)
	plan := brownOutPlan
	for i, b := range list {
		b.start(hosts[i])
		plan += b.group()
		good = append(good, b.Condition())
		if b.spare {
			good = append(good, Condition{b.name + " has two servers", func() error { return survivors(b.Host, 2) }})
		}
		canaries = append(canaries, f.passed(b.name, b.means, "canary"))
	}
	Await(t, 2*limit, good...)
	danced := dances(wire, s.host.IPv4)
	s.host.Write("fleet.yaml", plan)
	file := filepath.Join(s.host.Dir, "fleet.yaml")
	out, err := f.try("check", file)
	if err != nil || strings.Count(out, "prove something about 0% of the clients of") != 2 {
		t.Errorf("check: %v\n%s", err, out)
	}
	f.do("apply", file, "--reason", "test")
	for range 2 {
		for _, b := range list {
			f.do("advance", b.name)
		}
	}
	Await(t, 2*limit, canaries...)
	began := time.Now()
	var ends []Condition
	for _, b := range list {
		f.do("advance", b.name)
		ends = append(ends, b.ends(f))
	}
	Await(t, longLimit+2*limit, ends...)
	var back []Condition
	for _, b := range list {
		back = append(back, b.Condition(), b.back(wire, s.host.IPv4))
	}
	Await(t, limit, back...)
	if now := dances(wire, s.host.IPv4); !maps.Equal(now, danced) {
		t.Errorf("Autokey's exchanges: %v before, %v after", danced, now)
	}
	f.told(list, began)
}

// ends is the condition that the brown-out has ended as it must.
func (b *browned) ends(f *steering) Condition {
	return Condition{fmt.Sprintf("%s for %s", b.name, b.length), func() error {
		p, err := f.place(b.name, b.means)
		switch {
		case err != nil:
			return err
		case p.Running != nil:
			if !b.hurt && p.Running.Hurt > 0 {
				return permanent{fmt.Errorf("hurt: %+v", p.Running)}
			}
			return fmt.Errorf("%+v", p.Running)
		case b.hurt != (p.Stage == "canary" && len(p.Hurt) == 1):
			peers, _ := ntpq(b.Host, "127.0.0.1", "pe")
			f.t.Log(peers)
			return permanent{fmt.Errorf("stage %s, hurt %+v, held %s", p.Stage, p.Hurt, p.Held)}
		case b.hurt && !strings.Contains(p.Hurt[0].Why, "nobody since"):
			return permanent{fmt.Errorf("hurt for another reason: %+v", p.Hurt)}
		}
		return nil
	}}
}

// survivors wants so many servers that an ntpd's selection has kept.
func survivors(h *Host, n int) error {
	out, err := ntpq(h, "127.0.0.1", "pe")
	if err != nil {
		return err
	}
	found := 0
	for line := range strings.Lines(out) {
		if line[0] == '*' || line[0] == '+' {
			found++
		}
	}
	if found != n {
		return fmt.Errorf("%d of %d:\n%s", found, n, out)
	}
	return nil
}

// back is the condition that an answer went to the client lately.
func (b *browned) back(w *Wire, server netip.Addr) Condition {
	return Condition{b.name + " is answered", func() error {
		for _, p := range w.Packets(func(p Packet) bool { return p.From.Addr() == server && p.To.Addr() == b.Host.IPv4 }) {
			if time.Since(p.At) < 30*time.Second {
				return nil
			}
		}
		return errors.New("not in the last 30 s")
	}}
}

// dances counts the requests for an association and for a cookie, with which
// Autokey's dance begins and ends, by client.
func dances(w *Wire, server netip.Addr) map[netip.Addr]int {
	n := map[netip.Addr]int{}
	for _, p := range w.Packets(func(p Packet) bool {
		return p.From.Addr() != server && (len(p.Payload) == 108 || len(p.Payload) == 168)
	}) {
		n[p.From.Addr()]++
	}
	return n
}

// told looks at what the history has of each brown-out.
func (f *steering) told(list []*browned, began time.Time) {
	f.t.Helper()
	out, err := f.try("history", "--json")
	if err != nil {
		f.t.Fatal(err)
	}
	last := map[string]*history.Entry{}
	for line := range strings.Lines(out) {
		var e history.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			f.t.Fatal(err)
		}
		if e.Group != "" {
			last[e.Group] = &e
		}
	}
	for _, b := range list {
		e, want := last[b.name], history.Passed
		if b.hurt {
			want = history.BackedOut
		}
		if e == nil || e.What != want {
			f.t.Errorf("%s: %+v, want %s", b.name, e, want)
			continue
		}
		f.t.Logf("%s: %s after %v: %s %s", b.name, e.What, e.Time.Sub(began).Round(time.Second), e.Why, e.Evidence)
	}
}
