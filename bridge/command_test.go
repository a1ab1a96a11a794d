package bridge

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
)

// What an operator tells over the socket is done while the daemon runs.
func TestCommands(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	server, cfg := followable(t)
	for i := range cfg.Sources { // as they are read from a file
		s := &cfg.Sources[i]
		s.Mode, s.MaxSources, s.MaxDelay, s.NTSPort = config.ModeClient, 4, 3*time.Second, max(s.NTSPort, 1)
	}
	client, err := Start(cfg, nullLogger, Options{NoClock: true})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	tool := control.NewClient(filepath.Join(cfg.RunDir, "control.sock"))
	told := func(c control.Command) string {
		t.Helper()
		done, err := tool.Do(&c)
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		return done
	}
	refused := func(c control.Command, why string) {
		t.Helper()
		if _, err := tool.Do(&c); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%+v: %v, want %q", c, err, why)
		}
	}
	asked := func() uint64 { return server.server.Counters().Received }
	wait(t, "synchronised", func() bool { return client.snapshot().Tracking().Synchronised() })

	told(control.Command{Name: control.CommandOffline})
	quiet, since := asked(), time.Now()
	wait(t, "nobody is asked", func() bool { // an answer may be under way
		if n := asked(); n != quiet {
			quiet, since = n, time.Now()
		}
		return time.Since(since) > 6*time.Second // the longest interval is 4 s
	})
	told(control.Command{Name: control.CommandOnline, Source: "127.0.0.2"})
	wait(t, "one is asked again", func() bool { return asked() > quiet })
	told(control.Command{Name: control.CommandOnline})
	if done := told(control.Command{Name: control.CommandBurst, Good: 2, Max: 4}); !strings.Contains(done, "4 requests") {
		t.Errorf("burst: %s", done)
	}
	told(control.Command{Name: control.CommandRefresh})

	port := int(server.Addresses()[0].Port())
	told(control.Command{Name: control.CommandAdd, Source: "127.0.0.3", Options: map[string]any{"port": port,
		"minpoll": 1, "maxpoll": 1, "iburst": true}})
	names := func() (all []string) {
		for _, s := range client.snapshot().SourceList() {
			all = append(all, s.Name)
		}
		return all
	}
	if n := names(); len(n) != 4 || n[3] != "127.0.0.3" {
		t.Errorf("sources %v", n)
	}
	wait(t, "the added source is reached", func() bool { return client.snapshot().SourceList()[3].Reach != 0 })
	told(control.Command{Name: control.CommandDelete, Source: "127.0.0.3"})
	if n := names(); len(n) != 3 {
		t.Errorf("sources %v", n)
	}

	refused(control.Command{Name: control.CommandAdd, Source: "127.0.0.3", Options: map[string]any{"minpoll": 99}}, "minpoll")
	refused(control.Command{Name: control.CommandAdd, Source: "localhost", Options: map[string]any{"port": port}}, "already")
	refused(control.Command{Name: control.CommandDelete, Source: "nobody"}, "no source")
	refused(control.Command{Name: control.CommandOffline, Source: "nobody"}, "no source")
	refused(control.Command{Name: control.CommandBurst, Good: 5, Max: 4}, "burst")
	refused(control.Command{Name: control.CommandSetTime, Time: time.Now()}, "only measures")
	refused(control.Command{Name: "dance"}, "does not know")
}
