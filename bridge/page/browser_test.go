package page

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/control/remote"
)

// browserRoot is where peers.sh puts Chromium.
func browserRoot(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("NTSBRIDGE_PEERS")
	if dir == "" {
		dir = filepath.Join("..", "..", ".peers")
	}
	root, err := filepath.Abs(filepath.Join(dir, "trixie-chromium"))
	if err == nil {
		_, err = os.Stat(filepath.Join(root, ".complete"))
	}
	if err == nil && os.Geteuid() != 0 {
		err = errors.New("needs root, to chroot")
	}
	if err == nil {
		return root
	}
	if os.Getenv("NTSBRIDGE_REQUIRE_INTEROP") == "1" {
		t.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "\n*** %s NOT RUN: %v: run bridge/interop/peers.sh as root (make peers)\n\n", t.Name(), err)
	t.Skip(err)
	return ""
}

// launcher starts a program in a root that has the machine's devices and
// processes, for as long as it runs.
const launcher = `#!/bin/sh
exec unshare --mount --propagation private sh -c '
mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" /usr/lib/chromium/chromium-headless-shell "$@"' %s "$@"
`

// browse starts Chromium, which sees the loopback of this host.
func browse(t testing.TB) context.Context {
	t.Helper()
	root := browserRoot(t)
	home, err := os.MkdirTemp(filepath.Join(root, "tmp"), "page")
	if err != nil {
		t.Fatal(err)
	}
	start := filepath.Join(t.TempDir(), "chromium")
	if err := os.WriteFile(start, fmt.Appendf(nil, launcher, root), 0o700); err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(start), chromedp.NoSandbox,
		chromedp.UserDataDir(strings.TrimPrefix(home, root)),
		chromedp.Env("HOME=/tmp", "LC_ALL=C.UTF-8"), chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("lang", "en-US"),
		chromedp.Flag("disable-gpu", true), chromedp.WSURLReadTimeout(time.Minute))
	ctx, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		end()
		endAllocator()
		_ = os.RemoveAll(home)
	})
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// served is a page behind its guard, on loopback, and a token to log in.
func (w *world) served() (url, token string) {
	w.t.Helper()
	token, entry, err := remote.NewToken("ops", remote.Write)
	if err != nil {
		w.t.Fatal(err)
	}
	tokens, err := remote.ParseTokens([]byte(entry))
	if err != nil {
		w.t.Fatal(err)
	}
	o := Options{Name: "gw1.example.net", Version: "1.0", Now: func() time.Time { return w.now }, Log: hclog.NewNullLogger()}
	s, err := remote.New(New(&w.src, o), o.Log)
	if err != nil {
		w.t.Fatal(err)
	}
	change := s.Prepare(&remote.Settings{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Plain: true,
		Local:  remote.Read,
		Tokens: tokens, Connections: 64})
	if len(change.Failed) > 0 {
		w.t.Fatal(change.Failed)
	}
	change.Commit()
	w.t.Cleanup(func() {
		w.src.Events.Close()
		_ = s.Close()
	})
	return fmt.Sprintf("http://%v", s.Addresses()[0]), token
}

// TestShots writes pictures of the pages into the directory that is named, to be
// looked at.
func TestShots(t *testing.T) {
	dir := os.Getenv("NTSBRIDGE_PAGE_SHOTS")
	if dir == "" {
		t.Skip("NTSBRIDGE_PAGE_SHOTS names no directory")
	}
	w := newWorld(t, 3000)
	base, token := w.served()
	ctx := browse(t)
	logIn(t, ctx, base, token)
	for _, width := range []int64{360, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			for i, path := range allPages {
				if err := chromedp.Do(ctx, show(width, scheme), chromedp.Navigate(base+path)); err != nil {
					t.Fatal(path, err)
				}
				picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(path, err)
				}
				name := fmt.Sprintf("%d-%s-%d.png", width, scheme, i)
				if err := os.WriteFile(filepath.Join(dir, name), picture, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

func logIn(t testing.TB, ctx context.Context, base, token string) {
	t.Helper()
	err := chromedp.Do(ctx, chromedp.Navigate(base+"/login?next=/migration"), chromedp.SendKeys(chromedp.CSS("#token"), token+"\r"),
		chromedp.WaitVisible(chromedp.CSS(`a[href^="/migration/confirm"]`)))
	if err != nil {
		t.Fatal(err)
	}
}

// show sets the width of the window, and the scheme of colours.
func show(width int64, scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride,
			emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1})
		if err != nil {
			return err
		}
		_, err = cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
}
