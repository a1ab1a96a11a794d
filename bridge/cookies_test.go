package bridge

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// shiftedClock is a system clock that a test sets.
type shiftedClock struct{ by atomic.Int64 }

func (c *shiftedClock) now() time.Time { return time.Now().Add(time.Duration(c.by.Load())) }

func (c *shiftedClock) set(date time.Time) { c.by.Store(int64(time.Until(date))) }

// readCookieSecret is what the file says.
func readCookieSecret(t *testing.T, path string) *nts.Secret {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := nts.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A first start with a clock at 1970 serves the alarm and makes nothing with a
// date in it. When its clock is right, certificate and cookies are there without
// anybody's doing, with dates that are right.
func TestFirstStartIn1970(t *testing.T) {
	clock := new(shiftedClock)
	clock.set(time.Unix(1000, 0))
	cfg := testConfig(t, t.TempDir())
	cfg.Clock.Mode, cfg.Clock.FallbackStratum = config.ClockDiscipline, 0
	cfg.Sources = []config.Source{{Server: "127.0.0.1", Port: int(freePort(t).Port()), Auth: ntp.KindNone, Version: 4, MinPoll: 6, MaxPoll: 10}}
	b, err := Start(cfg, nullLogger, Options{NoClock: true, now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	answer := exchange(t, b, plainRequest())
	var h ntp.Header
	if answer != nil {
		h.Decode(answer)
	}
	if h.Leap != ntp.LeapUnknown {
		t.Fatalf("answer %x", answer)
	}
	certificate := material.GeneratedCertificate(cfg).Certificate
	for _, path := range []string{certificate, cfg.NTS.Cookies.SecretFile} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was made in 1970 (%v)", path, err)
		}
	}
	if c, err := net.Dial("tcp", b.ke.Addrs()[0].String()); err != nil {
		t.Errorf("NTS-KE does not listen: %v", err)
	} else {
		c.Close()
	}
	clock.set(time.Now())
	b.makeDated(b.parts.Load(), &ntp.ClockState{Stratum: ntp.StratumUnsynchronised, Leap: ntp.LeapUnknown}, clock.now())
	if b.dating.Load() {
		t.Fatal("made before the sources agree")
	}
	b.makeDated(b.parts.Load(), &ntp.ClockState{Stratum: 2}, clock.now())
	wait(t, "a certificate", func() bool {
		_, err := os.Stat(certificate)
		return err == nil && b.parts.Load().state.NTS.Ring() != nil && !b.dating.Load()
	})
	if err := askNTS(t, b, establish(t, b, aead.AESSIVCMAC256)); err != nil {
		t.Error(err)
	}
	if begin := readCookieSecret(t, cfg.NTS.Cookies.SecretFile).Begin(); time.Since(begin).Abs() > 25*time.Hour {
		t.Errorf("the cookie secret begins at %v", begin)
	}
}

// A later start with such a clock serves the clients that have cookies, and
// forgets no key for what the clock says, neither then nor when it says that it
// is 2080 and nobody confirms it.
func TestLaterStartWithWrongClock(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	b := startBridge(t, cfg)
	client := establish(t, b, aead.AES128GCMSIV)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(cfg.NTS.Cookies.SecretFile)
	if err != nil {
		t.Fatal(err)
	}
	clock := new(shiftedClock)
	for _, date := range []time.Time{time.Unix(1000, 0), time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC)} {
		clock.set(date)
		if b, err = Start(cfg, nullLogger, Options{now: clock.now}); err != nil {
			t.Fatal(err)
		}
		state := &ntp.ClockState{Stratum: uint8(cfg.Clock.FallbackStratum)} // served as it is
		b.keepCookies(b.parts.Load(), state, clock.now())
		if date.Year() == 1970 {
			if err := askNTS(t, b, client); err != nil {
				t.Errorf("in %d: %v", date.Year(), err)
			}
		}
		clock.set(time.Now())
		b.tick(clock.now())
		if err := askNTS(t, b, client); err != nil {
			t.Errorf("when the clock is right again: %v", err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if after, err := os.ReadFile(cfg.NTS.Cookies.SecretFile); err != nil || !bytes.Equal(before, after) {
			t.Errorf("the cookie secret was changed for a clock in %d: %v", date.Year(), err)
		}
	}
}

// The file of the version before is read, its cookies are opened, and it is
// moved on; a file that somebody else wrote meanwhile is not touched; a
// directory that cannot be written costs nothing but a warning.
func TestCookieSecretIsMovedOn(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.Clock.Mode = config.ClockLocal
	cfg.NTS.Cookies.Rotation, cfg.NTS.Cookies.Kept = time.Minute, 1
	path := cfg.NTS.Cookies.SecretFile
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	former := hex.EncodeToString(bytes.Repeat([]byte{3}, 32))
	if err := os.WriteFile(path, []byte(former+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := startBridge(t, cfg)
	defer b.Close()
	client := establish(t, b, aead.AES128GCMSIV)
	clock, local := new(shiftedClock), &ntp.ClockState{Stratum: uint8(cfg.Clock.Stratum)}
	move := func(minutes int) {
		t.Helper()
		clock.by.Store(int64(time.Duration(minutes) * time.Minute))
		b.keepCookies(b.parts.Load(), local, clock.now())
		wait(t, "moved on", func() bool { return !b.cookies.busy.Load() })
	}
	move(0)
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), former) {
		t.Fatalf("still %q, %v", text, err)
	}
	first := readCookieSecret(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := b.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if err := askNTS(t, b, client); err != nil {
		t.Errorf("after it was moved on and read again: %v", err)
	}
	move(10)
	if later := readCookieSecret(t, path); !later.Begin().After(first.Begin()) || !later.Same(first) {
		t.Errorf("after ten minutes %v, first %v", later.Begin(), first.Begin())
	}
	if err := os.Remove(path); err != nil { // it is in memory
		t.Fatal(err)
	}
	move(20)
	if !readCookieSecret(t, path).Same(first) {
		t.Error("not written back")
	}
	other, err := material.NewCookieSecret(&cfg.NTS.Cookies, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, other.AppendText(nil), 0o600); err != nil {
		t.Fatal(err)
	}
	move(30)
	if !readCookieSecret(t, path).Same(other) || !b.cookies.failed.Load() {
		t.Error("what somebody wrote was overwritten in silence")
	}
	if err := b.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if !b.parts.Load().set.NTS.Secret.Same(other) {
		t.Error("not read by the reload")
	}
	if left, _ := filepath.Glob(filepath.Join(cfg.StateDir, ".*")); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}
