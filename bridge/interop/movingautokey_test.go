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

// TestLongMovingAutokey: a real ntpd with Autokey asks an address that moves between
// two gateways. They have one key set, which somebody copied, and one seed, which
// they have through a real etcd; so it does one dance in all. A seed of another
// would strand it for ever: it ignores crypto-NAKs.
func TestLongMovingAutokey(t *testing.T) {
	requireLong(t)
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
	autokeyServer(gateways[0])
	n.must(os.CopyFS(filepath.Join(gateways[1].Dir, "autokey"), os.DirFS(filepath.Join(gateways[0].Dir, "autokey"))))
	list := ""
	for _, h := range gateways {
		h.Write("password", serverPassword+"\n")
		ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
		key, err := h.Output(ctx, Program{Path: file}, "secret", "gateway", "--state-dir", filepath.Join(h.Dir, "state"))
		cancel()
		n.must(err)
		list += fmt.Sprintf("{name: %s, key: %q}, ", h.Name, strings.TrimSpace(key))
	}
	var daemons []*follower
	for _, h := range gateways {
		n.must(filepath.WalkDir(filepath.Join(h.Dir, "autokey"), func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				err = os.Chmod(path, 0o600)
			}
			return err
		}))
		daemons = append(daemons, startFollower(h, fmt.Sprintf("log: {level: debug}\nclock: {mode: local, stratum: 3}\nnts: {enabled: false}\n"+
			"autokey: {enabled: true, keysdir: %q, host: gw1, password_file: %q}\n"+
			"fleet: {etcd: {endpoints: [%q], name: %s, secrets: etcd, lease: 6s, gateways: [%s]}}\n",
			filepath.Join(h.Dir, "autokey"), filepath.Join(h.Dir, "password"), url, h.Name, list)))
		Await(t, chaosLimit, shared(daemons[len(daemons)-1])) // one after the other
	}
	wire := client.Record()
	c := ntpdAutokeyClient(client, "service", "", "")
	Await(t, limit, c.Condition())
	danced := dances(wire, service.IPv4)[client.IPv4]
	if danced == 0 {
		t.Fatal("no dance was seen")
	}
	served := func(at int) (n uint64) {
		t.Helper()
		var c Counters
		if err := daemons[at].ask(&c, "serverstats"); err != nil {
			t.Fatal(err)
		}
		return c.Count("autokey", "ok")
	}
	at := 0
	for range 3 {
		from, to := gateways[at], gateways[1-at]
		n.must(from.Do(func() error { return ip(fmt.Sprintf("addr del %s/24 dev eth0\n", service.IPv4)) }))
		n.must(to.Do(func() error { return ip(fmt.Sprintf("addr add %s/24 dev eth0\n", service.IPv4)) }))
		n.must(client.Do(func() error { return ip("neigh flush dev eth0\n") }))
		at = 1 - at
		before := served(at)
		Await(t, limit, Condition{to.Name + " answers three times", func() error {
			if got := served(at); got < before+3 {
				return fmt.Errorf("%d answers", got-before)
			}
			return c.Good()
		}})
	}
	if now := dances(wire, service.IPv4)[client.IPv4]; now != danced {
		t.Errorf("%d requests of a dance before, %d after the moves", danced, now)
	}
	answered := time.Time{}
	for _, p := range wire.Packets(func(p Packet) bool { return p.From.Addr() == service.IPv4 }) {
		answered = p.At
	}
	t.Logf("the last answer came %v ago; %d requests of one dance", time.Since(answered).Round(time.Second), danced)
}
