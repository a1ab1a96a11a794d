package bridge

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/association"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

var (
	testKeyRange = access.KeyRange{Low: material.GeneratedKeyID, High: material.GeneratedKeyID}
	nullLogger   = hclog.NewNullLogger()
)

// wait waits until a condition holds.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

// freePort returns a UDP port that nobody has at the moment.
func freePort(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// TestSources lets one daemon ask another, plain, with a key and with NTS, and
// looks at it as ntpq would.
func TestSources(t *testing.T) {
	t.Parallel()
	serverDir, clientDir := t.TempDir(), t.TempDir()
	cfg := testConfig(t, serverDir)
	cfg.Server.Listen = config.ListenOn(freePort(t)) // which NTS-KE tells
	cfg.NTS.Port = 0
	server := startBridge(t, cfg)
	defer server.Close()
	port := int(server.Addresses()[0].Port())

	cfg = testConfig(t, clientDir)
	keyFile := filepath.Join(serverDir, "state", "ntp.keys")
	cfg.Keys.Files = []config.KeyFile{{Path: keyFile, Format: "ntp"}}
	cfg.Keys.Trusted = append(cfg.Keys.Trusted, testKeyRange)
	source := func(auth ntp.Kind) config.Source {
		return config.Source{Server: "127.0.0.1", Port: port, Auth: auth, Version: 4, MinPoll: 0, MaxPoll: 1, IBurst: true}
	}
	plain, keyed := source(ntp.KindNone), source(ntp.KindSymmetric)
	keyed.Key = material.GeneratedKeyID
	secured := source(ntp.KindNTS)
	secured.NTSPort = int(server.ke.Addrs()[0].Port())
	secured.TrustedCertificates = []string{material.GeneratedCertificate(server.parts.Load().cfg).Certificate}
	cfg.Sources = []config.Source{plain, keyed, secured}
	client := startBridge(t, cfg)
	defer client.Close()

	shown := func(i int) control.Association { return client.snapshot().Associations()[i] }
	for i, kind := range []string{"plain", "symmetric", "nts"} {
		wait(t, kind, func() bool { return shown(i).Reach != 0 })
		a := shown(i)
		if a.Stratum != 10 || a.PeerMode != ntp.ModeServer || a.Status.Authentic != (kind != "plain") {
			t.Errorf("%s: %+v", kind, a)
		}
		if a.Offset < -time.Second || a.Offset > time.Second || a.Delay <= 0 {
			t.Errorf("%s: offset %v, delay %v", kind, a.Offset, a.Delay)
		}
	}

	// A reload with other sources ends the old ones.
	cfg.Sources = cfg.Sources[:1]
	if err := client.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if n := len(shownSources(client)); n != 1 {
		t.Errorf("%d associations after the reload, want 1", n)
	}
	wait(t, "plain after the reload", func() bool { return shown(0).Reach != 0 })
}

// A source whose authentication cannot be had is shown with the reason and not
// asked, never a source with less of it; the server and the other sources are
// not concerned.
func TestSourcesThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		source config.Source
		want   string
	}{
		"key not trusted":  {config.Source{Server: "a", Auth: ntp.KindSymmetric, Key: 99}, "key 99"},
		"no Autokey files": {config.Source{Server: "a", Auth: ntp.KindAutokey}, "keysdir"},
		"no certificates": {config.Source{Server: "a", Auth: ntp.KindNTS, TrustedCertificates: []string{filepath.Join(dir, "ca.pem")}},
			"ca.pem"},
		"empty certificates": {config.Source{Server: "a", Auth: ntp.KindNTS, TrustedCertificates: []string{os.DevNull}}, "no certificate"},
	} {
		cfg := testConfig(t, dir)
		cfg.Autokey.KeysDir = filepath.Join(dir, "crypto")
		cfg.Sources = []config.Source{c.source}
		b := startBridge(t, cfg)
		if exchange(t, b, plainRequest()) == nil {
			t.Errorf("%s: nothing is served", name)
		}
		s := b.snapshot().SourceList()
		if len(s) != 1 || s[0].Name != "a" || !strings.Contains(s[0].Why, c.want) {
			t.Errorf("%s: %+v", name, s)
		}
		if err := b.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is printed of a source shows no secret.
// A reference clock that keeps TAI where no table tells TAI-UTC is its own
// failure, with the reason, and comes alive with a table.
func TestClockOfTAIWithoutATable(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(t, dir)
	cfg.Clock.Mode, cfg.Clock.Leap.Table = config.ClockDiscipline, "none"
	clock := sockClock(filepath.Join(dir, "tai.sock"), "TAI1")
	clock.TAI = true
	cfg.ReferenceClocks = []config.ReferenceClock{clock}
	b, err := Start(cfg, nullLogger, Options{NoClock: true})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if exchange(t, b, plainRequest()) == nil {
		t.Error("nothing is served")
	}
	why := func() string { return b.snapshot().SourceList()[0].Why }
	if !strings.Contains(why(), "install tzdata") {
		t.Errorf("why: %q", why())
	}
	list := filepath.Join(dir, "leapseconds")
	if err := os.WriteFile(list, []byte("Leap 2016 Dec 31 23:59:60 + S\nExpires 2036 Jun 28 00:00:00\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg.Clock.Leap.Table, cfg.Clock.Leap.File = "auto", list
	if err := b.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(why(), "TAI") {
		t.Errorf("why with a table: %q", why())
	}
}

func TestSourcesHideSecrets(t *testing.T) {
	key, err := symkey.NewKey(1, "SHA1", []byte("verysecretsecret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	spec := &association.Spec{Key: key}
	if text := fmt.Sprintf("%v %+v %#v", spec, *spec, spec.Key); strings.Contains(text, "verysecret") {
		t.Errorf("the secret is in %s", text)
	}
}
