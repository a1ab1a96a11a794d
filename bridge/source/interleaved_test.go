package source

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
	"ntsbridge/symkey"
)

// interleavedServer is a server of RFC 9769 that says of each answer that it
// left a second after it came, and only in the answer after it that it left
// at once. Requests for which basic says so get basic answers, and those for
// which lose says so none.
type interleavedServer struct {
	mu          sync.Mutex
	known       map[ntp.Timestamp]ntp.Timestamp // receive to transmit timestamps of answers
	requests    []ntp.Header
	basic, lose func(n int) bool
	change      func(n int, a *ntp.Header)
}

func (s *interleavedServer) answer(n int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, *h)
	if s.lose != nil && s.lose(n) {
		return nil
	}
	a := header(h, 0)
	a.Transmit = a.Receive.Add(5 * time.Microsecond)
	earlier, ok := s.known[h.Origin]
	if s.known == nil {
		s.known = make(map[ntp.Timestamp]ntp.Timestamp)
	}
	s.known[a.Receive] = a.Receive.Add(7 * time.Microsecond)
	if ok && h.Receive != h.Transmit && (s.basic == nil || !s.basic(n)) {
		a.Origin, a.Transmit = h.Receive, earlier
	}
	if s.change != nil {
		s.change(n, &a)
	}
	return [][]byte{encode(a)}
}

func (s *interleavedServer) start(t *testing.T) netip.AddrPort { return scriptedServer(t, s.answer) }

// turnaround returns what a sample says that the server took, in us.
func turnaround(s *Sample) int { return int(s.T3.Sub(s.T2).Round(time.Microsecond).Microseconds()) }

func TestInterleaved(t *testing.T) {
	t.Parallel()
	var server interleavedServer
	w := watch(t, ClientConfig{Server: server.start(t), Interleaved: true}, withSamples(6))
	for i, s := range w.samples {
		want := 7
		if i == 0 {
			want = 5 // the first is basic
		}
		if s.Interleaved != (i > 0) || turnaround(&s) != want || s.T4.Sub(s.T1) < 0 || s.TX != StampKernel {
			t.Errorf("sample %d: %+v", i, s)
		}
		if i > 0 && (s.Raw1 <= w.samples[i-1].Raw4 || s.T2 <= w.samples[i-1].T3) {
			t.Errorf("sample %d measures the same exchange as the one before", i)
		}
	}
	// The first interleaved answer tells of the exchange that was measured
	// already.
	if s := w.Status(); s.Sent != 7 || s.Good != 6 || s.Counts.Interleaved != 6 || w.missed > 0 || s.Reach != 0x7f || len(w.errs) > 0 {
		t.Errorf("%d missed, errors %v, %+v", w.missed, w.errs, s)
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	seen := make(map[ntp.Timestamp]bool)
	for i, q := range server.requests {
		if (q.Origin != 0) != (i > 0) || (q.Receive != 0) != (i > 0) || q.Receive == q.Transmit || seen[q.Transmit] || seen[q.Receive] {
			t.Errorf("request %d: %+v", i, q)
		}
		seen[q.Transmit] = true
		seen[q.Receive] = q.Receive != 0
	}
}

// A server that does not know the mode answers as ever.
func TestInterleavedFallsBack(t *testing.T) {
	t.Parallel()
	server := interleavedServer{basic: func(int) bool { return true }}
	w := watch(t, ClientConfig{Server: server.start(t), Interleaved: true}, withSamples(4))
	for i, s := range w.samples {
		if s.Interleaved || turnaround(&s) != 5 {
			t.Errorf("sample %d: %+v", i, s)
		}
	}
	if s := w.Status(); s.Counts.Interleaved > 0 || s.Sent != 4 || len(w.errs) > 0 {
		t.Errorf("errors %v, %+v", w.errs, s)
	}
}

// The server forgets for a while.
func TestInterleavedComesBack(t *testing.T) {
	t.Parallel()
	server := interleavedServer{basic: func(n int) bool { return n == 3 || n == 4 }}
	w := watch(t, ClientConfig{Server: server.start(t), Interleaved: true}, withSamples(7))
	last := int64(0)
	for i, s := range w.samples {
		// Requests 0, 3 and 4 have basic answers; 1 and 5 ask for exchanges
		// that were measured.
		basic := i == 0 || i == 2 || i == 3
		if s.Interleaved == basic || s.Raw1 <= last {
			t.Errorf("sample %d: %+v", i, s)
		}
		last = s.Raw4
	}
}

// After a lost answer there is nothing to refer to.
func TestInterleavedLoses(t *testing.T) {
	t.Parallel()
	server := interleavedServer{lose: func(n int) bool { return n == 2 }}
	w := watch(t, ClientConfig{Server: server.start(t), Interleaved: true}, withSamples(4))
	server.mu.Lock()
	defer server.mu.Unlock()
	if q := server.requests[3]; q.Origin != 0 || q.Receive != 0 {
		t.Errorf("request after a lost answer: %+v", q)
	}
	if q := server.requests[4]; q.Origin == 0 || w.missed != 1 {
		t.Errorf("request after that: %+v; %d missed", q, w.missed)
	}
}

// Answers in interleaved mode that cannot be are dropped, and the mode begins
// anew.
func TestInterleavedRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(a *ntp.Header){
		"left after this request came":      func(a *ntp.Header) { a.Transmit = a.Receive.Add(time.Millisecond) },
		"left before its request came":      func(a *ntp.Header) { a.Transmit = a.Transmit.Add(-time.Second) },
		"neither of the two origins":        func(a *ntp.Header) { a.Origin++ },
		"not synchronised, in the new part": func(a *ntp.Header) { a.Leap = ntp.LeapUnknown },
	} {
		server := interleavedServer{change: func(n int, a *ntp.Header) {
			if n == 2 {
				change(a)
			}
		}}
		w := watch(t, ClientConfig{Server: server.start(t), Interleaved: true}, withSamples(3))
		if len(w.errs) == 0 || w.missed != 1 {
			t.Errorf("%s: errors %v, %d missed", name, w.errs, w.missed)
		}
		server.mu.Lock()
		if q := server.requests[3]; q.Origin != 0 {
			t.Errorf("%s: request after it: %+v", name, q)
		}
		server.mu.Unlock()
	}
}

// With an extra request before each poll the server needs to remember for 2 s
// only.
func TestInterleavedPresend(t *testing.T) {
	t.Parallel()
	var server interleavedServer
	w := newWatched(t, ClientConfig{Server: server.start(t), Interleaved: true, Presend: 1}, func(*watched) {})
	for range 3 {
		once(t, w, true, atOnce)
		once(t, w, false, atOnce)
	}
	if len(w.samples) != 3 || w.missed > 0 {
		t.Fatalf("%d samples, errors %v", len(w.samples), w.errs)
	}
	for i, s := range w.samples {
		if !s.Interleaved || turnaround(&s) != 7 {
			t.Errorf("sample %d: %+v", i, s)
		}
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	for i, q := range server.requests {
		if (q.Origin == 0) != (i%2 == 0) {
			t.Errorf("request %d: %+v", i, q)
		}
	}
}

// Against this project's own server, with every authentication that a client
// with interleaved mode can have.
func TestInterleavedWithOurServer(t *testing.T) {
	t.Parallel()
	var rules []access.Rule
	for _, p := range []string{"127.0.0.0/8", "::1/128"} {
		rules = append(rules, access.Rule{Prefix: netip.MustParsePrefix(p), Action: access.Allow, Kinds: access.AllKinds, MinVersion: 1})
	}
	table, err := access.NewTable(rules)
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := access.NewLimiter(access.LimiterConfig{Clients: 16, Seed: [16]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := symkey.NewTable([]*symkey.Key{testKey(t)}, symkey.TrustAll)
	if err != nil {
		t.Fatal(err)
	}
	auth, _ := keyed(t)
	withNTS, ntsServer := withNTS(t)
	state := &server.State{Access: table, Limiter: limiter, Keys: keys, NTS: ntsServer}
	clock := &ntp.ClockState{Stratum: 2, Precision: -24, ReferenceID: 1, Reference: 1 << 32, Updated: NewSystemClock(nil).Now()}
	s, err := server.New(server.Options{Workers: 1, Interleaved: 1024, Socket: server.SocketOptions{KernelTimestamps: true}}, state, clock)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at, err := s.Listen([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("[::1]:0")})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range at {
		for name, auth := range map[string]Authenticator{"plain": nil, "key": auth, "NTS": withNTS} {
			before := s.Counters().Interleaved
			w := watch(t, ClientConfig{Server: a, Auth: auth, Interleaved: true}, withSamples(5))
			for i, s := range w.samples {
				if s.Interleaved != (i > 0) || s.Offset.Abs() > s.Delay || // both sides have one clock
					s.TX != StampKernel || s.RX != StampKernel {
					t.Errorf("%v %s: sample %d: %+v", a, name, i, s)
				}
			}
			if got := s.Counters().Interleaved - before; got != w.Status().Counts.Interleaved || len(w.errs) > 0 {
				t.Errorf("%v %s: the server counts %d, the client %+v, errors %v", a, name, got, w.Status().Counts, w.errs)
			}
		}
	}
}
