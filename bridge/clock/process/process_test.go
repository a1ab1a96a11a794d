package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/timebase"
	"ntsbridge/bridge/needs"
	"ntsbridge/bridge/ntp"
)

// What tells a copy of the test program what to be.
const roleVariable = "CLOCK_PROCESS_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(m.Run())
	case "server":
		l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: os.Args[1], Net: "unixpacket"})
		if err == nil {
			l.SetUnlinkOnClose(false)
			fmt.Println("listening")
			s := Server{Open: (&noted{out: os.Stdout}).open, User: os.Getuid(), Log: hclog.NewNullLogger()}
			err = s.Serve(context.Background(), l)
		}
		fmt.Fprintln(os.Stderr, err)
	case "stranger":
		_, err := Open(os.Args[1], clock.ReadOnlySystem())
		fmt.Println(err)
	}
	os.Exit(1)
}

// noted is a clock that writes down what it is told. Only the machine's is read.
type noted struct {
	clock.System
	out    io.Writer
	refuse error
}

func (n *noted) open() (clock.System, error) { n.System = clock.ReadOnlySystem(); return n, n.refuse }
func (n *noted) note(format string, a ...any) error {
	_, _ = fmt.Fprintf(n.out, format+"\n", a...)
	return n.refuse
}
func (n *noted) Reset() error                   { return n.note("reset") }
func (n *noted) SetRate(rate float64) error     { return n.note("rate %v", rate) }
func (n *noted) Step(by int64) error            { return n.note("step %d", by) }
func (n *noted) SetStatus(s clock.Status) error { return n.note("status %+v", s) }
func (n *noted) SetTAI(s int) error             { return n.note("tai %d", s) }

// serve serves a clock in this process and returns the socket.
func serve(t *testing.T, s *Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Log == nil {
		s.Log = hclog.NewNullLogger()
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return path
}

func open(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Open(path, clock.ReadOnlySystem())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// All that a clock can be told arrives as it was told.
func TestEverything(t *testing.T) {
	var told bytes.Buffer
	c := open(t, serve(t, &Server{Open: (&noted{out: &told}).open, User: os.Getuid()}))
	err := errors.Join(c.Reset(), c.SetRate(-123.4e-6), c.Step(-5), c.Step(1<<40), c.SetTAI(37),
		c.SetStatus(clock.Status{Synchronised: true, Leap: ntp.LeapDelete, MaxError: time.Minute, EstError: time.Microsecond}),
		c.SetStatus(clock.Status{MaxError: -1}))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"reset", "rate -0.0001234", "step -5", fmt.Sprint("step ", 1<<40), "tai 37",
		fmt.Sprintf("status %+v", clock.Status{Synchronised: true, Leap: ntp.LeapDelete, MaxError: 16 * time.Second, EstError: time.Microsecond}),
		fmt.Sprintf("status %+v", clock.Status{})}
	if got := strings.Split(strings.TrimSpace(told.String()), "\n"); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	if now, err := c.Read(); err != nil || now.System == 0 {
		t.Errorf("read: %+v, %v", now, err)
	}
	for name, err := range map[string]error{"rate": c.SetRate(0.2), "no rate": c.SetRate(math.NaN()), "TAI": c.SetTAI(300),
		"step": c.Step(math.MinInt64), "step before 1985": c.Step(-50 * 366 * 86400e9)} {
		if err == nil {
			t.Errorf("%s: done", name)
		}
	}
}

// The process looks for others at the clock, and nothing is set by that.
func TestLooks(t *testing.T) {
	var told bytes.Buffer
	found := &clock.OtherDaemonError{Name: "chronyd", PID: 7}
	var other error = found
	c := open(t, serve(t, &Server{Open: (&noted{out: &told}).open, Look: func() error { return other }, User: os.Getuid()}))
	if err := c.OtherDaemon(); err == nil || !strings.Contains(err.Error(), found.Error()) {
		t.Errorf("looked: %v", err)
	}
	if other = nil; c.OtherDaemon() != nil || told.Len() > 0 {
		t.Errorf("nobody there: %v, told %s", c.OtherDaemon(), told.String())
	}
}

// What the kernel answers is what the client answers.
func TestKernelErrors(t *testing.T) {
	n := &noted{out: io.Discard}
	path := serve(t, &Server{Open: n.open, User: os.Getuid()})
	c := open(t, path)
	n.refuse = clock.ErrPrivilege
	if err := c.SetRate(0); !errors.Is(err, clock.ErrPrivilege) || !strings.Contains(err.Error(), path) {
		t.Errorf("without the capability: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	await(t, func() bool {
		_, err := Open(path, c.System)
		return errors.Is(err, clock.ErrPrivilege)
	})
	n.refuse = errors.New("adjtimex: invalid argument")
	if err := c.Reset(); err == nil || !strings.Contains(err.Error(), "invalid argument") {
		t.Errorf("an error of the kernel: %v", err)
	}
}

// await waits for something.
func await(t *testing.T, so func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come")
		}
	}
}

// One steers at a time. Another connection of its process is the same one.
func TestOneSteers(t *testing.T) {
	s := &Server{Open: (&noted{out: io.Discard}).open, User: os.Getuid()}
	path := serve(t, s)
	c := open(t, path)
	second := open(t, path)
	if err := second.SetRate(0); err != nil {
		t.Errorf("the same process: %v", err)
	}
	s.mu.Lock()
	s.holder.pid++ // as if it were another one
	s.mu.Unlock()
	if err := c.SetRate(0); !errors.Is(err, clock.ErrLocked) {
		t.Errorf("beside another process: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	await(t, func() bool { return c.SetRate(0) == nil })
}

// What is malformed, out of range or late is not done.
func TestRefused(t *testing.T) {
	var told bytes.Buffer
	path := serve(t, &Server{Open: (&noted{out: &told}).open, User: os.Getuid()})
	now := timebase.Read().Raw
	good := request{verb: verbStatus, leap: ntp.LeapInsert, until: now + 1e10, first: 1, second: 2}
	for name, c := range map[string]struct {
		p    []byte
		code code
	}{
		"too short":         {good.append(nil)[:31], codeRefused},
		"too long":          {good.append(make([]byte, 0, 40))[:33], codeRefused},
		"much too long":     {make([]byte, 4000), codeRefused},
		"another version":   {append([]byte("ntc\x02"), good.append(nil)[4:]...), codeRefused},
		"no verb":           {(&request{until: good.until}).append(nil), codeRefused},
		"unknown verb":      {(&request{verb: verbLast + 1, until: good.until}).append(nil), codeRefused},
		"too much":          {(&request{verb: verbRate, second: 1, until: good.until}).append(nil), codeRefused},
		"rate":              {(&request{verb: verbRate, first: int64(math.Float64bits(0.1001)), until: good.until}).append(nil), codeRefused},
		"rate no number":    {(&request{verb: verbRate, first: int64(math.Float64bits(math.NaN())), until: good.until}).append(nil), codeRefused},
		"step beyond reach": {(&request{verb: verbStep, first: math.MinInt64, until: good.until}).append(nil), codeRefused},
		"step beyond 2096":  {(&request{verb: verbStep, first: 100 * 365 * 86400e9, until: good.until}).append(nil), codeRefused},
		"leap":              {(&request{verb: verbStatus, leap: 3, until: good.until}).append(nil), codeRefused},
		"error":             {(&request{verb: verbStatus, first: -1, until: good.until}).append(nil), codeRefused},
		"TAI":               {(&request{verb: verbTAI, first: 256, until: good.until}).append(nil), codeRefused},
		"late":              {(&request{verb: verbReset, until: now}).append(nil), codeLate},
	} {
		conn, err := net.Dial("unixpacket", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(c.p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var buffer [1000]byte
		n, err := conn.Read(buffer[:])
		if a, bad := parseAnswer(buffer[:n]); err != nil || bad != nil || a.code != c.code || a.why == "" {
			t.Errorf("%s: %+v, %v %v", name, a, err, bad)
		}
		conn.Close()
	}
	if told.Len() > 0 {
		t.Errorf("done: %s", told.String())
	}
}

// another is a server in a process of its own.
type another struct {
	cmd  *exec.Cmd
	said *bufio.Scanner
}

func start(t *testing.T, path string) *another {
	t.Helper()
	_ = os.Remove(path)
	a := &another{cmd: self("server", path)}
	out, err := a.cmd.StdoutPipe()
	if err == nil {
		err = a.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.kill)
	a.said = bufio.NewScanner(out)
	a.wants(t, "listening")
	return a
}

func self(role, path string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args, cmd.Env = []string{"test", path}, append(os.Environ(), roleVariable+"="+role)
	return cmd
}

func (a *another) kill() {
	if a.cmd.ProcessState == nil {
		_ = a.cmd.Process.Kill()
		_ = a.cmd.Wait()
	}
}

func (a *another) wants(t *testing.T, line string) {
	t.Helper()
	if !a.said.Scan() || a.said.Text() != line {
		t.Fatalf("it says %q, want %q", a.said.Text(), line)
	}
}

// stopped tells whether each thread has stopped: the signal takes its time.
func (a *another) stopped(t *testing.T) bool {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", a.cmd.Process.Pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("threads: %v, %v", tasks, err)
	}
	for _, name := range tasks {
		if text, err := os.ReadFile(name); err != nil || !strings.Contains(string(text), ") T ") {
			return false
		}
	}
	return true
}

// A process that is killed is missed at once, and the next one is taken up.
func TestKilledAndRestarted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if _, err := Open(path, nil); !errors.Is(err, ErrNoProcess) {
		t.Errorf("nobody there: %v", err)
	}
	a := start(t, path)
	c := open(t, path)
	if err := c.SetRate(1e-6); err != nil {
		t.Fatal(err)
	}
	a.wants(t, "rate 1e-06")
	a.kill()
	if err := c.SetRate(2e-6); !errors.Is(err, ErrNoProcess) || errors.Is(err, clock.ErrPrivilege) {
		t.Errorf("killed: %v", err)
	}
	a = start(t, path)
	if err := c.SetRate(3e-6); err != nil {
		t.Errorf("another one: %v", err)
	}
	a.wants(t, "rate 3e-06")
	// Between two requests: not even one fails.
	a.kill()
	a = start(t, path)
	if err := c.Step(4); err != nil {
		t.Errorf("a third one: %v", err)
	}
	a.wants(t, "step 4")
}

// A process that hangs is given up, and when it goes on it does not do what was
// given up.
func TestHung(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	a := start(t, path)
	c := open(t, path)
	if err := a.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return a.stopped(t) })
	began := time.Now()
	if err := c.Step(1e9); !errors.Is(err, ErrNoProcess) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("hung: %v", err)
	}
	asked := time.Now()
	if err := c.SetRate(1e-6); !errors.Is(err, ErrNoProcess) || time.Since(asked) > patience/2 || time.Since(began) > 10*time.Second {
		t.Errorf("right after: %v after %v", err, time.Since(asked))
	}
	if err := a.cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return c.SetRate(2e-6) == nil })
	a.wants(t, "rate 2e-06")
}

// Another user is refused, even where the socket lets him in.
func TestStranger(t *testing.T) {
	needs.Root(t, "ask as another user")
	dir, err := os.MkdirTemp("", "clock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "test")
	if out, err := exec.Command("cp", own, program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := &Server{Open: (&noted{out: io.Discard}).open, User: 12345, Log: hclog.NewNullLogger()}
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go s.Serve(ctx, l)
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(path, 0o777)); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[uint32]string{12345: "<nil>", 12346: "user 12346"} {
		cmd := self("stranger", path)
		cmd.Path, cmd.Dir = program, dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		if out, _ := cmd.Output(); !strings.Contains(string(out), want) {
			t.Errorf("user %d: %s", uid, out)
		}
	}
}

// What is parsed is what was written, and what is not refused is in range.
func FuzzParse(f *testing.F) {
	for _, r := range []request{
		{verb: verbTake, until: 1}, {verb: verbReset}, {verb: verbRate, first: int64(math.Float64bits(1e-4))},
		{verb: verbStep, first: -5e9},
		{verb: verbStatus, synchronised: true, leap: ntp.LeapInsert, first: 1e6, second: 1e3}, {verb: verbTAI, first: 37},
	} {
		f.Add(r.append(nil))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		_, _ = parseAnswer(p)
		r, err := parse(p)
		if err != nil {
			return
		}
		if again := r.append(nil); !bytes.Equal(again, p) {
			t.Errorf("%x is read as %+v and written as %x", p, r, again)
		}
		if r.verb == 0 || r.verb > verbLast || r.verb == verbRate && !(math.Abs(r.rate()) <= mostRate) {
			t.Errorf("accepted: %+v", r)
		}
	})
}
