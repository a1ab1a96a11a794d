package bridge

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/ntp"
	"ntsbridge/nts/aead"
)

// sockClock is a reference clock whose socket is in a directory.
func sockClock(path string, name string) config.ReferenceClock {
	return config.ReferenceClock{Driver: config.DriverSOCK, Device: path, RefID: config.RefID(ntp.KissCode(name)), Poll: 4,
		Delay: time.Microsecond, Precision: time.Microsecond, Rate: 1}
}

// listened tells whether somebody reads from a datagram socket.
func listened(path string) bool {
	c, err := net.Dial("unixgram", path)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// Two reference clocks of one name are refused before anything that runs is
// touched, and at a start.
func TestReloadWithClocksOfOneName(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(t, dir)
	first, second := filepath.Join(dir, "a.sock"), filepath.Join(dir, "b.sock")
	cfg.ReferenceClocks = []config.ReferenceClock{sockClock(first, "GPS1")}
	b := startBridge(t, cfg)
	defer b.Close()
	wait(t, "the socket", func() bool { return listened(first) })
	before, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	twice := *cfg
	twice.ReferenceClocks = append(twice.ReferenceClocks, sockClock(second, "GPS1"))
	if err := b.Reload(&twice); err == nil || !strings.Contains(err.Error(), "GPS1") {
		t.Errorf("reload: %v", err)
	}
	after, err := os.Stat(first)
	if err != nil || !os.SameFile(before, after) || !listened(first) || listened(second) {
		t.Errorf("after a refused reload: %v, or another socket", err)
	}
	if s := b.snapshot().SourceList(); len(s) != 1 || s[0].Mode != control.ModeReferenceClock || s[0].Name != "GPS1" {
		t.Errorf("sources %+v", s)
	}
	// One of its own comes beside, and the first one goes on.
	twice.ReferenceClocks[1] = sockClock(second, "GPS2")
	if err := b.Reload(&twice); err != nil {
		t.Fatal(err)
	}
	wait(t, "the second socket", func() bool { return listened(second) })
	if after, err := os.Stat(first); err != nil || !os.SameFile(before, after) || !listened(first) {
		t.Errorf("a clock that stays was closed: %v", err)
	}
	// The other one goes.
	if err := b.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if listened(second) || !listened(first) {
		t.Error("the clock that goes is there, or the one that stays is not")
	}

	start := testConfig(t, t.TempDir())
	start.ReferenceClocks = []config.ReferenceClock{sockClock(second, "GPS1"), sockClock(filepath.Join(dir, "c.sock"), "GPS1")}
	if b, err := Start(start, nullLogger, Options{}); err == nil {
		b.Close()
		t.Error("started with two reference clocks of one name")
	}
}

// What selection asks of sources is changed by a reload, in mode observe too,
// where it says what the sources think of somebody else's clock.
func TestReloadChangesSelection(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	server, cfg := followable(t)
	cfg.Clock.Mode, cfg.Clock.Ask = config.ClockObserve, "none"
	cfg.Sources = cfg.Sources[:1]
	client := startBridge(t, cfg)
	defer client.Close()
	state := func() control.SourceState { return client.snapshot().SourceList()[0].State }
	letter := func() string { return client.snapshot().SelectDataList()[0].State }
	wait(t, "selected", func() bool { return state() == control.StateSelected })
	for name, change := range map[string]func(*config.Clock){
		"auth_select":  func(c *config.Clock) { c.AuthSelect = "require" },
		"max_distance": func(c *config.Clock) { c.MaxDistance = time.Millisecond },
	} {
		next := *cfg
		change(&next.Clock)
		if err := client.Reload(&next); err != nil {
			t.Fatal(err)
		}
		wait(t, name, func() bool { return letter() != "*" })
		if err := client.Reload(cfg); err != nil {
			t.Fatal(err)
		}
		wait(t, name+" taken back", func() bool { return letter() == "*" })
	}
	next := *cfg
	next.Clock.MinSources = 2
	if err := client.Reload(&next); err != nil {
		t.Fatal(err)
	}
	wait(t, "min_sources", func() bool { return client.snapshot().Tracking().Held != "" })
	_ = server
}

// What a reload leaves as it is goes on: reachability, keys and cookies.
func TestReloadKeepsAssociations(t *testing.T) {
	t.Parallel()
	server, client, cfg := startFollowing(t)
	reach := func() (each []uint8) {
		for _, a := range client.snapshot().Associations() {
			each = append(each, a.Reach)
		}
		return each
	}
	wait(t, "some reach", func() bool { r := reach(); return min(r[0], r[1], r[2]) >= 3 })
	ids := func() (each []uint16) {
		for _, a := range client.snapshot().Associations() {
			each = append(each, a.ID)
		}
		return each
	}
	before := ids()
	cfg.Sources[1].MaxPoll = 3 // another one, which begins anew
	if err := client.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if r := reach(); r[0] < 3 || r[2] < 3 || r[1] > 1 {
		t.Errorf("reach %v after a reload that changes the second", r)
	}
	if after := ids(); after[0] != before[0] || after[2] != before[2] || after[1] == before[1] {
		t.Errorf("association IDs %v, before %v", after, before)
	}
	if n := server.ServerStats().KEAccepted; n != 1 {
		t.Errorf("%d key establishments, want 1", n)
	}
}

// Files of value that vanish while the daemon runs are written back by a
// reload, and nobody notices; a start without them is an error that names the
// remedy.
func TestVanishedSecrets(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	keys := t.TempDir()
	if err := os.CopyFS(keys, os.DirFS("material/testdata/autokey")); err != nil {
		t.Fatal(err)
	}
	for link, file := range map[string]string{"host": "RSAhost_tick", "cert": "RSA-MD5cert_tick", "iffkey": "IFFkey_grp"} {
		file = "ntpkey_" + file + ".4004289237"
		if err := errors.Join(os.Chmod(filepath.Join(keys, file), 0o600),
			os.Symlink(file, filepath.Join(keys, "ntpkey_"+link+"_tick"))); err != nil {
			t.Fatal(err)
		}
	}
	password := filepath.Join(keys, "pw")
	if err := os.WriteFile(password, []byte("serverpw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Autokey.Enabled, cfg.Autokey.KeysDir, cfg.Autokey.Host, cfg.Autokey.PasswordFile = true, keys, "tick", password
	b := startBridge(t, cfg)
	client := establish(t, b, aead.AESSIVCMAC256)
	names := []string{"autokey.seed", "cookies.secret", "ntp.keys", "nts.key", "nts.crt"}
	before := make(map[string][]byte)
	vanish := func() {
		for _, name := range names {
			path := filepath.Join(cfg.StateDir, name)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if before[name] != nil && !bytes.Equal(text, before[name]) {
				t.Errorf("%s is another one", name)
			}
			before[name] = text
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		vanish()
		if err := b.Reload(cfg); err != nil {
			t.Fatal(err)
		}
	}
	if err := askNTS(t, b, client); err != nil {
		t.Errorf("the cookie of before: %v", err)
	}
	vanish()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Start(cfg, nullLogger, Options{})
	for _, want := range []string{"autokey.seed is gone", "cookies.secret is gone", "ntp.keys is gone", "restore it from a backup",
		"files-made"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
