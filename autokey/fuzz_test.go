package autokey

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"ntsbridge/bridge/ntp"
)

// fuzzServer is a server with everything on.
func fuzzServer(f *testing.F, name string) *Server {
	cfg := testConfig(f, name)
	cfg.Takeover = true
	cfg.OlderSeeds = []Seed{1}
	cfg.Budget = Unbounded{}
	s, err := NewServer(cfg, zeroReader{})
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// zeroReader is fast and repeatable.
type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i*7 + 1)
	}
	return len(p), nil
}

// FuzzOpen feeds packets to servers without and with a group. Since random
// packets fail at the MAC, each is also tried with the right one.
func FuzzOpen(f *testing.F) {
	servers := []*Server{fuzzServer(f, "all3"), fuzzServer(f, "tc-group")}
	for _, s := range sessions(f) {
		for _, p := range s.packets {
			f.Add(p.data, p.from.Is6(), true)
		}
	}
	var sess Session
	f.Fuzz(func(t *testing.T, data []byte, v6, synced bool) {
		from, to := testClient, testServer
		if v6 {
			from, to = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
		}
		data = append([]byte(nil), data...)
		for _, s := range servers {
			for pass := range 2 {
				if pass == 1 && !repair(s, data, from, to) {
					break
				}
				req := packet{from: from, to: to, data: data}.request()
				check(t, s, req, &sess, synced)
			}
		}
	})
}

// repair gives a packet the MAC that the server expects.
func repair(s *Server, data []byte, from, to netip.Addr) bool {
	l := ntp.Classify(data, noKeys{})
	if l.Defect != ntp.ReasonOK || l.Kind != ntp.KindAutokey || len(data)-l.MAC-4 != s.digest.macLen() {
		return false
	}
	data[0] = data[0]&^7 | byte(ntp.ModeClient)
	scratch := NewScratch(s.digest)
	var cookie uint32
	if l.Fields == 0 {
		cookie = scratch.Cookie(from, to, 1)
	}
	copy(data[l.MAC+4:], scratch.MAC(scratch.SessionKey(from, to, l.KeyID, cookie), data[:l.MAC]))
	return true
}

// check holds for every request.
func check(t *testing.T, s *Server, req *ntp.Request, sess *Session, synced bool) {
	t.Helper()
	fast := s.Open(testNow, synced, req, sess, false)
	if sess.Cost != 0 {
		t.Fatalf("%v cost %d on the fast path", sess.Op, sess.Cost)
	}
	v := s.Open(testNow, synced, req, sess, true)
	if v.Kind != ntp.KindAutokey || (fast.Action == ntp.Defer) != (v.Action != fast.Action) {
		t.Fatalf("fast %+v, slow %+v", fast, v)
	}
	if v.Action == ntp.Defer || v.Reason == ntp.ReasonOK && v.Action != ntp.Answer {
		t.Fatalf("%+v", v)
	}
	if v.Action != ntp.Answer {
		return
	}
	var resp [MaxResponseLen]byte
	n := s.Seal(req, resp[:], sess)
	if n != sess.OctetsOut || n > len(resp) {
		t.Fatalf("%d octets, counted %d", n, sess.OctetsOut)
	}
	if req.Layout.Fields == 0 && n > len(req.Packet) {
		t.Fatalf("plain answer of %d octets to %d", n, len(req.Packet))
	}
	l := ntp.Classify(resp[:n], noKeys{})
	if l.Defect != ntp.ReasonOK || l.KeyID != req.Layout.KeyID || l.Fields > 1 {
		t.Fatalf("answer's layout %+v", l)
	}
	if l.Fields == 1 {
		m, err := parseMessage(resp[48:l.MAC])
		question := binary.BigEndian.Uint16(req.Packet[48:])
		if err != nil || !m.Code.response() || uint16(m.Code)|bitError != question|bitResponse|bitError {
			t.Fatalf("answer %+v, %v", m, err)
		}
	}
}
