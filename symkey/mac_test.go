package symkey

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ntsbridge/bridge/ntp"
)

// unhex decodes hex with blanks in it.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustKey(t testing.TB, id uint32, algorithm string, secret []byte, addresses ...netip.Prefix) *Key {
	t.Helper()
	k, err := NewKey(id, algorithm, secret, addresses)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustTable(t testing.TB, keys ...*Key) *Table {
	t.Helper()
	table, err := NewTable(keys, TrustAll)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestCMACVectors has RFC 4493, section 4 and NIST SP 800-38B, appendix D.
func TestCMACVectors(t *testing.T) {
	const (
		key128 = "2b7e151628aed2a6abf7158809cf4f3c"
		key192 = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"
		key256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
		msg    = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" +
			"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
	)
	for _, test := range []struct {
		key  string
		n    int
		want string
	}{
		{key128, 0, "bb1d6929e95937287fa37d129b756746"},
		{key128, 16, "070a16b46b4d4144f79bdd9dd04a287c"},
		{key128, 40, "dfa66747de9ae63030ca32611497c827"},
		{key128, 64, "51f0bebf7e3b9d92fc49741779363cfe"},
		{key192, 0, "d17ddf46adaacde531cac483de7a9367"},
		{key192, 16, "9e99a7bf31e710900662f65e617c5184"},
		{key192, 40, "8a1de5be2eb31aad089a82e6ee908b0e"},
		{key192, 64, "a1d5df0eed790f794d77589659f39a11"},
		{key256, 0, "028962f61b7bf89efc6b551f4667d983"},
		{key256, 16, "28a7023f452e8f82bd4bf28d8c37c35c"},
		{key256, 40, "aaf3d8f1de5640c232f5b169b9c911e6"},
		{key256, 64, "e1992190549f6ed5696a2c056c315410"},
	} {
		secret := unhex(t, test.key)
		k := mustKey(t, 1, fmt.Sprintf("AES%dCMAC", 8*len(secret)), secret)
		if got := hex.EncodeToString(k.compute(unhex(t, msg)[:test.n], NewScratch())); got != test.want {
			t.Errorf("%s of %d octets: %s, want %s", k.Algorithm(), test.n, got, test.want)
		}
	}
}

// TestRecordedPackets opens requests that real daemons accepted, and seals
// their replies to the octet.
func TestRecordedPackets(t *testing.T) {
	for _, test := range []struct {
		daemon  string
		parse   func(string, []byte) (*File, error)
		trusted []string
	}{
		{"ntpd", ParseNTPKeys, []string{"(1 ... 46)", "48", "49"}},
		{"chronyd", ParseChronyKeys, nil},
		{"ntpsec", ParseNTPsecKeys, []string{"1-62"}},
	} {
		t.Run(test.daemon, func(t *testing.T) {
			file, err := test.parse(test.daemon+".keys", readFile(t, "packets/"+test.daemon+".keys"))
			if err != nil {
				t.Fatal(err)
			}
			trusted := TrustAll
			if test.trusted != nil {
				if trusted, err = ParseTrusted(test.trusted); err != nil {
					t.Fatal(err)
				}
			}
			table, err := NewTable(file.Keys, trusted)
			if err != nil {
				t.Fatal(err)
			}
			seen := 0
			for line := range strings.Lines(string(readFile(t, "packets/"+test.daemon+".tsv"))) {
				if line[0] == '#' {
					continue
				}
				f := strings.Fields(line)
				seen++
				replay(t, table, f[0], unhex(t, f[1]), unhex(t, f[2]))
			}
			if seen < 30 {
				t.Errorf("only %d packets", seen)
			}
		})
	}
}

func replay(t *testing.T, table *Table, id string, request, reply []byte) {
	t.Helper()
	s := NewScratch()
	req := requestOf(request, table)
	v, k := table.Open(&req, s)
	if v.Action != ntp.Answer || v.Reason != ntp.ReasonOK || v.Kind != ntp.KindSymmetric || strconv.Itoa(int(v.KeyID)) != id {
		t.Errorf("key %s, %d octets: verdict %+v", id, len(request), v)
		return
	}
	if !k.Verify(reply, ntp.HeaderLen, s) {
		t.Errorf("key %s: the daemon's reply of %d octets does not verify", id, len(reply))
	}
	resp := make([]byte, len(request))
	copy(resp, reply[:ntp.HeaderLen])
	n := k.Seal(resp, ntp.HeaderLen, len(request)-req.Layout.MAC-4, s)
	if !bytes.Equal(resp[:n], reply) {
		t.Errorf("key %s: sealed\n%x, the daemon sent\n%x", id, resp[:n], reply)
	}
}

func requestOf(packet []byte, keys ntp.Keys) ntp.Request {
	req := ntp.Request{Packet: packet, Layout: ntp.Classify(packet, keys), From: netip.MustParseAddrPort("192.0.2.1:123")}
	if len(packet) >= ntp.HeaderLen {
		req.Header.Decode(packet)
	}
	return req
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// testPacket returns a header of version 4, mode 3, with room for any MAC.
func testPacket() []byte {
	p := make([]byte, ntp.HeaderLen+4+maxMACLen)
	for i := range ntp.HeaderLen {
		p[i] = byte(i * 7)
	}
	p[0] = 4<<3 | byte(ntp.ModeClient)
	return p
}

func secretFor(a *algorithm) []byte {
	n := a.aesKey
	if n == 0 {
		n = 20
	}
	return bytes.Repeat([]byte{0x5a, 0xc3, 1, 2}, 8)[:n]
}

// TestMACLengths: whole and cut to 20 are accepted and mirrored, nothing else.
func TestMACLengths(t *testing.T) {
	s := NewScratch()
	for i := range algorithms {
		k := mustKey(t, 7, algorithms[i].name, secretFor(&algorithms[i]))
		table := mustTable(t, k)
		for n := 0; n <= maxMACLen; n += 4 {
			want := n == k.MACLen() || n == 20 && k.MACLen() > 20
			p := testPacket()
			sealed := k.Seal(p, ntp.HeaderLen, n, s)
			if want != (sealed == ntp.HeaderLen+4+n) || !want && sealed != 0 {
				t.Errorf("%s: Seal with %d octets returned %d", k.Algorithm(), n, sealed)
			}
			copy(p[ntp.HeaderLen:], []byte{0, 0, 0, 7})
			copy(p[ntp.HeaderLen+4:], k.compute(p[:ntp.HeaderLen], s)) // a true prefix of the MAC
			req := ntp.Request{Packet: p[:ntp.HeaderLen+4+n], Layout: ntp.Layout{Kind: ntp.KindSymmetric, MAC: ntp.HeaderLen, KeyID: 7}}
			v, got := table.Open(&req, s)
			switch {
			case want && (v.Action != ntp.Answer || got != k):
				t.Errorf("%s: a MAC of %d octets is refused: %+v", k.Algorithm(), n, v)
			case n == 0 && (v.Action != ntp.Drop || got != nil):
				t.Errorf("%s: no MAC: %+v", k.Algorithm(), v)
			case !want && n > 0 && (v.Action != ntp.CryptoNAK || v.Reason != ntp.ReasonBadMAC || got != nil):
				t.Errorf("%s: a MAC of %d octets: %+v", k.Algorithm(), n, v)
			}
		}
		if got := k.WireLen(4); got != min(20, k.MACLen()) {
			t.Errorf("%s: WireLen(4) = %d", k.Algorithm(), got)
		}
		if got := k.WireLen(3); got != k.MACLen() {
			t.Errorf("%s: WireLen(3) = %d", k.Algorithm(), got)
		}
	}
}

// TestEveryBitCounts flips each bit of a sealed packet with an extension field.
func TestEveryBitCounts(t *testing.T) {
	s := NewScratch()
	for _, algorithm := range []string{"MD5", "SHA256", "AES128CMAC"} {
		secret := bytes.Repeat([]byte{9}, 16)
		k := mustKey(t, 1<<20+5, algorithm, secret)
		p := ntp.AppendField(testPacket()[:ntp.HeaderLen], 0x0104, bytes.Repeat([]byte{3}, 32), 0)
		n := len(p)
		p = append(p, make([]byte, 4+20)...)
		p = p[:k.Seal(p, n, k.WireLen(4), s)]
		if !k.Verify(p, n, s) {
			t.Fatalf("%s does not verify its own packet", algorithm)
		}
		for bit := range 8 * len(p) {
			p[bit/8] ^= 1 << (bit % 8)
			if k.Verify(p, n, s) {
				t.Errorf("%s: bit %d does not count", algorithm, bit)
			}
			p[bit/8] ^= 1 << (bit % 8)
		}
		other := mustKey(t, 1<<20+5, algorithm, append(secret[1:], 8))
		if other.Verify(p, n, s) {
			t.Errorf("%s: another secret verifies", algorithm)
		}
	}
}

// TestLongInput: what does not fit into the scratch memory gives the same MAC
// as what does.
func TestLongInput(t *testing.T) {
	s := NewScratch()
	for i := range algorithms {
		a := &algorithms[i]
		if a.digest == nil {
			continue
		}
		k := mustKey(t, 1, a.name, secretFor(a))
		msg := bytes.Repeat([]byte{1, 2, 3}, 1000)
		short := bytes.Clone(k.compute(msg, s))
		d := a.digest.New()
		d.Write(k.secret)
		d.Write(msg)
		if got := d.Sum(nil); !bytes.Equal(got, short) {
			t.Errorf("%s: %x in one call, %x by pieces", a.name, short, got)
		}
		long := k.compute(make([]byte, 65535), s)
		d.Reset()
		d.Write(k.secret)
		d.Write(make([]byte, 65535))
		if got := d.Sum(nil); !bytes.Equal(got, long) || len(got) != a.macLen {
			t.Errorf("%s: long input: %x, want %x", a.name, long, got)
		}
	}
}

func TestOpenVerdicts(t *testing.T) {
	near := mustKey(t, 1, "SHA1", []byte("0123456789abcdef"), netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("fe80::/10")).LimitClients()
	sources := mustKey(t, 4, "SHA1", []byte("0123456789abcdef"), netip.MustParsePrefix("192.0.2.0/24"))
	hidden := mustKey(t, 2, "SHA1", []byte("0123456789abcdef"))
	trusted, err := ParseTrusted([]string{"1", "4"})
	if err != nil {
		t.Fatal(err)
	}
	table, err := NewTable([]*Key{near, hidden, sources}, trusted)
	if err != nil {
		t.Fatal(err)
	}
	s := NewScratch()
	sealed := func(k *Key) []byte { p := testPacket(); return p[:k.Seal(p, ntp.HeaderLen, 20, s)] }
	wrong := sealed(near)
	wrong[len(wrong)-1] ^= 1
	unknown := sealed(near)
	binary.BigEndian.PutUint32(unknown[ntp.HeaderLen:], 3)
	nak := append(testPacket()[:ntp.HeaderLen], 0, 0, 0, 0)
	for _, test := range []struct {
		name   string
		packet []byte
		from   string
		action ntp.Action
		reason ntp.Reason
		detail uint32
	}{
		{"good", sealed(near), "192.0.2.77", ntp.Answer, ntp.ReasonOK, 1},
		{"zone", sealed(near), "fe80::1%eth0", ntp.Answer, ntp.ReasonOK, 1},
		{"outside", sealed(near), "198.51.100.1", ntp.CryptoNAK, ntp.ReasonKeyAddress, 1},
		{"outside a list of sources", sealed(sources), "198.51.100.1", ntp.Answer, ntp.ReasonOK, 4},
		{"outside with a wrong MAC", wrong, "198.51.100.1", ntp.CryptoNAK, ntp.ReasonBadMAC, 1},
		{"wrong MAC", wrong, "192.0.2.77", ntp.CryptoNAK, ntp.ReasonBadMAC, 1},
		{"not trusted", sealed(hidden), "192.0.2.77", ntp.CryptoNAK, ntp.ReasonUnknownKey, 2},
		{"not there", unknown, "192.0.2.77", ntp.CryptoNAK, ntp.ReasonUnknownKey, 3},
		{"crypto-NAK", nak, "192.0.2.77", ntp.Drop, ntp.ReasonCryptoNAK, 0},
		{"no MAC", testPacket()[:ntp.HeaderLen], "192.0.2.77", ntp.Drop, ntp.ReasonMalformed, 0},
		{"identifier alone", sealed(near)[:ntp.HeaderLen+4], "192.0.2.77", ntp.Drop, ntp.ReasonMalformed, 1},
	} {
		req := requestOf(test.packet, table)
		req.From = netip.AddrPortFrom(netip.MustParseAddr(test.from), 123)
		v, k := table.Open(&req, s)
		want := ntp.Verdict{Action: test.action, Reason: test.reason, Kind: ntp.KindSymmetric, KeyID: test.detail}
		if v != want || (k != nil) != (test.action == ntp.Answer) {
			t.Errorf("%s: %+v, %v, want %+v", test.name, v, k, want)
		}
	}
	var none *Table
	req := requestOf(sealed(near), none)
	if v, k := none.Open(&req, s); v.Reason != ntp.ReasonUnknownKey || k != nil {
		t.Errorf("nil table: %+v", v)
	}
}

func TestSealWithoutRoom(t *testing.T) {
	k := mustKey(t, 1, "MD5", []byte("0123456789abcdef"))
	for _, room := range []int{0, 48, 67} {
		if n := k.Seal(make([]byte, room), 48, 16, NewScratch()); n != 0 {
			t.Errorf("room for %d: %d", room, n)
		}
	}
	if n := k.Seal(make([]byte, 100), -1, 16, NewScratch()); n != 0 {
		t.Errorf("negative length: %d", n)
	}
}

// TestNoAllocation: neither opening nor sealing allocates, for any algorithm.
func TestNoAllocation(t *testing.T) {
	for i := range algorithms {
		k := mustKey(t, 1, algorithms[i].name, secretFor(&algorithms[i]), netip.MustParsePrefix("192.0.2.0/24"))
		table := mustTable(t, k)
		s := NewScratch()
		p := testPacket()
		n := k.Seal(p, ntp.HeaderLen, k.WireLen(4), s)
		req := requestOf(p[:n], table)
		resp := make([]byte, 128)
		allocs := testing.AllocsPerRun(100, func() {
			v, k := table.Open(&req, s)
			if v.Action != ntp.Answer || k.Seal(resp, ntp.HeaderLen, n-ntp.HeaderLen-4, s) != n {
				t.Fatal("not answered")
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", k.Algorithm(), allocs)
		}
	}
}

func BenchmarkOpenSeal(b *testing.B) {
	for i := range algorithms {
		k := mustKey(b, 1, algorithms[i].name, secretFor(&algorithms[i]))
		b.Run(k.Algorithm(), func(b *testing.B) {
			table := mustTable(b, k)
			s := NewScratch()
			p := testPacket()
			n := k.Seal(p, ntp.HeaderLen, k.WireLen(4), s)
			req := requestOf(p[:n], table)
			resp := make([]byte, 128)
			b.ReportAllocs()
			for b.Loop() {
				_, k := table.Open(&req, s)
				k.Seal(resp, ntp.HeaderLen, n-ntp.HeaderLen-4, s)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	var keys []*Key
	for i := range algorithms {
		keys = append(keys, mustKey(f, uint32(i+1), algorithms[i].name, secretFor(&algorithms[i])))
	}
	keys = append(keys, mustKey(f, 70000, "SHA512", []byte("0123456789abcdef")))
	table := mustTable(f, keys...)
	s := NewScratch()
	for _, k := range keys {
		p := testPacket()
		f.Add(bytes.Clone(p[:k.Seal(p, ntp.HeaderLen, k.WireLen(4), s)]))
		p[0] = 3<<3 | byte(ntp.ModeClient)
		f.Add(bytes.Clone(p[:k.Seal(p, ntp.HeaderLen, k.WireLen(3), s)]))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		req := requestOf(packet, table)
		v, k := table.Open(&req, s)
		if (v.Action == ntp.Answer) != (k != nil) {
			t.Fatalf("%+v with %v", v, k)
		}
		if k == nil {
			return
		}
		resp := bytes.Clone(packet)
		n := k.Seal(resp, req.Layout.MAC, len(packet)-req.Layout.MAC-4, s)
		if !bytes.Equal(resp[:n], packet) {
			t.Fatalf("sealing what was accepted gives %x, not %x", resp[:n], packet)
		}
	})
}
