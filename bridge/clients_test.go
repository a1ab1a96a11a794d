package bridge

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// rowOf is what the inventory tells of this host, which was answered. The worker
// may still be at work on its batch.
func rowOf(t *testing.T, b *Bridge) (row *report.Row) {
	t.Helper()
	emit := func(r *report.Row) error { row = r.Clone(); return nil }
	wait(t, "the row", func() bool {
		if err := b.fleet.Stream(context.Background(), &report.Filter{}, emit); err != nil {
			t.Fatal(err)
		}
		return row != nil
	})
	return row
}

// Labels are read again by a reload; a file that is wrong is told, and leaves the
// labels of before.
func TestLabelsAreReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "labels.csv")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := testConfig(t, dir)
	cfg.Fleet.Labels = []string{file}
	write("prefix,owner,site\n127.0.0.0/8,payments,fra\n")
	b := startBridge(t, cfg)
	defer b.Close()
	if exchange(t, b, plainRequest()) == nil {
		t.Fatal("no answer")
	}
	owner := func(want string) {
		t.Helper()
		if r := rowOf(t, b); r.Label.Owner != want {
			t.Errorf("%+v, want owner %s", r, want)
		}
	}
	owner("payments")
	for _, c := range []struct{ text, owner string }{
		{"prefix,owner,site\n127.0.0.1,storage,muc\n", "storage"},
		{"prefix,owner\n127.0.0.1/8,typo\n", "storage"},
		{"prefix,owner\n", ""},
	} {
		write(c.text)
		if err := b.Reload(cfg); err != nil {
			t.Fatal(err)
		}
		owner(c.owner)
	}
	write("prefix,owner\n127.0.0.1/8,typo\n")
	told := fmt.Sprint(Check(cfg, "ntsbridge.yaml", Options{}, true))
	if !strings.Contains(told, "labels.csv:2") {
		t.Errorf("check does not tell of the file: %s", told)
	}
}

// What privacy asks for is what the inventory of a daemon keeps, also over a
// restart.
func TestPrivateInventory(t *testing.T) {
	t.Parallel()
	for want, privacy := range map[string]config.FleetPrivacy{
		"127.0.0.0/16": {Addresses: config.AddressesShort, IPv4Prefix: 16, IPv6Prefix: 48},
		"hash:":        {Addresses: config.AddressesHash, IPv4Prefix: 24, IPv6Prefix: 48},
	} {
		cfg := testConfig(t, t.TempDir())
		cfg.Fleet.Privacy = privacy
		var names []string
		for range 2 {
			b := startBridge(t, cfg)
			if exchange(t, b, plainRequest()) == nil {
				t.Fatal("no answer")
			}
			names = append(names, rowOf(t, b).Address)
			if _, ok := b.fleet.Find(netip.MustParseAddr("127.0.0.1")); !ok {
				t.Error("who knows the address does not find it")
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if len(names) != 2 || !strings.HasPrefix(names[0], want) || names[0] != names[1] {
			t.Errorf("%q, want twice %s", names, want)
		}
		if store, err := os.ReadFile(filepath.Join(cfg.StateDir, "inventory.db")); err != nil ||
			strings.Contains(string(store), "\xff\xff\x7f\x00\x00\x01") {
			t.Errorf("%s: the address is in the store, or %v", want, err)
		}
	}
}

// The list of addresses behind a key names who may serve time: as with ntpd,
// clients outside it are answered, and refused only where that is asked for.
func TestAddressListsOfKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "ntp.keys")
	text := []byte("7 SHA1 0f1e2d3c4b5a69788796a5b4c3d2e1f00112233a 192.0.2.1,198.51.100.0/24\n")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := symkey.ParseNTPKeys(file, text)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []config.KeyFile{{Format: "ntp"}, {Format: "auto"}, {Format: "ntp", StrictAddresses: true}} {
		c.Path = file
		cfg := testConfig(t, t.TempDir())
		cfg.Keys.Files = []config.KeyFile{c}
		cfg.Keys.Trusted = []access.KeyRange{{Low: 7, High: 7}}
		b := startBridge(t, cfg)
		p := append(plainRequest(), make([]byte, 68)...)
		p = p[:keys.Keys[0].Seal(p, ntp.HeaderLen, 20, symkey.NewScratch())]
		answered := exchange(t, b, p)
		if got := len(answered) > ntp.HeaderLen+4; got == c.StrictAddresses {
			t.Errorf("%+v: %d octets", c, len(answered))
		}
		if n := b.ServerStats().Count("symmetric", "key-address"); (n != 0) != c.StrictAddresses {
			t.Errorf("%+v: %d refused for their address", c, n)
		}
		b.Close()
	}
}
