package ntp

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The pairs are of ntpd 4.2.8's own test of its conversion.
func TestSmearReferenceID(t *testing.T) {
	for id, want := range map[uint32]float64{
		0xfe800000: -2, 0xfe800001: -1.99999976, 0xfe8ffffe: -1.75000048, 0xfef00000: -0.25, 0xfeffffff: -0.00000024,
		0xfe000000: 0, 0xfe000001: 0.00000024, 0xfe700000: 1.75, 0xfe7ffffe: 1.99999952, 0xfe7fffff: 1.99999976,
	} {
		got, ok := ParseSmearReferenceID(id)
		if !ok || got.Seconds()-want > 5e-9 || want-got.Seconds() > 5e-9 {
			t.Errorf("%#x: %v %v, want %v s", id, got, ok, want)
		}
		if back := SmearReferenceID(time.Duration(want * 1e9)); back != id {
			t.Errorf("%v s: %#x, want %#x", want, back, id)
		}
	}
	if _, ok := ParseSmearReferenceID(0x0a000001); ok {
		t.Error("10.0.0.1 is taken for a smear")
	}
	rapid.Check(t, func(t *rapid.T) {
		offset := time.Duration(rapid.Int64Range(-4e9, 4e9).Draw(t, "offset"))
		back, ok := ParseSmearReferenceID(SmearReferenceID(offset))
		offset = min(max(offset, -2*time.Second), 2*time.Second-250)
		if diff := (back - offset).Abs(); !ok || diff > 120 {
			t.Fatalf("%v came back as %v", offset, back)
		}
	})
}

func TestServedIsALine(t *testing.T) {
	at := Timestamp(4_000_000_000 << 32)
	c := ClockState{Stratum: 2, Updated: at, Reference: at - 5<<32, ReferenceID: 7,
		Smear: Smear{Enabled: true, Active: true, Offset: -250 * time.Millisecond, Rate: -10e-6}}
	for age, want := range map[time.Duration]time.Duration{
		0:                      -250 * time.Millisecond,
		time.Second:            -250*time.Millisecond - 10*time.Microsecond,
		-time.Second:           -250*time.Millisecond + 10*time.Microsecond,
		24 * 365 * time.Hour:   -250*time.Millisecond - 160*time.Microsecond,
		-24 * 365 * time.Hour:  -250*time.Millisecond + 160*time.Microsecond,
		100 * time.Millisecond: -250*time.Millisecond - time.Microsecond,
	} {
		now := at.Add(age)
		if got := c.Served(now).Sub(now); (got - want).Abs() > 2 {
			t.Errorf("%v after the snapshot: moved by %v, want %v", age, got, want)
		}
	}
	if c.Served(0) != 0 {
		t.Error("an unknown timestamp became known")
	}
	c.Smear = Smear{Enabled: true}
	if c.Served(at) != at {
		t.Error("moved without a smear")
	}
}

func TestFillServed(t *testing.T) {
	at := Timestamp(4_000_000_000 << 32)
	active := Smear{Enabled: true, Active: true, Offset: -time.Second / 2}
	for _, c := range []struct {
		name    string
		state   ClockState
		leap    Leap
		stratum uint8
		id      uint32
		moved   time.Duration
	}{
		{"no smear", ClockState{Leap: LeapInsert, Stratum: 2}, LeapInsert, 2, 7, 0},
		{"between leap seconds", ClockState{Stratum: 2, Smear: Smear{Enabled: true}}, LeapNone, 2, 7, 0},
		{"before it begins", ClockState{Leap: LeapInsert, Stratum: 2, Smear: Smear{Enabled: true}}, LeapNone, 2, 7, 0},
		{"in it", ClockState{Leap: LeapInsert, Stratum: 2, Smear: active}, LeapNone, 2, 0xfee00000, -time.Second / 2},
		{"around the second", ClockState{Stratum: 2, Smear: Smear{Enabled: true, Alarm: true}}, LeapUnknown, 2, 7, 0},
		{"not synchronised", ClockState{Leap: LeapUnknown, Stratum: 16, Smear: active}, LeapUnknown, 0, 7, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.state.Updated, c.state.Reference, c.state.ReferenceID = at, at-9<<32, 7
			var h, plain Header
			c.state.FillServed(&h, at)
			c.state.Fill(&plain, at)
			if h.Leap != c.leap || h.Stratum != c.stratum || h.ReferenceID != c.id || h.Reference.Sub(plain.Reference) != c.moved {
				t.Errorf("leap %d stratum %d id %#x, reference moved by %v", h.Leap, h.Stratum, h.ReferenceID,
					h.Reference.Sub(plain.Reference))
			}
			if plain.ReferenceID != 7 || plain.Reference != c.state.Reference {
				t.Errorf("peers see the smear: %+v", plain)
			}
		})
	}
}
