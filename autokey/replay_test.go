package autokey

import (
	"bytes"
	"crypto/rand"
	"net/netip"
	"testing"

	"ntsbridge/autokey/identity"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// TestReplay feeds the requests of recorded sessions to a server with the
// recorded keys and compares its answers with those of ntpd 4.2.8p15: octet
// by octet, or by meaning where they are random.
func TestReplay(t *testing.T) {
	for name, s := range sessions(t) {
		if name == "ntpd426-server" || name == "ntpd424-server" {
			// ntpd 4.2.6 and 4.2.4 are other servers: their seed is random,
			// and nothing tells it; their status word lacks the bit 0x2
			// (0x80001, ours 0x80003).
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &replay{t: t, session: s, servers: make(map[netip.Addr]*replayServer)}
			for i := range s.packets {
				r.step(i)
			}
			if r.compared == 0 {
				t.Error("nothing compared")
			}
		})
	}
}

type replay struct {
	t        *testing.T
	session  *session
	servers  map[netip.Addr]*replayServer
	compared int
	sess     Session
}

// replayServer stands for one recorded ntpd.
type replayServer struct {
	addr   netip.Addr
	keys   *keyfile.Host
	config Config
	server *Server
	auto   map[uint32]Message // autokey values broadcast
}

// server returns the server with an address, nil if the session has no keys
// of it.
func (r *replay) server(a netip.Addr) *replayServer {
	if v, ok := r.servers[a]; ok {
		return v
	}
	h := r.session.host(a)
	if h == nil {
		return nil
	}
	v := &replayServer{addr: a, keys: h.keys(r.t)}
	v.config = Config{
		Host: v.keys, Digest: h.digest(), Leap: r.recordedLeap(a),
		Budget: Unbounded{},
	}
	v.restart(r.t)
	r.servers[a] = v
	return v
}

func (v *replayServer) restart(t testing.TB) {
	t.Helper()
	s, err := NewServer(v.config, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	v.server = s
	for id, m := range v.auto {
		s.setAutokey(id, m)
	}
}

// recordedLeap finds the leap second values that a server sent.
func (r *replay) recordedLeap(a netip.Addr) LeapValues {
	for _, p := range r.session.packets {
		if m, ok := p.message(); ok && p.from == a && m.Code == Request(OpLeap)|bitResponse {
			v, _ := parseLeapValues(m.Value)
			return v
		}
	}
	return LeapValues{}
}

// reply finds the server's answer to packet i.
func (r *replay) reply(i int) (packet, bool) {
	req := r.session.packets[i]
	for _, p := range r.session.packets[i+1:] {
		if p.from == req.from && bytes.Equal(p.data, req.data) {
			break
		}
		if p.from == req.to && p.to == req.from && len(p.data) >= ntp.HeaderLen &&
			ntp.ModeOf(p.data) == ntp.ModeServer && bytes.Equal(p.data[24:32], req.data[40:48]) {
			return p, true
		}
	}
	return packet{}, false
}

// step replays packet i.
func (r *replay) step(i int) {
	p := r.session.packets[i]
	r.learn(p)
	req := p.request()
	server := r.server(p.to)
	if server == nil || req.Layout.Kind != ntp.KindAutokey || req.Header.Mode == ntp.ModeServer {
		return
	}
	reply, answered := r.reply(i)
	now, synced := ntp.TimestampFromTime(p.at), true
	if answered {
		now, synced = r.clock(server, reply)
	}
	if v := server.server.Open(now, synced, req, &r.sess, false); v.Action == ntp.Defer && req.Layout.Fields == 0 {
		r.t.Errorf("packet %d: plain request deferred", i)
	} else if r.sess.Cost != 0 {
		r.t.Errorf("packet %d: %v cost %d on the fast path", i, r.sess.Op, r.sess.Cost)
	}
	v := server.server.Open(now, synced, req, &r.sess, true)
	r.compared++
	switch nak := len(reply.data) == 52; {
	case !answered:
		// A daemon that was down did not answer either.
		if v.Action != ntp.Drop && r.session.name != "server-restart" {
			r.t.Errorf("packet %d (%v): %+v, ntpd did not answer", i, r.sess.Op, v)
		}
	case nak:
		if v.Action != ntp.CryptoNAK {
			r.t.Errorf("packet %d (%v): %+v, ntpd sent a crypto-NAK", i, r.sess.Op, v)
		}
	case v.Action != ntp.Answer:
		r.t.Errorf("packet %d (%v): %+v, ntpd answered", i, r.sess.Op, v)
	default:
		r.compare(i, server, req, reply)
	}
}

// learn gives a host the certificates that it receives, as ntpd caches them.
func (r *replay) learn(p packet) {
	m, ok := p.message()
	if ok && m.Code == Request(OpAuto)|bitResponse && ntp.ModeOf(p.data) == ntp.ModeBroadcast {
		v := r.server(p.from)
		v.auto = map[uint32]Message{m.AssociationID: m}
		v.restart(r.t)
	}
	if !ok || m.Short || m.Code != Request(OpCert)|bitResponse && m.Code != Request(OpSign)|bitResponse {
		return
	}
	v := r.server(p.to)
	if v == nil {
		return
	}
	c, err := keyfile.ParseCertificate(m.Value)
	if err != nil {
		r.t.Fatal(err)
	}
	v.config.Cache = append(v.config.Cache, CachedCertificate{c, m.Filestamp})
	v.restart(r.t)
}

// clock tells the time at which ntpd answered and whether it was
// synchronised, and makes the signature update that its answer shows.
func (r *replay) clock(v *replayServer, reply packet) (now ntp.Timestamp, synced bool) {
	var h ntp.Header
	h.Decode(reply.data)
	m, ok := reply.message()
	if !ok || m.Code.Error() || m.Short {
		return h.Receive, h.Leap != ntp.LeapUnknown
	}
	now, updated := h.Receive, m.Timestamp
	switch m.Code.Op() {
	case OpCook:
		updated, now = m.Filestamp, ntp.Timestamp(m.Timestamp)<<32
	case OpSign, OpIFF, OpGQ, OpMV:
		updated, now = v.server.Updated(), ntp.Timestamp(m.Timestamp)<<32
	}
	if updated != v.server.Updated() {
		v.restart(r.t)
		if updated != 0 {
			if err := v.server.SignatureUpdate(ntp.Timestamp(updated) << 32); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	return now, h.Leap != ntp.LeapUnknown
}

// compare seals the answer under ntpd's header and compares it with ntpd's.
func (r *replay) compare(i int, v *replayServer, req *ntp.Request, reply packet) {
	var resp [MaxResponseLen]byte
	copy(resp[:], reply.data[:ntp.HeaderLen])
	got := packet{at: reply.at, from: reply.from, to: reply.to, data: resp[:v.server.Seal(req, resp[:], &r.sess)]}
	if r.sess.OctetsOut != len(got.data) || r.sess.OctetsIn != len(req.Packet) {
		r.t.Errorf("packet %d: octets in %d, out %d", i, r.sess.OctetsIn, r.sess.OctetsOut)
	}
	op := r.sess.Op
	if op == OpCook || op == OpIFF || op == OpGQ || op == OpMV {
		gm, _ := got.message()
		wm, ok := reply.message()
		if ok && !wm.Code.Error() {
			r.compareRandom(i, v, req, gm, wm)
			return
		}
	}
	if r.session.name == "probe-server-input-checks" && r.sess.Op == OpSign && r.sess.Event == EventCRT && len(reply.data) == 720 {
		return // a certificate without common name, which we refuse
	}
	if !bytes.Equal(got.data, reply.data) {
		r.t.Errorf("packet %d (%v, %v):\n got %x\nwant %x", i, op, r.sess.Event, got.data, reply.data)
	}
}

// compareRandom compares answers by meaning.
func (r *replay) compareRandom(i int, v *replayServer, req *ntp.Request, got, want Message) {
	t := r.t
	if got.Code != want.Code || got.AssociationID != want.AssociationID ||
		got.Timestamp != want.Timestamp || got.Filestamp != want.Filestamp || len(got.Signature) != len(want.Signature) {
		t.Errorf("packet %d (%v): %+v, want %+v", i, r.sess.Op, got, want)
	}
	if want.Timestamp != 0 {
		if err := keyfile.Verify(v.keys.Certificate.PublicKey, v.keys.NID(), got.appendSigned(nil), got.Signature); err != nil {
			t.Errorf("packet %d (%v): signature: %v", i, r.sess.Op, err)
		}
	}
	question, err := packet{data: req.Packet}.message2()
	if err != nil {
		t.Fatal(err)
	}
	if r.sess.Op == OpCook {
		r.compareCookies(i, req, question, got, want)
		return
	}
	r.verifyIdentity(i, v, req, question, got)
}

// message2 reads the first message of a request as ntpd does, in which value
// length decides and the rest may be cut.
func (p packet) message2() (Message, error) {
	f, _ := ntp.FieldAt(p.data, ntp.HeaderLen)
	value, ok := payload(p.data[f.Offset : f.Offset+f.Length])
	if !ok {
		return Message{}, ErrMessage
	}
	return Message{Value: value}, nil
}

// compareCookies decrypts both cookies, if the session has the client's key.
func (r *replay) compareCookies(i int, req *ntp.Request, question, got, want Message) {
	t := r.t
	if len(got.Value) != len(want.Value) {
		t.Errorf("packet %d: cookie of %d octets, want %d", i, len(got.Value), len(want.Value))
	}
	client := r.session.host(req.From.Addr())
	if client == nil {
		return
	}
	key := client.keys(t).HostKey
	if !bytes.Equal(keyfile.MarshalPublicKey(&key.RSAPublicKey), question.Value) {
		t.Fatalf("packet %d: not the client's host key", i)
	}
	g, err := keyfile.DecryptCookie(rand.Reader, key, got.Value)
	if err != nil {
		t.Fatalf("packet %d: %v", i, err)
	}
	w, err := keyfile.DecryptCookie(rand.Reader, key, want.Value)
	if err != nil {
		t.Fatalf("packet %d: ntpd's cookie: %v", i, err)
	}
	if g != w {
		t.Errorf("packet %d: cookie %08x, want %08x", i, g, w)
	}
}

// verifyIdentity checks our response as a client with the right group
// parameters does.
func (r *replay) verifyIdentity(i int, v *replayServer, req *ntp.Request, question, got Message) {
	var verifier identity.Verifier
	switch r.sess.Op {
	case OpIFF:
		verifier = v.keys.IFF.Parameters()
	case OpGQ:
		verifier = v.keys.GQ.Parameters().WithPublic(v.keys.Certificate.GQPublic)
	case OpMV:
		c := r.session.host(req.From.Addr())
		g, err := keyfile.LoadGroup(c.files, keyfile.MV, "tick")
		if err != nil {
			r.t.Fatal(err)
		}
		verifier = g.MV
	}
	err := verifier.Verify(question.Value, got.Value)
	if wrong := r.session.name == "mv-revoked"; wrong != (err != nil) {
		r.t.Errorf("packet %d (%v): %v", i, r.sess.Op, err)
	}
}
