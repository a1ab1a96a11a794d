package observe

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// daemon answers each question on a socket by a function of it; nil: silence.
func daemon(t *testing.T, conn net.PacketConn, answer func([]byte) []byte) {
	t.Helper()
	done := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		p := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(p)
			if err != nil {
				return
			}
			if a := answer(p[:n]); a != nil {
				conn.WriteTo(a, from)
			}
		}
	}()
}

func udp(t *testing.T, answer func([]byte) []byte) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	daemon(t, conn, answer)
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func chronyd(t *testing.T) func([]byte) []byte {
	reply := captured(t, "chronyd-local.hex")
	return func(request []byte) []byte { return numbered(reply)(request) }
}

func ntpd(t *testing.T, name string) func([]byte) []byte {
	reply := captured(t, name)
	return func(request []byte) []byte {
		p := bytes.Clone(reply)
		copy(p[2:4], request[2:4])
		return p
	}
}

func at(a ...netip.AddrPort) []netip.AddrPort { return a }

func TestAskOverUnixSocket(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "chronyd.sock")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var mode atomic.Uint32
	answer := chronyd(t)
	daemon(t, conn, func(p []byte) []byte {
		if own, err := filepath.Glob(filepath.Join(dir, "ntsbridge.*.sock")); err == nil && len(own) == 1 {
			if st, err := os.Stat(own[0]); err == nil {
				mode.Store(uint32(st.Mode().Perm()))
			}
		}
		return answer(p)
	})
	s, err := New(Config{ChronySocket: path}).Ask(context.Background())
	if err != nil || s.Stratum != 5 || time.Since(s.At) > time.Minute {
		t.Fatalf("%+v %v", s, err)
	}
	if mode.Load() != 0o666 {
		t.Errorf("mode of our socket %o: a chronyd without root cannot answer", mode.Load())
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// The first who is synchronised is believed, else the first who answers.
func TestAskInTurn(t *testing.T) {
	alarm, good := udp(t, ntpd(t, "ntpd-alarm.hex")), udp(t, ntpd(t, "ntpd-follower.hex"))
	silent, chrony := udp(t, func([]byte) []byte { return nil }), udp(t, chronyd(t))
	for _, c := range []struct {
		name    string
		cfg     Config
		program string
		stratum uint8
	}{
		{"chronyd first", Config{Chrony: at(chrony), NTPD: at(good)}, Chronyd, 5},
		{"the one that is synchronised", Config{NTPD: at(alarm, good)}, NTPD, 6},
		{"the one with the alarm", Config{NTPD: at(alarm)}, NTPD, 16},
		{"behind a silent one", Config{Chrony: at(silent, chrony), Timeout: 50 * time.Millisecond}, Chronyd, 5},
	} {
		s, err := New(c.cfg).Ask(context.Background())
		if err != nil || s.Program != c.program || s.Stratum != c.stratum {
			t.Errorf("%s: %+v %v", c.name, s, err)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	silent := udp(t, func([]byte) []byte { return nil })
	cfg := Config{ChronySocket: filepath.Join(t.TempDir(), "none.sock"), Chrony: at(silent), Timeout: 20 * time.Millisecond}
	o := New(cfg)
	s, err := o.Ask(context.Background())
	if err == nil {
		t.Fatalf("%+v", s)
	}
	for _, want := range []string{"none.sock", silent.String(), "no such file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not tell of %q: %v", want, err)
		}
	}
	if o.Current(time.Now()) != nil {
		t.Error("a state out of nowhere")
	}
}

// Run tells what it learns, tells of the error once, and drops a state that
// nobody renews.
func TestRun(t *testing.T) {
	var silent atomic.Bool
	answer := chronyd(t)
	to := udp(t, func(p []byte) []byte {
		if silent.Load() {
			return nil
		}
		return answer(p)
	})
	states, failures := make(chan *State, 100), make(chan error, 100)
	o := New(Config{Chrony: at(to), Interval: 30 * time.Millisecond, Timeout: 10 * time.Millisecond,
		OnState: func(s *State) { states <- s }, OnError: func(err error) { failures <- err }})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { o.Run(ctx); close(done) }()
	s := <-states
	if s == nil || s.Stratum != 5 {
		t.Fatalf("first state %+v", s)
	}
	silent.Store(true)
	for s != nil {
		s = <-states // times out with the test
	}
	if o.Current(time.Now()) != nil {
		t.Error("the old state is still believed")
	}
	silent.Store(false)
	for s == nil || s.Stratum != 5 {
		s = <-states
	}
	cancel()
	<-done
	if len(failures) == 0 {
		t.Error("nobody was told that nobody answers")
	}
}

func TestCurrentGrowsOld(t *testing.T) {
	o := New(Config{Chrony: at(udp(t, chronyd(t))), Interval: 16 * time.Second})
	s, err := o.Ask(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for age, want := range map[time.Duration]bool{0: true, 40 * time.Second: true, 50 * time.Second: false} {
		if got := o.Current(s.At.Add(age)) != nil; got != want {
			t.Errorf("%v old: believed %v", age, got)
		}
	}
}
