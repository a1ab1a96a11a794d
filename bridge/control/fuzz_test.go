package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet/inventory"
)

// FuzzAPI asks for anything: there is an answer, in JSON where it is a report,
// and nothing but the asked-for command is done.
func FuzzAPI(f *testing.F) {
	w := usual()
	stepped, reloaded := 0, 0
	src := Sources{Tracking: func() *Tracking { return &w.tracking }, Sources: func() []Source { return w.sources },
		SourceStats: func() []SourceStats { return w.stats }, AuthData: func() []AuthData { return w.auth },
		SelectData: func() []SelectData { return w.selects }, MakeStep: func() error { stepped++; return nil },
		Reload: func() error { reloaded++; return errors.New("no") }}
	for _, e := range src.routes() {
		f.Add(e.method, e.path, []byte(`{"name":"online","words":["1.2.3.4"]}`))
		f.Add(http.MethodPost, e.path+"/..//", []byte("[[[["))
	}
	f.Add(http.MethodGet, "/v1/clients?filter=means%3Dnts&limit=-1", []byte{})
	f.Add("BREW", "/v1/keys\x00", []byte{0xff})
	h := handler(&src, hclog.NewNullLogger())
	f.Fuzz(func(t *testing.T, method, path string, body []byte) {
		u, err := url.Parse(path)
		if err != nil || len(path) == 0 || path[0] != '/' {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", bytes.NewReader(body))
		r.Method, r.URL = method, u
		before := stepped + reloaded
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if answer.Code < 200 || answer.Code > 599 {
			t.Fatalf("status %d", answer.Code)
		}
		if answer.Header().Get("Content-Type") == "application/json" && !json.Valid(answer.Body.Bytes()) {
			t.Fatalf("no JSON: %q", answer.Body)
		}
		if stepped+reloaded != before && method != http.MethodPost {
			t.Fatalf("%s %q changed something", method, path)
		}
	})
}

// FuzzAnswers shows to the commands what a daemon of another version, or
// somebody in its place, may answer: each report is refused or can be printed.
func FuzzAnswers(f *testing.F) {
	for _, w := range []*world{usual(), extremes()} {
		for _, v := range []any{&w.tracking, w.sources, w.stats, w.auth, w.selects, &ServerStats{}, &Status{}, &NTS{}} {
			if text, err := json.Marshal(v); err == nil {
				f.Add(text)
			}
		}
	}
	f.Add([]byte(`{"packets":[{"kind":"x","reason":"","count":-1}],"nts_ke":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		o := ReportOptions{}
		var tracking Tracking
		var sources []Source
		var stats []SourceStats
		var auth []AuthData
		var selects []SelectData
		var server ServerStats
		var status Status
		var nts NTS
		for _, report := range []struct {
			into  any
			print func() error
		}{
			{&tracking, func() error { return tracking.WriteText(io.Discard, o) }},
			{&sources, func() error { return WriteSources(io.Discard, sources, o) }},
			{&stats, func() error { return WriteSourceStats(io.Discard, stats, o) }},
			{&auth, func() error { return WriteAuthData(io.Discard, auth, o) }},
			{&selects, func() error { return WriteSelectData(io.Discard, selects, o) }},
			{&server, func() error { return server.WriteText(io.Discard) }},
			{&status, func() error { return status.WriteText(io.Discard, o) }},
			{&nts, func() error { return nts.WriteText(io.Discard, o) }},
		} {
			if json.Unmarshal(text, report.into) != nil {
				continue
			}
			if err := report.print(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzExport reads what a daemon of another version may send as its inventory.
func FuzzExport(f *testing.F) {
	_, list := kept(2)
	for _, n := range []int{0, 1, 2} {
		text := []byte("[]\n")
		for _, s := range list[:n] {
			line, err := json.Marshal(s)
			if err != nil {
				f.Fatal(err)
			}
			text = append(append(text, line...), '\n')
		}
		f.Add(append(text, "{}\n"...))
		f.Add(text)
	}
	f.Add([]byte(`[{"from":1,"to":2}]{"key":[1],"record":"AQ=="}{`))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = readExport(bytes.NewReader(text), func(s inventory.Stored) error {
			if len(s.Record) == 0 {
				t.Fatal("a record of nothing")
			}
			return nil
		})
	})
}
