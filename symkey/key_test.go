package symkey

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestNewKeyNames(t *testing.T) {
	for name, want := range map[string]string{
		"MD5": "MD5", "md5": "MD5", "sha1": "SHA1", "SHA-1": "SHA1", "SHA256": "SHA256", "sha2-256": "SHA256",
		"SHA512/256": "SHA512-256", "SHA3-256": "SHA3-256", "ripemd160": "RIPEMD160", "BLAKE2b512": "BLAKE2b512",
		"AES128": "AES128CMAC", "AES128CMAC": "AES128CMAC", "AES-128-CMAC": "AES128CMAC", "AES": "AES128CMAC", "AES-128": "AES128CMAC",
		"AES-192": "AES192CMAC", "AES256": "AES256CMAC", "AES-256": "AES256CMAC", "AES256CMAC": "AES256CMAC", "AES-256-CMAC": "AES256CMAC",
	} {
		n := map[string]int{"AES128CMAC": 16, "AES192CMAC": 24, "AES256CMAC": 32}[want]
		if k, err := NewKey(1, name, make([]byte, max(n, 20)), nil); n == 0 && (err != nil || k.Algorithm() != want) {
			t.Errorf("%s: %v, %v", name, k, err)
		} else if n == 0 {
			continue
		}
		if k, err := NewKey(1, name, make([]byte, n), nil); err != nil || k.Algorithm() != want {
			t.Errorf("%s: %v, %v", name, k, err)
		}
		if _, err := NewKey(1, name, make([]byte, n-1), nil); !errors.Is(err, errSecret) {
			t.Errorf("%s with a short secret: %v", name, err)
		}
	}
}

func TestNewKeyErrors(t *testing.T) {
	sixteen := []byte("0123456789abcdef")
	for _, test := range []struct {
		id        uint32
		algorithm string
		secret    []byte
		class     error
		text      string
	}{
		{1, "TIGER", sixteen, errAlgorithm, "TIGER is not offered: make a new key"},
		{1, "whirlpool", sixteen, errAlgorithm, "WHIRLPOOL is not offered: make a new key"},
		{1, "nonsense", sixteen, errAlgorithm, "none of MD5, "},
		{1, "", sixteen, errAlgorithm, "none of MD5, "},
		{1, "M", sixteen, errAlgorithm, "none of MD5, "}, // a habit of key files only
		{0, "MD5", sixteen, nil, "reserved for crypto-NAKs"},
		{1, "MD5", nil, errSecret, "0 octets"},
		{1, "MD5", make([]byte, 2049), errSecret, "2049 octets"},
		{1, "AES256", sixteen, errSecret, "takes exactly 32 octets, not 16"},
	} {
		_, err := NewKey(test.id, test.algorithm, test.secret, nil)
		if err == nil || !strings.Contains(err.Error(), test.text) || test.class != nil && !errors.Is(err, test.class) {
			t.Errorf("%s: %v, want %q", test.algorithm, err, test.text)
		}
	}
	if _, err := NewKey(1, "MD5", sixteen, []netip.Prefix{{}}); err == nil {
		t.Error("an invalid prefix is taken")
	}
}

func TestKeyIsImmutable(t *testing.T) {
	secret := []byte("0123456789abcdef")
	prefixes := []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}
	k := mustKey(t, 1, "SHA1", secret, prefixes...)
	before := bytes.Clone(k.compute([]byte("x"), NewScratch()))
	secret[0], prefixes[0] = 0, netip.Prefix{}
	k.Addresses()[0] = netip.Prefix{}
	if got := k.Addresses()[0].String(); got != "192.0.2.0/24" || !bytes.Equal(before, k.compute([]byte("x"), NewScratch())) {
		t.Errorf("the key changed: %s", got)
	}
}

func TestKeyRedacts(t *testing.T) {
	k := mustKey(t, 7, "SHA256", []byte("very-secret-word"))
	const want = "key 7 (SHA256, 16 octets)"
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		if got := fmt.Sprintf(verb, k); got != want {
			t.Errorf("%s: %s", verb, got)
		}
	}
	if got := fmt.Sprintf("%v %+v", []*Key{k}, struct{ K *Key }{k}); strings.Contains(got, "secret") {
		t.Error(got)
	}
	var none *Key
	if got := fmt.Sprint(none); got != "<nil>" {
		t.Error(got)
	}
	if got := fmt.Sprintf("%v %+v %#v %x", *k, *k, *k, *k); got != want+" "+want+" "+want+" "+want {
		t.Errorf("a copied key shows itself: %s", got)
	}
}

func TestWeaknesses(t *testing.T) {
	for _, test := range []struct {
		algorithm, secret string
		want              []string
	}{
		{"AES128CMAC", "0123456789abcdef", nil},
		{"SHA256", "0123456789abcdef", nil},
		{"SHA256", "short", []string{"the secret has 5 octets"}},
		{"MD5", "0123456789abcdef", []string{"MD5 is broken"}},
		{"SHA1", "0123456789abcdef0123", []string{"SHA1 is deprecated"}},
		{"SHA512", strings.Repeat("x", 32), []string{"the secret repeats one octet"}},
	} {
		got := mustKey(t, 1, test.algorithm, []byte(test.secret)).Weaknesses()
		if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
			t.Errorf("%s %s: %q, want %q", test.algorithm, test.secret, got, test.want)
		}
	}
	file, err := ParseNTPKeys("ntp.keys", []byte("1 AES128CMAC short\n"))
	if err != nil || len(file.Keys[0].Weaknesses()) != 1 {
		t.Errorf("padding hides a short secret: %v, %v", file.Keys, err)
	}
}

func TestTable(t *testing.T) {
	trusted, err := ParseTrusted([]string{"1-5", "70000"})
	if err != nil {
		t.Fatal(err)
	}
	first := mustKey(t, 5, "SHA512", []byte("first"))
	table, err := NewTable([]*Key{first, mustKey(t, 70000, "MD5", []byte("high")), mustKey(t, 6, "MD5", []byte("untrusted")),
		mustKey(t, 5, "MD5", []byte("second")), mustKey(t, 1, "MD5", []byte("low"))}, trusted)
	if err != nil {
		t.Fatal(err)
	}
	var order []uint32
	for k := range table.All() {
		order = append(order, k.ID())
	}
	if !slices.Equal(order, []uint32{1, 5, 70000}) || table.Len() != 3 {
		t.Errorf("keys %v, %d", order, table.Len())
	}
	if table.Lookup(5) != first || table.Lookup(6) != nil || table.Lookup(0) != nil {
		t.Error("wrong keys")
	}
	if n, ok := table.FullMACLen(5); n != 64 || !ok {
		t.Errorf("MAC of %d octets, %v", n, ok)
	}
	if n, ok := table.FullMACLen(6); n != 0 || ok {
		t.Errorf("untrusted key: %d octets, %v", n, ok)
	}
	if _, err := NewTable([]*Key{nil}, TrustAll); err == nil {
		t.Error("a nil key is taken")
	}
	var none *Table
	for k := range none.All() {
		t.Error(k)
	}
	if _, ok := none.FullMACLen(1); ok || none.Len() != 0 || none.Lookup(1) != nil {
		t.Error("a nil table has keys")
	}
}

func TestParseTrusted(t *testing.T) {
	for _, test := range []struct {
		items []string
		want  string // or the error's text
		bad   bool
	}{
		{nil, "", false},
		{[]string{"7"}, "7", false},
		{[]string{"1-9"}, "1-9", false},
		{[]string{"1 ... 9"}, "1-9", false},
		{[]string{"1...9"}, "1-9", false},
		{[]string{"1", "...", "9"}, "1-9", false},
		{[]string{"(1", "...", "9)", "12"}, "1-9 12", false},
		{[]string{"12, 3", "4", "1-2"}, "1-4 12", false},
		{[]string{"5-9 7-20 4294967295"}, "5-20 4294967295", false},
		{[]string{"1-4294967295 5"}, "1-4294967295", false},
		{[]string{"0"}, "out of range", true},
		{[]string{"4294967296"}, "out of range", true},
		{[]string{"9-1"}, "runs backwards; write it as 1-9", true},
		{[]string{"1-"}, "has no end", true},
		{[]string{"-5"}, "not a key identifier", true},
		{[]string{"1-2-3"}, "not a key identifier", true},
		{[]string{"all"}, "not a key identifier", true},
		{[]string{"1 ..."}, "has no end", true},
	} {
		set, err := ParseTrusted(test.items)
		switch {
		case test.bad && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%q: error %v, want %q", test.items, err, test.want)
		case !test.bad && (err != nil || set.String() != test.want):
			t.Errorf("%q: %v, %v, want %q", test.items, set, err, test.want)
		}
	}
	if TrustAll.Contains(0) || !TrustAll.Contains(1<<32-1) || TrustAll.String() != "all" || (TrustedSet{}).Contains(1) {
		t.Error("the sets of all and of none are wrong")
	}
}

// TestTrustedAgainstList compares the set with a plain list.
func TestTrustedAgainstList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var items []string
		var want [64]bool
		for range rapid.IntRange(0, 8).Draw(t, "n") {
			low := rapid.IntRange(1, 60).Draw(t, "low")
			high := rapid.IntRange(low, 63).Draw(t, "high")
			items = append(items, fmt.Sprintf("%d ... %d", low, high))
			for id := low; id <= high; id++ {
				want[id] = true
			}
		}
		set, err := ParseTrusted(items)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseTrusted([]string{set.String()})
		if err != nil {
			t.Fatal(err)
		}
		for id := range want {
			if set.Contains(uint32(id)) != want[id] || again.Contains(uint32(id)) != want[id] {
				t.Fatalf("%v, again %v: key %d", set, again, id)
			}
		}
	})
}

func FuzzParseTrusted(f *testing.F) {
	for _, s := range []string{"7", "1-9", "1 ... 9", "(1 ... 9) 12", "0", "4294967295", "9-1", "1-", "..."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		set, err := ParseTrusted([]string{s})
		if err != nil {
			return
		}
		again, err := ParseTrusted([]string{set.String()})
		if err != nil || again.String() != set.String() || set.Contains(0) {
			t.Fatalf("%q: %v, again %v, %v", s, set, again, err)
		}
	})
}

func TestGenerate(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	for i := range algorithms {
		a := &algorithms[i]
		k, err := Generate(random, 9, a.name)
		if err != nil {
			t.Fatal(err)
		}
		if k.ID() != 9 || k.Algorithm() != a.name || len(k.secret) < 16 || len(k.secret) > 32 {
			t.Errorf("%v", k)
		}
		roundTrip(t, k)
		if _, err := AppendNTPKeysLine(nil, k); (err == nil) != (a.ntpd != "") {
			t.Errorf("%s for ntpd: %v", a.name, err)
		}
		if _, err := AppendChronyKeysLine(nil, k); (err == nil) != (a.chrony != "") {
			t.Errorf("%s for chronyd: %v", a.name, err)
		}
	}
	if _, err := Generate(iotest.ErrReader(errors.New("no randomness")), 1, "SHA1"); err == nil {
		t.Error("a key without randomness")
	}
	if _, err := Generate(random, 1, "TIGER"); !errors.Is(err, errAlgorithm) {
		t.Error(err)
	}
	if _, err := Generate(random, 0, "SHA1"); err == nil {
		t.Error("key 0")
	}
}

func TestWriteLines(t *testing.T) {
	prefix := netip.MustParsePrefix
	for _, test := range []struct {
		key          *Key
		ntpd, chrony string // or a part of the error
	}{
		{mustKey(t, 1, "md5", []byte("plain")), "1 MD5 plain\n", "1 MD5 HEX:706c61696e\n"},
		{mustKey(t, 2, "SHA1", []byte("0123456789abcdef01234"), prefix("192.0.2.1/32"), prefix("2001:db8::/32")),
			"2 SHA1 303132333435363738396162636465663031323334 192.0.2.1,2001:db8::/32\n", "2 SHA1 " +
				"HEX:303132333435363738396162636465663031323334\n"},
		{mustKey(t, 3, "AES128", make([]byte, 16)), "3 AES128CMAC 00000000000000000000000000000000\n", "3 AES128 " +
			"HEX:00000000000000000000000000000000\n"},
		{mustKey(t, 4, "MD5", []byte("with#hash!!")), "4 MD5 77697468236861736821" + "21\n", "4 MD5 HEX:7769746823686173682121\n"},
		{mustKey(t, 5, "MD5", []byte("a b")), "not these 3 octets; make a new key", "5 MD5 HEX:612062\n"},
		{mustKey(t, 6, "MD5", make([]byte, 33)), "not these 33 octets", "6 MD5 HEX:" + strings.Repeat("00", 33) + "\n"},
		{mustKey(t, 65536, "MD5", []byte("plain")), "ntpd's key numbers end at 65535", "65536 MD5 HEX:706c61696e\n"},
		{mustKey(t, 7, "AES192", make([]byte, 24)), "ntpd has no AES192CMAC", "chronyd has no type AES192CMAC"},
		{mustKey(t, 8, "SHA224", []byte("plain")), "8 SHA224 plain\n", "chronyd has no type SHA224"},
		{mustKey(t, 9, "MD5", []byte("plain"), slices.Repeat([]netip.Prefix{prefix("192.0.2.0/24")}, 60)...), "use fewer, wider " +
			"prefixes", "9 MD5 HEX:706c61696e\n"},
		{mustKey(t, 10, "MD5", make([]byte, 1100)), "not these 1100 octets", "do not fit on a line"},
	} {
		for _, got := range []struct {
			write func([]byte, *Key) ([]byte, error)
			want  string
		}{{AppendNTPKeysLine, test.ntpd}, {AppendChronyKeysLine, test.chrony}} {
			line, err := got.write(nil, test.key)
			if err != nil && (strings.HasSuffix(got.want, "\n") || !strings.Contains(err.Error(), got.want)) {
				t.Errorf("%v: error %v, want %q", test.key, err, got.want)
			}
			if err == nil && string(line) != got.want {
				t.Errorf("%v: %q, want %q", test.key, line, got.want)
			}
		}
		roundTrip(t, test.key)
	}
}
