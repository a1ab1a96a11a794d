package server

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/fastpath"
	"ntsbridge/bridge/fastpath/frames"
	"ntsbridge/bridge/needs"
	"ntsbridge/bridge/netif"
	"ntsbridge/bridge/ntp"
)

// newFrameWorker is a worker without a socket, which is given frames.
func newFrameWorker(r *rig, partial bool) *frameWorker {
	srv := &shared{store: newTimestampStore(1 << 10), proved: newProved(), zeroSeed: newZeroSeedTable()}
	srv.state.Store(r.handler.state)
	srv.clock.Store(r.handler.clock)
	w := &frameWorker{srv: srv, partial: partial, tos: 46 << 2}
	w.handler = newHandler(srv, &w.count, false)
	w.handler.now = func() ntp.Timestamp { return w.arrivedAt }
	return w
}

// drawNTS draws a frame with one of the rig's requests, and spoils it now and
// then.
func drawNTS(random *rand.Rand, requests [][]byte, f *frame) {
	from, to := "10.98.0.2", "10.98.0.1"
	if random.IntN(2) == 0 {
		from, to = "2001:db8::2", "2001:db8::1"
	}
	f.from = netip.AddrPortFrom(netip.MustParseAddr(from), uint16(1+random.IntN(65535)))
	f.to = netip.AddrPortFrom(netip.MustParseAddr(to), 123)
	f.tos = uint8(random.IntN(256))
	f.payload = bytes.Clone(requests[random.IntN(len(requests))])
	if random.IntN(8) == 0 { // for the handler to refuse
		f.payload[random.IntN(len(f.payload))] ^= 1 << random.IntN(8)
	}
	f.encode()
	f.mutate(random)
	f.judge()
}

// TestFramesAnswerAsTheHandler gives requests with NTS, whole and spoiled, to the
// handler, and to a worker that gets them as frames: what the network stack
// would keep from a socket gets no answer, the rest the handler's, but for what
// is drawn anew for each answer, and the same is counted.
func TestFramesAnswerAsTheHandler(t *testing.T) {
	r := newRig(t)
	requests := [][]byte{r.requests["AEAD_AES_SIV_CMAC_256"], r.requests["AEAD_AES_128_GCM_SIV"]}
	random := rand.New(rand.NewPCG(3, 4))
	w := newFrameWorker(r, true)
	alone, framed, out := newSlot(t), newSlot(t), make([]byte, 2048)
	want, answered, whole := make([]byte, maxPacket), 0, 0
	refused := 0
	var f frame
	for i := range 3000 {
		drawNTS(random, requests, &f)
		if !bytes.Equal(f.octets[:6], make([]byte, 6)) {
			continue // the program gives nothing of another station
		}
		w.begin(time.Now())
		w.openFrame(framed, f.octets, 0)
		n := w.finishFrame(framed, f.octets, out)
		if framed.judged != f.whole {
			t.Fatalf("packet %d: read %v, want %v: % x", i, framed.judged, f.whole, f.octets)
		}
		if !f.whole {
			continue
		}
		whole++
		alone.req = ntp.Request{Packet: f.payload, From: f.from, To: f.to.Addr(), Received: w.arrivedAt}
		r.handler.now = w.handler.now
		r.handler.open(alone)
		length := r.handler.finish(alone, &w.base, want)
		if framed.verdict != alone.verdict || n == 0 != (length == 0) {
			t.Fatalf("packet %d: verdict %+v and %d octets, want %+v and %d", i, framed.verdict, n, alone.verdict, length)
		}
		if alone.verdict.Action != ntp.Answer {
			refused++
		}
		if n == 0 {
			continue
		}
		answered++
		f.octets = f.octets[:min(len(f.octets), n)] // answers may be shorter
		got := answerOf(t, &f, out[:n])
		if len(got) != length || !bytes.Equal(got[:32], want[:32]) {
			t.Fatalf("packet %d: % x, want % x", i, got, want[:length])
		}
	}
	if answered < 1000 || refused < 50 {
		t.Errorf("%d answered, %d refused", answered, refused)
	}
	var got, all Counters
	w.count.addTo(&got)
	r.handler.count.addTo(&all)
	if got.Actions != all.Actions || got.Packets != all.Packets || got.Frames != got.Received || got.Frames != uint64(whole) {
		t.Errorf("counted %d frames of %d of %d, %v, want %v", got.Frames, got.Received, whole, got.Actions, all.Actions)
	}
	if a := testing.AllocsPerRun(100, func() { w.openFrame(framed, f.octets, 1e18); w.finishFrame(framed, f.octets, out) }); a != 0 {
		t.Errorf("%v allocations for a frame", a)
	}
}

// answerOf looks at the frame around an answer.
func answerOf(t *testing.T, f *frame, out []byte) []byte {
	t.Helper()
	a := *f
	a.octets = append(bytes.Clone(f.octets), make([]byte, len(out)-len(f.octets))...)
	payload, err := checkAnswer(&a, out)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// loopbackSocket is a socket at the loopback interface of a namespace of its own.
func loopbackSocket(t *testing.T) *frames.Socket {
	t.Helper()
	var socket *frames.Socket
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = exec.Command("ip", "link", "set", "lo", "up").Run()
		}
		if err == nil {
			socket, err = frames.Open(1, 0)
		}
		result <- err
	}()
	if err := <-result; err != nil {
		needs.Missing(t, "a socket of AF_XDP in a namespace: %v", err)
	}
	t.Cleanup(socket.Close)
	return socket
}

// Of frames the program of XDP gives requests with NTS to our own places to
// AF_XDP, whole ones at least as far as it looks; all others go on untouched.
func TestFramesAreChosen(t *testing.T) {
	requireBPF(t)
	socket := loopbackSocket(t)
	r := newRig(t)
	mono, system := int64(1e12), int64(17e17)
	e, err := fastpath.Open(fastpath.Options{Interfaces: []fastpath.Interface{{Name: "lo", Mode: fastpath.XDPNTS}},
		Limiter: access.LimiterConfig{Clients: 8, Seed: [16]byte{1}}, DSCP: 46, Log: hclog.NewNullLogger(),
		Frozen: func() (int64, int64) { return mono, system },
		Own:    func() ([]netif.Address, error) { return ownOf(pathOwn), nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.TrySocket(socket); err != nil {
		t.Fatal(err)
	}
	e.Govern(r.handler.state.Access, r.handler.state.Limiter, nil)
	e.Listen([]netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:123"), netip.MustParseAddrPort("[::]:123")})
	e.SetClock(goodClock())
	nts := r.requests["AEAD_AES_SIV_CMAC_256"]
	six, four := [2]string{"2001:db8::2", "2001:db8::1"}, [2]string{"10.98.0.2", "10.98.0.1"}
	for _, c := range []struct {
		name    string
		between [2]string
		payload []byte
		spoil   func(b []byte) []byte
		taken   bool
	}{
		{"IPv4", four, nts, nil, true},
		{"IPv6", six, nts, nil, true},
		{"a key of SHA256", four, r.requests["SHA256"], nil, false},
		{"Autokey", four, r.requests["autokey message"], nil, false},
		{"another version", four, withOctet(nts, 0, 3<<3|3), nil, false},
		{"symmetric active", four, withOctet(nts, 0, 4<<3|1), nil, false},
		{"another field", four, withOctet(nts, ntp.HeaderLen+1, 5), nil, false},
		{"another host", [2]string{"10.98.0.2", "10.98.0.9"}, nts, nil, false},
		{"a broadcast", [2]string{"10.98.0.2", "10.98.0.255"}, nts, nil, false},
		{"from ourselves", [2]string{"10.98.0.1", "10.98.0.1"}, nts, nil, false},
		{"from the loopback", [2]string{"127.0.0.1", "10.98.0.1"}, nts, nil, false},
		{"another station", four, nts, func(b []byte) []byte { b[0] = 2; return b }, false},
		{"a VLAN tag", four, nts, func(b []byte) []byte { return append(append(bytes.Clone(b[:12]), 0x81, 0, 0, 5), b[12:]...) }, false},
		{"a fragment", four, nts, func(b []byte) []byte { b[20] |= 0x20; return b }, false},
		{"a later fragment", four, nts, func(b []byte) []byte { b[21] = 1; return b }, false},
		{"options", four, nts, func(b []byte) []byte { b[14] = 0x46; return b }, false},
		{"extension headers", six, nts, func(b []byte) []byte { b[20] = 0; return b }, false},
		{"a tail", four, nts, func(b []byte) []byte { return append(b, 0, 0) }, false},
		{"cut off", four, nts, func(b []byte) []byte { return b[:len(b)-2] }, false},
		{"a short datagram", four, nts, func(b []byte) []byte { b[39] -= 4; return b }, false},
	} {
		f := frame{from: netip.AddrPortFrom(netip.MustParseAddr(c.between[0]), 4000),
			to: netip.AddrPortFrom(netip.MustParseAddr(c.between[1]), 123), payload: c.payload}
		f.encode()
		if c.spoil != nil {
			f.octets = c.spoil(f.octets)
		}
		out, taken, err := e.TryNTS(f.octets)
		if err != nil {
			t.Fatal(err)
		}
		if taken != c.taken || !taken && !bytes.Equal(out, f.octets) {
			t.Errorf("%s: given to AF_XDP: %v, want %v, or changed: % x", c.name, taken, c.taken, out)
		}
	}
}

func withOctet(p []byte, at int, v byte) []byte {
	p = bytes.Clone(p)
	p[at] = v
	return p
}

// FuzzFrame reads what comes from the network: nothing panics, an answer is a
// frame that is read again, with what was asked turned round.
func FuzzFrame(f *testing.F) {
	var whole frame
	whole.from, whole.to = netip.MustParseAddrPort("10.98.0.2:4000"), netip.MustParseAddrPort("10.98.0.1:123")
	whole.payload = make([]byte, 76)
	whole.encode()
	f.Add(bytes.Clone(whole.octets))
	whole.from, whole.to = netip.MustParseAddrPort("[2001:db8::2]:4000"), netip.MustParseAddrPort("[2001:db8::1]:123")
	whole.encode()
	f.Add(bytes.Clone(whole.octets))
	f.Fuzz(func(t *testing.T, b []byte) {
		var q, a frames.Request
		if !frames.Parse(b, true, &q) {
			return
		}
		out := make([]byte, len(b)+64)
		n := copy(frames.Payload(out, b), q.Payload)
		if !frames.Parse(out[:frames.Answer(out, b, n, 0)], false, &a) {
			t.Fatalf("the answer is none: % x", out)
		}
		if a.From != q.To || a.To != q.From || !bytes.Equal(a.Payload, q.Payload) {
			t.Errorf("%v to %v, want the other way: %v to %v", a.From, a.To, q.From, q.To)
		}
	})
}
