package server

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fastpath"
	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/netif"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// requireBPF ends a test where programs cannot be loaded.
func requireBPF(t testing.TB) {
	t.Helper()
	if err := fastpath.Supported(); err != nil {
		needs.Missing(t, "%v", err)
	}
}

// world is a serving path: the sockets' handler alone, or behind a program.
type world struct {
	handler
	feed     *feed.Feed
	slot     slot
	response []byte
}

func newWorld(t testing.TB, state *State, store *timestampStore) *world {
	w := &world{handler: newHandler(&shared{store: store, proved: newProved(), zeroSeed: newZeroSeedTable()}, new(counters), false),
		feed: feed.New(feed.MaxSize, [2]uint64{1, 2}, make(chan struct{}, 1)), response: make([]byte, maxPacket)}
	w.state = state
	if err := w.slot.init(); err != nil {
		t.Fatal(err)
	}
	return w
}

// serve does what a worker does with a packet, and returns the answer.
func (w *world) serve(f *frame, now ntp.Timestamp) []byte {
	s := &w.slot
	s.req = ntp.Request{Packet: bytes.Clone(f.payload), From: f.from, To: f.to.Addr(), Received: f.received, TOS: f.tos, KnownTOS: true}
	w.count.received.Add(1)
	var base ntp.Header
	w.clock.FillServed(&base, now)
	w.open(s)
	n := w.finish(s, &base, w.response)
	table := w.feed.Begin()
	s.judged = true
	s.noteIn(table)
	w.feed.End(table)
	return w.response[:n]
}

// seen is what an inventory was told, by client, kind and outcome.
func seen(all map[string]feed.Sighting, s *feed.Sighting) {
	key := fmt.Sprint(s.Address(), s.Kind, s.Reason, s.Key)
	sum := *s
	sum.Count += all[key].Count
	all[key] = sum
}

// frame is a packet on its way to the sockets.
type frame struct {
	from, to netip.AddrPort
	tos      uint8
	payload  []byte
	received ntp.Timestamp
	octets   []byte
	whole    bool // the network stack would give it to a socket of ours
}

var (
	pathOwn = []string{"10.98.0.1/24", "2001:db8::1/64", "192.0.2.7/32"}
	// What asks: under rules of every kind, and from where nobody can be.
	pathSources = []string{"10.98.0.2", "10.98.0.3", "10.98.1.9", "10.98.2.77", "172.16.0.1", "172.16.9.9", "203.0.113.5", "198.51.100.1",
		"2001:db8::2", "2001:db8::3", "2001:db8:1::9", "fe80::5", "2001:db8:2:3::4", "10.98.3.3", "10.98.4.4",
		"10.98.5.5", "10.98.0.1", "10.98.0.255", "127.0.0.1", "0.1.2.3",
		"224.0.1.1", "240.1.1.1", "::1", "::", "ff02::101", "2001:db8::1", "::ffff:10.98.0.2"}
	pathTargets = []string{"10.98.0.1", "10.98.0.1", "10.98.0.1", "2001:db8::1", "2001:db8::1", "192.0.2.7", "10.98.0.9", "10.98.0.255",
		"224.0.1.1", "2001:db8::9", "ff02::101"}
)

func pathRules() []access.Rule {
	none, all := access.KindsOf(ntp.KindNone), access.AllKinds
	at := netip.MustParsePrefix
	return []access.Rule{
		{Prefix: at("0.0.0.0/0"), Action: access.Allow, Kinds: all},
		{Prefix: at("2001:db8::/32"), Action: access.Allow, Kinds: none},
		{Prefix: at("10.98.1.0/24"), Action: access.Allow, Kinds: all, MinVersion: 4},
		{Prefix: at("10.98.2.0/24"), Action: access.Allow, Kinds: all &^ none},
		{Prefix: at("172.16.0.0/12"), Action: access.Allow, Kinds: all,
			Rate: &access.RateLimit{Interval: 200 * time.Millisecond, Burst: 8, Leak: 0.3, Kiss: true}},
		{Prefix: at("172.16.9.0/24"), Action: access.Allow, Kinds: all,
			Rate: &access.RateLimit{Interval: 100 * time.Millisecond, Burst: 3, Minimum: 50 * time.Millisecond}},
		{Prefix: at("203.0.113.0/24"), Kiss: access.KissDeny},
		{Prefix: at("198.51.100.0/24"), SourcePort123: true, Action: access.Allow, Kinds: all, MinVersion: 3},
		{Prefix: at("198.51.100.0/24"), Action: access.Deny},
		{Prefix: at("2001:db8:1::/48"), Action: access.Allow, Kinds: all,
			Rate: &access.RateLimit{Interval: time.Second, Burst: 2, Kiss: true}},
		{Prefix: at("2001:db8:2::/48"), Kiss: access.KissRestrict},
		{Prefix: at("10.98.3.0/24"), Action: access.Allow, Kinds: all, Keys: []access.KeyRange{{Low: 1, High: 3}, {Low: 70000, High: 80000}}},
		{Prefix: at("10.98.4.0/24"), Action: access.Allow, Kinds: all, Keys: []access.KeyRange{{Low: 4000, High: 4000}}},
		{Prefix: at("10.98.5.0/24"), Action: access.Allow, Kinds: access.KindsOf(ntp.KindSymmetric), MSSNTP: true,
			Rate: &access.RateLimit{Interval: 100 * time.Millisecond, Burst: 3}},
	}
}

// pathKeys are keys of every algorithm and length that makes a difference.
func pathKeys(t testing.TB) []*symkey.Key {
	var keys []*symkey.Key
	add := func(id uint32, algorithm string, length int, addresses ...netip.Prefix) *symkey.Key {
		secret := make([]byte, length)
		for i := range secret {
			secret[i] = byte(1 + i*7 + int(id))
		}
		k, err := symkey.NewKey(id, algorithm, secret, addresses)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
		return k
	}
	for i, n := range []int{16, 1, 7, 8, 20, 63, 64, 65, 71, 72, 127, 128, 200} {
		add(uint32(1+3*i), "MD5", n)
		add(uint32(2+3*i), "SHA1", n)
		add(uint32(3+3*i), "SHA256", n)
	}
	for id := range uint32(3) {
		add(50+id, "AES128", 16)
	}
	add(60, "AES256", 32)
	add(70000, "SHA1", 20) // as long as an identifier of Autokey
	add(4294967295, "MD5", 16)
	add(61, "MD5", 16, netip.MustParsePrefix("198.51.100.0/24")) // of a server, for everybody
	last := len(keys)
	add(62, "MD5", 16, netip.MustParsePrefix("172.16.0.0/16"))
	keys[last] = keys[last].LimitClients()
	return keys
}

// sum16 is the Internet checksum's sum (RFC 1071).
func sum16(parts ...[]byte) uint16 {
	sum := uint32(0)
	for _, p := range parts {
		for i := 0; i+1 < len(p); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(p[i:]))
		}
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// pseudo is the pseudo header of UDP.
func pseudo(from, to netip.Addr, length int) []byte {
	p := append(from.AsSlice(), to.AsSlice()...)
	return append(p, 0, 17, byte(length>>8), byte(length))
}

// encode makes the frame around the payload.
func (f *frame) encode() {
	udp := make([]byte, 8, 8+len(f.payload))
	binary.BigEndian.PutUint16(udp, f.from.Port())
	binary.BigEndian.PutUint16(udp[2:], f.to.Port())
	length := 8 + len(f.payload)
	binary.BigEndian.PutUint16(udp[4:], uint16(length))
	odd := append(bytes.Clone(f.payload), make([]byte, len(f.payload)%2)...)
	check := ^sum16(pseudo(f.from.Addr(), f.to.Addr(), length), udp, odd)
	if check == 0 {
		check = 0xffff
	}
	binary.BigEndian.PutUint16(udp[6:], check)
	f.octets = append(f.octets[:0], 0, 0, 0, 0, 0, 0, 0x02, 1, 2, 3, 4, 5)
	if f.from.Addr().Is4() {
		ip := []byte{0x45, f.tos, 0, 0, 1, 2, 0x40, 0, 63, 17, 0, 0}
		binary.BigEndian.PutUint16(ip[2:], uint16(20+length))
		ip = append(append(ip, f.from.Addr().AsSlice()...), f.to.Addr().AsSlice()...)
		binary.BigEndian.PutUint16(ip[10:], ^sum16(ip))
		f.octets = append(append(f.octets, 8, 0), ip...)
	} else {
		ip := []byte{0x60 | f.tos>>4, f.tos << 4, 0x12, 0x34, byte(length >> 8), byte(length), 17, 62}
		ip = append(append(ip, f.from.Addr().AsSlice()...), f.to.Addr().AsSlice()...)
		f.octets = append(append(f.octets, 0x86, 0xdd), ip...)
	}
	f.octets = append(append(f.octets, udp...), f.payload...)
}

// drawFrame draws a packet: mostly plain requests, and everything that only
// looks like one. earlier are answers that clients of interleaved mode name.
func drawFrame(r *rand.Rand, f *frame, earlier []ntp.Timestamp, keys []*symkey.Key) {
	pick := func(list []string) netip.Addr { return netip.MustParseAddr(list[r.IntN(len(list))]) }
	targets, sources := pathTargets, pathSources
	if r.IntN(3) > 0 { // mostly such as can be
		targets, sources = targets[:6], sources[:16]
	}
	to := pick(targets)
	from := pick(sources)
	for from.Is4() != to.Is4() {
		from = pick(sources)
	}
	ports := []uint16{123, 40000, uint16(1 + r.IntN(65535))}
	f.from = netip.AddrPortFrom(from, ports[r.IntN(3)])
	if r.IntN(30) == 0 {
		f.from = netip.AddrPortFrom(from, 0)
	}
	f.to = netip.AddrPortFrom(to, 123)
	f.tos = uint8(r.IntN(256))
	p := make([]byte, ntp.HeaderLen)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	p[0] = byte(r.IntN(4))<<6 | byte(1+r.IntN(4))<<3 | byte(ntp.ModeClient)
	switch r.IntN(12) {
	case 0: // any version and mode
		p[0] = byte(r.Uint32())
	case 1, 2, 3: // interleaved
		if len(earlier) > 0 {
			binary.BigEndian.PutUint64(p[24:], uint64(earlier[r.IntN(len(earlier))]))
		}
		if r.IntN(4) == 0 {
			copy(p[32:40], p[40:48])
		}
	case 4: // nothing but a transmit timestamp
		clear(p[1:40])
	case 5: // other lengths: MACs, fields, noise
		p = append(p, make([]byte, []int{4, 20, 24, 28, 1, 3, 36, 68}[r.IntN(8)])...)
		if r.IntN(2) == 0 {
			for i := ntp.HeaderLen; i < len(p); i++ {
				p[i] = byte(r.Uint32())
			}
		}
	case 6:
		p = p[:r.IntN(ntp.HeaderLen)]
	case 7, 8, 9, 10:
		p = drawMAC(r, p, keys)
	}
	f.payload = p
	f.encode()
	f.mutate(r)
	f.judge()
}

// drawMAC puts a MAC behind a header: mostly a right one.
func drawMAC(r *rand.Rand, p []byte, keys []*symkey.Key) []byte {
	k := keys[r.IntN(len(keys))]
	sealed := make([]byte, 256)
	copy(sealed, p)
	sealed = sealed[:k.Seal(sealed, len(p), k.WireLen(p[0]>>3&7), pathScratch)]
	switch at := ntp.HeaderLen + r.IntN(len(sealed)-ntp.HeaderLen); r.IntN(24) {
	case 0:
		sealed[at] ^= 1 << r.IntN(8)
	case 1: // as a client of Active Directory
		clear(sealed[ntp.HeaderLen+4:])
	case 2: // another key's
		binary.BigEndian.PutUint32(sealed[ntp.HeaderLen:], keys[r.IntN(len(keys))].ID())
	case 3: // nobody's
		binary.BigEndian.PutUint32(sealed[ntp.HeaderLen:], r.Uint32())
	case 4:
		sealed = sealed[:at&^3]
	case 5: // of another header
		sealed[r.IntN(ntp.HeaderLen)] ^= 1 << r.IntN(8)
	}
	return sealed
}

var pathScratch = symkey.NewScratch()

// mutate spoils a frame now and then.
func (f *frame) mutate(r *rand.Rand) {
	b := f.octets
	switch r.IntN(10) {
	case 0: // any bit
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	case 1:
		switch r.IntN(5) {
		case 0: // a VLAN tag
			f.octets = append(append(bytes.Clone(b[:12]), 0x81, 0, 0, byte(r.Uint32())), b[12:]...)
		case 1: // a tail
			f.octets = append(b, make([]byte, 1+r.IntN(9))...)
		case 2: // cut off
			f.octets = b[:14+r.IntN(len(b)-14)]
		case 3: // another station's, or all stations'
			b[0] = byte(1 + r.IntN(255))
		case 4: // a fragment
			if f.from.Addr().Is4() {
				b[20] |= 0x20
				binary.BigEndian.PutUint16(b[24:], 0)
				binary.BigEndian.PutUint16(b[24:], ^sum16(b[14:34]))
			}
		}
	case 2: // a checksum that is to be done by the network interface
		at := 40
		if !f.from.Addr().Is4() {
			at = 60
		}
		if len(b) >= at+2 {
			binary.BigEndian.PutUint16(b[at:], sum16(pseudo(f.from.Addr(), f.to.Addr(), 8+len(f.payload))))
		}
	case 3: // none at all
		at := 40
		if !f.from.Addr().Is4() {
			at = 60
		}
		if len(b) >= at+2 {
			b[at], b[at+1] = 0, 0
		}
	}
}

// judge decides, apart from the program, whether the stack would give a frame
// to one of our sockets, and what the socket would see.
func (f *frame) judge() {
	f.whole = false
	b := f.octets
	if len(b) < 42 || !bytes.Equal(b[:6], make([]byte, 6)) {
		return
	}
	var rest, addresses []byte
	switch {
	case b[12] == 8 && b[13] == 0:
		length := int(binary.BigEndian.Uint16(b[16:]))
		if b[14] != 0x45 || len(b) < 14+length || length < 28 || sum16(b[14:34]) != 0xffff || b[20]&0xbf != 0 || b[21] != 0 || b[23] != 17 {
			return
		}
		rest, addresses, f.tos = b[34:14+length], b[26:34], b[15]
	case b[12] == 0x86 && b[13] == 0xdd:
		if len(b) < 62 || b[14]>>4 != 6 || b[20] != 17 {
			return
		}
		length := int(binary.BigEndian.Uint16(b[18:]))
		if len(b) < 54+length || length < 8 {
			return
		}
		rest, addresses, f.tos = b[54:54+length], b[22:54], b[14]<<4|b[15]>>4
	default:
		return
	}
	n := len(addresses) / 2
	from, _ := netip.AddrFromSlice(addresses[:n])
	to, _ := netip.AddrFromSlice(addresses[n:])
	length := int(binary.BigEndian.Uint16(rest[4:]))
	if length < 8 || length > len(rest) {
		return
	}
	rest = rest[:length]
	even := append(bytes.Clone(rest), make([]byte, length%2)...)
	check := binary.BigEndian.Uint16(rest[6:])
	if check == 0 && n == 16 {
		return
	}
	if check != 0 && sum16(pseudo(from, to, length), even) != 0xffff && sum16(pseudo(from, to, length)) != check {
		return
	}
	f.from = netip.AddrPortFrom(from, binary.BigEndian.Uint16(rest))
	f.to = netip.AddrPortFrom(to, binary.BigEndian.Uint16(rest[2:]))
	f.payload = bytes.Clone(rest[8:])
	for _, own := range pathOwn {
		a := netip.MustParsePrefix(own).Addr()
		f.whole = f.whole || a == to && f.to.Port() == 123
		if a == from {
			f.whole = false
			return
		}
	}
}

// checkAnswer looks at the frame around an answer.
func checkAnswer(f *frame, out []byte) (payload []byte, err error) {
	a := frame{from: f.to, to: f.from, octets: bytes.Clone(out)}
	copy(a.octets, make([]byte, 6))
	switch {
	case len(out) != len(f.octets):
		return nil, fmt.Errorf("%d octets for %d", len(out), len(f.octets))
	case !bytes.Equal(out[:6], f.octets[6:12]) || !bytes.Equal(out[6:12], f.octets[:6]):
		return nil, fmt.Errorf("link addresses % x", out[:12])
	}
	own := pathOwn
	pathOwn = nil // our own answer is not to us
	a.judge()
	pathOwn = own
	if a.payload == nil {
		return nil, fmt.Errorf("the answer is no good packet: % x", out)
	}
	if a.from != f.to || a.to != f.from || a.tos != 46<<2 {
		return nil, fmt.Errorf("from %v to %v, type of service %d", a.from, a.to, a.tos)
	}
	return a.payload, nil
}

// ownOf are addresses as an interface has them.
func ownOf(list []string) (own []netif.Address) {
	for _, s := range list {
		p := netip.MustParsePrefix(s)
		own = append(own, netif.Address{Addr: p.Addr(), Interface: "eth0", Prefix: p})
	}
	return own
}

// differential sends packets through the handler alone, and through the program
// with the handler behind it. Whatever the program does, the answers are the
// same, octet for octet, with a clock that stands still meanwhile; what it
// passes it has not touched, and in the end both have counted the same.
func differential(t testing.TB, mode fastpath.Mode, packets int, seed uint64) {
	const slots = 64
	random := rand.New(rand.NewPCG(seed, 1))
	limiter := access.LimiterConfig{Clients: 8, Seed: [16]byte{1}}
	mono, system := int64(1e12), time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC).UnixNano()
	beside, err := fastpath.Open(fastpath.Options{Interfaces: []fastpath.Interface{{Name: "lo", Mode: mode}}, Limiter: limiter,
		Departures: slots, DepartLen: DepartureLen, Clients: 1024, DSCP: 46, Log: hclog.NewNullLogger(),
		Frozen: func() (int64, int64) { return mono, system },
		Own:    func() ([]netif.Address, error) { return ownOf(pathOwn), nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close()
	keys := pathKeys(t)
	stateOf := func(memory []byte) *State {
		rules, err := access.NewTable(pathRules())
		if err != nil {
			t.Fatal(err)
		}
		overlays := new(access.Overlays)
		overlays.Set(netip.MustParsePrefix("172.16.9.128/25"), &access.Overlay{None: &access.Step{ID: 7}})
		overlays.Set(netip.MustParsePrefix("10.98.0.3/32"), &access.Overlay{None: &access.Step{ID: 8}})
		overlays.Set(netip.MustParsePrefix("2001:db8::3/128"), &access.Overlay{Symmetric: &access.Step{ID: 9},
			Keys: []access.KeyStep{{Key: 1}, {Key: 50}}})
		overlays.Set(netip.MustParsePrefix("10.98.0.2/32"), &access.Overlay{Keys: []access.KeyStep{{Key: 2, Step: &access.Step{ID: 10}}}})
		l, err := access.NewLimiterIn(limiter, memory)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := symkey.NewTable(keys, symkey.TrustAll)
		if err != nil {
			t.Fatal(err)
		}
		return &State{Access: rules.With(overlays), Limiter: l, Keys: keys}
	}
	alone := newWorld(t, stateOf(nil), newTimestampStore(slots))
	behind := newWorld(t, stateOf(beside.Limiter()), storeIn(beside.Departures()))
	beside.Begin(func() int64 { return mono })
	beside.Govern(behind.state.Access, behind.state.Limiter, behind.state.Keys)
	beside.Listen([]netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:123"), netip.MustParseAddrPort("[::]:123")})
	var earlier []ntp.Timestamp
	var f frame
	answers, byKey := 0, map[uint32]int{}
	inventory := map[string]feed.Sighting{}
	clocks := []*ntp.ClockState{goodClock(), {Leap: ntp.LeapUnknown, Stratum: 16, RootDispersion: time.Second, Precision: -20},
		{Leap: ntp.LeapInsert, Stratum: 1, ReferenceID: 0x47505300, RootDelay: time.Millisecond, Drift: 15e-6, Precision: -24},
		{Leap: ntp.LeapInsert, Stratum: 2, Smear: ntp.Smear{Enabled: true, Active: true, Offset: -123456789}},
		{Leap: ntp.LeapInsert, Stratum: 2, Smear: ntp.Smear{Enabled: true, Alarm: true}}}
	for i := range packets {
		passed := random.Int64N(2e7)
		mono, system = mono+passed, system+passed
		drawFrame(random, &f, earlier, keys)
		now := ntp.TimestampFromUnix(system/1e9, system%1e9)
		stamp := time.Time{}
		f.received = now
		if mode == fastpath.TCX && random.IntN(3) > 0 {
			stamp = time.Unix(0, system-random.Int64N(1e6))
			f.received = ntp.TimestampFromUnix(stamp.Unix(), int64(stamp.Nanosecond()))
		}
		clock := *clocks[i/64%len(clocks)]
		clock.Updated = now.Add(-time.Second)
		for _, w := range []*world{alone, behind} {
			w.clock, w.mono, w.now = &clock, mono, func() ntp.Timestamp { return now }
		}
		beside.SetClock(&clock)
		before := beside.Counts()
		out, answered, err := beside.Try(mode, f.octets, stamp)
		if err != nil && len(f.octets) >= 14 {
			continue // the kernel takes no such frame
		}
		after := beside.Counts()
		var want, got []byte
		if f.whole {
			want = bytes.Clone(alone.serve(&f, now))
		}
		switch {
		case answered && !f.whole:
			t.Fatalf("packet %d: answered, which the stack would not give to a socket: %v to %v, % x", i, f.from, f.to, f.octets)
		case answered:
			answers++
			if len(f.payload) > ntp.HeaderLen {
				byKey[binary.BigEndian.Uint32(f.payload[ntp.HeaderLen:])]++
			}
			if got, err = checkAnswer(&f, out); err != nil {
				t.Fatalf("packet %d: %v", i, err)
			}
		case !bytes.Equal(out, f.octets):
			t.Fatalf("packet %d: passed, but changed\nfrom % x\n  to % x", i, f.octets, out)
		case before.Answered != after.Answered || before.Keyed != after.Keyed || before.Stamped != after.Stamped:
			t.Fatalf("packet %d: passed, but counted", i)
		case f.whole:
			got = behind.serve(&f, now)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("packet %d from %v (answered by the program: %v), % x:\nwant % x\n got % x", i, f.from, answered, f.payload, want, got)
		}
		if len(got) >= ntp.HeaderLen {
			earlier = append(earlier[max(0, len(earlier)-20):], ntp.Timestamp(binary.BigEndian.Uint64(got[32:])))
		}
		if i%5000 == 4999 {
			beside.Clients(func(s *feed.Sighting) { seen(inventory, s) })
		}
	}
	keyed, most := 0, 29 // MD5, SHA1, AES128
	for _, n := range byKey {
		keyed += n
	}
	if answers < packets/20 || keyed < packets/50 || packets >= 50_000 && len(byKey) < most {
		t.Fatalf("the program answered %d of %d, %d with %d keys; passed %v %v", answers, packets, keyed, len(byKey), fastpath.Causes,
			beside.Counts().Passed)
	}
	compareCounts(t, alone, behind, beside)
	if lost := beside.Clients(func(s *feed.Sighting) { seen(inventory, s) }); lost != 0 {
		t.Errorf("%d clients lost", lost)
	}
	compareInventories(t, alone, behind, inventory)
	t.Logf("%s: the program answered %d of %d packets, %d of them with %d keys; passed %v %v", mode, answers, packets, keyed, len(byKey),
		fastpath.Causes, beside.Counts().Passed)
}

// compareCounts compares what was counted, and the hits of rules.
func compareCounts(t testing.TB, alone, behind *world, beside *fastpath.Engine) {
	t.Helper()
	var want, got Counters
	alone.count.addTo(&want)
	behind.count.addTo(&got)
	got.addBeside(beside)
	got.Beside, got.TXDaemon, got.RXDaemon, got.RXKernel = 0, want.TXDaemon, want.RXDaemon, want.RXKernel // of workers
	if got != want {
		t.Errorf("counted %+v\nwant %+v", got, want)
	}
	rules := alone.state.Access.Rules()
	hits, wantHits := make([]uint64, len(rules)), make([]uint64, len(rules))
	alone.hits.addTo(wantHits, firstRule(alone.state.Access))
	behind.hits.addTo(hits, firstRule(behind.state.Access))
	beside.Hits(hits)
	for i := range hits {
		if hits[i] != wantHits[i] {
			t.Errorf("rule %d: %d requests, want %d", i, hits[i], wantHits[i])
		}
	}
}

// compareInventories compares what inventories were told. Of a client that both
// answered, the program and the sockets tell in their own order.
func compareInventories(t testing.TB, alone, behind *world, told map[string]feed.Sighting) {
	t.Helper()
	want := map[string]feed.Sighting{}
	alone.feed.Drain(func(s *feed.Sighting) { seen(want, s) })
	behind.feed.Drain(func(s *feed.Sighting) { seen(told, s) })
	for key, w := range want {
		g := told[key]
		if g.Count != w.Count {
			t.Errorf("%s: %d packets told, want %d", key, g.Count, w.Count)
		}
		if w.Kind == ntp.KindSymmetric && w.Reason == ntp.ReasonOK && (g.MAC != w.MAC || g.Octets != w.Octets) {
			t.Errorf("%s: %d octets with a MAC of %d told, want %d with %d", key, g.Octets, g.MAC, w.Octets, w.MAC)
		}
	}
	for key := range maps.Keys(told) {
		if _, there := want[key]; !there {
			t.Errorf("%s was told, and nobody asked so", key)
		}
	}
}

func TestFastPathAnswersAsTheHandler(t *testing.T) {
	requireBPF(t)
	packets := 50_000
	if testing.Short() {
		packets = 5000
	}
	for _, mode := range []fastpath.Mode{fastpath.TCX, fastpath.XDP} {
		t.Run(string(mode), func(t *testing.T) { differential(t, mode, packets, 1) })
	}
}

// TestLongFastPathAnswersAsTheHandler is the same with a million packets in each mode.
func TestLongFastPathAnswersAsTheHandler(t *testing.T) {
	if os.Getenv("NTSBRIDGE_INTEROP_LONG") == "" {
		t.Skip("a million packets: set NTSBRIDGE_INTEROP_LONG=1")
	}
	requireBPF(t)
	for _, mode := range []fastpath.Mode{fastpath.TCX, fastpath.XDP} {
		t.Run(string(mode), func(t *testing.T) { differential(t, mode, 1_000_000, uint64(time.Now().UnixNano())) })
	}
}
