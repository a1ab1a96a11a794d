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

	"ntsbridge/autokey/identity"
)

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
		{"iff-pkcs8-e/client", IFF, 0, ErrIncomplete, "keygen repair"},
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
		if p, err2 = group.gqParameters(); err2 == nil {
			v = p.WithPublic(gq.Certificate.GQPublic)
		}
	case *identity.MVKey:
		r, err1 = key.mvKey()
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
	e, err := mustKey(t, "keys/gq-b512/export-e.pem", "").gqParameters()
	if err != nil || e.B.Cmp(h.GQ.B) != 0 || e.V != nil {
		t.Errorf("GQ -e: %v", err)
	}
	if _, err := mustKey(t, "keys/gq-b512/export-e.pem", "").GQKey(); !errors.Is(err, ErrIncomplete) {
		t.Errorf("GQ -e as key: %v, want ErrIncomplete", err)
	}
	full, err := mustKey(t, "keys/gq-b512/export-q.pem", "grouppw").gqParameters()
	if err != nil || full.B.Cmp(h.GQ.B) != 0 {
		t.Errorf("GQ -q: %v", err)
	}

	server, client := mustKey(t, "sessions/mv-b256-n5/server/ntpkey_mvkey_tick", "serverpw"), mustKey(t,
		"sessions/mv-b256-n5/client/ntpkey_mvpar_tick", "")
	if _, err := server.MVParameters(); !errors.Is(err, ErrKeyType) {
		t.Errorf("MV server key as parameters: %v, want ErrKeyType", err)
	}
	if _, err := client.mvKey(); !errors.Is(err, ErrKeyType) {
		t.Errorf("MV parameters as key: %v, want ErrKeyType", err)
	}
	if _, err := mustKey(t, "keys/mv-b256-n5/ntpkey_mvta_tick", "serverpw").mvKey(); !errors.Is(err, ErrIncomplete) {
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
		got, err := EncodeGroup(Header{Name: "ntpkey_" + test.scheme.String() + "par_tick", Filestamp: g.Filestamp, Made: keysMade},
			parameters)
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
