package main

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/rogpeppe/go-internal/testscript"

	"ntsbridge/bridge/control"
)

func TestReportScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/report*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts")
	}
	testscript.Run(t, testscript.Params{Files: scripts,
		Setup: func(env *testscript.Env) error { env.Values[daemonKey{}] = new(running); return nil },
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"daemon": daemonOf}})
}

// running is the daemon of a script.
type running struct{ stop func() error }

type daemonKey struct{}

// daemonOf serves the control socket of the run directory "run": that of a
// daemon with sources, of one that refuses to step, of one without, or of one
// that knows no reports. It replaces the one before.
func daemonOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: daemon full|stubborn|empty|old|none")
	}
	now := ts.Value(daemonKey{}).(*running)
	if now.stop != nil {
		now.stop()
		now.stop = nil
	}
	dir := ts.MkAbs("run")
	ts.Check(os.MkdirAll(dir, 0o755))
	path := filepath.Join(dir, "control.sock")
	src := control.Sources{}
	switch args[0] {
	case "none":
		return
	case "old":
		l, err := net.Listen("unix", path)
		ts.Check(err)
		s := &http.Server{Handler: http.NotFoundHandler()}
		go s.Serve(l)
		now.stop = s.Close
	case "full":
		src = fullReports()
	case "stubborn":
		src = fullReports()
		src.MakeStep = func() error { return errors.New("the offset is beyond clock.panic") }
	}
	if now.stop == nil {
		s, err := control.Listen(path, src, hclog.NewNullLogger())
		ts.Check(err)
		now.stop = s.Close
	}
	ts.Defer(func() {
		if now.stop != nil {
			now.stop()
			now.stop = nil
		}
	})
}

func fullReports() control.Sources {
	tracking := &control.Tracking{ReferenceID: 0xC0000201, ReferenceName: "ntp1.example.net", ReferenceAddress: "192.0.2.1", Stratum: 3,
		ReferenceTime: time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC), SystemOffset: -6.523e-6, Frequency: 3.225, Skew: 0.129,
		UpdateInterval: 64.2, Poll: 6}
	sources := []control.Source{
		{Mode: control.ModeServer, State: control.StateSelected, Name: "ntp1.example.net", Address: "192.0.2.1", Stratum: 2, Poll: 6,
			Reach: 0o377, LastRx: 23, Offset: -12e-6, Measured: -923e-9, Error: 43e-3},
		{Mode: control.ModePeer, State: control.StateFalseticker, Name: "a-very-long-name-of-a-server.example.net",
			Address: "2001:db8::7b", Stratum: 2, Poll: 6, Reach: 0o17, LastRx: 1202,
			Offset: 1.2, Measured: 1.2, Error: 9e-3, Why: "disagrees with the majority"},
	}
	return control.Sources{
		Tracking: func() *control.Tracking { return tracking },
		Sources:  func() []control.Source { return sources },
		SourceStats: func() []control.SourceStats {
			return []control.SourceStats{{Name: "ntp1.example.net", Samples: 11, Span: 2760, Frequency: -0.001, Skew: 0.045, Offset: 1e-6,
				Deviation: 25e-6}}
		},
		AuthData: func() []control.AuthData {
			return []control.AuthData{{Name: "old.example.net", Mode: control.AuthAutokey, KeyLength: 32, Last: -1, LegacySigned: true}}
		},
		SelectData: func() []control.SelectData {
			return []control.SelectData{{State: "x", Name: "ntp2.example.net", Why: "disagrees with the majority"}}
		},
		MakeStep: func() error { return nil },
	}
}
