package server

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// echoes answers a query with as many copies of it as its second octet says.
type echoes struct{ refuse ntp.Reason }

func (e echoes) Admit(int64, *ntp.Request, bool) bool { return true }

func (e echoes) Answer(_ ntp.Timestamp, _ int64, _ *ntp.ClockState, req *ntp.Request, _ bool) ([][]byte, ntp.Reason) {
	if e.refuse != ntp.ReasonOK {
		return nil, e.refuse
	}
	var answers [][]byte
	for i := range req.Packet[1] {
		answers = append(answers, append(bytes.Clone(req.Packet), i))
	}
	return answers, ntp.ReasonOK
}

// controlPacket is a request of mode 6 that wants n answers.
func controlPacket(n byte) []byte {
	return []byte{0x16, n, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
}

func TestQueryIsAnsweredByTheSlowLane(t *testing.T) {
	state := testState(t)
	state.Query = echoes{}
	s, at := start(t, Options{Workers: 1}, state, "127.0.0.1:0", "[::1]:0")
	for _, a := range at {
		c := dial(t, a)
		got := [][]byte{ask(t, c, controlPacket(3)), listen(t, c), listen(t, c)}
		for i, p := range got {
			if want := append(controlPacket(3), byte(i)); !bytes.Equal(p, want) {
				t.Errorf("%v: answer %d is %x, want %x", a, i, p, want)
			}
		}
		if h := decode(t, ask(t, c, request(4, ntp.ModeClient, 77))); h.Origin != 77 {
			t.Errorf("%v: time is not served beside: %+v", a, h)
		}
	}
	// Counted with those of the slow lane, a moment after they have left.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		list := s.Listening()
		if !slices.ContainsFunc(list, func(l Listened) bool { return l.Received != 2 || l.Sent != 4 || l.Failed != 0 }) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v; want 2 in, 4 out of each", list)
		}
	}
	s.Close() // what left is counted
	c := s.Counters()
	if c.Modes[ntp.ModeControl] != 2 || c.Packets[ntp.KindNone][2][ntp.ReasonOK] != 2 || c.QueryIn != 24 || c.QueryOut != 78 {
		t.Errorf("counted %d of mode 6, %d answered, %d octets in, %d out; want 2, 2, 24, 78",
			c.Modes[ntp.ModeControl], c.Packets[ntp.KindNone][2][ntp.ReasonOK], c.QueryIn, c.QueryOut)
	}
	if c.AmplifiedOut != 0 {
		t.Errorf("%d octets were counted as Autokey's", c.AmplifiedOut)
	}
}

func TestQueryIsRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		query Query
		want  ntp.Reason
	}{
		{"switched off", nil, ntp.ReasonShort}, // as any packet of 12 octets
		{"rate limited", echoes{ntp.ReasonRateLimited}, ntp.ReasonRateLimited},
	} {
		t.Run(c.name, func(t *testing.T) {
			state := testState(t)
			state.Query = c.query
			s, at := start(t, Options{Workers: 1}, state, "127.0.0.1:0")
			if p := ask(t, dial(t, at[0]), controlPacket(1)); p != nil {
				t.Errorf("answered %x", p)
			}
			if n := reasonTotal(s.Counters(), c.want); n != 1 {
				t.Errorf("%d counted as %v", n, c.want)
			}
		})
	}
}

func TestWhoMayQuery(t *testing.T) {
	rule := func(prefix string, action access.Action, query bool) access.Rule {
		return access.Rule{Prefix: netip.MustParsePrefix(prefix), Action: action, Kinds: access.AllKinds, MinVersion: 1, Query: query}
	}
	everybody := rule("0.0.0.0/0", access.Allow, false)
	for _, c := range []struct {
		name  string
		from  string
		rules []access.Rule
		want  ntp.Reason
	}{
		{"a stranger", "192.0.2.1:5000", []access.Rule{everybody}, ntp.ReasonDenied},
		{"somebody without any rule", "192.0.2.1:5000", []access.Rule{rule("::/0", access.Allow, true)}, ntp.ReasonDenied},
		{"a network with query", "192.0.2.1:5000", []access.Rule{everybody, rule("192.0.2.0/24", access.Allow, true)}, ntp.ReasonOK},
		{"a denied network with query", "192.0.2.1:5000", []access.Rule{everybody, rule("192.0.2.0/24", access.Deny, true)},
			ntp.ReasonDenied},
		{"the host itself", "127.0.0.1:5000", []access.Rule{everybody}, ntp.ReasonOK},
		{"the host itself, IPv6", "[::1]:5000", []access.Rule{everybody}, ntp.ReasonOK},
		{"the host itself, the others denied", "127.0.0.1:5000", []access.Rule{rule("0.0.0.0/0", access.Deny, false)}, ntp.ReasonOK},
		{"the host itself, refused", "127.0.0.1:5000", []access.Rule{everybody, rule("127.0.0.0/8", access.Allow, false)},
			ntp.ReasonDenied},
		{"the host itself, refused, IPv6", "[::1]:5000", []access.Rule{everybody, rule("::1/128", access.Allow, false)}, ntp.ReasonDenied},
		{"the host itself, by a rule", "127.0.0.1:5000", []access.Rule{everybody, rule("127.0.0.1/32", access.Allow, true)}, ntp.ReasonOK},
		{"port 0", "127.0.0.1:0", []access.Rule{everybody}, ntp.ReasonMulticastSource},
		{"a multicast address", "224.0.1.1:123", []access.Rule{rule("0.0.0.0/0", access.Allow, true)}, ntp.ReasonMulticastSource},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.handler.state = testState(t, c.rules...)
			r.handler.state.Query = echoes{}
			s := newSlot(t)
			packet := controlPacket(1)
			from := netip.MustParseAddrPort(c.from)
			open := func() {
				s.req = ntp.Request{Packet: packet, From: from, To: testServer}
				r.handler.open(s)
			}
			open()
			want := ntp.Drop
			if c.want == ntp.ReasonOK {
				want = ntp.Defer
			}
			if s.verdict.Action != want || s.verdict.Reason != c.want {
				t.Errorf("verdict %+v, want action %d and reason %v", s.verdict, want, c.want)
			}
			if n := testing.AllocsPerRun(100, open); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
