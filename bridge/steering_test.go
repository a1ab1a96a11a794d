package bridge

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/ntp"
)

// startFollowing starts a server and a daemon that follows it in three ways, and sets
// no clock.
func startFollowing(t *testing.T) (server, client *Bridge, cfg *config.Config) {
	t.Helper()
	server, cfg = followable(t)
	client, err := Start(cfg, nullLogger, Options{NoClock: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return server, client, cfg
}

// followable starts a server, and configures who is to follow it.
func followable(t *testing.T) (server *Bridge, cfg *config.Config) {
	t.Helper()
	serverDir := t.TempDir()
	serverConfig := testConfig(t, serverDir)
	serverConfig.Server.Listen = config.ListenOn(netip.AddrPortFrom(netip.IPv4Unspecified(), freePort(t).Port()))
	serverConfig.NTS.Port = 0
	server = startBridge(t, serverConfig)
	t.Cleanup(func() { server.Close() })
	cfg = testConfig(t, t.TempDir())
	cfg.Clock.Mode, cfg.Clock.FallbackStratum = config.ClockDiscipline, 0
	cfg.Keys.Files = []config.KeyFile{{Path: filepath.Join(serverDir, "state", "ntp.keys"), Format: "ntp"}}
	cfg.Keys.Trusted = append(cfg.Keys.Trusted, testKeyRange)
	source := func(name string, auth ntp.Kind) config.Source {
		return config.Source{Server: name, Port: int(server.Addresses()[0].Port()), Auth: auth, Version: 4, MinPoll: 1, MaxPoll: 2}
	}
	keyed, secured := source("127.0.0.2", ntp.KindSymmetric), source("127.0.0.1", ntp.KindNTS)
	keyed.Key = material.GeneratedKeyID
	secured.NTSPort = int(server.ke.Addrs()[0].Port())
	secured.TrustedCertificates = []string{material.GeneratedCertificate(server.parts.Load().cfg).Certificate}
	cfg.Sources = []config.Source{source("localhost", ntp.KindNone), keyed, secured}
	cfg.Sources[0].Family = "ipv4"
	return server, cfg
}

// TestSteering follows a server, serves what it follows, and goes on without a
// moment of doubt over a reload.
func TestSteering(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	_, client, cfg := startFollowing(t)
	wait(t, "synchronised", func() bool { return client.snapshot().Tracking().Synchronised() })
	k := client.snapshot().Tracking()
	if k.Stratum != 11 || k.SystemOffset < -0.01 || k.SystemOffset > 0.01 || k.RootDispersion <= 0 || k.Updates == 0 || k.Steps != 0 {
		t.Errorf("tracking %+v", k)
	}
	wait(t, "all selected", func() bool {
		for _, s := range reported(client).sources {
			if s.State != control.StateCombined && s.State != control.StateSelected {
				return false
			}
		}
		return true
	})
	wait(t, "cookies", func() bool { return reported(client).auth[2].Cookies >= 7 })
	r := reported(client)
	if len(r.sources) != 3 || r.sources[0].Name != "localhost" || r.sources[0].Address != "127.0.0.1" || r.sources[0].Stratum != 10 {
		t.Errorf("sources %+v", r.sources)
	}
	if a := r.auth; len(a) != 3 || a[0].Mode != control.AuthNone || a[1].KeyID != material.GeneratedKeyID || a[1].KeyLength != 128 ||
		a[2].Mode != control.AuthNTS || a[2].Cookies < 7 || a[2].KeyID != 1 {
		t.Errorf("authdata %+v", a)
	}
	samples := r.stats[1].Samples

	// Another source comes, the others stay.
	more := cfg.Sources[0]
	more.Server, more.NoSelect = "127.0.0.3", true
	cfg.Sources = append(cfg.Sources, more)
	if err := client.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(3 * time.Second)
	wait(t, "the new source measured", func() bool {
		if !client.snapshot().Tracking().Synchronised() {
			t.Fatal("a reload that only adds a source made the clock unsynchronised")
		}
		r := reported(client)
		return len(r.sources) == 4 && r.sources[3].Reach != 0 && time.Now().After(deadline)
	})
	r = reported(client)
	if s := r.stats[1]; s.Samples < samples {
		t.Errorf("an unchanged source lost its samples: %d before, %d after", samples, s.Samples)
	}
	if s := r.sources[3]; s.State != control.StateUnusable || s.Why == "" {
		t.Errorf("the source with noselect is %+v", s)
	}
	// What cannot change is refused.
	other := *cfg
	other.Clock.Panic = time.Hour
	if err := client.Reload(&other); err == nil {
		t.Error("a reload changed the discipline of the clock")
	}
}

// TestSteeringKeepsCookies starts again and asks for no new keys.
func TestSteeringKeepsCookies(t *testing.T) {
	t.Parallel()
	server, client, cfg := startFollowing(t)
	keys := func() uint64 { return server.ServerStats().KEAccepted }
	wait(t, "synchronised", func() bool { return client.snapshot().Tracking().Synchronised() })
	wait(t, "cookies", func() bool { return reported(client).auth[2].Cookies >= 7 })
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if n := keys(); n != 1 {
		t.Fatalf("%d key establishments, want 1", n)
	}
	again, err := Start(cfg, nullLogger, Options{NoClock: true})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	wait(t, "synchronised again", func() bool {
		r := reported(again)
		return again.snapshot().Tracking().Synchronised() && r.sources[2].Reach != 0
	})
	if n := keys(); n != 1 {
		t.Errorf("%d key establishments after a restart with kept cookies, want 1", n)
	}
}

// TestSteeringWithWrongDate: the clock is before the last time that it was
// known to be right. Sources with NTS are asked, by certificates judged at that
// time, and agree; and yet nothing is served, as no right clock has judged
// them.
func TestSteeringWithWrongDate(t *testing.T) {
	t.Parallel()
	_, cfg := followable(t)
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	ahead, err := time.Now().Add(time.Hour).UTC().MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	state := fmt.Sprintf(`{"version": 1, "kernel_ppm": 0, "saved": %q, "synchronised": %q}`, ahead, ahead)
	if err := os.WriteFile(filepath.Join(cfg.StateDir, "clock.state"), []byte(state), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := Start(cfg, nullLogger, Options{NoClock: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	wait(t, "keys that rest on the floor of the date", func() bool { return client.clock.Steering().Provisional() })
	wait(t, "sources that agree", func() bool { return followed(client) })
	if k := client.snapshot().Tracking(); k.Synchronised() {
		t.Errorf("tracking %+v, before a right clock has judged the certificates", k)
	}
	var h ntp.Header
	h.Decode(exchange(t, client, plainRequest()))
	if h.Leap != ntp.LeapUnknown || h.Stratum != 0 {
		t.Errorf("served leap %d, stratum %d; want the alarm", h.Leap, h.Stratum)
	}
}

// followed reports whether the sources agree, whatever is served of it.
func followed(b *Bridge) bool {
	r, ok := b.clock.Steering().Report()
	return ok && r.Synchronised
}

// reports are those on sources.
type reports struct {
	sources []control.Source
	stats   []control.SourceStats
	auth    []control.AuthData
}

func reported(b *Bridge) reports {
	s := b.snapshot()
	return reports{s.SourceList(), s.SourceStatsList(), s.AuthDataList()}
}
