package autokey

import (
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"net/netip"
	"sync"
	"testing"
	"time"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// testKeys are host keys made once for all tests of the package.
var testKeys = sync.OnceValue(func() [4]*keyfile.RSAPrivateKey {
	var keys [4]*keyfile.RSAPrivateKey
	for i := range keys {
		k, err := rsa.GenerateKey(rand.Reader, 1024)
		if err != nil {
			panic(err)
		}
		if keys[i], err = keyfile.NewRSAPrivateKey(k.N, big.NewInt(int64(k.E)), k.D, k.Primes[0], k.Primes[1]); err != nil {
			panic(err)
		}
	}
	return keys
})

// hostSpec is a host of a test.
type hostSpec struct {
	name    string
	key     int
	trusted bool
	made    uint32 // filestamp and beginning of the certificate, NTP seconds
}

const testMade = 4004280000

// newHost makes a key set in memory.
func newHost(t testing.TB, spec hostSpec) *keyfile.Host {
	t.Helper()
	if spec.made == 0 {
		spec.made = testMade
	}
	key := testKeys()[spec.key]
	notBefore := (ntp.Timestamp(spec.made) << 32).Time(time.Unix(1_795_000_000, 0)).UTC()
	der, err := keyfile.CreateCertificate(rand.Reader, keyfile.CertificateTemplate{
		Subject: spec.name, Serial: spec.made, NotBefore: notBefore, NotAfter: notBefore.Add(365 * 24 * time.Hour), Trusted: spec.trusted,
	}, key, keyfile.RSASHA256)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := keyfile.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &keyfile.Host{
		Name: spec.name, HostKey: key, HostFilestamp: spec.made, Certificate: cert, CertificateFilestamp: spec.made,
	}
}

func newTestCredentials(t testing.TB, h *keyfile.Host) *Credentials {
	t.Helper()
	c, err := NewCredentials(h, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// world is a virtual clock.
type world struct {
	t   testing.TB
	now time.Duration
}

// moment is the world's time for a host.
func (w *world) moment(synchronised bool) Moment {
	return Moment{Time: testNow.Add(w.now), Uptime: w.now, Synchronised: synchronised}
}

// header writes a header with the world's time as transmit timestamp.
func (w *world) header(mode ntp.Mode, leap ntp.Leap, origin ntp.Timestamp) []byte {
	w.now += time.Microsecond // no two alike
	p := make([]byte, MaxResponseLen)
	h := ntp.Header{Version: 4, Mode: mode, Leap: leap, Stratum: 2, Poll: 4, Origin: origin, Receive: testNow.Add(w.now),
		Transmit: testNow.Add(w.now)}
	h.Encode(p)
	return p
}

// serve lets a server answer a client's packet; nil: it does not.
func (w *world) serve(s *Server, synced bool, from, to netip.Addr, p []byte) []byte {
	w.t.Helper()
	req := packet{from: from, to: to, data: p}.request()
	sess := new(Session)
	v := s.Open(w.moment(synced).Time, synced, req, sess, true)
	leap := ntp.LeapNone
	if !synced {
		leap = ntp.LeapUnknown
	}
	resp := w.header(ntp.ModeServer, leap, req.Header.Transmit)
	switch v.Action {
	case ntp.CryptoNAK:
		clear(resp[48:52])
		return resp[:52]
	case ntp.Answer:
		return resp[:s.Seal(req, resp, sess)]
	}
	return nil
}

// pair is a client and a server that know each other.
type pair struct {
	*world
	client       *Client
	cred         *Credentials
	server       *Server
	serverSynced bool
	clientSynced bool
	poll         time.Duration
	last         []byte // the client's last packet
}

func newPair(t testing.TB, client, server *keyfile.Host, change func(*AssociationConfig)) *pair {
	t.Helper()
	p := &pair{
		world: &world{t: t}, cred: newTestCredentials(t, client), serverSynced: true, poll: 16 * time.Second,
		server: newTestServer(t, Config{Host: server, Seed: 77, Leap: LeapValues{37, 3692217600, 4070000000}}),
	}
	cfg := AssociationConfig{Credentials: p.cred, Local: testClient, Remote: testServer}
	if change != nil {
		change(&cfg)
	}
	var err error
	if p.client, err = NewClient(cfg); err != nil {
		t.Fatal(err)
	}
	return p
}

// request makes the client's next packet.
func (p *pair) request() []byte {
	p.t.Helper()
	p.now += p.poll
	if err := p.client.Prepare(p.moment(p.clientSynced), p.poll); err != nil {
		p.t.Fatal(err)
	}
	q := p.header(ntp.ModeClient, ntp.LeapNone, 0)
	p.last = q[:p.client.Seal(q)]
	return p.last
}

// answer is the server's to the client's last packet.
func (p *pair) answer() []byte {
	p.t.Helper()
	return p.serve(p.server, p.serverSynced, testClient, testServer, p.last)
}

// exchange is one poll.
func (p *pair) exchange() Outcome {
	p.t.Helper()
	p.request()
	resp := p.answer()
	if resp == nil {
		return Outcome{}
	}
	out := p.client.Receive(p.moment(p.clientSynced), resp)
	for i := range resp { // the caller's buffer is used for the next packet
		resp[i] = 0xa5
	}
	return out
}

// until polls until the flags are set.
func (p *pair) until(f Flags) {
	p.t.Helper()
	for range 20 {
		if p.client.has(f) {
			return
		}
		if out := p.exchange(); out.Usable && !p.clientSynced {
			p.clientSynced = true
			p.cred.SignatureUpdate(p.moment(true).Time)
		}
	}
	p.t.Fatalf("flags %v, want %#x: %v", p.client.State().Status, f, p.client.State().Err)
}

// complete are the flags of a finished association.
const complete = FlagCERT | FlagVRFY | FlagPROV | FlagCOOK | FlagAUTO | FlagSIGN | FlagLEAP

var (
	tick = hostSpec{name: "tick", trusted: true}
	tock = hostSpec{name: "tock", key: 1}
)

func newTestPair(t testing.TB) *pair { return newPair(t, newHost(t, tock), newHost(t, tick), nil) }
