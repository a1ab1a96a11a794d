package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"ntsbridge/autokey/keyfile"
)

func TestKeygenScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/keygen*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts")
	}
	keys, err := filepath.Abs(corpusDir)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Files: scripts, Setup: func(e *testscript.Env) error {
		e.Setenv("CORPUS", keys) // key sets of ntp-keygen 4.2.8p15
		e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
		return os.Mkdir(filepath.Join(e.WorkDir, "home"), 0o700)
	}})
}

// corpus are key sets that ntp-keygen 4.2.8p15 made, with the options that made
// them.
var corpus = map[string]string{
	"all3":                       "-T -I -G -V 5 -b 512",
	"client":                     "",
	"client-group":               "-s tock@grp",
	"gq-b512":                    "-T -G -b 512",
	"gq-b1024":                   "-T -G -b 1024",
	"gq-group":                   "-T -G -s tick@grp -b 512",
	"iff-b512":                   "-T -I -b 512",
	"iff-group":                  "-T -I -s tick@grp -b 512",
	"life0":                      "-T -l 0",
	"life30":                     "-T -l 30",
	"mv-b256-n5":                 "-T -V 5",
	"nopw":                       "-T -I",
	"pc-rsa512":                  "-P",
	"tc-dsasign1024-rsasha1":     "-T -S DSA -m 1024 -c RSA-SHA1",
	"tc-dsasign1024-sha256":      "-T -S DSA -m 1024 -c SHA256",
	"tc-rsa1024-x-RSA-MD4":       "-T -m 1024 -c RSA-MD4",
	"tc-rsa1024-x-RSA-SHA1-2":    "-T -m 1024 -c RSA-SHA1-2",
	"tc-rsa1024-x-RSA-SHA224":    "-T -m 1024 -c RSA-SHA224",
	"tc-rsa1024-x-RSA-SHA384":    "-T -m 1024 -c RSA-SHA384",
	"tc-rsa1024-x-RSA-SHA512":    "-T -m 1024 -c RSA-SHA512",
	"tc-rsa2048-sha256":          "-T -m 2048 -c RSA-SHA256",
	"tc-rsa512-md5":              "-T",
	"tc-rsasign1024":             "-T -S RSA -m 1024 -c RSA-SHA256",
	"tc-rsa1024-x-RSA-RIPEMD160": "-T -m 1024 -c RSA-RIPEMD160",
}

const corpusDir = "../../autokey/keyfile/testdata/keys"

var filestampOf = regexp.MustCompile(`\.\d+$`)

// entries returns the names in a key directory, without filestamps, and for a
// link what it points to.
func entries(t *testing.T, dir string) map[string]string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), "ntpkey_") {
			continue
		}
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			if data, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil && len(data) < 100 {
				target = strings.TrimSpace(string(data)) // a link that became a text
			}
		}
		names[filestampOf.ReplaceAllString(e.Name(), "")] = filestampOf.ReplaceAllString(target, "")
	}
	return names
}

// shape is the structure of a file: the form of its comment lines, and of each
// PEM block the structure of the DER in it.
func shape(t *testing.T, name, password string) []string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	i, err := keyfile.Inspect(data, password, recent)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	head := regexp.MustCompile(`\A# (ntpkey_\S+)\.\d+\n# (Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\n\n-----BEGIN`)
	m := head.FindSubmatch(data)
	if m == nil {
		t.Fatalf("%s begins otherwise:\n%.120s", name, data)
	}
	out := []string{string(m[1]), string(i.Kind), i.Owner, i.Algorithm}
	if i.Kind != keyfile.KindMVAuthority { // there of random length, here always whole octets
		out = append(out, fmt.Sprint(i.Bits/8))
	}
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			out = append(out, derShape(block.Bytes, 0))
		} else {
			out = append(out, "private key")
		}
	}
	if c := i.Certificate; c != nil {
		out = append(out, c.Subject, c.Issuer, c.Signature, fmt.Sprint(c.Trusted, c.Private, c.GQ, c.NotAfter.Sub(c.NotBefore)))
	}
	return out
}

// derShape writes tags, and contents but for integers, bit strings and times.
// Lengths are left out, since integers differ by an octet.
func derShape(der []byte, depth int) string {
	var b strings.Builder
	for len(der) > 2 {
		tag, length, head := der[0], int(der[1]), 2
		if length >= 0x80 {
			n := length & 0x7f
			length = 0
			for _, c := range der[2 : 2+n] {
				length = length<<8 | int(c)
			}
			head += n
		}
		content := der[head : head+length]
		der = der[head+length:]
		switch {
		case tag&0x20 != 0:
			fmt.Fprintf(&b, "%02x{%s}", tag, derShape(content, depth+1))
		case tag == 0x02 || tag == 0x03 && length > 8 || tag == 0x17 || tag == 0x04 && length > 30:
			fmt.Fprintf(&b, "%02x ", tag)
		default:
			fmt.Fprintf(&b, "%02x:%x ", tag, content)
		}
	}
	return b.String()
}

// recent is when the corpus was new; nothing here expires before.
var recent = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// Our files have the names, links, head and structure of ntp-keygen's.
func TestLikeNTPKeygen(t *testing.T) {
	for set, options := range corpus {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			theirs := filepath.Join(corpusDir, set)
			host, password := "tick", "serverpw"
			if strings.HasPrefix(set, "client") {
				host, password = "tock", "clientpw"
			}
			if set == "nopw" {
				password = "tick"
			}
			ours := t.TempDir()
			args := append(strings.Fields(options), "--no-load-opts", "--keysdir", ours)
			if !strings.Contains(options, "-s ") {
				args = append(args, "-s", host)
			}
			args = append(args, "-p", password)
			if err := keygen(args, io.Discard, io.Discard); err != nil {
				t.Fatal(err)
			}
			names := entries(t, theirs)
			if d := cmp.Diff(names, entries(t, ours)); d != "" {
				t.Fatalf("names and links differ: %s", d)
			}
			for name := range names {
				if names[name] != "" {
					continue // a link
				}
				if d := cmp.Diff(shape(t, only(t, theirs, name), password), shape(t, only(t, ours, name), password)); d != "" {
					t.Errorf("%s differs: %s", name, d)
				}
			}
		})
	}
}

// only returns the file of a directory with a name and any filestamp.
func only(t *testing.T, dir, name string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, name+".[0-9]*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s in %s: %v, %v", name, dir, found, err)
	}
	return found[0]
}

// A set that ntp-keygen made is taken over: keys stay, the certificate is made
// anew under the same filestamp, the group files can be exported and work.
func TestTakesOverKeySets(t *testing.T) {
	for set, password := range map[string]string{
		"all3": "serverpw", "iff-group": "serverpw", "gq-group": "serverpw", "tc-rsasign1024": "serverpw",
		"cipher-des-cbc": "serverpw", "cipher-rc2-cbc": "serverpw", "cipher-seed-cbc": "serverpw", "cipher-camellia-256-cbc": "serverpw",
		"cipher-bf-cbc": "serverpw", "cipher-cast5-cbc": "serverpw", "cipher-aes-192-cbc": "serverpw", "mid": "midpw",
	} {
		t.Run(set, func(t *testing.T) {
			dir := copySet(t, filepath.Join(corpusDir, set))
			host := "tick"
			if set == "mid" {
				host = "mid"
			}
			before := entries(t, dir)
			stamp := stampOf(t, dir, "ntpkey_cert_"+host)
			base := []string{"--no-load-opts", "--keysdir", dir, "-s", host, "-p", password}
			if err := keygen(base, io.Discard, io.Discard); err != nil {
				t.Fatal(err)
			}
			if after := stampOf(t, dir, "ntpkey_cert_"+host); after != stamp {
				t.Errorf("filestamp %d became %d", stamp, after)
			}
			if d := cmp.Diff(before, entries(t, dir)); d != "" {
				t.Errorf("files changed: %s", d)
			}
			if err := keygen(append([]string{"renew"}, base...), io.Discard, io.Discard); err != nil {
				t.Fatal(err)
			}
			if after := stampOf(t, dir, "ntpkey_cert_"+host); after <= stamp {
				t.Errorf("renewed: filestamp %d stayed %d", stamp, after)
			}
			loaded, err := keyfile.LoadHost(os.DirFS(dir), keyfile.HostOptions{Host: host, Password: password})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range loaded.Findings {
				if f.Code == keyfile.FindKeyMismatch || f.Code == keyfile.FindFilestamp || f.Code == keyfile.FindGQMismatch {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

func copySet(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	list, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		path := filepath.Join(from, e.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		target, err := os.Readlink(path)
		if err != nil && len(data) < 100 {
			target = strings.TrimSpace(string(data))
		}
		to := filepath.Join(dir, e.Name())
		if target != "" {
			err = os.Symlink(target, to)
		} else {
			err = os.WriteFile(to, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func stampOf(t *testing.T, dir, name string) uint32 {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	_, stamp, err := keyfile.ReadCertificate(data)
	if err != nil {
		t.Fatal(err)
	}
	return stamp
}
