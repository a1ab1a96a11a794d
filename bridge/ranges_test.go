package bridge

import (
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/material"
)

// end is one end of the range of an option.
type end struct{ path, value string }

func (e end) String() string { return e.path + ": " + e.value }

// ends returns both ends of every range.
func ends() []end {
	var all []end
	for _, r := range config.Ranges() {
		all = append(all, end{r.Path, r.Low}, end{r.Path, r.High})
	}
	return all
}

// huge are options whose upper end takes more memory or processes than a test
// may: they go through the check alone.
var huge = map[string]bool{"server.workers: 256": true, "server.interleaved.entries: 16777216": true, "rate_limit.clients: 16777216": true,
	"nts.limits.clients: 16777216": true, "server.batch: 1024": true}

// long are ends that make a start work out keys of years of cookies; alone is
// often enough.
var long = map[string]bool{"nts.cookies.rotation: 8760h": true, "nts.cookies.kept: 1024": true}

// base is a configuration in which every option has a place.
const base = `
server: {listen: ["127.0.0.1:0"], workers: 1}
clock: {mode: discipline}
access: {rules: [{prefixes: [192.0.2.0/24], rate: default}]}
rate_limit: {limits: [{name: default}]}
nts: {names: [localhost]}
sources: [{server: 127.0.0.1, mode: pool}]
reference_clocks: [{driver: shm, unit: 9, noselect: true}]
broadcast: [{destination: 127.0.0.1, key: 1}]
`

// with returns the configuration with options at these ends; nil with what is
// wrong where that makes no sense.
func with(t *testing.T, dir string, at ...end) (*config.Config, error) {
	t.Helper()
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(base), &tree); err != nil {
		t.Fatal(err)
	}
	for _, e := range at {
		var value yaml.Node
		if err := yaml.Unmarshal([]byte(e.value), &value); err != nil {
			t.Fatal(err)
		}
		put(tree, strings.Split(e.path, "."), value.Content[0])
	}
	text, err := yaml.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	// Port 0 is for tests only.
	cfg, err := config.Parse("ranges.yaml", dir, []byte(strings.Replace(string(text), "127.0.0.1:0", "127.0.0.1:1", 1)))
	if err != nil {
		return nil, err
	}
	cfg.Server.Listen = testConfig(t, dir).Server.Listen
	cfg.NTS.Listen = testConfig(t, dir).NTS.Listen
	cfg.StateDir, cfg.RunDir = filepath.Join(dir, "state"), filepath.Join(dir, "run")
	cfg.Resolve(config.Environment{Hostname: "localhost"})
	return cfg, nil
}

// put sets a value at a path; [] is the only item of a list.
func put(tree map[string]any, path []string, value any) {
	name, list := strings.CutSuffix(path[0], "[]")
	switch {
	case len(path) == 1:
		tree[name] = value
	case list:
		put(tree[name].([]any)[0].(map[string]any), path[1:], value)
	default:
		if tree[name] == nil {
			tree[name] = make(map[string]any)
		}
		put(tree[name].(map[string]any), path[1:], value)
	}
}

// tryEnds puts ends through check and, if start is set, a start: what the
// configuration takes, the engine takes.
func tryEnds(t *testing.T, start bool, at ...end) {
	t.Helper()
	dir := t.TempDir()
	cfg, err := with(t, dir, at...)
	if err != nil {
		return // refused with a reason
	}
	options := Options{NoClock: true}
	report := Check(cfg, "ranges.yaml", options, true)
	if n := report.Findings.Count(material.NoStart); n > 0 {
		t.Errorf("%v: the file is valid, and check says %v", at, report.Findings)
	}
	for _, e := range at {
		start = start && !huge[e.String()]
	}
	if !start {
		return
	}
	b, err := Start(cfg, nullLogger, options)
	if err != nil {
		t.Errorf("%v: check finds nothing, and serve: %v", at, err)
		return
	}
	if err := b.Close(); err != nil {
		t.Errorf("%v: %v", at, err)
	}
}

func TestEndsOfRanges(t *testing.T) {
	t.Parallel()
	all := ends()
	if len(all) < 100 {
		t.Fatalf("%d ends", len(all))
	}
	refused := 0
	for _, e := range all {
		if _, err := with(t, t.TempDir(), e); err != nil {
			t.Logf("refused: %v", err)
			refused++
		}
		if clock := strings.HasPrefix(e.path, "clock."); clock || !testing.Short() {
			tryEnds(t, true, e)
		}
	}
	if refused > len(all)/4 {
		t.Errorf("%d of %d ends are refused: ranges promise what validation takes back", refused, len(all))
	}
}

// Pairs go through check, and some of them a start: each option with its
// neighbours in the list, and a seventh of all pairs of the clock's.
func TestPairsOfEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("every pair of ends: it runs without -short, in make unit")
	}
	all := ends()
	for i, a := range all {
		for j := i + 1; j < len(all); j++ {
			b := all[j]
			clock := strings.HasPrefix(a.path, "clock.") && strings.HasPrefix(b.path, "clock.")
			if a.path != b.path && !long[a.String()] && !long[b.String()] && (clock && (31*i+j)%7 == 0 || j-i < 3) {
				tryEnds(t, j-i < 2, a, b)
			}
		}
	}
}

// What crashed the daemon once.
func TestClockOutOfRange(t *testing.T) {
	t.Parallel()
	for _, e := range []end{{"clock.max_slew_ppm", "100000"}, {"clock.start_slew_ppm", "90001"}, {"clock.drift_ppm", "0"},
		{"clock.panic", "500us"}} {
		if _, err := with(t, t.TempDir(), e); err == nil || !strings.Contains(err.Error(), e.path) {
			t.Errorf("%v: %v", e, err)
		}
	}
	for _, e := range []end{{"clock.panic", "1ms"}, {"clock.panic", "0s"}} {
		tryEnds(t, true, e)
	}
}
