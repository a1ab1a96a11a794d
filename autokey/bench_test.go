package autokey

import (
	"crypto/rand"
	"testing"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// TestPlainDoesNotAllocate holds for good and bad packets of every digest,
// and for the fast path of those with a message.
func TestPlainDoesNotAllocate(t *testing.T) {
	cfg := testConfig(t, "tc-rsa512-md5")
	cfg.Seed, cfg.OlderSeeds, cfg.Takeover = 5, []Seed{6, 7}, true
	for d := range Digest(digestCount) {
		cfg.Digest = d
		s, err := NewServer(cfg, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		p := newPeer(d)
		for name, req := range map[string]*ntp.Request{
			"own seed":   p.plain(5),
			"seed 0":     p.plain(0),
			"wrong seed": p.plain(8),
			"message":    p.ask(Message{Code: Request(OpAssoc), Value: []byte("tock")}),
		} {
			var sess Session
			var resp [MaxResponseLen]byte
			s.Open(testNow, true, req, &sess, false)
			n := testing.AllocsPerRun(100, func() {
				if s.Open(testNow, true, req, &sess, false).Action == ntp.Answer {
					s.Seal(req, resp[:], &sess)
				}
			})
			if n != 0 {
				t.Errorf("%v, %s: %v allocations", d, name, n)
			}
		}
	}
}

func benchmarkRequest(b *testing.B, cfg Config, next func(i int) *ntp.Request, slow bool) {
	b.Helper()
	cfg.Budget = Unbounded{}
	s, err := NewServer(cfg, rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	var sess Session
	var resp [MaxResponseLen]byte
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		req := next(i)
		if v := s.Open(testNow, true, req, &sess, slow); v.Action != ntp.Answer {
			b.Fatalf("%+v", v)
		}
		s.Seal(req, resp[:], &sess)
	}
}

func BenchmarkPlain(b *testing.B) {
	for _, d := range []Digest{MD5, SHA1, SHA256, SHA512} {
		b.Run(d.String(), func(b *testing.B) {
			cfg := testConfig(b, "tc-rsa512-md5")
			cfg.Digest = d
			req := newPeer(d).plain(0)
			benchmarkRequest(b, cfg, func(int) *ntp.Request { return req }, false)
		})
	}
}

func BenchmarkMessage(b *testing.B) {
	for _, set := range []string{"all3", "tc-rsa2048-sha256", "mv-b512-n10"} {
		cfg := testConfig(b, set)
		pub := keyfile.MarshalPublicKey(&cfg.Host.HostKey.RSAPublicKey)
		for _, m := range []Message{
			{Code: Request(OpAssoc), Value: []byte("tock")},
			{Code: Request(OpCert), Value: []byte("tick")},
			{Code: Request(OpLeap), Short: true},
			{Code: Request(OpCook), Value: pub},
			{Code: Request(OpSign), Value: cfg.Host.Certificate.Raw},
			{Code: Request(OpIFF), Value: make([]byte, 20)},
			{Code: Request(OpGQ), Value: make([]byte, 64)},
			{Code: Request(OpMV), Value: make([]byte, 32)},
		} {
			op := m.Code.Op()
			if op >= OpIFF && hostStatus(cfg.Host, false).Flags()&(FlagIFF<<(op-OpIFF)) == 0 {
				continue
			}
			b.Run(set+"/"+op.String(), func(b *testing.B) {
				p := newPeer(MD5)
				benchmarkRequest(b, cfg, func(i int) *ntp.Request {
					// A new address or challenge, so that nothing is remembered.
					p.addr = p.addr.Next()
					m.Filestamp = uint32(i)
					if op >= OpIFF {
						for j := range 4 {
							m.Value[j] = byte(i >> (8 * j))
						}
					}
					return p.ask(m)
				}, true)
			})
		}
	}
}
