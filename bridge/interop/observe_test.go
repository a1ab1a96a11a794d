package interop

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/clock/observe"
	"ntsbridge/bridge/ntp"
)

// observed runs the observer on a host, in the root of a program so that Unix
// sockets have the same path for both.
func observed(h *Host, p Program, cfg observe.Config) (s *observe.State, err error) {
	// The file system is another one only for the thread that this runs on.
	err = h.inside(func() error {
		if err := unix.Chroot(h.peers.root(p.Root)); err != nil {
			return err
		}
		if err := unix.Chdir("/"); err != nil {
			return err
		}
		s, err = observe.New(cfg).Ask(context.Background())
		return err
	}, "net", "mnt")
	return s, err
}

// localReference is the reference identifier of chronyd's and ntpd's own clock.
const localReference = 0x7f7f0101

// TestObserve asks the daemons that discipline a clock what they think of it:
// chronyd as root and as Debian's own user through both of its doors, ntpd and
// ntpsec by mode 6, synchronised and not.
func TestObserve(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	udp := observe.Config{Chrony: observe.DefaultConfig().Chrony}
	mode6 := observe.Config{NTPD: observe.DefaultConfig().NTPD}
	socket := observe.Config{ChronySocket: observe.DefaultConfig().ChronySocket}
	follower, local, lost := n.Host("follower"), n.Host("local"), n.Host("lost")
	classic, sec, unsynced := n.Host("classic"), n.Host("sec"), n.Host("unsynced")
	n.Names()

	local.Write("chrony.conf", "local stratum 5\nallow\npidfile /run/chronyd.pid\n")
	addUser(local, Chronyd46, "_chrony")
	local.Start("chronyd", Chronyd46, "-d", "-x", "-u", "_chrony", "-f", "/mnt/chrony.conf")
	follower.Write("chrony.conf", fmt.Sprintf("server %s iburst minpoll -1 maxpoll 0\npidfile /run/chronyd.pid\n", local.IPv4))
	follower.Start("chronyd", Chronyd46, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")
	lost.Write("chrony.conf", fmt.Sprintf("server %s\nbindcmdaddress 127.0.0.1\npidfile /run/chronyd.pid\n",
		netip.AddrFrom4([4]byte{10, 123, 0, 250})))
	lost.Start("chronyd", Chronyd43, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")
	ntpdClient(classic, local.IPv4.String(), "", "restrict 127.0.0.1\n")
	ntpsecClient(sec, local.IPv4.String(), "")
	unsynced.Write("ntp.conf", "restrict default\n")
	unsynced.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")

	v4 := local.IPv4.As4()
	upstream := binary.BigEndian.Uint32(v4[:])
	type expected struct {
		program string
		leap    ntp.Leap
		stratum uint8
		id      uint32
	}
	check := func(name string, h *Host, p Program, cfg observe.Config, want expected) Condition {
		return Condition{name, func() error {
			s, err := observed(h, p, cfg)
			if err != nil {
				return err
			}
			if got := (expected{s.Program, s.Leap, s.Stratum, s.ReferenceID}); got != want {
				return fmt.Errorf("%+v, want %+v", s, want)
			}
			if !s.Synchronised() {
				return nil
			}
			now := ntp.TimestampFromTime(time.Now())
			if age := now.Sub(s.Reference); age < -time.Second || age > 5*time.Minute {
				return fmt.Errorf("reference timestamp is %v old", age)
			}
			if s.RootDelay > time.Second || s.RootDispersion > 2*time.Second || want.id == upstream && s.RootDelay+s.RootDispersion == 0 {
				return fmt.Errorf("root delay %v, root dispersion %v", s.RootDelay, s.RootDispersion)
			}
			return nil
		}}
	}
	alarm := expected{observe.Chronyd, ntp.LeapUnknown, 0, 0}
	Await(t, 2*time.Minute,
		check("chronyd's own clock, its own user, Unix socket", local, Chronyd46, socket,
			expected{observe.Chronyd, ntp.LeapNone, 5, localReference}),
		check("chronyd's own clock, UDP", local, Chronyd46, udp, expected{observe.Chronyd, ntp.LeapNone, 5, localReference}),
		check("chronyd with a server, Unix socket", follower, Chronyd46, socket, expected{observe.Chronyd, ntp.LeapNone, 6, upstream}),
		check("chronyd with a server, IPv6", follower, Chronyd46, observe.Config{Chrony: udp.Chrony[1:]},
			expected{observe.Chronyd, ntp.LeapNone, 6, upstream}),
		check("chronyd 4.3 without a server", lost, Chronyd43, udp, alarm),
		check("ntpd with a server", classic, NTPD, mode6, expected{observe.NTPD, ntp.LeapNone, 6, upstream}),
		check("ntpsec with a server", sec, NTPsecNTPD, mode6, expected{observe.NTPsec, ntp.LeapNone, 6, upstream}),
		check("ntpd without a server", unsynced, NTPD, mode6, expected{observe.NTPD, ntp.LeapUnknown, 16, ntp.KissCode("INIT")}),
		check("whoever is there", sec, NTPsecNTPD, observe.DefaultConfig(), expected{observe.NTPsec, ntp.LeapNone, 6, upstream}),
	)
	for _, h := range []*Host{local, follower} {
		if left := socketsLeft(h, Chronyd46); len(left) != 1 {
			t.Errorf("%s: sockets %v, want chronyd's own", h.Name, left)
		}
	}
	quiet := n.Host("quiet")
	if s, err := observed(quiet, Chronyd46, observe.DefaultConfig()); err == nil {
		t.Errorf("nobody there, but %+v", s)
	}
}

// socketsLeft returns what is in chronyd's directory.
func socketsLeft(h *Host, p Program) (names []string) {
	h.t.Helper()
	err := h.inside(func() error {
		found, err := os.ReadDir(filepath.Join(h.peers.root(p.Root), "run/chrony"))
		for _, f := range found {
			names = append(names, f.Name())
		}
		return err
	}, "mnt")
	if err != nil {
		h.t.Fatal(err)
	}
	return names
}

// addUser makes a user that programs of a root may run as and who may read the
// host's scratch directory.
func addUser(h *Host, p Program, name string) {
	h.t.Helper()
	h.Write("passwd", fmt.Sprintf("root:x:0:0::/root:/bin/sh\n%s:x:123:123::/:/bin/false\n", name))
	h.Write("group", fmt.Sprintf("root:x:0:\n%s:x:123:\n", name))
	err := h.inside(func() error {
		for _, file := range []string{"passwd", "group"} {
			own := filepath.Join(h.Dir, file)
			if err := unix.Chmod(own, 0o644); err != nil {
				return err
			}
			if err := unix.Mount(own, filepath.Join(h.peers.root(p.Root), "etc", file), "", unix.MS_BIND, ""); err != nil {
				return fmt.Errorf("mount %s: %w", file, err)
			}
		}
		return unix.Chmod(h.Dir, 0o755)
	}, "mnt")
	if err != nil {
		h.t.Fatal(err)
	}
}
