package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Counters is what ntsbridge serverstats --json prints, as far as the tests
// read it.
type Counters struct {
	Packets []struct {
		Kind   string `json:"kind"`   // none, symmetric, autokey, nts
		Reason string `json:"reason"` // of ntp.Reason: ok, bad-mac, ...
		Count  uint64 `json:"count"`
	} `json:"packets"`
	Autokey struct {
		ForeignSeed uint64 `json:"foreign_seed"` // packets under a cookie that a real ntpd gave out
	} `json:"autokey"`
	KE map[string]uint64 `json:"nts_ke"` // connections by what became of them
}

// Count returns how many requests of a kind came out with a reason.
func (c Counters) Count(kind, reason string) uint64 {
	var sum uint64
	for _, r := range c.Packets {
		if r.Kind == kind && r.Reason == reason {
			sum += r.Count
		}
	}
	return sum
}

// bridge is ntsbridge under test.
type bridge struct {
	site    *site
	program Program
	daemon  *Daemon
}

// build builds ntsbridge once for all tests of this process.
var build = sync.OnceValues(func() (string, error) {
	file := filepath.Join(repository(), "bin", "ntsbridge")
	cmd := exec.Command("make", "-s", "-C", repository(), "build")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, out)
	}
	return file, nil
})

func newBridge(s *site) *bridge {
	s.t.Helper()
	file, err := build()
	if err != nil {
		s.t.Fatal(err)
	}
	h := s.host
	path := func(name string) string { return filepath.Join(h.Dir, name) }
	// The takeover setting is on: in the takeover test a real ntpd had the
	// clients before, with its seed of 0.
	h.Write("ntsbridge.yaml", fmt.Sprintf(`log:
  level: debug
server:
  listen: ["0.0.0.0:123", "[::]:123"]
clock:
  mode: local
  stratum: 3
keys:
  files:
    - path: %q
      format: ntp
  trusted: [all]
autokey:
  enabled: true
  keysdir: %q
  host: %s
  password_file: %q
  takeover:
    enabled: true
    until: %q
nts:
  listen: ["0.0.0.0:4460", "[::]:4460"]
  certificates:
    - cert: %q
      key: %q
    - cert: %q
      key: %q
`, path("keys"), path("autokey"), serverName, path("password"),
		time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339),
		path(ntsName+".crt"), path(ntsName+".key"), path(expiredName+".crt"), path(expiredName+".key")))
	return &bridge{site: s, program: Program{Path: file}}
}

func (b *bridge) Start() {
	h := b.site.host
	b.daemon = h.Start("ntsbridge", b.program, "serve", "-c", filepath.Join(h.Dir, "ntsbridge.yaml"),
		"--state-dir", filepath.Join(h.Dir, "state"), "--run-dir", filepath.Join(h.Dir, "run"))
}
func (b *bridge) Stop() { b.daemon.Stop() }

func (b *bridge) Counters() (Counters, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	if err := b.daemon.Alive(); err != nil {
		return Counters{}, err
	}
	h := b.site.host
	out, err := h.Output(ctx, b.program, "serverstats", "--json", "--run-dir", filepath.Join(h.Dir, "run"))
	if err != nil {
		return Counters{}, err
	}
	var c Counters
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		return Counters{}, fmt.Errorf("ntsbridge serverstats --json: %w: %q", err, out)
	}
	return c, nil
}
