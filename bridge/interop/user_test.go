package interop

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Clients of every kind are served by a daemon that has become another user in
// an enforced sandbox, before and after a reload with another key; it is refused
// nothing (checkConfined).
func TestEveryKindAsAnotherUser(t *testing.T) {
	t.Parallel()
	if standsIn(t) {
		t.Skip("of ntsbridge alone")
	}
	s := newSite(t)
	hosts := map[string]*Host{}
	for _, name := range []string{"none", "key", "new-key", "autokey", "nts15", "nts30"} {
		hosts[name] = s.Host(name)
	}
	s.Names()
	b := s.Server.(*bridge)
	text, err := os.ReadFile(filepath.Join(s.host.Dir, "ntsbridge.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s.host.Write("ntsbridge.yaml", "user: nobody\nsandbox: enforce\n"+string(text))
	s.host.Share()
	s.Start()
	clients := []*Client{
		ntpdAutokeyClient(hosts["autokey"], serverName, serverName, s.group.File(serverName)),
		chronyClient(hosts["none"], Chronyd43, serverName, ""),
		chronyKeyClient(hosts["key"], Chronyd46, serverName, 3),
		chronyNTSClient(hosts["nts15"], Chronyd43, ntsName, s.ca, 15, 256),
		chronyNTSClient(hosts["nts30"], Chronyd46, ntsName, s.ca, 30, 128),
	}
	Await(t, limit, clients[1].Condition(), clients[2].Condition(), clients[3].Condition(), clients[4].Condition())
	s.host.Write("keys", strings.Replace(ntpKeys, "1 MD5 sooth2Fairy", "1 MD5 another2Fairy", 1))
	if err := b.daemon.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	hosts["new-key"].Write("new", "1 MD5 ASCII:another2Fairy\n")
	added := chronyClient(hosts["new-key"], Chronyd43, serverName, "key 1", "keyfile /mnt/new")
	added.Good = func() error { return sourceGood(added.Host, Chronyd43, "SK", 0, 0) }
	var good []Condition
	for _, c := range append(clients, added) {
		good = append(good, c.Condition())
	}
	Await(t, limit, good...)
	if log := b.daemon.Log(); !strings.Contains(log, `confined: user=nobody`) {
		t.Errorf("it is not nobody:\n%s", b.daemon.Tail(20))
	}
	Await(t, 10*time.Second, Condition{"counters", func() error {
		c, err := s.Counters()
		for _, kind := range []string{"none", "symmetric", "autokey", "nts"} {
			if err == nil && c.Count(kind, "ok") == 0 {
				err = errors.New(kind + " was not counted")
			}
		}
		return err
	}})
}
