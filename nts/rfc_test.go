package nts_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// fieldTypes returns the types of a packet's extension fields in order.
func fieldTypes(t *testing.T, p []byte) (types []uint16) {
	t.Helper()
	for offset := ntp.HeaderLen; offset < len(p); {
		f, ok := ntp.FieldAt(p, offset)
		if !ok {
			t.Fatalf("no field at %d", offset)
		}
		types, offset = append(types, f.Type), offset+f.Length
	}
	return types
}

func count(types []uint16, want uint16) (n int) {
	for _, one := range types {
		if one == want {
			n++
		}
	}
	return n
}

// What a request has, and in what order (RFC 8915, section 5.7).
func TestRequestFields(t *testing.T) {
	ring := testRing(t, start)
	for _, id := range allAEADs {
		c := newClient(t, ring, id, nts.MaxCookies)
		var before []byte
		for lost := range 4 {
			p := makeRequest(t, c)
			types := fieldTypes(t, p)
			if types[0] != ntp.FieldUniqueIdentifier || types[1] != ntp.FieldCookie ||
				types[len(types)-1] != ntp.FieldAuthenticator || count(types, ntp.FieldUniqueIdentifier) != 1 ||
				count(types, ntp.FieldCookie) != 1 || count(types, ntp.FieldAuthenticator) != 1 ||
				count(types, ntp.FieldCookiePlaceholder) != len(types)-3 || len(types) > 3+7 {
				t.Errorf("%v, %d lost: fields %x", id, lost, types)
			}
			l := ntp.Classify(p, noKeys())
			uid := bytes.Clone(l.UniqueIdentifier.Body(p))
			if len(uid) < nts.MinUniqueIdentifierLen || bytes.Equal(uid, before) {
				t.Errorf("%v: identifier %x after %x", id, uid, before)
			}
			before = uid
			for offset := ntp.HeaderLen; offset < l.Authenticator.Offset; {
				f, _ := ntp.FieldAt(p, offset)
				rest := bytes.Trim(f.Body(p), "\x00")
				if f.Type == ntp.FieldCookiePlaceholder && (f.Length != l.Cookie.Length || len(rest) > 0) {
					t.Errorf("%v: placeholder of %d octets for a cookie of %d, or not zero", id, f.Length, l.Cookie.Length)
				}
				offset += f.Length
			}
		}
	}
}

// What an answer has: identifier and authenticator, once each, and the cookies
// encrypted, no more than were asked for (RFC 8915, section 5.7).
func TestResponseFields(t *testing.T) {
	ring := testRing(t, start)
	for _, id := range allAEADs {
		s, sess := newServer(t, ring, allAEADs...), nts.NewSession(seed(1))
		c := newClient(t, ring, id, 6)
		req := makeRequest(t, c)
		asked := 1 + count(fieldTypes(t, req), ntp.FieldCookiePlaceholder)
		_, resp := answer(s, sess, req)
		types := fieldTypes(t, resp)
		if len(types) != 2 || types[0] != ntp.FieldUniqueIdentifier || types[1] != ntp.FieldAuthenticator {
			t.Errorf("%v: fields %x", id, types)
		}
		before := c.Cookies()
		if err := c.Response(resp); err != nil {
			t.Fatal(err)
		}
		if got := c.Cookies() - before; got != asked {
			t.Errorf("%v: %d cookies, asked for %d", id, got, asked)
		}
		if v, _ := answer(s, sess, makeRequest(t, c)); v.Action != ntp.Answer {
			t.Errorf("%v: a cookie of an answer is not taken: %+v", id, v)
		}
	}
}

// What comes behind the authenticator of an answer is nobody's word.
func TestFieldsBehindTheAuthenticator(t *testing.T) {
	ring := testRing(t, start)
	s, sess := newServer(t, ring), nts.NewSession(seed(1))
	c := newClient(t, ring, aead.AESSIVCMAC256, 4)
	_, resp := answer(s, sess, makeRequest(t, c))
	one, err := nts.NewServer(nil)
	if err != nil {
		t.Fatal(err)
	}
	one.SetRing(ring)
	c2 := newClient(t, ring, aead.AESSIVCMAC256, 4)
	_, alone := answer(one, nts.NewSession(seed(1)), makeRequest(t, c2))
	if err := c2.Response(alone); err != nil {
		t.Fatal(err)
	}
	forged := ntp.AppendField(bytes.Clone(resp), ntp.FieldCookie, bytes.Repeat([]byte{0xee}, 96), 0)
	if err := c.Response(forged); err != nil {
		t.Fatal(err)
	}
	if c.Cookies() != c2.Cookies() {
		t.Errorf("%d cookies, %d without the field behind", c.Cookies(), c2.Cookies())
	}
	for c.Cookies() > 0 {
		if bytes.Contains(makeRequest(t, c), []byte{0xee, 0xee, 0xee, 0xee}) {
			t.Fatal("an unauthenticated cookie was sent")
		}
	}
}

// A client takes a response of 65536 octets (RFC 8915, section 4).
func TestLongResponse(t *testing.T) {
	msg := unhex(t, npn+siv+"0005 0004 00000000")
	for len(msg)+4+1000 <= nts.MaxResponse-4 {
		msg = nts.AppendRecord(msg, nts.Record{Type: 0x4001, Body: make([]byte, 1000)})
	}
	msg = nts.AppendRecord(msg, nts.Record{Type: 0x4001, Body: make([]byte, nts.MaxResponse-8-len(msg))})
	msg = append(msg, unhex(t, end)...)
	if octets, err := nts.Complete(msg, nts.MaxResponse); octets != 65536 || err != nil {
		t.Fatalf("%d octets: %v", octets, err)
	}
	if res, err := (&nts.KEClient{}).Response(msg); err != nil || len(res.Cookies) != 1 {
		t.Errorf("%v", err)
	}
}

// Every requirement of the RFC that is listed has the tests that are named.
func TestRequirementsHaveTests(t *testing.T) {
	text, err := os.ReadFile("rfc8915.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testsOf(t)
	named := regexp.MustCompile("`([a-z/]+)\\.(Test[A-Za-z0-9]+)`")
	rows := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| Section") {
			continue
		}
		rows++
		found := named.FindAllStringSubmatch(line, -1)
		if len(found) == 0 {
			t.Errorf("no test: %s", line)
		}
		for _, f := range found {
			if !tests[f[1]+"."+f[2]] {
				t.Errorf("there is no test %s.%s", f[1], f[2])
			}
		}
	}
	if rows < 50 {
		t.Errorf("%d requirements", rows)
	}
}

// testsOf returns the names of all tests, behind the directories of their
// packages.
func testsOf(t *testing.T) map[string]bool {
	t.Helper()
	tests := make(map[string]bool)
	for _, dir := range []string{"nts", "bridge"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
					tests[strings.TrimPrefix(filepath.Dir(path), "../")+"."+f.Name.Name] = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return tests
}
