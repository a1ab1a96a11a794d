package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/control/events"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/steer"
)

// handler is what answers on the control socket.
func handler(src *Sources, log hclog.Logger) http.Handler { return newAPI(src.routes(), log) }

// pageOf is an inventory of so many clients, whose cursors are numbers.
func pageOf(n int) Inventory {
	return Inventory{
		Stream: func(_ context.Context, f *report.Filter, emit func(*report.Row) error) error {
			for i := range n {
				_ = emit(&report.Row{Address: fmt.Sprint("10.0.0.", i)})
			}
			return nil
		},
		Page: func(_ context.Context, f *report.Filter, cursor string, size int, emit func(*report.Row) error) (*report.Part, error) {
			at := 0
			if _, err := fmt.Sscan(cursor, &at); err != nil && cursor != "" {
				return nil, errors.New("the cursor is not of this list")
			}
			p := &report.Part{First: at, Total: n}
			for i := at; i < min(at+size, n); i++ {
				_ = emit(&report.Row{Address: fmt.Sprint("10.0.0.", i)})
			}
			if at+size < n {
				p.Next = fmt.Sprint(at + size)
			}
			return p, nil
		}}
}

var nextLink = regexp.MustCompile(`<([^>]*)>; rel="next"`)

// follow reads all parts of something by its links.
func follow(t *testing.T, h http.Handler, path string, lines func(body string) int) (total, parts int) {
	t.Helper()
	for path != "" {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		total += lines(w.Body.String())
		parts++
		path = ""
		for _, l := range w.Header().Values("Link") {
			if m := nextLink.FindStringSubmatch(l); m != nil {
				path = m[1]
			}
		}
	}
	return total, parts
}

func TestPartsOfClients(t *testing.T) {
	src := Sources{Inventory: pageOf(250)}
	h := handler(&src, hclog.NewNullLogger())
	count := func(body string) int { return strings.Count(body, "10.0.0.") }
	for path, parts := range map[string]int{"/v1/clients?cursor=": 3, "/v1/clients?limit=20&legacy_only=1": 13, "/v1/clients?limit=0": 1,
		"/v1/clients": 1, "/v1/clients?limit=100&format=csv": 3, "/v1/clients?limit=250&cursor=": 1, "/v1/clients?limit=5000": 1} {
		if total, n := follow(t, h, path, count); total != 250 || n != parts {
			t.Errorf("%s: %d clients in %d parts", path, total, n)
		}
	}
	for _, path := range []string{"/v1/clients?cursor=x", "/v1/clients?cursor=&limit=1001", "/v1/clients?limit=-1&cursor="} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusBadRequest || w.Header().Get("Content-Type") != kindProblem {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// A list of the site comes in parts, too, and never all at once to who asks for a
// part.
func TestPartsOfASite(t *testing.T) {
	v := pageOf(5)
	site := pageOf(250)
	v.Site = &SiteInventory{Gateways: func() []string { return []string{"a", "b"} }, Stream: site.Stream, Page: site.Page,
		Days: func(context.Context) ([]report.DayCount, error) { return []report.DayCount{{Date: "2026-11-30"}}, nil }}
	v.Days = func(string) []report.DayCount { return nil }
	src := Sources{Inventory: v}
	h := handler(&src, hclog.NewNullLogger())
	count := func(body string) int { return strings.Count(body, "10.0.0.") }
	for path, want := range map[string][2]int{"/v1/clients?cursor=": {5, 1}, "/v1/clients?site=1&cursor=": {250, 3},
		"/v1/clients?site=1&by_gateway=1&limit=25&format=csv": {250, 10}, "/v1/clients?site=1": {250, 1}} {
		if total, n := follow(t, h, path, count); total != want[0] || n != want[1] {
			t.Errorf("%s: %d clients in %d parts", path, total, n)
		}
	}
	for path, status := range map[string]int{"/v1/summary/days?site=1": 200, "/v1/summary/days?site=1&label=a": 400} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != status || status == 200 && !strings.Contains(w.Body.String(), "2026-11-30") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestPartsOfHistory(t *testing.T) {
	n := uint64(25)
	src := Sources{Fleet: Fleet{Status: func(bool) *steer.Status { return nil },
		History: func(see func(*history.Entry) error) (history.End, error) {
			for i := uint64(1); i <= n; i++ {
				if err := see(&history.Entry{Number: i}); err != nil {
					return history.End{}, err
				}
			}
			n++ // something happens meanwhile
			return history.End{}, nil
		}}}
	h := handler(&src, hclog.NewNullLogger())
	lines := func(body string) int { return strings.Count(body, "\n") }
	if total, parts := follow(t, h, "/v1/fleet/history?limit=10", lines); total != 27 || parts != 3 {
		t.Errorf("%d entries in %d parts", total, parts)
	}
	for _, query := range []string{"limit=0", "limit=x", "limit=1001", "cursor=-1", "cursor=x"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/fleet/history?"+query, nil))
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
}

// A listener that comes back goes on where it was; one that asks nonsense, or is
// one too many, is told.
func TestEventStream(t *testing.T) {
	l := events.New(4, time.Unix(1, 0))
	src := Sources{Events: l, Requests: NewRequests()}
	a := newAPI(src.routes(), hclog.NewNullLogger())
	s := httptest.NewServer(src.Requests.Watch(ByControl, a, a.known))
	defer s.Close()
	defer l.Close()
	listen := func(after string) (*http.Response, *bufio.Scanner) {
		t.Helper()
		r, _ := http.NewRequest(http.MethodGet, s.URL+pathEvents, nil)
		r.Header.Set("Last-Event-ID", after)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp, bufio.NewScanner(resp.Body)
	}
	next := func(in *bufio.Scanner) (e events.Event) {
		t.Helper()
		for in.Scan() {
			if data, ok := strings.CutPrefix(in.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &e); err != nil {
					t.Fatal(err)
				}
				return e
			}
		}
		t.Fatal("no event", in.Err())
		return e
	}
	_, in := listen("")
	for !in.Scan() || in.Text() != "retry: 3000" {
	}
	l.Add(events.Event{Kind: events.Reload, Text: "a line\nand another"})
	first := next(in)
	if first.Text != "a line\nand another" || first.ID == "" {
		t.Errorf("%+v", first)
	}
	l.Add(events.Event{Text: "second"})
	if _, again := listen(first.ID); next(again).Text != "second" {
		t.Error("it does not go on")
	}
	for n := range 10 {
		l.Add(events.Event{Text: fmt.Sprint(n)})
	}
	if _, late := listen(first.ID); next(late).Lost != 7 || next(late).Text != "6" {
		t.Error("what was lost is not told")
	}
	if _, restarted := listen("0abc-7"); next(restarted).Kind != events.Lost {
		t.Error("a restart is not told")
	}
	if resp, _ := listen("nonsense"); resp.StatusCode != http.StatusBadRequest {
		t.Error(resp.StatusCode)
	}
	for {
		resp, _ := listen("")
		if resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "" {
			break
		}
	}
	if count, took := src.Requests.Figures(); len(count) == 0 || len(took) != 0 || count[0].Path != pathEvents {
		t.Errorf("%+v %+v", count, took)
	}
}

func TestRequestsAreCounted(t *testing.T) {
	src := Sources{Requests: NewRequests(), Tracking: func() *Tracking { return &Tracking{} }}
	a := newAPI(src.routes(), hclog.NewNullLogger())
	h := src.Requests.Watch(ByHTTPS, a, a.known)
	for _, r := range []*http.Request{httptest.NewRequest("GET", pathTracking, nil), httptest.NewRequest("GET", pathTracking, nil),
		httptest.NewRequest("GET", "/random/1", nil), httptest.NewRequest("BREW", "/random/2", nil)} {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	count, took := src.Requests.Figures()
	want := []Counted{{Request{ByHTTPS, "GET", pathTracking, 200}, 2}, {Request{ByHTTPS, "GET", otherPath, 404}, 1},
		{Request{ByHTTPS, otherPath, otherPath, 404}, 1}}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("%+v", count)
	}
	if len(took) != 3 || took[0].Count != 2 || took[0].Below[len(TookBounds)-1] != 2 {
		t.Errorf("%+v", took)
	}
}

// However long the daemon runs, a plot has no more points than fit.
func TestRecorder(t *testing.T) {
	var r Recorder
	s := everything()
	for at := time.Duration(0); at < 60*time.Hour; at += time.Second {
		if r.Due(at) {
			s.At = time.Unix(1_800_000_000, 0).Add(at)
			r.Take(at, s)
		}
	}
	h := r.History()
	if len(h.Clock) > plotPoints || len(h.Clock) < plotPoints/2 || h.Interval != 160 {
		t.Errorf("%d points of %v s", len(h.Clock), h.Interval)
	}
	if span := h.Clock[len(h.Clock)-1].Time.Sub(h.Clock[0].Time); span < 30*time.Hour {
		t.Errorf("%v", span)
	}
	if len(h.Sources) < 2 {
		t.Errorf("%d sources", len(h.Sources))
	}
	for _, p := range h.Sources {
		if len(p.Points) > plotPoints || len(p.Points) < plotPoints/2 {
			t.Errorf("%s: %d points", p.Name, len(p.Points))
		}
	}
}
