package server

import (
	"bytes"

	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server/mmsg"
)

// flood sends requests without pause until the test ends.
func flood(t *testing.T, to netip.AddrPort, packet []byte) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	c := dial(t, to)
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	out := mmsg.New(mmsg.Shape{Slots: 64, Size: 256})
	for i := range out.Len() {
		out.SetLen(i, copy(out.Buffer(i), packet))
	}
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = raw.Control(func(fd uintptr) { out.Send(int(fd), 0, out.Len()) })
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
}

// bound is how long a stop may take, whatever arrives. The best of several
// tries counts, for a machine that is busy with other things.
const bound = 500 * time.Millisecond

func TestFloodDoesNotDelayAStop(t *testing.T) {
	for _, c := range []struct {
		name string
		stop func(*Server) error
	}{
		{"close", (*Server).Close},
		{"reload", func(s *Server) error { _, err := s.Listen(nil); return err }},
	} {
		t.Run(c.name, func(t *testing.T) {
			best := time.Hour
			for range 3 {
				s, at := start(t, Options{Workers: 1}, testState(t), "127.0.0.1:0")
				t.Run("", func(t *testing.T) {
					for range 2 {
						flood(t, at[0], request(4, ntp.ModeClient, 1))
					}
					for s.Counters().Received < 20000 {
						time.Sleep(time.Millisecond)
					}
					begin := time.Now()
					if err := c.stop(s); err != nil {
						t.Fatal(err)
					}
					best = min(best, time.Since(begin))
				})
				if best < bound {
					return
				}
			}
			t.Errorf("it took %v at best", best)
		})
	}
}

// A socket that gives nothing but errors must not take a core.
func TestLastingReceiveErrorDoesNotSpin(t *testing.T) {
	s, at := start(t, Options{Workers: 1}, testState(t), "127.0.0.1:0")
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(pipe[0]); unix.Close(pipe[1]) })
	w := s.groups[at[0]][0]
	c := dial(t, at[0])
	keep, err := unix.Dup(w.socket.fd) // so that the poller's entry stays
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(keep) })
	if err := unix.Dup2(pipe[0], w.socket.fd); err != nil { // ENOTSOCK from now on
		t.Fatal(err)
	}
	if _, err := c.Write(request(4, ntp.ModeClient, 1)); err != nil {
		t.Fatal(err)
	}
	for w.count.receiveErrors.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond)
	if n := w.count.receiveErrors.Load(); n > 20*maxFailures {
		t.Errorf("%d failed calls in 0.2 s", n)
	}
	begin := time.Now()
	if err := s.Close(); err != nil || time.Since(begin) > 2*time.Second {
		t.Errorf("close: %v after %v", err, time.Since(begin))
	}
}

// limitedRig serves everybody with a rate limit that nothing is gained from.
func limitedRig(t *testing.T, limit *access.RateLimit) *rig {
	t.Helper()
	r := newRig(t)
	everybody := access.Rule{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Action: access.Allow, Kinds: access.AllKinds,
		MinVersion: 1, Rate: limit}
	r.handler.state.Access = testState(t, everybody).Access
	return r
}

// Twenty requests a second with a forged source address, plain or with a MAC
// that is wrong, must not cost who lives there a single answer.
func TestForgedAddressDoesNotLimitHolders(t *testing.T) {
	for _, forged := range []string{"none", "autokey", "MD5", "AEAD_AES_128_GCM_SIV"} {
		for _, holder := range []string{"SHA256", "AES128CMAC", "AEAD_AES_SIV_CMAC_256", "AEAD_AES_128_GCM_SIV"} {
			t.Run(forged+" against "+holder, func(t *testing.T) {
				r := limitedRig(t, &access.RateLimit{Interval: 8 * time.Second, Burst: 16, Kiss: true})
				bad := bytes.Clone(r.requests[forged])
				if forged != "none" {
					bad[len(bad)-1] ^= 1
				}
				s, resp := newSlot(t), make([]byte, maxPacket)
				answered := 0
				for range 14 {
					for range 20 * 16 {
						r.handler.mono += int64(time.Second / 20)
						r.serve(s, bad, resp)
					}
					if n := r.serve(s, r.requests[holder], resp); n > 0 && s.verdict.Action == ntp.Answer {
						answered++
					}
				}
				if answered != 14 {
					t.Errorf("%d of 14 answered", answered)
				}
			})
		}
	}
}

// A holder that asks too often is limited as anybody is, and so are the NAKs
// that forged requests get.
func TestHoldersAndNAKsAreLimited(t *testing.T) {
	for _, kind := range []string{"SHA256", "AEAD_AES_128_GCM_SIV"} {
		r := limitedRig(t, &access.RateLimit{Interval: time.Hour, Burst: 3})
		bad := bytes.Clone(r.requests[kind])
		bad[len(bad)-1] ^= 1
		s, resp := newSlot(t), make([]byte, maxPacket)
		sent := map[bool]int{}
		for range 20 {
			for _, good := range []bool{true, false} {
				packet := bad
				if good {
					packet = r.requests[kind]
				}
				if r.serve(s, packet, resp) > 0 {
					sent[good]++
				}
			}
		}
		if sent[true] != 3 || sent[false] > 3 {
			t.Errorf("%s: %d answers and %d NAKs, want 3 and at most 3", kind, sent[true], sent[false])
		}
	}
}

// A flood of forged MACs takes a bounded part of a worker's time: from one
// moment to the next only so many are verified, and a source that has proved
// itself still is.
func TestForgedMACsAreBounded(t *testing.T) {
	r := limitedRig(t, nil)
	s, resp := newSlot(t), make([]byte, maxPacket)
	r.serve(s, r.requests["SHA256"], resp) // proves itself
	bad := bytes.Clone(r.requests["SHA256"])
	bad[len(bad)-1] ^= 1
	for i := range 1_000_000 {
		s.req = ntp.Request{Packet: bad, To: testServer, Received: 1,
			From: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 123)}
		r.handler.open(s)
	}
	var sum Counters
	r.handler.count.addTo(&sum)
	verified := sum.Packets[ntp.KindSymmetric][4][ntp.ReasonBadMAC]
	most := uint64(guardSpan/(guardShare*verifyCost[ntp.KindSymmetric])) + 1
	if verified > most || verified < most/2 {
		t.Errorf("%d of 1000000 were verified at once, at most %d may be", verified, most)
	}
	if n := r.serve(s, r.requests["SHA256"], resp); n == 0 || s.verdict.Action != ntp.Answer {
		t.Errorf("a source that proved itself: %+v", s.verdict)
	}
	r.handler.mono += int64(time.Second)
	s.req.Packet, s.req.From = bad, netip.MustParseAddrPort("10.0.0.1:123")
	if r.handler.open(s); s.verdict.Reason != ntp.ReasonBadMAC {
		t.Errorf("a second later: %+v", s.verdict)
	}
}

// What is remembered of sources cannot be written by who forges them.
func TestProved(t *testing.T) {
	p := newProved()
	addr := netip.MustParseAddr("2001:db8::1")
	if p.has(addr, 0) {
		t.Error("known at first")
	}
	p.note(addr, int64(time.Hour))
	if !p.has(netip.MustParseAddr("2001:db8::2"), int64(2*time.Hour)) || p.has(netip.MustParseAddr("2001:db8:0:1::1"), int64(2*time.Hour)) {
		t.Error("the first 64 bits count")
	}
	if p.has(addr, int64(100*time.Hour)) {
		t.Error("never forgotten")
	}
	r := limitedRig(t, nil)
	s, resp := newSlot(t), make([]byte, maxPacket)
	for _, kind := range []string{"none", "MD5", "AEAD_AES_128_GCM_SIV", "autokey", "autokey message"} {
		bad := bytes.Clone(r.requests[kind])
		if kind != "none" && kind != "autokey message" {
			bad[len(bad)-1] ^= 1
		}
		if r.serve(s, bad, resp); r.handler.proved.has(testClient.Addr(), 0) {
			t.Errorf("%s proves nothing", kind)
		}
	}
	if r.serve(s, r.requests["autokey"], resp); !r.handler.proved.has(testClient.Addr(), 0) {
		t.Error("an Autokey cookie proves that answers arrive")
	}
}
