package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/history"
)

// steered is a site with a daemon and a plan, which is told what to do by the
// commands.
type steered struct {
	t       *testing.T
	program string
	dir     string
	daemon  *exec.Cmd
}

const labGates = "gates: {better_means: {share: 0}, watched: {days: 0}, another_server: false, nts_ke: {headroom: 0, certificate_days: 0}}\n"

// newSteered writes the configuration of a site; more are further lines of it.
func newSteered(t *testing.T, more string) *steered {
	t.Helper()
	s := &steered{t: t, program: linked(t, t.TempDir()), dir: t.TempDir()}
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s.write("site.yaml", fmt.Sprintf("server: {listen: [%q], workers: 1}\nclock: {mode: local}\nnts: {enabled: false}\nstate_dir: state\nrun_dir: run\n%s",
		udp.LocalAddr(), more))
	udp.Close()
	t.Cleanup(s.kill)
	return s
}

func (s *steered) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *steered) command(args ...string) *exec.Cmd {
	cmd := exec.Command(s.program, append(args, "-c", "site.yaml")...)
	cmd.Dir = s.dir
	return cmd
}

// start starts the daemon and waits until it answers commands.
func (s *steered) start() {
	s.t.Helper()
	s.daemon = s.command("serve")
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.daemon.Stderr = log
	if err := s.daemon.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("unix", filepath.Join(s.dir, "run", "control.sock")); err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the daemon does not answer:\n%s", s.log())
		}
	}
}

func (s *steered) kill() {
	if s.daemon != nil {
		_ = s.daemon.Process.Kill()
		_ = s.daemon.Wait()
		s.daemon = nil
	}
}

func (s *steered) log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(text)
}

// do runs a command that must succeed.
func (s *steered) do(args ...string) string {
	s.t.Helper()
	out, err := s.command(args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// In the sandbox, which is on unless the configuration says otherwise, a webhook
// is told, and a command cannot be run: `fleet check` says so beforehand, with a
// daemon and without one.
func TestNotifyInSandbox(t *testing.T) {
	posted := make(chan *history.Entry, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var e history.Entry
		if err := json.Unmarshal(body, &e); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		posted <- &e
	}))
	defer hook.Close()
	s := newSteered(t, "")
	s.write("fleet.yaml", labGates+fmt.Sprintf("notify: {webhook: %q, command: [touch, told]}\n", hook.URL)+
		"groups: [{name: lab, prefixes: [10.0.0.0/8], stages: {none: refuse}}]\n")
	const says = "notify.command: the sandbox lets this daemon start no program"
	check := func() {
		t.Helper()
		if out := s.do("fleet", "check", "fleet.yaml"); !strings.Contains(out, says) {
			t.Errorf("check does not say %q:\n%s", says, out)
		}
	}
	check()
	s.start()
	check()
	s.do("fleet", "apply", "fleet.yaml")
	s.do("fleet", "advance", "lab")
	select {
	case e := <-posted: // of the declared plan, from then on
		if e.What != history.Warned || e.Group != "lab" {
			t.Errorf("told %+v", e)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("the webhook was not told:\n%s", s.log())
	}
	deadline := time.Now().Add(30 * time.Second)
	for ; !strings.Contains(s.log(), "the sandbox lets this daemon start no program"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("that the command cannot be run is not logged:\n%s", s.log())
		}
	}
	if _, err := os.Stat(filepath.Join(s.dir, "told")); err == nil {
		t.Error("the sandbox let a program run: then check must not say that it does not")
	}
}
