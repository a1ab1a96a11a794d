package page

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/steer"
	"ntsbridge/bridge/ntp"
)

// states are those that a page has to look well in.
var states = []struct {
	name    string
	clients int
	change  func(w *world)
	pages   []string
}{
	{"usual", 3000, func(*world) {}, allPages},
	{"site", 3000, (*world).join, append([]string{"/"}, sitePages...)},
	{"nothing", 0, (*world).empty, []string{"/", "/clients", "/migration", "/sources", "/keys", "/history"}},
	{"one", 1, func(*world) {}, []string{"/", "/clients", "/migration"}},
	{"twenty", 20, (*world).difficult, []string{"/", "/clients", "/client?address=" + longAddress, "/migration", "/sources",
		"/keys", "/history", "/migration/confirm?do=rollback&group=" + longGroup}},
}

const longAddress = "2001:db8:ffff:ffff:1234:5678:9abc:def0"

const longGroup = "the-group-of-all-instruments-in-the-third-and-fourth-basement-of-building-17"

// empty takes away what there is: no sources, no plan, no certificate.
func (w *world) empty() {
	w.src.Fleet.Status = func(bool) *steer.Status { return &steer.Status{Time: w.now} }
	w.src.Fleet.History = func(func(*history.Entry) error) (history.End, error) { return history.End{}, nil }
	w.src.Sources = func() []control.Source { return []control.Source{} }
	w.src.AuthData = func() []control.AuthData { return []control.AuthData{} }
	w.src.SourceHistory = func() *control.SourceHistory { return &control.SourceHistory{Interval: 1} }
	w.src.Certificates = func() []control.Certificate { return nil }
	w.src.Inventory.Days = func(string) []report.DayCount { return nil }
	w.src.Inventory.Summary = w.fleet.Summary
	w.src.Tracking = func() *control.Tracking { return &control.Tracking{Leap: ntp.LeapUnknown} }
	w.src.Status = func() *control.Status { return &control.Status{Started: w.now.Add(-90 * time.Second)} }
	w.src.NTS = nil
}

// difficult has long names, IPv6, an expired certificate, and much of what is
// the matter.
func (w *world) difficult() {
	const long = "a-very-long-name-of-a-source-that-somebody-chose-once.measurement.laboratory.physics.university.example.net"
	w.seen(netip.MustParseAddr(longAddress), ntp.KindSymmetric, 4294967295)
	w.seen(netip.MustParseAddr("2001:db8::1"), ntp.KindNone, 0)
	w.src.Sources = func() []control.Source {
		list := worldSources()
		list[0].Name, list[2].Name, list[2].Address = long, "["+longAddress+"]:4123", longAddress
		return list
	}
	certificates := w.src.Certificates
	w.src.Certificates = func() []control.Certificate {
		list := certificates()
		list[0].Names = []string{long, "*.example.net", "time.example.net", "2001:db8::1"}
		list[0].NotAfter, list[0].DaysLeft, list[0].Problems = w.now.AddDate(0, 0, -3), -3, []string{"ended 3 days ago: clients refuse it"}
		return list
	}
	status := w.src.Status
	w.src.Status = func() *control.Status {
		s := status()
		s.Stratum, s.Problems = 0, append(s.Problems, "nts: certificate of "+long+" ended 3 days ago: clients refuse it",
			"the state directory /var/lib/ntsbridge/a/very/long/path/that/nobody/would/choose is full")
		return s
	}
	plan := "groups: [{name: " + longGroup +
		", prefixes: [2001:db8::/32], stages: {none: refuse, symmetric: removed}}]\n"
	q := &migration.Request{Do: migration.Apply, Name: "fleet.yaml", Plan: plan, Force: true,
		Reason: "a reason that somebody wrote at length, so that whoever reads it in a year knows what had happened before"}
	a, err := w.migration.Ask(w.now, "certificate CN=a-person-with-a-long-name,OU=operations (2001:db8:ffff:ffff::17)", q)
	if err != nil || a.Done == "" {
		w.t.Fatalf("%+v, %v", a, err)
	}
}

// TestShots writes pictures of the pages into the directory that is named, to be
// looked at.
func TestShots(t *testing.T) {
	dir := os.Getenv("NTSBRIDGE_PAGE_SHOTS")
	if dir == "" {
		t.Skip("NTSBRIDGE_PAGE_SHOTS names no directory")
	}
	ctx := browse(t)
	only := os.Getenv("NTSBRIDGE_PAGE_STATE") // empty: all; documentation: its two pictures
	for _, s := range states {
		if only != "" && only != s.name && !(only == "documentation" && s.name == "usual") {
			continue
		}
		w := newWorld(t, s.clients)
		s.change(w)
		base, token := w.served()
		logIn(t, ctx, base, token)
		if s.name == "usual" {
			smallShots(t, ctx, base, dir)
		}
		if only == "documentation" {
			break
		}
		for _, width := range widths {
			for _, scheme := range []string{"light", "dark"} {
				for _, path := range s.pages {
					err := chromedp.Do(ctx, show(width, scheme), chromedp.Navigate(base+path))
					if err != nil {
						t.Fatal(path, err)
					}
					picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
					if err != nil {
						t.Fatal(path, err)
					}
					part, _, _ := strings.Cut(strings.Trim(strings.ReplaceAll(path, "/", "-"), "-"), "=")
					part = strings.NewReplacer("?", "-", "migration-confirm-do", "confirm").Replace(part)
					name := fmt.Sprintf("%s-%s-%d-%s.png", s.name, part, width, scheme)
					if err := os.WriteFile(filepath.Join(dir, name), picture, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

// smallShots are those of the documentation.
func smallShots(t *testing.T, ctx context.Context, base, dir string) {
	t.Helper()
	for _, small := range []struct {
		name, path string
		height     float64
	}{{"overview", "/", 1100}, {"migration", "/migration", 900}} {
		if err := chromedp.Do(ctx, show(1280, "light"), chromedp.Navigate(base+small.path)); err != nil {
			t.Fatal(err)
		}
		shot, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{
			Clip: &page.Viewport{Width: 1280, Height: small.height, Scale: 0.56}, CaptureBeyondViewport: new(true)})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, small.name+".png"), shot.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
