package interop

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is the screen of a program, for one that asks what it is.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	if err2 := raw.Control(func(fd uintptr) {
		err = errors.Join(unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0),
			unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 132}))
		if err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// drawing is what moves the cursor and sets colours.
var drawing = regexp.MustCompile("\x1b(\\[[0-9;?]*[a-zA-Z]|[()][A-Z0-9]|[=>])")

// screen is what a program has drawn so far.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
	*os.File
}

func (s *screen) read() {
	b := make([]byte, 4096)
	for {
		n, err := s.Read(b)
		s.mu.Lock()
		s.text.Write(b[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// shows is a condition: all the words were drawn since begin.
func (s *screen) shows(name string, d *Daemon, begin int, words ...string) Condition {
	return Condition{name, func() error {
		s.mu.Lock()
		text := drawing.ReplaceAllString(s.text.String()[begin:], " ")
		s.mu.Unlock()
		for _, w := range words {
			if !strings.Contains(text, w) {
				return errors.Join(fmt.Errorf("%q is not in\n%s", w, text), d.Alive())
			}
		}
		return nil
	}}
}

// press types a key, and returns how much was drawn before.
func (s *screen) press(t *testing.T, key string) int {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.WriteString(key); err != nil {
		t.Fatal(err)
	}
	return s.text.Len()
}

// TestNtpmonWatches runs ntpsec's ntpmon on a terminal: the clock that we serve as
// a peer, its details, and below it who asks us.
func TestNtpmonWatches(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("the list of clients is ntsbridge's")
	}
	s := newSite(t)
	a, b := s.Host("classic"), s.Host("chrony")
	s.Names()
	s.Start()
	Await(t, limit, ntpdClient(a, serverName, "", "").Condition(), chronyKeyClient(b, Chronyd46, serverName, 3).Condition())
	vt100, err := os.ReadFile("/lib/terminfo/v/vt100")
	if err != nil {
		t.Fatal(err)
	}
	s.host.Write(".terminfo/v/vt100", string(vt100))
	master, slave := terminal(t)
	d := s.host.StartOn(slave, "ntpmon", NTPMon, "-n", "127.0.0.1")
	shown := &screen{File: master}
	go shown.read()
	Await(t, limit, shown.shows("peers and clients", d, 0, "*127.127.1.0", "ntsbridge", a.IPv4.String(), b.IPv4.String()))
	for _, k := range []struct {
		key   string
		words []string
	}{
		{"a", []string{"assid"}},
		{"d", []string{"assoc=", "srcadr=127.127.1.0", "filtdelay"}},
		{"d", []string{a.IPv4.String()}},
		{"?", []string{"Display helpscreen"}},
	} {
		Await(t, limit, shown.shows("key "+k.key, d, shown.press(t, k.key), k.words...))
	}
	shown.press(t, "q")
	Await(t, limit, Condition{"ntpmon ends", func() error {
		select {
		case <-d.done:
			if d.err != nil {
				return permanent{d.err}
			}
			return nil
		default:
			return errors.New("it still runs")
		}
	}})
}
