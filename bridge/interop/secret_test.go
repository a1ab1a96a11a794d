package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// gateway is one of several ntsbridges with one cookie secret.
type gateway struct {
	host    *Host
	program Program
	daemon  *Daemon
}

func newGateway(n *Network, name string) *gateway {
	file, err := build()
	n.must(err)
	return &gateway{host: n.Host(name), program: Program{Path: file}}
}

// configure makes the files of a gateway whose NTS-KE sends clients on to the
// other one, so that the cookies of each are opened by the other.
func (g *gateway) configure(ca *authority, other *gateway) {
	name := g.host.Name
	ca.issue(g.host, name, time.Now().Add(24*time.Hour))
	g.host.Write("ntsbridge.yaml", fmt.Sprintf(`server:
  listen: ["0.0.0.0:123"]
clock:
  mode: local
  stratum: 3
sandbox: enforce
nts:
  listen: ["0.0.0.0:4460"]
  server: %s
  certificates:
    - cert: %q
      key: %q
  cookies:
    rotation: 1m
    kept: 5
`, other.host.IPv4, filepath.Join(g.host.Dir, name+".crt"), filepath.Join(g.host.Dir, name+".key")))
}

func (g *gateway) start() {
	g.daemon = g.host.Start("ntsbridge", g.program, "serve", "-c", filepath.Join(g.host.Dir, "ntsbridge.yaml"),
		"--state-dir", g.state(), "--run-dir", filepath.Join(g.host.Dir, "run"))
}

func (g *gateway) state() string { return filepath.Join(g.host.Dir, "state") }

// run runs a command of ntsbridge on the gateway.
func (g *gateway) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*queryTimeout)
	defer cancel()
	return g.host.Output(ctx, g.program, append(args, "--run-dir", filepath.Join(g.host.Dir, "run"))...)
}

func (g *gateway) counters() (c Counters, err error) {
	out, err := g.run("serverstats", "--json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &c)
	}
	return c, err
}

// answers is the condition that it answered so many more NTS requests than
// before, and none of all had a cookie that it does not know.
func (g *gateway) answers(more uint64) Condition {
	before, err := g.counters()
	return Condition{fmt.Sprintf("%s answers %d more", g.host.Name, more), func() error {
		if err != nil {
			return err
		}
		c, err := g.counters()
		if err != nil {
			return err
		}
		if naks := c.Count("nts", "unknown-cookie"); naks != 0 {
			return permanent{fmt.Errorf("%d cookies were refused", naks)}
		}
		if got := c.Count("nts", "ok"); got < before.Count("nts", "ok")+more {
			return fmt.Errorf("%d answers, %d before", got, before.Count("nts", "ok"))
		}
		return nil
	}}
}

func (g *gateway) copySecrets(t *testing.T, to *gateway, names ...string) {
	t.Helper()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(g.state(), name))
		if err == nil {
			err = errors.Join(os.MkdirAll(to.state(), 0o700), os.WriteFile(filepath.Join(to.state(), name), text, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// fingerprints of today, of the current and the previous secret.
func (g *gateway) fingerprints(t *testing.T) (f [2]string) {
	t.Helper()
	out, err := g.run("secret", "status", "--json", "-c", filepath.Join(g.host.Dir, "ntsbridge.yaml"), "--state-dir", g.state())
	var s struct{ Current, Previous struct{ Fingerprint string } }
	if err := errors.Join(err, json.Unmarshal([]byte(out), &s)); err != nil {
		t.Fatalf("%v: %q", err, out)
	}
	return [2]string{s.Current.Fingerprint, s.Previous.Fingerprint}
}

// Two gateways share a cookie secret, each getting the cookies of the other
// one, and change it while real clients poll: nobody gets an NTS NAK, nobody
// needs another key establishment, and the old secret is gone from the disk.
func TestSecretRotation(t *testing.T) {
	n := NewNetwork(t)
	ca := newAuthority(t)
	east, west := newGateway(n, "east"), newGateway(n, "west")
	east.configure(ca, west)
	west.configure(ca, east)
	hosts := map[string]*Host{}
	for _, name := range []string{"chrony-east", "chrony-west", "rust-east", "rust-west"} {
		hosts[name] = n.Host(name)
	}
	n.Names()
	east.start()
	Await(t, time.Minute, Condition{"east runs", func() error { _, err := east.counters(); return err }})
	east.copySecrets(t, west, "cookies.secret")
	west.start()
	Await(t, time.Minute, Condition{"west runs", func() error { _, err := west.counters(); return err }})
	clients := []*Client{
		chronyNTSClient(hosts["chrony-east"], Chronyd46, "east", ca.pem(), 30, 128),
		chronyNTSClient(hosts["chrony-west"], Chronyd46, "west", ca.pem(), 30, 128),
		ntpdrsClient(hosts["rust-east"], "east", ca.pem()),
		ntpdrsClient(hosts["rust-west"], "west", ca.pem()),
	}
	good := func(more uint64) {
		t.Helper()
		list := []Condition{east.answers(more), west.answers(more)}
		for _, c := range clients {
			list = append(list, Condition{c.Daemon.name + " on " + c.Daemon.Host.Name, c.Good})
		}
		Await(t, 3*time.Minute, list...)
	}
	good(12)
	before := east.fingerprints(t)
	if w := west.fingerprints(t); w != before {
		t.Fatalf("fingerprints differ: %v, %v", before, w)
	}
	rotated := time.Now()
	const in = 8 * time.Second
	out, err := east.run("secret", "rotate", "--in", in.String(), "-c", filepath.Join(east.host.Dir, "ntsbridge.yaml"),
		"--state-dir", east.state())
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	east.copySecrets(t, west, "cookies.secret", "cookies.previous")
	if out, err := west.run("reload"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if took := time.Since(rotated); took > in {
		t.Fatalf("the machine took %v to copy two files", took)
	}
	after := east.fingerprints(t)
	if w := west.fingerprints(t); w != after || after[0] == before[0] || after[1] != before[0] {
		t.Errorf("fingerprints east %v, west %v, before %v", after, w, before)
	}
	good(4)
	Await(t, time.Minute, Condition{"the new secret seals", func() error {
		if time.Since(rotated) < in {
			return errors.New("not yet")
		}
		return nil
	}})
	good(24) // every client has used up the eight cookies that it had
	for _, g := range []*gateway{east, west} {
		if c, err := g.counters(); err != nil || c.KE["agreed"] != 2 {
			t.Errorf("%s: key establishments %v, %v, want one of each client", g.host.Name, c.KE, err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(west.state(), "cookies.previous")); err != nil || len(text) == 0 {
		t.Error(err)
	}
}
