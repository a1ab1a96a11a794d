package server

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// testState serves everybody everything that is configured.
func testState(t testing.TB, rules ...access.Rule) *State {
	t.Helper()
	if len(rules) == 0 {
		for _, p := range []string{"0.0.0.0/0", "::/0"} {
			rules = append(rules, access.Rule{Prefix: netip.MustParsePrefix(p), Action: access.Allow, Kinds: access.AllKinds,
				MinVersion: 1})
		}
	}
	table, err := access.NewTable(rules)
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := access.NewLimiter(access.LimiterConfig{Clients: 1024, Seed: [16]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	return &State{Access: table, Limiter: limiter}
}

func goodClock() *ntp.ClockState {
	return &ntp.ClockState{Stratum: 2, Precision: -24, ReferenceID: 0x0a000001, RootDispersion: time.Millisecond,
		Reference: systemTime(), Updated: systemTime()}
}

func start(t testing.TB, opt Options, state *State, listen ...string) (*Server, []netip.AddrPort) {
	t.Helper()
	if opt.Workers == 0 {
		opt.Workers = 2
	}
	s, err := New(opt, state, goodClock())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var addresses []netip.AddrPort
	for _, l := range listen {
		addresses = append(addresses, netip.MustParseAddrPort(l))
	}
	bound, err := s.Listen(addresses)
	if err != nil {
		t.Fatal(err)
	}
	return s, bound
}

// dial connects, so that an answer from another address would not arrive.
func dial(t testing.TB, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask sends a packet and returns the answer; nil after a second of silence.
func ask(t testing.TB, c *net.UDPConn, packet []byte) []byte {
	t.Helper()
	if _, err := c.Write(packet); err != nil {
		t.Fatal(err)
	}
	return listen(t, c)
}

func listen(t testing.TB, c *net.UDPConn) []byte {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Second))
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

func request(version uint8, mode ntp.Mode, transmit ntp.Timestamp) []byte {
	h := ntp.Header{Version: version, Mode: mode, Poll: 6, Transmit: transmit}
	p := make([]byte, ntp.HeaderLen)
	h.Encode(p)
	return p
}

func decode(t testing.TB, p []byte) ntp.Header {
	t.Helper()
	if len(p) < ntp.HeaderLen {
		t.Fatalf("answer of %d octets", len(p))
	}
	var h ntp.Header
	h.Decode(p)
	return h
}

func TestAnswersEveryVersion(t *testing.T) {
	_, at := start(t, Options{Socket: SocketOptions{KernelTimestamps: true}}, testState(t), "127.0.0.1:0", "[::1]:0")
	for _, a := range at {
		c := dial(t, a)
		for _, q := range []struct {
			version uint8
			mode    ntp.Mode
		}{{1, ntp.ModeReserved}, {1, ntp.ModeClient}, {2, ntp.ModeClient}, {3, ntp.ModeClient}, {4, ntp.ModeClient}} {
			before := systemTime()
			h := decode(t, ask(t, c, request(q.version, q.mode, 12345)))
			after := systemTime()
			if h.Version != q.version || h.Mode != ntp.ModeServer || h.Stratum != 2 || h.Leap != ntp.LeapNone ||
				h.Origin != 12345 || h.Poll != 6 || h.ReferenceID != 0x0a000001 {
				t.Errorf("%v version %d mode %d: answer %+v", a, q.version, q.mode, h)
			}
			if h.Receive < before || h.Transmit < h.Receive || after < h.Transmit {
				t.Errorf("%v: timestamps out of order: sent %d, received %d, transmitted %d, back %d", a, before, h.Receive,
					h.Transmit, after)
			}
		}
	}
}

// A packet that gets no answer must be counted with its reason; the request
// behind it shows that the server goes on.
func TestSilence(t *testing.T) {
	short := request(4, ntp.ModeClient, 1)[:47]
	nak := append(request(4, ntp.ModeClient, 1), 0, 0, 0, 0)
	for _, c := range []struct {
		name   string
		packet []byte
		reason ntp.Reason
	}{
		{"short", short, ntp.ReasonShort},
		{"one octet", []byte{0x23}, ntp.ReasonShort},
		{"version 0", request(0, ntp.ModeClient, 1), ntp.ReasonVersion},
		{"version 5", request(5, ntp.ModeClient, 1), ntp.ReasonVersion},
		{"server mode", request(4, ntp.ModeServer, 1), ntp.ReasonMode},
		{"broadcast mode", request(4, ntp.ModeBroadcast, 1), ntp.ReasonMode},
		{"control mode", request(4, ntp.ModeControl, 1), ntp.ReasonMode},
		{"private mode", request(4, ntp.ModePrivate, 1), ntp.ReasonMode},
		{"mode 0 in version 4", request(4, ntp.ModeReserved, 1), ntp.ReasonMode},
		{"odd length", append(request(4, ntp.ModeClient, 1), 1), ntp.ReasonMalformed},
		{"field beyond the end", append(request(4, ntp.ModeClient, 1), append([]byte{1, 4, 0, 200}, make([]byte, 28)...)...),
			ntp.ReasonMalformed},
		{"crypto-NAK", nak, ntp.ReasonCryptoNAK},
		{"longer than any request", append(request(4, ntp.ModeClient, 1), make([]byte, 3000)...), ntp.ReasonMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, at := start(t, Options{Workers: 1}, testState(t), "127.0.0.1:0")
			conn := dial(t, at[0])
			if _, err := conn.Write(c.packet); err != nil {
				t.Fatal(err)
			}
			if h := decode(t, ask(t, conn, request(4, ntp.ModeClient, 77))); h.Origin != 77 {
				t.Fatalf("first answer is not to the good request: %+v", h)
			}
			got := s.Counters()
			if got.Dropped() != 1 || reasonTotal(got, c.reason) != 1 {
				t.Errorf("dropped %d, for %v %d, want 1 and 1", got.Dropped(), c.reason, reasonTotal(got, c.reason))
			}
		})
	}
}

// counted returns the counters once enough is counted, or after 10 s: an answer
// may be there before it is counted.
func counted(s *Server, enough func(*Counters) bool) *Counters {
	n := s.Counters()
	for end := time.Now().Add(10 * time.Second); !enough(n) && time.Now().Before(end); n = s.Counters() {
		time.Sleep(time.Millisecond)
	}
	return n
}

func reasonTotal(c *Counters, r ntp.Reason) (n uint64) {
	for k := range c.Packets {
		for v := range c.Packets[k] {
			n += c.Packets[k][v][r]
		}
	}
	return n
}

func TestAnswerLeavesFromTheAddressAsked(t *testing.T) {
	_, at := start(t, Options{}, testState(t), "0.0.0.0:0", "[::]:0")
	for i, asked := range []string{"127.0.0.1", "127.0.0.9", "127.3.2.1"} {
		to := netip.AddrPortFrom(netip.MustParseAddr(asked), at[0].Port())
		if ask(t, dial(t, to), request(4, ntp.ModeClient, 1)) == nil {
			t.Errorf("%d: no answer from %v", i, to)
		}
	}
	if ask(t, dial(t, netip.AddrPortFrom(netip.IPv6Loopback(), at[1].Port())), request(4, ntp.ModeClient, 1)) == nil {
		t.Error("no answer from ::1")
	}
}

func TestUnsynchronisedClockServesTheAlarm(t *testing.T) {
	s, at := start(t, Options{}, testState(t), "127.0.0.1:0")
	s.SetClock(&ntp.ClockState{Leap: ntp.LeapUnknown, Stratum: ntp.StratumUnsynchronised})
	h := decode(t, ask(t, dial(t, at[0]), request(4, ntp.ModeClient, 1)))
	if h.Leap != ntp.LeapUnknown || h.Stratum != 0 {
		t.Errorf("leap %d stratum %d, want 3 and 0", h.Leap, h.Stratum)
	}
}

func TestAccessRules(t *testing.T) {
	rule := func(prefix string) access.Rule {
		return access.Rule{Prefix: netip.MustParsePrefix(prefix), Action: access.Allow, Kinds: access.AllKinds, MinVersion: 1}
	}
	open, silent, kissed, signed, four := rule("127.0.0.0/8"), rule("127.0.1.0/24"), rule("127.0.2.0/24"), rule("127.0.3.0/24"),
		rule("127.0.4.0/24")
	silent.Action = access.Deny
	kissed.Action, kissed.Kiss = access.Deny, access.KissDeny
	signed.Kinds, signed.Kiss = access.KindsOf(ntp.KindNTS), access.KissRestrict
	four.MinVersion = 4
	_, at := start(t, Options{Workers: 1}, testState(t, open, silent, kissed, signed, four), "127.0.0.1:0")
	from := func(source string, version uint8) []byte {
		c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(source)}, net.UDPAddrFromAddrPort(at[0]))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return ask(t, c, request(version, ntp.ModeClient, 9))
	}
	if h := decode(t, from("127.0.0.5", 3)); h.Stratum != 2 {
		t.Errorf("open: %+v", h)
	}
	if from("127.0.1.5", 4) != nil {
		t.Error("denied client got an answer")
	}
	if h := decode(t, from("127.0.2.5", 4)); h.Stratum != 0 || h.ReferenceID != ntp.KissCode("DENY") || h.Leap != ntp.LeapUnknown ||
		h.Origin != 9 {
		t.Errorf("kiss code DENY: %+v", h)
	}
	if h := decode(t, from("127.0.3.5", 4)); h.Stratum != 0 || h.ReferenceID != ntp.KissCode("RSTR") {
		t.Errorf("kiss code RSTR: %+v", h)
	}
	if from("127.0.4.5", 3) != nil {
		t.Error("version 3 got an answer where 4 is required")
	}
	if h := decode(t, from("127.0.4.5", 4)); h.Stratum != 2 {
		t.Errorf("version 4: %+v", h)
	}
}

func TestInterleavedMode(t *testing.T) {
	s, at := start(t, Options{Interleaved: 1 << 16, Socket: SocketOptions{KernelTimestamps: true}}, testState(t), "127.0.0.1:0")
	c := dial(t, at[0])
	first := decode(t, ask(t, c, request(4, ntp.ModeClient, 1000)))
	h := ntp.Header{Version: 4, Mode: ntp.ModeClient, Origin: first.Receive, Receive: 2000, Transmit: 3000}
	p := make([]byte, ntp.HeaderLen)
	h.Encode(p)
	second := decode(t, ask(t, c, p))
	if second.Origin != 2000 {
		t.Fatalf("origin %d, want the request's receive timestamp", second.Origin)
	}
	if late := second.Transmit.Sub(first.Transmit); late < 0 || late > time.Second || second.Transmit >= second.Receive {
		t.Errorf("transmit timestamp is %v after that of the first answer", late)
	}
	// The second answer was stamped by the kernel when it left.
	h.Origin, h.Receive, h.Transmit = second.Receive, 4000, 5000
	h.Encode(p)
	third := decode(t, ask(t, c, p))
	if third.Origin != 4000 || third.Transmit < second.Receive || third.Transmit >= third.Receive {
		t.Errorf("third answer %+v after second %+v", third, second)
	}
	got := counted(s, func(n *Counters) bool { return n.Held >= 3 })
	if got.Interleaved != 2 || got.TXKernel == 0 || got.Held != 3 {
		t.Errorf("interleaved %d, kernel transmit timestamps %d, held %d; want 2, some, 3", got.Interleaved, got.TXKernel, got.Held)
	}
	// After a step of the clock the old timestamps are those of another one.
	s.Stepped()
	h.Origin, h.Receive, h.Transmit = third.Receive, 6000, 7000
	h.Encode(p)
	if basic := decode(t, ask(t, c, p)); basic.Origin != 7000 || basic.Transmit < basic.Receive {
		t.Errorf("after a step the answer is %+v, want one in basic mode", basic)
	}
}

func TestListenIsAllOrNothing(t *testing.T) {
	s, at := start(t, Options{}, testState(t), "127.0.0.1:0")
	_, err := s.Listen([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.2:0"), netip.MustParseAddrPort("192.0.2.1:4000")})
	if err == nil || !strings.Contains(err.Error(), "192.0.2.1:4000") {
		t.Fatalf("error %v does not name the address", err)
	}
	if ask(t, dial(t, at[0]), request(4, ntp.ModeClient, 1)) == nil {
		t.Error("the old address stopped being served")
	}
	moved, err := s.Listen([]netip.AddrPort{at[0], netip.MustParseAddrPort("127.0.0.2:0")})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range moved {
		if ask(t, dial(t, a), request(4, ntp.ModeClient, 1)) == nil {
			t.Errorf("%v is not served", a)
		}
	}
}

// Reloads while requests are under way lose none.
func TestReloadLosesNothing(t *testing.T) {
	s, at := start(t, Options{}, testState(t), "127.0.0.1:0")
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		extra := []netip.AddrPort{at[0], netip.MustParseAddrPort("127.0.0.3:0")}
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			s.SetState(testState(t))
			s.SetClock(goodClock())
			if _, err := s.Listen(extra[:1+i%2]); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	c := dial(t, at[0])
	for i := range 2000 {
		if h := ask(t, c, request(4, ntp.ModeClient, ntp.Timestamp(i+1))); h == nil || decode(t, h).Origin != ntp.Timestamp(i+1) {
			t.Fatalf("request %d was lost", i)
		}
	}
	close(stop)
	<-done
}

func TestTimestampStore(t *testing.T) {
	s := newTimestampStore(100)
	if len(s.slots) != 128 {
		t.Fatalf("%d slots, want 128", len(s.slots))
	}
	s.put(1000, 1)
	if at, ok := s.get(1000); !ok || at != 1 {
		t.Errorf("get: %d %v", at, ok)
	}
	if _, ok := s.get(1001); ok {
		t.Error("a timestamp that was never put is found")
	}
	if got := s.reserve(1000); got == 1000 {
		t.Error("a receive timestamp was given out twice")
	}
	if s.refine(1000, 0) {
		t.Error("departure moved to before the answer was made")
	}
	for i := range 10000 {
		s.put(ntp.Timestamp(5000+i<<32), 2)
	}
	if n, span := s.held(); n > 128 || span <= 0 {
		t.Errorf("held %d over %v s, want at most 128", n, span)
	}
	if none := newTimestampStore(0); none.reserve(5) != 5 {
		t.Error("an empty store changes timestamps")
	} else if none.put(5, 6); len(none.slots) != 0 {
		t.Error("an empty store grew")
	}
}
