package steer_test

import (
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

// canaryDone takes a world behind its canary.
func canaryDone(t testing.TB, clients int) *world {
	w := newWorld(t, testPlan, clients)
	w.advance()
	w.advance()
	w.run(23 * testPoll)
	return w
}

// last is what was told last of one kind.
func (w *world) last(what string) *history.Entry {
	for i := len(w.told) - 1; i >= 0; i-- {
		if w.told[i].What == what {
			return w.told[i]
		}
	}
	return &history.Entry{}
}

// Whoever comes while a brown-out runs is refused, so it is watched as those are
// that were there before.
func TestLateComer(t *testing.T) {
	w := canaryDone(t, 20)
	late := w.clients[19]
	late.gone = true
	w.run(3 * time.Hour) // it is asleep, and no part of the step
	late.gives, late.next = 3, w.now.Uptime+3*testPoll
	w.advance()
	late.gone = false
	w.run(17 * testPoll)
	if p := w.place(); p.Running != nil || len(p.Hurt) != 1 || p.Hurt[0].Client != "10.0.0.19" {
		t.Fatalf("%+v %+v", p, p.Running)
	}
}

// Where the system clock is stepped nobody can tell any more who is silent: the
// step ends, whichever way, and the next one is judged rightly.
func TestClockStepEndsAStep(t *testing.T) {
	for _, jump := range []time.Duration{-2 * time.Hour, -time.Minute, time.Minute, 24 * time.Hour} {
		w := canaryDone(t, 20)
		w.clients[3].gives = 2
		w.advance()
		w.run(3 * testPoll)
		w.now.Wall = w.now.Wall.Add(jump)
		w.run(2 * time.Second)
		if p := w.place(); p.Running != nil || w.refusing() != 0 || p.Stage != "canary" ||
			!strings.Contains(w.last(history.Ended).Why, "clock was stepped by "+jump.String()) {
			t.Errorf("%v: %+v, %+v", jump, p, w.last(history.Ended))
		}
	}
	w := canaryDone(t, 20)
	w.advance()
	w.run(3 * testPoll)
	w.now.Wall = w.now.Wall.Add(time.Second) // a leap second, or a small step
	w.run(20 * testPoll)
	if p := w.place(); p.Stage != "brown-out" {
		t.Errorf("%+v", p)
	}
}

// What a step could not show is said: chrony does not tell whether it is hurt;
// ntpd does.
func TestWhoCannotShowIt(t *testing.T) {
	w := canaryDone(t, 20)
	for _, k := range w.clients[10:] {
		k.row.Means[0].Program = inventory.Ntpd
		k.row.Upstream = inventory.Upstream{Told: true, Stratum: 3, RefID: 9}
		k.follows = true
	}
	w.advance()
	w.run(11 * testPoll)
	if r := w.place().Running; r == nil || r.Clients != 19 || r.CannotTell != 9 || r.Proves != 1 {
		t.Errorf("%+v", r)
	}
	w.run(12 * testPoll)
	if why := w.last(history.Passed).Why; why != "19 clients, 0 hurt; 9 could not show whether they were" {
		t.Errorf("%q", why)
	}
}

// chrony that asks a server which it does not follow asks less often at once:
// that is seen, and remembered for the step.
func TestChronyThatFollowsAnother(t *testing.T) {
	w := canaryDone(t, 20)
	k := w.clients[5]
	k.backsOff = true
	w.advance()
	w.run(10*testPoll + testPoll/2)
	if r := w.place().Running; r == nil || r.CannotTell != 18 {
		t.Errorf("%+v", r)
	}
}

// Of two hosts behind one address one has NTS, and the other gives up: its
// neighbour's answers do not hide that it is hurt.
func TestNeighbourHidesNobody(t *testing.T) {
	for name, x := range map[string]struct {
		spoil func(*inventory.Client)
		hurt  int
	}{
		"one host with both":        {func(*inventory.Client) {}, 0},
		"several hosts":             {func(k *inventory.Client) { k.Hosts = 2 }, 1},
		"several by their requests": {func(k *inventory.Client) { k.Estimate = 2 }, 1},
		"two programs":              {func(k *inventory.Client) { k.Means[1].Program = inventory.NtpdRs }, 1},
	} {
		w := canaryDone(t, 20)
		k := w.clients[9]
		k.gives = 3
		wall := uint32(w.now.Wall.Unix())
		k.row.Means = append(k.row.Means, inventory.Means{Kind: ntp.KindNTS, Proved: true, Answered: 9, Program: inventory.Chrony,
			Interval: testPoll, First: wall - 9000, Last: wall, Served: wall})
		x.spoil(&k.row)
		w.advance()
		for range 14 * 64 {
			w.run(time.Second)
			k.row.Means[1].Last = uint32(w.now.Wall.Unix())
			k.row.Means[1].Served = k.row.Means[1].Last
		}
		if p := w.place(); len(p.Hurt) != x.hurt {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// chrony that follows this server while another one answers shows that by how
// slowly its poll grows; one that has nobody else does not.
func TestChronyThatFollowsUs(t *testing.T) {
	w := newWorld(t, strings.Replace(testPlan, "[10 polls, 20 polls]", "[40 polls]", 1), 20)
	w.advance()
	w.advance()
	w.run(23 * testPoll)
	w.clients[5].climbs = []int{11, 21, 31}
	w.clients[6].climbs = []int{10, 14, 18, 22}
	w.advance()
	w.run(39 * testPoll)
	if r := w.place().Running; r == nil || r.CannotTell != 18 || r.Hurt != 0 {
		t.Errorf("%+v", r)
	}
}

// When a means was refused is kept, over restarts, until it is served again.
func TestTimesOfRefusal(t *testing.T) {
	w := canaryDone(t, 20)
	w.advance()
	w.run(2 * testPoll)
	w.boot()
	w.run(testPoll)
	list := w.spans()
	if len(list) != 2 || list[0].To-list[0].From != 10*64 || list[1].To == 0 {
		t.Fatalf("%+v", list)
	}
	for _, long := range []time.Duration{23, 33, 23} {
		w.advance()
		w.run(long * testPoll)
	}
	w.boot()
	if list = w.spans(); len(list) != 5 || list[4].To != 0 {
		t.Fatalf("refused for good: %+v", list)
	}
	if _, err := w.c.Rollback(w.now, "fra", "", by); err != nil {
		t.Fatal(err)
	}
	if list = w.spans(); list[4].To == 0 {
		t.Errorf("rolled back: %+v", list)
	}
}
