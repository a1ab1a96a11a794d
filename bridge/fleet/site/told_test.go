package site

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/site/etcdtest"
	"ntsbridge/bridge/ntp"
)

// toldSite is a site of a, which is asked, and of b and d, without an etcd.
func toldSite() *Site {
	s := &Site{opt: Options{Now: time.Now, History: func() *history.File { return nil }}, others: map[string]*member{}}
	s.opt.Etcd.Name = "a"
	s.opt.Etcd.Gateways = []config.Gateway{{Name: "a"}, {Name: "b"}, {Name: "d"}}
	for name, clients := range map[string][]*inventory.Client{
		"b": {client("192.0.2.1/32", used(ntp.KindSymmetric, 5)), client("2001:db8::1/128", used(ntp.KindNTS, 15))},
		"d": {client("192.0.2.1/32", used(ntp.KindNTS, 15))}} {
		var lists [Buckets][]fact
		for _, c := range clients {
			lists[bucketOf(&c.Key)] = append(lists[bucketOf(&c.Key)], newFact(c))
		}
		m := s.member(name)
		for i := range lists {
			m.buckets[i] = encode(lists[i])
		}
		m.here = &presence{About: About{Watched: []gate.Interval{{Start: 1, End: uint32(time.Now().Unix())}}, Forgotten: 3, LastForgot: 7}}
		m.places = standing
	}
	return s
}

// TestTold: a command sees the clients of all gateways as the gateway that it asks
// does, and what is cut off is noticed.
func TestTold(t *testing.T) {
	s := toldSite()
	var text bytes.Buffer
	if err := s.WriteTold(&text, []gate.Interval{{Start: 100, End: uint32(time.Now().Unix())}}); err != nil {
		t.Fatal(err)
	}
	told, v, err := ReadTold(bytes.NewReader(text.Bytes()), uint32(time.Now().Unix()))
	if err != nil {
		t.Fatal(err)
	}
	if told.Self != "a" || strings.Join(told.Gateways, " ") != "b d" || told.Forgotten != 6 || len(told.Stands) != 2 ||
		len(told.Watched) != 1 || told.Watched[0].Start != 100 {
		t.Errorf("%+v", told)
	}
	own := client("192.0.2.1/32", used(ntp.KindNone, 0))
	v.Add(own)
	if len(own.Means) != 3 {
		t.Errorf("%+v", own.Means)
	}
	var rest []string
	v.Rest(func(c *inventory.Client) { rest = append(rest, c.Name()) })
	if len(rest) != 1 || rest[0] != "2001:db8::1" {
		t.Error(rest)
	}
	for _, n := range []int{0, 10, text.Len() / 2, text.Len() - 4} {
		if _, _, err := ReadTold(bytes.NewReader(text.Bytes()[:n]), 0); err == nil {
			t.Errorf("%d of %d octets are taken for all", n, text.Len())
		}
	}
}

// FuzzReadTold reads what may come from another host's daemon.
func FuzzReadTold(f *testing.F) {
	var text bytes.Buffer
	if err := toldSite().WriteTold(&text, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(text.Bytes())
	f.Add([]byte(`{"gateways":["b"]}` + "\n" + `{"gateway":"b","bucket":511,"facts":"AQA="}` + "\n{}\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		_, v, err := ReadTold(bytes.NewReader(text), 1_800_000_000)
		if err == nil {
			v.Rest(func(*inventory.Client) {})
		}
	})
}

// secretive is a gateway that hands out secrets; it has a text for its file.
type secretive struct {
	*Site
	file Bundle
}

func newSecretive(t *testing.T, c *etcdtest.Cluster, name, file string, key *ecdh.PrivateKey, list []config.Gateway) *secretive {
	g := &secretive{file: Bundle{Cookies: file}}
	e := c.Config(name)
	e.Gateways = list
	dir := t.TempDir()
	record, _, err := history.Open(filepath.Join(dir, "history"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	adopted := make(chan Bundle, 100)
	g.Site = Open(Options{Etcd: e, Dir: dir, Log: hclog.NewNullLogger(), History: func() *history.File { return record },
		Each: func(func(*inventory.Client)) error { return nil }, About: func(time.Time) About { return About{} },
		Secrets: &Secrets{Key: key, Same: func(a, b Bundle) bool { return a == b },
			Read: func() (Bundle, error) {
				for {
					select {
					case g.file = <-adopted:
					default:
						return g.file, nil
					}
				}
			},
			Adopt: func(of Bundle, _ bool) error { adopted <- of; return nil }}})
	g.Run()
	t.Cleanup(func() { g.Close(); record.Close() })
	return g
}

// TestJoinsLater: a gateway that is declared later, and one whose key is another one
// since, get the secrets of the site once the others have the new list.
func TestJoinsLater(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	c := etcdtest.Start(t, 1)
	keys := map[string]*ecdh.PrivateKey{}
	declare := func(names ...string) (list []config.Gateway) {
		for _, n := range names {
			if keys[n] == nil {
				keys[n], _ = ecdh.P256().GenerateKey(rand.Reader)
			}
			list = append(list, config.Gateway{Name: n, Key: PublicKey(keys[n].PublicKey())})
		}
		return list
	}
	generation := func(g *secretive) (n uint64) {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.kept.Secrets
	}
	two := declare("a", "b")
	a := newSecretive(t, c, "a", "of a", keys["a"], two)
	await(t, "a gives its secrets to the site", func() bool { return generation(a) > 0 })
	three := declare("a", "b", "d")
	d := newSecretive(t, c, "d", "of d", keys["d"], three)
	await(t, "d says what is missing", func() bool { return strings.Contains(d.Problem(), "not sealed to this gateway") })
	a.Close()
	a = newSecretive(t, c, "a", "of a", keys["a"], three)
	await(t, "d has the secrets", func() bool { return d.Problem() == "" && generation(d) > 0 })
	at := generation(d)
	keys["d"] = nil
	other := declare("a", "b", "d")
	d.Close()
	a.Close()
	a = newSecretive(t, c, "a", "of a", keys["a"], other)
	d = newSecretive(t, c, "d", "of d", keys["d"], other)
	await(t, "d has the secrets with its new key", func() bool { return d.Problem() == "" && generation(d) > at })
	if a.Problem() != "" {
		t.Error(a.Problem())
	}
}
