package autokey

import (
	"bytes"
	"encoding/binary"
	"testing"

	"ntsbridge/bridge/ntp"
)

// fuzzSteps are the states in which responses are fuzzed.
var fuzzSteps = []Op{OpAssoc, OpCert, OpCook, OpSign, OpLeap, OpNull}

// FuzzClientResponse feeds fields to a client in each step of the dance, in
// packets with the right origin, key identifier and MAC. Nothing may panic,
// and nothing that is not signed may give time or a cookie.
func FuzzClientResponse(f *testing.F) {
	for _, s := range sessions(f) {
		for _, p := range s.packets {
			if l := ntp.Classify(p.data, autokeyOnly{}); l.Fields > 0 && ntp.ModeOf(p.data) == ntp.ModeServer {
				f.Add(uint8(0), p.data[ntp.HeaderLen:l.MAC])
			}
		}
	}
	for i := range fuzzSteps {
		f.Add(uint8(i), responseField(Request(OpAssoc), 1, []byte("tick")))
		f.Add(uint8(i), []byte{0xc2, byte(i), 0, 8, 0, 0, 0, 1})
	}
	f.Fuzz(func(t *testing.T, step uint8, fields []byte) {
		if len(fields) > maxMessageLen || len(fields)%4 != 0 {
			return
		}
		op := fuzzSteps[int(step)%len(fuzzSteps)]
		p := newTestPair(t)
		if op == OpNull {
			p.until(complete)
			p.request()
		} else {
			p.reach(op)
			p.ask(op)
		}
		if len(fields) >= shortLen { // also with the right association ID
			fields = bytes.Clone(fields)
			binary.BigEndian.PutUint32(fields[4:], uint32(p.client.id))
		}
		before, cookie := p.client.status, p.client.cookie
		out := p.client.Receive(p.moment(true), p.respondRaw(fields))
		if len(fields) == 0 {
			return
		}
		gained := p.client.status.Flags() &^ before.Flags()
		if out.Usable || gained&(FlagPROV|FlagCOOK|FlagSIGN|FlagVRFY) != 0 && op != OpCert || !out.Restarted && p.client.cookie != cookie {
			t.Fatalf("%v: unsigned fields made %+v, flags %v", op, out, p.client.status)
		}
		if out.Err == nil && !out.HasMessage {
			t.Fatalf("%v: fields without message and without error", op)
		}
	})
}

// responseField makes a field for seeds.
func responseField(c Code, id uint32, value []byte) []byte {
	m := Message{Code: c | bitResponse, AssociationID: id, Timestamp: 5, Filestamp: 0x00080003, Value: value}
	return m.Append(nil)
}

// FuzzPeerReceive feeds fields to a symmetric peer whose association is sound.
func FuzzPeerReceive(f *testing.F) {
	f.Add([]byte{2, 3, 0, 8, 0, 0, 0, 1}, true)
	for _, op := range []Op{OpAssoc, OpCert, OpCook, OpAuto, OpSign, OpLeap, OpIFF} {
		f.Add(responseField(Request(op), 1, []byte("peerb")), op == OpCook)
		q := Message{Code: Request(op), AssociationID: 7, Value: []byte("peera")}
		f.Add(append(responseField(Request(op), 1, nil), q.Append(nil)...), true)
	}
	c := newCouple(&testing.T{}, ntp.ModeSymmetricActive)
	c.run(8)
	c.send(c.a)
	sound := *c.a.peer
	f.Fuzz(func(t *testing.T, fields []byte, answers bool) {
		if len(fields) > maxMessageLen || len(fields)%4 != 0 || len(fields) < 4 {
			return
		}
		*c.a.peer = sound // nothing that it points to is changed in place
		origin := ntp.Timestamp(0)
		if answers {
			origin = c.a.peer.sent[0].transmit
		}
		q := c.header(ntp.ModeSymmetricActive, ntp.LeapNone, origin)
		q = q[:c.b.peer.seal(q, &outgoing{id: 0x01234567, fields: fields}, testServer, testClient, 0)]
		if out := c.receive(c.a, q); out.Usable {
			t.Fatalf("forged fields gave time: %+v", out)
		}
		keys := *sound.keys
		c.send(c.a)
		*sound.keys = keys
	})
}

// FuzzBroadcast feeds fields to a broadcast client, before and after it has
// autokey values.
func FuzzBroadcast(f *testing.F) {
	s := readSession(f, "broadcast")
	for _, p := range s.packets {
		if l := ntp.Classify(p.data, autokeyOnly{}); ntp.ModeOf(p.data) == ntp.ModeBroadcast {
			f.Add(p.data[ntp.HeaderLen:l.MAC], uint32(0x01234567), true)
			f.Add(p.data[ntp.HeaderLen:l.MAC], uint32(0x01234567), false)
		}
	}
	a := newAir(&testing.T{})
	fresh := *a.client
	for range 6 {
		a.tick(false)
	}
	following := *a.client
	f.Fuzz(func(t *testing.T, fields []byte, id uint32, sound bool) {
		if len(fields) > maxMessageLen || len(fields)%4 != 0 || id < minKeyID {
			return
		}
		*a.client = fresh
		if sound {
			*a.client = following
		}
		q := a.header(ntp.ModeBroadcast, ntp.LeapNone, 0)
		q = q[:a.sender.seal(q, &outgoing{id: id, fields: fields}, testServer, testBroadcast, 0)]
		if out := a.client.ReceiveBroadcast(a.moment(true), q, testBroadcast); out.Usable {
			t.Fatalf("forged fields gave time: %+v", out)
		}
		a.client.Polling(a.moment(true))
	})
}
