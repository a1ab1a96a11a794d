package keyfile

import (
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// mustKey reads a private key file of testdata.
func mustKey(t testing.TB, name, password string) *KeyFile {
	t.Helper()
	f, err := ReadKey(mustRead(t, name), password)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return f
}

// hostKey512 is the key that all files of testdata/openssl hold.
func hostKey512(t testing.TB) *RSAPrivateKey {
	t.Helper()
	key, err := mustKey(t, "keys/tc-rsa512-md5/ntpkey_host_tick", "serverpw").PrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key.(*RSAPrivateKey)
}

func TestEveryPEMForm(t *testing.T) {
	want := hostKey512(t)
	files, err := filepath.Glob("testdata/openssl/*.pem")
	if err != nil || len(files) < 35 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			data := mustRead(t, "openssl/"+name)
			password := "openssl"
			if strings.Contains(name, "utf8") {
				password = "Zürich€"
			}
			f, err := ReadKey(data, password)
			if name == "v2-scrypt.pem" {
				if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "scrypt") {
					t.Errorf("%v, want ErrUnsupported that names scrypt", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			plain := strings.Contains(name, "plain")
			if f.Filestamp != 4004289234 || f.Encrypted == plain || f.PKCS8 == strings.HasPrefix(name, "trad") {
				t.Errorf("read as %d, encrypted %t, PKCS #8 %t", f.Filestamp, f.Encrypted, f.PKCS8)
			}
			key, err := f.PrivateKey()
			if err != nil || !key.Public().Equal(want.Public()) || key.(*RSAPrivateKey).D.Cmp(want.D) != 0 {
				t.Errorf("another key (%v)", err)
			}
			if plain {
				return
			}
			for _, wrong := range []string{"", "Openssl", "openssl ", strings.Repeat("x", 5000)} {
				if _, err := ReadKey(data, wrong); !errors.Is(err, ErrPassword) {
					t.Errorf("password %.10q: %v, want ErrPassword", wrong, err)
				}
			}
		})
	}
}

// A wrong password is told as such however often it happens to leave good
// padding.
func TestManyWrongPasswords(t *testing.T) {
	for name, tries := range map[string]int{"trad-des-cbc.pem": 3000, "v1-PBE-SHA1-RC4-128.pem": 50} {
		data := mustRead(t, "openssl/"+name)
		for i := range tries {
			if _, err := ReadKey(data, fmt.Sprint("wrong", i)); !errors.Is(err, ErrPassword) {
				t.Fatalf("%s: password %d: %v, want ErrPassword", name, i, err)
			}
		}
	}
}

func TestFilestamp(t *testing.T) {
	for line, want := range map[string]int64{
		"# ntpkey_RSAhost_tick.4004289234":             4004289234,
		"# ntpkey_RSAhost_tick.example.net.4004289234": 4004289234,
		"# ntpkey_RSAhost_tick.4004289234\r":           4004289234,
		"# x. 17 trailing":                             17,
		"x.0":                                          0,
		"# ntpkey.4294967295":                          4294967295,
		"# ntpkey.4294967296":                          -1,
		"# ntpkey_RSAhost_tick":                        -1,
		"# ntpkey_RSAhost_tick.":                       -1,
		"# ntpkey_RSAhost_tick.tock":                   -1,
		"# ntpkey.-5":                                  -1,
		"":                                             -1,
		"# " + strings.Repeat("x", 300) + ".5":         -1,
	} {
		got, err := filestamp(line)
		if want < 0 {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("%.40q: %d, %v; want ErrFormat", line, got, err)
			}
		} else if err != nil || int64(got) != want {
			t.Errorf("%.40q: %d, %v; want %d", line, got, err, want)
		}
	}
}

// The filestamp is that of line 1, not that of the file's name.
func TestFilestampOfLineOne(t *testing.T) {
	data := bytes.Replace(mustRead(t, "openssl/trad-plain.pem"), []byte(".4004289234"), []byte(".77"), 1)
	if f, err := ReadKey(data, ""); err != nil || f.Filestamp != 77 {
		t.Errorf("%v, %v", f, err)
	}
}

func TestDamagedFiles(t *testing.T) {
	plain := mustRead(t, "openssl/trad-plain.pem")
	text := string(plain)
	block, _ := pem.Decode(plain)
	withDER := func(typ string, der []byte) []byte {
		return append([]byte("# x.1\n\n"), pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})...)
	}
	for name, test := range map[string]struct {
		data []byte
		want error
	}{
		"empty":            {nil, ErrFormat},
		"comments only":    {[]byte("# x.1\n# y\n"), ErrFormat},
		"truncated":        {plain[:len(plain)/2], ErrFormat},
		"base64 damaged":   {[]byte(strings.Replace(text, "MII", "M*I", 1)), ErrFormat},
		"no header":        {pem.EncodeToMemory(block), ErrFormat},
		"octet behind":     {withDER(typeRSA, append(bytes.Clone(block.Bytes), 0)), ErrFormat},
		"DER truncated":    {withDER(typeRSA, block.Bytes[:len(block.Bytes)-1]), ErrFormat},
		"RSA as DSA":       {withDER(typeDSA, block.Bytes), ErrFormat},
		"RSA as PKCS #8":   {withDER(typePKCS8, block.Bytes), ErrFormat},
		"PKCS #8 of a DSA": {withDER(typeRSA, []byte{0x30, 0}), ErrFormat},
		"EC key":           {withDER("EC PRIVATE KEY", []byte{0x30, 0}), ErrKeyType},
		"certificate":      {mustRead(t, "keys/tc-rsa512-md5/ntpkey_cert_tick"), ErrKeyType},
		"too long":         {append(bytes.Clone(plain), bytes.Repeat([]byte{'\n'}, maxFile)...), ErrUnsupported},
		"DEK-Info without IV": {[]byte("# x.1\n\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: " +
			"DES-CBC\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"), ErrFormat},
		"DEK-Info short IV": {[]byte("# x.1\n\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: " +
			"DES-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"), ErrFormat},
		"DEK-Info other cipher": {[]byte("# x.1\n\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: " +
			"IDEA-CBC,0011223344556677\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"), ErrUnsupported},
		"odd length encrypted": {[]byte("# x.1\n\n-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: " +
			"DES-CBC,0011223344556677\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"), ErrFormat},
	} {
		if _, err := ReadKey(test.data, "openssl"); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// pbes2 builds an encrypted file with chosen PBKDF2 parameters.
func pbes2(iterations, keyLen uint64, salt int) []byte {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addAlgorithm(b, oidPBES2, func(b *cryptobyte.Builder) {
			addAlgorithm(b, oidPBKDF2, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(make([]byte, salt))
				b.AddASN1Uint64(iterations)
				if keyLen > 0 {
					b.AddASN1Uint64(keyLen)
				}
			})
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(cipherByName("aes-128-cbc").oid)
				b.AddASN1OctetString(make([]byte, 16))
			})
		})
		b.AddASN1OctetString(make([]byte, 32))
	})
	return append([]byte("# x.1\n\n"), pem.EncodeToMemory(&pem.Block{Type: typeEncryptedPKCS8, Bytes: b.BytesOrPanic()})...)
}

func TestHostileDerivation(t *testing.T) {
	for name, test := range map[string]struct {
		data []byte
		want error
	}{
		"fine":             {pbes2(10, 0, 8), ErrPassword},
		"key length given": {pbes2(10, 16, 8), ErrPassword},
		"0 rounds":         {pbes2(0, 0, 8), ErrUnsupported},
		"2^31 rounds":      {pbes2(1<<31, 0, 8), ErrUnsupported},
		"2^63 rounds":      {pbes2(1<<63, 0, 8), ErrFormat},
		"one too many":     {pbes2(maxIterations+1, 0, 8), ErrUnsupported},
		"long salt":        {pbes2(10, 0, 2000), ErrUnsupported},
		"wrong key length": {pbes2(10, 17, 8), ErrFormat},
		"huge key length":  {pbes2(10, 1<<30, 8), ErrUnsupported},
	} {
		if _, err := ReadKey(test.data, "x"); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestLinkText(t *testing.T) {
	fsys := fstest.MapFS{
		"ntpkey_host_tick": {Data: []byte("ntpkey_RSAhost_tick.4004289234")},
		"dir":              {Mode: os.ModeDir | 0o755},
	}
	if _, err := readFile(fsys, "ntpkey_host_tick"); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("%v, want an error that names the link", err)
	}
	if _, err := readFile(fsys, "dir"); !errors.Is(err, ErrFormat) {
		t.Errorf("directory: %v", err)
	}
	for _, name := range []string{"../x", "a/b", "/x", "", "."} {
		if _, err := readFile(fsys, name); err == nil {
			t.Errorf("%q: no error", name)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	key := hostKey512(t)
	dsa, err := mustKey(t, "keys/tc-dsasign1024-sha256/ntpkey_sign_tick", "serverpw").PrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	file := mustKey(t, "keys/tc-rsa512-md5/ntpkey_host_tick", "serverpw")
	for _, v := range []any{key, *key, dsa, *dsa.(*DSAPrivateKey), file, *file, HostOptions{Password: "hush"}, Encoding{Password: "hush"},
		Host{HostKey: key, SignKey: dsa}, struct{ K RSAPrivateKey }{*key}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			for _, secret := range []string{key.D.String(), key.P.String(), key.D.Text(16), "hush", dsa.(*DSAPrivateKey).X.String()} {
				if strings.Contains(text, secret) {
					t.Errorf("%T with %s prints a secret", v, verb)
				}
			}
		}
	}
}

func TestReadOurOwn(t *testing.T) {
	h := Header{Name: "ntpkey_RSAhost_tick", Filestamp: 4004289234}
	for _, key := range []PrivateKey{hostKey512(t), mustDSA(t)} {
		for _, cipher := range append(Ciphers(), "") {
			for _, traditional := range []bool{false, true} {
				e := Encoding{Traditional: traditional, Cipher: cipher, Password: "a password"}
				data, err := EncodeKey(rand.Reader, h, key, e)
				if err != nil {
					t.Errorf("%v: %v", e, err)
					continue
				}
				f, err := ReadKey(data, "a password")
				if err != nil {
					t.Errorf("%v: %v", e, err)
					continue
				}
				got, err := f.PrivateKey()
				if err != nil || !got.Public().Equal(key.Public()) || f.Filestamp != h.Filestamp || f.PKCS8 == traditional ||
					f.Encrypted != (cipher != "") {
					t.Errorf("%v: reads as another key (%v)", e, err)
				}
			}
		}
	}
}

func mustDSA(t testing.TB) PrivateKey {
	t.Helper()
	key, err := mustKey(t, "keys/tc-dsasign1024-sha256/ntpkey_sign_tick", "serverpw").PrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}
