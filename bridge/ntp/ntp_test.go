package ntp

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOfN(rapid.Byte(), HeaderLen, HeaderLen).Draw(t, "header")
		var h Header
		h.Decode(p)
		q := make([]byte, HeaderLen)
		h.Encode(q)
		if !bytes.Equal(p, q) {
			t.Fatalf("%x became %x", p, q)
		}
	})
}

// The example packet of RFC 5905's figure 8, field by field.
func TestHeaderFields(t *testing.T) {
	p := make([]byte, HeaderLen)
	for i := range p {
		p[i] = byte(i + 1)
	}
	p[0] = 2<<6 | 3<<3 | 5
	var h Header
	h.Decode(p)
	want := Header{Leap: LeapDelete, Version: 3, Mode: ModeBroadcast, Stratum: 2, Poll: 3, Precision: 4,
		RootDelay: 0x05060708, RootDispersion: 0x090a0b0c, ReferenceID: 0x0d0e0f10,
		Reference: 0x1112131415161718, Origin: 0x191a1b1c1d1e1f20, Receive: 0x2122232425262728, Transmit: 0x292a2b2c2d2e2f30}
	if h != want {
		t.Errorf("got %+v, want %+v", h, want)
	}
}

func TestTimestamp(t *testing.T) {
	for _, c := range []struct {
		when string
		want Timestamp
	}{
		{"1900-01-01T00:00:00Z", 0},
		{"1970-01-01T00:00:00Z", 2208988800 << 32},
		{"2000-01-01T00:00:00.5Z", 3155673600<<32 | 1<<31},
		{"2036-02-07T06:28:15Z", 0xffffffff << 32},
		{"2036-02-07T06:28:16Z", 0}, // era 1
	} {
		when, err := time.Parse(time.RFC3339Nano, c.when)
		if err != nil {
			t.Fatal(err)
		}
		got := TimestampFromTime(when)
		if got != c.want {
			t.Errorf("%s: %#x, want %#x", c.when, uint64(got), uint64(c.want))
		}
		for _, off := range []time.Duration{-60 * 365 * 24 * time.Hour, 0, 60 * 365 * 24 * time.Hour} {
			if back := got.Time(when.Add(off)); !back.Equal(when) {
				t.Errorf("%s seen from %v away: %v", c.when, off, back)
			}
		}
	}
}

func TestTimestampNanosecondsSurvive(t *testing.T) {
	pivot := time.Unix(1_800_000_000, 0)
	rapid.Check(t, func(t *rapid.T) {
		when := time.Unix(rapid.Int64Range(1_000_000_000, 3_000_000_000).Draw(t, "sec"), rapid.Int64Range(0, 999_999_999).Draw(t, "nsec"))
		if d := TimestampFromTime(when).Time(pivot).Sub(when); d < -time.Nanosecond || d > time.Nanosecond {
			t.Fatalf("%v moved by %v", when, d)
		}
		step := time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(t, "step"))
		ts := TimestampFromTime(when)
		if d := ts.Add(step).Sub(ts) - step; d < -2 || d > 2 {
			t.Fatalf("adding %v is off by %v", step, d)
		}
	})
}

func TestShort(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want Short
	}{{0, 0}, {-time.Second, 0}, {1, 1}, {time.Second, 1 << 16}, {1500 * time.Millisecond, 3 << 15},
		{65535 * time.Second, 65535 << 16}, {65536 * time.Second, 1<<32 - 1}, {1 << 62, 1<<32 - 1}} {
		if got := ShortFromDuration(c.d); got != c.want {
			t.Errorf("%v: %#x, want %#x", c.d, uint32(got), uint32(c.want))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(65535*time.Second)).Draw(t, "d"))
		if s := ShortFromDuration(d); s.Duration() < d-1 || s.Duration() > d+20*time.Microsecond {
			t.Fatalf("%v as a bound became %v", d, s.Duration())
		}
	})
}

// keyTable is a key table with MAC lengths.
type keyTable map[uint32]int

func (k keyTable) FullMACLen(id uint32) (int, bool) { n, ok := k[id]; return n, ok }

// packet builds a request: header of the version, fields as type and total
// length, then a trailer.
func packet(version uint8, trailer []byte, fields ...[2]int) []byte {
	p := make([]byte, HeaderLen)
	p[0] = version<<3 | byte(ModeClient)
	for _, f := range fields {
		field := make([]byte, f[1])
		binary.BigEndian.PutUint16(field, uint16(f[0]))
		binary.BigEndian.PutUint16(field[2:], uint16(f[1]))
		p = append(p, field...)
	}
	return append(p, trailer...)
}

// mac is a key identifier with an n-octet digest.
func mac(id uint32, n int) []byte {
	return append(binary.BigEndian.AppendUint32(nil, id), bytes.Repeat([]byte{0xaa}, n)...)
}

func TestClassify(t *testing.T) {
	keys := keyTable{5: 16, 70000: 20, 9: 64, 0x01040024: 32, 80: 32}
	nts := [][2]int{{0x0104, 36}, {0x0204, 104}, {0x0404, 40}}
	for _, c := range []struct {
		name   string
		packet []byte
		want   Layout
	}{
		{"nothing", nil, Layout{Defect: ReasonShort}},
		{"47 octets", make([]byte, 47), Layout{Defect: ReasonShort, MAC: 47}},
		{"plain", packet(4, nil), Layout{MAC: 48}},
		{"plain with an unknown field", packet(4, nil, [2]int{0x7777, 28}), Layout{MAC: 76, Fields: 1}},
		{"odd length", append(packet(4, nil), 1), Layout{Defect: ReasonMalformed, MAC: 49}},
		{"MD5", packet(4, mac(5, 16)), Layout{Kind: KindSymmetric, MAC: 48, KeyID: 5}},
		{"SHA1 of an unknown low key", packet(4, mac(6, 20)), Layout{Kind: KindSymmetric, MAC: 48, KeyID: 6}},
		{"high key of the table is not Autokey's", packet(4, mac(70000, 20)), Layout{Kind: KindSymmetric, MAC: 48, KeyID: 70000}},
		{"high key outside the table is Autokey's", packet(4, mac(70001, 20)), Layout{Kind: KindAutokey, MAC: 48, KeyID: 70001}},
		{"Autokey with a field of 8 octets", packet(3, mac(70001, 16), [2]int{0x0204, 8}),
			Layout{Kind: KindAutokey, MAC: 56, KeyID: 70001, Fields: 1}},
		{"key behind a field", packet(4, mac(5, 16), [2]int{0x7777, 16}), Layout{Kind: KindSymmetric, MAC: 64, KeyID: 5, Fields: 1}},
		{"crypto-NAK", packet(4, mac(0, 0)), Layout{Kind: KindSymmetric, MAC: 48, Defect: ReasonCryptoNAK}},
		{"key identifier alone", packet(4, mac(5, 0)), Layout{Kind: KindSymmetric, MAC: 48, KeyID: 5}},
		{"whole SHA512 in version 3", packet(3, mac(9, 64)), Layout{Kind: KindSymmetric, MAC: 48, KeyID: 9}},
		{"whole SHA512 in version 4 is no MAC", packet(4, mac(9, 64)), Layout{Defect: ReasonMalformed, MAC: 116}},
		{"whole digest of another length", packet(3, mac(80, 64)), Layout{Defect: ReasonMalformed, MAC: 116}},
		{"NTS", packet(4, nil, nts...), Layout{Kind: KindNTS, MAC: 228, Fields: 3}},
		{"NTS whose first field looks like a key", packet(4, nil, nts...), Layout{Kind: KindNTS, MAC: 228, Fields: 3}},
		{"NTS fields in version 3", packet(3, nil, nts...), Layout{MAC: 228, Fields: 3}},
		{"NTS without authenticator", packet(4, nil, nts[:2]...), Layout{MAC: 188, Fields: 2}},
		{"NTS fields under a MAC", packet(4, mac(5, 16), nts...), Layout{Kind: KindSymmetric, MAC: 228, KeyID: 5, Fields: 3}},
		{"field of length 0", packet(4, append([]byte{1, 4, 0, 0}, make([]byte, 28)...)), Layout{Defect: ReasonMalformed, MAC: 80}},
		{"field of length 5", packet(4, append([]byte{1, 4, 0, 5}, make([]byte, 28)...)), Layout{Defect: ReasonMalformed, MAC: 80}},
		{"field beyond the end", packet(4, append([]byte{1, 4, 0, 36}, make([]byte, 28)...)), Layout{Defect: ReasonMalformed, MAC: 80}},
		{"field of length 4 leaves a MAC, as ntpd reads it", packet(4, append([]byte{2, 2, 0, 4}, make([]byte, 24)...)),
			Layout{Kind: KindSymmetric, MAC: 52, Fields: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Classify(c.packet, keys)
			got.UniqueIdentifier, got.Cookie, got.Authenticator, got.Cookies, got.Placeholders = Field{}, Field{}, Field{}, 0, 0
			got.Fields, c.want.Fields = got.Fields*b(got.Defect), c.want.Fields*b(got.Defect)
			if got.Defect == ReasonMalformed {
				got.MAC = c.want.MAC
			}
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// b is 1 for a sound packet: of others only the defect counts.
func b(r Reason) uint8 {
	if r == ReasonMalformed {
		return 0
	}
	return 1
}

func TestClassifyNTSFields(t *testing.T) {
	p := packet(4, nil, [2]int{0x0104, 36}, [2]int{0x0204, 104}, [2]int{0x0304, 104}, [2]int{0x0304, 104}, [2]int{0x0404, 40},
		[2]int{0x0204, 28})
	l := Classify(p, keyTable{})
	if l.UniqueIdentifier != (Field{0x0104, 48, 36}) || l.Cookie != (Field{0x0204, 84, 104}) ||
		l.Authenticator != (Field{0x0404, 396, 40}) {
		t.Errorf("fields %+v", l)
	}
	if l.Cookies != 1 || l.Placeholders != 2 {
		t.Errorf("%d cookies and %d placeholders, want 1 and 2: what follows the authenticator is not protected", l.Cookies, l.Placeholders)
	}
}

func TestTooManyFields(t *testing.T) {
	fields := make([][2]int, maxFields+1)
	for i := range fields {
		fields[i] = [2]int{0x7777, 28}
	}
	if l := Classify(packet(4, nil, fields[:maxFields]...), keyTable{}); l.Defect != ReasonOK {
		t.Errorf("%d fields: %v", maxFields, l.Defect)
	}
	if l := Classify(packet(4, nil, fields...), keyTable{}); l.Defect != ReasonMalformed {
		t.Errorf("%d fields: %v", len(fields), l.Defect)
	}
}

func TestClassifyDoesNotAllocate(t *testing.T) {
	keys := Keys(keyTable{5: 16})
	p := packet(4, mac(5, 16))
	if n := testing.AllocsPerRun(100, func() { Classify(p, keys) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAppendField(t *testing.T) {
	for _, c := range []struct{ body, min, want int }{{0, 0, 4}, {1, 0, 8}, {4, 0, 8}, {12, 16, 16}, {3, 28, 28}, {3, 26, 28}} {
		p := AppendField(make([]byte, HeaderLen), 0x1234, make([]byte, c.body), c.min)
		f, ok := FieldAt(p, HeaderLen)
		if !ok || f.Type != 0x1234 || f.Length != c.want || len(p) != HeaderLen+c.want {
			t.Errorf("body %d, at least %d: %+v %v, want length %d", c.body, c.min, f, ok, c.want)
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add(packet(4, nil))
	f.Add(packet(4, mac(5, 16)))
	f.Add(packet(3, mac(9, 64)))
	f.Add(packet(4, mac(70001, 20), [2]int{0x0201, 28}))
	f.Add(packet(4, nil, [2]int{0x0104, 36}, [2]int{0x0204, 104}, [2]int{0x0404, 40}))
	keys := keyTable{5: 16, 9: 64, 70000: 20}
	f.Fuzz(func(t *testing.T, p []byte) {
		l := Classify(p, keys)
		if l.Defect != ReasonOK {
			return
		}
		if l.MAC < HeaderLen || l.MAC > len(p) || (len(p)-l.MAC)%4 != 0 {
			t.Fatalf("MAC at %d of %d", l.MAC, len(p))
		}
		for _, field := range []Field{l.UniqueIdentifier, l.Cookie, l.Authenticator} {
			if field.Length != 0 && (field.Offset < HeaderLen || field.Offset+field.Length > l.MAC) {
				t.Fatalf("field %+v outside of 48 to %d", field, l.MAC)
			}
		}
		if l.Kind == KindNTS && (l.MAC != len(p) || l.Authenticator.Length == 0 || l.UniqueIdentifier.Length == 0) {
			t.Fatalf("NTS without its fields: %+v", l)
		}
		if l.Kind == KindAutokey && l.KeyID <= 65535 {
			t.Fatalf("Autokey with key %d", l.KeyID)
		}
	})
}

func TestClockStateFill(t *testing.T) {
	c := ClockState{Leap: LeapInsert, Stratum: 3, RootDispersion: time.Second, Drift: 1e-3, Updated: 100 << 32}
	var h Header
	c.Fill(&h, 200<<32)
	if h.Leap != LeapInsert || h.Stratum != 3 || h.RootDispersion.Duration() < 1100*time.Millisecond {
		t.Errorf("%+v: dispersion must have grown to 1.1 s", h)
	}
	c.Leap = LeapUnknown
	c.Fill(&h, 200<<32)
	if h.Leap != LeapUnknown || h.Stratum != 0 {
		t.Errorf("%+v: an unsynchronised clock must be served as leap 3, stratum 0", h)
	}
}
