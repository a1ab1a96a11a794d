package source

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// TestProbe asks over ways that lose packets.
func TestProbe(t *testing.T) {
	answer := func(q []byte, h *ntp.Header) []byte {
		a := header(h, 0)
		if l := ntp.Classify(q, noKeys{}); l.Kind == ntp.KindNTS {
			a.Stratum, a.ReferenceID = 0, ntp.KissCode("NTSN")
			return append(encode(a), q[ntp.HeaderLen:ntp.HeaderLen+36]...)
		}
		return encode(a)
	}
	upTo := func(octets int) func([]byte, *ntp.Header) []byte {
		return func(q []byte, h *ntp.Header) []byte {
			if len(q) > octets {
				return nil
			}
			return answer(q, h)
		}
	}
	for _, c := range []struct {
		name   string
		answer func([]byte, *ntp.Header) []byte
		size   int
		kind   ntp.Kind
		want   ProbeResult
		cause  Cause
		text   string
	}{
		{"everything lost", func([]byte, *ntp.Header) []byte { return nil }, 228, ntp.KindNTS, ProbeResult{}, CauseUDPFiltered, "UDP"},
		{"answers of strangers", func(q []byte, h *ntp.Header) []byte { h.Transmit++; return answer(q, h) }, 228,
			ntp.KindNTS, ProbeResult{}, CauseUDPFiltered, ""},
		{"nothing wrong", answer, 48, ntp.KindNone, ProbeResult{Plain: true, Passed: 48}, CauseNone, ""},
		{"48 only", upTo(48), 228, ntp.KindNTS, ProbeResult{Plain: true, Passed: 48, Lost: 76}, CauseSizeFilter,
			"up to 48 octets are answered, those of 76 and more get lost, and ours have 228"},
		{"up to 76", upTo(76), 228, ntp.KindNTS, ProbeResult{Plain: true, Passed: 76, Lost: 92}, CauseSizeFilter, "up to 76"},
		{"up to 90", upTo(90), 1000, ntp.KindNTS, ProbeResult{Plain: true, Passed: 76, Lost: 92}, CauseSizeFilter, "up to 76"},
		{"up to 467", upTo(467), 1000, ntp.KindNTS, ProbeResult{Plain: true, Passed: 228, Lost: 468}, CauseSizeFilter, "up to 228"},
		{"with MAC", upTo(48), 68, ntp.KindSymmetric, ProbeResult{Plain: true, Passed: 48, Lost: 76}, CauseSizeFilter, "ours have 68"},
		{"long answers lost", answer, 228, ntp.KindNTS, ProbeResult{Plain: true, Passed: 228, NAK: true}, CauseSizeFilter,
			"do not come back"},
		{"no NTS", func(q []byte, h *ntp.Header) []byte {
			if l := ntp.Classify(q, noKeys{}); l.Kind == ntp.KindNTS {
				return nil
			}
			return answer(q, h)
		}, 228, ntp.KindNTS, ProbeResult{Plain: true, Passed: 228}, causeNTSSilent, "none with NTS"},
		{"key not known", answer, 72, ntp.KindSymmetric, ProbeResult{Plain: true, Passed: 76}, CauseKeySilent, "our key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := ProbeConfig{Server: newFakeServer(t, c.answer).addr, Size: c.size, Kind: c.kind, Wait: 60 * time.Millisecond, Tries: 2}
			r := Probe(t.Context(), cfg)
			if r != c.want {
				t.Errorf("%+v, want %+v", r, c.want)
			}
			err := r.Explain(cfg)
			d := Diagnose(err)
			if d.Cause != c.cause || !strings.Contains(d.Text, c.text) || c.cause != CauseNone && (d.Remedy == "" ||
				errors.Is(err, ErrSecondAnswer)) {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestProbeRefused(t *testing.T) {
	cfg := ProbeConfig{Server: netip.MustParseAddrPort(closedPort(t)), Wait: 100 * time.Millisecond}
	r := Probe(t.Context(), cfg)
	if causeOf(r.Explain(cfg)) != CauseUDPRefused {
		t.Errorf("%+v", r)
	}
}

// answeringTwice answers each request twice, the second time with another time
// if so wanted.
func answeringTwice(t *testing.T, another bool) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, maxPacket)
		for {
			_, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			var h ntp.Header
			h.Decode(buf)
			first := header(&h, 0)
			c.WriteToUDPAddrPort(encode(first), from)
			if another {
				first.Transmit++
			}
			c.WriteToUDPAddrPort(encode(first), from)
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Somebody answers, too, with another time; a copy of an answer is only the
// network's.
func TestProbeSecondAnswer(t *testing.T) {
	for name, another := range map[string]bool{"copy": false, "forgery": true} {
		cfg := ProbeConfig{Server: answeringTwice(t, another), Wait: 100 * time.Millisecond}
		r := Probe(t.Context(), cfg)
		if !r.Plain || r.Conflict != another || errors.Is(r.Explain(cfg), ErrSecondAnswer) != another {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// The requests of a probe have the lengths that they are said to have, and
// frame.
func TestProbeRequests(t *testing.T) {
	for _, octets := range append(sizes[1:], 1232) {
		if l := ntp.Classify(padded(octets), noKeys{}); len(padded(octets)) != octets || l.Defect != ntp.ReasonOK ||
			l.Kind != ntp.KindNone {
			t.Errorf("%d: %+v", octets, l)
		}
	}
	for octets := minNTSRequest; octets <= 1232; octets += 4 {
		p := withNobodysCookie(octets)
		l := ntp.Classify(p, noKeys{})
		if len(p) != octets || l.Defect != ntp.ReasonOK || l.Kind != ntp.KindNTS || l.Cookies != 1 {
			t.Fatalf("%d: %d octets, %+v", octets, len(p), l)
		}
	}
}
