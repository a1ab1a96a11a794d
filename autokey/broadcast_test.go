package autokey

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// TestBroadcastServerReplay makes the broadcasts of a recorded ntpd 4.2.8p15
// from its first key identifier, octet for octet.
func TestBroadcastServerReplay(t *testing.T) {
	s := readSession(t, "broadcast")
	local := netip.MustParseAddr("10.98.0.1")
	h := s.host(local)
	keys := h.keys(t)
	first := []byte{0x3a, 0x6b, 0xde, 0xea} // of the key list, from ntpd's log
	cred, err := NewCredentials(keys, bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	server := newTestServer(t, Config{Host: keys})
	b, err := NewBroadcastServer(BroadcastConfig{
		Credentials: cred, Server: server, Local: local, Destination: netip.MustParseAddr("10.98.0.255"), ID: 0x6738,
	})
	if err != nil {
		t.Fatal(err)
	}
	cred.SignatureUpdate(0xeeac9d3d << 32)
	compared := 0
	for i, p := range s.packets {
		if ntp.ModeOf(p.data) != ntp.ModeBroadcast {
			continue
		}
		m := Moment{Time: ntp.Timestamp(binary.BigEndian.Uint64(p.data[40:])), Synchronised: true}
		if err := b.Prepare(m, 16*time.Second); err != nil {
			t.Fatal(err)
		}
		var got [MaxResponseLen]byte
		copy(got[:], p.data[:48])
		if n := b.Seal(got[:]); !bytes.Equal(got[:n], p.data) {
			t.Errorf("packet %d:\n got %x\nwant %x", i, got[:n], p.data)
		}
		compared++
	}
	if compared < 10 {
		t.Errorf("%d broadcasts compared", compared)
	}
}

// TestBroadcastClientReplay lets our client stand in for the recorded ntpd: it
// makes the same exchange with the real server, and then, unlike ntpd 4.2.8p15,
// goes on with the broadcasts.
func TestBroadcastClientReplay(t *testing.T) {
	s := readSession(t, "broadcast")
	remote, local, dest := netip.MustParseAddr("10.98.0.1"), netip.MustParseAddr("10.98.0.2"), netip.MustParseAddr("10.98.0.255")
	cred := newTestCredentials(t, s.host(local).keys(t))
	b, err := NewBroadcastClient(AssociationConfig{Credentials: cred, Local: local, Remote: remote, ID: 0x48e7})
	if err != nil {
		t.Fatal(err)
	}
	broadcasts, usable := 0, 0
	for i, p := range s.packets {
		m := Moment{Time: ntp.TimestampFromTime(p.at), Uptime: p.at.Sub(s.packets[0].at)}
		switch ntp.ModeOf(p.data) {
		case ntp.ModeBroadcast:
			out := b.ReceiveBroadcast(m, p.data, dest)
			if out.Err != nil {
				t.Errorf("packet %d: %v", i, out.Err)
			}
			if b.has(FlagAUTO) {
				broadcasts++
				if out.Usable {
					usable++
				}
			}
		case ntp.ModeClient:
			replayVolley(t, i, p, b, cred, m)
		case ntp.ModeServer:
			if out := b.Receive(m, p.data); out.Err != nil {
				t.Errorf("packet %d: %v", i, out.Err)
			}
		}
	}
	if got := b.State().Status; got != 0x417f03 {
		t.Errorf("flags %v, want 0x417f03", got)
	}
	if usable != broadcasts || usable < 8 {
		t.Errorf("%d of %d broadcasts were usable", usable, broadcasts)
	}
	if v := b.State().Values; v != (AutokeyValues{0xbbcaa0e6, 99}) {
		t.Errorf("autokey values %+v", v)
	}
}

// replayVolley compares a request of the exchange with ours.
func replayVolley(t *testing.T, i int, p packet, b *BroadcastClient, cred *Credentials, m Moment) {
	req := p.request()
	m.Synchronised = req.Header.Leap != ntp.LeapUnknown
	if want, ok := p.message(); ok && want.Code.Op() == OpSign {
		cred.updated = want.Timestamp
	}
	b.keys, b.keysPoll = &keyList{ids: []uint32{req.Layout.KeyID}, left: 1}, 16*time.Second
	if err := b.Prepare(m, 16*time.Second); err != nil {
		t.Fatal(err)
	}
	var got [MaxResponseLen]byte
	copy(got[:], p.data[:48])
	if n := b.Seal(got[:]); !bytes.Equal(got[:n], p.data) {
		t.Errorf("packet %d:\n got %x\nwant %x", i, got[:n], p.data)
	}
}

// air is a broadcast server and a client of ours.
type air struct {
	*world
	server  *Server
	sender  *BroadcastServer
	client  *BroadcastClient
	cred    *Credentials
	synced  bool
	errs    map[string]int
	usable  int
	packets [][]byte
}

var testBroadcast = netip.MustParseAddr("198.51.100.255")

func newAir(t testing.TB) *air {
	a := &air{world: &world{t: t}, cred: newTestCredentials(t, newHost(t, tock)), errs: map[string]int{}}
	a.startServer()
	var err error
	if a.client, err = NewBroadcastClient(AssociationConfig{Credentials: a.cred, Local: testClient, Remote: testServer}); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *air) startServer() {
	a.t.Helper()
	h := newHost(a.t, tick)
	cred := newTestCredentials(a.t, h)
	cred.SignatureUpdate(a.moment(true).Time)
	a.server = newTestServer(a.t, Config{Host: h, Seed: 9})
	var err error
	if a.sender, err = NewBroadcastServer(BroadcastConfig{Credentials: cred, Server: a.server, Local: testServer,
		Destination: testBroadcast}); err != nil {
		a.t.Fatal(err)
	}
}

func (a *air) broadcast() []byte {
	a.t.Helper()
	if err := a.sender.Prepare(a.moment(true), 16*time.Second); err != nil {
		a.t.Fatal(err)
	}
	p := a.header(ntp.ModeBroadcast, ntp.LeapNone, 0)
	return p[:a.sender.Seal(p)]
}

// tick is one broadcast and what the client does after it.
func (a *air) tick(lost bool) {
	a.t.Helper()
	a.now += 16 * time.Second
	p := a.broadcast()
	if lost {
		return
	}
	a.packets = append(a.packets, p)
	out := a.client.ReceiveBroadcast(a.moment(a.synced), p, testBroadcast)
	if out.Err != nil {
		a.errs[out.Err.Error()]++
	}
	if out.Usable {
		a.usable++
	}
	for range 3 {
		if !a.client.Polling(a.moment(a.synced)) {
			return
		}
		a.now += time.Second
		if err := a.client.Prepare(a.moment(a.synced), 16*time.Second); err != nil {
			a.t.Fatal(err)
		}
		q := a.header(ntp.ModeClient, ntp.LeapNone, 0)
		resp := a.serve(a.server, true, testClient, testServer, q[:a.client.Seal(q)])
		if out := a.client.Receive(a.moment(a.synced), resp); out.Err != nil {
			a.errs[out.Err.Error()]++
		} else if out.Usable && !a.synced {
			a.synced = true
			a.cred.SignatureUpdate(a.moment(true).Time)
		}
	}
}

func TestBroadcast(t *testing.T) {
	a := newAir(t)
	for range 10 {
		a.tick(false)
	}
	if !a.client.has(complete) {
		t.Fatalf("flags %v: %v", a.client.State().Status, a.errs)
	}
	before := a.usable
	for range 250 { // over several key lists
		a.tick(false)
	}
	if got := a.usable - before; got != 250 {
		t.Errorf("%d of 250 broadcasts were usable: %v", got, a.errs)
	}
	before = a.usable
	for i := range 300 { // the packets with the new values are lost, too
		a.tick(i%4 != 0)
	}
	if got := a.usable - before; got < 60 {
		t.Errorf("%d of 75 broadcasts were usable: %v", got, a.errs)
	}
}

func TestBroadcastServerRestarts(t *testing.T) {
	a := newAir(t)
	for range 10 {
		a.tick(false)
	}
	a.startServer()
	for range 30 {
		a.tick(false)
	}
	before := a.usable
	a.tick(false)
	if a.usable == before || !a.client.has(complete) {
		t.Errorf("flags %v after a restart of the server: %v", a.client.State().Status, a.errs)
	}
}

func TestBroadcastReplayed(t *testing.T) {
	a := newAir(t)
	for range 30 {
		a.tick(false)
	}
	for i, p := range a.packets {
		if out := a.client.ReceiveBroadcast(a.moment(true), p, testBroadcast); out.Usable {
			t.Errorf("broadcast %d was used twice", i)
		}
	}
	before := a.usable
	a.tick(false)
	if a.usable != before+1 {
		t.Errorf("the next broadcast was not usable: %v", a.errs)
	}
}

// TestBroadcastForged sends broadcasts of a stranger with the same name and
// address, who has the right MAC, as anybody can.
func TestBroadcastForged(t *testing.T) {
	a := newAir(t)
	for range 10 {
		a.tick(false)
	}
	real, realServer := a.sender, a.server
	for range 50 {
		a.startServer()
		if out := a.client.ReceiveBroadcast(a.moment(true), a.broadcast(), testBroadcast); out.Usable || out.Restarted {
			t.Fatalf("%+v", out)
		}
		if out := a.client.ReceiveBroadcast(a.moment(true), a.broadcast(), testBroadcast); out.Usable || out.Restarted {
			t.Fatalf("%+v", out)
		}
	}
	a.sender, a.server = real, realServer
	before := a.usable
	a.tick(false)
	if a.usable != before+1 {
		t.Errorf("the next broadcast was not usable: %v", a.errs)
	}
}

func TestBroadcastNeedsClock(t *testing.T) {
	a := newAir(t)
	if err := a.sender.Prepare(a.moment(false), 16*time.Second); !errors.Is(err, ErrNotSynchronised) {
		t.Errorf("error %v", err)
	}
	if n := a.sender.Seal(make([]byte, MaxResponseLen)); n != 0 {
		t.Errorf("%d octets without preparation", n)
	}
}

// TestBroadcastBegins checks what begins an association: ASSOC, nothing else.
func TestBroadcastBegins(t *testing.T) {
	a := newAir(t)
	a.now += 16 * time.Second
	if out := a.client.ReceiveBroadcast(a.moment(false), a.broadcast(), testBroadcast); out.Err != nil || a.client.status != 0 {
		t.Errorf("AUTO: %+v, flags %v", out, a.client.status)
	}
	p := a.broadcast()
	if out := a.client.ReceiveBroadcast(a.moment(false), p, netip.MustParseAddr("224.0.1.1")); !errors.Is(out.Err, ErrMAC) {
		t.Errorf("other destination: %+v", out)
	}
	if out := a.client.ReceiveBroadcast(a.moment(false), p, testBroadcast); out.Err != nil || !out.Progress || a.client.status == 0 {
		t.Errorf("ASSOC: %+v, flags %v", out, a.client.status)
	}
}
