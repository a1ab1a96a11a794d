package autokey

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

func TestClientCompletes(t *testing.T) {
	p := newTestPair(t)
	p.until(complete)
	s := p.client.State()
	if s.Status != 0x29c7f03 || s.Host != "tick" || s.Identity != IdentityTC || s.Err != nil || s.Leap.TAIOffset != 37 {
		t.Errorf("state %+v", s)
	}
	var list []string
	for _, c := range p.cred.Certificates() {
		list = append(list, c.String())
	}
	if got := strings.Join(list, ", "); got != "tock tick 0x4, tick tick 0x5, tock tock 0x0" {
		t.Errorf("certificates %s", got)
	}
	if p.cred.Leap().TAIOffset != 37 || p.cred.Status() != 0x29c0003 {
		t.Errorf("leap %+v, status %v", p.cred.Leap(), p.cred.Status())
	}
	if out := p.exchange(); !out.Usable || out.HasMessage || out.Err != nil {
		t.Errorf("plain packet: %+v", out)
	}
}

// TestClientNoTimeBeforeProof: of all packets the first one to be used is the
// COOK response.
func TestClientNoTimeBeforeProof(t *testing.T) {
	p := newTestPair(t)
	for {
		out := p.exchange()
		if out.Err != nil {
			t.Fatal(out.Err)
		}
		if out.Usable {
			if out.Op != OpCook {
				t.Errorf("first usable packet: %v", out.Op)
			}
			return
		}
		if !out.Progress {
			t.Errorf("no progress after %v", out.Op)
		}
	}
}

func TestClientKeyLists(t *testing.T) {
	p := newPair(t, newHost(t, tock), newHost(t, tick), func(c *AssociationConfig) { c.Automax = 6 })
	p.until(complete)
	seen := map[uint32]bool{}
	for i := range 200 {
		if out := p.exchange(); !out.Usable {
			t.Fatalf("packet %d: %+v", i, out)
		}
		if seen[p.client.sent.id] {
			t.Fatalf("key identifier %08x used twice", p.client.sent.id)
		}
		seen[p.client.sent.id] = true
		if n := len(p.client.keys.ids); n > 5 {
			t.Fatalf("list of %d keys, but 2^6 s are 4 polls", n)
		}
	}
	p.poll = 32 * time.Second // other interval, other list
	p.exchange()
	if len(p.client.keys.ids) > 3 {
		t.Errorf("list of %d keys after the poll interval changed", len(p.client.keys.ids))
	}
}

func TestClientRefresh(t *testing.T) {
	p := newPair(t, newHost(t, tock), newHost(t, tick), func(c *AssociationConfig) { c.Refresh = 10 * time.Minute })
	p.until(complete)
	for {
		out := p.exchange()
		if p.now > 12*time.Minute {
			t.Fatal("no refresh")
		}
		if out.Restarted {
			break
		}
		if !out.Usable {
			t.Fatalf("%+v", out)
		}
	}
	if p.now < 10*time.Minute || p.client.status != 0 {
		t.Errorf("refreshed after %v, flags %v", p.now, p.client.status)
	}
	p.until(complete)
}

// TestClientServerRestarts: a server with a new seed does not know the cookie
// any more and sends a crypto-NAK, on which the client begins anew.
func TestClientServerRestarts(t *testing.T) {
	p := newTestPair(t)
	p.until(complete)
	p.server = newTestServer(t, Config{Host: newHost(t, tick), Seed: 78})
	if out := p.exchange(); !errors.Is(out.Err, ErrCryptoNAK) || !out.Restarted {
		t.Errorf("%+v", out)
	}
	p.until(complete)
	if out := p.exchange(); !out.Usable {
		t.Errorf("%+v", out)
	}
}

// TestClientErrorBit: an error response makes the client begin anew.
func TestClientErrorBit(t *testing.T) {
	p := newTestPair(t)
	p.until(FlagCERT)
	for range 10 { // the next request is COOK
		p.request()
		q := p.respond(Message{Code: Request(OpCook) | bitResponse | bitError, AssociationID: uint32(p.client.id), Short: true})
		out := p.client.Receive(p.moment(true), q)
		if !out.Restarted || out.Event() != EventERR || p.client.status != 0 {
			t.Fatalf("%+v", out)
		}
		p.until(FlagCERT)
	}
}

// respond makes a packet from the server to the client's last one, with a
// message of our choice and a good MAC.
func (p *pair) respond(messages ...Message) []byte {
	var fields []byte
	for _, m := range messages {
		fields = m.Append(fields)
	}
	return p.respondRaw(fields)
}

func (p *pair) respondRaw(fields []byte) []byte {
	q := p.header(ntp.ModeServer, ntp.LeapNone, p.client.sent.transmit)
	cookie := p.client.cookie
	return q[:p.client.seal(q, &outgoing{id: p.client.sent.id, fields: fields}, testServer, testClient, cookie)]
}

func TestClientUnsynchronisedServer(t *testing.T) {
	p := newTestPair(t)
	p.serverSynced = false
	for i := range 20 {
		out := p.exchange()
		if out.Err != nil || out.Usable || i > 0 && !out.Waiting {
			t.Fatalf("%+v", out)
		}
	}
	if p.client.status != 0x29c5001 {
		t.Errorf("flags %v, want 0x29c5001", p.client.status)
	}
	p.serverSynced = true
	p.until(complete)
}

// TestClientRenewedCertificate: at the refresh a certificate with a later
// filestamp takes the place of the old one, one with the same does not.
func TestClientRenewedCertificate(t *testing.T) {
	p := newPair(t, newHost(t, tock), newHost(t, tick), func(c *AssociationConfig) { c.Refresh = 5 * time.Minute })
	p.until(complete)
	renew := func(spec hostSpec) {
		p.server = newTestServer(t, Config{Host: newHost(t, spec), Seed: 77})
		for !p.exchange().Restarted {
		}
	}
	tickCert := func() uint32 {
		for _, c := range p.cred.Certificates() {
			if c.Certificate.Subject == "tick" {
				return c.Filestamp
			}
		}
		return 0
	}
	renew(hostSpec{name: "tick", trusted: true, key: 2, made: testMade + 1000})
	p.until(complete)
	if got := tickCert(); got != testMade+1000 {
		t.Errorf("certificate of %d after the renewal", got)
	}
	// An older one, with its old key: what is known stays, so that the old
	// key's signatures do not verify, until there have been several.
	renew(hostSpec{name: "tick", trusted: true, key: 0, made: testMade})
	for !p.client.has(FlagCERT) {
		p.exchange()
	}
	for i := range maxBadSignatures {
		out := p.exchange()
		if out.Event() != EventSIG {
			t.Fatalf("%+v", out)
		}
		if out.Restarted != (i == maxBadSignatures-1) {
			t.Errorf("bad signature %d: %+v", i, out)
		}
	}
	p.until(complete)
}

// TestClientTrail follows the certificates over two servers, and a loop.
func TestClientTrail(t *testing.T) {
	top := newPair(t, newHost(t, hostSpec{name: "mid", key: 2}), newHost(t, tick), nil)
	top.until(complete) // mid is a client of tick
	if got := top.cred.Generation(); got == 0 {
		t.Error("generation 0 after certificates came")
	}
	leaf := newPair(t, newHost(t, tock), newHost(t, hostSpec{name: "mid", key: 2}), nil)
	if err := leaf.server.SetCache(leaf.moment(true).Time, top.cred.Cache()); err != nil {
		t.Fatal(err)
	}
	leaf.until(complete)
	if s := leaf.client.State(); fmt.Sprint(s.Trail) != "[mid tick tick tick]" {
		t.Errorf("trail %v", s.Trail)
	}
	var list []string
	for _, c := range leaf.cred.Certificates() {
		list = append(list, c.String())
	}
	if got := strings.Join(list, ", "); got != "tock mid 0x4, tick tick 0x5, mid tick 0x6, tock tock 0x0" {
		t.Errorf("certificates %s", got)
	}
}

func TestServerSetCacheRefuses(t *testing.T) {
	s := newTestServer(t, Config{Host: newHost(t, tick)})
	foreign := newHost(t, hostSpec{name: "tick", key: 3, trusted: true})
	if err := s.SetCache(testNow, []CachedCertificate{{foreign.Certificate, testMade}}); !errors.Is(err, ErrConfig) {
		t.Errorf("certificate in our name for another key: %v", err)
	}
}

// TestClientSchemes: who is asked for an identity must show one.
func TestClientSchemes(t *testing.T) {
	iff := readSession(t, "all3").host(netip.MustParseAddr("10.98.0.1")).keys(t)
	group := &keyfile.Group{Name: "tick", Filestamp: iff.IFFFilestamp, IFF: iff.IFF.Parameters()}
	gq := &keyfile.Group{Name: "tick", Filestamp: iff.GQFilestamp, GQ: iff.GQ.Parameters()}
	stranger := *iff.IFF.Parameters()
	stranger.V = stranger.G
	wrong := &keyfile.Group{Name: "tick", Filestamp: iff.IFFFilestamp, IFF: &stranger}
	old := &keyfile.Group{Name: "tick", Filestamp: iff.IFFFilestamp - 1, IFF: iff.IFF.Parameters()}
	withIFF := func(spec hostSpec) *keyfile.Host {
		h := newHost(t, spec)
		h.IFF, h.IFFFilestamp = iff.IFF, iff.IFFFilestamp
		return h
	}
	for _, c := range []struct {
		name     string
		server   *keyfile.Host
		ident    string
		groups   []*keyfile.Group
		lenient  bool
		event    Event // in the way; EventOK: complete
		identity Identity
		warning  string
	}{
		{"group", withIFF(tick), "tick", []*keyfile.Group{group}, false, EventOK, IdentityGroup, ""},
		{"group of two schemes", withIFF(tick), "tick", []*keyfile.Group{gq, group}, false, EventOK, IdentityGroup, ""},
		{"stranger's group", withIFF(tick), "tick", []*keyfile.Group{wrong}, false, EventID, 0, ""},
		{"group file of another time", withIFF(tick), "tick", []*keyfile.Group{old}, false, EventFSP, 0, ""},
		{"no matching scheme", withIFF(tick), "tick", []*keyfile.Group{gq}, false, EventKEY, 0, ""},
		{"no matching scheme, lenient", withIFF(tick), "tick", []*keyfile.Group{gq}, true, EventKEY, 0, ""},
		{"no scheme", newHost(t, tick), "tick", []*keyfile.Group{group}, false, EventKEY, 0, ""},
		{"no scheme, lenient", newHost(t, tick), "tick", []*keyfile.Group{group}, true, EventOK, IdentityTC, "not checked"},
		{"scheme without ident", withIFF(tick), "", nil, false, EventOK, IdentityTC, "no ident"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t, newHost(t, tock), c.server, func(cfg *AssociationConfig) {
				cfg.Ident, cfg.Groups, cfg.AllowNoScheme = c.ident, c.groups, c.lenient
			})
			if c.event == EventOK {
				p.until(complete)
				s := p.client.State()
				if s.Identity != c.identity || !strings.Contains(s.Warning, c.warning) || c.warning == "" && s.Warning != "" {
					t.Errorf("identity %v, warning %q", s.Identity, s.Warning)
				}
				return
			}
			for range 10 {
				if out := p.exchange(); out.Usable {
					t.Fatalf("time from a server without identity: %+v", out)
				}
			}
			var e *MessageError
			if s := p.client.State(); !errors.As(s.Err, &e) || e.Event != c.event {
				t.Errorf("error %v, want %v", s.Err, c.event)
			}
			if n := len(p.cred.Certificates()); n != 1 {
				t.Errorf("%d certificates kept of a server without identity", n)
			}
		})
	}
}

// TestClientSignFails: a server that refuses to sign makes the client begin
// anew, once; then time goes on.
func TestClientSignFails(t *testing.T) {
	p := newTestPair(t)
	p.until(complete &^ (FlagSIGN | FlagLEAP))
	p.clientSynced = true
	p.cred.SignatureUpdate(p.moment(true).Time)
	p.request()
	if p.client.sent.op != OpSign {
		t.Fatalf("asks %v", p.client.sent.op)
	}
	q := p.respond(Message{Code: Request(OpSign) | bitResponse | bitError, AssociationID: uint32(p.client.id), Short: true})
	if out := p.client.Receive(p.moment(true), q); !out.Restarted {
		t.Errorf("%+v", out)
	}
	p.until(complete &^ (FlagSIGN | FlagLEAP))
	for range 5 {
		if out := p.exchange(); !out.Usable || out.HasMessage {
			t.Errorf("%+v", out)
		}
	}
	p.now += 2 * retryInterval
	p.until(complete)
}

func TestClientChangesAddress(t *testing.T) {
	p := newTestPair(t)
	p.until(complete)
	if err := p.client.SetAddresses(testClient, testServer); err != nil || p.client.status == 0 {
		t.Errorf("same addresses: %v", err)
	}
	if err := p.client.SetAddresses(netip.MustParseAddr("192.0.2.78"), testServer); err != nil || p.client.status != 0 {
		t.Errorf("new address: %v, flags %v", err, p.client.status)
	}
	if err := p.client.SetAddresses(netip.MustParseAddr("::1"), testServer); !errors.Is(err, ErrConfig) {
		t.Errorf("other family: %v", err)
	}
}

func TestAssociationConfig(t *testing.T) {
	cred := newTestCredentials(t, newHost(t, tock))
	good := AssociationConfig{Credentials: cred, Local: testClient, Remote: testServer}
	for _, c := range []struct {
		name   string
		change func(*AssociationConfig)
	}{
		{"no credentials", func(c *AssociationConfig) { c.Credentials = nil }},
		{"no address", func(c *AssociationConfig) { c.Remote = netip.Addr{} }},
		{"two families", func(c *AssociationConfig) { c.Local = netip.IPv6Loopback() }},
		{"digest", func(c *AssociationConfig) { c.Digest = 200 }},
		{"automax", func(c *AssociationConfig) { c.Automax = 32 }},
		{"refresh", func(c *AssociationConfig) { c.Refresh = -1 }},
		{"ident without group file", func(c *AssociationConfig) { c.Ident = "grp" }},
		{"group file without ident", func(c *AssociationConfig) { c.Groups = []*keyfile.Group{{}} }},
		{"empty group file", func(c *AssociationConfig) { c.Ident, c.Groups = "grp", []*keyfile.Group{nil} }},
	} {
		cfg := good
		c.change(&cfg)
		if _, err := NewClient(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := NewPeer(good, nil); !errors.Is(err, ErrConfig) {
		t.Errorf("peer without server: %v", err)
	}
}

func TestClientSecretsAreHidden(t *testing.T) {
	p := newTestPair(t)
	p.until(complete)
	secret := fmt.Sprint(p.client.cookie)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
		for _, v := range []any{p.client, p.cred, &p.client.association} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, secret) || len(text) > 200 {
				t.Errorf("%s of %T: %.200s", verb, v, text)
			}
		}
	}
}

// TestClientNeedsRandomness: without randomness nothing is sent.
func TestClientNeedsRandomness(t *testing.T) {
	p := newTestPair(t)
	p.client.rand = bytes.NewReader(nil)
	if err := p.client.Prepare(p.moment(true), p.poll); err == nil {
		t.Error("a packet without randomness")
	}
	if n := p.client.Seal(make([]byte, MaxResponseLen)); n != 0 {
		t.Errorf("%d octets", n)
	}
}
