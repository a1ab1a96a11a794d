package interop

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
	"ntsbridge/symkey"
)

// role is what TestAssociationProcess does on a host: the associations of
// package source that need UDP port 123, with a simple server beside them.
type role struct {
	Kind        string // client, active, passive, broadcast-server, broadcast-client
	Peer        netip.Addr
	Local       netip.Addr
	Destination netip.Addr // of broadcasts
	Keys        string     // key file of ntpd
	KeyID       uint32
	KeysDir     string // Autokey instead of a key
	Host        string
	Password    string
	Poll        int8
	Automax     uint8         // of a client with Autokey
	Refresh     time.Duration // same
}

// associate runs a role on a host, by a copy of this test binary.
func associate(h *Host, r role) *Daemon {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.Start("association", Program{Path: self}, "-test.run=^TestAssociationProcess$", "-test.v", string(text))
}

// TestAssociationProcess is not a test: it is the process of a role.
func TestAssociationProcess(t *testing.T) {
	var r role
	if json.Unmarshal([]byte(flag.Arg(0)), &r) != nil {
		return // run among the tests
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := r.run(ctx); err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
}

// parts are what a role is made of.
type parts struct {
	role
	clock  *source.SystemClock
	port   *port
	keys   *symkey.Table
	key    *symkey.Key
	cred   *autokey.Credentials
	server *autokey.Server

	mu   sync.Mutex // of the responder
	sess autokey.Session
}

func (r role) run(ctx context.Context) error {
	p := &parts{role: r, clock: source.NewSystemClock(&ntp.ClockState{
		Stratum: 5, Precision: -20, ReferenceID: 0x7f7f0101, Reference: ntp.TimestampFromTime(time.Now()),
	})}
	if err := p.load(); err != nil {
		return err
	}
	var err error
	if p.port, err = listen([]netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:123"), netip.MustParseAddrPort("[::]:123")},
		p.respond); err != nil {
		return err
	}
	defer p.port.Close()
	hub := source.HubConfig{Port: p.port}
	switch r.Kind {
	case "passive":
		hub.Passive = p.passive
	case "broadcast-client":
		hub.Broadcast = p.broadcastClient
		if r.Destination.IsMulticast() {
			if err := p.port.Join(r.Destination); err != nil {
				return err
			}
		}
	}
	h, err := source.NewHub(ctx, hub)
	if err != nil {
		return err
	}
	switch r.Kind {
	case "active":
		peer, err := p.peer(r.Peer, ntp.ModeSymmetricActive, nil)
		if err != nil {
			return err
		}
		if err := h.Add(r.Peer, peer); err != nil {
			return err
		}
		return peer.Run(ctx)
	case "broadcast-server":
		return p.broadcast(ctx)
	case "client":
		return p.client(ctx)
	}
	<-ctx.Done()
	h.Wait()
	return nil
}

// load reads keys, or the files of Autokey.
func (p *parts) load() error {
	if p.KeysDir == "" {
		data, err := os.ReadFile(p.Keys)
		if err != nil {
			return err
		}
		file, err := symkey.ParseNTPKeys(p.Keys, data)
		if err != nil {
			return err
		}
		if p.keys, err = symkey.NewTable(file.Keys, symkey.TrustAll); err != nil {
			return err
		}
		p.key = p.keys.Lookup(p.KeyID)
		return nil
	}
	host, err := keyfile.LoadHost(os.DirFS(p.KeysDir), keyfile.HostOptions{Host: p.Host, Password: p.Password})
	if err != nil {
		return err
	}
	if p.cred, err = autokey.NewCredentials(host, rand.Reader); err != nil {
		return err
	}
	p.cred.SignatureUpdate(p.clock.Now())
	p.server, err = autokey.NewServer(autokey.Config{Host: host, Seed: 4711, Budget: autokey.Unbounded{}}, rand.Reader)
	return err
}

// sample prints what a test waits for.
func (p *parts) sample(state func() string) func(source.Sample) {
	return func(s source.Sample) {
		fmt.Printf("sample %v broadcast=%v offset=%v delay=%v %s\n", s.Kind, s.Broadcast, s.Offset, s.Delay, state())
	}
}

func failure(err error) { fmt.Println("failure:", err) }

func (p *parts) polling() source.Polling {
	return source.Polling{MinPoll: p.Poll, MaxPoll: p.Poll, IBurst: true}
}

// peer makes a symmetric association.
func (p *parts) peer(addr netip.Addr, mode ntp.Mode, auth source.Authenticator) (*source.Peer, error) {
	state := func() string { return "" }
	var err error
	switch {
	case auth != nil:
	case p.key != nil:
		auth, err = source.NewSymmetric(p.key)
	default:
		var a *autokey.Peer
		a, err = autokey.NewPeer(autokey.AssociationConfig{Credentials: p.cred, Local: p.Local, Remote: addr}, p.server)
		auth, state = &source.AutokeyPeer{Peer: a}, func() string { return "flags=" + a.State().Status.String() }
	}
	if err != nil {
		return nil, err
	}
	return source.NewPeer(source.PeerConfig{
		Peer: netip.AddrPortFrom(addr, 123), Local: p.Local, Mode: mode, Auth: auth, Polling: p.polling(),
		Clock: p.clock, Port: p.port, OnSample: p.sample(state), OnError: failure,
	})
}

func (p *parts) passive(_ *source.Hub, packet source.Packet) (*source.Peer, error) {
	var auth source.Authenticator
	if p.keys != nil {
		a, err := source.SymmetricAuth(packet, p.keys)
		if err != nil {
			return nil, err
		}
		auth = a
	} else if !autokeyAssociation(packet) {
		return nil, errors.New("not an ASSOC message")
	}
	return p.peer(packet.From.Addr(), ntp.ModeSymmetricPassive, auth)
}

func (p *parts) broadcastClient(packet source.Packet) (*source.BroadcastClient, error) {
	cfg := source.BroadcastClientConfig{
		Server: packet.From, Clock: p.clock, OnError: failure, OnSample: p.sample(func() string { return "" }),
	}
	if p.keys != nil {
		a, err := source.SymmetricAuth(packet, p.keys)
		if err != nil {
			return nil, err
		}
		cfg.Auth = source.SymmetricBroadcast{Symmetric: a}
		return source.NewBroadcastClient(cfg)
	}
	a, err := autokey.NewBroadcastClient(autokey.AssociationConfig{Credentials: p.cred, Local: p.Local, Remote: packet.From.Addr()})
	if err != nil {
		return nil, err
	}
	cfg.Auth = source.NewAutokeyBroadcastClient(a)
	cfg.OnSample = p.sample(func() string { return "flags=" + a.State().Status.String() })
	return source.NewBroadcastClient(cfg)
}

// client polls a server with Autokey.
func (p *parts) client(ctx context.Context) error {
	a, err := autokey.NewClient(autokey.AssociationConfig{
		Credentials: p.cred, Local: p.Local, Remote: p.Peer, Automax: p.Automax, Refresh: p.Refresh,
	})
	if err != nil {
		return err
	}
	c, err := source.NewClient(source.ClientConfig{
		Server: netip.AddrPortFrom(p.Peer, 123), Auth: &source.Autokey{Client: a}, Polling: p.polling(), Clock: p.clock, OnError: failure,
		OnSample: p.sample(func() string {
			s := a.State()
			return fmt.Sprintf("flags=%v restarts=%d keys=%d", s.Status, s.Restarts, s.KeysLeft)
		}),
	})
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

// broadcast sends broadcasts.
func (p *parts) broadcast(ctx context.Context) error {
	var auth source.Authenticator
	var err error
	if p.key != nil {
		auth, err = source.NewSymmetric(p.key)
	} else {
		var b *autokey.BroadcastServer
		b, err = autokey.NewBroadcastServer(autokey.BroadcastConfig{
			Credentials: p.cred, Server: p.server, Local: p.Local, Destination: p.Destination,
		})
		auth = &source.AutokeyBroadcast{Server: b}
	}
	if err != nil {
		return err
	}
	b, err := source.NewBroadcastServer(source.BroadcastServerConfig{
		Destination: netip.AddrPortFrom(p.Destination, 123), Local: p.Local, Auth: auth, Poll: p.Poll,
		Clock: p.clock, Port: p.port, OnError: failure,
	})
	if err != nil {
		return err
	}
	return b.Run(ctx)
}

// respond is the server beside the associations: it answers clients.
func (p *parts) respond(packet source.Packet) bool {
	if len(packet.Data) < ntp.HeaderLen || ntp.ModeOf(packet.Data) != ntp.ModeClient {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	req := &ntp.Request{Packet: packet.Data, From: packet.From, To: packet.To, Received: packet.Received}
	req.Header.Decode(packet.Data)
	resp := make([]byte, autokey.MaxResponseLen)
	seal, ok := p.open(req)
	if !ok {
		return false
	}
	h := ntp.Header{Version: req.Header.Version, Mode: ntp.ModeServer, Poll: req.Header.Poll, Origin: req.Header.Transmit,
		Receive: packet.Received}
	p.clock.State().Fill(&h, p.clock.Now())
	h.Transmit = p.clock.Now()
	h.Encode(resp)
	if err := p.port.Send(resp[:seal(resp)], packet.To, packet.From); err != nil {
		failure(err)
	}
	return true
}

// open verifies a request; seal completes the answer.
func (p *parts) open(req *ntp.Request) (seal func([]byte) int, ok bool) {
	scratch := symkey.NewScratch()
	if p.keys != nil {
		req.Layout = ntp.Classify(req.Packet, p.keys)
		v, key := p.keys.Open(req, scratch)
		return func(resp []byte) int { return key.Seal(resp, ntp.HeaderLen, len(req.Packet)-req.Layout.MAC-4, scratch) },
			v.Action == ntp.Answer
	}
	req.Layout = ntp.Classify(req.Packet, (*symkey.Table)(nil))
	v := p.server.Open(req.Received, true, req, &p.sess, true)
	return func(resp []byte) int { return p.server.Seal(req, resp, &p.sess) }, v.Action == ntp.Answer
}

// samples is the condition that a role printed so many samples that have all
// these words.
func samples(name string, d *Daemon, count int, words ...string) Condition {
	return Condition{name, func() error {
		if err := d.Alive(); err != nil {
			return err
		}
		n := 0
		for line := range strings.Lines(d.Log()) {
			good := strings.HasPrefix(line, "sample ")
			for _, w := range words {
				good = good && strings.Contains(line, w)
			}
			if good {
				n++
			}
		}
		if n < count {
			return fmt.Errorf("%d samples with %q, want %d; last lines: %s", n, words, count, d.Tail(3))
		}
		return nil
	}}
}

// peered starts a real ntpd that has a line for another host.
func peered(h *Host, line string) *Daemon {
	h.t.Helper()
	h.Write("drift", "0.000\n")
	h.Write("keys", ntpKeys)
	h.Write("ntp.conf", fmt.Sprintf(`server 127.127.1.0 prefer minpoll 3 maxpoll 3 iburst
fudge 127.127.1.0 stratum 3
keys /mnt/keys
trustedkey 1 2 3
%s
%s`, line, ntpdConf))
	return h.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")
}

// reaches is the condition that a real ntpd reaches its second association,
// the first being its own clock.
func reaches(name string, h *Host) Condition {
	return Condition{name, func() error {
		out, err := ntpq(h, "127.0.0.1", "as")
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			if len(f) > 5 && f[0] != "ind" && f[4] == "yes" && f[5] == "ok" {
				return nil
			}
		}
		return fmt.Errorf("ntpq shows no association that is reached and authentic:\n%s", out)
	}}
}

// TestSymmetricPeers runs symmetric associations with a key between ntsbridge
// and real ntpds, active and passive on both sides, over IPv4 and IPv6, and
// with Autokey between two of ours, which ntpd 4.2.8p15 cannot.
func TestSymmetricPeers(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	host := map[string]*Host{}
	for _, name := range []string{"ntpd-a", "ours-a", "ntpd-p", "ours-p", "ntpd-6", "ours-6", "ntpd-s", "ours-s", "left", "right",
		"called", "caller"} {
		host[name] = n.Host(name)
	}
	n.Names()
	key := func(h *Host, kind string, peer netip.Addr, id uint32) role {
		h.Write("keys", ntpKeys)
		return role{Kind: kind, Peer: peer, Keys: filepath.Join(h.Dir, "keys"), KeyID: id, Poll: 3}
	}
	auto := func(h *Host, kind string, peer *Host) role {
		keygen(h, "-p", serverPassword, "-T")
		return role{Kind: kind, Peer: peer.IPv4, Local: h.IPv4, KeysDir: filepath.Join(h.Dir, "autokey"), Host: h.Name,
			Password: serverPassword, Poll: 3}
	}
	peered(host["ntpd-a"], "peer ours-a key 1 minpoll 3 maxpoll 3")
	peered(host["ntpd-p"], "")
	peered(host["ntpd-6"], "peer "+host["ours-6"].IPv6.String()+" key 3 minpoll 3 maxpoll 3")
	peered(host["ntpd-s"], "peer ours-s key 2 minpoll 3 maxpoll 3")
	a := associate(host["ours-a"], key(host["ours-a"], "active", host["ntpd-a"].IPv4, 1))
	p := associate(host["ours-p"], key(host["ours-p"], "active", host["ntpd-p"].IPv4, 2))
	six := associate(host["ours-6"], key(host["ours-6"], "active", host["ntpd-6"].IPv6, 3))
	s := associate(host["ours-s"], key(host["ours-s"], "passive", netip.Addr{}, 2))
	left := associate(host["left"], auto(host["left"], "active", host["right"]))
	right := associate(host["right"], auto(host["right"], "active", host["left"]))
	called := associate(host["called"], auto(host["called"], "passive", host["caller"]))
	caller := associate(host["caller"], auto(host["caller"], "active", host["called"]))
	// With the leap bit when the other side has such values.
	const done = "7f03"
	Await(t, clientLimit,
		samples("active with an active ntpd", a, 3, "symmetric"), reaches("that ntpd", host["ntpd-a"]),
		samples("active with a passive ntpd", p, 3, "symmetric"), reaches("that passive ntpd", host["ntpd-p"]),
		samples("active with an active ntpd over IPv6", six, 3, "symmetric"), reaches("that ntpd over IPv6", host["ntpd-6"]),
		samples("passive with an active ntpd", s, 3, "symmetric"), reaches("that active ntpd", host["ntpd-s"]),
		samples("Autokey, active", left, 3, "autokey", done), samples("Autokey, active, other side", right, 3, "autokey", done),
		samples("Autokey, passive", called, 3, "autokey", done), samples("Autokey, active to passive", caller, 3, "autokey", done),
	)
}

// autokeyAssociation reports whether a packet is one of Autokey with an ASSOC
// message, the only kind that begins an association. The message is not
// signed: this only keeps out what could never be one.
func autokeyAssociation(p source.Packet) bool {
	l := ntp.Classify(p.Data, (*symkey.Table)(nil))
	if l.Kind != ntp.KindAutokey || l.Defect != ntp.ReasonOK || l.Fields == 0 {
		return false
	}
	f, ok := ntp.FieldAt(p.Data, ntp.HeaderLen)
	if !ok {
		return false
	}
	code := autokey.Code(f.Type)
	return code.Op() == autokey.OpAssoc && code.Version() == autokey.Version && !code.Error()
}
