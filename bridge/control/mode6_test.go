package control

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	mode6 "github.com/facebook/time/ntp/control"

	"ntsbridge/bridge/ntp"
)

// exchange is one captured request with its answer.
type exchange struct {
	command string
	request []byte
	answer  [][]byte
}

func readExchanges(t testing.TB, file string) []exchange {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "mode6", file))
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange
	command := ""
	for line := range strings.Lines(string(text)) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind == "#" {
			command = rest
			continue
		}
		p, err := hex.DecodeString(rest)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if kind == ">" {
			all = append(all, exchange{command: command, request: p})
			continue
		}
		last := &all[len(all)-1]
		last.answer = append(last.answer, p)
	}
	return all
}

// data puts the fragments of an answer together.
func (e *exchange) data(t testing.TB) []byte {
	t.Helper()
	data, err := reassemble(e.answer)
	if err != nil {
		t.Fatalf("%s: %v", e.command, err)
	}
	return data
}

// reassemble is what a client does, by the codec of facebook/time where that
// has it.
func reassemble(packets [][]byte) ([]byte, error) {
	var data []byte
	for i, p := range packets {
		var h mode6.NTPControlMsgHead
		if _, err := binary.Decode(p, binary.BigEndian, &h); err != nil {
			return nil, err
		}
		switch {
		case !h.IsResponse() || h.GetMode() != mode6.Mode:
			return nil, fmt.Errorf("packet %d is no response: %x", i, p)
		case h.HasMore() != (i < len(packets)-1):
			return nil, fmt.Errorf("packet %d of %d has the wrong more bit", i, len(packets))
		case int(h.Offset) != len(data):
			return nil, fmt.Errorf("packet %d has offset %d, want %d", i, h.Offset, len(data))
		case len(p)%4 != 0 || int(h.Count) > len(p)-queryHeaderLen || int(h.Count) > queryDataLen:
			return nil, fmt.Errorf("packet %d: %d octets of data in %d", i, h.Count, len(p))
		}
		data = append(data, p[queryHeaderLen:][:h.Count]...)
	}
	return data, nil
}

// ask answers a request from a model at the captured time of day.
func ask(src QuerySource, leap ntp.Leap, request []byte) [][]byte {
	return Respond(src, 0, &ntp.ClockState{Leap: leap}, request)
}

func show(packets [][]byte) string {
	var s strings.Builder
	for _, p := range packets {
		fmt.Fprintf(&s, "%x %q\n", p[:min(len(p), queryHeaderLen)], p[min(len(p), queryHeaderLen):])
	}
	return s.String()
}

// TestQueriesOfNtpq answers every request that ntpq made with the values that
// ntpd had, and wants ntpd's packets, octet for octet.
func TestQueriesOfNtpq(t *testing.T) {
	for _, file := range []string{"server.txt", "client.txt", "many.txt"} {
		t.Run(file, func(t *testing.T) {
			m, compared := new(model), 0
			for _, e := range readExchanges(t, file) {
				if !strings.Contains(e.command, "_var_list") {
					m.learn(t, &e)
				}
				got := ask(m, m.sys.Leap, e.request)
				if strings.Contains(e.command, "sysinfo") {
					sysinfo(t, got, &e)
					continue
				}
				if !slices.EqualFunc(got, e.answer, bytes.Equal) {
					t.Errorf("%s: answer\n%swant\n%s", e.command, show(got), show(e.answer))
				}
				compared++
			}
			if compared < 2 {
				t.Errorf("%d answers compared", compared)
			}
		})
	}
}

// sysinfo compares an answer without the two delays of its own.
func sysinfo(t *testing.T, got [][]byte, e *exchange) {
	t.Helper()
	data, err := reassemble(got)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(items(t, e.data(t)), func(v [2]string) bool { return v[0] == "bcastdelay" || v[0] == "authdelay" })
	have := slices.DeleteFunc(items(t, data), func(v [2]string) bool { return v[0] == "authdelay" })
	if !slices.Equal(have, want) {
		t.Errorf("%s: %q, want %q", e.command, have, want)
	}
}

// TestQueriesByHand asks for what ntpq does not: other operations, versions,
// malformed requests.
func TestQueriesByHand(t *testing.T) {
	// Answers that differ by intention.
	want := map[string]string{
		"operation 4":  "16c400010400000000000000", // no reference clocks
		"operation 6":  "16c600010100000000000000",
		"operation 10": "16ca00010300000000000000", // MRU list
		"operation 12": "16cc00010300000000000000", // nonce for it
		"prefix match first, sys_":// clk_wander_threshold has no value here
		"1682000106140000000000157379735f6a69747465723d302e3030303532350d0a000000",
		"value of 128 octets": "16c200010200000000000000", // ntpd answers as if nothing was asked for
	}
	m := new(model)
	for _, e := range readExchanges(t, "client.txt") {
		if !strings.Contains(e.command, "sys_var_list") {
			m.learn(t, &e)
		}
	}
	for _, e := range readExchanges(t, "raw.txt") {
		t.Run(e.command, func(t *testing.T) {
			if w, ok := want[e.command]; ok {
				p, err := hex.DecodeString(w)
				if err != nil {
					t.Fatal(err)
				}
				e.answer = [][]byte{p}
			}
			if len(e.answer) > 0 {
				m.learn(t, &e)
			}
			got := ask(m, ntp.LeapNone, e.request)
			if !slices.EqualFunc(got, e.answer, bytes.Equal) {
				t.Errorf("answer\n%swant\n%s", show(got), show(e.answer))
			}
		})
	}
}

// TestAutokeyValuesReceived shows autokey values as ntpd 4.2.8p15 shows those
// of a broadcast client.
func TestAutokeyValuesReceived(t *testing.T) {
	m := &model{assoc: []Association{{ID: 18663, Status: PeerStatus{Selection: SelectReject, EventCount: 1, Event: ntp.PeerUnreachable},
		KeyID: 70000, Autokey: &AutokeyAssociation{Host: "tick", Flags: 0x417f03, Signature: "sha1WithRSAEncryption",
			Values: &AutokeyReceived{Sequence: 95, KeyID: 0xbbcaa0e6, Timestamp: 4004289867}}}}}
	request := append([]byte{0x16, 2, 0, 1, 0, 0, 0x48, 0xe7, 0, 0, 0, 23}, "host,flags,initsequence\x00"...)
	got := ask(m, ntp.LeapNone, request)
	data, err := reassemble(got)
	want := `flags=0x417f03, host="tick", initsequence=95, initkey=0xbbcaa0e6,` + "\r\n" + `timestamp=202611212244` + "\r\n"
	if err != nil || string(data) != want {
		t.Errorf("%q %v, want %q", data, err, want)
	}
	if word := binary.BigEndian.Uint16(got[0][4:]); word != 0x4013 {
		t.Errorf("status %#x", word)
	}
}

func TestStatusWords(t *testing.T) {
	for _, c := range []struct {
		status         PeerStatus
		key, reachable bool
		want           uint16
	}{
		{PeerStatus{Configured: true, Authentic: true, Selection: SelectSystemPeer, EventCount: 1, Event: ntp.PeerSystemPeer}, true, true,
			0xf61a},
		{PeerStatus{Configured: true, Selection: SelectSystemPeer, EventCount: 1, Event: ntp.PeerSystemPeer}, false, true, 0x961a},
		{PeerStatus{Configured: true, EventCount: 1, Event: ntp.PeerMobilized}, false, false, 0x8011},
		{PeerStatus{Configured: true, Broadcast: true, EventCount: 1, Event: ntp.PeerMobilized}, true, false, 0xc811},
		{PeerStatus{EventCount: 255, Event: 255, Selection: 255}, false, false, 0x07ff},
	} {
		if got := c.status.word(c.key, c.reachable); got != c.want {
			t.Errorf("%+v: %#04x, want %#04x", c.status, got, c.want)
		}
	}
	s := SystemStatus{Source: SourceNTP, EventCount: 1, Event: EventFrequencyMode}
	if got := s.word(ntp.LeapNone); got != 0x0614 {
		t.Errorf("%+v: %#04x, want 0x0614", s, got)
	}
	s = SystemStatus{EventCount: 1, Event: EventRestart}
	if got := s.word(ntp.LeapUnknown); got != 0xc016 {
		t.Errorf("%+v: %#04x, want 0xc016", s, got)
	}
}

// hostile is a source with the longest of everything.
func hostile() *model {
	long := strings.Repeat("x", 1000)
	m := &model{sys: SystemVariables{Version: long, Processor: "a\"b\x00c\xff", System: long, Discipline: new(Discipline),
		Autokey: &AutokeySystem{Host: long, Flags: 1, Digest: "md5", Signature: long}}}
	for range 200 {
		m.sys.Autokey.Certificates = append(m.sys.Autokey.Certificates, CertificateVariables{Subject: long, Issuer: "tick"})
	}
	for i := range 5000 {
		m.assoc = append(m.assoc, Association{ID: uint16(i + 1), SourceName: long,
			Autokey: &AutokeyAssociation{Host: long, Ident: long, Values: &AutokeyReceived{}}})
	}
	return m
}

// TestAnswersAreBounded wants at most 32 well-formed packets whatever there is
// to tell.
func TestAnswersAreBounded(t *testing.T) {
	m := hostile()
	for _, request := range [][]byte{
		{0x16, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		{0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0},
		{0x16, 2, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0},
	} {
		got := ask(m, ntp.LeapNone, request)
		if _, err := reassemble(got); err != nil || len(got) == 0 || len(got) > maxFragments {
			t.Errorf("request %x: %d packets, %v", request, len(got), err)
		}
	}
	if list, _ := reassemble(ask(m, ntp.LeapNone, []byte{0x16, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})); len(list) != maxFragments*queryDataLen {
		t.Errorf("association list of %d octets", len(list))
	}
	request := append([]byte{0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9}, "processor\x00\x00\x00"...)
	if data, _ := reassemble(ask(m, ntp.LeapNone, request)); string(data) != "processor=\"a.b.c.\"\r\n" {
		t.Errorf("text with quote, NUL and no ASCII is shown as %q", data)
	}
}

func FuzzRespond(f *testing.F) {
	for _, file := range []string{"server.txt", "client.txt", "many.txt", "raw.txt", "counts.txt", "ntpsec.txt"} {
		for _, e := range readExchanges(f, file) {
			f.Add(e.request)
		}
	}
	m := hostile()
	m.authority = counting(f).authority
	f.Fuzz(func(t *testing.T, request []byte) {
		got := ask(m, ntp.LeapUnknown, request)
		if len(got) == 0 {
			return
		}
		if _, err := reassemble(got); err != nil || len(got) > maxFragments {
			t.Fatalf("%d packets, %v", len(got), err)
		}
		for _, p := range got {
			if !bytes.Equal(p[2:4], request[2:4]) || !bytes.Equal(p[6:8], request[6:8]) || p[0]&0x38 != request[0]&0x38 {
				t.Fatalf("answer %x to %x", p[:queryHeaderLen], request[:queryHeaderLen])
			}
			if ask(m, ntp.LeapNone, p) != nil {
				t.Fatalf("answer to an answer: %x", p)
			}
		}
	})
}
