package page

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/events"
	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/fleet/history"
)

// browserRoot is where peers.sh puts Chromium.
func browserRoot(t testing.TB) string {
	t.Helper()
	needs.Root(t, "chroot")
	return needs.Peer(t, "trixie-chromium")
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
		chromedp.Flag("disable-gpu", true), chromedp.Flag("ignore-certificate-errors-spki-list", trusted()),
		chromedp.Flag("host-resolver-rules", "MAP "+gatewayName+" 127.0.0.1, MAP "+evilName+" 127.0.0.1"),
		chromedp.WSURLReadTimeout(time.Minute))
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
	addr, token := w.serve(&remote.Settings{Plain: true, Local: remote.Read})
	return fmt.Sprintf("http://%v", addr), token
}

// widths are those of a telephone, a tablet, a laptop and a wall, pixels.
var widths = []int64{360, 768, 1280, 2560}

// complaints collects what a browser has against pages.
func complaints(t testing.TB, ctx context.Context) func() []string {
	t.Helper()
	var mu sync.Mutex
	var list []string
	err := chromedp.Listen(ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := ev.(type) {
		case *log.EventEntryAdded:
			if e.Entry.Level != log.EntryLevelVerbose && e.Entry.Level != log.EntryLevelInfo {
				list = append(list, e.Entry.Text+" "+e.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			list = append(list, e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			list = append(list, "console."+string(e.Type))
		case *audits.EventIssueAdded:
			list = append(list, "issue "+string(e.Issue.Code))
		}
	})
	if err == nil {
		_, err = chromedp.Call(ctx, log.Enable, cdp.Empty{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		taken := list
		list = nil
		return taken
	}
}

// TestBrowser looks at the pages with a real browser.
func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes some seconds")
	}
	ctx := browse(t)
	t.Run("pages", func(t *testing.T) { browserShowsPages(t, ctx) })
	t.Run("states", func(t *testing.T) { browserShowsAll(t, ctx) })
	t.Run("keys", func(t *testing.T) { browserByKeys(t, ctx) })
	t.Run("follows", func(t *testing.T) { browserFollows(t, ctx) })
	t.Run("login", func(t *testing.T) { browserLogsIn(t, ctx) })
	t.Run("others", func(t *testing.T) { browserRefusesOthers(t, ctx) })
	t.Run("names", func(t *testing.T) { browserRefusesNames(t, ctx) })
	t.Run("guesses", func(t *testing.T) { browserGuesses(t, ctx) })
}

// A real browser shows each page, at each width and in both schemes of colours,
// with enough contrast, without scrolling sideways and without a complaint.
func browserShowsPages(t *testing.T, ctx context.Context) {
	w := newWorld(t, 300)
	w.join()
	base, token := w.served()
	heard := complaints(t, ctx)
	logIn(t, ctx, base, token)
	for _, path := range append(slices.Clone(allPages), sitePages...) {
		if err := chromedp.Do(ctx, show(1280, "light"), chromedp.Navigate(base+path)); err != nil {
			t.Fatal(path, err)
		}
		for _, width := range widths {
			if err := chromedp.Do(ctx, show(width, "light")); err != nil {
				t.Fatal(path, err)
			}
			fits(t, ctx, path, width)
		}
		for _, scheme := range []string{"light", "dark"} {
			if err := chromedp.Do(ctx, show(1280, scheme)); err != nil {
				t.Fatal(path, err)
			}
			a, err := chromedp.Run(ctx, chromedp.Evaluate[audit](contrastScript))
			if err != nil || len(a.Faults) > 0 || a.Text < 10 {
				t.Errorf("%s, %s: %v %d texts: %s", path, scheme, err, a.Text, strings.Join(a.Faults, "\n"))
			}
		}
	}
	if list := heard(); len(list) > 0 {
		t.Errorf("the browser complains: %q", list)
	}
}

// fits says what stands out of the window.
func fits(t *testing.T, ctx context.Context, path string, width int64) {
	t.Helper()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](overflowScript))
	if err != nil || len(out) > 0 {
		t.Errorf("%s at %d: %v %q", path, width, err, out)
	}
}

// Long names fit a telephone, and a daemon that has nothing to show is shown.
func browserShowsAll(t *testing.T, ctx context.Context) {
	for _, s := range states[2:] {
		w := newWorld(t, s.clients)
		s.change(w)
		base, token := w.served()
		logIn(t, ctx, base, token)
		for _, path := range s.pages {
			if err := chromedp.Do(ctx, show(360, "light"), chromedp.Navigate(base+path)); err != nil {
				t.Fatal(s.name, path, err)
			}
			fits(t, ctx, s.name+" "+path, 360)
		}
	}
}

// Everything can be done by keys alone: past the navigation, to a step, through
// its confirmation; and the page follows what happens by itself.
func browserByKeys(t *testing.T, ctx context.Context) {
	w := newWorld(t, 300)
	base, token := w.served()
	heard := complaints(t, ctx)
	logIn(t, ctx, base, token)
	focused := func() string {
		t.Helper()
		s, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(() => { const e = document.activeElement; return e.id || e.textContent.trim() })()`))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	tab := func(to string) {
		t.Helper()
		for range 60 {
			if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Tab)); err != nil {
				t.Fatal(err)
			}
			if focused() == to {
				outline, err := chromedp.Run(ctx, chromedp.Evaluate[string](`getComputedStyle(document.activeElement).outlineStyle`))
				if err != nil || outline == "none" {
					t.Errorf("%s has the focus, and nobody sees it: %v", to, err)
				}
				return
			}
		}
		t.Fatalf("%q cannot be reached, the focus is at %q", to, focused())
	}
	if err := chromedp.Do(ctx, show(1280, "light"), chromedp.Navigate(base+"/migration")); err != nil {
		t.Fatal(err)
	}
	tab("Skip to content")
	if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter)); err != nil || focused() != "main" {
		t.Errorf("the way past the navigation ends at %q, %v", focused(), err)
	}
	tab("Advance to warn")
	if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS("#reason"))); err != nil {
		t.Fatal(err)
	}
	tab("reason")
	if err := chromedp.Do(ctx, chromedp.KeyEvent("by keys")); err != nil {
		t.Fatal(err)
	}
	tab("Advance")
	if err := chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS(".alert.good"))); err != nil {
		t.Fatal(err)
	}
	var last *history.Entry
	if _, err := w.migration.History(func(e *history.Entry) error { last = e; return nil }); err != nil || last.Why != "by keys" ||
		last.Who != "token ops (127.0.0.1), on the page" {
		t.Errorf("%+v, %v", last, err)
	}
	if list := heard(); len(list) > 0 {
		t.Errorf("the browser complains: %q", list)
	}
}

// The page follows what happens, and leaves alone what somebody uses.
func browserFollows(t *testing.T, ctx context.Context) {
	w := newWorld(t, 100)
	var problem atomic.Pointer[string]
	status := w.src.Status
	w.src.Status = func() *control.Status {
		s := status()
		if p := problem.Load(); p != nil {
			s.Problems = []string{*p}
		}
		return s
	}
	base, token := w.served()
	heard := complaints(t, ctx)
	logIn(t, ctx, base, token)
	err := chromedp.Do(ctx, show(1280, "light"), chromedp.Navigate(base+"/"), chromedp.WaitVisible(chromedp.CSS("#live button")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`window.same = true`)); err != nil {
		t.Fatal(err)
	}
	text := "<b>the cable</b> was pulled"
	problem.Store(&text)
	deadline := time.Now().Add(30 * time.Second)
	for {
		w.src.Events.Add(events.Event{Time: w.now, Kind: events.Source, Text: "a source is gone"})
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector('[data-live="problems"]').textContent + window.same`))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(got, text) && strings.HasSuffix(got, "true") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it shows %q", got)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if list := heard(); len(list) > 0 {
		t.Errorf("the browser complains: %q", list)
	}
}

func logIn(t testing.TB, ctx context.Context, base, token string) {
	t.Helper()
	err := chromedp.Do(ctx, chromedp.Navigate(base+"/login?next=/migration"), chromedp.SendKeys(chromedp.CSS("#token"), token+"\r"),
		chromedp.WaitVisible(chromedp.CSS(`form[action="/logout"]`)))
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
