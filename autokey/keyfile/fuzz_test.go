package keyfile

import (
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// classed reports whether an error is one of the package's classes.
func classed(err error) bool {
	for _, class := range []error{ErrPassword, ErrFormat, ErrKeyType, ErrUnsupported, ErrIncomplete, ErrCertificate, fs.ErrNotExist} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

func FuzzReadKey(f *testing.F) {
	for _, pattern := range []string{"openssl/*.pem", "keys/*/ntpkey_*_tick", "keys/*/export-*", "sessions/*/*/ntpkey_*_tick"} {
		files, _ := filepath.Glob("testdata/" + pattern)
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			password := "serverpw"
			if strings.Contains(file, "openssl") {
				password = "openssl"
			}
			f.Add(data, password)
		}
	}
	f.Add(pbes2(10, 16, 8), "x")
	f.Fuzz(func(t *testing.T, data []byte, password string) {
		file, err := ReadKey(data, password)
		if err != nil {
			if !classed(err) {
				t.Errorf("unclassed error: %v", err)
			}
			return
		}
		key, err := file.PrivateKey()
		if err == nil {
			again, err := EncodeKey(rand.Reader, Header{Name: "x", Filestamp: file.Filestamp}, key, Encoding{})
			if err != nil {
				t.Fatal(err)
			}
			f2, err := ReadKey(again, "")
			if err != nil {
				t.Fatal(err)
			}
			if k2, err := f2.PrivateKey(); err != nil || !k2.Public().Equal(key.Public()) {
				t.Errorf("written and read again: %v", err)
			}
		}
		if k, err := file.IFFKey(); err == nil && k.Parameters().Validate() != nil {
			t.Error("IFF key with unusable parameters")
		}
		file.IFFParameters()
		file.GQKey()
		file.gqParameters()
		file.mvKey()
		file.MVParameters()
	})
}

// FuzzPrivateKeyDER gets at what FuzzReadKey hides behind base64.
func FuzzPrivateKeyDER(f *testing.F) {
	types := []string{typePKCS8, typeEncryptedPKCS8, typeRSA, typeDSA}
	for _, pattern := range []string{"openssl/*.pem", "keys/*/export-*", "sessions/*/client/ntpkey_*par_tick"} {
		files, _ := filepath.Glob("testdata/" + pattern)
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if block, _ := pem.Decode(data); block != nil && block.Headers["DEK-Info"] == "" {
				f.Add(uint8(slices.Index(types, block.Type)), block.Bytes)
			}
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, der []byte) {
		block := &pem.Block{Type: types[int(kind)%len(types)], Bytes: der}
		raw, _, err := readPrivateKey(block, "openssl")
		if err != nil {
			if !classed(err) {
				t.Errorf("unclassed error: %v", err)
			}
			return
		}
		file := &KeyFile{raw: raw}
		if key, err := file.PrivateKey(); err == nil {
			if _, err := EncodeKey(rand.Reader, Header{Name: "x"}, key, Encoding{Traditional: true}); err != nil {
				t.Errorf("does not write: %v", err)
			}
		}
		file.IFFKey()
		file.IFFParameters()
		file.GQKey()
		file.gqParameters()
		file.mvKey()
		file.MVParameters()
	})
}

func FuzzParseCertificate(f *testing.F) {
	for _, v := range loadVectors[certificateVector](f, "certificates.json") {
		f.Add([]byte(v.DER))
	}
	key := hostKey512(f)
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := ParseCertificate(der)
		if err != nil {
			if !classed(err) {
				t.Errorf("unclassed error: %v", err)
			}
			return
		}
		if err := c.CheckSignature(DefaultPolicy(), c.PublicKey); err != nil && !errors.Is(err, ErrAlgorithm) && !errors.Is(err,
			ErrSignature) {
			t.Errorf("unclassed error: %v", err)
		}
		signed, err := SignCertificate(rand.Reader, c, Issuer{"tick", key, RSAMD5}, keysMade)
		if err != nil {
			t.Fatalf("does not sign: %v", err)
		}
		s, err := ParseCertificate(signed)
		if err != nil {
			t.Fatalf("signed certificate does not parse: %v", err)
		}
		if s.Subject != c.Subject || !s.PublicKey.Equal(c.PublicKey) || s.Trusted != c.Trusted || s.Private != c.Private ||
			!bytes.Equal(s.parts.extensions, c.parts.extensions) {
			t.Error("signed certificate says something else than the request")
		}
	})
}

func FuzzReadCertificate(f *testing.F) {
	files, _ := filepath.Glob("testdata/keys/*/ntpkey_cert_*")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := ReadCertificate(data); err != nil && !classed(err) {
			t.Errorf("unclassed error: %v", err)
		}
	})
}

func FuzzLoadHost(f *testing.F) {
	for _, dir := range []string{"keys/all3", "sessions/mv-b256-n5/server", "keys/tc-rsasign1024", "sessions/gq-b512-fixed/server"} {
		m := dirFS(f, dir)
		get := func(name string) []byte {
			if file := m["ntpkey_"+name+"_tick"]; file != nil {
				return file.Data
			}
			return nil
		}
		f.Add(get("host"), get("sign"), get("cert"), get("iffkey"), get("gqkey"), get("mvkey"), "serverpw")
	}
	f.Fuzz(func(t *testing.T, host, sign, cert, iff, gq, mv []byte, password string) {
		fsys := fstest.MapFS{}
		for name, data := range map[string][]byte{"host": host, "sign": sign, "cert": cert, "iffkey": iff, "gqkey": gq, "mvkey": mv} {
			if data != nil {
				fsys["ntpkey_"+name+"_tick"] = &fstest.MapFile{Data: data}
			}
		}
		h, err := LoadHost(fsys, HostOptions{Host: "tick", Password: password, Now: keysMade})
		if err != nil {
			var in *FileError
			if !errors.As(err, &in) {
				t.Errorf("error without file: %v", err)
			}
			return
		}
		if _, err := Sign(rand.Reader, h.Signer(), h.NID(), nil); err != nil {
			t.Errorf("host that cannot sign: %v", err)
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	for _, v := range loadVectors[cookieVector](f, "cookies.json") {
		f.Add([]byte(v.Request))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		k, err := ParsePublicKey(der)
		if err != nil {
			if !classed(err) {
				t.Errorf("unclassed error: %v", err)
			}
			return
		}
		if !bytes.Equal(MarshalPublicKey(k), der) {
			t.Error("two encodings of one key")
		}
		if c, err := EncryptCookie(rand.Reader, k, 1); err != nil || len(c) != octets(k.N) {
			t.Errorf("EncryptCookie: %d octets, %v", len(c), err)
		}
	})
}
