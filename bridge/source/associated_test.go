package source

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock/schedule"
	"ntsbridge/bridge/ntp"
)

// A peer's samples have the timestamps of both sides; the base ran between.
func TestPeerTimestamps(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	a, b := newSide(t, clock, ntp.ModeSymmetricActive), newSide(t, clock, ntp.ModeSymmetricActive)
	b.cfg.Self = func(id uint32) bool { return id == 77 }
	b.take(a.packet(t))
	clock.step(10 * time.Second)
	t1, raw1 := clock.now, clock.Pair().Raw
	p := b.packet(t)
	clock.step(3 * time.Millisecond)
	t2 := clock.now
	a.take(p)
	clock.step(10 * time.Second)
	clock.state.ReferenceID = 77
	t3 := clock.now
	p = a.packet(t)
	clock.step(4 * time.Millisecond)
	s, j := b.take(p)
	if s == nil {
		t.Fatal(j.Err)
	}
	near := func(x, y ntp.Timestamp) bool { return x.Sub(y).Abs() <= 1 }
	if !near(s.T1, t1) || !near(s.T2, t2) || !near(s.T3, t3) || !near(s.T4, clock.now) || s.Raw1 != raw1 ||
		s.Raw4 != clock.Pair().Raw || !s.Loop {
		t.Errorf("sample %+v, want %v %v %v %v", s, t1, t2, t3, clock.now)
	}
}

// A step of the system clock between sending and arrival spoils the sample,
// not the association.
func TestPeerStep(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	a, b := newSide(t, clock, ntp.ModeSymmetricActive), newSide(t, clock, ntp.ModeSymmetricActive)
	turn := func() (*Sample, Judgement) {
		clock.step(10 * time.Second)
		b.take(a.packet(t))
		clock.step(10 * time.Second)
		return a.take(b.packet(t))
	}
	if s, j := turn(); s == nil {
		t.Fatal(j.Err)
	}
	b.take(a.packet(t))
	clock.now = clock.now.Add(time.Minute)
	if s, j := a.take(b.packet(t)); s != nil || !errors.Is(j.Err, errStep) {
		t.Errorf("%+v %v", s, j.Err)
	}
	if s, j := turn(); s == nil {
		t.Error(j.Err)
	}
}

// Packets that no answer came for are missed; the pace is asked for after each.
func TestPeerMissesAndPaces(t *testing.T) {
	t.Parallel()
	clock := newFakeClock()
	a, b := newSide(t, clock, ntp.ModeSymmetricActive), newSide(t, clock, ntp.ModeSymmetricActive)
	missed, paces := 0, 0
	a.cfg.OnMissed = func() { missed++ }
	a.cfg.Pace = paced(func() int8 { paces++; return 7 })
	for n := range 6 {
		clock.step(time.Second)
		p := a.packet(t)
		if wait := time.Until(a.due); wait < 105*time.Second || wait > 132*time.Second {
			t.Errorf("%v to the next packet", wait)
		}
		if n >= 3 {
			continue // b is gone
		}
		clock.step(time.Second)
		b.take(p)
		clock.step(time.Second)
		pair := clock.Pair()
		a.receive(queued{data: append([]byte(nil), b.packet(t)...), at: daemonStamp(pair), pair: pair})
	}
	if missed != 2 || paces != 6 || a.Status().Missed != 2 {
		t.Errorf("%d missed, paced %d times, %+v", missed, paces, a.Status())
	}
	a.cfg.Pace = always(-6)
	a.packet(t)
	if wait := time.Until(a.due); wait < schedule.Spacing-100*time.Millisecond {
		t.Errorf("%v to the next packet", wait)
	}
}

// The four timestamps of a broadcast tell the offset and delay that it was
// measured with.
func TestBroadcastTimestamps(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	h.client.cfg.Self = func(uint32) bool { return true }
	h.clock.step(16 * time.Second)
	p := h.send()
	sent := h.clock.now
	h.clock.step(9 * time.Millisecond) // 4 ms were measured
	s, err := h.take(p)
	if s == nil {
		t.Fatal(err)
	}
	offset, delay := s.T2.Sub(s.T1)/2+s.T3.Sub(s.T4)/2, s.T4.Sub(s.T1)-s.T3.Sub(s.T2)
	if (offset-s.Offset).Abs() > 2 || (delay-s.Delay).Abs() > 2 || (offset+5*time.Millisecond).Abs() > 2 || s.Delay != 8*time.Millisecond {
		t.Errorf("offset %v and delay %v, by the timestamps %v and %v", s.Offset, s.Delay, offset, delay)
	}
	if s.T2 != sent || s.T3 != sent || s.T4 != s.At || s.Raw4 != h.clock.Pair().Raw || s.Raw4-s.Raw1 != int64(s.Delay) || !s.Loop {
		t.Errorf("sample %+v", s)
	}
}

// Broadcasts that do not come are missed, whatever else comes instead.
func TestBroadcastMissed(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	h.client.poll = schedule.MinPoll // of the broadcasts: not on the wire, but here quick
	missed := 0
	h.client.cfg.OnMissed = func() { missed++ }
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			h.client.Deliver(Packet{Data: make([]byte, ntp.HeaderLen)})
			time.Sleep(time.Millisecond)
		}
	}()
	err := h.client.Run(ctx)
	cancel()
	<-done
	if !errors.Is(err, errGone) || missed != schedule.Unreachable || h.client.Status().Missed != schedule.Unreachable {
		t.Errorf("%v, %d missed", err, missed)
	}
}

// Timestamps of the kernel as the control messages have them.
func TestParseAncillary(t *testing.T) {
	t.Parallel()
	message := func(level, kind int32, data []byte) []byte {
		b := make([]byte, unix.CmsgSpace(len(data)))
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		h.Level, h.Type = level, kind
		h.SetLen(unix.CmsgLen(len(data)))
		copy(b[unix.CmsgLen(0):], data)
		return b
	}
	stamps := [3][2]int64{{1_790_000_000, 5}, {}, {7, 9}}
	raw := (*[48]byte)(unsafe.Pointer(&stamps))[:]
	extended := unix.SockExtendedErr{Errno: uint32(unix.ENOMSG), Origin: unix.SO_EE_ORIGIN_TIMESTAMPING, Info: unix.SCM_TSTAMP_SND,
		Data: 42}
	told := (*[16]byte)(unsafe.Pointer(&extended))[:]
	for _, kind := range []int32{unix.SO_TIMESTAMPING_NEW, unix.SO_TIMESTAMPING} {
		for _, level := range []int32{unix.IPPROTO_IP, unix.IPPROTO_IPV6} {
			errors := int32(unix.IP_RECVERR)
			if level == unix.IPPROTO_IPV6 {
				errors = unix.IPV6_RECVERR
			}
			a := parseAncillary(append(message(unix.SOL_SOCKET, kind, raw), message(level, errors, told)...))
			if a.software != 1_790_000_000_000_000_005 || a.hardware != 7_000_000_009 || !a.isTransmit || a.number != 42 {
				t.Errorf("%+v", a)
			}
		}
	}
	extended.Origin = 2 // ICMP
	if a := parseAncillary(message(unix.IPPROTO_IP, unix.IP_RECVERR, told)); a.isTransmit {
		t.Errorf("an ICMP error: %+v", a)
	}
	for _, short := range [][]byte{nil, {1, 2, 3}, message(unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, raw[:40]),
		message(unix.IPPROTO_IP, unix.IP_RECVERR, told[:8])} {
		if a := parseAncillary(short); a.software != 0 || a.isTransmit {
			t.Errorf("%x: %+v", short, a)
		}
	}
}

func TestTestOptions(t *testing.T) {
	t.Parallel()
	clock, server := NewSystemClock(nil), netip.MustParseAddrPort("192.0.2.1:123")
	for name, cfg := range map[string]ClientConfig{
		"longest delay": {MaxDelay: -1}, "too long": {MaxDelay: time.Hour}, "ratio": {MaxDelayRatio: 0.5},
		"deviation ratio": {MaxDelayDevRatio: -1}, "stratum": {MinStratum: 16}, "presend": {Presend: -1},
		"burst": {Polling: Polling{BurstGood: -1}}, "interleaved Autokey": {Interleaved: true, Auth: new(addressedAuth)},
	} {
		cfg.Clock, cfg.Server = clock, server
		if _, err := NewClient(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
