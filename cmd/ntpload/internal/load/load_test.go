//go:build linux

package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
	"ntsbridge/symkey"
)

// responder answers requests on loopback with what answer makes of them; nil
// is silence.
func responder(t *testing.T, answer func(request []byte) []byte) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, maxPacket)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if a := answer(bytes.Clone(buf[:n])); a != nil {
				_, _ = conn.WriteToUDPAddrPort(a, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// serve turns a request's header into an answer's, and drops the rest.
func serve(request []byte) []byte {
	var h ntp.Header
	h.Decode(request)
	h = ntp.Header{Version: h.Version, Mode: ntp.ModeServer, Stratum: 1, Origin: h.Transmit, Receive: 1, Transmit: 2}
	p := make([]byte, ntp.HeaderLen, maxPacket)
	h.Encode(p)
	return p
}

func config(server netip.AddrPort) Config {
	return Config{Server: server, Sockets: 3, Window: 2, Warmup: 10 * time.Millisecond, Time: 50 * time.Millisecond,
		Timeout: 100 * time.Millisecond, Sample: 1, PID: os.Getpid()}
}

func testKey(t *testing.T, algorithm string, secret byte) *symkey.Key {
	t.Helper()
	k, err := symkey.NewKey(7, algorithm, bytes.Repeat([]byte{secret}, 16), nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRunCountsAnswers(t *testing.T) {
	r, err := run(context.Background(), config(responder(t, serve)), Plain{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Answers == 0 || r.Verified != r.Answers || r.Lost > 0 || r.Sent != r.Answers {
		t.Errorf("got %+v; want all requests answered and verified", r)
	}
	if r.CPU <= 0 || r.PerSecond() <= 0 || r.Latency.P50 <= 0 || r.Latency.Max < r.Latency.P99 {
		t.Errorf("CPU %v, %v per second, latency %+v", r.CPU, r.PerSecond(), r.Latency)
	}
}

func TestRunKeepsTheRate(t *testing.T) {
	c := config(responder(t, serve))
	c.Rate = 500
	r, err := run(context.Background(), c, Plain{})
	if err != nil {
		t.Fatal(err)
	}
	if want := uint64(25); r.Sent+r.Skipped > want+1 {
		t.Errorf("%d requests in %v at 500 per second; want at most %d", r.Sent, c.Time, want+1)
	}
}

func TestRunVerifiesSymmetricKeys(t *testing.T) {
	for _, algorithm := range []string{"MD5", "SHA1", "SHA256", "AES128CMAC"} {
		t.Run(algorithm, func(t *testing.T) {
			key, scratch := testKey(t, algorithm, 1), symkey.NewScratch()
			server := responder(t, func(request []byte) []byte {
				if !key.Verify(request, ntp.HeaderLen, scratch) {
					return nil
				}
				p := serve(request)
				return p[:key.Seal(p[:cap(p)], len(p), key.WireLen(4), scratch)]
			})
			r, err := run(context.Background(), config(server), NewSymmetric(testKey(t, algorithm, 1)))
			if err != nil {
				t.Fatal(err)
			}
			if r.Verified == 0 || r.Verified != r.Answers {
				t.Errorf("%d of %d answers verified", r.Verified, r.Answers)
			}
		})
	}
}

// TestRunRefuses has servers that do not do what they are asked.
func TestRunRefuses(t *testing.T) {
	right, wrong, scratch := testKey(t, "SHA1", 1), testKey(t, "SHA1", 2), symkey.NewScratch()
	cases := []struct {
		name   string
		maker  Maker
		answer func([]byte) []byte
		field  func(*Result) uint64
	}{
		{"silence", Plain{}, func([]byte) []byte { return nil }, nil},
		{"crypto-NAK", NewSymmetric(right), func(q []byte) []byte { return append(serve(q), 0, 0, 0, 0) }, nil},
		{"unauthenticated time", NewSymmetric(right), serve, nil},
		{"another key", NewSymmetric(right), func(q []byte) []byte {
			p := serve(q)
			return p[:wrong.Seal(p[:cap(p)], len(p), wrong.WireLen(4), scratch)]
		}, nil},
		{"kiss", Plain{}, func(q []byte) []byte { p := serve(q); p[1] = 0; return p }, nil},
		{"request sent back", Plain{}, func(q []byte) []byte { copy(q[24:32], q[40:48]); return q }, nil},
		{"other origin", Plain{}, func(q []byte) []byte { p := serve(q); p[24] ^= 1; return p }, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if r, err := run(context.Background(), config(responder(t, c.answer)), c.maker); !errors.Is(err, ErrBadAnswers) {
				t.Errorf("got %v, %+v; want ErrBadAnswers", err, r)
			}
		})
	}
}

func TestRunCountsLosses(t *testing.T) {
	n := 0
	r, err := run(context.Background(), config(responder(t, func(q []byte) []byte {
		if n++; n%4 == 0 {
			return nil
		}
		return serve(q)
	})), Plain{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Lost == 0 || r.Lost+r.Answers != r.Sent {
		t.Errorf("%d sent, %d answered, %d lost", r.Sent, r.Answers, r.Lost)
	}
}

func TestNTS(t *testing.T) {
	for _, id := range []aead.ID{aead.AESSIVCMAC256, aead.AES128GCMSIV} {
		t.Run(id.String(), func(t *testing.T) {
			c2s, s2c := bytes.Repeat([]byte{1}, id.KeyLen()), bytes.Repeat([]byte{2}, id.KeyLen())
			keys, err := nts.NewKeys(id, c2s, s2c)
			if err != nil {
				t.Fatal(err)
			}
			s, err := newSession(&keys, [][]byte{bytes.Repeat([]byte{3}, 100), bytes.Repeat([]byte{4}, 100)})
			if err != nil {
				t.Fatal(err)
			}
			n := &NTS{id: id, sessions: []*session{s}}
			request, err := n.Request(42)
			if err != nil {
				t.Fatal(err)
			}
			l := ntp.Classify(request, noKeys{})
			if l.Kind != ntp.KindNTS || l.Cookies != 1 || l.Placeholders != 0 || l.UniqueIdentifier.Length != 36 {
				t.Errorf("request is laid out as %+v", l)
			}
			nonce, sealed, _ := splitAuthenticator(l.Authenticator.Body(request))
			if _, err := s.c2s.Open(nil, nonce, sealed, request[:l.Authenticator.Offset]); err != nil {
				t.Errorf("request does not open: %v", err)
			}
			answer := ntsAnswer(request, &s.s2c)
			if err := n.Verify(request, answer); err != nil {
				t.Errorf("good answer: %v", err)
			}
			if len(answer) < n.MinAnswer() {
				t.Errorf("answer of %d octets, MinAnswer is %d", len(answer), n.MinAnswer())
			}
			for i := ntp.HeaderLen; i < len(answer); i++ {
				bad := bytes.Clone(answer)
				bad[i] ^= 0x40
				if n.Verify(request, bad) == nil {
					t.Errorf("answer with octet %d changed was taken", i)
				}
			}
			other, _ := n.Request(43)
			if n.Verify(other, answer) == nil {
				t.Error("answer to another request was taken")
			}
			if n.Verify(request, ntsAnswer(request, &s.c2s)) == nil {
				t.Error("answer under the wrong key was taken")
			}
		})
	}
}

// ntsAnswer makes a response with one cookie.
func ntsAnswer(request []byte, key *aead.Key) []byte {
	l := ntp.Classify(request, noKeys{})
	p := ntp.AppendField(serve(request), ntp.FieldUniqueIdentifier, l.UniqueIdentifier.Body(request), 0)
	nonce := make([]byte, key.ID().NonceLen())
	plain := ntp.AppendField(nil, ntp.FieldCookie, make([]byte, 100), 0)
	sealed := key.Seal(nil, nonce, plain, p)
	body := binary.BigEndian.AppendUint16(nil, uint16(len(nonce)))
	body = binary.BigEndian.AppendUint16(body, uint16(len(sealed)))
	return ntp.AppendField(p, ntp.FieldAuthenticator, append(append(body, nonce...), sealed...), 0)
}

func TestAwait(t *testing.T) {
	n := 0
	server := responder(t, func(q []byte) []byte {
		p := serve(q)
		if n++; n < 3 {
			p[1] = 0
		}
		return p
	})
	if err := Await(context.Background(), server, 5*time.Second); err != nil {
		t.Error(err)
	}
	mute := responder(t, func([]byte) []byte { return nil })
	if err := Await(context.Background(), mute, 50*time.Millisecond); err == nil {
		t.Error("a mute server was found ready")
	}
}

func TestCheck(t *testing.T) {
	good := config(netip.MustParseAddrPort("127.0.0.1:123"))
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*Config){
		"sockets":  func(c *Config) { c.Sockets = 0 },
		"window":   func(c *Config) { c.Window = 1025 },
		"rate":     func(c *Config) { c.Rate = -1 },
		"sample":   func(c *Config) { c.Sample = 0 },
		"time":     func(c *Config) { c.Time = 0 },
		"families": func(c *Config) { c.From = netip.MustParsePrefix("2001:db8::/64") },
	} {
		if c := good; true {
			if spoil(&c); c.Check() == nil {
				t.Errorf("wrong %s were taken", name)
			}
		}
	}
}

func TestReadCPU(t *testing.T) {
	before, err := readCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for x := 0; ; x++ { // burn until the clock moves
		if after, err := readCPU(os.Getpid()); err != nil || after > before {
			if err != nil {
				t.Error(err)
			}
			break
		}
	}
	for _, pid := range []int{-1, maxPID, 1 << 29} {
		if _, err := readCPU(pid); err == nil {
			t.Errorf("process %d, which cannot be, has CPU time", pid)
		}
	}
}

// run loads the server with requests of the given maker and counts answers.
func run(ctx context.Context, c Config, maker Maker) (*Result, error) {
	e, err := Open(c, maker)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	return e.Slice(ctx)
}
