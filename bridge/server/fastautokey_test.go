package server

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"ntsbridge/autokey"
	"ntsbridge/bridge/ntp"
)

// autokeyMessage is a client's request with a message, from an address to an
// address.
func autokeyMessage(from, to netip.Addr, id uint32, m autokey.Message) []byte {
	s := autokey.NewScratch(autokey.MD5)
	p := binary.BigEndian.AppendUint32(m.Append(request(4, ntp.ModeClient, 42)), id)
	key := bytes.Clone(s.SessionKey(from, to, id, 0))
	return append(p, s.MAC(key, p[:len(p)-4])...)
}

// stuck is a Query that holds the slow lane up.
type stuck struct {
	echoes
	entered, leave chan struct{}
}

func (q stuck) Answer(now ntp.Timestamp, mono int64, clock *ntp.ClockState, req *ntp.Request, known bool) ([][]byte, ntp.Reason) {
	q.entered <- struct{}{}
	<-q.leave
	return q.echoes.Answer(now, mono, clock, req, known)
}

// What Autokey has at hand is answered while the slow lane is busy, and the
// inventory learns the name all the same.
func TestAutokeyDoesNotWaitForTheSlowLane(t *testing.T) {
	state := testState(t)
	(&rig{requests: make(map[string][]byte)}).addAutokey(t, state)
	q := stuck{entered: make(chan struct{}), leave: make(chan struct{})}
	state.Query = q
	told := make(chan string, 4)
	opt := Options{Workers: 1, Clients: Clients{Autokey: func(_ netip.Addr, _ ntp.Timestamp, host, _ string) { told <- host }}}
	_, at := start(t, opt, state, "127.0.0.1:0")
	operator, c := dial(t, at[0]), dial(t, at[0])
	if _, err := operator.Write(controlPacket(1)); err != nil {
		t.Fatal(err)
	}
	<-q.entered
	defer func() {
		close(q.leave)
		if listen(t, operator) == nil {
			t.Error("the query was lost")
		}
	}()
	from := c.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Addr()
	for i, m := range []autokey.Message{
		{Code: autokey.Request(autokey.OpAssoc), Value: []byte("tock")},
		{Code: autokey.Request(autokey.OpCert), Value: []byte("tick")},
		{Code: autokey.Request(autokey.OpLeap)},
	} {
		answer := ask(t, c, autokeyMessage(from, at[0].Addr(), 1<<20+uint32(i), m))
		f, ok := ntp.FieldAt(answer, ntp.HeaderLen)
		if !ok || autokey.Code(f.Type) != m.Code|1<<15 {
			t.Errorf("%v: answer of %d octets, type %x", m.Code.Op(), len(answer), f.Type)
		}
	}
	if name := <-told; name != "tock" {
		t.Errorf("told the name %q", name)
	}
}

// An operator's queries are all answered in a flood of ASSOC from one address,
// which never gets to the lane that answers them.
func TestQueriesInAFloodOfAssociations(t *testing.T) {
	state := testState(t)
	(&rig{requests: make(map[string][]byte)}).addAutokey(t, state)
	state.Query = echoes{}
	s, at := start(t, Options{Workers: 1}, state, "127.0.0.1:0")
	m := autokey.Message{Code: autokey.Request(autokey.OpAssoc), Value: []byte("tock")}
	assoc := autokeyMessage(at[0].Addr(), at[0].Addr(), 1<<20, m)
	flooder, operator := dial(t, at[0]), dial(t, at[0])
	for i := range 20 {
		for range 100 { // no more than the socket's buffer holds
			if _, err := flooder.Write(assoc); err != nil {
				t.Fatal(err)
			}
		}
		if ask(t, operator, controlPacket(1)) == nil {
			t.Fatalf("query %d is not answered", i)
		}
	}
	n := counted(s, func(n *Counters) bool { return n.AutokeyOps[autokey.OpAssoc] > 0 })
	if n.SlowDropped != 0 || n.AutokeyOps[autokey.OpAssoc] == 0 {
		t.Errorf("%d of %d dropped by the slow lane, %d answered", n.SlowDropped, n.Received, n.AutokeyOps[autokey.OpAssoc])
	}
}
