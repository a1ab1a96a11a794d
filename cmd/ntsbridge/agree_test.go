package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"ntsbridge/bridge/material"
)

// nobody is a user without capabilities.
const nobody = 65534

// ground is a directory with a copy of the program that another user can run.
type ground struct {
	t       *testing.T
	dir     string
	program string
	uid     int // who runs it; 0: we
	args    []string
	env     []string
}

// newGround makes one, on which everybody may tread.
func newGround(t *testing.T) *ground {
	t.Helper()
	top, err := os.MkdirTemp("", "agree")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(top, "ntsbridge") // by this name the test binary is the program
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(test)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	return &ground{t: t, dir: top, program: program}
}

// plot is a fresh part of the ground for one case.
func (g *ground) plot(t *testing.T, name string) *ground {
	t.Helper()
	p := &ground{t: t, dir: filepath.Join(g.dir, name), program: g.program, env: []string{"HOME=" + filepath.Join(g.dir, name)}}
	p.mkdir("")
	return p
}

func (g *ground) mkdir(name string) string {
	g.t.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		g.t.Fatal(err)
	}
	return path
}

func (g *ground) write(name, text string) {
	g.t.Helper()
	path := filepath.Join(g.dir, name)
	g.mkdir(filepath.Dir(name))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// certificate writes a certificate and its key.
func (g *ground) certificate(cert, key string, from, until time.Time) {
	g.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		g.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "srv"}, DNSNames: []string{"srv"},
		NotBefore: from, NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private)
	if err != nil {
		g.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		g.t.Fatal(err)
	}
	g.write(cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	g.write(key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
}

func (g *ground) command(verb string, args ...string) *exec.Cmd {
	all := append([]string{verb, "-c", filepath.Join(g.dir, "site.yaml")}, g.args...)
	cmd := exec.Command(g.program, append(all, args...)...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), g.env...)
	if g.uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(g.uid), Gid: uint32(g.uid)}}
	}
	return cmd
}

// check returns what check says, and its exit status.
func (g *ground) check() (report material.Report, status int) {
	g.t.Helper()
	out, err := g.command("check", "--json").Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		g.t.Fatal(err)
	}
	if err := json.Unmarshal(out, &report); err != nil {
		g.t.Fatalf("check: %v: %s", err, out)
	}
	return report, status
}

// serve starts the server and says whether it came to serve, and what it
// logged until then. It is stopped.
func (g *ground) serve() (started bool, log string) {
	g.t.Helper()
	cmd := g.command("serve")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	watchdog := time.AfterFunc(60*time.Second, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	var text strings.Builder
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		fmt.Fprintln(&text, lines.Text())
		if strings.Contains(lines.Text(), "serving: ntp=") && !started {
			started = true
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	err = cmd.Wait()
	if started && err != nil {
		g.t.Errorf("stopped with %v:\n%s", err, &text)
	}
	if exit := new(exec.ExitError); !started && (!errors.As(err, &exit) || exit.ExitCode() != exitFailed) {
		g.t.Errorf("a start that is refused ends with %v:\n%s", err, &text)
	}
	return started, text.String()
}

// keySet copies an Autokey key set of one host, with its links.
func (g *ground) keySet() {
	g.t.Helper()
	const from = "../../bridge/material/testdata/autokey/"
	for file, link := range map[string]string{"RSAhost_tick": "host_tick", "RSA-MD5cert_tick": "cert_tick", "IFFkey_grp": "iffkey_tick"} {
		name := "ntpkey_" + file + ".4004289237"
		text, err := os.ReadFile(from + name)
		if err != nil {
			g.t.Fatal(err)
		}
		g.write("crypto/"+name, string(text))
		if err := os.Symlink(name, filepath.Join(g.dir, "crypto", "ntpkey_"+link)); err != nil {
			g.t.Fatal(err)
		}
	}
	g.write("pw", "serverpw\n")
}

// busy holds a port and returns it.
func busyUDP(t *testing.T) string {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.LocalAddr().String()
}

func busyTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// grade is what happens to a thing that is broken.
type grade int

const (
	fine      grade = iota
	notServed       // serve starts
	noStart
)

// autokeySource begins a configuration with a source by Autokey.
const autokeySource = "autokey: {keysdir: crypto, host: tick, password_file: pw}\nsources: [{server: 127.0.0.1, auth: autokey, ident: grp}]\n"

// Each kind of broken thing is put through check and through a start of serve:
// what check says is what happens.
func TestCheckAndServeAgree(t *testing.T) {
	needs.Slow(t)
	needs.Root(t, "run as another user")
	top := newGround(t)
	now := time.Now()
	for _, c := range []struct {
		name  string
		text  string
		setup func(*ground)
		want  grade
	}{
		{"nothing", "", nil, fine},
		{"unknown option", "bogus: 1\n", nil, noStart},
		{"key file missing", "keys: {files: [{path: none}], trusted: [all]}\n", nil, notServed},
		{"key file rejected", "keys: {files: [{path: k, format: ntp}], trusted: [all]}\n", func(g *ground) { g.write("k", "x MD5 y\n") },
			notServed},
		{"credentials", credentials, (*ground).credentials, fine},
		{"credentials of nobody", credentials, nil, notServed},
		{"key file a directory", "keys: {files: [{path: .}], trusted: [all]}\n", nil, notServed},
		{"key of a source unknown", "sources: [{server: 127.0.0.1, auth: symmetric, key: 9}]\n", nil, notServed},
		{"trusted certificates empty", "sources: [{server: 127.0.0.1, auth: nts, trusted_certificates: ca}]\n",
			func(g *ground) { g.write("ca", "") }, notServed},
		{"trusted certificates missing", "sources: [{server: 127.0.0.1, auth: nts, trusted_certificates: ca}]\n", nil, notServed},
		{"autokey source, empty keysdir", autokeySource, func(g *ground) { g.mkdir("crypto"); g.write("pw", "x\n") }, notServed},
		{"autokey source, no keysdir", autokeySource, nil, notServed},
		{"autokey on, empty keysdir", "autokey: {enabled: true, keysdir: crypto, host: tick}\n", func(g *ground) { g.mkdir("crypto") },
			notServed},
		{"autokey on, certificate of another year", "autokey: {enabled: true, keysdir: crypto, host: tick, password_file: pw}\n",
			(*ground).keySet, fine},
		{"autokey on, wrong password", "autokey: {enabled: true, keysdir: crypto, host: tick, password_file: pw}\n",
			func(g *ground) { g.keySet(); g.write("pw", "wrong\n") }, notServed},
		{"autokey seed broken", "autokey: {enabled: true, keysdir: crypto, host: tick, password_file: pw, seed_file: seed}\n",
			func(g *ground) { g.keySet(); g.write("seed", "xyz\n") }, noStart},
		{"group file missing", autokeySource, (*ground).keySet, notServed},
		{"group file empty", autokeySource, group(""), notServed},
		{"group file no PEM", autokeySource, group("hello\n"), notServed},
		{"group file cut off", autokeySource, group("# ntpkey_iffpar_grp\n-----BEGIN DSA PRIVATE KEY-----\nMIIB\n"), notServed},
		{"group file not base64", autokeySource, group("-----BEGIN DSA PRIVATE KEY-----\n!!!\n-----END DSA PRIVATE KEY-----\n"), notServed},
		{"group file not DER", autokeySource, group("-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n"), notServed},
		{"group file another key", autokeySource, func(g *ground) {
			g.keySet()
			text, err := os.ReadFile(filepath.Join(g.dir, "crypto", "ntpkey_host_tick"))
			if err != nil {
				g.t.Fatal(err)
			}
			g.write("crypto/ntpkey_iffpar_grp", string(text))
		}, notServed},
		{"group file a directory", autokeySource, func(g *ground) { g.keySet(); g.mkdir("crypto/ntpkey_iffpar_grp") }, notServed},
		{"group file a dangling link", autokeySource, func(g *ground) {
			g.keySet()
			if err := os.Symlink("gone", filepath.Join(g.dir, "crypto", "ntpkey_iffpar_grp")); err != nil {
				g.t.Fatal(err)
			}
		}, notServed},
		{"group file too large", autokeySource, group(strings.Repeat("x", 1<<20)), notServed},
		{"leap file no table", "clock: {leap: {file: leap}}\n", func(g *ground) { g.write("leap", "no table\n") }, notServed},
		{"leap file missing", "clock: {leap: {file: leap}}\n", nil, notServed},
		{"autokey leap file no table", "autokey: {enabled: true, keysdir: crypto, host: tick, password_file: pw, leap_file: leap}\n",
			func(g *ground) { g.keySet(); g.write("leap", "no table\n") }, notServed},
		{"certificate expired", "nts: {names: [srv], certificates: [{cert: c, key: k}]}\n",
			func(g *ground) { g.certificate("c", "k", now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0)) }, notServed},
		{"certificate not yet valid", "nts: {names: [srv], certificates: [{cert: c, key: k}]}\n",
			func(g *ground) { g.certificate("c", "k", now.AddDate(1, 0, 0), now.AddDate(2, 0, 0)) }, notServed},
		{"certificate of another key", "nts: {names: [srv], certificates: [{cert: c, key: k2}]}\n", func(g *ground) {
			g.certificate("c", "k", now, now.AddDate(1, 0, 0))
			g.certificate("c2", "k2", now, now.AddDate(1, 0, 0))
		}, notServed},
		{"certificate missing", "nts: {names: [srv], certificates: [{cert: c, key: k}]}\n", nil, notServed},
		{"certificate no PEM", "nts: {names: [srv], certificates: [{cert: c, key: k}]}\n",
			func(g *ground) { g.write("c", "x"); g.write("k", "x") }, notServed},
		{"key file readable by all", "keys: {files: [{path: k}], trusted: [all]}\n", func(g *ground) {
			g.write("k", "1 SHA1 0123456789abcdef0123456789abcdef01234567\n")
			if err := os.Chmod(filepath.Join(g.dir, "k"), 0o644); err != nil {
				g.t.Fatal(err)
			}
		}, notServed},
		{"private key readable by all", "nts: {names: [srv], certificates: [{cert: c, key: k}]}\n", func(g *ground) {
			g.certificate("c", "k", now, now.AddDate(1, 0, 0))
			if err := os.Chmod(filepath.Join(g.dir, "k"), 0o644); err != nil {
				g.t.Fatal(err)
			}
		}, notServed},
		{"and allowed", "readable_secrets: true\nnts: {names: [srv], certificates: [{cert: c, key: k}]}\n", func(g *ground) {
			g.certificate("c", "k", now, now.AddDate(1, 0, 0))
			if err := os.Chmod(filepath.Join(g.dir, "k"), 0o644); err != nil {
				g.t.Fatal(err)
			}
		}, fine},
		{"self-made certificate broken", "", func(g *ground) { g.write("state/nts.crt", "x"); g.write("state/nts.key", "x") }, notServed},
		{"cookie secret short", "nts: {cookies: {secret_file: s}}\n", func(g *ground) { g.write("s", "abcd") }, noStart},
		{"seed lost", "autokey: {enabled: true, keysdir: crypto, host: tick, password_file: pw}\n", func(g *ground) {
			g.keySet()
			g.write("state/files-made", filepath.Join(g.dir, "state", "autokey.seed")+"\n")
		}, noStart},
		{"cookie secret lost", "", func(g *ground) { g.write("state/files-made", filepath.Join(g.dir, "state", "cookies.secret")+"\n") },
			noStart},
		{"port in use", "", func(g *ground) { g.env = append(g.env, "NTSBRIDGE_SERVER_LISTEN="+busyUDP(g.t)) }, noStart},
		{"NTS-KE port in use", "", func(g *ground) { g.env = append(g.env, "NTSBRIDGE_NTS_LISTEN="+busyTCP(g.t).Addr().String()) },
			noStart},
		{"address of nobody", "", func(g *ground) {
			g.env = append(g.env, "NTSBRIDGE_SERVER_LISTEN=198.51.100.99:12345", "NTSBRIDGE_SERVER_FREE_BIND=false")
		}, noStart},
		{"no capability for the port", "", func(g *ground) {
			g.uid = nobody
			g.env = append(g.env,
				"NTSBRIDGE_SERVER_LISTEN=127.0.0.1:123")
		}, noStart},
		{"state directory not writable", "", func(g *ground) { g.uid = nobody; g.mkdir("state") }, noStart},
		{"state directory cannot be made", "", func(g *ground) {
			g.uid = nobody
			if err := os.Chmod(g.dir, 0o555); err != nil {
				g.t.Fatal(err)
			}
		}, noStart},
		{"state directory a file", "", func(g *ground) { g.write("state", "") }, noStart},
		{"state directory for everybody", "", func(g *ground) {
			if err := os.Chmod(g.mkdir("state"), 0o777); err != nil {
				g.t.Fatal(err)
			}
		}, noStart},
		{"state directory of another user", "", func(g *ground) {
			if err := os.Chown(g.mkdir("state"), nobody, -1); err != nil {
				g.t.Fatal(err)
			}
		}, noStart},
		{"no home", "", func(g *ground) {
			g.uid, g.env, g.args = nobody, []string{"HOME=", "XDG_STATE_HOME=", "XDG_RUNTIME_DIR=", "STATE_DIRECTORY=",
				"RUNTIME_DIRECTORY=", "NTSBRIDGE_STATE_DIR=", "NTSBRIDGE_RUN_DIR="}, nil
		}, noStart},
		{"socket path too long", "", func(g *ground) { g.args = []string{"--run-dir", g.mkdir(strings.Repeat("long-", 25))} }, noStart},
		{"control socket a file", "", func(g *ground) { g.write("run/control.sock", "") }, noStart},
		{"discipline without CAP_SYS_TIME", "clock: {mode: discipline}\nsources: [{server: 127.0.0.1}]\n",
			func(g *ground) { g.uid = nobody }, noStart},
		{"reference clocks of one refid",
			"reference_clocks: [{driver: sock, device: s1, refid: GPS}, {driver: sock, device: s2, refid: GPS}]\n", nil, noStart},
		{"name of a server that is none", "sources: [{server: \"[fd95::1]:4460\"}]\n", nil, noStart},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := top.plot(t, strings.NewReplacer(" ", "-", ",", "").Replace(c.name))
			g.args = []string{"--run-dir", filepath.Join(g.dir, "run"), "--state-dir", filepath.Join(g.dir, "state")}
			g.env = append(g.env, "NTSBRIDGE_SERVER_LISTEN="+freePort("udp"), "NTSBRIDGE_NTS_LISTEN="+freePort("tcp"))
			g.write("site.yaml", "server: {workers: 1}\n"+c.text)
			if c.setup != nil {
				c.setup(g)
			}
			if g.uid != 0 {
				g.give()
			}
			g.agree(c.want)
		})
	}
}

// credentials are what a unit with LoadCredential hands over.
const credentials = `keys: {files: [{path: $CREDENTIALS_DIRECTORY/ntp.keys}], trusted: [all]}
nts: {certificates: [{cert: $CREDENTIALS_DIRECTORY/nts.crt, key: $CREDENTIALS_DIRECTORY/nts.key}]}
`

// credentials makes them as systemd 252 does: modes, and the variable.
func (g *ground) credentials() {
	g.write("credentials/ntp.keys", "1 SHA256 "+strings.Repeat("01", 32)+"\n")
	g.certificate("credentials/nts.crt", "credentials/nts.key", time.Now().Add(-time.Hour), time.Now().AddDate(0, 1, 0))
	dir := filepath.Join(g.dir, "credentials")
	for _, name := range []string{"ntp.keys", "nts.crt", "nts.key", "."} {
		mode := os.FileMode(0o440)
		if name == "." {
			mode = 0o550
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			g.t.Fatal(err)
		}
	}
	g.env = append(g.env, "CREDENTIALS_DIRECTORY="+dir)
}

// give makes what is not there for another user possible: the files are its.
func (g *ground) give() {
	if info, err := os.Stat(g.dir); err == nil && info.Mode().Perm() == 0o755 {
		_ = os.Chown(g.dir, g.uid, g.uid)
	}
	_ = os.Chown(filepath.Join(g.dir, "site.yaml"), g.uid, g.uid)
}

// group makes the key set, and a group file with this text.
func group(text string) func(*ground) {
	return func(g *ground) {
		g.keySet()
		g.write("crypto/ntpkey_iffpar_grp", text)
	}
}

// freePort returns an address that nobody has at the moment.
func freePort(network string) string {
	if network == "udp" {
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		defer c.Close()
		return c.LocalAddr().String()
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// agree compares check with a start.
func (g *ground) agree(want grade) {
	t := g.t
	t.Helper()
	report, status := g.check()
	before := listing(g.dir)
	count := report.Findings.Count
	got := fine
	switch {
	case count(material.NoStart) > 0:
		got = noStart
	case count(material.NotServed) > 0:
		got = notServed
	}
	if got != want {
		t.Errorf("check says grade %d, want %d: %v", got, want, report.Findings)
	}
	if (status == exitFailed) != (want == noStart) || status != 0 && status != exitFailed {
		t.Errorf("check ends with status %d", status)
	}
	if want == noStart && strings.Contains(before, "cookies.secret") && !strings.Contains(before, "files-made") {
		t.Errorf("check left files: %s", before)
	}
	started, log := g.serve()
	if started != (want != noStart) {
		t.Errorf("serve started: %v; check said %v\n%s", started, report.Findings, log)
	}
	for _, f := range report.Findings {
		// What check says is what the log says.
		if (f.Grade == material.NotServed || f.Grade == material.NoStart) && f.Path != "" && started == (f.Grade == material.NotServed) &&
			!strings.Contains(log, firstWords(f.Text)) {
			t.Errorf("%q is not in the log:\n%s", f.Text, log)
		}
	}
	if n := strings.Count(log, "not served: reason="); started && n != count(material.NotServed) {
		t.Errorf("%d things are not served, and check named %d", n, count(material.NotServed))
	}
	if strings.Contains(log, "panic") {
		t.Error(log)
	}
}

// firstWords is a part of a text that a logger does not quote.
func firstWords(s string) string {
	if i := strings.IndexAny(s, "\"\\"); i >= 0 {
		s = s[:i]
	}
	return s[:min(len(s), 60)]
}

func listing(dir string) string {
	var names []string
	_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
		names = append(names, path)
		return nil
	})
	return strings.Join(names, " ")
}

// The files of the field, with the addresses and directories of the test: a
// start never touches the clock here.
func TestFieldFiles(t *testing.T) {
	now := time.Now()
	top := newGround(t)
	for file, want := range map[string]grade{"cert-exp": notServed, "cert-future": notServed, "cert-x": notServed,
		"nonts": fine, "observe-src": fine, "refclock": fine} {
		t.Run(file, func(t *testing.T) {
			g := top.plot(t, file)
			f, err := os.Open(filepath.Join("testdata/field", file+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			text, err := io.ReadAll(f)
			if err != nil {
				t.Fatal(err)
			}
			g.write("site.yaml", strings.ReplaceAll(string(text), "/run/", g.mkdir("run")+"/"))
			g.certificate("cert/cexp.pem", "cert/k.pem", now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0))
			g.certificate("cert/fc.pem", "cert/fk.pem", now.AddDate(1, 0, 0), now.AddDate(2, 0, 0))
			g.certificate("cert/xc.pem", "cert/xk.pem", now.AddDate(-2, 0, 0), now.Add(-time.Hour))
			g.mkdir("run/ro")
			g.args = []string{"--no-clock", "--run-dir", filepath.Join(g.dir, "run"), "--state-dir", filepath.Join(g.dir, "state")}
			g.env = append(g.env, "NTSBRIDGE_SERVER_LISTEN="+freePort("udp"), "NTSBRIDGE_NTS_LISTEN="+freePort("tcp"))
			g.agree(want)
		})
	}
}
