package bridge

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet/site"
	"ntsbridge/bridge/fleet/site/etcdtest"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/statedir"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// cookieOf makes a cookie as a daemon seals it now, and opens tells whether it is
// opened.
func cookieOf(t *testing.T, b *Bridge) []byte {
	t.Helper()
	n := aead.AESSIVCMAC256.KeyLen()
	k, err := nts.NewKeys(aead.AESSIVCMAC256, make([]byte, n), make([]byte, n))
	if err != nil {
		t.Fatal(err)
	}
	var nonce [nts.CookieNonceLen]byte
	_, _ = rand.Read(nonce[:])
	return b.parts.Load().state.NTS.Ring().AppendCookie(nil, &k, &nonce)
}

func opensCookie(b *Bridge, c []byte) bool {
	var k nts.Keys
	_, ok := b.parts.Load().state.NTS.Ring().OpenCookie(&k, c)
	return ok
}

// TestSiteSecrets: gateways that each had a secret of their own get one through a
// real etcd, sealed to each; cookies of before stay good on the gateway that gave
// them, those of after on all; a rotation on one is one on all, and no cookie is
// lost; who is not declared with his key gets nothing.
func TestSiteSecrets(t *testing.T) {
	needs.Slow(t)
	t.Parallel()
	c := etcdtest.Start(t, 1)
	names := []string{"a", "b"}
	var gateways []config.Gateway
	dirs := map[string]string{}
	for _, name := range names {
		dirs[name] = t.TempDir()
		state := testConfig(t, dirs[name]).StateDir
		if err := os.MkdirAll(state, 0o700); err != nil {
			t.Fatal(err)
		}
		key, err := site.LoadKey(state, true)
		if err != nil {
			t.Fatal(err)
		}
		gateways = append(gateways, config.Gateway{Name: name, Key: site.PublicKey(key.PublicKey())})
	}
	start := func(name string) *Bridge {
		cfg := testConfig(t, dirs[name])
		cfg.Fleet.Etcd = c.Config(name)
		cfg.Fleet.Etcd.Gateways, cfg.Fleet.Etcd.Secrets = gateways, config.SecretsEtcd
		return startBridge(t, cfg)
	}
	a := start("a")
	defer a.Close()
	wait(t, "a hands out its secrets", func() bool { return a.site.Status().Error == "" && siteGeneration(t, c) == 1 })
	// b was alone until now.
	alone := startBridge(t, testConfig(t, dirs["b"]))
	old := cookieOf(t, alone)
	if opensCookie(a, old) {
		t.Fatal("the gateways had one secret from the beginning")
	}
	alone.Close()
	b := start("b")
	defer b.Close()
	ofA := cookieOf(t, a)
	wait(t, "b opens cookies of a", func() bool { return opensCookie(b, ofA) })
	wait(t, "b's own cookies of before are good, even on a", func() bool { return opensCookie(b, old) && opensCookie(a, old) })
	if !opensCookie(a, cookieOf(t, b)) {
		t.Error("a opens no cookies of b")
	}
	var seeds [2]string
	wait(t, "both have the seeds of both", func() bool {
		for i, g := range []*Bridge{a, b} {
			text, err := os.ReadFile(g.parts.Load().cfg.Autokey.SeedFile)
			if g.parts.Load().cfg.Autokey.Enabled && err != nil {
				t.Fatal(err)
			}
			seeds[i] = string(text)
		}
		return !a.parts.Load().cfg.Autokey.Enabled || seeds[0] == seeds[1]
	})

	// A rotation, as `ntsbridge secret rotate --in 6s` does it on b.
	before := cookieOf(t, b)
	cfg := &b.parts.Load().cfg.NTS.Cookies
	next, err := material.NewCookieSecret(cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now().Add(6 * time.Second)
	text, err := os.ReadFile(cfg.SecretFile)
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{cfg.PreviousSecretFile: text, cfg.SecretFile: next.SealingFrom(from).AppendText(nil)} {
		if err := statedir.Write(path, content, statedir.Secret); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Reload(b.parts.Load().cfg); err != nil {
		t.Fatal(err)
	}
	wait(t, "a has the new secret", func() bool {
		found, err := statedir.ReadSecret(a.parts.Load().cfg.NTS.Cookies.SecretFile)
		if err != nil {
			return false
		}
		s, err := nts.ParseSecret(found)
		return err == nil && s.Same(next)
	})
	for time.Now().Before(from.Add(time.Second)) {
		for _, g := range []*Bridge{a, b} {
			k := cookieOf(t, g)
			if !opensCookie(a, k) || !opensCookie(b, k) || !opensCookie(a, before) || !opensCookie(b, before) {
				t.Fatalf("a cookie is lost, %v before the new secret seals", time.Until(from))
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	revokeSiteSecret(t, a, b, before)
	r, err := c.Client().Get(t.Context(), "/site/secrets")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(r.Kvs[0].Value), "ratchet") {
		t.Error("a secret is in etcd in the clear")
	}
}

// revokeSiteSecret revokes the secret on b, as `ntsbridge secret rotate --revoke`
// does it: no gateway opens a cookie of it or of the one before any more, also
// after it read its files again, and of those given out from then on none is lost.
func revokeSiteSecret(t *testing.T, a, b *Bridge, before []byte) {
	t.Helper()
	both, stolen := []*Bridge{a, b}, cookieOf(t, a)
	if !opensCookie(a, stolen) || !opensCookie(b, stolen) || !opensCookie(a, before) {
		t.Fatal("nothing is there to be revoked")
	}
	cfg := &b.parts.Load().cfg.NTS.Cookies
	next, err := material.NewCookieSecret(cfg, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(cfg.PreviousSecretFile); err != nil {
		t.Fatal(err)
	}
	if err := statedir.Write(cfg.SecretFile, next.AppendText(nil), statedir.Secret); err != nil {
		t.Fatal(err)
	}
	if err := b.Reload(b.parts.Load().cfg); err != nil {
		t.Fatal(err)
	}
	fresh := cookieOf(t, b)
	wait(t, "a has the secret that came instead", func() bool { return opensCookie(a, fresh) })
	for range 2 {
		for _, g := range both {
			if opensCookie(g, stolen) || opensCookie(g, before) {
				t.Error("a cookie of a secret that was revoked is accepted")
			}
			if k := cookieOf(t, g); !opensCookie(a, k) || !opensCookie(b, k) || !opensCookie(g, fresh) {
				t.Error("a cookie of the new secret is lost")
			}
			if _, err := os.Stat(g.parts.Load().cfg.NTS.Cookies.PreviousSecretFile); err == nil {
				t.Error("the secret that was revoked is on disk")
			}
			if err := g.Reload(g.parts.Load().cfg); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// siteGeneration is that of the secrets in etcd.
func siteGeneration(t *testing.T, c *etcdtest.Cluster) uint64 {
	t.Helper()
	r, err := c.Client().Get(t.Context(), "/site/secrets")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Kvs) == 0 {
		return 0
	}
	return uint64(r.Kvs[0].Version)
}
