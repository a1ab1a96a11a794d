package inventory

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/ntp"
)

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) ntp.Timestamp { return ntp.TimestampFromTime(start.Add(d)) }

func secondsAt(d time.Duration) uint32 { return uint32(start.Add(d).Unix()) }

func newTest(t testing.TB, capacity int) *Inventory {
	t.Helper()
	v, err := New(Options{Capacity: capacity, Seed: [2]uint64{3, 5}, Addresses: Addresses{TemporaryPrefix: 64}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// host returns address number n.
func host(n uint32) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 10<<24|n)
	return netip.AddrFrom4(a)
}

// sighting is one chrony-like packet.
func sighting(a netip.Addr, d time.Duration, kind ntp.Kind, key uint32, reason ntp.Reason) *feed.Sighting {
	s := &feed.Sighting{Addr: a.As16(), Received: at(d), Kind: kind, Key: key, Reason: reason, Count: 1, Octets: 48, Port: 4000,
		Action: ntp.Answer}
	s.Header[0], s.Header[2], s.Header[3] = 4<<3|3, 6, 32
	if reason != ntp.ReasonOK {
		s.Action = ntp.Drop
	}
	return s
}

// naive is the inventory as a map.
type naive struct {
	first, last, served uint32
	answered            uint32
	refused             map[ntp.Reason]uint32
}

type naiveKey struct {
	addr netip.Addr
	kind ntp.Kind
	key  uint32
}

// With room for all, the table says what a map of maps says.
func TestAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, err := New(Options{Capacity: 256, Seed: [2]uint64{3, 5}})
		if err != nil {
			t.Fatal(err)
		}
		model := map[naiveKey]*naive{}
		clock := time.Duration(0)
		reasons := []ntp.Reason{ntp.ReasonOK, ntp.ReasonBadMAC, ntp.ReasonDenied, ntp.ReasonUnknownKey, ntp.ReasonRateLimited}
		for range rapid.IntRange(1, 300).Draw(t, "packets") {
			clock += time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond
			k := naiveKey{host(rapid.Uint32Range(0, 30).Draw(t, "host")), rapid.SampledFrom([]ntp.Kind{ntp.KindNone,
				ntp.KindSymmetric, ntp.KindAutokey}).Draw(t, "kind"), 0}
			if k.kind == ntp.KindSymmetric {
				k.key = rapid.Uint32Range(1, 3).Draw(t, "key")
			}
			reason := rapid.SampledFrom(reasons).Draw(t, "reason")
			v.See(sighting(k.addr, clock, k.kind, k.key, reason))
			m := model[k]
			if m == nil {
				m = &naive{first: secondsAt(clock), refused: map[ntp.Reason]uint32{}}
				model[k] = m
			}
			m.last = secondsAt(clock)
			if reason == ntp.ReasonOK {
				m.answered++
				m.served = m.last
			} else {
				m.refused[reason]++
			}
		}
		compare(t, v, model)
		// A store that got the changes has the same.
		w, _ := New(Options{Capacity: 256, Seed: [2]uint64{7, 9}})
		v.Changes(func(k Key, record []byte) {
			if full, err := w.Restore(k, record); full || err != nil {
				t.Fatal(full, err)
			}
		}, func(Key) { t.Fatal("nobody was forgotten") })
		compare(t, w, model)
	})
}

func compare(t *rapid.T, v *Inventory, model map[naiveKey]*naive) {
	seen := 0
	var c Client
	for i := range v.Places() {
		if !v.Read(i, 0, &c) {
			continue
		}
		for j := range c.Means {
			m := &c.Means[j]
			want := model[naiveKey{c.Prefix.Addr(), m.Kind, m.Key}]
			if want == nil {
				t.Fatalf("%v %v %d was never seen", c.Prefix, m.Kind, m.Key)
			}
			seen++
			if m.First != want.first || m.Last != want.last || m.Answered != want.answered || m.Served != want.served {
				t.Fatalf("%v: %+v, want %+v", c.Prefix, m, want)
			}
			for _, r := range m.Refused() {
				if want.refused[r.Reason] != r.Count {
					t.Fatalf("%v: refused %v, want %v", c.Prefix, m.Refused(), want.refused)
				}
			}
			if len(m.Refused()) != len(want.refused) {
				t.Fatalf("%v: refused %v, want %v", c.Prefix, m.Refused(), want.refused)
			}
		}
	}
	if seen != len(model) {
		t.Fatalf("%d means, want %d", seen, len(model))
	}
}

// In a table that is far too small the books still balance: index, ranks, lists
// and free places agree, whatever comes and goes.
func TestSmallTableStaysSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, err := New(Options{Capacity: MinCapacity, Seed: [2]uint64{3, 5}})
		if err != nil {
			t.Fatal(err)
		}
		clock := time.Duration(0)
		for range rapid.IntRange(1, 600).Draw(t, "packets") {
			clock += time.Duration(rapid.IntRange(0, 30000).Draw(t, "ms")) * time.Millisecond
			kind := rapid.SampledFrom([]ntp.Kind{ntp.KindNone, ntp.KindNone, ntp.KindSymmetric}).Draw(t, "kind")
			key := uint32(0)
			if kind == ntp.KindSymmetric {
				key = rapid.Uint32Range(1, 12).Draw(t, "key")
			}
			v.See(sighting(host(rapid.Uint32Range(0, 200).Draw(t, "host")), clock, kind, key, rapid.SampledFrom([]ntp.Reason{0,
				ntp.ReasonBadMAC}).Draw(t, "reason")))
			if rapid.IntRange(0, 50).Draw(t, "expire") == 0 {
				v.Expire(secondsAt(clock - time.Hour))
			}
		}
		if err := v.audit(); err != nil {
			t.Fatal(err)
		}
	})
}

// audit checks the table against itself.
func (v *Inventory) audit() error {
	var ranks [rankCount]int
	rows, listed := 0, 0
	for i := range v.clients.fresh {
		ref := uint32(i + 1)
		c := v.clients.at(ref)
		if c.flags&flagUsed == 0 {
			continue
		}
		rows++
		ranks[c.rank]++
		if v.find(&c.addr, c.bits, v.index.hash(&c.addr, c.bits)) != ref {
			return fmt.Errorf("row %d is not found", ref)
		}
		for r := c.means; r != 0; r = v.means.at(r).next {
			listed++
			if v.means.at(r).client != ref {
				return fmt.Errorf("means %d is of %d, not %d", r, v.means.at(r).client, ref)
			}
		}
	}
	linked := 0
	for _, s := range v.index.slots {
		if s != 0 {
			linked++
		}
	}
	if rows != v.clients.used() || linked != rows || ranks != v.ranks || listed != v.means.used() {
		return fmt.Errorf("%d rows, %d used, %d linked; ranks %v, counted %v; %d means listed, %d used", rows, v.clients.used(),
			linked, v.ranks, ranks, listed, v.means.used())
	}
	return nil
}

// Five million forged addresses beside ten thousand real clients, half of whom
// come for the first time during the flood: none of the real ones is lost.
func TestFlood(t *testing.T) {
	const capacity, reals = 100_000, 10_000
	forged := 5_000_000
	if testing.Short() {
		forged = 500_000
	}
	v := newTest(t, capacity)
	kindOf := func(n uint32) (ntp.Kind, uint32) {
		switch n % 4 {
		case 1:
			return ntp.KindSymmetric, 7
		case 2:
			return ntp.KindNTS, 15
		}
		return ntp.KindNone, 0
	}
	poll := 64 * time.Second
	next := uint32(0)
	span := 50 * time.Minute // of the flood
	step := span / time.Duration(forged)
	real := func(n uint32, now time.Duration) {
		kind, key := kindOf(n)
		v.See(sighting(host(n), now, kind, key, ntp.ReasonOK))
	}
	realStep := poll / reals
	dueReal := time.Duration(0)
	stranger := netip.MustParseAddr("11.0.0.0").As4()
	base := binary.BigEndian.Uint32(stranger[:])
	for i := range forged {
		now := time.Duration(i) * step
		for dueReal <= now {
			n := next % reals
			if n < reals/2 || now > span/2 {
				real(n, dueReal)
			}
			next++
			dueReal += realStep
		}
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], base+uint32(i)*2654435761%3_000_000_000)
		v.See(sighting(netip.AddrFrom4(a), now, ntp.KindNone, 0, ntp.ReasonOK))
	}
	lost := map[ntp.Kind]int{}
	for n := range uint32(reals) {
		c, ok := v.Find(host(n), secondsAt(span))
		if kind, key := kindOf(n); !ok || len(c.Means) != 1 || c.Means[0].Kind != kind || c.Means[0].Key != key {
			lost[kind]++
		}
	}
	if len(lost) > 0 {
		t.Errorf("real clients lost: %v", lost)
	}
	f := v.Full()
	if f.Forgotten != 0 {
		t.Errorf("%d clients forgotten", f.Forgotten)
	}
	if f.Strangers+f.Probation == 0 {
		t.Error("the table does not say that it had no room")
	}
	t.Logf("%+v, ranks %v", f, v.Ranks())
	if err := v.audit(); err != nil {
		t.Error(err)
	}
}

// A full table of authenticated clients says what it has forgotten.
func TestForgottenIsSaid(t *testing.T) {
	v := newTest(t, MinCapacity)
	for n := range uint32(2 * MinCapacity) {
		v.See(sighting(host(n), time.Duration(n)*time.Second, ntp.KindSymmetric, 1, ntp.ReasonOK))
	}
	if f := v.Full(); f.Forgotten != MinCapacity || f.LastForgotten != secondsAt((2*MinCapacity-1)*time.Second) {
		t.Errorf("%+v, want %d forgotten", f, MinCapacity)
	}
	if v.Len() != MinCapacity {
		t.Errorf("%d clients", v.Len())
	}
}

// Every table together, with a quarter of the clients having two means: at most
// 250 octets a client.
func TestOctetsPerClient(t *testing.T) {
	for _, capacity := range []int{100_000, 1_000_000} {
		n := newIndex(capacity, [2]uint64{1, 2})
		crowds := max(capacity/64, 16)
		octets := capacity*int(unsafe.Sizeof(client{})) + (capacity+capacity/4)*int(unsafe.Sizeof(means{})) +
			crowds*int(unsafe.Sizeof(crowd{})) +
			4*len(n.slots) + newFilter(capacity).octets() + 4*capacity // dirty list
		per := float64(octets) / float64(capacity)
		t.Logf("%d clients: %.0f octets each; client %d, means %d, crowd %d", capacity, per, unsafe.Sizeof(client{}),
			unsafe.Sizeof(means{}), unsafe.Sizeof(crowd{}))
		if per > 250 {
			t.Errorf("%d clients: %.1f octets each, at most 250", capacity, per)
		}
	}
}

// ntpdSighting is a packet of an ntpd that repeats origin and is answered at
// sent.
func ntpdSighting(a netip.Addr, port uint16, d time.Duration, origin, sent ntp.Timestamp) *feed.Sighting {
	s := sighting(a, d, ntp.KindNone, 0, ntp.ReasonOK)
	s.Header[3] = 0xe8
	s.Port, s.Sent = port, sent
	binary.BigEndian.PutUint64(s.Header[24:], uint64(origin))
	binary.BigEndian.PutUint64(s.Header[40:], uint64(at(d)))
	return s
}

// Several ntpd behind one address are counted by their origin chains; a restart
// or lost answers are no second host.
func TestHostsByOriginChains(t *testing.T) {
	for _, hosts := range []int{1, 2, 3, 7} {
		v := newTest(t, 100)
		last := make([]ntp.Timestamp, hosts)
		for i := range 12 * hosts {
			d := time.Duration(i) * 9 * time.Second
			sent := at(d) + 1234
			v.See(ntpdSighting(host(1), uint16(1024+i%hosts), d, last[i%hosts], sent))
			last[i%hosts] = sent
		}
		if c, _ := v.Find(host(1), secondsAt(time.Hour)); c.Hosts != hosts {
			t.Errorf("%d hosts behind the address: at least %d", hosts, c.Hosts)
		}
	}
	v := newTest(t, 100)
	origin := ntp.Timestamp(0)
	for i := range 40 {
		d := time.Duration(i) * 64 * time.Second
		if i%10 == 0 {
			origin = 0 // restarted
		}
		sent := at(d) + 99
		v.See(ntpdSighting(host(1), 123, d, origin, sent))
		if i%7 != 0 { // else the answer was lost
			origin = sent
		}
	}
	if c, _ := v.Find(host(1), secondsAt(time.Hour)); c.Hosts != 1 || c.Rank != Answered {
		t.Errorf("one host that was restarted: at least %d, rank %v", c.Hosts, c.Rank)
	}
}

// The keys in NTS cookies tell hosts apart; new keys after another NTS-KE do
// not.
func TestHostsByNTSKeys(t *testing.T) {
	v := newTest(t, 100)
	for i := range 60 {
		for h, a := range []netip.Addr{host(1), host(2), host(2), host(2)} {
			s := sighting(a, time.Duration(i)*16*time.Second+time.Duration(h)*time.Second, ntp.KindNTS, 15, ntp.ReasonOK)
			s.Association = uint32(1000*h + 1 + i/20) // each host does NTS-KE twice more
			v.See(s)
		}
	}
	for a, want := range map[netip.Addr]int{host(1): 1, host(2): 3} {
		if c, _ := v.Find(a, secondsAt(time.Hour)); c.Hosts != want {
			t.Errorf("%v: at least %d hosts, want %d", a, c.Hosts, want)
		}
	}
}

// A robust estimate: bursts, lost packets and a restart do not move it.
func TestPollInterval(t *testing.T) {
	v := newTest(t, 100)
	d := time.Duration(0)
	for i := range 40 {
		for range 4 { // a burst
			s := sighting(host(1), d, ntp.KindNone, 0, ntp.ReasonOK)
			s.Header[2], s.Header[3] = 0, 0
			v.See(s)
			d += 2 * time.Second
		}
		d += 1016 * time.Second
		if i%5 == 0 {
			d += 1024 * time.Second
		}
	}
	c, _ := v.Find(host(1), secondsAt(d))
	if p := c.Means[0].Interval; p < 980*time.Second || p > 1060*time.Second {
		t.Errorf("interval %v, want about 1016 s", p)
	}
}

// One laptop with three hundred temporary addresses is one row, and the row says
// how many addresses stand behind it; servers with addresses of their own are not
// put together.
func TestTemporaryAddresses(t *testing.T) {
	v := newTest(t, 1000)
	for i := range 300 {
		var a [16]byte
		copy(a[:], []byte{0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2})
		binary.BigEndian.PutUint64(a[8:], uint64(i+1)*0x9e3779b97f4a7c15)
		v.See(sighting(netip.AddrFrom16(a), time.Duration(i)*time.Hour, ntp.KindNone, 0, ntp.ReasonOK))
	}
	for i := range 50 {
		v.See(sighting(netip.MustParseAddr(fmt.Sprintf("2001:db8:9::%x", i+1)), 0, ntp.KindNone, 0, ntp.ReasonOK))
	}
	laptop := 0
	var c Client
	for i := range v.Places() {
		if v.Read(i, 0, &c) && c.Prefix.Bits() == 64 {
			laptop++
			if c.Addresses < 200 || c.Addresses > 400 {
				t.Errorf("%v: %d addresses, want about 300", c.Prefix, c.Addresses)
			}
		}
	}
	if laptop != 1 || v.Len() > 60 {
		t.Errorf("%d rows, %d of them prefixes", v.Len(), laptop)
	}
}

func TestPrivacy(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.77")
	v, _ := New(Options{Capacity: 100, Seed: [2]uint64{1, 1}, Addresses: Addresses{Shorten4: 24}})
	v.See(sighting(a, 0, ntp.KindNone, 0, ntp.ReasonOK))
	if c, ok := v.Find(a, 0); !ok || c.Prefix.String() != "192.0.2.0/24" {
		t.Errorf("shortened: %v", c.Prefix)
	}
	v, _ = New(Options{Capacity: 100, Seed: [2]uint64{1, 1}, Addresses: Addresses{HashKey: []byte("key")}})
	v.See(sighting(a, 0, ntp.KindNone, 0, ntp.ReasonOK))
	c, ok := v.Find(a, 0)
	if !ok || !c.Hashed || c.Prefix.IsValid() {
		t.Errorf("hashed: %+v", c)
	}
}

func TestReactionToKisses(t *testing.T) {
	for want, gap := range map[string]time.Duration{"ignored": 64 * time.Second, "slower": 200 * time.Second, "silent": 0} {
		v := newTest(t, 100)
		d := time.Duration(0)
		for range 9 {
			v.See(sighting(host(1), d, ntp.KindNone, 0, ntp.ReasonOK))
			d += 64 * time.Second
		}
		s := sighting(host(1), d, ntp.KindNone, 0, ntp.ReasonRateLimited)
		s.Action = ntp.KissRate
		v.See(s)
		if gap > 0 {
			v.See(sighting(host(1), d+gap, ntp.KindNone, 0, ntp.ReasonOK))
		}
		if c, _ := v.Find(host(1), secondsAt(d+time.Hour)); c.Means[0].Reaction != want {
			t.Errorf("%q, want %q", c.Means[0].Reaction, want)
		}
	}
}

func TestMergeOfTwoHalves(t *testing.T) {
	whole, a, b := newTest(t, 100), newTest(t, 100), newTest(t, 100)
	for i := range 200 {
		s := sighting(host(uint32(i%5)), time.Duration(i)*time.Minute, ntp.KindSymmetric, uint32(1+i%2), []ntp.Reason{ntp.ReasonOK,
			ntp.ReasonBadMAC}[i/3%2])
		whole.See(s)
		if i < 100 {
			a.See(s)
		} else {
			b.See(s)
		}
	}
	b.Changes(func(k Key, r []byte) {
		if full, err := a.Merge(k, r); full || err != nil {
			t.Fatal(full, err)
		}
	}, func(Key) {})
	for i := range 5 {
		want, _ := whole.Find(host(uint32(i)), 0)
		got, _ := a.Find(host(uint32(i)), 0)
		if len(got.Means) != len(want.Means) || got.First != want.First || got.Last != want.Last {
			t.Fatalf("%+v, want %+v", got, want)
		}
		for j := range want.Means {
			w := &want.Means[j]
			for k := range got.Means {
				if g := &got.Means[k]; g.Key == w.Key && (g.Answered != w.Answered || g.First != w.First || g.Last != w.Last ||
					g.Refusals() != w.Refusals()) {
					t.Errorf("%+v, want %+v", g, w)
				}
			}
		}
	}
}

func FuzzRestore(f *testing.F) {
	v, _ := New(Options{Capacity: 100, Seed: [2]uint64{1, 2}})
	for i := range 8 {
		v.See(sighting(host(uint32(i)), 0, ntp.Kind(i%4), uint32(i), ntp.Reason(i%3)))
	}
	for i := range 20 {
		v.See(ntpdSighting(host(1), uint16(i), time.Duration(i)*time.Second, ntp.Timestamp(i%3), ntp.Timestamp(i)))
	}
	v.Changes(func(k Key, r []byte) { f.Add(k[:], append([]byte(nil), r...)) }, func(Key) {})
	f.Fuzz(func(t *testing.T, key, record []byte) {
		var k Key
		copy(k[:], key)
		w, _ := New(Options{Capacity: 100, Seed: [2]uint64{1, 2}})
		if _, err := w.Restore(k, record); err != nil {
			return
		}
		if err := w.audit(); err != nil {
			t.Fatal(err)
		}
		var c Client
		for i := range w.Places() {
			w.Read(i, 0, &c)
		}
		again, ok := w.Record(k, nil)
		if !ok {
			t.Fatal("restored, and not there")
		}
		if _, err := w.Restore(k, again); err != nil {
			t.Fatalf("its own record: %v", err)
		}
	})
}

// ntpdig computes its time in a float: 21 bits of fraction, of which the last may
// be 1.
func TestNtpdigByItsTime(t *testing.T) {
	v := newTest(t, 100)
	for n, low := range []uint64{0x000, 0x800, 0x400} {
		s := sighting(host(uint32(n)), 0, ntp.KindNone, 0, ntp.ReasonOK)
		s.Header = [ntp.HeaderLen]byte{0: 0xe3}
		binary.BigEndian.PutUint64(s.Header[40:], uint64(at(0))&^0xfff|low)
		v.See(s)
		c, _ := v.Find(host(uint32(n)), 0)
		if want := []string{Ntpdig, Ntpdig, SNTP}[n]; c.Means[0].Program != want {
			t.Errorf("%#x: %q, want %q", low, c.Means[0].Program, want)
		}
	}
}

// An Autokey client is told to have an ntpd's cookie from the packet that shows
// it until it comes with one of ours; a message of the dance tells nothing.
func TestNTPDCookie(t *testing.T) {
	v := newTest(t, 64)
	a := host(1)
	for i, step := range []struct {
		zero, want bool
		operation  uint8
		reason     ntp.Reason
	}{
		{false, false, 0, ntp.ReasonOK},
		{true, true, 0, ntp.ReasonOK},
		{false, true, opAssoc, ntp.ReasonOK},
		{false, true, 0, ntp.ReasonUnknownCookie},
		{true, true, 0, ntp.ReasonNTPDCookie},
		{false, false, 0, ntp.ReasonOK},
	} {
		s := sighting(a, time.Duration(i)*time.Minute, ntp.KindAutokey, 0, step.reason)
		s.ZeroSeed, s.Operation = step.zero, step.operation
		v.See(s)
		if c, _ := v.Find(a, 0); len(c.Means) != 1 || c.Means[0].ZeroSeed != step.want {
			t.Errorf("step %d: %+v", i, c.Means)
		}
	}
}
