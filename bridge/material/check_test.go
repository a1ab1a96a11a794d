package material

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/config"
)

var now = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// site is a directory with a configuration.
type site struct {
	t   *testing.T
	dir string
}

func newSite(t *testing.T) site {
	s := site{t, t.TempDir()}
	for _, dir := range []string{"state", "run"} {
		if err := os.Mkdir(filepath.Join(s.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s site) write(name, text string, mode os.FileMode) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		s.t.Fatal(err)
	}
}

// check checks a configuration that listens where it harms nobody.
func (s site) check(text string) *Report {
	s.t.Helper()
	s.write("site.yaml", "state_dir: state\nrun_dir: run\nserver: {listen: [\"127.0.0.1:65123\"]}\n"+text, 0o644)
	return s.load("tick", now)
}

// load loads the configuration as it was written, and asks the machine.
func (s site) load(host string, at time.Time) *Report {
	s.t.Helper()
	path := filepath.Join(s.dir, "site.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	cfg, err := config.Parse(path, s.dir, text)
	if err != nil {
		s.t.Fatal(err)
	}
	cfg.Resolve(config.Environment{Hostname: host})
	r := NewReport(path)
	r.Add(Load(cfg, Options{Now: at}))
	r.Findings = append(r.Findings, Trial(cfg, nil)...)
	// How old the machine's own table of leap seconds is depends on the machine.
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool { return strings.HasPrefix(f.File, "/usr/share/zoneinfo/") })
	return r
}

// certificate writes NAME.crt and NAME.key, issued by itself or by another.
func (s site) certificate(name string, until time.Time, selfSigned bool, names ...string) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: names,
		NotBefore: until.Add(-90 * day), NotAfter: until,
	}
	issuer := c
	if !selfSigned {
		issuer = &x509.Certificate{Subject: pkix.Name{CommonName: "the authority"}}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	s.write(name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), 0o600)
}

// expect compares findings with "severity: text" each; the other ones of
// these severities are errors of the test.
func expect(t *testing.T, r *Report, severities string, wants ...string) {
	t.Helper()
	for _, f := range r.Findings {
		if !strings.Contains(severities, string(f.Grade)) {
			continue
		}
		found := false
		for i, want := range wants {
			if strings.Contains(f.String(), want) && strings.HasPrefix(want, string(f.Grade)) || matches(f, want) {
				wants = append(wants[:i:i], wants[i+1:]...)
				found = true
				break
			}
		}
		if !found {
			t.Errorf("unexpected: %v", f)
		}
	}
	for _, want := range wants {
		t.Errorf("missing: %s", want)
	}
}

// matches reports whether a finding is the wanted "severity: path: text".
func matches(f Finding, want string) bool {
	severity, text, _ := strings.Cut(want, ": ")
	return string(f.Grade) == severity && strings.Contains(f.Path+": "+f.Text, text)
}

func TestCheckDefault(t *testing.T) {
	s := newSite(t)
	r := s.check("nts: {listen: [\"127.0.0.1:65124\"]}")
	expect(t, r, "error, not served, warning")
	if len(r.Served) != 2 || r.Served[0].Network != "0.0.0.0/0" || r.Served[1].Network != "::/0" {
		t.Fatalf("%+v", r.Served)
	}
	// Autokey is allowed by the rule, but not enabled.
	if got := strings.Join(r.Served[0].Kinds, " "); got != "none nts symmetric" {
		t.Errorf("kinds %s", got)
	}
}

func TestCheckCertificates(t *testing.T) {
	s := newSite(t)
	s.certificate("fine", now.Add(60*day), false, "a.example", "*.b.example")
	s.certificate("soon", now.Add(10*day+time.Hour), true, "c.example")
	s.certificate("over", now.Add(-day), true, "d.example")
	s.certificate("early", now.Add(91*day), true, "e.example")
	s.write("open.key", "x", 0o640)
	const pair = "    - {cert: %[1]s.crt, key: %[1]s.key}\n"
	text := "nts:\n  listen: [\"127.0.0.1:65124\"]\n  names: [a.example, x.b.example, c.example, z.example]\n  certificates:\n"
	for _, name := range []string{"fine", "soon", "over", "early"} {
		text += fmt.Sprintf(pair, name)
	}
	expect(t, s.check(text), "error, not served, warning, note",
		"note: nts.certificates[0].cert: stands alone in its file",
		"warning: nts.certificates[1].cert: expires in 10 days, on 2026-12-02",
		"note: nts.certificates[1].cert: is self-signed",
		"not served: nts.certificates[2].cert: expired on 2026-11-21",
		"note: nts.certificates[2].cert: is self-signed",
		"not served: nts.certificates[3].cert: is not valid before 2026-11-23",
		"note: nts.certificates[3].cert: is self-signed",
		"warning: nts.names[3]: no certificate covers \"z.example\"",
		"note: keys.generate: ",
		"note: nts.cookies.secret_file: ",
	)
	expect(t, s.check("nts:\n  listen: [\"127.0.0.1:65124\"]\n  certificates: [{cert: soon.crt, key: fine.key}, {cert: none.crt, key: open.key}, {cert: open.key, key: fine.key}]\n"),
		"error, not served, warning",
		"not served: nts.certificates[0]: ",
		"not served: nts.certificates[1].cert: ",
		"not served: nts.certificates[2]: ",
	)
}

// Without nts.names only the host's name can be compared, which is a guess.
func TestCheckGuessedName(t *testing.T) {
	s := newSite(t)
	s.certificate("other", now.Add(60*day), true, "other.example")
	r := s.check("nts:\n  listen: [\"127.0.0.1:65124\"]\n  certificates: [{cert: other.crt, key: other.key}]\n")
	expect(t, r, "error, not served, warning")
	expect(t, r, "note", "note: nts.names[0]: no certificate covers \"tick\"", "note: is self-signed", "note: nts.cookies.secret_file",
		"note: keys.generate")
}

func TestCheckPermissions(t *testing.T) {
	s := newSite(t)
	s.write("a.keys", "1 SHA256 1111222233334444555566667777888899990000aaaabbbbccccddddeeeeffff\n", 0o644)
	s.write("b.keys", "1 SHA256 1111222233334444555566667777888899990000aaaabbbbccccddddeeeeffff\n"+
		"2 SHA256 2111222233334444555566667777888899990000aaaabbbbccccddddeeeeffff\n", 0o640)
	s.write("state/cookies.secret", strings.Repeat("x", 32), 0o604)
	if err := os.Chmod(filepath.Join(s.dir, "state"), 0o777); err != nil {
		t.Fatal(err)
	}
	r := s.check("keys: {files: [{path: a.keys}, {path: b.keys}, {path: state}], trusted: [all]}\nnts: {listen: [\"127.0.0.1:65124\"]}\n")
	expect(t, r, "error, not served, warning",
		"error: state_dir: ",
		"not served: keys.files[0].path: ",
		"not served: keys.files[2].path: ",
		"error: nts.cookies.secret_file: ",
	)
}

func TestCheckListen(t *testing.T) {
	s := newSite(t)
	busy, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	r := s.check(fmt.Sprintf("nts: {listen: [\"%v\", \"198.51.100.99:65124\"]}\n", busy.Addr()))
	expect(t, r, "error, not served, warning", "error: nts.listen[0]: tcp port 127.0.0.1:",
		"warning: nts.listen[1]: no interface of this machine has the address of 198.51.100.99:65124: it is served once")
}

func TestCheckRules(t *testing.T) {
	s := newSite(t)
	r := s.check(`
nts: {enabled: false}
keys: {generate: false}
clock: {mode: local, stratum: 1}
access:
  default: {kinds: [nts]}
  rules:
    - prefixes: [0.0.0.0/0]
    - {prefixes: [10.0.0.0/8], kinds: [none, autokey], rate: default, query: true}
    - {prefixes: ["::/0"], source_port_123: true, action: deny}
`)
	expect(t, r, "error, not served, warning, note",
		"warning: clock.stratum: stratum 1 is claimed",
		"warning: access.default.kinds: nobody is answered",
		"note: access.rules[1].kinds[1]: autokey is not enabled",
	)
	var got []string
	for _, row := range r.Served {
		got = append(got, fmt.Sprint(row.network(), row.Kinds, row.Rate))
	}
	want := "::/0[]-;0.0.0.0/0[none]none;10.0.0.0/8[none]1 in 8s, burst 8, RATE;::/0 port 123[]-"
	if strings.Join(got, ";") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, ";"), want)
	}
	// The table and the rules of the server agree.
	text, err := os.ReadFile(filepath.Join(s.dir, "site.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("site.yaml", s.dir, text)
	if err != nil {
		t.Fatal(err)
	}
	if rules := c.AccessRules(); len(rules) != len(r.Served) {
		t.Errorf("%d rules, %d rows", len(rules), len(r.Served))
	}
}

func TestCheckTakeover(t *testing.T) {
	s := newSite(t)
	for until, want := range map[string]string{
		"2026-11-22": "warning: autokey.takeover.until: is over",
		"2027-11-22": "note: autokey.takeover.enabled: cookies of seed 0",
		"2040-01-01": "warning: autokey.takeover.until: is more than two years",
	} {
		r := s.check("nts: {enabled: false}\nautokey: {enabled: true, keysdir: none, takeover: {enabled: true, until: " + until + "}}\n")
		found := false
		for _, f := range r.Findings {
			found = found || matches(f, want)
		}
		if !found {
			t.Errorf("%s: no %s", until, want)
		}
	}
}

// autokeySite copies the key set in testdata and links it as ntp-keygen does.
func autokeySite(t *testing.T) site {
	t.Helper()
	s := newSite(t)
	if err := os.CopyFS(filepath.Join(s.dir, "crypto"), os.DirFS("testdata/autokey")); err != nil {
		t.Fatal(err)
	}
	for link, file := range map[string]string{
		"host_tick": "RSAhost_tick", "cert_tick": "RSA-MD5cert_tick", "iffkey_tick": "IFFkey_grp",
	} {
		file = filepath.Join(s.dir, "crypto", "ntpkey_"+file+".4004289237")
		if err := os.Chmod(file, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Base(file), filepath.Join(s.dir, "crypto", "ntpkey_"+link)); err != nil {
			t.Fatal(err)
		}
	}
	s.write("pw", "serverpw\n", 0o600)
	return s
}

func TestCheckAutokey(t *testing.T) {
	s := autokeySite(t)
	const text = "autokey: {enabled: true, keysdir: crypto, password_file: pw}\nnts: {enabled: false}\n"
	r := s.check(text)
	expect(t, r, "error, not served, warning")
	if !strings.Contains(strings.Join(r.Facts, "\n"), "Autokey: host tick@grp, identity IFF, digest MD5") {
		t.Errorf("%q", r.Facts)
	}
	if !strings.Contains(strings.Join(r.Served[0].Kinds, " "), "autokey") {
		t.Errorf("not served: %+v", r.Served[0])
	}

	later := s.load("", now.Add(2*366*day))
	// The name of the host came from the environment.
	expect(t, later, "error, not served", "not served: autokey.keysdir: ")

	if err := os.Chmod(filepath.Join(s.dir, "crypto", "ntpkey_iffkey_tick"), 0o644); err != nil {
		t.Fatal(err)
	}
	expect(t, s.check(text), "error, not served, warning", "not served: autokey.keysdir: ")
	expect(t, s.check("readable_secrets: true\n"+text), "error, not served, warning", "warning: autokey.keysdir: ")
	if err := os.Chmod(filepath.Join(s.dir, "crypto", "ntpkey_iffkey_tick"), 0o640); err != nil {
		t.Fatal(err)
	}
	s.write("pw", "wrong\n", 0o600)
	expect(t, s.check(text), "error, not served", "not served: autokey.keysdir: ")
	s.write("pw", "\n", 0o600)
	expect(t, s.check(text), "error, not served", "not served: autokey.password_file: ")
	expect(t, s.check("autokey: {enabled: true, host: tock, keysdir: crypto, password_file: pw}\nnts: {enabled: false}\n"),
		"error, not served", "not served: autokey.password_file: ")
}

func TestCheckAutokeyExpired(t *testing.T) {
	s := autokeySite(t)
	s.check("autokey: {enabled: true, host: tick, keysdir: crypto, password_file: pw}\nnts: {enabled: false}\n")
	r := s.load("", now.Add(2*366*day))
	for _, f := range r.Findings {
		if f.Grade == NotServed && strings.Contains(f.File+f.Text, "cert") {
			return
		}
	}
	t.Errorf("an expired certificate is not found: %v", r.Findings)
}

func TestReportDoesNotShowSecrets(t *testing.T) {
	s := newSite(t)
	s.write("a.keys", "1 MD5 hunter2\n2 hunter2 hunter2\nhunter2 MD5 x\n", 0o600)
	s.write("pw", "hunter2\n", 0o600)
	r := s.check("keys: {files: [{path: a.keys}], trusted: [1-9]}\nautokey: {enabled: true, keysdir: ., password_file: pw}\nnts: {enabled: false}\n")
	var out bytes.Buffer
	if err := r.WriteServed(&out); err != nil {
		t.Fatal(err)
	}
	if err := r.Findings.Write(&out, Note, Warning, NotServed, NoStart); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Error(out.String())
	}
	if r.Findings.Count(NotServed) == 0 {
		t.Errorf("no error:\n%s", out.String())
	}
}

func TestCheckSources(t *testing.T) {
	s := newSite(t)
	s.write("keys", "1 SHA1 0123456789abcdef0123456789abcdef01234567\n2 MD5 secret-of-two\n", 0o600)
	const site = "nts: {enabled: false}\nkeys: {files: [{path: keys}], trusted: [1]}\n"
	r := s.check(site + `clock: {mode: discipline, min_sources: 5}
sources:
  - {server: a, auth: symmetric, key: 1}
  - {server: b, auth: symmetric, key: 2}
  - {server: c, auth: nts, trusted_certificates: ca.pem}
  - {server: d, mode: pool, max_sources: 1}
broadcast: [{destination: 192.0.2.255, key: 9}]
`)
	expect(t, r, "error, not served",
		"not served: sources[1].key: key 2 is in no key file, or not in keys.trusted",
		"not served: sources[2].trusted_certificates: ",
		"not served: broadcast[0].key: key 9 is in no key file",
		"not served: clock.min_sources: 5 sources must agree and there are 4")
	if want := "3 authenticated sources, 1 others, 0 reference clocks"; !strings.Contains(r.Clock, want) {
		t.Errorf("clock: %q, want %q", r.Clock, want)
	}
	r = s.check("nts: {enabled: false}\nclock: {mode: discipline}\nsources: [{server: a}, {server: b}]\n")
	expect(t, r, "error, not served, warning",
		"warning: sources: of two sources that disagree", "warning: sources: no source is authenticated")
	r = s.check(site + "clock: {mode: discipline, auth_select: require}\nsources: [{server: a}]\n")
	expect(t, r, "error, not served", "not served: clock.auth_select: require needs an authenticated source")
	r = s.check("nts: {enabled: false}\nclock: {leap: {file: leap}}\nreference_clocks: [{driver: pps, device: /nowhere/pps0}, {driver: shm}]\n")
	expect(t, r, "error, not served, warning", "not served: clock.leap.file: ", "warning: reference_clocks[0].device: stat /nowhere/pps0")

	r = s.check("nts: {enabled: false}\nclock: {mode: discipline, leap: {table: none}}\n" +
		"reference_clocks: [{driver: shm, tai: true}, {driver: shm, unit: 1}, {driver: shm, unit: 2}]\n")
	expect(t, r, "error, not served, warning", "not served: reference_clocks[0].tai: TAI-UTC is not known")
	r = s.check("nts: {enabled: false}\nsources: [{server: a, auth: symmetric, key: 1}, {server: b, auth: symmetric, key: 2}]\n")
	expect(t, r, "error, not served", "not served: sources[1].key: no key file has key 2: the generated one has key 1")
}

// A clock that somebody sets by hand has no sources that could be missed.
func TestCheckClockSetByHand(t *testing.T) {
	s := newSite(t)
	r := s.check("nts: {enabled: false}\nclock: {mode: discipline, fallback_stratum: 8}\n")
	expect(t, r, "error, not served, warning")
	if want := "set by hand (ntsbridge settime): there is no source, and it is served as it is, stratum 8"; !strings.Contains(r.Clock, want) {
		t.Errorf("clock: %q, want %q", r.Clock, want)
	}
}

// Without the algorithm that every client has, some are not served.
func TestCheckAlgorithms(t *testing.T) {
	s := newSite(t)
	expect(t, s.check("nts: {listen: [\"127.0.0.1:65124\"], aeads: [AES-128-GCM-SIV]}\n"), "error, not served, warning",
		"warning: nts.aeads: is without AES-SIV-CMAC-256")
	expect(t, s.check("nts: {listen: [\"127.0.0.1:65124\"], aeads: [AES-128-GCM-SIV, 15]}\n"), "error, not served, warning")
}
