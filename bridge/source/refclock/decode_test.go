package refclock

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"

	"golang.org/x/sys/unix"
)

// shmImage is a segment as a writer leaves it.
type shmImage struct {
	layout               *shmLayout
	mode, count          uint32
	clockSec, receiveSec int64
	clockUsec, rcvUsec   uint32
	clockNs, rcvNs       uint32
	leap, vali           uint32
}

func (m shmImage) bytes() []byte {
	l := m.layout
	p := make([]byte, l.length)
	put := func(at int, v uint32) { native.PutUint32(p[at:], v) }
	second := func(at int, v int64) {
		if l.secondsLen == 4 {
			put(at, uint32(v))
		} else {
			native.PutUint64(p[at:], uint64(v))
		}
	}
	put(0, m.mode)
	put(4, m.count)
	second(l.clockSec, m.clockSec)
	put(l.clockUsec, m.clockUsec)
	second(l.receiveSec, m.receiveSec)
	put(l.receiveUsec, m.rcvUsec)
	put(l.leap, m.leap)
	put(l.valid, m.vali)
	put(l.clockNs, m.clockNs)
	put(l.receiveNs, m.rcvNs)
	return p
}

func usual(l *shmLayout) shmImage {
	return shmImage{layout: l, mode: 1, count: 8, vali: 1,
		clockSec: 1_800_000_001, clockUsec: 250_000, clockNs: 250_000_123,
		receiveSec: 1_800_000_000, rcvUsec: 999_999, rcvNs: 999_999_001}
}

// The offsets of the longest layout are those of the C structure on 64-bit
// machines: two ints, time_t, int, padding, time_t, ints.
func TestLayoutOf64Bits(t *testing.T) {
	p := make([]byte, segmentLen)
	le := binary.NativeEndian
	le.PutUint32(p[0:], 1)
	le.PutUint64(p[8:], 1_800_000_001)
	le.PutUint32(p[16:], 7)
	le.PutUint64(p[24:], 1_800_000_000)
	le.PutUint32(p[32:], 9)
	le.PutUint32(p[36:], 2)
	le.PutUint32(p[48:], 1)
	le.PutUint32(p[52:], 7_001)
	le.PutUint32(p[56:], 9_999)
	got := shmLayouts[0].decode(p)
	want := stamp{reference: 1_800_000_001_000_007_001, system: 1_800_000_000_000_009_999, leap: ntp.LeapDelete}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestDecodeSHM(t *testing.T) {
	for i := range shmLayouts {
		l := &shmLayouts[i]
		if found, ok := layoutFor(l.length); !ok || found != l {
			t.Errorf("%d octets: wrong layout", l.length)
		}
		for _, c := range []struct {
			name   string
			change func(*shmImage)
			want   stamp
		}{
			{"ns", func(*shmImage) {}, stamp{reference: 1_800_000_001_250_000_123, system: 1_800_000_000_999_999_001}},
			{"mode 0", func(m *shmImage) { m.mode = 0 }, stamp{reference: 1_800_000_001_250_000_123, system: 1_800_000_000_999_999_001}},
			{"us only", func(m *shmImage) { m.clockNs, m.rcvNs = 0, 0 }, stamp{reference: 1_800_000_001_250_000_000,
				system: 1_800_000_000_999_999_000, dispersion: time.Microsecond}},
			{"ns of one do not fit", func(m *shmImage) { m.rcvNs = 998_000_000 }, stamp{reference: 1_800_000_001_250_000_000,
				system: 1_800_000_000_999_999_000, dispersion: time.Microsecond}},
			{"leap", func(m *shmImage) { m.leap = 1 }, stamp{reference: 1_800_000_001_250_000_123,
				system: 1_800_000_000_999_999_001, leap: ntp.LeapInsert}},
			{"not synchronised", func(m *shmImage) { m.leap = 3 }, stamp{reason: reasonUnsynchronised, leap: ntp.LeapUnknown}},
			{"leap of none", func(m *shmImage) { m.leap = 4 }, stamp{reason: reasonMalformed}},
			{"leap negative", func(m *shmImage) { m.leap = 1<<32 - 1 }, stamp{reason: reasonMalformed}},
			{"mode of none", func(m *shmImage) { m.mode = 2 }, stamp{reason: reasonMalformed}},
			{"a million us", func(m *shmImage) { m.clockUsec = 1_000_000 }, stamp{reason: reasonMalformed}},
			{"negative us", func(m *shmImage) { m.rcvUsec = 1<<32 - 5 }, stamp{reason: reasonMalformed}},
		} {
			m := usual(l)
			c.change(&m)
			if got := l.decode(m.bytes()); got != c.want {
				t.Errorf("%d octets, %s: %+v, want %+v", l.length, c.name, got, c.want)
			}
		}
	}
}

func TestDecodeSHMHuge(t *testing.T) {
	for _, sec := range []int64{-1, math.MinInt64, math.MaxInt64, maxSeconds + 1} {
		m := usual(&shmLayouts[0])
		m.clockSec = sec
		if got := shmLayouts[0].decode(m.bytes()); got.reason != reasonInsane {
			t.Errorf("clock at %d s: %+v", sec, got)
		}
		m = usual(&shmLayouts[0])
		m.receiveSec = sec
		if got := shmLayouts[0].decode(m.bytes()); got.reason != reasonInsane {
			t.Errorf("received at %d s: %+v", sec, got)
		}
	}
	m := usual(&shmLayouts[2])
	m.clockSec = 1<<31 + 5 // a signed second of 32 bits would be in 1901
	if got := shmLayouts[2].decode(m.bytes()); got.reference/sec != 1<<31+5 {
		t.Errorf("32 bits after 2038: %+v", got)
	}
}

func TestLayoutForStrangers(t *testing.T) {
	for octets, want := range map[int]bool{0: false, 1: false, 79: false, 81: false, 92: false, 95: false, 97: true, 4096: true,
		-1: false} {
		if _, ok := layoutFor(octets); ok != want {
			t.Errorf("%d octets: %v", octets, ok)
		}
	}
	if got := shmLayouts[0].decode(make([]byte, 95)); got.reason != reasonMalformed {
		t.Errorf("short: %+v", got)
	}
}

// sockDatagram is a sample of chrony's SOCK driver.
func sockDatagram(length int, sec, usec int64, offset float64, pulse, leap, magic uint32) []byte {
	var p []byte
	if length == sockLen32 {
		p = native.AppendUint32(native.AppendUint32(p, uint32(sec)), uint32(usec))
	} else {
		p = native.AppendUint64(native.AppendUint64(p, uint64(sec)), uint64(usec))
	}
	p = native.AppendUint64(p, math.Float64bits(offset))
	for _, v := range []uint32{pulse, leap, 0xdeadbeef, magic} {
		p = native.AppendUint32(p, v)
	}
	return p
}

func TestDecodeSock(t *testing.T) {
	const at = 1_800_000_000
	for _, length := range []int{sockLen, sockLen32} {
		good := func(offset float64, pulse, leap uint32) []byte {
			return sockDatagram(length, at, 500_000, offset, pulse, leap, sockMagic)
		}
		for _, c := range []struct {
			name string
			p    []byte
			want stamp
		}{
			{"ahead", good(0.25, 0, 0), stamp{system: at*sec + 500*ms, reference: at*sec + 750*ms}},
			{"behind", good(-3.000000001, 0, 0), stamp{system: at*sec + 500*ms, reference: at*sec - 2500*ms - 1}},
			{"pulse", good(1e-9, 1, 0), stamp{system: at*sec + 500*ms, reference: at*sec + 500*ms + 1, pulse: true}},
			{"leap", good(0, 0, 1), stamp{system: at*sec + 500*ms, reference: at*sec + 500*ms, leap: ntp.LeapInsert}},
			{"leap of none", good(0, 0, 3), stamp{reason: reasonMalformed}},
			{"no number", good(math.NaN(), 0, 0), stamp{reason: reasonInsane}},
			{"infinite", good(math.Inf(-1), 0, 0), stamp{reason: reasonInsane}},
			{"huge", good(1e300, 0, 0), stamp{reason: reasonInsane}},
			{"a million us", sockDatagram(length, at, 1_000_000, 0, 0, 0, sockMagic), stamp{reason: reasonMalformed}},
			{"negative us", sockDatagram(length, at, -1, 0, 0, 0, sockMagic), stamp{reason: reasonMalformed}},
			{"no magic", sockDatagram(length, at, 0, 0, 0, 0, 0), stamp{reason: reasonMalformed}},
			{"short", good(0, 0, 0)[:length-1], stamp{reason: reasonMalformed}},
			{"long", append(good(0, 0, 0), 0), stamp{reason: reasonMalformed}},
			{"empty", nil, stamp{reason: reasonMalformed}},
		} {
			if got := decodeSock(c.p); got != c.want {
				t.Errorf("%d octets, %s: %+v, want %+v", length, c.name, got, c.want)
			}
		}
	}
	if got := decodeSock(sockDatagram(sockLen, math.MaxInt64, 0, 0, 0, 0, sockMagic)); got.reason != reasonInsane {
		t.Errorf("end of time: %+v", got)
	}
}

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reason(reasonCount) {
		if name := r.String(); name == "" || name == "invalid" || seen[name] || strings.ContainsAny(name, " _") {
			t.Errorf("reason %d is called %q", r, name)
		} else {
			seen[name] = true
		}
	}
}

// sound checks what holds of any stamp, whatever it was decoded from.
func sound(t *testing.T, s stamp) {
	if s.reason != reasonOK {
		return
	}
	if s.leap >= ntp.LeapUnknown || s.dispersion < 0 {
		t.Fatalf("%+v", s)
	}
	const far = int64(math.MaxInt64) - 2*int64(maxOffset)
	if s.system < 0 || s.system > maxTime+sec || s.reference > far || s.reference < -far {
		t.Fatalf("times out of range: %+v", s)
	}
}

func FuzzDecodeSHM(f *testing.F) {
	for i := range shmLayouts {
		f.Add(usual(&shmLayouts[i]).bytes())
	}
	f.Add(make([]byte, 4096))
	f.Fuzz(func(t *testing.T, p []byte) {
		l, ok := layoutFor(len(p))
		if !ok {
			return
		}
		sound(t, l.decode(p))
		sound(t, l.decode(p[:len(p)/2]))
	})
}

func FuzzDecodeSock(f *testing.F) {
	f.Add(sockDatagram(sockLen, 1_800_000_000, 5, 0.1, 0, 0, sockMagic))
	f.Add(sockDatagram(sockLen32, 1_800_000_000, 5, -0.1, 1, 1, sockMagic))
	f.Add(sockDatagram(sockLen, 0, 0, -4e9, 1, 1, sockMagic))
	f.Fuzz(func(t *testing.T, p []byte) { sound(t, decodeSock(p)) })
}

// FuzzDecodePHC also covers pulses: both come from a driver of the kernel.
func FuzzDecodePHC(f *testing.F) {
	f.Add(int64(1), uint32(2), int64(1_800_000_000), uint32(3), int64(1), uint32(9), true)
	f.Fuzz(func(t *testing.T, s1 int64, n1 uint32, s2 int64, n2 uint32, s3 int64, n3 uint32, onBase bool) {
		sound(t, decodePHC(unix.PtpClockTime{Sec: s1, Nsec: n1}, unix.PtpClockTime{Sec: s2, Nsec: n2},
			unix.PtpClockTime{Sec: s3, Nsec: n3}, onBase))
		sound(t, decodePulse(unix.PPSKTime{Sec: s1, Nsec: int32(n1)}))
	})
}
