package control

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/control/events"
	"ntsbridge/bridge/fleet/steer"
)

// What is refused, and how the answer says so (RFC 9110, RFC 9457).
func TestRefusals(t *testing.T) {
	w := usual()
	src := Sources{Tracking: func() *Tracking { return &w.tracking }, Do: func(*Command) (string, error) { return "done", nil },
		Reload: func() error { return errNotOurs }, Inventory: pageOf(3),
		Fleet: Fleet{Status: func(bool) *steer.Status { return nil }}, Events: events.New(4, time.Unix(1, 0))}
	h := handler(&src, hclog.NewNullLogger())
	for _, test := range []struct {
		method, path, accept, body string
		status                     int
		header, value              string
	}{
		{"GET", "/v1/tracking", "", "", 200, "Content-Type", "application/json"},
		{"HEAD", "/v1/tracking", "", "", 200, "Content-Type", "application/json"},
		{"GET", "/v1/tracking", "text/html, */*;q=0.1", "", 200, "", ""},
		{"GET", "/v1/tracking", "text/html", "", 406, "", ""},
		{"GET", "/v1/tracking", "*/*, application/json;q=0", "", 406, "", ""},
		{"GET", "/v1/nothing", "", "", 404, "", ""},
		{"GET", "/v1/tracking/", "", "", 404, "", ""},
		{"PUT", "/v1/tracking", "", "", 405, "Allow", "GET, HEAD"},
		{"GET", "/v1/reload", "", "", 405, "Allow", "POST"},
		{"POST", "/v1/reload", "", "", 409, "", ""},
		{"GET", "/v1/sources", "", "", 404, "", ""},
		{"POST", "/v1/command", "", "{", 400, "", ""},
		{"POST", "/v1/command", "", `{"nonsense":1}`, 400, "", ""},
		{"POST", "/v1/command", "", "", 400, "", ""},
		{"POST", "/v1/command", "", `{"name":"online"} {"name":"offline"}`, 400, "", ""},
		{"POST", "/v1/command", "", `{"name":"online"}` + "\n\n", 200, "", ""},
		{"POST", "/v1/command", "", `{"name":"online"}` + strings.Repeat(" ", maxCommandLen), 413, "", ""},
		{"POST", "/v1/fleet", "", `{"do":"check"}]`, 400, "", ""},
		{"POST", "/v1/command", "", `{"name":"` + strings.Repeat("a", maxCommandLen) + `"}`, 413, "", ""},
		{"POST", "/v1/command", "", `{"name":"online"}`, 200, "", ""},
		{"GET", "/v1/tracking?colour=red", "", "", 400, "", ""},
		{"GET", "/v1/tracking?a%zz", "", "", 400, "", ""},
		{"GET", "/v1/clients?legacy_onyl=1", "", "", 400, "", ""},
		{"GET", "/v1/clients?sort=last&sort=first", "", "", 400, "", ""},
		{"GET", "/v1/clients?legacy_only=yes", "", "", 400, "", ""},
		{"GET", "/v1/clients?limit=1.5", "", "", 400, "", ""},
		{"GET", "/v1/clients?kind=tls", "", "", 400, "", ""},
		{"GET", "/v1/clients?kind=nts&kind=none&label=a&label=b&cursor=", "", "", 200, "", ""},
		{"GET", "/v1/clients?site=1", "", "", 404, "", ""},
		{"GET", "/v1/keys?site=1", "", "", 404, "", ""},
		{"GET", "/v1/site", "", "", 404, "", ""},
		{"POST", "/v1/fleet", "", `{"do":"dance"}`, 400, "", ""},
		{"POST", "/v1/fleet", "", `{"do":"hold","colour":1}`, 400, "", ""},
		{"HEAD", "/v1/events", "", "", 200, "Content-Type", kindEvents},
	} {
		r := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
		if test.accept != "" {
			r.Header.Set("Accept", test.accept)
		}
		got := httptest.NewRecorder()
		h.ServeHTTP(got, r)
		if got.Code != test.status || test.header != "" && got.Header().Get(test.header) != test.value {
			t.Errorf("%s %s, %q: %d %v", test.method, test.path, test.accept, got.Code, got.Header())
		}
		if test.status < 400 {
			continue
		}
		var p Problem
		if err := json.Unmarshal(got.Body.Bytes(), &p); err != nil || got.Header().Get("Content-Type") != kindProblem ||
			p.Status != test.status || p.Title == "" || p.Detail == "" || p.Type == "" || p.Remedy == "" {
			t.Errorf("%s %s: %v %s", test.method, test.path, err, got.Body)
		}
	}
}

// What did not change is not sent again.
func TestEntityTags(t *testing.T) {
	w := usual()
	src := Sources{Tracking: func() *Tracking { return &w.tracking }}
	h := handler(&src, hclog.NewNullLogger())
	get := func(tag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, pathTracking, nil)
		r.Header.Set("If-None-Match", tag)
		got := httptest.NewRecorder()
		h.ServeHTTP(got, r)
		return got
	}
	tag := get("").Header().Get("ETag")
	if got := get(`"x", W/` + tag); got.Code != http.StatusNotModified || got.Body.Len() != 0 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	w.tracking.SystemOffset++
	if got := get(tag); got.Code != http.StatusOK || got.Header().Get("ETag") == tag {
		t.Errorf("%d %s", got.Code, got.Header().Get("ETag"))
	}
}

// A part of a list that has not changed is not sent again, in whatever form.
func TestTagsOfParts(t *testing.T) {
	src := Sources{Inventory: pageOf(30)}
	h := handler(&src, hclog.NewNullLogger())
	for _, path := range []string{"/v1/clients?limit=10", "/v1/clients?cursor=10&limit=5&format=csv"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		got := httptest.NewRecorder()
		h.ServeHTTP(got, r)
		tag := got.Header().Get("ETag")
		again := httptest.NewRecorder()
		r.Header.Set("If-None-Match", tag)
		h.ServeHTTP(again, r)
		if got.Code != http.StatusOK || tag == "" || again.Code != http.StatusNotModified || again.Body.Len() > 0 ||
			again.Header().Get("Link") == "" {
			t.Errorf("%s: %d %q, then %d %v", path, got.Code, tag, again.Code, again.Header())
		}
	}
}

func FuzzAccept(f *testing.F) {
	for _, seed := range []string{"", "*/*", "text/html;level=1;q=0.5, application/json ; Q=0", "a/b;q=,;;/", ","} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		for _, m := range parseAccept(header) {
			if m.main == "" || m.sub == "" {
				t.Errorf("%q: %+v", header, m)
			}
		}
		if !parseAccept(header+",x-main/x-sub").takes("x-main/x-sub") && !strings.Contains(strings.ToLower(header), "x-main/x-sub") {
			t.Errorf("%q hides what follows it", header)
		}
		_ = noneMatch([]string{header}, `"x"`)
	})
}
