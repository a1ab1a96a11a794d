package autokey

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io/fs"
	"net/netip"
	"testing"
	"time"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// replayedClients are the sessions with an ntpd 4.2.8p15 as client, by the
// flags that ntpq showed at the end, first of the client (or of mid), then of
// leaf. Comments: what ntpq showed where it is not the same.
var replayedClients = map[string][]Status{
	"all3": {0x87f63}, "automax6": {0x87f03}, "crypto-ident-server": {0x87f23},
	"digest-RIPEMD160": {0x413f03}, "digest-SHA1": {0x413f03}, "digest-SHA256": {0x413f03}, "digest-SHA512": {0x413f03},
	"digest-mismatch": {0},
	"gq-b1016-fixed":  {0x87f43}, "gq-b512-fixed": {0x87f43}, "gq-group-fixed": {0x87f43}, "gq-pkcs8-fixed": {0x87f43},
	"gq-b512":  {0x81143},
	"iff-b512": {0x87f23}, "iff-group": {0x87f23}, "iff-ipv6": {0x87f23}, "leapfile2": {0x87f23},
	"mv-b256-n5": {0x87f83}, "mv-b512-n10": {0x87f83}, "mv-revoked": {0x81183},
	"nopw": {0x81f23}, "pc-rsa512": {0x87f13}, "pc-rsasign": {0x29c7f13},
	"pc-server-tc-client":   {0}, // 0x81013, for ever
	"server-never-synced":   {0x85001},
	"server-unsynced-start": {0x87f03}, "server-restart": {0x87f03},
	"tc-RSA-MD4": {0x18c3f03}, "tc-RSA-RIPEMD160": {0x773f03}, "tc-RSA-SHA224": {0x29f3f03}, "tc-RSA-SHA384": {0x29d3f03},
	"tc-RSA-SHA512": {0x29e3f03}, "tc-group": {0x83f03}, "tc-group-clinogroup": {0}, "tc-ipv6": {0x413f03},
	"tc-mixed-srv2048sha256-cli512md5": {0x29c3f03}, "tc-nogroup-cligroup": {0}, "tc-rsa2048-sha256": {0x29c3f03},
	"tc-rsa512-md5": {0x83f03}, "tc-rsasign1024": {0x29c3f03}, "tc-server-pc-client": {0},
	"trad-aes256": {0x87f23}, "trad-descbc": {0x87f23},
	"trail-iff": {0x87f23, 0x29c7f23}, "trail-tc": {0x417f03, 0x29c7f03},
	"trail-tc-mid-not-signed-yet": {0x417f01, 0x29c7f01},
	"untrusted-server":            {0x29c1003}, "version3": {0x83f03},
	"life0": {0x81303}, "ntpd426-server": {0x87f01}, "ntpd424-server": {0x87f21},
}

// TestClientReplay lets our client stand in for the client of recorded
// sessions: it must make the same requests, octet for octet, accept what ntpd
// accepted from the real server, and end with the same flags.
func TestClientReplay(t *testing.T) {
	all := sessions(t)
	for name, want := range replayedClients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := all[name]
			if s == nil {
				t.Fatal("no such session")
			}
			addrs := []string{"10.98.0.2", "10.98.0.3"}
			if name == "iff-ipv6" || name == "tc-ipv6" {
				addrs = []string{"fd98::2"}
			}
			for i, flags := range want {
				r := &clientReplay{t: t, session: s, addr: netip.MustParseAddr(addrs[i]), diverges: name == "pc-server-tc-client"}
				r.run()
				if got := r.client.State().Status; got != flags {
					t.Errorf("flags %v, want %v; %v", got, flags, r.client.State().Err)
				}
				if flags.Flags()&FlagPROV != 0 && r.usable == 0 {
					t.Error("no time was taken")
				}
			}
		})
	}
}

type clientReplay struct {
	t        *testing.T
	session  *session
	addr     netip.Addr
	cred     *Credentials
	client   *Client
	moment   Moment
	usable   int
	asks     int
	diverges bool // ends when we ask something else than ntpd did
}

func (r *clientReplay) run() {
	for i, p := range r.session.packets {
		r.moment.Uptime = p.at.Sub(r.session.packets[0].at)
		switch {
		case p.from == r.addr && ntp.ModeOf(p.data) == ntp.ModeClient:
			if !r.request(i, p) {
				return
			}
		case p.to == r.addr && r.client != nil && ntp.ModeOf(p.data) == ntp.ModeServer:
			if out := r.client.Receive(r.moment, p.data); out.Usable {
				r.usable++
			}
		}
	}
	if r.asks == 0 {
		r.t.Error("no requests")
	}
}

// start makes the client with the keys and the first request of the recorded
// one.
func (r *clientReplay) start(p packet) {
	t, h := r.t, r.session.host(r.addr)
	var err error
	if r.cred, err = NewCredentials(h.keys(t), rand.Reader); err != nil {
		t.Fatal(err)
	}
	m, _ := p.message()
	cfg := AssociationConfig{
		Credentials: r.cred, Digest: h.digest(), Local: p.from, Remote: p.to,
		ID: uint16(m.AssociationID), Ident: h.ident,
	}
	for _, s := range []keyfile.Scheme{keyfile.IFF, keyfile.GQ, keyfile.MV} {
		g, err := keyfile.LoadGroup(h.files, s, h.ident)
		if err == nil {
			cfg.Groups = append(cfg.Groups, g)
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Logf("group: %v", err)
		}
	}
	if h.ident == "" || len(cfg.Groups) == 0 {
		cfg.Ident, cfg.Groups = "", nil
	}
	if r.client, err = NewClient(cfg); err != nil {
		t.Fatal(err)
	}
}

// request makes the request that packet i is, with its key identifier and
// challenge, and compares.
func (r *clientReplay) request(i int, p packet) bool {
	t := r.t
	if r.client == nil {
		r.start(p)
	}
	r.asks++
	want, hasWant := p.message()
	req := p.request()
	r.moment.Time = ntp.TimestampFromTime(p.at)
	r.moment.Synchronised = req.Header.Leap != ntp.LeapUnknown
	if hasWant {
		r.clock(want)
	}
	c := r.client
	poll := time.Second << req.Header.Poll
	c.keys, c.keysPoll = &keyList{ids: []uint32{req.Layout.KeyID}, left: 1}, poll
	if err := c.Prepare(r.moment, poll); err != nil {
		t.Fatalf("packet %d: %v", i, err)
	}
	if op := want.Code.Op(); op != c.Asks() {
		if !r.diverges {
			t.Errorf("packet %d: asks %v, ntpd asked %v (%v)", i, c.Asks(), op, c.State().Err)
		}
		return false
	}
	switch want.Code.Op() {
	case OpIFF, OpGQ, OpMV:
		r.challenge(i, want)
	}
	var got [MaxResponseLen]byte
	copy(got[:], p.data[:ntp.HeaderLen])
	if n := c.Seal(got[:]); !bytes.Equal(got[:n], p.data) {
		t.Errorf("packet %d (%v):\n got %x\nwant %x", i, want.Code.Op(), got[:n], p.data)
	}
	return true
}

// clock sets time and signature update as they were for ntpd when it built
// the message.
func (r *clientReplay) clock(want Message) {
	switch want.Code.Op() {
	case OpAssoc, OpCook, OpSign:
		r.cred.updated = want.Timestamp
	case OpCert:
		r.cred.updated = want.Filestamp
		fallthrough
	case OpIFF, OpGQ, OpMV:
		if want.Timestamp != 0 {
			r.moment.Time = ntp.Timestamp(want.Timestamp) << 32
		}
	}
}

// challenge puts the recorded challenge in the place of ours after comparing
// the forms.
func (r *clientReplay) challenge(i int, want Message) {
	c := r.client
	got, err := parseMessage(c.out.fields)
	if err != nil {
		r.t.Fatal(err)
	}
	if got.Timestamp != want.Timestamp || got.Filestamp != want.Filestamp || got.AssociationID != want.AssociationID ||
		len(got.Value) != len(want.Value) || len(got.Signature) != len(want.Signature) {
		r.t.Errorf("packet %d (%v): %+v, want %+v", i, want.Code.Op(), got, want)
	}
	c.challenge = bytes.Clone(want.Value)
	c.out.fields = want.Append(c.out.fields[:0])
	binary.BigEndian.PutUint32(c.out.fields[4:], uint32(c.id))
}
