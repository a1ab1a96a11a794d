package autokey

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// side is one end of a symmetric association.
type side struct {
	peer   *Peer
	cred   *Credentials
	server *Server
	mode   ntp.Mode
	addr   netip.Addr
	synced bool
	origin ntp.Timestamp // transmit timestamp of the other side's last packet
	usable int
	last   []byte
	errs   map[string]int
}

// couple is two symmetric peers.
type couple struct {
	*world
	a, b *side
}

func newSide(t testing.TB, spec hostSpec, mode ntp.Mode, local, remote netip.Addr, change func(*AssociationConfig)) *side {
	h := newHost(t, spec)
	s := &side{
		cred: newTestCredentials(t, h), mode: mode, addr: local, synced: true, errs: map[string]int{},
		server: newTestServer(t, Config{Host: h, Seed: 5}),
	}
	s.cred.SignatureUpdate(testNow)
	cfg := AssociationConfig{Credentials: s.cred, Local: local, Remote: remote}
	if change != nil {
		change(&cfg)
	}
	var err error
	if s.peer, err = NewPeer(cfg, s.server); err != nil {
		t.Fatal(err)
	}
	return s
}

func newCouple(t testing.TB, second ntp.Mode) *couple {
	return &couple{
		world: &world{t: t},
		a:     newSide(t, hostSpec{name: "peera", trusted: true}, ntp.ModeSymmetricActive, testClient, testServer, nil),
		b:     newSide(t, hostSpec{name: "peerb", key: 1, trusted: true}, second, testServer, testClient, nil),
	}
}

// send makes the next packet of s.
func (c *couple) send(s *side) []byte {
	c.t.Helper()
	if err := s.peer.Prepare(c.moment(s.synced), 16*time.Second); err != nil {
		c.t.Fatal(err)
	}
	leap := ntp.LeapNone
	if !s.synced {
		leap = ntp.LeapUnknown
	}
	p := c.header(s.mode, leap, s.origin)
	s.last = p[:s.peer.Seal(p)]
	return s.last
}

// receive hands a packet to s.
func (c *couple) receive(s *side, p []byte) Outcome {
	out := s.peer.Receive(c.moment(s.synced), p)
	if out.Err == nil {
		var h ntp.Header
		h.Decode(p)
		s.origin = h.Transmit
	} else {
		s.errs[out.Err.Error()]++
	}
	if out.Usable {
		s.usable++
	}
	return out
}

// poll sends a packet from s to its other side, which answers after 2 s if it
// was asked something, and so on.
func (c *couple) poll(s, other *side) {
	c.t.Helper()
	c.now += 6 * time.Second
	for range 20 {
		out := c.receive(other, c.send(s))
		if !out.Answer {
			return
		}
		c.now += 2 * time.Second
		s, other = other, s
	}
	c.t.Fatal("they do not stop answering each other")
}

func (c *couple) run(polls int) {
	c.t.Helper()
	for range polls {
		c.poll(c.a, c.b)
		if c.b.mode == ntp.ModeSymmetricActive || c.b.peer.status != 0 {
			c.poll(c.b, c.a)
		}
	}
}

func TestPeers(t *testing.T) {
	for _, c := range []struct {
		name string
		mode ntp.Mode
	}{{"active and active", ntp.ModeSymmetricActive}, {"active and passive", ntp.ModeSymmetricPassive}} {
		t.Run(c.name, func(t *testing.T) {
			p := newCouple(t, c.mode)
			p.run(20)
			for _, s := range []*side{p.a, p.b} {
				if st := s.peer.State(); st.Status.Flags()&complete != complete {
					t.Errorf("%s: flags %v: %v %v", s.cred.Name(), st.Status, st.Err, s.errs)
				}
			}
			if p.a.peer.cookie != p.b.peer.cookie || p.a.peer.cookie == 0 {
				t.Error("cookies differ")
			}
			usable := [2]int{p.a.usable, p.b.usable}
			p.run(300) // several key lists
			for i, s := range []*side{p.a, p.b} {
				if got := s.usable - usable[i]; got < 295 {
					t.Errorf("%s: only %d of 300 packets were usable: %v", s.cred.Name(), got, s.errs)
				}
			}
			if got := p.a.cred.Certificates()[0].String(); got != "peera peerb 0x4" {
				t.Errorf("newest certificate %q", got)
			}
		})
	}
}

func TestPeersWaitForTheClock(t *testing.T) {
	p := newCouple(t, ntp.ModeSymmetricActive)
	p.b.synced, p.b.cred.updated = false, 0
	p.run(10)
	if p.a.peer.has(FlagCOOK) || p.b.peer.has(FlagCOOK) {
		t.Error("cookies before both are synchronised")
	}
	p.b.synced = true
	p.b.cred.SignatureUpdate(p.moment(true).Time)
	p.run(20)
	for _, s := range []*side{p.a, p.b} {
		if !s.peer.has(complete &^ FlagLEAP) {
			t.Errorf("%s: flags %v: %v %v", s.cred.Name(), s.peer.status, s.peer.err, s.errs)
		}
	}
}

func TestPeerLosesPackets(t *testing.T) {
	p := newCouple(t, ntp.ModeSymmetricActive)
	p.run(20)
	for range 10 {
		p.now += 16 * time.Second
		p.send(p.b)
	}
	if out := p.receive(p.a, p.send(p.b)); !out.Usable {
		t.Errorf("after ten lost packets: %+v", out)
	}
}

func TestPeerRestart(t *testing.T) {
	p := newCouple(t, ntp.ModeSymmetricActive)
	p.run(20)
	b := newSide(t, hostSpec{name: "peerb", key: 1, trusted: true}, ntp.ModeSymmetricActive, testServer, testClient, nil)
	p.b = b
	p.run(60)
	for _, s := range []*side{p.a, p.b} {
		if !s.peer.has(complete) {
			t.Errorf("%s: flags %v: %v %v", s.cred.Name(), s.peer.status, s.peer.err, s.errs)
		}
	}
	before := p.a.usable
	p.run(5)
	if p.a.usable == before {
		t.Errorf("no time after the other side restarted: %v", p.a.errs)
	}
}

// TestPeerReplay repeats packets of a sound association.
func TestPeerReplay(t *testing.T) {
	p := newCouple(t, ntp.ModeSymmetricActive)
	p.run(20)
	var old [][]byte
	for range 5 {
		p.now += 16 * time.Second
		q := p.send(p.b)
		old = append(old, q)
		if out := p.receive(p.a, q); !out.Usable {
			t.Fatalf("%+v", out)
		}
	}
	for i, q := range old {
		if out := p.receive(p.a, q); out.Usable {
			t.Errorf("packet %d was used twice", i)
		}
	}
	if out := p.receive(p.a, p.send(p.b)); !out.Usable {
		t.Errorf("the next packet: %+v", out)
	}
}

// TestForgedAssociationToPeer sends ASSOC requests of another association ID
// to a sound association.
func TestForgedAssociationToPeer(t *testing.T) {
	p := newCouple(t, ntp.ModeSymmetricActive)
	p.run(20)
	forger := newSide(t, hostSpec{name: "peerb", key: 2, trusted: true}, ntp.ModeSymmetricActive, testServer, testClient, nil)
	for range 50 {
		if out := p.receive(p.a, p.send(forger)); out.Restarted || out.Usable {
			t.Fatalf("%+v", out)
		}
	}
	if out := p.receive(p.a, p.send(p.b)); !out.Usable {
		t.Errorf("%+v", out)
	}
}

// TestPeerRefusesNAK: CVE-2015-7871 and 2016-1547: a crypto-NAK makes no
// association, and one without the right origin ends none.
func TestPeerRefusesNAK(t *testing.T) {
	p := newCouple(t, ntp.ModeSymmetricActive)
	nak := func(origin ntp.Timestamp) []byte {
		q := p.header(ntp.ModeSymmetricActive, ntp.LeapNone, origin)
		return q[:52]
	}
	if out := p.receive(p.a, nak(0)); !errors.Is(out.Err, ErrOrigin) || p.a.peer.status != 0 {
		t.Errorf("%+v", out)
	}
	p.run(20)
	for _, origin := range []ntp.Timestamp{0, 1, testNow} {
		if out := p.receive(p.a, nak(origin)); !errors.Is(out.Err, ErrOrigin) || out.Restarted {
			t.Errorf("%+v", out)
		}
	}
	p.send(p.a)
	origin := p.a.peer.sent[0].transmit
	if out := p.receive(p.a, nak(origin)); !out.Restarted {
		t.Errorf("%+v", out)
	}
	p.run(3)
	p.send(p.a)
	if out := p.receive(p.a, nak(p.a.peer.sent[0].transmit)); out.Restarted {
		t.Errorf("second restart at once: %+v", out)
	}
}

func TestPeerSchemesMustMatch(t *testing.T) {
	p := newCouple(t, ntp.ModeSymmetricActive)
	p.b.server.flagged |= Status(FlagIFF)
	p.b.server.values.Store(unsignedValues(p.b.server.flagged))
	p.run(3)
	var e *MessageError
	if !errors.As(p.a.peer.err, &e) || e.Event != EventKEY {
		t.Errorf("error %v, want unsupported identity type", p.a.peer.err)
	}
}
