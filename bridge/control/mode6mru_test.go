package control

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// mruAsk sends one request of an operation and returns the data of the answer, or
// the error code.
func mruAsk(t *testing.T, q *Queries, operation byte, from netip.AddrPort, now ntp.Timestamp, data string) (string, byte, int) {
	t.Helper()
	p := make([]byte, queryHeaderLen, 600)
	p[0], p[1] = 2<<3|6, operation
	binary.BigEndian.PutUint16(p[10:], uint16(len(data)))
	p = append(p, data...)
	for len(p)%4 != 0 {
		p = append(p, 0)
	}
	answers, _ := q.Answer(now, 0, &ntp.ClockState{}, &ntp.Request{Packet: p, From: from}, false)
	var text strings.Builder
	octets := 0
	for _, a := range answers {
		octets += len(a)
		if a[1]&0x40 != 0 {
			return "", a[4], octets
		}
		text.Write(a[queryHeaderLen:][:binary.BigEndian.Uint16(a[10:])])
	}
	return text.String(), 0, octets
}

func mruValue(text, name string) string {
	for item := range strings.SplitSeq(text, ",") {
		if n, v, _ := strings.Cut(strings.TrimSpace(item), "="); n == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// A whole list comes in parts, as ntpq asks for it; nothing comes without a nonce
// that was given to the same address, or with an old one.
func TestMRUList(t *testing.T) {
	q, err := NewQueries(&LocalSource{})
	if err != nil {
		t.Fatal(err)
	}
	const clients = 500
	begin := ntp.TimestampFromTime(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	q.SetMRU(func() (list []MRUEntry) {
		for i := range clients {
			list = append(list, MRUEntry{Addr: netip.MustParseAddrPort(fmt.Sprintf("10.0.%d.%d:123", i/250, i%250)), First: begin,
				Last: begin.Add(time.Duration(i/3) * time.Second), Count: uint64(i + 1), Mode: ntp.ModeClient, Version: 4})
		}
		return list
	})
	from, other := netip.MustParseAddrPort("127.0.0.1:5000"), netip.MustParseAddrPort("127.0.0.2:5000")
	now := begin.Add(time.Hour)
	text, _, _ := mruAsk(t, q, opRequestNonce, from, now, "")
	nonce := mruValue(text, "nonce")
	if len(nonce) != 24 {
		t.Fatalf("nonce %q", text)
	}
	for name, try := range map[string]struct {
		from netip.AddrPort
		at   ntp.Timestamp
		data string
	}{
		"none":              {from, now, "frags=32"},
		"of another source": {other, now, "nonce=" + nonce + ", frags=32"},
		"old":               {from, now.Add(17 * time.Second), "nonce=" + nonce + ", frags=32"},
		"changed":           {from, now, "nonce=0" + nonce[1:] + "1, frags=32"},
	} {
		if text, code, octets := mruAsk(t, q, opReadMRU, try.from, try.at, try.data); code == 0 || octets > 16 {
			t.Errorf("a nonce that is %s: %q", name, text)
		}
	}
	seen := map[string]bool{}
	position := ""
	for part := 0; ; part++ {
		if part > 50 {
			t.Fatal("no end")
		}
		text, code, _ := mruAsk(t, q, opReadMRU, from, now, "nonce="+nonce+", frags=4"+position)
		if code != 0 {
			t.Fatalf("part %d: error %d", part, code)
		}
		nonce = mruValue(text, "nonce")
		position = ""
		for i := 0; mruValue(text, fmt.Sprint("addr.", i)) != ""; i++ {
			addr := mruValue(text, fmt.Sprint("addr.", i))
			if seen[addr] {
				t.Fatalf("%s twice", addr)
			}
			seen[addr] = true
			position = fmt.Sprintf(", addr.0=%s, last.0=%s", addr, mruValue(text, fmt.Sprint("last.", i)))
		}
		if mruValue(text, "now") != "" {
			break
		}
	}
	if len(seen) != clients {
		t.Errorf("%d clients of %d", len(seen), clients)
	}
}

func FuzzMRURequest(f *testing.F) {
	f.Add([]byte("nonce=0123, frags=32, addr.0=10.0.0.1:123, last.0=0xec000000.00000000"))
	f.Add([]byte("limit=3, mincount=2, resall=0x1, laddr=1.2.3.4"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, e := parseMRU(data)
		if e == errNone && (r.frags < 1 || r.frags > maxFragments || r.limit < 1) {
			t.Fatalf("%+v", r)
		}
		m := &mruList{read: func() []MRUEntry { return nil }}
		m.resume(r, 5)
	})
}
