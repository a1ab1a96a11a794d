package autokey

import (
	"bytes"
	"errors"
	"testing"

	"ntsbridge/autokey/keyfile"
)

func TestMessageRoundTrip(t *testing.T) {
	for _, m := range []Message{
		{Code: Request(OpAuto), AssociationID: 4711, Short: true},
		{Code: Request(OpAssoc), AssociationID: 0xfffff, Filestamp: 0x80023, Value: []byte("tick")},
		{Code: 0x8202, Timestamp: 1, Filestamp: 2, Value: []byte("abcde"), Signature: []byte{1}},
		{Code: 0x8205, Value: bytes.Repeat([]byte{7}, 1000), Signature: bytes.Repeat([]byte{8}, 512)},
	} {
		b := m.Append(nil)
		if len(b) != m.len() || len(b)%4 != 0 {
			t.Errorf("%v: %d octets, Len %d", m.Code.Op(), len(b), m.len())
		}
		got, err := parseMessage(b)
		if err != nil {
			t.Fatal(err)
		}
		if got.Code != m.Code || got.AssociationID != m.AssociationID || got.Short != m.Short ||
			got.Timestamp != m.Timestamp || got.Filestamp != m.Filestamp ||
			!bytes.Equal(got.Value, m.Value) || !bytes.Equal(got.Signature, m.Signature) {
			t.Errorf("%+v came back as %+v", m, got)
		}
	}
}

func TestParseMessageRefuses(t *testing.T) {
	long := func(valueLen, sigLen byte, n int) []byte {
		b := make([]byte, n)
		b[0], b[1], b[2], b[3] = 2, 1, byte(n>>8), byte(n)
		if n > 19 {
			b[19] = valueLen
		}
		if n > 23 {
			b[23] = sigLen
		}
		return b
	}
	for name, field := range map[string][]byte{
		"empty":                nil,
		"4 octets":             {2, 1, 0, 4},
		"length of another":    {2, 1, 0, 12, 0, 0, 0, 0},
		"between the forms":    long(0, 0, 12),
		"no signature length":  long(0, 0, 20),
		"value too long":       long(5, 0, 24),
		"value's padding":      long(1, 0, 24),
		"signature too long":   long(0, 1, 24),
		"value length 2^32-1":  append(append(long(0, 0, 24)[:16:16], 255, 255, 255, 255), 0, 0, 0, 0),
		"signature length max": append(long(0, 0, 24)[:20:20], 255, 255, 255, 255),
		"not a multiple of 4":  append(long(0, 0, 24), 0),
	} {
		if m, err := parseMessage(field); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestNames(t *testing.T) {
	if OpMV.String() != "MV" || OpNull.String() != "NULL" || Op(77).String() != "op-77" {
		t.Error("operation names")
	}
	if EventPER.String() != "host certificate expired" || Event(99).String() != "invalid" {
		t.Error("event names")
	}
	s := makeStatus(keyfile.RSAMD5, FlagENAB|FlagTAI|FlagIFF|Flags(0x7f00))
	if s.String() != "0x87f23" || s.nid() != keyfile.RSAMD5 || s.Flags()&FlagIFF == 0 {
		t.Errorf("status %v", s)
	}
	c := Code(0xc301)
	if !c.response() || !c.Error() || c.Version() != 3 || c.Op() != OpAssoc {
		t.Errorf("code %04x", uint16(c))
	}
}

func FuzzParseMessage(f *testing.F) {
	for _, s := range sessions(f) {
		for _, p := range s.packets {
			if n := len(p.data); n > 72 {
				f.Add(p.data[48 : n-20])
			}
		}
	}
	f.Fuzz(func(t *testing.T, field []byte) {
		m, err := parseMessage(field)
		if err != nil {
			return
		}
		b := m.Append(nil)
		if len(b) != m.len() || len(b) > len(field) {
			t.Fatalf("%d octets from %d, Len %d", len(b), len(field), m.len())
		}
		again, err := parseMessage(b)
		if err != nil || !bytes.Equal(again.Append(nil), b) {
			t.Fatalf("not stable: %v", err)
		}
	})
}
