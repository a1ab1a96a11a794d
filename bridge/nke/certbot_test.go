package nke_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"ntsbridge/bridge/nke"
)

// certbot lays out live/NAME with links into archive/NAME, as certbot 2 does, and
// renews as it does: new files beside the old ones, then each link anew.
type certbot struct {
	t       testing.TB
	dir     string
	version int
}

func (c *certbot) live(name string) string { return filepath.Join(c.dir, "live", "time.test", name) }

func (c *certbot) renew(from nke.Files) nke.Files {
	c.t.Helper()
	c.version++
	archive := filepath.Join(c.dir, "archive", "time.test")
	if err := os.MkdirAll(archive, 0o700); err != nil {
		c.t.Fatal(err)
	}
	if err := os.MkdirAll(c.live(""), 0o700); err != nil {
		c.t.Fatal(err)
	}
	for name, source := range map[string]string{"fullchain": from.Certificate, "privkey": from.Key} {
		text, err := os.ReadFile(source)
		if err != nil {
			c.t.Fatal(err)
		}
		numbered := name + string(rune('0'+c.version)) + ".pem"
		if err := os.WriteFile(filepath.Join(archive, numbered), text, 0o600); err != nil {
			c.t.Fatal(err)
		}
		link := c.live(name + ".pem")
		if err := os.Remove(link); err != nil && c.version > 1 {
			c.t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("../../archive/time.test", numbered), link); err != nil {
			c.t.Fatal(err)
		}
	}
	return nke.Files{Certificate: c.live("fullchain.pem"), Key: c.live("privkey.pem")}
}

// What certbot renews is shown without anybody saying so, and stays when a
// renewal is broken.
func TestCertbotRenews(t *testing.T) {
	c := &certbot{t: t, dir: t.TempDir()}
	config := testConfig(t, c.renew(selfSigned(t, "first.test")))
	config.PollInterval = 5 * time.Millisecond
	s, addr := listen(t, config)
	if name := shownName(t, addr, ""); name != "first.test" {
		t.Fatalf("shown: %q", name)
	}
	c.renew(selfSigned(t, "second.test"))
	eventually(t, "the renewed certificate is shown", func() bool { return shownName(t, addr, "") == "second.test" })
	mixed := selfSigned(t, "third.test")
	mixed.Key = selfSigned(t, "fourth.test").Key
	c.renew(mixed)
	eventually(t, "failure seen", func() bool { return s.Status(time.Now()).ReloadError != "" })
	if name := shownName(t, addr, ""); name != "second.test" {
		t.Errorf("shown after a broken renewal: %q", name)
	}
	c.renew(selfSigned(t, "fifth.test"))
	eventually(t, "the mended certificate is shown", func() bool { return shownName(t, addr, "") == "fifth.test" })
}
