package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// dropped is a daemon that becomes another user, whose group may read what the
// configuration names.
type dropped struct{ *victim }

const nogroup = 65534

func newDropped(t *testing.T, user string) dropped {
	needs.Root(t, "give up what root has")
	g := newGround(t)
	v := dropped{newVictim(t, g.program, 1)}
	v.dir = g.dir
	v.put("autokey.pw", "plain words\n")
	if err := os.Mkdir(filepath.Join(v.dir, "autokey"), 0o750); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(v.program, "keygen", "-T", "--keysdir", filepath.Join(v.dir, "autokey"), "--password-file",
		filepath.Join(v.dir, "autokey.pw")).CombinedOutput()
	if err != nil {
		t.Fatalf("keygen: %v: %s", err, out)
	}
	v.put("site.yaml", fmt.Sprintf(`server: {listen: ["127.0.0.1:%d"], workers: 1}
clock: {mode: local}
user: %q
sandbox: enforce
keys: {files: [{path: ntp.keys}], trusted: [all]}
autokey: {enabled: true, keysdir: autokey, password_file: autokey.pw}
nts: {listen: ["127.0.0.1:%d"], certificates: [{cert: nts.crt, key: nts.key}]}
`, v.port, user, v.portKE))
	v.put("ntp.keys", "1 SHA256 "+strings.Repeat("01", 32)+"\n")
	v.certify(1)
	v.share()
	return v
}

// put writes a file that root and the group may read.
func (v dropped) put(name, text string) {
	v.t.Helper()
	path := filepath.Join(v.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		v.t.Fatal(err)
	}
	if err := os.Chown(path, 0, nogroup); err != nil {
		v.t.Fatal(err)
	}
}

// share lets the group read the key set of Autokey.
func (v dropped) share() {
	v.t.Helper()
	dir := filepath.Join(v.dir, "autokey")
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) == 0 {
		v.t.Fatal("no key set", err)
	}
	for _, name := range append(names, dir) {
		if err := os.Chown(name, 0, nogroup); err != nil {
			v.t.Fatal(err)
		}
		mode := os.FileMode(0o640)
		if name == dir {
			mode = 0o750
		}
		if err := os.Chmod(name, mode); err != nil {
			v.t.Fatal(err)
		}
	}
}

// certify writes a certificate with a serial number.
func (v dropped) certify(serial int64) {
	v.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		v.t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "srv"}, DNSNames: []string{"srv"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		v.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		v.t.Fatal(err)
	}
	v.put("nts.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	v.put("nts.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
}

// presented is the serial number of the certificate that NTS-KE shows, 0: none.
func (v dropped) presented() int64 {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Second}, "tcp", fmt.Sprintf("127.0.0.1:%d", v.portKE),
		&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"ntske/1"}})
	if err != nil {
		return 0
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// authentic tells whether a request with the first key of the file is answered
// with it.
func (v dropped) authentic() bool {
	text, err := os.ReadFile(filepath.Join(v.dir, "ntp.keys"))
	if err != nil {
		v.t.Fatal(err)
	}
	file, err := symkey.ParseNTPKeys("ntp.keys", text)
	if err != nil {
		v.t.Fatal(err)
	}
	key, scratch := file.Keys[0], symkey.NewScratch()
	p := make([]byte, 128)
	(&ntp.Header{Version: 4, Mode: ntp.ModeClient, Transmit: 99}).Encode(p)
	p = p[:key.Seal(p, ntp.HeaderLen, key.WireLen(4), scratch)]
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", v.port))
	if err != nil {
		v.t.Fatal(err)
	}
	defer c.Close()
	answer := make([]byte, 128)
	if _, err := c.Write(p); err != nil || c.SetReadDeadline(time.Now().Add(time.Second)) != nil {
		return false
	}
	n, err := c.Read(answer)
	return err == nil && n == len(p) && answer[1] != 0
}

// reload sends SIGHUP and waits for what the log says of it.
func (v dropped) reload(want string) {
	v.t.Helper()
	before := strings.Count(v.log(), want)
	if err := v.daemon.Process.Signal(syscall.SIGHUP); err != nil {
		v.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); strings.Count(v.log(), want) == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			v.t.Fatalf("after SIGHUP %q is not logged:\n%s", want, v.log())
		}
	}
}

// Another user's process, without the right to gain any, reloads everything
// that its group may read; what it may not read any more is told, and served as
// before.
func TestReloadAsAnotherUser(t *testing.T) {
	v := newDropped(t, "nobody")
	v.start()
	v.serves("a start")
	v.logsConfined()
	if !v.authentic() || v.presented() != 1 {
		t.Errorf("key %v, certificate %d", v.authentic(), v.presented())
	}
	v.put("ntp.keys", "1 SHA256 "+strings.Repeat("02", 32)+"\n")
	v.certify(2)
	out, err := exec.Command(v.program, "keygen", "-T", "--keysdir", filepath.Join(v.dir, "autokey"), "--password-file",
		filepath.Join(v.dir, "autokey.pw")).CombinedOutput()
	if err != nil {
		t.Fatalf("keygen: %v: %s", err, out)
	}
	v.share()
	v.reload("reloaded")
	if !v.authentic() || v.presented() != 2 {
		t.Errorf("after a reload: key %v, certificate %d\n%s", v.authentic(), v.presented(), v.log())
	}
	if strings.Contains(v.log(), "permission denied") || strings.Contains(v.log(), "operation not permitted") {
		t.Errorf("something was refused:\n%s", v.log())
	}
	v.put("ntp.keys", "1 SHA256 "+strings.Repeat("03", 32)+"\n")
	if err := os.Chmod(filepath.Join(v.dir, "ntp.keys"), 0o600); err != nil {
		t.Fatal(err)
	}
	v.reload("reload refused")
	if log := v.log(); !strings.Contains(log, filepath.Join(v.dir, "ntp.keys")) || !strings.Contains(log, "chgrp") {
		t.Errorf("no file and no remedy:\n%s", log)
	}
	v.serves("a reload that was refused")
}

// Certbot's links lead into another directory, which the sandbox must let pass,
// also for the files that a renewal adds.
func TestCertbotInSandbox(t *testing.T) {
	v := newDropped(t, "nobody")
	for _, dir := range []string{"live", "live/srv", "archive", "archive/srv"} {
		if err := os.Mkdir(filepath.Join(v.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	renew := func(serial int) {
		v.certify(int64(serial))
		for from, name := range map[string]string{"nts.crt": "fullchain", "nts.key": "privkey"} {
			file := fmt.Sprintf("%s%d.pem", name, serial)
			link := filepath.Join(v.dir, "live/srv", name+".pem")
			_ = os.Remove(link)
			if err := errors.Join(os.Rename(filepath.Join(v.dir, from), filepath.Join(v.dir, "archive/srv", file)),
				os.Symlink("../../archive/srv/"+file, link)); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := os.ReadFile(v.file())
	if err != nil {
		t.Fatal(err)
	}
	v.put("site.yaml", strings.NewReplacer("nts.crt", "live/srv/fullchain.pem", "nts.key", "live/srv/privkey.pem").Replace(string(text)))
	renew(1)
	v.start()
	v.serves("a start")
	v.logsConfined()
	if got := v.presented(); got != 1 {
		t.Errorf("certificate %d", got)
	}
	renew(2)
	v.reload("reloaded")
	if got := v.presented(); got != 2 {
		t.Errorf("certificate %d after a renewal:\n%s", got, v.log())
	}
}

// Where there is a user ntsbridge the daemon becomes it without being told.
func TestDefaultUser(t *testing.T) {
	v := newDropped(t, "")
	passwd := filepath.Join(v.dir, "passwd")
	if err := os.WriteFile(passwd, []byte("root:x:0:0::/:/bin/sh\nntsbridge:x:65534:65534::/:/bin/false\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, v.wrap = hold(t, `mount --make-rprivate / && mount --bind "$0" /etc/passwd && echo ready && exec cat`, passwd)
	v.start()
	v.serves("a start")
	v.logsConfined()
	if !strings.Contains(v.log(), "user=ntsbridge ") {
		t.Errorf("it is not ntsbridge:\n%s", v.log())
	}
}

// logsConfined looks at what the process has become.
func (v dropped) logsConfined() {
	v.t.Helper()
	proc := fmt.Sprintf("/proc/%d/", v.daemon.Process.Pid)
	read := func(name string) string {
		text, err := os.ReadFile(proc + name)
		if err != nil {
			v.t.Fatal(err)
		}
		return string(text)
	}
	for deadline := time.Now().Add(time.Minute); !strings.Contains(v.log(), " confined: "); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			v.t.Fatal("not confined")
		}
	}
	status := read("status")
	for _, want := range []string{`Uid:\t65534\t65534\t65534\t65534`, `Gid:\t65534\t65534\t65534\t65534`, `CapPrm:\t0000000000000400`,
		`CapEff:\t0000000000000400`, `CapBnd:\t0000000000000400`, `NoNewPrivs:\t1`, `Seccomp:\t2`} {
		if !regexp.MustCompile("(?m)^" + want + "$").MatchString(status) {
			v.t.Errorf("%s is not so:\n%s", want, status)
		}
	}
	if !regexp.MustCompile(`Max core file size +0 +0 `).MatchString(read("limits")) {
		v.t.Errorf("cores are dumped: %s", read("limits"))
	}
	// What of a process that may be dumped is its user's, is root's here.
	info, err := os.Stat(proc + "mem")
	if err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		v.t.Errorf("its user may read its memory: %v", err)
	}
}

// What begins with a reload has to be possible then: statistics, labels of
// clients, another port below 1024; metrics and the inventory go on.
func TestReloadBeginsFeaturesAsAnotherUser(t *testing.T) {
	v := newDropped(t, "nobody")
	stats := filepath.Join(v.dir, "state", "stats")
	v.put("labels.csv", "prefix,site\n127.0.0.0/8,here\n")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	metrics := l.Addr().String()
	l.Close()
	text, err := os.ReadFile(v.file())
	if err != nil {
		t.Fatal(err)
	}
	before := string(text) + fmt.Sprintf("metrics: {listen: [%q]}\nfleet: {labels: [labels.csv]}\n", metrics)
	v.put("site.yaml", before)
	v.start()
	v.serves("a start")
	low := "127.0.0.83:983"
	after := strings.Replace(before, fmt.Sprintf(`"127.0.0.1:%d"]`, v.port), fmt.Sprintf(`"127.0.0.1:%d", %q]`, v.port, low), 1)
	after += fmt.Sprintf(`statistics: {dir: %q, files: [loopstats, measurements, sysstats], rotate: day}
`, stats)
	v.put("site.yaml", after)
	v.reload("reloaded")
	answer, err := http.Get("http://" + metrics + "/metrics")
	if err != nil {
		t.Fatalf("metrics: %v\n%s", err, v.log())
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(text), "ntsbridge_") {
		t.Errorf("metrics: %v, %.200s", err, text)
	}
	if info, err := os.Stat(stats); err != nil || info.Sys().(*syscall.Stat_t).Uid != nogroup {
		t.Errorf("the directory of statistics: %v", err)
	}
	c, err := net.Dial("udp", low)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := make([]byte, ntp.HeaderLen)
	(&ntp.Header{Version: 4, Mode: ntp.ModeClient, Transmit: 99}).Encode(p)
	if _, err := c.Write(p); err != nil || c.SetReadDeadline(time.Now().Add(10*time.Second)) != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(p); err != nil {
		t.Errorf("on a port below 1024: %v", err)
	}
	out, err := exec.Command(v.program, "clients", "--run-dir", filepath.Join(v.dir, "run")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "127.0.0.1") {
		t.Errorf("clients: %v: %s", err, out)
	}
	for _, bad := range []string{"permission denied", "operation not permitted", "[ERROR]"} {
		if strings.Contains(v.log(), bad) {
			t.Errorf("%s:\n%s", bad, v.log())
		}
	}
}
