package source

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
	"ntsbridge/symkey"
)

// keyed seals packets with the test's key.
func keyed(t *testing.T) (*Symmetric, func(ntp.Header) []byte) {
	t.Helper()
	key := testKey(t)
	auth, err := NewSymmetric(key)
	if err != nil {
		t.Fatal(err)
	}
	return auth, func(h ntp.Header) []byte {
		p := encode(h)[:maxPacket]
		return p[:key.Seal(p, ntp.HeaderLen, 20, symkey.NewScratch())]
	}
}

// kissing is a kiss-o'-death for a request.
func kissing(h *ntp.Header, code string) ntp.Header {
	a := header(h, time.Hour) // its time must not be believed
	a.Leap, a.Stratum, a.ReferenceID = ntp.LeapUnknown, 0, ntp.KissCode(code)
	return a
}

// One request has at most one answer: copies, and answers to earlier requests,
// are dropped and counted.
func TestDuplicatesAndReplays(t *testing.T) {
	t.Parallel()
	var recorded [][]byte
	server := scriptedServer(t, func(n int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
		a := encode(header(h, 0))
		replies := append(recorded[max(0, len(recorded)-1):len(recorded):len(recorded)], a, a, a)
		recorded = append(recorded, a)
		return replies
	})
	w := watch(t, ClientConfig{Server: server}, func(w *watched) bool { return len(w.samples) >= 4 && len(w.errs) >= 11 })
	seen := make(map[ntp.Timestamp]bool)
	for _, s := range w.samples {
		if seen[s.Header.Origin] {
			t.Errorf("two samples of one request: %+v", s)
		}
		seen[s.Header.Origin] = true
	}
	for _, err := range w.errs {
		if !errors.Is(err, ErrOrigin) {
			t.Errorf("error %v", err)
		}
	}
	if c := w.Status().Counts; c.Duplicates != c.Refused || c.Duplicates < 11 || c.Missed != 0 {
		t.Errorf("counts %+v", c)
	}
}

// Forged packets before the true answer do not keep it out.
func TestForgeriesFirst(t *testing.T) {
	t.Parallel()
	auth, seal := keyed(t)
	for _, c := range []struct {
		name  string
		auth  Authenticator
		seal  func(ntp.Header) []byte
		forge func(ntp.Header) []byte
		want  error
	}{
		{"another origin", nil, encode, func(h ntp.Header) []byte { h.Origin ^= 4; return encode(h) }, ErrOrigin},
		{"no origin", nil, encode, func(h ntp.Header) []byte { h.Origin = 0; return encode(h) }, ErrOrigin},
		{"our own request", nil, encode, func(h ntp.Header) []byte { h.Mode = ntp.ModeClient; return encode(h) }, errPacket},
		{"broadcast", nil, encode, func(h ntp.Header) []byte { h.Mode = ntp.ModeBroadcast; return encode(h) }, errPacket},
		{"version 0", nil, encode, func(h ntp.Header) []byte { h.Version = 0; return encode(h) }, errPacket},
		{"version 5", nil, encode, func(h ntp.Header) []byte { h.Version = 5; return encode(h) }, errPacket},
		{"short", nil, encode, func(h ntp.Header) []byte { return encode(h)[:44] }, errPacket},
		{"too long", nil, encode, func(h ntp.Header) []byte { return append(encode(h), make([]byte, maxPacket)...) }, errPacket},
		{"nothing", nil, encode, func(ntp.Header) []byte { return []byte{} }, errPacket},
		{"no MAC", auth, seal, encode, ErrNotAuthentic},
		{"crypto-NAK", auth, seal, func(h ntp.Header) []byte { return append(encode(h), 0, 0, 0, 0) }, ErrCryptoNAK},
		{"kiss without MAC", auth, seal, func(h ntp.Header) []byte {
			return encode(kissing(&ntp.Header{Transmit: h.Origin,
				Version: 4}, "DENY"))
		}, ErrNotAuthentic},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
				a := header(h, 0)
				return [][]byte{c.forge(a), c.seal(a)}
			})
			w := watch(t, ClientConfig{Server: server, Auth: c.auth}, withSamples(3))
			if len(w.errs) < 3 || len(w.kisses) > 0 || w.missed > 0 {
				t.Errorf("errors %v, kisses %v, %d missed", w.errs, w.kisses, w.missed)
			}
			for _, err := range w.errs {
				if !errors.Is(err, c.want) {
					t.Errorf("error %v, want %v", err, c.want)
				}
			}
		})
	}
}

// Authentic answers without time, or with time that cannot be, are missed
// polls.
func TestAnswersWithoutTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*ntp.Header)
		want   error
	}{
		{"not synchronised", func(h *ntp.Header) { h.Leap = ntp.LeapUnknown }, ErrUnsynchronised},
		{"stratum 16", func(h *ntp.Header) { h.Stratum = 16 }, ErrUnsynchronised},
		{"stratum 255", func(h *ntp.Header) { h.Stratum = 255 }, ErrUnsynchronised},
		{"kiss that says why", func(h *ntp.Header) { h.Stratum, h.ReferenceID = 0, ntp.KissCode("INIT") }, ErrUnsynchronised},
		{"root delay", func(h *ntp.Header) { h.RootDelay = 33 << 16 }, ErrUnsynchronised},
		{"root dispersion", func(h *ntp.Header) { h.RootDispersion = 16 << 16 }, ErrUnsynchronised},
		{"no transmit timestamp", func(h *ntp.Header) { h.Transmit = 0 }, errPacket},
		{"no receive timestamp", func(h *ntp.Header) { h.Receive = 0 }, errPacket},
		{"left before it came", func(h *ntp.Header) { h.Transmit = h.Transmit.Add(-time.Millisecond) }, errBogus},
		{"took longer than all", func(h *ntp.Header) { h.Transmit = h.Transmit.Add(time.Second) }, errBogus},
		{"half an era", func(h *ntp.Header) { h.Transmit ^= 1 << 63 }, errBogus},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
				a := header(h, 0)
				c.change(&a)
				return [][]byte{encode(a)}
			})
			w := watch(t, ClientConfig{Server: server}, withMissed(3))
			if len(w.samples) > 0 || w.Status().Reach != 0 || w.Status().Missed != 3 {
				t.Errorf("samples %v, status %+v", w.samples, w.Status())
			}
			for _, err := range w.errs {
				if !errors.Is(err, c.want) {
					t.Errorf("error %v, want %v", err, c.want)
				}
			}
		})
	}
}

// Precisions and fuzz of others do not make answers bogus.
func TestCoarseServers(t *testing.T) {
	t.Parallel()
	server := scriptedServer(t, func(n int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
		a := header(h, 0)
		a.Precision = -6
		a.Transmit = a.Transmit.Add(-10 * time.Millisecond) // below its precision
		return [][]byte{encode(a)}
	})
	watch(t, ClientConfig{Server: server}, withSamples(3))
}

// Kisses count where they are authentic, and nowhere else.
func TestKisses(t *testing.T) {
	t.Parallel()
	type sealer func(ntp.Header) []byte
	auth := func() Authenticator { auth, _ := keyed(t); return auth }
	_, seal := keyed(t)
	for _, c := range []struct {
		name, code string
		auth       Authenticator
		seal       sealer
		obeyed     bool
	}{
		{"plain", "RATE", nil, encode, true},
		{"plain", "DENY", nil, encode, true},
		{"plain", "RSTR", nil, encode, true},
		{"with MAC", "RATE", auth(), seal, true},
		{"with MAC", "DENY", auth(), seal, true},
		{"without MAC", "RATE", auth(), encode, false},
		{"without MAC", "DENY", auth(), encode, false},
		{"without MAC", "RSTR", auth(), encode, false},
	} {
		t.Run(c.name+" "+c.code, func(t *testing.T) {
			server := scriptedServer(t, func(n int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
				return [][]byte{c.seal(kissing(h, c.code))}
			})
			t.Parallel()
			enough := withMissed(1)
			if c.obeyed {
				enough = func(w *watched) bool { return len(w.kisses) > 0 && c.code == "RATE" }
			}
			w := watch(t, ClientConfig{Server: server, Auth: c.auth}, enough)
			var kiss *KissError
			ends := c.obeyed && c.code != "RATE"
			if errors.As(w.end, &kiss) != ends || ends && kiss.Code != c.code {
				t.Errorf("Run: %v", w.end)
			}
			s := w.Status()
			if !c.obeyed && (len(w.kisses) > 0 || s.Kisses > 0 || s.Refused != 1 || s.Poll != fast.MinPoll) {
				t.Errorf("kisses %v, status %+v", w.kisses, s)
			}
			if c.obeyed && (len(w.kisses) != 1 || w.kisses[0].Code != c.code || s.Kisses != 1 || w.missed > 0) {
				t.Errorf("kisses %v, %d missed, status %+v", w.kisses, w.missed, s)
			}
			if len(w.samples) > 0 {
				t.Errorf("time of a kiss was believed: %+v", w.samples)
			}
		})
	}
}

// RATE ends bursts, and holds against whoever paces.
func TestRateLasts(t *testing.T) {
	t.Parallel()
	server := scriptedServer(t, func(n int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
		a := kissing(h, "RATE")
		a.Poll = 9
		return [][]byte{encode(a)}
	})
	ctx, cancel := context.WithCancel(t.Context())
	w := newWatched(t, ClientConfig{Server: server, Pace: always(0), Polling: Polling{MinPoll: 4, MaxPoll: 10, Burst: true, IBurst: true}},
		func(*watched) {})
	w.cfg.OnPacket = func(Judgement) { cancel() }
	if err := w.exchange(ctx, false); err != nil {
		t.Fatal(err)
	}
	if wait := w.due.Sub(w.request.sent); wait < 512*time.Second {
		t.Errorf("next request after %v", wait)
	}
	w.schedule.Reached()
	w.schedule.Sent()
	if wait, poll := w.schedule.Wait(0.5); !poll || wait < 512*time.Second {
		t.Errorf("a burst of packets %v apart", wait)
	}
}

// ntsAuth is NTS without its key establishment.
type ntsAuth struct{ *nts.Client }

func (ntsAuth) Kind() ntp.Kind                      { return ntp.KindNTS }
func (ntsAuth) Prepare(Moment, time.Duration) error { return nil }
func (a ntsAuth) Seal(p []byte) (int, error)        { return a.Request(p) }
func (a ntsAuth) Open(_ Moment, p []byte) Judgement {
	err := a.Response(p)
	return Judgement{Usable: err == nil, Err: err}
}

// withNTS makes both sides.
func withNTS(t *testing.T) (ntsAuth, *nts.Server) {
	t.Helper()
	cookieSecret, err := nts.NewSecret(bytes.NewReader([]byte("throw-away secret of these tests")), time.Now().Add(-5*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := nts.NewRing(cookieSecret, nil, time.Hour, 2, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server, err := nts.NewServer([]aead.ID{aead.AESSIVCMAC256})
	if err != nil {
		t.Fatal(err)
	}
	server.SetRing(ring)
	n := aead.AESSIVCMAC256.KeyLen()
	keys, err := nts.NewKeys(aead.AESSIVCMAC256, bytes.Repeat([]byte{1}, n), bytes.Repeat([]byte{2}, n))
	if err != nil {
		t.Fatal(err)
	}
	var cookies [][]byte
	for i := range nts.MaxCookies {
		nonce := [nts.CookieNonceLen]byte{byte(i)}
		cookies = append(cookies, ring.AppendCookie(nil, &keys, &nonce))
	}
	client, err := nts.NewClient(&keys, cookies, [32]byte{3})
	if err != nil {
		t.Fatal(err)
	}
	return ntsAuth{client}, server
}

// With NTS a kiss counts inside an authentic packet only.
func TestKissesWithNTS(t *testing.T) {
	t.Parallel()
	for _, authentic := range []bool{false, true} {
		auth, server := withNTS(t)
		session := nts.NewSession([32]byte{4})
		at := scriptedServer(t, func(n int, q []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
			forged, p := encode(kissing(h, "DENY")), make([]byte, maxPacket)
			if v := server.Open(&ntp.Request{Packet: q, Layout: ntp.Classify(q, noKeys{}), Header: *h}, session); v.Action != ntp.Answer {
				t.Errorf("verdict %+v", v)
				return nil
			}
			a := header(h, 0)
			if authentic {
				a = kissing(h, "DENY")
			}
			a.Encode(p)
			return [][]byte{forged, p[:server.Seal(p, ntp.HeaderLen, session)]}
		})
		w := watch(t, ClientConfig{Server: at, Auth: auth}, withSamples(3))
		var kiss *KissError
		if errors.As(w.end, &kiss) != authentic || authentic != (len(w.kisses) == 1) || authentic == (len(w.samples) == 3) {
			t.Errorf("authentic %v: %v, kisses %v, %d samples", authentic, w.end, w.kisses, len(w.samples))
		}
		if w.Status().Refused < 1 {
			t.Errorf("the forged kiss was not counted: %+v", w.Status())
		}
	}
}

// A port that nobody listens at is one error and one missed poll each time.
func TestUnreachableIsMissedOnce(t *testing.T) {
	t.Parallel()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	server := c.LocalAddr().(*net.UDPAddr).AddrPort()
	c.Close()
	w := watch(t, ClientConfig{Server: server, Polling: short}, withMissed(5))
	if len(w.errs) != 5 || w.Status().Missed != 5 || w.Status().Sent != 5 {
		t.Errorf("errors %v, status %+v", w.errs, w.Status())
	}
	for _, err := range w.errs {
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("error %v", err)
		}
	}
}

// keepingAuth keeps what it is given, as Autokey does.
type keepingAuth struct {
	None
	kept, copies [][]byte
}

func (k *keepingAuth) Open(m Moment, p []byte) Judgement {
	k.kept, k.copies = append(k.kept, p), append(k.copies, bytes.Clone(p))
	return k.None.Open(m, p)
}

// Later packets do not overwrite what an authenticator keeps of earlier ones.
func TestAuthenticatorsMayKeepPackets(t *testing.T) {
	t.Parallel()
	server := scriptedServer(t, func(_ int, _ []byte, h *ntp.Header, _ netip.AddrPort) [][]byte {
		return append(good(h), bytes.Repeat([]byte{0x24}, 200))
	})
	auth := new(keepingAuth)
	watch(t, ClientConfig{Server: server, Auth: auth}, withSamples(4))
	for i := range auth.kept {
		if !bytes.Equal(auth.kept[i], auth.copies[i]) {
			t.Errorf("packet %d was overwritten", i)
		}
	}
}
