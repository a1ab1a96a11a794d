package autokey

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// challengeOf returns IFF challenges that differ.
func challengeOf(i uint64) Message {
	return Message{Code: Request(OpIFF), Value: binary.BigEndian.AppendUint64(nil, i)}
}

// shares is a Budget without time: what is left for each client and for all.
type shares struct {
	each, all int
	spent     map[netip.Addr]int
}

func newShares(each, all int) *shares {
	return &shares{each: each, all: all, spent: make(map[netip.Addr]int)}
}

func (s *shares) Spend(client netip.Addr, units, _ int) bool {
	if units > s.all || !s.SpendOwn(client, units) {
		return false
	}
	s.all -= units
	return true
}

func (s *shares) SpendOwn(client netip.Addr, units int) bool {
	if s.spent[client]+units > s.each {
		return false
	}
	s.spent[client] += units
	return true
}

// TestBudget floods the server from one and from many addresses.
func TestBudget(t *testing.T) {
	cfg := testConfig(t, "iff-b512")
	cost := iffCost(cfg.Host.IFF) + privateCost(cfg.Host.Certificate.PublicKey)
	each := 5*cost + 5*excessIFF
	cfg.Budget = newShares(each, 20*cost)
	var challenge uint64
	flood := func(s *Server, p *peer, now ntp.Timestamp, n int) (answered int) {
		for range n {
			challenge++
			v, sess, _ := answer(t, s, p.ask(challengeOf(challenge)), now, true)
			switch {
			case v.Action == ntp.Answer && v.Reason == ntp.ReasonOK && sess.Cost == cost:
				answered++
			case v.Action == ntp.Drop && v.Reason == ntp.ReasonBudget:
			default:
				t.Fatalf("%+v, cost %d", v, sess.Cost)
			}
		}
		return answered
	}
	s, p := newTestServer(t, cfg), newPeer(MD5)
	if n := flood(s, p, testNow, 20); n != 5 {
		t.Errorf("one client: %d answered at once, want 5", n)
	}
	cfg.Budget = newShares(each, 20*cost)
	s = newTestServer(t, cfg)
	total := 0
	for i := range 100 {
		p.addr = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		total += flood(s, p, testNow, 1)
	}
	if total != 20 {
		t.Errorf("many clients: %d answered at once, want 20", total)
	}
	// What costs nothing is answered all the same.
	for _, m := range []Message{{Code: Request(OpAssoc), Value: []byte("tock")}, {Code: Request(OpAuto), Short: true}} {
		if v, _, _ := answer(t, s, p.ask(m), testNow, true); v.Action != ntp.Answer {
			t.Errorf("%v: %+v", m.Code.Op(), v)
		}
	}
	if v, _, _ := answer(t, s, p.plain(0), testNow, true); v.Action != ntp.Answer {
		t.Errorf("plain: %+v", v)
	}
}

// excessIFF is by how many octets an IFF answer may be longer than the
// request of this test.
const excessIFF = 104

// TestAmplificationBudget shows that what can be reflected at one address is
// bounded, though certificates cost no public-key operation.
func TestAmplificationBudget(t *testing.T) {
	cfg := testConfig(t, "tc-rsa512-md5")
	cfg.Budget = newShares(2000, 0)
	s, p := newTestServer(t, cfg), newPeer(MD5)
	m := Message{Code: Request(OpCert), Value: []byte("tick")}
	in, out := 0, 0
	for range 100 {
		_, sess, _ := answer(t, s, p.ask(m), testNow, true)
		in += sess.OctetsIn
		out += sess.OctetsOut
	}
	if out == 0 || out > in+2000 {
		t.Errorf("%d octets out for %d in", out, in)
	}
	p.addr = netip.MustParseAddr("203.0.113.9")
	if v, _, _ := answer(t, s, p.ask(m), testNow, true); v.Action != ntp.Answer {
		t.Errorf("another client: %+v", v)
	}
}

// TestAnswersRemembered shows that equal requests get equal answers without
// cost, for a while.
func TestAnswersRemembered(t *testing.T) {
	cfg := testConfig(t, "iff-b512")
	pub := keyfile.MarshalPublicKey(&cfg.Host.HostKey.RSAPublicKey)
	for _, c := range []struct {
		m           Message
		life        time.Duration
		perClient   bool
		fromRequest bool // filestamp is the request's
	}{
		{Message{Code: Request(OpCook), Value: pub}, answerLife, true, false},
		{challengeOf(1), answerLife, true, false},
		{Message{Code: Request(OpSign), Filestamp: 5, Value: cfg.Host.Certificate.Raw}, signLife, false, true},
	} {
		t.Run(c.m.Code.Op().String(), func(t *testing.T) {
			s, p := newTestServer(t, cfg), newPeer(MD5)
			get := func(now ntp.Timestamp, synced bool) (*Session, Message) {
				_, sess, resp := answer(t, s, p.ask(c.m), now, synced)
				if resp == nil {
					t.Fatal("no answer")
				}
				m, _ := packet{data: resp}.message()
				return sess, m
			}
			sess, first := get(testNow, true)
			if sess.Cached || sess.Cost == 0 {
				t.Errorf("first: cached %v, cost %d", sess.Cached, sess.Cost)
			}
			p.keyID++
			c.m.AssociationID = 99
			sess, again := get(testNow.Add(c.life-time.Second), true)
			if !sess.Cached || sess.Cost != 0 || again.Timestamp != first.Timestamp ||
				!bytes.Equal(again.Value, first.Value) || !bytes.Equal(again.Signature, first.Signature) {
				t.Errorf("again: cached %v, cost %d", sess.Cached, sess.Cost)
			}
			if again.AssociationID != 99 {
				t.Errorf("association ID %d", again.AssociationID)
			}
			p.addr = netip.MustParseAddr("203.0.113.9")
			if sess, _ = get(testNow, true); sess.Cached == c.perClient {
				t.Errorf("another client: cached %v", sess.Cached)
			}
			p.addr = testClient
			if sess, _ = get(testNow.Add(c.life), true); sess.Cached {
				t.Error("life of the answer")
			}
			if sess, _ = get(testNow.Add(-time.Hour), true); sess.Cached {
				t.Error("answer from the future")
			}
			if !c.fromRequest {
				if sess, m := get(testNow.Add(c.life), false); sess.Cached || m.Timestamp != 0 {
					t.Error("signed answer while unsynchronised")
				}
			}
			c.m.Value = bytes.Clone(c.m.Value)
			c.m.Value[len(c.m.Value)-1] ^= 2
			c.m.Filestamp++
			if sess, _ = get(testNow.Add(c.life), true); sess.Cached {
				t.Error("another request gets the same answer")
			}
		})
	}
}

func TestAnswersBounded(t *testing.T) {
	a := newAnswers(4)
	put := func(i int, at ntp.Timestamp, stamp uint32) {
		a.put(&remembered{key: answerKey{byte(i)}, made: at, life: time.Minute, message: Message{Timestamp: stamp}})
	}
	for i := range 100 {
		now := testNow.Add(time.Duration(i) * time.Millisecond)
		put(i, now, uint32(i))
		put(i, now, uint32(i+1))
		if m, ok := a.get(&answerKey{byte(i)}, now); !ok || m.Timestamp != uint32(i+1) {
			t.Fatalf("answer %d: %+v %v", i, m, ok)
		}
	}
	for i := 96; i < 100; i++ {
		if _, ok := a.get(&answerKey{byte(i)}, testNow.Add(time.Second)); !ok {
			t.Errorf("answer %d is gone", i)
		}
	}
	if _, ok := a.get(&answerKey{95}, testNow); ok {
		t.Error("oldest answer still there")
	}
	for _, n := range []int{0, 1, 5, 1024} {
		if got := len(newAnswers(n).places); got > max(n, answerWays) || got%answerWays != 0 {
			t.Errorf("%d places for %d answers", got, n)
		}
	}
}

// TestAnsweredAtOnce goes through a client's dance: the fast path answers all
// that costs no public-key operation, and the rest when it is asked again, as
// the slow path does and without an allocation.
func TestAnsweredAtOnce(t *testing.T) {
	cfg := testConfig(t, "iff-b512")
	pub := keyfile.MarshalPublicKey(&cfg.Host.HostKey.RSAPublicKey)
	for _, c := range []struct {
		m      Message
		signed bool // once, for everybody
		costly bool
	}{
		{Message{Code: Request(OpAssoc), Value: []byte("tock")}, true, false},
		{Message{Code: Request(OpCert), Value: []byte(cfg.Host.Name)}, true, false},
		{Message{Code: Request(OpCert), Value: []byte("nobody")}, true, false},
		{Message{Code: Request(OpCert), Value: make([]byte, 600)}, false, false},
		{Message{Code: Request(OpLeap)}, true, false},
		{Message{Code: Request(OpAuto), Short: true}, false, false},
		{Message{Code: Request(OpMV), Value: []byte{1}}, false, false},
		{Message{Code: Request(12), Value: []byte{1}}, false, false},
		{Message{Code: Request(OpCook), Value: pub}, true, true},
		{challengeOf(1), false, true},
		{Message{Code: Request(OpSign), Filestamp: 5, Value: cfg.Host.Certificate.Raw}, false, true},
	} {
		t.Run(c.m.Code.Op().String(), func(t *testing.T) {
			s, p, sess := newTestServer(t, cfg), newPeer(MD5), new(Session)
			open := func(slow bool) ([]byte, ntp.Action) {
				req := p.ask(c.m)
				v := s.Open(testNow, true, req, sess, slow)
				if v.Action != ntp.Answer {
					return nil, v.Action
				}
				var resp [MaxResponseLen]byte
				return bytes.Clone(resp[:s.Seal(req, resp[:], sess)]), v.Action
			}
			if _, action := open(false); (action == ntp.Defer) != (c.signed || c.costly) {
				t.Errorf("before anything was signed: %v", action)
			}
			want, _ := open(true)
			if want == nil {
				t.Fatal("no answer")
			}
			got, action := open(false)
			if !bytes.Equal(got, want) {
				t.Errorf("%v: another answer than that of the slow path", action)
			}
			if sess.Cost != 0 || sess.Cached != c.costly {
				t.Errorf("cost %d, cached %v", sess.Cost, sess.Cached)
			}
			req := p.ask(c.m)
			if n := testing.AllocsPerRun(100, func() { s.Open(testNow, true, req, sess, false) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// TestSignaturesLeaveCookies asks for signatures until there is nothing left
// for them: cookies are made all the same, and known clients get both.
func TestSignaturesLeaveCookies(t *testing.T) {
	cfg := testConfig(t, "iff-b512")
	b := &pool{full: 1000 * 100, left: 1000 * 100}
	cfg.Budget = b
	s, p := newTestServer(t, cfg), newPeer(MD5)
	pub := keyfile.MarshalPublicKey(&cfg.Host.HostKey.RSAPublicKey)
	flood := func(next func(i int) Message, known bool) (answered int) {
		for i := range 100_000 {
			p.addr = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			sess := &Session{Known: known}
			if s.Open(testNow, true, p.ask(next(i)), sess, true).Action != ntp.Answer {
				return i
			}
		}
		return 100_000
	}
	cookie := func(int) Message { return Message{Code: Request(OpCook), Value: pub} }
	proofs := flood(func(i int) Message { return challengeOf(uint64(i)) }, false)
	strangers := flood(cookie, false)
	known := flood(cookie, true)
	if proofs == 0 || strangers == 0 || known == 0 || b.left < 0 {
		t.Errorf("%d proofs, then %d cookies of strangers and %d of known clients", proofs, strangers, known)
	}
}

// pool is a Budget of all without time.
type pool struct{ full, left int }

func (p *pool) Spend(_ netip.Addr, units, keep int) bool {
	if p.left-units < p.full*keep/100 {
		return false
	}
	p.left -= units
	return true
}

func (p *pool) SpendOwn(netip.Addr, int) bool { return true }
