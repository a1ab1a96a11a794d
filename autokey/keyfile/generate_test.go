package keyfile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ntsbridge/autokey/identity"
)

func TestGenerateRSA(t *testing.T) {
	for _, bits := range []int{512, 513, 768, 1024, 2048} {
		k, err := GenerateRSA(rand.Reader, bits, nil)
		if err != nil {
			t.Fatal(err)
		}
		if k.Bits() != bits {
			t.Errorf("%d bits: got %d", bits, k.Bits())
		}
		if k.P.Cmp(k.Q) <= 0 || !k.P.ProbablyPrime(10) || !k.Q.ProbablyPrime(10) {
			t.Errorf("%d bits: primes are wrong", bits)
		}
		sig, err := Sign(rand.Reader, k, RSASHA1, []byte("text"))
		if err != nil {
			t.Fatal(err)
		}
		if err := DefaultPolicy().Verify(k.Public(), RSASHA1, []byte("text"), sig); err != nil {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
	for _, bits := range []int{0, 511, 4097} {
		if _, err := GenerateRSA(rand.Reader, bits, nil); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
	if _, err := GenerateRSA(bytes.NewReader(make([]byte, 40)), 1024, nil); err == nil {
		t.Error("an exhausted random source was not noticed")
	}
}

func TestGenerateDSA(t *testing.T) {
	for _, c := range []struct {
		bits, order int
		nid         NID
	}{{512, 160, DSASHA1}, {1024, 160, DSASHA256}, {1280, 256, DSASHA256}} {
		tries := 0
		k, err := GenerateDSA(rand.Reader, c.bits, func(what string, tried int) { tries = tried })
		if err != nil {
			t.Fatal(err)
		}
		if k.P.BitLen() != c.bits || k.Q.BitLen() != c.order {
			t.Errorf("%d bits: lengths %d and %d (%d tries)", c.bits, k.P.BitLen(), k.Q.BitLen(), tries)
		}
		sig, err := Sign(rand.Reader, k, c.nid, []byte("text"))
		if err != nil {
			t.Fatal(err)
		}
		if err := DefaultPolicy().Verify(k.Public(), c.nid, []byte("text"), sig); err != nil {
			t.Errorf("%d bits: %v", c.bits, err)
		}
	}
}

func TestFindScheme(t *testing.T) {
	rsa, dsa := &RSAPublicKey{}, &DSAPublicKey{}
	for _, c := range []struct {
		name string
		key  PublicKey
		want NID
		file string
	}{
		{"RSA-MD5", rsa, RSAMD5, "RSA-MD5"},
		{"rsa-sha256", rsa, RSASHA256, "RSA-SHA256"},
		{"SHA256", rsa, RSASHA256, "RSA-SHA256"},
		{"sha1", rsa, RSASHA1, "RSA-SHA1"},
		{"md5", rsa, RSAMD5, "RSA-MD5"},
		{"RSA-SHA1-2", rsa, RSASHA1, "RSA-SHA1"},
		{"sha512WithRSAEncryption", rsa, RSASHA512, "RSA-SHA512"},
		{"RSA-RIPEMD160", rsa, RSARIPEMD160, "RSA-RIPEMD160"},
		{"SHA1", dsa, DSASHA1, "RSA-SHA1"},
		{"RSA-SHA256", dsa, DSASHA256, "RSA-SHA256"},
		{"DSA-SHA1", dsa, DSASHA1, "RSA-SHA1"},
		{"md5", dsa, 0, ""}, {"DSA-SHA1", rsa, 0, ""}, {"RSA-MD2", rsa, 0, ""}, {"RSA-SHA", rsa, 0, ""},
		{"", rsa, 0, ""}, {strings.Repeat("x", 1000), rsa, 0, ""},
	} {
		got, err := FindScheme(c.name, c.key)
		if got != c.want || (err == nil) != (c.want != 0) || len(fmt.Sprint(err)) > 300 {
			t.Errorf("%.20s with %T: %v, %v", c.name, c.key, got, err)
		}
		if c.want != 0 && CertificateScheme(got) != c.file {
			t.Errorf("%s: in file names %q, want %q", c.name, CertificateScheme(got), c.file)
		}
	}
}

func TestMVGroupFile(t *testing.T) {
	g, err := identity.GenerateMV(rand.Reader, 256, 4, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := Header{Name: "ntpkey_MVta_tick", Filestamp: 4004289236, Made: time.Unix(0, 0)}
	file, err := EncodeMVGroup(rand.Reader, h, g, Encoding{Traditional: true, Cipher: DefaultCipher, Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(file, []byte("-----BEGIN DSA PRIVATE KEY-----")); n != 6 || bytes.Count(file, []byte("# ")) != 2 {
		t.Fatalf("%d keys in\n%s", n, file)
	}
	back, stamp, err := ReadMVGroup(file, "secret")
	if err != nil {
		t.Fatal(err)
	}
	if stamp != h.Filestamp || back.A.Cmp(g.A) != 0 || back.B.Cmp(g.B) != 0 || back.Server.GHat.Cmp(g.Server.GHat) != 0 ||
		len(back.Clients) != 4 || back.Clients[3].XHat.Cmp(g.Clients[3].XHat) != 0 {
		t.Error("the group changed on its way through the file")
	}
	if _, _, err := ReadMVGroup(file, "other"); !errors.Is(err, ErrPassword) {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := EncodeMVGroup(rand.Reader, h, g, Encoding{}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("PKCS #8: %v", err)
	}
	real, err := os.ReadFile("testdata/keys/mv-b256-n5/ntpkey_MVta_tick.4004289236")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadMVGroup(real, "serverpw"); !errors.Is(err, ErrIncomplete) {
		t.Errorf("a file of ntp-keygen: %v", err)
	}
}

// inspectAt is when the key sets of testdata were new.
var inspectAt = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// Every key file of testdata can be told what it is, and the judgement is what
// two real ntpd showed with these files.
func TestInspect(t *testing.T) {
	type verdict struct {
		Kind           Kind
		Owner          string
		Server, Client string // "ok", "no", or "-"
	}
	word := func(a *Acceptance) string {
		switch {
		case a == nil:
			return "-"
		case a.OK:
			return "ok"
		}
		return "no"
	}
	for name, want := range map[string]verdict{
		"keys/all3/ntpkey_host_tick":                      {KindHostKey, "tick", "ok", "ok"},
		"keys/all3/ntpkey_cert_tick":                      {KindCertificate, "tick", "ok", "ok"},
		"keys/all3/ntpkey_iffkey_tick":                    {KindIFFKey, "tick", "ok", "no"},
		"keys/all3/ntpkey_gqkey_tick":                     {KindGQKey, "tick", "no", "no"},
		"keys/all3/ntpkey_mvta_tick":                      {KindMVAuthority, "tick", "-", "-"},
		"keys/tc-rsasign1024/ntpkey_sign_tick":            {KindSignKey, "tick", "ok", "ok"},
		"keys/tc-dsasign1024-sha256/ntpkey_sign_tick":     {KindSignKey, "tick", "no", "no"},
		"keys/tc-dsasign1024-sha256/ntpkey_cert_tick":     {KindCertificate, "tick", "no", "no"},
		"keys/iff-b512/export-e.pem":                      {KindIFFGroup, "tick", "no", "no"},
		"keys/gq-b512/export-e.pem":                       {KindGQGroup, "tick", "no", "no"},
		"keys/iff-group/ntpkey_iffkey_tick":               {KindIFFKey, "grp", "ok", "no"},
		"keys/life0/ntpkey_cert_tick":                     {KindCertificate, "tick", "no", "no"},
		"sessions/mv-pkcs8/client/ntpkey_mvpar_tick":      {KindMVGroup, "tick", "no", "no"},
		"sessions/mv-pkcs8/server/ntpkey_mvkey_tick":      {KindMVKey, "tick", "no", "no"},
		"sessions/iff-b512/client/ntpkey_iffpar_tick":     {KindIFFGroup, "tick", "no", "ok"},
		"sessions/gq-b512-fixed/server/ntpkey_gqkey_tick": {KindGQKey, "tick", "ok", "no"},
		"sessions/gq-b512-fixed/client/ntpkey_gqpar_tick": {KindGQGroup, "tick", "no", "ok"},
		"sessions/mv-b256-n5/server/ntpkey_mvkey_tick":    {KindMVKey, "tick", "ok", "no"},
		"sessions/mv-b256-n5/client/ntpkey_mvpar_tick":    {KindMVGroup, "tick", "no", "ok"},
	} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Error(err)
			continue
		}
		if target := strings.TrimSpace(string(data)); strings.HasPrefix(target, "ntpkey_") { // a link in archives
			data, err = os.ReadFile(filepath.Join("testdata", filepath.Dir(name), target))
			if err != nil {
				t.Error(err)
				continue
			}
		}
		i, err := Inspect(data, "serverpw", inspectAt)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := verdict{i.Kind, i.Owner, word(i.Server), word(i.Client)}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s%+v %+v", name, d, i.Server, i.Client)
		}
		for _, a := range []*Acceptance{i.Server, i.Client} {
			if a != nil && a.OK != (len(a.Reasons) == 0) {
				t.Errorf("%s: %+v", name, a)
			}
		}
	}
}

// A certificate and its key, and the files of one group, are told by the same
// fingerprint.
func TestFingerprint(t *testing.T) {
	print := func(name string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		i, err := Inspect(data, "serverpw", inspectAt)
		if err != nil {
			t.Fatal(err)
		}
		return i.Fingerprint
	}
	for _, pair := range [][2]string{
		{"keys/tc-rsa512-md5/ntpkey_RSAhost_tick.4004289234", "keys/tc-rsa512-md5/ntpkey_RSA-MD5cert_tick.4004289234"},
		{"keys/gq-b512/export-e.pem", "keys/gq-b512/export-q.pem"},
	} {
		if strings.Contains(pair[1], "export-q") {
			data, err := os.ReadFile(filepath.Join("testdata", pair[1]))
			if err != nil {
				t.Fatal(err)
			}
			i, err := Inspect(data, "grouppw", inspectAt)
			if err != nil {
				t.Fatal(err)
			}
			if i.Fingerprint != print(pair[0]) {
				t.Errorf("%v differ", pair)
			}
			continue
		}
		if a, b := print(pair[0]), print(pair[1]); a != b || len(a) != 64 {
			t.Errorf("%v: %s and %s", pair, a, b)
		}
	}
}

func TestRepair(t *testing.T) {
	read := func(name string) []byte {
		t.Helper()
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	serverKey := func(name, password string) *KeyFile {
		t.Helper()
		k, err := ReadKey(read(name), password)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	iff := serverKey("keys/iff-b512/ntpkey_IFFkey_tick.4004289236", "serverpw")
	other := serverKey("keys/iff-group/ntpkey_IFFkey_grp.4004289237", "serverpw")
	for _, c := range []struct {
		name string
		opt  RepairOptions
		want error
		role string
	}{
		{"keys/iff-b512/export-e.pem", RepairOptions{Server: iff}, nil, "client"},
		{"keys/iff-b512/export-e.pem", RepairOptions{}, ErrIncomplete, ""},
		{"keys/iff-b512/export-e.pem", RepairOptions{Server: other}, ErrKeyType, ""},
		{"keys/iff-b512/export-q.pem", RepairOptions{Password: "grouppw", Group: true}, nil, "client"},
		{"keys/iff-b512/ntpkey_IFFkey_tick.4004289236", RepairOptions{Password: "serverpw"}, ErrNothingToRepair, ""},
		{"keys/gq-b512/export-e.pem", RepairOptions{}, nil, "client"},
		{"keys/gq-b512/ntpkey_GQkey_tick.4004289236", RepairOptions{Password: "serverpw"}, nil, "server"},
		{"keys/gq-b512/ntpkey_GQkey_tick.4004289236", RepairOptions{Password: "serverpw", Group: true}, nil, "client"},
		{"keys/mv-b256-n5/ntpkey_MVta_tick.4004289236", RepairOptions{Password: "serverpw"}, ErrIncomplete, ""},
		{"keys/all3/ntpkey_RSAhost_tick.4004289237", RepairOptions{Password: "serverpw"}, ErrKeyType, ""},
	} {
		content, done, err := Repair(rand.Reader, read(c.name), c.opt)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
			continue
		}
		if err != nil {
			continue
		}
		i, err := Inspect(content, c.opt.Password, inspectAt)
		if err != nil || done == "" {
			t.Errorf("%s: %v, %q", c.name, err, done)
			continue
		}
		accepted := i.Client
		if c.role == "server" {
			accepted = i.Server
		}
		was, _ := ReadKey(read(c.name), c.opt.Password)
		if !accepted.OK || i.Filestamp != was.Filestamp || (i.Encrypted != "") != (c.role == "server") {
			t.Errorf("%s became %+v, encrypted %q: %v", c.name, i, i.Encrypted, accepted.Reasons)
		}
		opt := c.opt
		opt.Group = false
		if _, _, err := Repair(rand.Reader, content, opt); c.role == "server" && !errors.Is(err, ErrNothingToRepair) {
			t.Errorf("%s: repaired twice: %v", c.name, err)
		}
	}
}

func FuzzInspect(f *testing.F) {
	files, err := filepath.Glob("testdata/keys/*/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := Inspect(data, "serverpw", inspectAt)
		if err == nil && (i.Kind == "" || i.Bits == 0) {
			t.Errorf("neither error nor kind: %+v", i)
		}
		_, _, _ = Repair(rand.Reader, data, RepairOptions{Password: "serverpw", Now: inspectAt})
		NeedsPassword(data)
	})
}
