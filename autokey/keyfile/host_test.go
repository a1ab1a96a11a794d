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

	"ntsbridge/autokey/identity"
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
				if f.Code != FindWeakKey && f.Code != FindWeakDigest {
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
	if err != nil || sign.SignKey == nil || sign.HostKey.Equal(sign.SignKey.Public()) || !sign.Certificate.PublicKey.Equal(sign.SignKey.Public()) {
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
		"no host key":      {"keys/iff-b512", func(f fstest.MapFS, _ *HostOptions) { delete(f, "ntpkey_host_tick") }, "ntpkey_host_tick", fs.ErrNotExist, "ntp-keygen"},
		"no certificate":   {"keys/iff-b512", func(f fstest.MapFS, _ *HostOptions) { delete(f, "ntpkey_cert_tick") }, "ntpkey_cert_tick", fs.ErrNotExist, "ntp-keygen"},
		"other host name":  {"keys/iff-b512", func(_ fstest.MapFS, o *HostOptions) { o.Host = "tack" }, "ntpkey_host_tack", fs.ErrNotExist, "host name"},
		"no host name":     {"keys/iff-b512", func(_ fstest.MapFS, o *HostOptions) { o.Host = "" }, "ntpkey_host_", fs.ErrNotExist, ""},
		"name with a path": {"keys/iff-b512", func(_ fstest.MapFS, o *HostOptions) { o.Host = "../tick" }, "ntpkey_host_../tick", fs.ErrInvalid, ""},
		"wrong password":   {"keys/iff-b512", func(_ fstest.MapFS, o *HostOptions) { o.Password = "wrong" }, "ntpkey_host_tick", ErrPassword, "crypto pw"},
		"default password": {"keys/iff-b512", func(_ fstest.MapFS, o *HostOptions) { o.Password = "" }, "ntpkey_host_tick", ErrPassword, "crypto pw"},
		"key of other host": {"keys/iff-b512", func(f fstest.MapFS, _ *HostOptions) {
			f["ntpkey_iffkey_tick"] = dirFS(t, "keys/nopw")["ntpkey_iffkey_tick"]
		}, "ntpkey_iffkey_tick", ErrPassword, "one password"},
		"certificate as key": {"keys/iff-b512", func(f fstest.MapFS, _ *HostOptions) { f["ntpkey_host_tick"] = f["ntpkey_cert_tick"] },
			"ntpkey_host_tick", ErrKeyType, "CERTIFICATE"},
		"key as certificate": {"keys/iff-b512", func(f fstest.MapFS, _ *HostOptions) { f["ntpkey_cert_tick"] = f["ntpkey_host_tick"] },
			"ntpkey_cert_tick", ErrKeyType, "CERTIFICATE"},
		"DSA host key": {"keys/tc-dsasign1024-sha256", func(f fstest.MapFS, _ *HostOptions) { f["ntpkey_host_tick"] = f["ntpkey_sign_tick"] },
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
	template := CertificateTemplate{Subject: "tick", Serial: stamp, NotBefore: keysMade.Add(-time.Hour), NotAfter: keysMade.Add(time.Hour), Trusted: true}
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

func TestGroups(t *testing.T) {
	for _, test := range []struct {
		dir     string
		scheme  Scheme
		stamp   uint32
		want    error
		mention string
	}{
		{"iff-b512/client", IFF, 4004289236, nil, ""},
		{"iff-fullkeypar/client", IFF, 4004289236, nil, ""},
		{"iff-wrongv/client", IFF, 4004289236, nil, ""},
		{"iff-pkcs8-e/client", IFF, 0, ErrIncomplete, "traditional"},
		{"iff-corruptpar/client", IFF, 0, ErrFormat, ""},
		{"iff-encpar/client", IFF, 0, ErrPassword, "must not be encrypted"},
		{"gq-b512-fixed/client", GQ, 4004289236, nil, ""},
		{"gq-pkcs8-fixed/client", GQ, 4004289236, nil, ""},
		{"mv-b256-n5/client", MV, 4004289420, nil, ""},
		{"mv-pkcs8/client", MV, 0, ErrIncomplete, "ntp-keygen -d"},
		{"mv-b256-n5/client", IFF, 0, fs.ErrNotExist, ""},
		{"iff-b512/client", 9, 0, fs.ErrNotExist, ""},
	} {
		g, err := LoadGroup(os.DirFS("testdata/sessions/"+test.dir), test.scheme, "tick")
		if test.want != nil {
			var in *FileError
			if !errors.Is(err, test.want) || !errors.As(err, &in) || !strings.Contains(err.Error(), test.mention) {
				t.Errorf("%s: %v, want %v that says %q", test.dir, err, test.want, test.mention)
			}
			continue
		}
		if err != nil || g.Scheme() != test.scheme || g.Filestamp != test.stamp || g.Name != "tick" {
			t.Errorf("%s: %+v, %v", test.dir, g, err)
		}
	}
}

// exchange runs one identity exchange.
func exchange(t *testing.T, r identity.Responder, v identity.Verifier) error {
	t.Helper()
	challenge, err := v.Challenge(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	response, err := r.Respond(rand.Reader, challenge)
	if err != nil {
		t.Fatal(err)
	}
	return v.Verify(challenge, response)
}

// Server files and group files of one group go together, and what we write
// from them as well.
func TestIdentityFilesGoTogether(t *testing.T) {
	load := func(dir string) *Host {
		h, err := LoadHost(os.DirFS("testdata/"+dir), HostOptions{Host: "tick", Password: "serverpw"})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	group := func(dir string, scheme Scheme) *Group {
		g, err := LoadGroup(os.DirFS("testdata/sessions/"+dir+"/client"), scheme, "tick")
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	iff := load("keys/iff-b512")
	if err := exchange(t, iff.IFF, group("iff-b512", IFF).IFF); err != nil {
		t.Errorf("IFF: %v", err)
	}
	if err := exchange(t, iff.IFF, group("iff-fullkeypar", IFF).IFF); err != nil {
		t.Errorf("IFF with the whole key as group file: %v", err)
	}
	if err := exchange(t, iff.IFF, group("iff-wrongv", IFF).IFF); !errors.Is(err, identity.ErrVerify) {
		t.Errorf("IFF with wrong v: %v, want ErrVerify", err)
	}
	for _, dir := range []string{"keys/gq-b512", "sessions/gq-b512-fixed/server", "sessions/gq-pkcs8-fixed/server"} {
		h := load(dir)
		if err := exchange(t, h.GQ, group("gq-b512-fixed", GQ).GQ.WithPublic(h.Certificate.GQPublic)); err != nil {
			t.Errorf("GQ of %s: %v", dir, err)
		}
	}
	mv := load("sessions/mv-b256-n5/server")
	if err := exchange(t, mv.MV, group("mv-b256-n5", MV).MV); err != nil {
		t.Errorf("MV: %v", err)
	}

	gq := load("keys/gq-b512")
	header := Header{Name: "ntpkey_xxxpar_tick", Filestamp: 5, Made: keysMade}
	for _, test := range []struct {
		key        identity.Responder
		parameters identity.Verifier
	}{{iff.IFF, iff.IFF.Parameters()}, {gq.GQ, gq.GQ.Parameters()}, {mv.MV, group("mv-b256-n5", MV).MV}} {
		data, err := EncodeGroup(header, test.parameters)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ReadKey(data, "")
		if err != nil || f.Encrypted || f.PKCS8 || f.Filestamp != 5 {
			t.Fatalf("group file reads as %v, %v", f, err)
		}
		for _, e := range []Encoding{{Traditional: true}, {}, {Cipher: DefaultCipher, Password: "x"}} {
			_, isMV := test.key.(*identity.MVKey)
			data, err := EncodeKey(rand.Reader, header, test.key, e)
			if isMV && !e.Traditional {
				if !errors.Is(err, ErrIncomplete) {
					t.Errorf("MV as PKCS #8: %v, want ErrIncomplete", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			k, err := ReadKey(data, "x")
			if err != nil {
				t.Fatal(err)
			}
			if err := exchangeFiles(t, test.key, k, f, gq); err != nil {
				t.Errorf("%T with %v: %v", test.key, e, err)
			}
		}
	}
}

// exchangeFiles runs an exchange between a key file and a group file.
func exchangeFiles(t *testing.T, like identity.Responder, key, group *KeyFile, gq *Host) error {
	t.Helper()
	var r identity.Responder
	var v identity.Verifier
	var err1, err2 error
	switch like.(type) {
	case *identity.IFFKey:
		r, err1 = key.IFFKey()
		v, err2 = group.IFFParameters()
	case *identity.GQKey:
		var p *identity.GQParameters
		r, err1 = key.GQKey()
		if p, err2 = group.GQParameters(); err2 == nil {
			v = p.WithPublic(gq.Certificate.GQPublic)
		}
	case *identity.MVKey:
		r, err1 = key.MVKey()
		v, err2 = group.MVParameters()
	}
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return exchange(t, r, v)
}

// What ntp-keygen exports, as far as it can be used at all.
func TestExports(t *testing.T) {
	if _, err := mustKey(t, "keys/iff-b512/export-e.pem", "").IFFParameters(); !errors.Is(err, ErrIncomplete) {
		t.Errorf("IFF -e: %v, want ErrIncomplete", err)
	}
	h, err := LoadHost(os.DirFS("testdata/keys/iff-b512"), HostOptions{Host: "tick", Password: "serverpw"})
	if err != nil {
		t.Fatal(err)
	}
	q := mustKey(t, "keys/iff-b512/export-q.pem", "grouppw")
	p, err := q.IFFParameters()
	if err != nil || p.V.Cmp(h.IFF.Parameters().V) != 0 {
		t.Errorf("IFF -q: v is not recovered (%v)", err)
	}
	if k, err := q.IFFKey(); err != nil || k.B.Cmp(h.IFF.B) != 0 {
		t.Errorf("IFF -q as key: %v", err)
	}
	if _, err := mustKey(t, "sessions/iff-b512/client/ntpkey_iffpar_tick", "").IFFKey(); !errors.Is(err, ErrIncomplete) {
		t.Errorf("IFF parameters as key: %v, want ErrIncomplete", err)
	}

	h, err = LoadHost(os.DirFS("testdata/keys/gq-b512"), HostOptions{Host: "tick", Password: "serverpw"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := mustKey(t, "keys/gq-b512/export-e.pem", "").GQParameters()
	if err != nil || e.B.Cmp(h.GQ.B) != 0 || e.V != nil {
		t.Errorf("GQ -e: %v", err)
	}
	if _, err := mustKey(t, "keys/gq-b512/export-e.pem", "").GQKey(); !errors.Is(err, ErrIncomplete) {
		t.Errorf("GQ -e as key: %v, want ErrIncomplete", err)
	}
	full, err := mustKey(t, "keys/gq-b512/export-q.pem", "grouppw").GQParameters()
	if err != nil || full.B.Cmp(h.GQ.B) != 0 {
		t.Errorf("GQ -q: %v", err)
	}

	server, client := mustKey(t, "sessions/mv-b256-n5/server/ntpkey_mvkey_tick", "serverpw"), mustKey(t, "sessions/mv-b256-n5/client/ntpkey_mvpar_tick", "")
	if _, err := server.MVParameters(); !errors.Is(err, ErrKeyType) {
		t.Errorf("MV server key as parameters: %v, want ErrKeyType", err)
	}
	if _, err := client.MVKey(); !errors.Is(err, ErrKeyType) {
		t.Errorf("MV parameters as key: %v, want ErrKeyType", err)
	}
	if _, err := mustKey(t, "keys/mv-b256-n5/ntpkey_mvta_tick", "serverpw").MVKey(); !errors.Is(err, ErrIncomplete) {
		t.Errorf("MV trusted authority as key: %v, want ErrIncomplete", err)
	}
}

// Our group files are those with which real clients worked.
func TestEncodeGroupLikeTheWorkingOnes(t *testing.T) {
	for _, test := range []struct {
		file   string
		scheme Scheme
	}{
		{"sessions/iff-b512/client/ntpkey_iffpar_tick", IFF},
		{"sessions/gq-b512-fixed/client/ntpkey_gqpar_tick", GQ},
		{"sessions/mv-b256-n5/client/ntpkey_mvpar_tick", MV},
	} {
		want := mustRead(t, test.file)
		g, err := LoadGroup(os.DirFS("testdata/"+filepath.Dir(test.file)), test.scheme, "tick")
		if err != nil {
			t.Fatal(err)
		}
		var parameters any = g.IFF
		if g.GQ != nil {
			parameters = g.GQ
		} else if g.MV != nil {
			parameters = g.MV
		}
		got, err := EncodeGroup(Header{Name: "ntpkey_" + test.scheme.String() + "par_tick", Filestamp: g.Filestamp, Made: keysMade}, parameters)
		if err != nil {
			t.Fatal(err)
		}
		gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
		gotLines[1], wantLines[1] = "", "" // the date
		if !slices.Equal(gotLines, wantLines) {
			t.Errorf("%s: wrote\n%s\nwant\n%s", test.file, got, want)
		}
	}
}

// So is our arrangement of a GQ key.
func TestEncodeGQKeyLikeTheWorkingOne(t *testing.T) {
	want := mustKey(t, "sessions/gq-b512-fixed/server/ntpkey_gqkey_tick", "serverpw")
	key, err := want.GQKey()
	if err != nil {
		t.Fatal(err)
	}
	data, err := EncodeKey(rand.Reader, Header{Name: "ntpkey_GQkey_tick", Filestamp: 1}, key, Encoding{Traditional: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadKey(data, "")
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got.raw.rsa {
		if v.Cmp(want.raw.rsa[i]) != 0 {
			t.Errorf("field %d differs", i+1)
		}
	}
}
