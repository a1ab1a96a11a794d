package acme

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/nke/pki"
	"ntsbridge/bridge/statedir"
	"ntsbridge/bridge/statedir/smalldisk"
)

// testAuthority is never asked for a certificate here.
func testAuthority(t *testing.T) (url string, asked *atomic.Int32) {
	asked = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "no", http.StatusInternalServerError)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// On a full or read-only disk no certificate is asked for: it would be lost, and
// the authority issues few.
func TestNothingIsAskedForOnABadDisk(t *testing.T) {
	d := smalldisk.New(t)
	url, asked := testAuthority(t)
	m, err := New(Config{Directory: url, Names: []string{"tick.example.com"}, Challenge: HTTP01, Dir: d.Dir,
		Logger: hclog.NewNullLogger(), Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.client(); err != nil { // makes the account's key
		t.Fatal(err)
	}
	refused := func(want string) {
		t.Helper()
		err := m.obtain(context.Background())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), d.Dir) {
			t.Errorf("%v, want %q", err, want)
		}
		if asked.Load() != 0 {
			t.Errorf("%q: the authority was asked", want)
		}
		d.Whole()
	}
	d.Fill(8 << 10)
	refused("make room")
	d.ReadOnly(true)
	refused("remount,rw")
	d.ReadOnly(false)
	d.Empty()
	if _ = m.obtain(context.Background()); asked.Load() == 0 {
		t.Error("with room again the authority is not asked")
	}
	if left, _ := os.ReadDir(d.Dir); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// A key without its certificate, as a write that ended in between leaves it, is
// seen, and another one is got.
func TestKeyOfAnotherCertificate(t *testing.T) {
	url, _ := testAuthority(t)
	cfg := Config{Directory: url, Names: []string{"tick.example.com"}, Challenge: HTTP01, Dir: t.TempDir(),
		Logger: hclog.NewNullLogger(), Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var texts [2][]byte
	for i := range texts {
		if texts[i], err = pki.NewKey(); err != nil {
			t.Fatal(err)
		}
	}
	key, err := pki.ParseKey(texts[0])
	if err != nil {
		t.Fatal(err)
	}
	root, err := pki.NewRoot("test", key, 1, time.Now(), 20)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := root.Issue(&pki.Server{Names: cfg.Names, Days: 90, Before: time.Hour}, key.Public(), true, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := FilesIn(cfg.Dir)
	if err := statedir.Write(f.Certificate, pki.PEM(chain...), statedir.Public); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "its key is another one"} {
		if err := statedir.Write(f.Key, texts[i], statedir.Secret); err != nil {
			t.Fatal(err)
		}
		if why, _ := m.due(); why != want {
			t.Errorf("key %d: %q, want %q", i, why, want)
		}
	}
}
