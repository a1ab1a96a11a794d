package symkey

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// ids lists identifiers and algorithms of keys.
func ids(keys []*Key) string {
	var words []string
	for _, k := range keys {
		words = append(words, fmt.Sprintf("%d:%s/%d", k.ID(), k.Algorithm(), k.given))
	}
	return strings.Join(words, " ")
}

// TestCorpus has the format, the keys (number:type/octets given) and the
// severe findings of every file. rejected: what is listed is only readable.
func TestCorpus(t *testing.T) {
	const generated = "1:MD5/20 2:MD5/20 3:MD5/20 4:MD5/20 5:MD5/20 6:MD5/20 7:MD5/20 8:MD5/20 9:MD5/20 10:MD5/20 " +
		"11:SHA1/20 12:SHA1/20 13:SHA1/20 14:SHA1/20 15:SHA1/20 16:SHA1/20 17:SHA1/20 18:SHA1/20 19:SHA1/20 20:SHA1/20"
	tests := map[string]struct {
		format   Format
		keys     string
		rejected bool
		find     string // in some finding, or in the error
	}{
		"001": {FormatChrony, "1:SHA1/20", false, "SHA1 is deprecated"},
		"002": {FormatChrony, "", false, ""}, // nothing but comments; by name
		"003": {FormatNTP, "", false, ""},
		"004": {FormatChrony, "1:MD5/4", false, "key 1 has no type: MD5"},
		"005": {FormatNTP, "1:MD5/7", false, "MD5 is broken"},
		"006": {FormatChrony, "", false, ""},
		"007": {FormatNTP, "", false, ""},
		"008": {FormatChrony, "1:SHA1/20", false, ""},
		"009": {FormatNTP, "1:MD5/6", false, "the secret has 6 octets"},
		"010": {FormatChrony, "1:SHA1/20", false, ""},
		"011": {FormatChrony, "1:SHA1/20", false, ""},
		"012": {FormatChrony, "", false, ""},
		"013": {FormatChrony, "", false, ""},
		"014": {FormatChrony, "", false, ""},
		"015": {FormatNTP, "", false, "types A, N and S are DES keys"},
		"016": {FormatNTP, "1337:MD5/16", false, ""},
		"017": {FormatNTP, "", true, "line 1: the line does not start with a key number"},
		"018": {FormatChrony, "1:MD5/15", false, ""},
		"019": {FormatChrony, "1:SHA1/16 2:SHA1/16 3:SHA1/16 4:SHA1/16 5:SHA1/16", false, ""}, // CR LF means nothing to chronyd
		// The index says that all its lines load, but the secret of key 7 has 33
		// characters and is no hex: ntpd 4.2.8p15 does reject the file for it.
		"020": {FormatNTP, "1:MD5/8 2:MD5/20 3:MD5/12 4:SHA1/20 5:SHA256/14 6:AES128CMAC/16", true, "line 8: key 7: a secret of more " +
			"than 20"},
		"021": {FormatNTP, "1:SHA1/10 2:SHA1/12", false, "odd number of hex digits"},
		"022": {FormatNTP, "1:SHA256/32", false, "only the first 64 digits of the secret count, of 80"},
		"023": {FormatNTP, "7:MD5/9", false, "no type SHA "},
		"024": {FormatNTP, "1:MD5/5 2:MD5/5", true, "line 2: the line does not start with a key number"},
		"025": {FormatNTP, "1:MD5/4", true, "line 2: the line does not start with a key number of 1 to 65535"},
		"026": {FormatNTP, "1:MD5/4", true, "line 1: the line does not start with a key number"},
		"027": {FormatNTP, "2:MD5/4", true, "line 1: key 1: a secret of more than 20 characters has to be hex"},
		"028": {FormatNTP, "2:MD5/4", true, "line 1: key 1 has no secret"},
		"029": {FormatNTP, "1:MD5/5 2:SHA1/20 3:MD5/5", false, ""},
		"030": {FormatNTP, "1:MD5/5", true, "line 2: key 2: the address list has an item that is no address"},
		"031": {FormatNTP, "1:MD5/5 2:MD5/4 3:MD5/8 4:MD5/4", false, "the quotes are part of the secret"},
		"032": {FormatNTP, "1:MD5/6 2:SHA1/6 3:MD5/6", true, "line 3: the line does not start with a key number"},
		"033": {FormatNTP, "1:MD5/6 2:MD5/6", false, "the carriage return at the end of the line is part of the secret"},
		"034": {FormatNTP, "1:MD5/5 2:MD5/5", false, "key 1 is already on line 1: ntpd uses that one"},
		"035": {FormatNTP, "", false, "ntpd has no type AES-192"},
		"036": {FormatChrony, "10:MD5/8 20:MD5/8 25:SHA1/20 30:AES128CMAC/16 31:AES256CMAC/32 70000:SHA512/16", false, ""},
		"037": {FormatNTP, generated, false, ""},
		"038": {FormatNTP, "2:MD5/5", true, "line 1: key 1: the address list has an item that is no address: ntpd rejects the whole " +
			"file for it (and 1 more errors)"},
	}
	entries, err := os.ReadDir("testdata/corpus")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		test, ok := tests[name[:3]]
		if !ok {
			if strings.HasSuffix(name, ".keys") {
				t.Errorf("no expectation: %s", name)
			}
			continue
		}
		t.Run(name, func(t *testing.T) {
			data := readFile(t, "corpus/"+name)
			if got := detectFormat("/etc/"+name, data); got != test.format {
				t.Errorf("format %v, want %v", got, test.format)
			}
			file, err := ParseAuto(name, data)
			if errors.Is(err, ErrRejected) != test.rejected || (err != nil) != test.rejected {
				t.Fatalf("error %v, rejected should be %v", err, test.rejected)
			}
			keys, text := file.Keys, fmt.Sprint(file.Findings)
			if test.rejected {
				if len(file.Keys) != 0 {
					t.Errorf("a rejected file has keys: %v", file.Keys)
				}
				keys, text = file.Readable, text+err.Error()
			}
			if got := ids(keys); got != test.keys {
				t.Errorf("keys %s, want %s", got, test.keys)
			}
			if !strings.Contains(text, test.find) {
				t.Errorf("findings %s, want one with %q", text, test.find)
			}
		})
	}
}

// TestNTPDTraps has what ntpd 4.2.8p15 did with each file: which of the keys it
// answered, or that it rejected the file.
func TestNTPDTraps(t *testing.T) {
	const good = "\n2 M good\n"
	for name, test := range map[string]struct {
		data string
		keys string // "" with rejected
	}{
		"unknown type without secret":   {"1 FOO" + good, ""},
		"unknown type with bad hex":     {"1 FOO 0123456789abcdefghijklmn" + good, ""},
		"unknown type with bad address": {"1 FOO fake nope" + good, ""},
		"unknown type":                  {"1 FOO fake" + good, "2=good"},
		"bad address":                   {"1 M fake nope" + good, ""},
		"number over 32 bits":           {"4294967297 M wrap" + good, "1=wrap 2=good"},
		"number over 64 bits":           {"99999999999999999999 M wrap" + good, ""},
		"negative number":               {"-5 M neg" + good, ""},
		"number with plus":              {"+7 M plus" + good, "7=plus 2=good"},
		"number with rest":              {"12abc M rest" + good, "12=rest 2=good"},
		"hex number":                    {"0x7 M hex" + good, ""},
		"vertical tab":                  {"\v7 M vt" + good, "7=vt 2=good"},
		"CR before the number":          {"\r7 M cr" + good, "7=cr 2=good"},
		"CR alone":                      {"\r" + good, ""},
		"CR behind the secret":          {"1 M fake\r" + good, "1=fake\r 2=good"},
		"CR behind hex":                 {"1 M 00112233445566778899aabb\r" + good, ""},
		"CR behind an address":          {"1 M fake 192.0.2.1\r" + good, ""},
		"CR behind a prefix":            {"1 M fake 192.0.2.1/24\r" + good, ""},
		"CR behind types":               {"1 M\r a\n2 MD5\r b\n3 SHA1\r c\n4 M d\n", "1=a 2=b 4=d"},
		"no hex behind 64 digits": {"1 M 3131313131313131313131313131313131313131313131313131313131313131zzzz" + good,
			"1=11111111111111111111111111111111 2=good"},
		"odd digit no hex":                   {"1 M 31313131313131313131z" + good, ""},
		"empty address":                      {"1 M fake 192.0.2.1,,192.0.2.2" + good, ""},
		"comma at the end of addresses":      {"1 M fake 192.0.2.1," + good, ""},
		"address in brackets":                {"1 M fake [2001:db8::1]" + good, "1=fake 2=good"},
		"address with zone":                  {"1 M fake fe80::1%lo" + good, "1=fake 2=good"},
		"short IPv4 address":                 {"1 M fake 127.1" + good, ""},
		"IPv4 address with zeros":            {"1 M fake 127.0.0.01" + good, ""},
		"4-in-6 address":                     {"1 M fake ::ffff:192.0.2.1" + good, "1=fake 2=good"},
		"empty prefix length":                {"1 M fake 192.0.2.1/" + good, "1=fake 2=good"},
		"prefix length 33":                   {"1 M fake 192.0.2.1/33" + good, "1=fake 2=good"},
		"prefix length 1001":                 {"1 M fake 192.0.2.1/1001" + good, "1=fake 2=good"},
		"prefix length 10010":                {"1 M fake 192.0.2.1/10010" + good, ""},
		"prefix length 129":                  {"1 M fake 2001:db8::/129" + good, "1=fake 2=good"},
		"prefix length 0":                    {"1 M fake 192.0.2.1/0" + good, "1=fake 2=good"},
		"prefix length with letter":          {"1 M fake 192.0.2.1/2x" + good, ""},
		"two prefix lengths":                 {"1 M fake 192.0.2.1/2/3" + good, ""},
		"fifth word":                         {"1 M fake 192.0.2.1 rubbish" + good, "1=fake 2=good"},
		"NUL in the secret":                  {"1 M fa\x00ke" + good, "1=fa 2=good"},
		"NUL alone":                          {"\x00" + good, "2=good"},
		"comment behind the number":          {"1#comment M fake" + good, ""},
		"comment behind the type":            {"1 M#comment fake" + good, ""},
		"comment in the secret":              {"1 M pass#word" + good, "1=pass 2=good"},
		"byte order mark":                    {"\xef\xbb\xbf1 M fake" + good, ""},
		"byte order mark before a comment":   {"\xef\xbb\xbf# c" + good, ""},
		"blanks beyond 511":                  {"1 M fake " + strings.Repeat(" ", 600) + good, "1=fake 2=good"},
		"comment beyond 511":                 {"# " + strings.Repeat("x", 600) + good, ""},
		"key hidden beyond 511 of a comment": {"# " + strings.Repeat("x", 509) + "7 M hidden" + good, "7=hidden 2=good"},
		"same number":                        {"1 M first\n1 M second\n", "1=first"},
		"same number, first of unknown type": {"1 FOO first\n1 M second\n", "1=second"},
		"no newline at the end":              {"1 M first", "1=first"},
		"octets above 127":                   {"1 M \x80\xff\n", "1=\x80\xff"},
		"MD2 and MDC2 are not MD5":           {"1 MD2 fake\n1 MDC2 fake" + good, "2=good"},
		"BLAKE2 is not found":                {"1 BLAKE2b512 fake\n1 BLAKE2s256 fake" + good, "2=good"},
		"names of chronyd and ntpsec":        {"1 AES-128 fake\n1 AES256CMAC fake\n1 SHA-1 fake\n1 AES-128-CMAC fake" + good, "2=good"},
		"short and long CMAC secrets": {"1 AES128CMAC short\n3 CMAC exactly20characters!\n",
			"1=short\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00 3=exactly20charact"},
	} {
		file, err := ParseNTPKeys("ntp.keys", []byte(test.data))
		if (err != nil) != (test.keys == "") || err != nil && !errors.Is(err, ErrRejected) {
			t.Errorf("%s: error %v", name, err)
		}
		var got []string
		for _, k := range file.Keys {
			got = append(got, fmt.Sprintf("%d=%s", k.id, k.secret))
		}
		if strings.Join(got, " ") != test.keys {
			t.Errorf("%s: keys %q, want %q", name, got, test.keys)
		}
	}
}

// TestChronyTraps reads the file that chronyd 4.6.1 was recorded with, and has
// what its log said and which keys it answered.
func TestChronyTraps(t *testing.T) {
	file, err := ParseChronyKeys("chrony.keys", readFile(t, "packets/chronyd.keys"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range file.Keys {
		got = append(got, fmt.Sprint(k.ID()))
	}
	want := "1 2 3 4 5 6 7 8 9 10 11 14 15 17 27 28 29 32 34 35 36 37 4294967295 40 43 50 51 52 53 54 60 " +
		"63 64 65 66 67 68 70 71 72 73 74 75"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("keys\n%s, want\n%s", s, want)
	}
	secrets := map[uint32]string{
		1: "shortkey", 27: "hex:0011", 29: "\xaa\xbb", 32: "fake#hash", 34: "MD5", 36: "AES128", 40: "fake", 43: "plus",
		50: "firstdup", 52: "\x00\x11\x22", 53: "foo", 60: "quoted\"x\"", 63: "crkey", 64: "\x00\x11",
		66: "formfeed", 67: "vtab", 68: "\x80\x81", 70: strings.Repeat("a", 2039), 72: strings.Repeat("c", 2040),
		73: strings.Repeat("d", 2040), 75: "nolf",
	}
	for _, k := range file.Keys {
		if want, ok := secrets[k.id]; ok && string(k.secret) != want {
			t.Errorf("key %d: secret %q, want %q", k.id, k.secret, want)
		}
	}
	// Key 0 stands on three lines that chronyd loads and we refuse.
	errorLines := map[int]bool{}
	for _, f := range file.Findings {
		if f.Severity == Error {
			errorLines[f.Line] = true
		}
	}
	if len(errorLines) != 25+3 {
		t.Errorf("errors on %d lines: %v", len(errorLines), errorLines)
	}
}

// TestNTPsecTraps reads the file that ntpsec 1.2.3 was recorded with.
func TestNTPsecTraps(t *testing.T) {
	file, err := ParseNTPsecKeys("ntp.keys", readFile(t, "packets/ntpsec.keys"))
	if err != nil {
		t.Fatal(err)
	}
	want := "1:MD5/8 2:AES128CMAC/16 3:AES128CMAC/16 4:AES192CMAC/24 5:AES256CMAC/32 6:AES128CMAC/16 7:SHA1/8 8:SHA256/8 " +
		"9:SHA256/8 10:SHA512/32 11:BLAKE2b512/8 12:BLAKE2s256/8 13:SM3/8 14:MD5-SHA1/8 15:MD5/8 16:AES256CMAC/16 " +
		"17:AES192CMAC/28 18:SHA3-256/8 19:RIPEMD160/8 20:SHA512-256/8 21:SHA224/8 22:MD5/8 23:SHA256/8 24:SHA3-512/8 " +
		"25:MD5/4 26:SHA1/11 27:MD5/4 28:MD5/10 29:MD5/9 34:SHA384/13 35:MD5/6 36:MD5/7"
	if got := ids(file.Keys); got != want {
		t.Errorf("keys\n%s, want\n%s", got, want)
	}
}

func TestAddresses(t *testing.T) {
	data := readFile(t, "corpus/029-synthetic-access-lists.keys")
	data = append(data, "4 M fake ::ffff:192.0.2.1,192.0.2.77/33,[2001:db8::1],fe80::1%lo/10\n"...)
	file, err := ParseNTPKeys("ntp.keys", data)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"[192.0.2.1/32]", "[192.0.2.0/24 2001:db8::/32]", "[192.0.2.7/32 198.51.100.0/28]",
		"[192.0.2.1/32 192.0.2.77/32 2001:db8::1/128 fe80::/10]",
	}
	for i, k := range file.Keys {
		if got := fmt.Sprint(k.Addresses()); got != want[i] {
			t.Errorf("key %d: %s, want %s", k.ID(), got, want[i])
		}
	}
}

func TestDetectFormat(t *testing.T) {
	for _, test := range []struct {
		name, data string
		want       Format
	}{
		{"ntp.keys", "1 mypassword\n", FormatChrony},
		{"ntp.keys", "1 M\n2 M good\n", FormatNTP},
		{"ntp.keys", "1 MD5 fake\n", FormatNTP},
		{"/etc/chrony/chrony.keys", "1 MD5 fake\n", FormatChrony},
		{"/etc/chrony/keys", "1 MD5 fake\n", FormatNTP},
		{"keys", "70000 MD5 fake\n", FormatChrony},
		{"keys", "1 SHA1 fake 192.0.2.1\n", FormatNTP},
		{"keys", "1 SHA1 fake # comment\n", FormatNTP},
		{"chrony.keys", "1 SHA1 00112233445566778899aabbccddeeff00112233\n", FormatNTP},
		{"keys", "1 SHA1 HEX:0011\n", FormatChrony},
		{"keys", "# c\n\n% c\n1 M fake\n", FormatChrony},
		{"keys", "", FormatNTP},
	} {
		if got := detectFormat(test.name, []byte(test.data)); got != test.want {
			t.Errorf("%s with %q: %v, want %v", test.name, test.data, got, test.want)
		}
	}
}

// TestFindingsKeepSecrets: no finding and no error repeats a word of a line.
func TestFindingsKeepSecrets(t *testing.T) {
	const secret = "HuNtEr2"
	for _, line := range []string{
		secret, "1 " + secret, "1 MD5 " + secret, secret + " MD5 x", "1 " + secret + " x", "1 MD5 x " + secret,
		"1 SHA1 " + secret + "0123456789abcdefghijk", "1 MD5 HEX:" + secret, "1 MD5 x 192.0.2.1/" + secret,
		"1 AES128 " + secret, "1 MD5 " + secret + "#" + secret, "0" + secret + " MD5 x",
	} {
		for _, parse := range []func(string, []byte) (*File, error){ParseNTPKeys, ParseNTPsecKeys, ParseChronyKeys} {
			file, err := parse("keys", []byte(line+"\n"))
			text := fmt.Sprint(err, file.Findings) + fmt.Sprintf("%v %+v %#v %s %q %x %d", file.Keys, *file, *file, file.Keys,
				file.Keys, file.Keys, file.Keys)
			if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) || strings.Contains(text, "48754e74457232") {
				t.Errorf("%q: %s", line, text)
			}
		}
	}
}

func fuzzParser(f *testing.F, parse func(string, []byte) (*File, error)) {
	entries, err := os.ReadDir("testdata/corpus")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		f.Add(readFile(f, "corpus/"+e.Name()))
	}
	for _, daemon := range []string{"ntpd", "chronyd", "ntpsec"} {
		f.Add(readFile(f, "packets/"+daemon+".keys"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse("keys", data)
		if err != nil && (!errors.Is(err, ErrRejected) || len(file.Keys) != 0) {
			t.Fatalf("%v with %v", err, file.Keys)
		}
		seen := map[uint32]bool{}
		for _, k := range append(file.Keys, file.Readable...) {
			if k.ID() == 0 || seen[k.ID()] {
				t.Fatalf("key %d is 0 or there twice", k.ID())
			}
			seen[k.ID()] = true
			roundTrip(t, k)
		}
		for i, finding := range file.Findings {
			if finding.Line < 1 || i > 0 && finding.Line < file.Findings[i-1].Line {
				t.Fatalf("findings out of order: %v", file.Findings)
			}
		}
		detectFormat("keys", data)
	})
}

// roundTrip writes a key in both formats and reads it back.
func roundTrip(t *testing.T, k *Key) {
	t.Helper()
	for _, format := range []struct {
		write func([]byte, *Key) ([]byte, error)
		parse func(string, []byte) (*File, error)
	}{{AppendNTPKeysLine, ParseNTPKeys}, {AppendChronyKeysLine, ParseChronyKeys}} {
		line, err := format.write([]byte("# before\n"), k)
		if err != nil {
			if string(line) != "# before\n" {
				t.Fatalf("%v: an error with a line %q", k, line)
			}
			continue
		}
		file, err := format.parse("keys", line)
		if err != nil || len(file.Keys) != 1 {
			t.Fatalf("%v: read back as %v, %v", k, file.Keys, err)
		}
		got := file.Keys[0]
		if got.id != k.id || got.algorithm != k.algorithm || !bytes.Equal(got.secret, k.secret) {
			t.Fatalf("%v: read back as %v", k, got)
		}
		if file.Format == FormatNTP && fmt.Sprint(got.addresses) != fmt.Sprint(k.addresses) {
			t.Fatalf("%v: addresses %v read back as %v", k, k.addresses, got.addresses)
		}
	}
}

func FuzzParseNTPKeys(f *testing.F)    { fuzzParser(f, ParseNTPKeys) }
func FuzzParseNTPsecKeys(f *testing.F) { fuzzParser(f, ParseNTPsecKeys) }
func FuzzParseChronyKeys(f *testing.F) { fuzzParser(f, ParseChronyKeys) }
