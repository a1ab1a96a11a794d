package interop

import (
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// chaosLimit is for the daemon to find out what happened: eight polls of 2 s
// without an answer, and what a busy machine adds.
const chaosLimit = 2 * time.Minute

// chronyServer starts a chronyd that serves its own clock, with the symmetric
// keys, and NTS if there is a certificate of the host's name.
func chronyServer(h *Host, p Program, more ...string) *Daemon {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Join(h.Dir, "run"), 0o700); err != nil {
		h.t.Fatal(err)
	}
	h.Write("keys", chronyKeys)
	h.Write("chrony.conf", "local stratum 3\nallow all\nkeyfile /mnt/keys\nbindcmdaddress /mnt/run/chronyd.sock\n"+
		"pidfile /mnt/run/chronyd.pid\ncmdport 0\n"+strings.Join(more, "\n")+"\n")
	return h.Start("chronyd", p, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")
}

// chaos is a true server, relays to it, and a host that asks clients what they
// serve.
type chaos struct {
	*Network
	server  *Host
	probe   *Host
	clients []*Host
	names   []string // of the relays: their addresses
	relays  []*Relay
}

// newChaos makes the server, so many relays and hosts for clients.
func newChaos(t *testing.T, relays int, clients ...string) *chaos {
	t.Helper()
	c := &chaos{Network: NewNetwork(t)}
	c.server, c.probe = c.Host("true"), c.Host("probe")
	for _, name := range clients {
		c.clients = append(c.clients, c.Host(name))
	}
	var hosts []*Host
	for i := range relays {
		if i == 0 {
			hosts = append(hosts, c.Host("r0"))
		} else {
			hosts = append(hosts, c.Alias(hosts[0], fmt.Sprintf("r%d", i)))
		}
		c.names = append(c.names, hosts[i].IPv4.String())
	}
	c.Names()
	chronyServer(c.server, Chronyd46)
	for _, h := range hosts {
		c.relays = append(c.relays, h.Relay(c.server.IPv4))
	}
	return c
}

// sourcesOf is a configuration's list of sources that are asked every 2 s.
func sourcesOf(names []string, more ...string) string {
	var s strings.Builder
	s.WriteString("sources:\n")
	for i, name := range names {
		options := ""
		if i < len(more) && more[i] != "" {
			options = ", " + more[i]
		}
		fmt.Fprintf(&s, "  - {server: %q, minpoll: 1, maxpoll: 1%s}\n", name, options)
	}
	return s.String()
}

// followerYAML is a configuration that follows sources; clock are further
// options of the clock.
func followerYAML(clock, sources string) string {
	if clock != "" {
		clock = ", " + clock
	}
	return "log: {level: debug}\nclock: {mode: discipline" + clock + "}\nnts: {enabled: false}\n" + sources
}

// states is the condition that all sources have these states, in the order of
// names.
func (f *follower) states(names []string, states ...string) []Condition {
	var all []Condition
	for i, s := range states {
		all = append(all, f.state(names[i], s))
	}
	return all
}

// combined is the condition that sources are followed.
func (f *follower) combined(names ...string) []Condition {
	return f.states(names, strings.Split(strings.Repeat("combined ", len(names)), " ")[:len(names)]...)
}

// found returns what sources says of one.
func (f *follower) found(name string) (s followed, err error) {
	var list []followed
	if err := f.ask(&list, "sources"); err != nil {
		return s, err
	}
	for _, s = range list {
		if s.Name == name {
			return s, nil
		}
	}
	return s, fmt.Errorf("no source %s in %+v", name, list)
}

// holds is the condition that tracking is as wanted.
func (f *follower) holds(name string, want func(*tracking) bool) Condition {
	return Condition{name, func() error {
		var k tracking
		err := f.ask(&k, "tracking")
		if err == nil && !want(&k) {
			err = fmt.Errorf("tracking says %+v", k)
		}
		return err
	}}
}

// These tests look at what goes where, on a machine that may be so busy that an
// exchange takes a second. How well the clock is followed is judged in virtual
// time, by the tests of bridge/clock/discipline and its simulator. So lies are
// of seconds, which no delay explains.
const lie = 20 * time.Second

// right is the condition that the clock is found right, by a true server, as
// far as its answers say.
func (f *follower) right() Condition {
	return f.holds("tracking", func(k *tracking) bool {
		return k.Leap == 0 && k.Stratum == 4 && math.Abs(k.SystemOffset) <= k.distance()
	})
}

// asked is the condition that a relay had so many more requests.
func (r *Relay) asked(name string, more int) Condition {
	least := r.Stats().Requests + more
	return Condition{name + " is asked", func() error {
		if s := r.Stats(); s.Requests < least {
			return fmt.Errorf("%+v, want %d requests", s, least)
		}
		return nil
	}}
}

// TestChaosLiar lets one of three sources lie, by a constant and by a ramp: it
// is found out, and the others are followed as if nothing had happened. So say
// ntpq and chronyd as a client, too.
func TestChaosLiar(t *testing.T) {
	t.Parallel()
	c := newChaos(t, 3, "client", "outside")
	f := startFollower(c.clients[0], followerYAML("", sourcesOf(c.names)))
	Await(t, chaosLimit, f.combined(c.names...)...)
	w := f.watch(c.probe)
	outside := chronyClient(c.clients[1], Chronyd43, f.Host.IPv4.String(), "")
	liar := c.relays[2]
	// A source that lies among its first answers takes longer to be found out.
	Await(t, chaosLimit, liar.asked("the liar", 8))
	for _, m := range []Mischief{{Lie: lie}, {Ramp: 0.5}} {
		liar.Set(m)
		Await(t, chaosLimit, append(f.states(c.names, "combined", "combined", "falseticker"), outside.Condition())...)
		Await(t, chaosLimit, Condition{"the liar's reason", func() error {
			if s, err := f.found(c.names[2]); err != nil || s.Why != "disagrees with the majority" {
				return fmt.Errorf("%+v %v", s, err)
			}
			return nil
		}}, Condition{"ntpq", func() error {
			out, err := ntpq(f.Host, "127.0.0.1", "as")
			if err != nil || strings.Count(out, "sys.peer") != 1 || strings.Count(out, "candidate") != 1 ||
				strings.Count(out, "falsetick") != 1 {
				return fmt.Errorf("shows %v: %s", err, out)
			}
			return nil
		}})
	}
	liar.Set(Mischief{})
	Await(t, chaosLimit, f.combined(c.names...)...)
	Await(t, chaosLimit, f.right())
	w.end(f)
}

// TestChaosLiarFirst lets a liar answer before the names of the two others are
// known: the first to answer is not the one to follow.
func TestChaosLiarFirst(t *testing.T) {
	t.Parallel()
	c := newChaos(t, 3, "client")
	h := c.clients[0]
	c.relays[0].Set(Mischief{Lie: -lie})
	f := startFollower(h, followerYAML("", sourcesOf([]string{c.names[0], "late", "later"})))
	w := f.watch(c.probe)
	Await(t, chaosLimit, c.relays[0].asked("the liar", 2))
	h.AddNames("late", netip.MustParseAddr(c.names[1]))
	h.AddNames("later", netip.MustParseAddr(c.names[2]))
	Await(t, chaosLimit, append(f.states([]string{c.names[0], "late", "later"}, "falseticker", "combined", "combined"), f.right())...)
	w.end(f)
	served, _ := w.all()
	for _, s := range served {
		if s.Synchronised() && s.Ahead.Abs() > lie/2 {
			t.Fatalf("the liar was followed: %+v", s)
		}
	}
}

// TestChaosVanish lets one of three sources fall silent and come back.
func TestChaosVanish(t *testing.T) {
	t.Parallel()
	c := newChaos(t, 3, "client")
	f := startFollower(c.clients[0], followerYAML("", sourcesOf(c.names)))
	Await(t, chaosLimit, f.combined(c.names...)...)
	w := f.watch(c.probe)
	lost := c.relays[2]
	lost.Set(Mischief{Silent: true})
	Await(t, chaosLimit, f.states(c.names, "combined", "combined", "unusable")...)
	if s, err := f.found(c.names[2]); err != nil || s.Why != "does not answer" {
		t.Errorf("%+v %v", s, err)
	}
	lost.Set(Mischief{})
	Await(t, chaosLimit, f.combined(c.names...)...)
	Await(t, chaosLimit, f.right())
	w.end(f)
}

// TestChaosNoMajority lets two of three sources lie differently: nobody is
// believed. A clock that was synchronised before is served with a bound that
// grows; one that never was is not served at all. That the growing bound ends
// in the alarm is TestNoMajorityEndsInTheAlarm's, of the discipline.
func TestChaosNoMajority(t *testing.T) {
	t.Parallel()
	c := newChaos(t, 3, "before", "after")
	before := startFollower(c.clients[0], followerYAML("drift_ppm: 500", sourcesOf(c.names)))
	Await(t, chaosLimit, before.combined(c.names...)...)
	w := before.watch(c.probe)
	Await(t, chaosLimit, w.serves(ntp.LeapNone, 4))
	c.relays[0].Set(Mischief{Lie: lie})
	c.relays[2].Set(Mischief{Lie: -lie})
	after := startFollower(c.clients[1], followerYAML("", sourcesOf(c.names)))
	never := after.watch(c.probe)
	x := []string{"falseticker", "falseticker", "falseticker"}
	Await(t, chaosLimit, append(append(before.states(c.names, x...), after.states(c.names, x...)...),
		before.holds("no majority", func(k *tracking) bool { return strings.Contains(k.Held, "majority") }),
		after.holds("no majority", func(k *tracking) bool { return k.Leap == 3 && strings.Contains(k.Held, "majority") }))...)
	from, _ := w.last()
	Await(t, chaosLimit, Condition{"the bound grows", func() error {
		if s, _ := w.last(); s.Synchronised() && s.Distance < from.Distance+time.Millisecond {
			return fmt.Errorf("root distance %v, before %v", s.Distance, from.Distance)
		}
		return nil
	}})
	served, _ := never.all()
	for _, s := range served {
		if s.Synchronised() {
			t.Fatalf("without a majority of sources the time was served: %+v", s)
		}
	}
	c.relays[0].Set(Mischief{})
	Await(t, chaosLimit, append(before.states(c.names, "combined", "combined", "falseticker"),
		after.states(c.names, "combined", "combined", "falseticker")...)...)
	Await(t, chaosLimit, w.serves(ntp.LeapNone, 4), never.serves(ntp.LeapNone, 4))
	w.end(before)
	never.end(after)
}

// TestChaosPackets plays tricks with packets, another one on the way to each
// source: what is no answer to the last request changes nothing.
func TestChaosPackets(t *testing.T) {
	t.Parallel()
	c := newChaos(t, 8, "client")
	h := c.clients[0]
	h.Write("keys", ntpKeys)
	for i, m := range []Mischief{{}, {Repeat: 2, Replay: 4}, {Reorder: true, Repeat: 1},
		{Drop: 0.2, Up: time.Millisecond, Down: time.Millisecond}, // are used
		{Late: 2100 * time.Millisecond, Lie: time.Second}, {BadMAC: true}, {Kiss: "DENY", Blindly: true},
		{Foreign: true, Lie: time.Second}} { // are not
		c.relays[i].Set(m)
	}
	f := startFollower(h, followerYAML("auth_select: ignore", fmt.Sprintf("keys: {files: [{path: %q, format: ntp}], trusted: [all]}\n",
		filepath.Join(h.Dir, "keys"))+
		sourcesOf(c.names, "", "", "", "", "", "auth: symmetric, key: 3", "", "")))
	used, unused := c.names[:4], c.names[4:]
	var asked []Condition
	for i, r := range c.relays {
		asked = append(asked, r.asked(c.names[i], 10))
	}
	Await(t, chaosLimit, append(asked, f.combined(used...)...)...)
	w := f.watch(c.probe)
	for i, name := range unused {
		if s, err := f.found(name); err != nil || s.Reach != 0 || s.State != "unusable" {
			t.Errorf("%s, source %d: %+v %v", name, i, s, err)
		}
	}
	for i, r := range c.relays {
		if s := r.Stats(); s.Extra == 0 && i != 0 && i != 3 && i != 5 && i != 6 {
			t.Errorf("%s: the relay did no mischief: %+v", c.names[i], s)
		}
		r.Set(Mischief{})
	}
	Await(t, chaosLimit, f.combined(c.names...)...)
	Await(t, chaosLimit, f.right())
	w.end(f)
}

// TestChaosAllGone takes all sources away: the bound of what is served grows,
// then the alarm is served, or the fallback; both end when a source is back.
func TestChaosAllGone(t *testing.T) {
	t.Parallel()
	c := newChaos(t, 2, "alarm", "fallback")
	clock := "drift_ppm: 500, max_distance: 15ms"
	alarm := startFollower(c.clients[0], followerYAML(clock, sourcesOf(c.names)))
	fallback := startFollower(c.clients[1], followerYAML(clock+", fallback_stratum: 11", sourcesOf(c.names)))
	Await(t, chaosLimit, append(alarm.combined(c.names...), fallback.combined(c.names...)...)...)
	a, b := alarm.watch(c.probe), fallback.watch(c.probe)
	Await(t, chaosLimit, a.serves(ntp.LeapNone, 4), b.serves(ntp.LeapNone, 4))
	// However slow the machine is, the bound has room to grow before the end.
	Await(t, chaosLimit, Condition{"a bound far from max_distance", func() error {
		if s, _ := a.last(); !s.Synchronised() || s.Distance > 8*time.Millisecond {
			return fmt.Errorf("root distance %v", s.Distance)
		}
		return nil
	}})
	from, _ := a.last()
	for _, r := range c.relays {
		r.Set(Mischief{Silent: true})
	}
	Await(t, chaosLimit, append(alarm.states(c.names, "unusable", "unusable"), a.serves(ntp.LeapUnknown, 0), b.serves(ntp.LeapNone, 11))...)
	served, _ := a.all()
	var last time.Duration
	for _, s := range served {
		if s.Synchronised() && s.At.After(from.At) {
			last = s.Distance
		}
	}
	// The bound grows by half a millisecond a second until the next tick, which
	// comes seconds late on a busy machine.
	if last < from.Distance || last < 10*time.Millisecond || last > 20*time.Millisecond {
		t.Errorf("the root distance was %v with sources, and %v when the alarm began, of at most 15 ms", from.Distance, last)
	}
	c.relays[1].Set(Mischief{})
	Await(t, chaosLimit, append(alarm.states(c.names, "unusable", "combined"), a.serves(ntp.LeapNone, 4), b.serves(ntp.LeapNone, 4))...)
	a.end(alarm)
	b.end(fallback)
}

// TestChaosPause stops the daemon for some seconds, as a hypervisor would.
func TestChaosPause(t *testing.T) {
	t.Parallel()
	c := newChaos(t, 2, "client")
	c.relays[0].Set(Mischief{Down: 5 * time.Millisecond})
	c.relays[1].Set(Mischief{Up: 5 * time.Millisecond})
	f := startFollower(c.clients[0], followerYAML("", sourcesOf(c.names)))
	Await(t, chaosLimit, f.combined(c.names...)...)
	w := f.watch(c.probe)
	Await(t, chaosLimit, w.serves(ntp.LeapNone, 4))
	if err := f.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Second) // the pause that is tested
	if err := f.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	more := []Condition{w.serves(ntp.LeapNone, 4), c.relays[0].asked("r0", 3), c.relays[1].asked("r1", 3)}
	Await(t, chaosLimit, append(more, f.combined(c.names...)...)...)
	w.end(f)
}

// TestChaosLeap lets first one and then two of three sources announce a leap
// second: the one is not believed, and the two are only on a month's last day.
func TestChaosLeap(t *testing.T) {
	t.Parallel()
	c := newChaos(t, 3, "client")
	f := startFollower(c.clients[0], followerYAML("leap: {table: none}", sourcesOf(c.names)))
	Await(t, chaosLimit, f.combined(c.names...)...)
	w := f.watch(c.probe)
	Await(t, chaosLimit, w.serves(ntp.LeapNone, 4))
	want := func() ntp.Leap {
		// A second from now, lest the month ends meanwhile.
		if now := time.Now().UTC(); now.AddDate(0, 0, 1).Month() != now.Month() {
			return ntp.LeapInsert
		}
		return ntp.LeapNone
	}
	asked := func(more int) (all []Condition) {
		for i, r := range c.relays {
			all = append(all, r.asked(c.names[i], more))
		}
		return all
	}
	c.relays[0].Set(Mischief{Leap: ntp.LeapInsert})
	Await(t, chaosLimit, asked(3)...)
	Await(t, chaosLimit, append(f.combined(c.names...), w.serves(ntp.LeapNone, 4))...)
	c.relays[1].Set(Mischief{Leap: ntp.LeapInsert})
	Await(t, chaosLimit, asked(3)...)
	Await(t, chaosLimit, append(f.combined(c.names...), w.serves(want(), 4))...)
	c.relays[0].Set(Mischief{Leap: ntp.LeapUnknown})
	c.relays[1].Set(Mischief{Leap: ntp.LeapDelete})
	Await(t, chaosLimit, append(f.states(c.names, "unusable", "combined", "combined"), w.serves(ntp.LeapNone, 4))...)
	if s, err := f.found(c.names[0]); err != nil || !strings.Contains(s.Why, "not synchronised") {
		t.Errorf("%+v %v", s, err)
	}
	w.end(f)
}

// TestChaosJump lets the only source jump, and back: there is nobody else to
// believe, and the bound that is served says how far it is from the clock. How
// soon it is followed is TestTheOnlySourceJumps', of the discipline.
func TestChaosJump(t *testing.T) {
	t.Parallel()
	c := newChaos(t, 1, "client")
	f := startFollower(c.clients[0], followerYAML("max_distance: 15s", sourcesOf(c.names)))
	Await(t, chaosLimit, f.combined(c.names...)...)
	w := f.watch(c.probe)
	for _, jump := range []float64{4, -6, 0} {
		c.relays[0].Set(Mischief{Lie: time.Duration(jump * float64(time.Second))})
		Await(t, chaosLimit, f.holds(fmt.Sprintf("jump to %v s", jump), func(k *tracking) bool {
			return k.Leap == 0 && math.Abs(k.SystemOffset+jump) < 1
		}))
	}
	w.end(f)
}
