package autokey

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// The tests below feed a client what the known attacks on ntpd's Autokey sent.
// In all of them the packet comes with the right origin, key identifier and
// MAC, which whoever sees the request can make.

// refused wants that the last answer changed nothing but the error.
func (p *pair) refused(name string, out Outcome, event Event) {
	p.t.Helper()
	if out.Usable || out.Err == nil || out.Event() != event {
		p.t.Errorf("%s: %+v, want event %v", name, out, event)
	}
}

// TestCVELengths: CVE-2014-9297, 2014-9750, 2015-7691, 2015-7692,
// 2015-7702: lengths of value and signature that leave the field, or wrap.
func TestCVELengths(t *testing.T) {
	lengths := []uint32{1, 0x7fffffff, 0x80000000, 0xfffffffc, 0xfffffffd, 0xfffffffe, 0xffffffff, 1 << 16, 2049}
	for _, op := range []Op{OpAssoc, OpCert, OpCook, OpSign, OpLeap} {
		p := newTestPair(t)
		p.reach(op)
		for _, n := range lengths {
			for _, at := range []int{16, 20} {
				p.ask(op)
				m := Message{Code: Request(op) | bitResponse, AssociationID: uint32(p.client.id), Timestamp: 9, Filestamp: 8}
				field := m.Append(nil)
				binary.BigEndian.PutUint32(field[at:], n)
				p.refused(op.String(), p.client.Receive(p.moment(true), p.respondRaw(field)), EventLEN)
			}
		}
		// A field of 4 octets makes the rest a MAC; other framing cannot be a packet.
		for _, field := range [][]byte{{0x82, 2, 0, 4}, {0x82, 2, 0, 0, 0, 0, 0, 0}, {0x82, 2, 0xff, 0xfc, 0, 0, 0, 0}, {0x82, 2, 0,
			12, 0, 0, 0, 0, 0, 0, 0, 0}} {
			p.ask(op)
			if out := p.client.Receive(p.moment(true), p.respondRaw(field)); out.Err == nil || out.Usable {
				t.Errorf("%v: field %x: %+v", op, field, out)
			}
		}
	}
}

// reach brings the client to where it asks op.
func (p *pair) reach(op Op) {
	p.t.Helper()
	switch op {
	case OpCert:
		p.until(FlagENAB)
	case OpCook:
		p.until(FlagVRFY)
	case OpSign, OpLeap:
		p.until(FlagCOOK)
		if op == OpLeap {
			p.until(FlagSIGN)
		}
	}
}

// ask makes a request, which must be op. Waiting times of SIGN and LEAP are
// passed over.
func (p *pair) ask(op Op) {
	p.t.Helper()
	p.client.signAfter = 0
	p.clientSynced = true
	p.request()
	if p.client.sent.op != op {
		p.t.Fatalf("the client asks %v, want %v", p.client.sent.op, op)
	}
}

// TestCVELongNames: CVE-2009-1252: names that overflowed a buffer on the stack.
func TestCVELongNames(t *testing.T) {
	p := newTestPair(t)
	for _, name := range []string{"", strings.Repeat("x", 512), strings.Repeat("x", 1900), "a\x00b", "a\nb", "\x1b[2J", "\xff\xfe"} {
		p.ask(OpAssoc)
		m := Message{Code: Request(OpAssoc) | bitResponse, AssociationID: uint32(p.client.id), Filestamp: 0x00080003, Value: []byte(name)}
		p.refused("name", p.client.Receive(p.moment(true), p.respond(m)), EventLEN)
		if p.client.status != 0 {
			t.Errorf("a name of %d octets was taken", len(name))
		}
	}
}

// TestForgedConclusions: the status word on the wire has room for the
// receiver's own conclusions; ntpd takes them over.
func TestForgedConclusions(t *testing.T) {
	p := newTestPair(t)
	p.ask(OpAssoc)
	m := Message{Code: Request(OpAssoc) | bitResponse, AssociationID: uint32(p.client.id), Filestamp: 0x0008ff03, Value: []byte("tick")}
	if out := p.client.Receive(p.moment(true), p.respond(m)); out.Err != nil {
		t.Fatal(out.Err)
	}
	if got := p.client.status.Flags(); got != FlagENAB|FlagTAI|FlagAUTO {
		t.Errorf("flags %#x from the wire", got)
	}
	p.request()
	if p.client.sent.op != OpCert {
		t.Errorf("asks %v", p.client.sent.op)
	}
}

// TestCVECookie: CVE-2014-9295: a cookie that is not as long as the modulus,
// or does not hold four octets, signed by the server.
func TestCVECookie(t *testing.T) {
	p := newTestPair(t)
	p.reach(OpCook)
	signer := newTestCredentials(t, newHost(t, tick))
	pub := &testKeys()[1].RSAPublicKey
	good, err := keyfile.EncryptCookie(rand.Reader, pub, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range [][]byte{
		{1}, good[:len(good)-1], append(bytes.Clone(good), 0), make([]byte, len(good)), bytes.Repeat([]byte{0xff}, len(good)),
		bytes.Repeat([]byte{7}, 1500), good[1:],
	} {
		p.ask(OpCook)
		m := Message{Code: Request(OpCook) | bitResponse, AssociationID: uint32(p.client.id), Timestamp: stamp(testNow),
			Filestamp: testMade, Value: value}
		m.Signature, _ = signer.sign(m.appendSigned(nil))
		p.refused("cookie", p.client.Receive(p.moment(true), p.respond(m)), EventCKY)
		if p.client.has(FlagCOOK) || p.client.cookie != 0 {
			t.Fatal("a cookie was taken")
		}
	}
	p.until(complete)
}

// TestCVEFailClosed: CVE-2014-9296, 2009-0021: after a failed check nothing of
// the message is used. Each step gets its answer with one thing wrong.
func TestCVEFailClosed(t *testing.T) {
	for _, op := range []Op{OpCook, OpSign, OpLeap} {
		p := newTestPair(t)
		p.reach(op)
		before := p.client.status
		for _, c := range []struct {
			name   string
			event  Event
			change func(*Message)
		}{
			{"signature", EventSIG, func(m *Message) { m.Signature[5] ^= 1 }},
			{"value", EventSIG, func(m *Message) { m.Value[0] ^= 1 }},
			{"short signature", EventSGL, func(m *Message) { m.Signature = m.Signature[:8] }},
			{"long signature", EventSGL, func(m *Message) { m.Signature = append(m.Signature, 0, 0, 0, 0) }},
			{"timestamp", EventSIG, func(m *Message) { m.Timestamp++ }},
			{"no timestamp", EventTSP, func(m *Message) { m.Timestamp = 0 }},
			{"timestamp before filestamp", EventTSP, func(m *Message) { m.Timestamp = m.Filestamp - 1 }},
			{"no value", EventLEN, func(m *Message) { m.Value = nil }},
			{"short form", EventLEN, func(m *Message) { m.Short = true }},
			{"request", EventLEN, func(m *Message) { m.Code &^= bitResponse }},
			{"version 1", EventLEN, func(m *Message) { m.Code = m.Code&^0x3f00 | 0x100 }},
			{"other operation", EventLEN, func(m *Message) { m.Code ^= 8 }},
		} {
			p.client.badSigs = 0
			p.ask(op)
			m := p.answered()
			c.change(&m)
			p.refused(op.String()+" "+c.name, p.client.Receive(p.moment(true), p.respond(m)), c.event)
			if p.client.status != before {
				t.Fatalf("%v %s: flags %v, before %v", op, c.name, p.client.status, before)
			}
		}
		for _, c := range []struct {
			name   string
			change func(*Message)
		}{
			{"unsigned", func(m *Message) { m.Signature = nil }},
			{"other association", func(m *Message) { m.AssociationID++ }},
			{"error bit", func(m *Message) { m.Code |= bitError }},
		} { // protocol errors: it begins anew
			p := newTestPair(t)
			p.reach(op)
			p.ask(op)
			m := p.answered()
			c.change(&m)
			out := p.client.Receive(p.moment(true), p.respond(m))
			p.refused(op.String()+" "+c.name, out, EventERR)
			if !out.Restarted || p.client.status != 0 {
				t.Fatalf("%v %s: %+v", op, c.name, out)
			}
		}
	}
}

// answered returns the server's message to the client's last request.
func (p *pair) answered() Message {
	p.t.Helper()
	m, ok := packet{data: bytes.Clone(p.answer())}.message()
	if !ok {
		p.t.Fatal("the server answers without a message")
	}
	m.Value, m.Signature = bytes.Clone(m.Value), bytes.Clone(m.Signature)
	return m
}

// TestUnaskedResponses: one request has one response, of its own operation.
func TestUnaskedResponses(t *testing.T) {
	p := newTestPair(t)
	p.until(complete)
	cookie := p.client.cookie
	for _, op := range []Op{OpAssoc, OpCert, OpCook, OpAuto, OpSign, OpLeap, OpIFF, OpNull, 10} {
		p.request()
		m := Message{Code: Request(op) | bitResponse, AssociationID: uint32(p.client.id), Timestamp: stamp(testNow), Value: []byte("x")}
		if out := p.client.Receive(p.moment(true), p.respond(m)); out.Err == nil || out.Usable || out.Restarted {
			t.Errorf("%v: %+v", op, out)
		}
	}
	if p.client.cookie != cookie || !p.client.has(complete) {
		t.Error("an unasked response changed something")
	}
	p = newTestPair(t)
	p.ask(OpAssoc)
	m := p.answered()
	p.refused("two responses", p.client.Receive(p.moment(true), p.respond(m, m)), EventLEN)
	p.ask(OpAssoc)
	resp := p.answer()
	if out := p.client.Receive(p.moment(true), resp); out.Err != nil {
		t.Error(out.Err)
	}
	if out := p.client.Receive(p.moment(true), resp); !errors.Is(out.Err, ErrOrigin) {
		t.Errorf("repeated: %+v", out)
	}
}

// TestCVENAK: CVE-2015-7871, 2016-1547, 2016-4953, 2016-4955, 2016-4957: forged
// crypto-NAKs and packets with a wrong MAC must not end an association. A NAK
// counts only with the origin timestamp of the last request, and not often.
func TestCVENAK(t *testing.T) {
	p := newTestPair(t)
	p.until(complete)
	nak := func(origin ntp.Timestamp) []byte {
		q := p.header(ntp.ModeServer, ntp.LeapNone, origin)
		return q[:52]
	}
	for range 1000 {
		p.request()
		for _, origin := range []ntp.Timestamp{0, p.client.sent.transmit + 1, p.client.sent.transmit - 1} {
			if out := p.client.Receive(p.moment(true), nak(origin)); !errors.Is(out.Err, ErrOrigin) {
				t.Fatalf("%+v", out)
			}
		}
		resp := p.answer()
		bad := bytes.Clone(resp)
		bad[len(bad)-1] ^= 1
		if out := p.client.Receive(p.moment(true), bad); !errors.Is(out.Err, ErrMAC) || out.Restarted {
			t.Fatalf("%+v", out)
		}
		if out := p.client.Receive(p.moment(true), resp); !out.Usable {
			t.Fatalf("the right answer after forged ones: %+v", out)
		}
	}
	restarts, begin := p.client.restarts, p.now
	for range 100 {
		p.request()
		p.client.Receive(p.moment(true), nak(p.client.sent.transmit))
	}
	most := int((p.now-begin)/defaultRestartInterval) + 1
	if got := p.client.restarts - restarts; got < 1 || got > most {
		t.Errorf("%d restarts by crypto-NAKs in %v, want 1 to %d", got, p.now-begin, most)
	}
}

// TestCVENAKMakesNothing: CVE-2015-7871: before the first answer a NAK is of
// no use to anybody.
func TestCVENAKMakesNothing(t *testing.T) {
	p := newTestPair(t)
	q := p.header(ntp.ModeServer, ntp.LeapNone, 0)
	if out := p.client.Receive(p.moment(true), q[:52]); !errors.Is(out.Err, ErrOrigin) || p.client.status != 0 {
		t.Errorf("%+v", out)
	}
}

// TestCVEMemory: CVE-2015-7701: what a flood of messages leaves behind is
// bounded, whatever the names in them.
func TestCVEMemory(t *testing.T) {
	cred := newTestCredentials(t, newHost(t, tock))
	h := newHost(t, tick)
	for i := range 1000 {
		c := *h.Certificate
		c.Subject = strings.Repeat("x", i%500) + string(rune('a'+i%26))
		cred.install(Moment{}, CertificateEntry{CachedCertificate{&c, uint32(i)}, CertValid})
	}
	list := cred.Certificates()
	if len(list) != maxCachedCertificates {
		t.Errorf("%d certificates cached", len(list))
	}
	if own := list[len(list)-1]; own.Certificate.Subject != "tock" {
		t.Errorf("the host's own certificate was pushed out by %v", own)
	}
}

// TestCVERandomness: CVE-2014-9293, 2014-9294: identifiers and challenges come
// from the source of randomness, all bits of them.
func TestCVERandomness(t *testing.T) {
	p := newTestPair(t)
	var seen uint32
	for range 200 {
		p.request()
		seen |= p.client.sent.id
	}
	if seen != 0x7fffffff {
		t.Errorf("bits of key identifiers: %08x", seen)
	}
}

// TestAutokeyValueBounds: the sequence number bounds the hashes that a packet
// can cost.
func TestAutokeyValueBounds(t *testing.T) {
	a := newAir(t)
	for range 10 {
		a.tick(false)
	}
	forge := func(v AutokeyValues) Message {
		m, err := a.sender.cred.autokeyMessage(a.moment(true), v)
		if err != nil {
			t.Fatal(err)
		}
		m.AssociationID = uint32(a.sender.id)
		return m
	}
	for _, n := range []uint32{maxSequence + 1, 1 << 31, 0xffffffff} {
		a.now += 1e9
		m := forge(AutokeyValues{0x12345678, n})
		if err := a.client.installAutokey(&m); err == nil {
			t.Errorf("sequence %d was taken", n)
		}
	}
	old := a.client.sequence
	m := forge(AutokeyValues{0x12345678, 5})
	m.Timestamp = old.at.timestamp - 1
	m.Signature, _ = a.sender.cred.sign(m.appendSigned(nil))
	var e *MessageError
	if err := a.client.installAutokey(&m); !errors.As(err, &e) || e.Event != EventTSP {
		t.Errorf("older values: %v", err)
	}
	if a.client.sequence != old {
		t.Error("refused values changed something")
	}
}
