package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Etcd is the real etcd.
var Etcd = Program{Root: EtcdRoot, Path: "/usr/bin/etcd"}

// startEtcd starts an etcd of one member on a host, and returns its URL.
func startEtcd(t *testing.T, h *Host) string {
	t.Helper()
	url := "http://" + h.IPv4.String() + ":2379"
	h.Start("etcd", Etcd, "--name", "m0", "--data-dir", "/mnt/etcd", "--listen-client-urls", url, "--advertise-client-urls", url,
		"--listen-peer-urls", "http://127.0.0.1:2380", "--initial-advertise-peer-urls", "http://127.0.0.1:2380",
		"--initial-cluster", "m0=http://127.0.0.1:2380", "--log-level", "warn")
	return url
}

// TestMovingAddress: a real chronyd asks an address that moves between two
// gateways, which have their cookie secret through a real etcd, from inside the
// sandbox. It keeps its cookies over each move and over a rotation of the secret:
// there is one key establishment in all.
func TestMovingAddress(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("the gateways are ntsbridge's")
	}
	file, err := build()
	if err != nil {
		t.Fatal(err)
	}
	n := NewNetwork(t)
	gateways := []*Host{n.Host("gw1"), n.Host("gw2")}
	store, client := n.Host("store"), n.Host("client")
	service := n.Alias(gateways[0], "service")
	n.Names()
	url := startEtcd(t, store)

	run := func(h *Host, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		out, err := h.Output(ctx, Program{Path: file}, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	authority := filepath.Join(gateways[0].Dir, "authority")
	made := run(gateways[0], "certificate", "make", "service", service.IPv4.String(), "--dir", authority)
	_, rest, _ := strings.Cut(made, "# configuration of ntsbridge\n")
	configuration, _, found := strings.Cut(rest, "\n\n")
	if !found {
		t.Fatalf("no configuration in %q", made)
	}
	list := ""
	for _, h := range gateways {
		key := strings.TrimSpace(run(h, "secret", "gateway", "--state-dir", filepath.Join(h.Dir, "state")))
		list += fmt.Sprintf("{name: %s, key: %q}, ", h.Name, key)
	}
	var daemons []*follower
	for _, h := range gateways {
		daemons = append(daemons, startFollower(h, fmt.Sprintf("log: {level: debug}\nclock: {mode: local, stratum: 8}\n%s\n"+
			"fleet: {etcd: {endpoints: [%q], name: %s, secrets: etcd, lease: 6s, gateways: [%s]}}\n", configuration, url, h.Name, list)))
		Await(t, chaosLimit, shared(daemons[len(daemons)-1])) // one after the other
	}
	root, err := os.ReadFile(filepath.Join(authority, "root.crt"))
	if err != nil {
		t.Fatal(err)
	}
	client.Write("root.crt", string(root))
	client.Write("run/empty", "")
	client.Write("chrony.conf", "server service nts iburst minpoll 0 maxpoll 0\nntstrustedcerts /mnt/root.crt\n"+
		"bindcmdaddress /mnt/run/chronyd.sock\npidfile /mnt/run/chronyd.pid\ncmdport 0\n")
	client.Start("chronyd", Chronyd46, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")

	at := 0
	count := func(f *follower) (c Counters) {
		t.Helper()
		if err := f.ask(&c, "serverstats"); err != nil {
			t.Fatal(err)
		}
		return c
	}
	answers := func() {
		t.Helper()
		before := count(daemons[at]).Count("nts", "ok")
		Await(t, chaosLimit, Condition{gateways[at].Name + " answers four times", func() error {
			if got := count(daemons[at]).Count("nts", "ok"); got < before+4 {
				return fmt.Errorf("%d answers", got-before)
			}
			return nil
		}})
	}
	move := func() {
		t.Helper()
		from, to := gateways[at], gateways[1-at]
		n.must(from.Do(func() error { return ip(fmt.Sprintf("addr del %s/24 dev eth0\n", service.IPv4)) }))
		n.must(to.Do(func() error { return ip(fmt.Sprintf("addr add %s/24 dev eth0\n", service.IPv4)) }))
		n.must(client.Do(func() error { return ip("neigh flush dev eth0\n") }))
		at = 1 - at
	}
	answers()
	move()
	answers()
	rotated := run(gateways[at], "secret", "rotate", "--in", "4s", "--force", "-c", filepath.Join(gateways[at].Dir, "ntsbridge.yaml"),
		"--state-dir", filepath.Join(gateways[at].Dir, "state"), "--run-dir", filepath.Join(gateways[at].Dir, "run"))
	if !strings.Contains(rotated, "hands it out") {
		t.Error(rotated)
	}
	seals := time.Now().Add(4 * time.Second)
	for time.Now().Before(seals) {
		answers()
	}
	move()
	answers()
	established := uint64(0)
	for i, f := range daemons {
		c := count(f)
		established += c.KE["agreed"]
		if bad := c.Count("nts", "bad-cookie"); bad > 0 {
			t.Errorf("%s could not open %d cookies", gateways[i].Name, bad)
		}
		t.Logf("%s: %v, nts %d", gateways[i].Name, c.KE, c.Count("nts", "ok"))
	}
	if established != 1 {
		t.Errorf("%d key establishments, want 1", established)
	}
}

// shared is the condition that a gateway has the secrets of the site.
func shared(f *follower) Condition {
	return Condition{f.Host.Name + " has the secrets of the site", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		defer cancel()
		out, err := f.Host.Output(ctx, f.program, "fleet", "status", "--site", "--json", "--run-dir", filepath.Join(f.Host.Dir, "run"))
		if err == nil && (!strings.Contains(out, `"connected": true`) || !strings.Contains(f.Log(), "the secrets of")) {
			err = fmt.Errorf("%s", out)
		}
		return err
	}}
}
