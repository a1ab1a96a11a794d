package server

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
	"ntsbridge/bridge/fleet/steer"
	"ntsbridge/bridge/ntp"
)

// migratingSite is a site whose clients ask the packet path in virtual time,
// while a controller takes it through the stages.
type migratingSite struct {
	t         *testing.T
	rig       *rig
	base      *access.Table
	inventory *inventory.Inventory
	feed      *feed.Feed
	clients   []siteClient
	now       steer.Moment
	c         *steer.Controller
	kept      []byte // what is on the disk
	full      bool   // the disk is
	blind     bool   // the inventory cannot be asked
	slot      slot
	resp      [maxPacket]byte
	packets   int
	refused   map[uint32]int // by step
	stray     []string       // refusals that nothing explains, answers that should not be
}

// siteClient is one client.
type siteClient struct {
	addr      netip.AddrPort
	means     plan.Means
	packet    []byte
	gives     uint8 // after so many unanswered
	lost      uint8
	gone      bool
	moved     bool
	protected bool
}

const (
	sitePoll = 64
	sitePlan = `
protected: [10.0.0.0/26]
gates: {better_means: {share: 0}}
canary: {share: 1%, max: 200}
brown_out: {lengths: [10 polls]}
groups:
  - {name: keys, keys: [1], stages: {symmetric: removed}}
  - {name: plain, prefixes: [10.0.0.0/8], stages: {none: removed}}
  - {name: dance, prefixes: [10.0.0.0/8], stages: {autokey: removed}}
`
)

var siteGroups = []string{"keys", "plain", "dance"}

func newMigratingSite(t *testing.T, n int) *migratingSite {
	s := &migratingSite{t: t, rig: newRig(t), refused: map[uint32]int{},
		now: steer.Moment{Wall: time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC), Uptime: time.Hour, Synchronised: true}}
	s.base = s.rig.handler.state.Access
	var err error
	if s.inventory, err = inventory.New(inventory.Options{Capacity: 2 * n, Seed: [2]uint64{1, 2}}); err != nil {
		t.Fatal(err)
	}
	s.feed = feed.New(feed.MaxSize, [2]uint64{3, 4}, make(chan struct{}, 1))
	if err := s.slot.init(); err != nil {
		t.Fatal(err)
	}
	s.rig.handler.now = func() ntp.Timestamp { return ntp.TimestampFromTime(s.now.Wall) }
	scratch := autokey.NewScratch(autokey.MD5)
	for i := range n {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		k := siteClient{addr: netip.AddrPortFrom(a, 123), protected: i < 64}
		switch i % 20 {
		case 0, 1, 2, 3:
			k.means, k.packet = plan.None, s.rig.requests["none"]
		case 4:
			k.means, k.packet = plan.None, request(3, ntp.ModeSymmetricActive, 43) // as w32time asks
		case 5, 6, 7:
			k.means, k.packet = plan.Autokey, dancer(scratch, a)
		default:
			k.means, k.packet = plan.Symmetric, s.rig.requests["MD5"]
		}
		s.clients = append(s.clients, k)
	}
	s.boot()
	return s
}

// dancer is the packet of an Autokey client that has its cookie.
func dancer(s *autokey.Scratch, from netip.Addr) []byte {
	p := binary.BigEndian.AppendUint32(request(4, ntp.ModeClient, 42), 1<<20)
	cookie := s.Cookie(from, testServer, testSeed)
	key := bytes.Clone(s.SessionKey(from, testServer, 1<<20, cookie))
	return append(p, s.MAC(key, p[:len(p)-4])...)
}

// boot starts the controller from what is on the disk, as after kill -9.
func (s *migratingSite) boot() {
	s.t.Helper()
	var kept *steer.State
	if s.kept != nil {
		var err error
		if kept, err = steer.ParseState(s.kept); err != nil {
			s.t.Fatal(err)
		}
	}
	full := errors.New("no space left on device")
	s.c = steer.New(steer.Environment{
		Each:  s.each,
		Where: func() stage.Where { return stage.Where{} },
		Record: func(*history.Entry) error {
			if s.full {
				return full
			}
			return nil
		},
		Keep: func(b []byte) error {
			if s.full {
				return full
			}
			s.kept = bytes.Clone(b)
			return nil
		},
		Forget: func() error { s.kept = nil; return nil },
		Enforce: func(r *stage.Resolver, list []stage.Refusal) {
			next := *s.rig.handler.state
			if next.Access = s.base; r != nil {
				if o := r.Compile(list); o.Len() > 0 {
					next.Access = s.base.With(o)
				}
			}
			s.rig.handler.state = &next
		},
		Key: []byte("key"),
	}, kept, s.now)
}

func (s *migratingSite) each(see func(*inventory.Client)) error {
	if s.blind {
		return errors.New("the store is gone")
	}
	var c inventory.Client
	for i := range s.inventory.Places() {
		if s.inventory.Read(i, uint32(s.now.Wall.Unix()), &c) {
			see(&c)
		}
	}
	return nil
}

// run lets polls go by.
func (s *migratingSite) run(polls int) {
	for range polls * sitePoll {
		s.now.Uptime += time.Second
		s.now.Wall = s.now.Wall.Add(time.Second)
		table := s.feed.Begin()
		for i := int(s.now.Uptime/time.Second) % sitePoll; i < len(s.clients); i += sitePoll {
			if k := &s.clients[i]; !k.gone {
				s.ask(k, table)
			}
		}
		s.feed.End(table)
		if lost, _ := s.feed.Drain(func(g *feed.Sighting) { s.inventory.See(g) }); lost != (feed.Lost{}) {
			s.t.Fatalf("the feed lost %+v", lost)
		}
		s.c.Tick(s.now)
	}
}

// ask sends a client's request through the packet path.
func (s *migratingSite) ask(k *siteClient, table *feed.Table) {
	h, req := s.rig.handler, &s.slot.req
	*req = ntp.Request{Packet: k.packet, From: k.addr, To: testServer, Received: ntp.TimestampFromTime(s.now.Wall)}
	h.open(&s.slot)
	h.mono = int64(s.now.Uptime)
	base := ntp.Header{Stratum: 2}
	n := h.finish(&s.slot, &base, s.resp[:])
	s.packets++
	v := &s.slot.verdict
	table.Note(req, v, s.slot.sent, 0)
	if v.Reason == ntp.ReasonStage {
		s.explain(k, v, n)
		k.lost++
		k.gone = k.gives > 0 && k.lost >= k.gives
		return
	}
	if n == 0 || v.Action != ntp.Answer {
		s.stray = append(s.stray, fmt.Sprintf("%v by %v: %v", k.addr, k.means, v.Reason))
	}
	k.lost = 0
}

// explain checks that exactly one declared step refuses a packet.
func (s *migratingSite) explain(k *siteClient, v *ntp.Verdict, sent int) {
	s.refused[v.Step]++
	group := siteGroups[map[plan.Means]int{plan.Symmetric: 0, plan.None: 1, plan.Autokey: 2}[k.means]]
	steps := s.c.Refusing()
	if steps[v.Step] != group+" by "+k.means.String() || k.protected || k.moved || sent != 0 {
		s.stray = append(s.stray, fmt.Sprintf("%v by %v refused by step %d: %v", k.addr, k.means, v.Step, steps))
	}
}

// move lets a client go on by NTS.
func (s *migratingSite) move(k *siteClient) {
	k.moved, k.gone, k.packet = true, false, s.rig.requests["AEAD_AES_SIV_CMAC_256"]
}

func (s *migratingSite) stages() (list []string) {
	for _, p := range s.c.Status(s.now).Places {
		list = append(list, p.Group+" "+p.Stage)
	}
	return list
}

func (s *migratingSite) refusing() int { return len(s.c.Refusing()) }

// fault does something bad and sees that nobody is refused afterwards who was
// not before.
func (s *migratingSite) fault(r *rand.Rand) {
	before := s.refusing()
	switch r.IntN(4) {
	case 0: // kill -9
		s.boot()
		if after := s.refusing(); after > before {
			s.t.Errorf("%d steps refuse after a kill, %d before", after, before)
		}
	case 1: // a step of the system clock
		s.now.Wall = s.now.Wall.Add(time.Duration(r.IntN(40)-20) * time.Second)
	case 2:
		s.full = true
		s.run(2)
		s.full = false
	case 3:
		s.blind = true
		s.run(1)
		s.blind = false
	}
}

// TestMigratedSite takes a site of 20,000 clients, 100,000 in its long form, from
// the first to the last stage through the packet path, with faults in between:
// every refused packet is explained by one declared step, everything else is
// answered, and nobody protected loses a packet.
func TestMigratedSite(t *testing.T) {
	n := 20_000
	switch {
	case testing.Short():
		n = 4_000
	case os.Getenv("NTSBRIDGE_INTEROP_LONG") != "":
		n = 100_000
	}
	s := newMigratingSite(t, n)
	r := rand.New(rand.NewPCG(1, 2))
	s.run(3)
	by := steer.By{Who: "user 0", Reason: "test"}
	if _, err := s.c.Apply(s.now, "fleet.yaml", []byte(sitePlan), by); err != nil {
		t.Fatal(err)
	}
	hurt := 0
	for i := range s.clients { // 3 % of those with keys give up in a brown-out
		if k := &s.clients[i]; k.means == plan.Symmetric && i%33 == 8 && !k.protected {
			k.gives = 9
			hurt++
		}
	}
	backedOut := false
	for try := 0; !s.done(); try++ {
		if try > 60 {
			t.Fatalf("after %d tries: %v", try, s.stages())
		}
		for _, p := range s.c.Status(s.now).Places {
			if len(p.Hurt) > 0 && !backedOut { // they are moved, and the same begins again
				backedOut = true
				s.moveHurt()
			}
			if p.Held != "" {
				if _, err := s.c.Resume(s.now, p.Group, by); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, g := range siteGroups {
			_, _ = s.c.Advance(s.now, g, "", by) // those that may not say why, and are tried again
		}
		if try%4 == 1 {
			s.run(r.IntN(20))
			s.fault(r)
		}
		s.run(23)
	}
	t.Logf("%d clients, %d packets, %d hurt, refused by step: %v", n, s.packets, hurt, s.refused)
	if !backedOut {
		t.Error("3 % of the clients gave up, and no step was backed out")
	}
	if len(s.stray) > 0 {
		t.Errorf("%d strays: %v", len(s.stray), s.stray[:min(3, len(s.stray))])
	}
	for i := range s.clients {
		if k := &s.clients[i]; k.protected && k.lost > 0 {
			t.Errorf("%v is protected and was refused", k.addr)
		}
	}
}

func (s *migratingSite) done() bool {
	for _, p := range s.c.Status(s.now).Places {
		if p.Stage != "removed" {
			return false
		}
	}
	return true
}

func (s *migratingSite) moveHurt() {
	for i := range s.clients {
		if k := &s.clients[i]; k.gives > 0 {
			s.move(k)
		}
	}
}
