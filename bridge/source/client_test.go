package source

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// fakeServer answers on the loopback as answer says; nil: not at all.
type fakeServer struct {
	addr   netip.AddrPort
	answer func(request []byte, h *ntp.Header) []byte
}

func newFakeServer(t *testing.T, answer func(request []byte, h *ntp.Header) []byte) *fakeServer {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &fakeServer{c.LocalAddr().(*net.UDPAddr).AddrPort(), answer}
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, maxPacket)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			var h ntp.Header
			h.Decode(buf)
			if resp := answer(buf[:n], &h); resp != nil {
				c.WriteToUDPAddrPort(resp, from)
			}
		}
	})
	t.Cleanup(func() { c.Close(); done.Wait() })
	return s
}

// header is that of a good answer.
func header(request *ntp.Header, ahead time.Duration) ntp.Header {
	now := (*SystemClock)(nil).Now().Add(ahead)
	return ntp.Header{
		Version: request.Version, Mode: ntp.ModeServer, Stratum: 2, Precision: -20, Poll: request.Poll,
		Origin: request.Transmit, Receive: now, Transmit: now, Reference: now,
	}
}

func encode(h ntp.Header) []byte {
	p := make([]byte, ntp.HeaderLen, maxPacket)
	h.Encode(p)
	return p
}

// run polls fast until enough samples or errors came.
func run(t *testing.T, server netip.AddrPort, auth Authenticator, samples, errs int) ([]Sample, []error, Status, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var gotSamples []Sample
	var gotErrs []error
	enough := func() {
		if len(gotSamples) >= samples && len(gotErrs) >= errs {
			cancel()
		}
	}
	c, err := NewClient(ClientConfig{
		Server: server, Auth: auth, Clock: NewSystemClock(nil),
		Polling:  Polling{MinPoll: 0, MaxPoll: 1, IBurst: true, BurstLen: 1000, BurstInterval: 250 * time.Millisecond},
		OnSample: func(s Sample) { gotSamples = append(gotSamples, s); enough() },
		OnError:  func(err error) { gotErrs = append(gotErrs, err); enough() },
	})
	if err != nil {
		t.Fatal(err)
	}
	hurry(c)
	err = c.Run(ctx)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("only %d samples, errors %v", len(gotSamples), gotErrs)
	}
	return gotSamples, gotErrs, c.Status(), err
}

func TestClientMeasures(t *testing.T) {
	s := newFakeServer(t, func(_ []byte, h *ntp.Header) []byte { return encode(header(h, time.Second)) })
	samples, _, status, _ := run(t, s.addr, nil, 4, 0)
	for _, m := range samples {
		if (m.Offset-time.Second).Abs() > m.Delay || m.Delay <= 0 ||
			m.Dispersion <= 0 || m.Kind != ntp.KindNone || m.RootDistance() < m.Delay/2 {
			t.Errorf("sample %+v", m)
		}
	}
	if status.Reach&0xf != 0xf || status.Good < 4 || status.Last == nil {
		t.Errorf("status %+v", status)
	}
}

// TestClientRefuses answers with everything that must not become a sample.
func TestClientRefuses(t *testing.T) {
	key := func(id uint32, secret string) *symkey.Key {
		k, err := symkey.NewKey(id, "MD5", []byte(secret), nil)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	seal := func(p []byte, k *symkey.Key) []byte {
		p = p[:maxPacket]
		return p[:k.Seal(p, ntp.HeaderLen, 16, symkey.NewScratch())]
	}
	good := key(7, "right")
	for _, c := range []struct {
		name   string
		key    bool
		answer func(ntp.Header) []byte
		want   error
	}{
		{"other origin", false, func(h ntp.Header) []byte { h.Origin++; return encode(h) }, ErrOrigin},
		{"no origin", false, func(h ntp.Header) []byte { h.Origin = 0; return encode(h) }, ErrOrigin},
		{"other mode", false, func(h ntp.Header) []byte { h.Mode = ntp.ModeClient; return encode(h) }, errPacket},
		{"short", false, func(h ntp.Header) []byte { return encode(h)[:47] }, errPacket},
		{"odd length", false, func(h ntp.Header) []byte { return append(encode(h), 1) }, errPacket},
		{"leap alarm", false, func(h ntp.Header) []byte { h.Leap = ntp.LeapUnknown; return encode(h) }, ErrUnsynchronised},
		{"stratum 0", false, func(h ntp.Header) []byte { h.Stratum = 0; return encode(h) }, ErrUnsynchronised},
		{"stratum 16", false, func(h ntp.Header) []byte { h.Stratum = 16; return encode(h) }, ErrUnsynchronised},
		{"INIT", false, func(h ntp.Header) []byte { h.Stratum, h.ReferenceID = 0, ntp.KissCode("INIT"); return encode(h) },
			ErrUnsynchronised},
		{"root distance", false, func(h ntp.Header) []byte { h.RootDispersion = 17 << 16; return encode(h) }, ErrUnsynchronised},
		{"no timestamp", false, func(h ntp.Header) []byte { h.Transmit = 0; return encode(h) }, errPacket},
		{"crypto-NAK", false, func(h ntp.Header) []byte { return append(encode(h), 0, 0, 0, 0) }, ErrCryptoNAK},
		{"crypto-NAK for a key", true, func(h ntp.Header) []byte { return append(encode(h), 0, 0, 0, 0) }, ErrCryptoNAK},
		{"no MAC", true, func(h ntp.Header) []byte { return encode(h) }, ErrNotAuthentic},
		{"other key", true, func(h ntp.Header) []byte { return seal(encode(h), key(8, "right")) }, ErrNotAuthentic},
		{"wrong key", true, func(h ntp.Header) []byte { return seal(encode(h), key(7, "wrong")) }, ErrNotAuthentic},
		{"changed", true, func(h ntp.Header) []byte { p := seal(encode(h), good); p[33] ^= 1; return p }, ErrNotAuthentic},
		{"silence", false, func(ntp.Header) []byte { return nil }, ErrTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newFakeServer(t, func(_ []byte, h *ntp.Header) []byte { return c.answer(header(h, 0)) })
			var auth Authenticator
			if c.key {
				var err error
				if auth, err = NewSymmetric(good); err != nil {
					t.Fatal(err)
				}
			}
			samples, errs, status, _ := run(t, s.addr, auth, 0, 3)
			if len(samples) > 0 || status.Reach != 0 {
				t.Errorf("%d samples, reach %o", len(samples), status.Reach)
			}
			for _, err := range errs {
				if !errors.Is(err, c.want) && !errors.Is(err, ErrTimeout) {
					t.Errorf("error %v, want %v", err, c.want)
				}
			}
			if !errors.Is(errs[0], c.want) {
				t.Errorf("first error %v, want %v", errs[0], c.want)
			}
		})
	}
}

func TestClientWithKey(t *testing.T) {
	k, err := symkey.NewKey(7, "SHA256", []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := NewSymmetric(k)
	if err != nil {
		t.Fatal(err)
	}
	table, _ := symkey.NewTable([]*symkey.Key{k}, symkey.TrustAll)
	scratch := symkey.NewScratch()
	s := newFakeServer(t, func(q []byte, h *ntp.Header) []byte {
		req := &ntp.Request{Packet: q, Layout: ntp.Classify(q, table), Header: *h}
		if v, _ := table.Open(req, scratch); v.Action != ntp.Answer {
			return nil
		}
		p := encode(header(h, 0))[:maxPacket]
		return p[:k.Seal(p, ntp.HeaderLen, 20, scratch)]
	})
	samples, _, _, _ := run(t, s.addr, auth, 3, 0)
	if samples[0].Kind != ntp.KindSymmetric {
		t.Errorf("kind %v", samples[0].Kind)
	}
}

// TestClientDuplicates: the second copy of an answer is no sample.
func TestClientDuplicates(t *testing.T) {
	var last []byte
	s := newFakeServer(t, func(_ []byte, h *ntp.Header) []byte {
		if last != nil { // the answer to the request before
			p := last
			last = nil
			return p
		}
		last = encode(header(h, 0))
		return last
	})
	samples, errs, _, _ := run(t, s.addr, nil, 3, 3)
	for _, err := range errs {
		if !errors.Is(err, ErrOrigin) && !errors.Is(err, ErrTimeout) {
			t.Error(err)
		}
	}
	if len(samples) < 3 {
		t.Errorf("%d samples", len(samples))
	}
}

func TestClientObeysKisses(t *testing.T) {
	for _, code := range []string{"DENY", "RSTR"} {
		s := newFakeServer(t, func(_ []byte, h *ntp.Header) []byte {
			a := header(h, 0)
			a.Stratum, a.ReferenceID = 0, ntp.KissCode(code)
			return encode(a)
		})
		c, err := NewClient(ClientConfig{Server: s.addr, Clock: NewSystemClock(nil)})
		if err != nil {
			t.Fatal(err)
		}
		var kiss *KissError
		if err := c.Run(t.Context()); !errors.As(err, &kiss) || kiss.Code != code {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func TestClientNobodyThere(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	addr := c.LocalAddr().(*net.UDPAddr).AddrPort()
	c.Close()
	_, errs, _, _ := run(t, addr, nil, 0, 1)
	if !errors.Is(errs[0], syscall.ECONNREFUSED) || !strings.Contains(errs[0].Error(), "no NTP server") {
		t.Errorf("error %v", errs[0])
	}
}

func TestConfigs(t *testing.T) {
	clock, server := NewSystemClock(nil), netip.MustParseAddrPort("192.0.2.1:123")
	for name, cfg := range map[string]ClientConfig{
		"no server": {Clock: clock}, "no clock": {Server: server},
		"version": {Server: server, Clock: clock, Version: 5},
		"poll":    {Server: server, Clock: clock, Polling: Polling{MinPoll: 7, MaxPoll: 6}},
		"burst":   {Server: server, Clock: clock, Polling: Polling{BurstLen: -1}},
	} {
		if _, err := NewClient(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := NewPeer(PeerConfig{Peer: server, Clock: clock, Port: new(wire)}); err == nil {
		t.Error("a peer without authentication")
	}
	if _, err := NewBroadcastServer(BroadcastServerConfig{Destination: server, Clock: clock, Port: new(wire)}); err == nil {
		t.Error("broadcasts without authentication")
	}
}
