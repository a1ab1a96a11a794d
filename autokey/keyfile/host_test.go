package keyfile

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// keysMade is shortly after ntp-keygen made the key directories.
var keysMade = time.Date(2026, time.November, 22, 0, 0, 0, 0, time.UTC)

// loadCase is one key directory with what must come out of it.
type loadCase struct {
	dir, host, password string
	ident               string
	name                string // empty: the same as host
	nid                 NID
	schemes             string // of "iff gq mv"
	findings            string // beside weak-key and weak-digest
}

var loadCases = []loadCase{
	{dir: "keys/all3", nid: RSAMD5, schemes: "iff gq"},
	{dir: "keys/cipher-aes-128-cbc", nid: RSAMD5, schemes: "iff"},
	{dir: "keys/cipher-aes-192-cbc", nid: RSAMD5, schemes: "iff"},
	{dir: "keys/cipher-aes-256-cbc", nid: RSAMD5, schemes: "iff"},
	{dir: "keys/cipher-bf-cbc", nid: RSAMD5, schemes: "iff"},
	{dir: "keys/cipher-camellia-256-cbc", nid: RSAMD5, schemes: "iff"},
	{dir: "keys/cipher-cast5-cbc", nid: RSAMD5, schemes: "iff"},
	{dir: "keys/cipher-des-cbc", nid: RSAMD5, schemes: "iff"},
	{dir: "keys/cipher-rc2-cbc", nid: RSAMD5, schemes: "iff"},
	{dir: "keys/cipher-seed-cbc", nid: RSAMD5, schemes: "iff"},
	{dir: "keys/client", host: "tock", password: "clientpw", nid: RSAMD5, findings: FindUntrusted},
	{dir: "keys/client-group", host: "tock", password: "clientpw", name: "tock@grp", nid: RSAMD5, findings: FindUntrusted},
	{dir: "keys/gq-b512", nid: RSAMD5, schemes: "gq"},
	{dir: "keys/gq-b1024", nid: RSAMD5, schemes: "gq", findings: FindGQTooLarge},
	{dir: "keys/gq-group", name: "tick@grp", nid: RSAMD5, schemes: "gq"},
	{dir: "keys/iff-b512", nid: RSAMD5, schemes: "iff"},
	{dir: "keys/iff-group", name: "tick@grp", nid: RSAMD5, schemes: "iff"},
	{dir: "keys/life0", nid: RSAMD5, findings: FindExpired},
	{dir: "keys/life30", nid: RSAMD5, findings: FindExpiresSoon},
	{dir: "keys/mid", host: "mid", password: "midpw", nid: RSASHA256, findings: FindUntrusted},
	{dir: "keys/mv-b256-n5", nid: RSAMD5},
	{dir: "keys/nopw", password: "-", nid: RSAMD5, schemes: "iff", findings: FindPassword},
	{dir: "keys/pc-rsa512", nid: RSAMD5},
	{dir: "keys/tc-dsasign1024-rsasha1", nid: DSASHA1, findings: FindDSASign},
	{dir: "keys/tc-dsasign1024-sha256", nid: DSASHA256, findings: FindDSASign},
	{dir: "keys/tc-rsa512-md5", nid: RSAMD5},
	{dir: "keys/tc-rsa1024-x-RSA-MD4", nid: RSAMD4},
	{dir: "keys/tc-rsa1024-x-RSA-RIPEMD160", nid: RSARIPEMD160},
	{dir: "keys/tc-rsa1024-x-RSA-SHA1-2", nid: RSASHA1},
	{dir: "keys/tc-rsa1024-x-RSA-SHA224", nid: RSASHA224},
	{dir: "keys/tc-rsa1024-x-RSA-SHA384", nid: RSASHA384},
	{dir: "keys/tc-rsa1024-x-RSA-SHA512", nid: RSASHA512},
	{dir: "keys/tc-rsa2048-sha256", nid: RSASHA256},
	{dir: "keys/tc-rsasign1024", nid: RSASHA256},
	{dir: "sessions/trad-descbc/server", nid: RSAMD5, schemes: "iff"},
	{dir: "sessions/trad-des3/server", nid: RSAMD5, schemes: "iff"},
	{dir: "sessions/trad-aes256/server", nid: RSAMD5, schemes: "iff"},
	{dir: "sessions/gq-b512-fixed/server", nid: RSAMD5, schemes: "gq"},
	{dir: "sessions/gq-pkcs8-fixed/server", nid: RSAMD5, schemes: "gq"},
	{dir: "sessions/gq-b1024-fixed/server", nid: RSAMD5, schemes: "gq", findings: FindGQTooLarge},
	{dir: "sessions/mv-b256-n5/server", nid: RSAMD5, schemes: "mv"},
	{dir: "sessions/mv-pkcs8/server", nid: RSAMD5, findings: FindIncomplete},
	{dir: "sessions/crypto-ident-server/server", name: "tick@grp", nid: RSAMD5},
	{dir: "sessions/crypto-ident-server/server", ident: "grp", name: "tick@grp", nid: RSAMD5, schemes: "iff"},
}

func (c loadCase) options() HostOptions {
	opt := HostOptions{Host: "tick", Password: "serverpw", Ident: c.ident, Now: keysMade}
	if c.host != "" {
		opt.Host = c.host
	}
	if c.password != "" {
		opt.Password = strings.TrimPrefix(c.password, "-")
	}
	return opt
}

func TestLoadHost(t *testing.T) {
	for _, c := range loadCases {
		t.Run(c.dir+"/"+c.ident, func(t *testing.T) {
			h, err := LoadHost(os.DirFS("testdata/"+c.dir), c.options())
			if err != nil {
				t.Fatal(err)
			}
			want := c.name
			if want == "" {
				want = c.options().Host
			}
			if h.Name != want || h.NID() != c.nid || h.HostKey == nil {
				t.Errorf("loaded as %q with %v, want %q with %v", h.Name, h.NID(), want, c.nid)
			}
			var schemes, findings []string
			for name, there := range map[string]bool{"iff": h.IFF != nil, "gq": h.GQ != nil, "mv": h.MV != nil} {
				if there {
					schemes = append(schemes, name)
				}
			}
			slices.Sort(schemes)
			want = strings.Join(slices.Sorted(slices.Values(strings.Fields(c.schemes))), " ")
			if got := strings.Join(schemes, " "); got != want {
				t.Errorf("schemes %q, want %q", got, want)
			}
			for _, f := range h.Findings {
				if f.Code != FindWeakKey && f.Code != FindWeakDigest && f.Code != FindGroup {
					findings = append(findings, f.Code)
				}
				if f.Text == "" || !strings.HasPrefix(f.File, "ntpkey_") {
					t.Errorf("finding without text or file: %+v", f)
				}
			}
			if got := strings.Join(findings, " "); got != c.findings {
				t.Errorf("findings %q, want %q", got, c.findings)
			}
			signAndVerify(t, h)
		})
	}
}

// signAndVerify checks that what a host signs verifies with its certificate.
func signAndVerify(t *testing.T, h *Host) {
	t.Helper()
	message := []byte("a message")
	sig, err := Sign(rand.Reader, h.Signer(), h.NID(), message)
	if err != nil {
		t.Fatal(err)
	}
	if err := DefaultPolicy().Verify(h.Certificate.PublicKey, h.NID(), message, sig); err != nil {
		t.Errorf("own signature: %v", err)
	}
	if err := Verify(h.Certificate.PublicKey, h.NID(), message[1:], sig); !errors.Is(err, ErrSignature) {
		t.Errorf("signature of another message: %v, want ErrSignature", err)
	}
}

func TestLoadHostFilestamps(t *testing.T) {
	h, err := LoadHost(os.DirFS("testdata/keys/all3"), HostOptions{Host: "tick", Password: "serverpw"})
	if err != nil {
		t.Fatal(err)
	}
	for _, stamp := range []uint32{h.HostFilestamp, h.CertificateFilestamp, h.IFFFilestamp, h.GQFilestamp} {
		if stamp != 4004289237 {
			t.Errorf("filestamp %d, want 4004289237", stamp)
		}
	}
	if h.SignKey != nil || h.Signer() != PrivateKey(h.HostKey) {
		t.Error("without sign key the host key must sign")
	}
	if !h.Certificate.Trusted || h.Certificate.Private || h.Certificate.Serial.Int64() != 4004289237 {
		t.Errorf("certificate trusted %t, private %t, serial %v", h.Certificate.Trusted, h.Certificate.Private, h.Certificate.Serial)
	}
	pc, err := LoadHost(os.DirFS("testdata/keys/pc-rsa512"), HostOptions{Host: "tick", Password: "serverpw"})
	if err != nil || pc.Certificate.Trusted || !pc.Certificate.Private {
		t.Errorf("certificate of -P is not private (%v)", err)
	}
	sign, err := LoadHost(os.DirFS("testdata/keys/tc-rsasign1024"), HostOptions{Host: "tick", Password: "serverpw"})
	if err != nil || sign.SignKey == nil || sign.HostKey.Equal(sign.SignKey.Public()) ||
		!sign.Certificate.PublicKey.Equal(sign.SignKey.Public()) {
		t.Errorf("sign key is not used (%v)", err)
	}
}

// dirFS reads a key directory into memory, with links resolved.
func dirFS(t testing.TB, dir string) fstest.MapFS {
	t.Helper()
	m := fstest.MapFS{}
	files, err := filepath.Glob("testdata/" + dir + "/ntpkey_*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", dir, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m[filepath.Base(file)] = &fstest.MapFile{Data: data}
	}
	return m
}

func TestLoadHostErrors(t *testing.T) {
	opt := HostOptions{Host: "tick", Password: "serverpw"}
	for name, test := range map[string]struct {
		dir    string
		change func(fsys fstest.MapFS, o *HostOptions)
		file   string
		want   error
		text   string // part of the error
	}{
		"no host key": {"keys/iff-b512", func(f fstest.MapFS, _ *HostOptions) { delete(f, "ntpkey_host_tick") },
			"ntpkey_host_tick", fs.ErrNotExist, "ntp-keygen"},
		"no certificate": {"keys/iff-b512", func(f fstest.MapFS, _ *HostOptions) { delete(f, "ntpkey_cert_tick") },
			"ntpkey_cert_tick", fs.ErrNotExist, "ntp-keygen"},
		"other host name": {"keys/iff-b512", func(_ fstest.MapFS, o *HostOptions) { o.Host = "tack" }, "ntpkey_host_tack",
			fs.ErrNotExist, "host name"},
		"no host name": {"keys/iff-b512", func(_ fstest.MapFS, o *HostOptions) { o.Host = "" }, "ntpkey_host_", fs.ErrNotExist, ""},
		"name with a path": {"keys/iff-b512", func(_ fstest.MapFS, o *HostOptions) { o.Host = "../tick" }, "ntpkey_host_../tick",
			fs.ErrInvalid, ""},
		"wrong password": {"keys/iff-b512", func(_ fstest.MapFS, o *HostOptions) { o.Password = "wrong" }, "ntpkey_host_tick",
			ErrPassword, "crypto pw"},
		"default password": {"keys/iff-b512", func(_ fstest.MapFS, o *HostOptions) { o.Password = "" }, "ntpkey_host_tick",
			ErrPassword, "crypto pw"},
		"key of other host": {"keys/iff-b512", func(f fstest.MapFS, _ *HostOptions) {
			f["ntpkey_iffkey_tick"] = dirFS(t, "keys/nopw")["ntpkey_iffkey_tick"]
		}, "ntpkey_iffkey_tick", ErrPassword, "one password"},
		"certificate as key": {"keys/iff-b512", func(f fstest.MapFS, _ *HostOptions) { f["ntpkey_host_tick"] = f["ntpkey_cert_tick"] },
			"ntpkey_host_tick", ErrKeyType, "CERTIFICATE"},
		"key as certificate": {"keys/iff-b512", func(f fstest.MapFS, _ *HostOptions) { f["ntpkey_cert_tick"] = f["ntpkey_host_tick"] },
			"ntpkey_cert_tick", ErrKeyType, "CERTIFICATE"},
		"DSA host key": {"keys/tc-dsasign1024-sha256", func(f fstest.MapFS,
			_ *HostOptions) {
			f["ntpkey_host_tick"] = f["ntpkey_sign_tick"]
		},
			"ntpkey_host_tick", ErrKeyType, "RSA"},
		"host key as IFF key": {"keys/iff-b512", func(f fstest.MapFS, _ *HostOptions) { f["ntpkey_iffkey_tick"] = f["ntpkey_host_tick"] },
			"ntpkey_iffkey_tick", ErrKeyType, "DSA"},
		"host key as GQ key": {"keys/gq-b512", func(f fstest.MapFS, _ *HostOptions) { f["ntpkey_gqkey_tick"] = f["ntpkey_host_tick"] },
			"ntpkey_gqkey_tick", ErrFormat, "arrangement"},
		"DSA certificate, RSA key": {"keys/tc-dsasign1024-sha256", func(f fstest.MapFS, _ *HostOptions) { delete(f, "ntpkey_sign_tick") },
			"ntpkey_cert_tick", ErrCertificate, "sign key"},
		"cut off": {"keys/iff-b512", func(f fstest.MapFS, _ *HostOptions) {
			f["ntpkey_cert_tick"] = &fstest.MapFile{Data: f["ntpkey_cert_tick"].Data[:300]}
		}, "ntpkey_cert_tick", ErrFormat, "truncated"},
	} {
		fsys, o := dirFS(t, test.dir), opt
		test.change(fsys, &o)
		_, err := LoadHost(fsys, o)
		var in *FileError
		if !errors.As(err, &in) || in.File != test.file || !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v; want %v in %s that says %q", name, err, test.want, test.file, test.text)
		}
	}
}

// Certificates that are not the host's own.
func TestLoadHostCertificates(t *testing.T) {
	fsys := dirFS(t, "keys/tc-rsa512-md5")
	opt := HostOptions{Host: "tick", Password: "serverpw", Now: keysMade}
	key, stamp := hostKey512(t), uint32(4004289234)
	template := CertificateTemplate{Subject: "tick", Serial: stamp, NotBefore: keysMade.Add(-time.Hour),
		NotAfter: keysMade.Add(time.Hour), Trusted: true}
	put := func(der []byte, stamp uint32) (*Host, error) {
		data, err := EncodeCertificate(Header{Name: "ntpkey_RSA-MD5cert_tick", Filestamp: stamp, Made: keysMade}, der)
		if err != nil {
			t.Fatal(err)
		}
		fsys["ntpkey_cert_tick"] = &fstest.MapFile{Data: data}
		return LoadHost(fsys, opt)
	}
	make := func(tpl CertificateTemplate, key PrivateKey, nid NID) []byte {
		der, err := CreateCertificate(rand.Reader, tpl, key, nid)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	has := func(h *Host, code string) bool {
		return slices.ContainsFunc(h.Findings, func(f Finding) bool { return f.Code == code })
	}

	h, err := put(make(template, key, RSASHA256), stamp)
	if err != nil || has(h, FindKeyMismatch) || has(h, FindWeakDigest) || has(h, FindFilestamp) || !has(h, FindWeakKey) {
		t.Errorf("own certificate: %v, %v", h, err)
	}
	if h, err = put(make(template, key, RSASHA256), 4104289234); err != nil || !has(h, FindFilestamp) {
		t.Errorf("certificate older than its filestamp: %v, %v", h, err)
	}
	late := template
	late.NotBefore = keysMade.Add(time.Minute)
	if h, err = put(make(late, key, RSASHA256), stamp); err != nil || !has(h, FindNotYetValid) {
		t.Errorf("certificate of the future: %v, %v", h, err)
	}
	stranger := loadVectors[cookieVector](t, "cookies.json")[1].key(t)
	if h, err = put(make(template, stranger, RSASHA256), stamp); err != nil || !has(h, FindKeyMismatch) {
		t.Errorf("certificate of another key: %v, %v", h, err)
	}
	request, err := ParseCertificate(make(template, key, RSASHA256))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := SignCertificate(rand.Reader, request, Issuer{"tock", stranger, RSASHA1}, keysMade)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = put(signed, stamp); !errors.Is(err, ErrCertificate) || !strings.Contains(err.Error(), "self-signed") {
		t.Errorf("certificate signed by another host: %v", err)
	}
	if signed, err = SignCertificate(rand.Reader, request, Issuer{"tick", stranger, RSASHA1}, keysMade); err != nil {
		t.Fatal(err)
	}
	if _, err = put(signed, stamp); !errors.Is(err, ErrCertificate) || !errors.Is(err, ErrSignature) {
		t.Errorf("certificate with a signature of another key: %v", err)
	}
}

// A certificate that has ended, or will soon, names what makes a new one.
func TestExpiryNamesTheRemedy(t *testing.T) {
	for dir, code := range map[string]string{"keys/life0": FindExpired, "keys/life30": FindExpiresSoon} {
		h, err := LoadHost(os.DirFS(filepath.Join("testdata", dir)), HostOptions{Host: "tick", Password: "serverpw", Now: keysMade})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(h.Findings, func(f Finding) bool { return f.Code == code && strings.Contains(f.Text, "`keygen renew`") }) {
			t.Errorf("%s: %+v", dir, h.Findings)
		}
	}
}

// The files of a server of ntpd 4.2.4 are read, and its group's key, which later
// ntpd look for under another name, is told; a link is all it takes.
func TestFilesOfNTPD424(t *testing.T) {
	const dir = "testdata/ntpd424"
	opt := HostOptions{Host: "server", Password: "serverpw"}
	h, err := LoadHost(os.DirFS(dir), opt)
	if err != nil {
		t.Fatal(err)
	}
	told := func(h *Host) bool {
		return slices.ContainsFunc(h.Findings, func(f Finding) bool {
			return f.Code == FindOldName && strings.Contains(f.Text, "ln -s ntpkey_iff_server ntpkey_iffkey_server")
		})
	}
	if h.IFF != nil || !told(h) || !h.Certificate.Trusted {
		t.Errorf("%+v", h.Findings)
	}
	linked := t.TempDir()
	if err := os.CopyFS(linked, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("ntpkey_iff_server", filepath.Join(linked, "ntpkey_iffkey_server")); err != nil {
		t.Fatal(err)
	}
	if h, err = LoadHost(os.DirFS(linked), opt); err != nil || h.IFF == nil || told(h) || h.IFFFilestamp != 4004969572 {
		t.Errorf("with a link: %v, %+v", err, h)
	}
}

// A group that is named without a key of it, and a name with a group, are
// told; the key that ntp-keygen linked by the host is found.
func TestFindingsOfGroups(t *testing.T) {
	for _, c := range []struct{ dir, ident, code, text string }{
		{"keys/iff-b512", "site", FindNoIdentity, "ntpkey_iffkey_tick is there"},
		{"keys/tc-rsa512-md5", "site", FindNoIdentity, "no ntpkey_iffkey_site"},
		{"keys/iff-group", "", FindGroup, "keygen -i grp"},
	} {
		h, err := LoadHost(os.DirFS(filepath.Join("testdata", c.dir)), HostOptions{Host: "tick", Ident: c.ident, Password: "serverpw"})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(h.Findings, func(f Finding) bool { return f.Code == c.code && strings.Contains(f.Text, c.text) }) {
			t.Errorf("%s: %+v", c.dir, h.Findings)
		}
	}
}
