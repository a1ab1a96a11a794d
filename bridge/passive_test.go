package bridge

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/ntp"
)

// await repeats ok until it is true.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in 30 s: %s", what)
		}
	}
}

// A peer begins a passive association with another daemon by its key; both
// go on after a reload.
func TestPassiveAssociation(t *testing.T) {
	t.Parallel()
	willing := testConfig(t, t.TempDir())
	willing.Clock.Mode, willing.NTS.Enabled = "local", false
	willing.Server.Listen = config.ListenOn(netip.MustParseAddrPort("127.0.0.2:0"))
	willing.Passive.Enabled = true
	w := startBridge(t, willing)
	defer w.Close()
	willing.Server.Listen = config.ListenOn(w.Addresses()...) // the same port after a reload
	id := uint32(0)
	for k := range w.parts.Load().state.Keys.All() {
		id = k.ID()
	}

	caller := testConfig(t, t.TempDir())
	caller.Clock.Mode, caller.NTS.Enabled = "local", false
	caller.Keys.Files = []config.KeyFile{{Path: material.GeneratedKeyFile(willing), Format: "ntp"}}
	trustAll(t, caller)
	caller.Sources = []config.Source{{Server: "127.0.0.2", Port: int(w.Addresses()[0].Port()), Mode: config.ModePeer,
		Auth: ntp.KindSymmetric, Key: int(id), Version: 4, MinPoll: 0, MaxPoll: 1}}
	c := startBridge(t, caller)
	defer c.Close()
	caller.Server.Listen = config.ListenOn(c.Addresses()...)

	await(t, "the active side is reached", func() bool {
		a := shownSources(c)
		return len(a) == 1 && a[0].Reach != 0 && a[0].HostMode == ntp.ModeSymmetricActive && a[0].Status.Configured && a[0].Status.Authentic
	})
	begun := func() bool {
		a := shownSources(w)
		return len(a) == 1 && a[0].HostMode == ntp.ModeSymmetricPassive && !a[0].Status.Configured && a[0].KeyID == id &&
			a[0].Source == c.Addresses()[0]
	}
	await(t, "a passive association", begun) // the active side has to hear us first
	if err := w.Reload(willing); err != nil {
		t.Fatal(err)
	}
	await(t, "a passive association after a reload", begun)
	// Where no passive associations are wanted, the same packets are answered.
	off := *willing
	off.Passive.Enabled = false
	if err := w.Reload(&off); err != nil {
		t.Fatal(err)
	}
	if err := c.Reload(caller); err != nil {
		t.Fatal(err)
	}
	await(t, "the active side is answered", func() bool { return c.snapshot().Associations()[0].Reach != 0 })
	if a := shownSources(w); len(a) != 0 {
		t.Errorf("passive side: %+v", a)
	}
}

// shownSources are the associations that ntpq is shown, without the clock that
// is served.
func shownSources(b *Bridge) []control.Association {
	return slices.DeleteFunc(b.snapshot().Associations(),
		func(a control.Association) bool { return a.Source.Addr() == netip.MustParseAddr("127.127.1.0") })
}

func trustAll(t *testing.T, cfg *config.Config) {
	t.Helper()
	c, err := config.Parse("test", "/", []byte("keys: {files: [{path: k}], trusted: [all]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Keys.Trusted = c.Keys.Trusted
}
