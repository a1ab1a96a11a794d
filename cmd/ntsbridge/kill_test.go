package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
)

// killsVariable sets how many kills TestKills makes: 1000 for the long form.
const killsVariable = "NTSBRIDGE_KILLS"

// linked makes the test binary the program, by the name of a link.
func linked(t testing.TB, dir string) (program string) {
	t.Helper()
	program = filepath.Join(dir, "ntsbridge")
	test, err := os.Executable()
	if err == nil {
		err = os.Symlink(test, program)
	}
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// victim is a site whose daemon is killed again and again.
type victim struct {
	t       *testing.T
	program string
	dir     string
	port    int // of NTP
	portKE  int
	random  *rand.Rand
	wrap    []string // what runs commands elsewhere: program and arguments
	daemon  *exec.Cmd
	value   map[string][]byte // what must never change, by file
	secrets []*nts.Secret     // cookie secrets that may be in force
}

// lasting are the files that no later start makes anew.
var lasting = []string{"ntp.keys", "nts.key", "nts.crt", "autokey.seed", "inventory.key"}

func newVictim(t *testing.T, program string, seed uint64) *victim {
	v := &victim{t: t, program: program, random: rand.New(rand.NewPCG(2, seed))}
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v.port, v.portKE = udp.LocalAddr().(*net.UDPAddr).Port, tcp.Addr().(*net.TCPAddr).Port
	udp.Close()
	tcp.Close()
	v.fresh()
	t.Cleanup(func() {
		if v.daemon != nil {
			v.kill()
		}
	})
	return v
}

// fresh begins anew: the next start is a first one.
func (v *victim) fresh() {
	v.dir, v.value, v.secrets = v.t.TempDir(), make(map[string][]byte), nil
	keys, password := filepath.Join(v.dir, "autokey"), filepath.Join(v.dir, "pw")
	if err := errors.Join(os.Mkdir(keys, 0o700), os.WriteFile(password, []byte("plain words\n"), 0o600)); err != nil {
		v.t.Fatal(err)
	}
	if out, err := exec.Command(v.program, "keygen", "-T", "--keysdir", keys, "--password-file", password).CombinedOutput(); err != nil {
		v.t.Fatalf("keygen: %v: %s", err, out)
	}
	v.write("info")
}

// write writes the configuration; the inventory's addresses are hashed, so that
// it has a key too.
func (v *victim) write(log string) {
	text := fmt.Sprintf(`log: {level: %s}
server: {listen: ["127.0.0.1:%d"], workers: 1}
clock: {mode: local}
sandbox: log
autokey: {enabled: true, keysdir: autokey, password_file: pw}
nts: {listen: ["127.0.0.1:%d"], names: [localhost], cookies: {rotation: 1m}}
fleet: {privacy: {addresses: hash}}
`, log, v.port, v.portKE)
	if err := os.WriteFile(v.file(), []byte(text), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

func (v *victim) file() string  { return filepath.Join(v.dir, "site.yaml") }
func (v *victim) state() string { return filepath.Join(v.dir, "state") }

func (v *victim) flags() []string {
	return []string{"-c", v.file(), "--state-dir", v.state(), "--run-dir", filepath.Join(v.dir, "run")}
}

func (v *victim) command(args ...string) *exec.Cmd {
	words := append(append(append([]string{}, v.wrap...), v.program), append(args, v.flags()...)...)
	return exec.Command(words[0], words[1:]...)
}

// start starts the daemon, with a new log.
func (v *victim) start() {
	v.daemon = v.command("serve")
	log, err := os.Create(filepath.Join(v.dir, "log"))
	if err != nil {
		v.t.Fatal(err)
	}
	defer log.Close()
	v.daemon.Stderr = log
	if err := v.daemon.Start(); err != nil {
		v.t.Fatal(err)
	}
}

// log is what the daemon of the last start wrote.
func (v *victim) log() string {
	text, err := os.ReadFile(filepath.Join(v.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (v *victim) kill() {
	_ = v.daemon.Process.Kill()
	_ = v.daemon.Wait()
}

func (v *victim) pause(most time.Duration) { time.Sleep(time.Duration(v.random.Int64N(int64(most)))) }

// ask sends a request from one of many addresses and tells whether an answer
// came.
func (v *victim) ask(patience time.Duration) bool {
	from := net.UDPAddr{IP: net.IPv4(127, 0, byte(1+v.random.IntN(4)), byte(1+v.random.IntN(250)))}
	c, err := net.DialUDP("udp", &from, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: v.port})
	if err != nil {
		v.t.Fatal(err)
	}
	defer c.Close()
	p := make([]byte, ntp.HeaderLen)
	(&ntp.Header{Version: 4, Mode: ntp.ModeClient, Transmit: 99}).Encode(p)
	if _, err := c.Write(p); err != nil {
		return false
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_, err = c.Read(p)
	return err == nil
}

// serves waits until the daemon answers; it must not end.
func (v *victim) serves(what string) {
	v.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if v.ask(50 * time.Millisecond) {
			return
		}
		if v.ended() {
			v.t.Fatalf("after %s the next start ended:\n%s", what, v.log())
		}
	}
	v.t.Fatalf("after %s the next start does not serve:\n%s", what, v.log())
}

// ended reports whether the daemon is a zombie.
func (v *victim) ended() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", v.daemon.Process.Pid))
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}

// unharmed looks for what a start has to find and leave.
func (v *victim) unharmed(what string) {
	v.t.Helper()
	for _, name := range lasting {
		text, err := os.ReadFile(filepath.Join(v.state(), name))
		if err != nil {
			v.t.Errorf("after %s: %v", what, err)
			continue
		}
		if was := v.value[name]; was != nil && !bytes.Equal(was, text) {
			v.t.Errorf("after %s: %s is another one", what, name)
		}
		v.value[name] = text
	}
	current, _, err := readCookieSecret(filepath.Join(v.state(), "cookies.secret"))
	if err != nil {
		v.t.Fatalf("after %s: %v", what, err)
	}
	known := len(v.secrets) == 0
	for _, s := range v.secrets {
		known = known || s.Same(current)
	}
	if !known { // a rotation was complete: then the one before is beside it
		previous, _, err := readCookieSecret(filepath.Join(v.state(), "cookies.previous"))
		for _, s := range v.secrets {
			known = known || err == nil && s.Same(previous)
		}
	}
	if !known {
		v.t.Errorf("after %s: the cookie secret is gone", what)
	}
	v.secrets = []*nts.Secret{current}
	v.tidy(what)
}

// tidy fails for files that a killed writer left.
func (v *victim) tidy(what string) {
	err := filepath.WalkDir(v.state(), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && strings.HasPrefix(e.Name(), ".") && strings.Contains(e.Name(), ".new-") && !v.writing(path) {
			v.t.Errorf("after %s and another start %s is still there", what, path)
		}
		return err
	})
	if err != nil {
		v.t.Error(err)
	}
}

// writing reports whether a temporary file is one that the daemon is just
// writing: then it is gone soon.
func (v *victim) writing(path string) bool {
	for range 500 {
		if _, err := os.Lstat(path); err != nil {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// At random points of a first start, reloads, rotations of the secret and
// writes of the inventory the daemon, or the command, is killed. Each next start
// serves, has everything of value as it was, and clears up.
func TestKills(t *testing.T) {
	needs.Slow(t)
	kills := 25
	if text := os.Getenv(killsVariable); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s=%s: want a number", killsVariable, text)
		}
	}
	v := newVictim(t, linked(t, t.TempDir()), uint64(kills))
	done := make(map[string]int)
	for i := range kills {
		if i%40 == 39 {
			v.fresh()
		}
		what := v.once(i)
		done[what]++
		v.start()
		v.serves(what)
		v.unharmed(what)
		v.kill()
		if t.Failed() {
			t.Fatalf("kill %d: %s:\n%s", i, what, v.log())
		}
	}
	t.Logf("kills: %v", done)
}

// once does something and kills who does it.
func (v *victim) once(i int) (what string) {
	if v.value["nts.key"] == nil { // nothing was ever whole
		for range 1 + v.random.IntN(4) {
			v.start()
			v.pause(120 * time.Millisecond)
			v.kill()
		}
		return "a first start"
	}
	switch i % 5 {
	case 0:
		v.start()
		v.pause(120 * time.Millisecond)
		v.kill()
		return "a start"
	case 1, 2:
		v.start()
		v.serves("nothing")
		for range 3 {
			v.write([]string{"info", "error"}[v.random.IntN(2)])
			_ = v.daemon.Process.Signal(syscall.SIGHUP)
			v.pause(30 * time.Millisecond)
		}
		v.kill()
		return "a reload"
	case 3:
		v.start()
		v.serves("nothing")
		for end := time.Now().Add(time.Duration(v.random.Int64N(int64(300 * time.Millisecond)))); time.Now().Before(end); {
			v.ask(10 * time.Millisecond)
		}
		v.kill()
		return "writes of the inventory"
	}
	return v.rotation()
}

// rotation kills the command that rotates, or the daemon that reads what it
// wrote.
func (v *victim) rotation() string {
	alone := v.random.IntN(2) == 0
	if !alone {
		v.start()
		v.serves("nothing")
	}
	cmd := v.command("secret", "rotate", "--in", "0s", "--force")
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	v.pause(60 * time.Millisecond)
	if alone || v.random.IntN(2) == 0 {
		_ = cmd.Process.Kill()
	}
	if !alone {
		v.pause(20 * time.Millisecond)
		v.kill()
	}
	_ = cmd.Wait()
	return "a rotation"
}
