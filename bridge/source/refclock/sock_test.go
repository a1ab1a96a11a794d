package refclock

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func openSock(t *testing.T, path string) *sockDriver {
	t.Helper()
	d := &sockDriver{path: path}
	if err := d.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d
}

func send(t *testing.T, path string, datagrams ...[]byte) {
	t.Helper()
	c, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, p := range datagrams {
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chrony.ttyS0.sock")
	old := unix.Umask(0) // whatever it is, the socket is private
	d := openSock(t, path)
	unix.Umask(old)
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if s, err := d.read(nil); err != nil || len(s) != 0 {
		t.Errorf("nothing sent: %+v, %v", s, err)
	}
	good := sockDatagram(sockLen, 1_800_000_000, 7, 1, 0, 0, sockMagic)
	send(t, path, good, good[:39], append(good, 0), make([]byte, 10_000), nil,
		sockDatagram(sockLen32, 1_800_000_001, 7, 1, 1, 0, sockMagic))
	s, err := d.read(nil)
	want := []stamp{
		{system: begin + 7000, reference: begin + 7000 + sec},
		{reason: reasonMalformed}, {reason: reasonMalformed}, {reason: reasonMalformed}, {reason: reasonMalformed},
		{system: begin + sec + 7000, reference: begin + 2*sec + 7000, pulse: true},
	}
	if err != nil || len(s) != len(want) {
		t.Fatalf("%+v, %v", s, err)
	}
	for i := range want {
		if s[i] != want[i] {
			t.Errorf("datagram %d: %+v, want %+v", i, s[i], want[i])
		}
	}
	d.close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stays: %v", err)
	}
}

// What a program that died left is replaced; anything else is not.
func TestSockPath(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	stale, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	d := &sockDriver{path: path}
	if err := d.open(); err == nil || !strings.Contains(err.Error(), "another program listens") {
		t.Errorf("in use: %v", err)
	}
	stale.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	openSock(t, path)

	stream, err := net.Listen("unix", filepath.Join(dir, "stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "stream"): "another program listens",
		file:                         "not a socket",
		link:                         "not a socket",
		dir:                          "not a socket",
		dir + "/none/s":              "make its directory first",
	} {
		d := &sockDriver{path: path}
		if err := d.open(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		d.close()
	}
	if p, err := os.ReadFile(file); err != nil || string(p) != "x" {
		t.Errorf("%q, %v", p, err)
	}
}

// A socket that somebody replaced is let go, and not removed.
func TestSockReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	d := openSock(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for i := 0; err == nil && i < 2*audit; i++ {
		_, err = d.read(nil)
	}
	if !errors.Is(err, errGone) {
		t.Fatalf("%v", err)
	}
	d.close()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the other's socket was removed: %v", err)
	}
}

// Who floods is read in portions.
func TestSockFlood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	d := openSock(t, path)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := net.Dial("unixgram", path)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			select {
			case <-stop:
				return
			default:
				_ = c.SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := c.Write(make([]byte, 40)); err != nil {
					return
				}
			}
		}
	}()
	total := 0
	for total < 1000 {
		s, err := d.read(nil)
		if err != nil || len(s) > maxDatagrams {
			t.Fatalf("%d at once, %v", len(s), err)
		}
		total += len(s)
	}
	close(stop)
	d.close()
	<-done
}

// A program sends as gpsd does, and a clock that runs reports its time.
func TestClockReadsSock(t *testing.T) {
	cfg := DefaultConfig(SOCK)
	cfg.Path, cfg.Poll, cfg.DPoll = filepath.Join(t.TempDir(), "chrony.ttyS0.sock"), -2, -6
	expectHourAhead(t, cfg, func() {
		c, err := net.Dial("unixgram", cfg.Path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			for range time.Tick(20 * time.Millisecond) {
				now := time.Now()
				if _, err := c.Write(sockDatagram(sockLen, now.Unix(), int64(now.Nanosecond()/1000), 3600, 0, 0, sockMagic)); err != nil {
					return
				}
			}
		}()
	})
}
