package autokey

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"ntsbridge/autokey/keyfile"
)

// readVectors reads testdata/vectors/NAME.json.
func readVectors(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "vectors", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unhex32(t testing.TB, s string) uint32 {
	t.Helper()
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// vectorDigests maps the names in the vectors, which are Python's.
var vectorDigests = map[string]Digest{
	"md5": MD5, "md4": MD4, "sha1": SHA1, "sha256": SHA256, "sha512": SHA512, "ripemd160": RIPEMD160,
}

func TestSessionKeyVectors(t *testing.T) {
	var file struct {
		Vectors []struct {
			Digest, Src, Dst, KeyID, Cookie string
			SessionKey                      string `json:"session_key"`
			NextKeyID                       string `json:"next_keyid"`
		}
	}
	readVectors(t, "session_keys", &file)
	if len(file.Vectors) < 100 {
		t.Fatalf("%d vectors", len(file.Vectors))
	}
	for _, v := range file.Vectors {
		d, ok := vectorDigests[v.Digest]
		if !ok {
			t.Fatalf("digest %q", v.Digest)
		}
		got := NewScratch(d).SessionKey(netip.MustParseAddr(v.Src), netip.MustParseAddr(v.Dst), unhex32(t, v.KeyID), unhex32(t, v.Cookie))
		if want := unhex(t, v.SessionKey); !bytes.Equal(got, want) {
			t.Errorf("%v: session key %x", v, got)
		}
		if nextKeyID(got) != unhex32(t, v.NextKeyID) {
			t.Errorf("%v: next key identifier %08x", v, nextKeyID(got))
		}
	}
}

func TestSessionKeyUnmaps(t *testing.T) {
	a, b := netip.MustParseAddr("10.98.0.2"), netip.MustParseAddr("10.98.0.1")
	mapped := netip.MustParseAddr("::ffff:10.98.0.2")
	if got, want := NewScratch(MD5).SessionKey(mapped, b, 70000, 1), NewScratch(MD5).SessionKey(a, b, 70000, 1); !bytes.Equal(got, want) {
		t.Errorf("4-in-6 address: %x, want %x", got, want)
	}
}

func TestKeyListVectors(t *testing.T) {
	var file struct {
		Vectors []struct {
			SeenIn    string `json:"seen_in"`
			Src, Dst  string
			Cookie    string
			Seq       int
			Final     string `json:"final_keyid"`
			Tstamp    uint32
			Poll      uint
			KeyIDs    []string
			Lifetimes []int
		}
	}
	readVectors(t, "key_lists", &file)
	for _, v := range file.Vectors {
		automax := uint8(defaultAutomax)
		if v.SeenIn == "automax6" {
			automax = 6
		}
		var want []uint32
		for _, id := range v.KeyIDs {
			want = append(want, unhex32(t, id))
		}
		first := unhex(t, v.KeyIDs[0])
		l, err := newKeyList(NewScratch(MD5), keyListParameters{
			Source: netip.MustParseAddr(v.Src), Destination: netip.MustParseAddr(v.Dst),
			Cookie: unhex32(t, v.Cookie), Poll: time.Second << v.Poll, Automax: automax,
			Synchronised: v.Tstamp != 0,
		}, bytes.NewReader(first))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(l.ids, want) {
			t.Errorf("%s %s: %d identifiers %08x", v.SeenIn, v.KeyIDs[0], len(l.ids), l.ids)
		}
		if got := l.values(); got.KeyID != unhex32(t, v.Final) || int(got.Sequence) != v.Seq {
			t.Errorf("%s %s: values %+v", v.SeenIn, v.KeyIDs[0], got)
		}
	}
}

func TestKeyListUse(t *testing.T) {
	p := keyListParameters{
		Source: netip.MustParseAddr("192.0.2.1"), Destination: netip.MustParseAddr("192.0.2.2"),
		Poll: 8 * time.Second, Automax: defaultAutomax, Synchronised: true, Cookie: 7,
	}
	// The first roll is too small, the second is in use.
	rand := []byte{0, 0, 255, 255, 0x80, 1, 0, 0, 0x40, 0, 0, 0}
	p.InUse = func(id uint32) bool { return id == 0x10000 }
	s := NewScratch(MD5)
	l, err := newKeyList(s, p, bytes.NewReader(rand))
	if err != nil {
		t.Fatal(err)
	}
	if l.ids[0] != 0x40000000 {
		t.Errorf("first identifier %08x", l.ids[0])
	}
	for last := uint32(0); ; {
		id, ok := l.next()
		if !ok {
			break
		}
		if next := nextKeyID(s.SessionKey(p.Source, p.Destination, id, p.Cookie)); last != 0 && next != last {
			t.Fatalf("identifier %08x gives %08x, want that of the packet before, %08x", id, next, last)
		}
		last = id
	}
	if l.left != 0 {
		t.Errorf("%d left", l.left)
	}
	if _, err := newKeyList(s, p, bytes.NewReader(nil)); err == nil {
		t.Error("no error without randomness")
	}
	if _, err := newKeyList(s, p, bytes.NewReader(make([]byte, 1000))); err == nil {
		t.Error("no error with a source of zeros")
	}
}

func TestAutokeyValueVectors(t *testing.T) {
	var file struct {
		Vectors []struct {
			Tstamp, Fstamp uint32
			Value, Key     string
			Seq            uint32
			Signed         string
		}
		Leap []struct {
			Value     string
			TAI       uint32
			LeapEpoch uint32 `json:"leap_epoch"`
			Expire    uint32
		}
	}
	readVectors(t, "autokey_values", &file)
	for _, v := range file.Vectors {
		value := unhex(t, v.Value)
		got, ok := parseAutokeyValues(value)
		if want := (AutokeyValues{unhex32(t, v.Key), v.Seq}); !ok || got != want {
			t.Errorf("autokey values %+v, want %+v", got, want)
		}
		m := Message{Timestamp: v.Tstamp, Filestamp: v.Fstamp, Value: got.append(nil)}
		if signed := m.appendSigned(nil); hex.EncodeToString(signed) != v.Signed {
			t.Errorf("signed octets %x", signed)
		}
	}
	for _, v := range file.Leap {
		value := unhex(t, v.Value)
		got, ok := parseLeapValues(value)
		if want := (LeapValues{v.TAI, v.LeapEpoch, v.Expire}); !ok || got != want || !bytes.Equal(got.append(nil), value) {
			t.Errorf("leap values %+v, want %+v", got, want)
		}
	}
	if _, ok := parseAutokeyValues(make([]byte, 12)); ok {
		t.Error("12 octets taken for autokey values")
	}
	if _, ok := parseLeapValues(make([]byte, 8)); ok {
		t.Error("8 octets taken for leap values")
	}
}

func TestCookieVectors(t *testing.T) {
	var file struct {
		Vectors []struct {
			Session, Digest string
			Request         string `json:"request_value_pkcs1_der"`
			Reply           string `json:"reply_value_oaep"`
			Cookie          string
			Key             struct{ N, E, D string } `json:"client_host_key"`
		}
	}
	readVectors(t, "cookies", &file)
	for _, v := range file.Vectors {
		client, server := netip.MustParseAddr("10.98.0.2"), netip.MustParseAddr("10.98.0.1")
		if v.Session == "iff-ipv6" {
			client, server = netip.MustParseAddr("fd98::2"), netip.MustParseAddr("fd98::1")
		}
		want := unhex32(t, v.Cookie)
		if got := NewScratch(vectorDigests[v.Digest]).Cookie(client, server, 0); got != want {
			t.Errorf("%s: cookie %08x, want %08x", v.Session, got, want)
		}
		pub, err := keyfile.ParsePublicKey(unhex(t, v.Request))
		if err != nil {
			t.Fatal(err)
		}
		n, _ := new(big.Int).SetString(v.Key.N, 16)
		if pub.N.Cmp(n) != 0 {
			t.Errorf("%s: modulus %x", v.Session, pub.N)
		}
	}
}

func TestSignatureVectors(t *testing.T) {
	var file struct {
		Vectors []struct {
			Session, EF, Signed, Signature string
			NID                            keyfile.NID
			N                              string `json:"pubkey_n"`
			E                              string `json:"pubkey_e"`
		}
	}
	readVectors(t, "signatures", &file)
	for _, v := range file.Vectors {
		n, _ := new(big.Int).SetString(v.N, 16)
		e, _ := new(big.Int).SetString(v.E, 16)
		pub := &keyfile.RSAPublicKey{N: n, E: e}
		signed := unhex(t, v.Signed)
		if err := keyfile.Verify(pub, v.NID, signed, unhex(t, v.Signature)); err != nil {
			t.Errorf("%s %s: %v", v.Session, v.EF, err)
		}
		signed[0] ^= 1
		if err := keyfile.Verify(pub, v.NID, signed, unhex(t, v.Signature)); err == nil {
			t.Errorf("%s %s: other timestamp verifies", v.Session, v.EF)
		}
	}
}

func TestParseDigest(t *testing.T) {
	for i := range digests {
		d, ok := ParseDigest(digests[i].Name)
		if !ok || d != Digest(i) || d.String() != digests[i].Name {
			t.Errorf("%s: %v %v", digests[i].Name, d, ok)
		}
		if h := digests[i].New().Sum(nil); len(h) != d.size() || d.size() > maxDigestLen {
			t.Errorf("%v: size %d, want %d", d, d.size(), len(h))
		}
	}
	for _, name := range []string{"", "sha1", "MD2", "AES128CMAC"} {
		if d, ok := ParseDigest(name); ok || d != MD5 {
			t.Errorf("%q: %v %v", name, d, ok)
		}
	}
	if MD5.macLen() != 16 || SHA512.macLen() != 20 || SHA3_224.macLen() != 20 {
		t.Error("MAC lengths")
	}
}

func TestSecretsAreHidden(t *testing.T) {
	cfg := testConfig(t, "tc-rsa512-md5")
	cfg.Seed, cfg.OlderSeeds = 305419896, []Seed{305419896}
	s := newTestServer(t, cfg)
	sess := new(Session)
	s.Open(testNow, true, newPeer(MD5).plain(cfg.Seed), sess, false)
	for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%x", "%s"} {
		for _, v := range []any{cfg.Seed, cfg.OlderSeeds, s, sess, &sess.scratch} {
			text := fmt.Sprintf(verb, v)
			if strings.Contains(text, "305419896") || strings.Contains(text, "12345678") || len(text) > 100 {
				t.Errorf("%s of %T: %.200s", verb, v, text)
			}
		}
	}
}
