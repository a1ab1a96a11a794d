package server

import (
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// smeared is a clock in the middle of a smear.
func smeared(updated ntp.Timestamp, offset time.Duration, rate float64) *ntp.ClockState {
	c := goodClock()
	c.Leap = ntp.LeapInsert
	c.Reference, c.Updated = updated-10<<32, updated
	c.Smear = ntp.Smear{Enabled: true, Active: true, Offset: offset, Rate: rate}
	return c
}

// Whatever the authentication, an answer carries smeared timestamps and the
// smear's reference identifier, no leap second, and costs no allocation.
func TestAnswersAreSmeared(t *testing.T) {
	r := newRig(t)
	resp := make([]byte, maxPacket)
	const offset = -300 * time.Millisecond
	now := systemTime()
	r.handler.clock = smeared(now, offset, -11.6e-6)
	r.handler.now = func() ntp.Timestamp { return now.Add(time.Second) }
	wantTransmit := now.Add(time.Second + offset - 11600)
	for name, packet := range r.requests {
		s := newSlot(t)
		r.handler.slow = name == "autokey message"
		n := r.serve(s, packet, resp)
		if n == 0 {
			t.Fatalf("%s: no answer, %+v", name, s.verdict)
		}
		h := decode(t, resp[:n])
		if got := h.Receive.Sub(s.req.Received) - offset; got.Abs() > time.Millisecond {
			t.Errorf("%s: receive timestamp is %v off", name, got)
		}
		if got := h.Transmit.Sub(wantTransmit); got.Abs() > 2 {
			t.Errorf("%s: transmit timestamp is %v off", name, got)
		}
		told, ok := ntp.ParseSmearReferenceID(h.ReferenceID)
		if !ok || (told-offset).Abs() > time.Millisecond || h.Leap != ntp.LeapNone || h.Stratum != 2 {
			t.Errorf("%s: leap %d, stratum %d, reference identifier %#x tells %v", name, h.Leap, h.Stratum, h.ReferenceID, told)
		}
		if h.Reference >= h.Receive || h.Reference.Sub(r.handler.clock.Reference) > offset/2 {
			t.Errorf("%s: reference timestamp %v before the receive timestamp", name, h.Receive.Sub(h.Reference))
		}
		if a := testing.AllocsPerRun(100, func() { r.serve(s, packet, resp) }); a != 0 && !r.handler.slow {
			t.Errorf("%s: %v allocations per request", name, a)
		}
	}
}

// A remembered departure keeps the offset of its own moment.
func TestInterleavedAnswersKeepTheirSmear(t *testing.T) {
	r := newRig(t)
	s := newSlot(t)
	resp := make([]byte, maxPacket)
	base := systemTime()
	at := base
	r.handler.now = func() ntp.Timestamp { return at }
	exchange := func(h ntp.Header) ntp.Header {
		t.Helper()
		p := make([]byte, ntp.HeaderLen)
		h.Version, h.Mode = 4, ntp.ModeClient
		h.Encode(p)
		s.req = ntp.Request{Packet: p, From: testClient, To: testServer, Received: at - 1<<20}
		r.handler.open(s)
		var clock ntp.Header
		r.handler.clock.FillServed(&clock, at)
		return decode(t, resp[:r.handler.finish(s, &clock, resp)])
	}
	r.handler.clock = smeared(base, -100*time.Millisecond, 0)
	first := exchange(ntp.Header{Transmit: 1000})
	at = base.Add(64 * time.Second)
	r.handler.clock = smeared(at, -200*time.Millisecond, 0)
	second := exchange(ntp.Header{Origin: first.Receive, Receive: 2000, Transmit: 3000})
	if second.Origin != 2000 || second.Transmit != first.Transmit {
		t.Errorf("interleaved answer: origin %d, transmit %v off the first answer's", second.Origin, second.Transmit.Sub(first.Transmit))
	}
	if got := first.Transmit.Sub(base); (got + 100*time.Millisecond).Abs() > 2 {
		t.Errorf("first answer left %v after its moment, want the smear of then", got)
	}
	if got := second.Receive.Sub(at); (got + 200*time.Millisecond).Abs() > time.Millisecond {
		t.Errorf("second request came %v after its moment, want the smear of now", got)
	}
	// Around the leap second itself nothing interleaved is served or remembered.
	r.handler.clock.Smear.Alarm = true
	third := exchange(ntp.Header{Origin: second.Receive, Receive: 4000, Transmit: 5000})
	if third.Origin != 5000 || third.Leap != ntp.LeapUnknown {
		t.Errorf("during the alarm: origin %d, leap %d; want a plain answer with leap 3", third.Origin, third.Leap)
	}
	r.handler.clock.Smear.Alarm = false
	if fourth := exchange(ntp.Header{Origin: third.Receive, Receive: 6000, Transmit: 7000}); fourth.Origin != 7000 {
		t.Error("an answer of the alarm is remembered")
	}
}

// On sockets, with the kernel's timestamps, all parts of the server smear.
func TestSmearOnTheWire(t *testing.T) {
	s, at := start(t, Options{Interleaved: 1 << 10, Socket: SocketOptions{KernelTimestamps: true}}, testState(t), "127.0.0.1:0")
	const offset = -400 * time.Millisecond
	s.SetClock(smeared(systemTime(), offset, 0))
	c := dial(t, at[0])
	before := systemTime()
	h := ntp.Header{Version: 4, Mode: ntp.ModeClient, Transmit: 1000}
	var got []ntp.Header
	for i := range 3 {
		p := make([]byte, ntp.HeaderLen)
		h.Encode(p)
		got = append(got, decode(t, ask(t, c, p)))
		h.Origin, h.Receive, h.Transmit = got[i].Receive, ntp.Timestamp(2000+i), ntp.Timestamp(3000+i)
	}
	after := systemTime()
	for i, h := range got {
		for name, ts := range map[string]ntp.Timestamp{"receive": h.Receive, "transmit": h.Transmit} {
			if ts.Sub(before.Add(offset)) < 0 || ts.Sub(after.Add(offset)) > 0 {
				t.Errorf("answer %d: %s timestamp is %v after the first request", i, name, ts.Sub(before))
			}
		}
	}
	if n := counted(s, func(n *Counters) bool { return n.TXKernel > 0 }); n.Interleaved != 2 || n.TXKernel == 0 {
		t.Errorf("interleaved %d, kernel transmit timestamps %d; want 2 and some", n.Interleaved, n.TXKernel)
	}
}
