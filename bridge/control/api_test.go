package control

import (
	"errors"
	"io/fs"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
)

func heard(t *testing.T, src Sources) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	s, err := Listen(path, src, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return NewClient(path)
}

// TestReportsOverTheAPI sends each report and wants it back unchanged.
func TestReportsOverTheAPI(t *testing.T) {
	for _, w := range []*world{usual(), extremes()} {
		w.tracking.ReferenceTime = w.tracking.ReferenceTime.UTC()
		stepped := 0
		c := heard(t, Sources{
			Tracking: func() *Tracking { return &w.tracking }, Sources: func() []Source { return w.sources },
			SourceStats: func() []SourceStats { return w.stats },
			AuthData:    func() []AuthData { return w.auth }, SelectData: func() []SelectData { return w.selects },
			MakeStep: func() error { stepped++; return nil },
		})
		same := func(want, got any, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s", diff)
			}
		}
		tracking, err := c.Tracking()
		same(&w.tracking, tracking, err)
		sources, err := c.Sources()
		same(w.sources, sources, err)
		stats, err := c.SourceStats()
		same(w.stats, stats, err)
		auth, err := c.AuthData()
		same(w.auth, auth, err)
		selects, err := c.SelectData()
		same(w.selects, selects, err)
		if err := c.MakeStep(); err != nil || stepped != 1 {
			t.Errorf("stepped %d times, %v", stepped, err)
		}
	}
}

// TestNumbersWithoutValue sends what JSON does not have.
func TestNumbersWithoutValue(t *testing.T) {
	tracking := &Tracking{RMSOffset: math.NaN(), Skew: math.Inf(1), SystemOffset: math.Inf(-1)}
	list := []Source{{Error: math.Inf(1), Offset: math.NaN(), LastRx: -1}}
	c := heard(t, Sources{Tracking: func() *Tracking { return tracking }, Sources: func() []Source { return list }})
	got, err := c.Tracking()
	if err != nil || got.RMSOffset != math.MaxFloat64 || got.Skew != math.MaxFloat64 || got.SystemOffset != -math.MaxFloat64 {
		t.Errorf("%+v, %v", got, err)
	}
	sources, err := c.Sources()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := WriteSources(&text, sources, ReportOptions{}); err != nil ||
		!strings.HasSuffix(text.String(), "     -        -[   +0ns] +/-      -\n") {
		t.Errorf("%q, %v", text.String(), err)
	}
	if !math.IsNaN(list[0].Offset) || !math.IsNaN(tracking.RMSOffset) {
		t.Error("the daemon's own report was changed")
	}
}

// requests are all that a client can ask.
func requests(c *Client) map[string]error {
	_, stats := c.ServerStats()
	_, tracking := c.Tracking()
	_, sources := c.Sources()
	_, sourceStats := c.SourceStats()
	_, auth := c.AuthData()
	_, selects := c.SelectData()
	return map[string]error{"serverstats": stats, "tracking": tracking, "sources": sources, "sourcestats": sourceStats,
		"authdata": auth, "selectdata": selects}
}

func TestDaemonWithoutSources(t *testing.T) {
	empty := Sources{Tracking: func() *Tracking { return nil }, Sources: func() []Source { return nil }}
	for _, src := range []Sources{{}, empty} {
		c := heard(t, src)
		for name, err := range requests(c) {
			if !errors.Is(err, ErrNoSources) || errors.Is(err, ErrNoAnswer) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := c.MakeStep(); err == nil || !strings.Contains(err.Error(), "does not set the clock") {
			t.Errorf("step: %v", err)
		}
	}
	c := heard(t, Sources{Sources: func() []Source { return []Source{} },
		MakeStep: func() error { return errors.New("no estimate\x1b yet") }})
	if list, err := c.Sources(); err != nil || list == nil || len(list) != 0 {
		t.Errorf("empty list: %v, %v", list, err)
	}
	if err := c.MakeStep(); err == nil || err.Error() != "no estimate? yet" {
		t.Errorf("step: %v", err)
	}
}

// serveOn is a daemon of another making.
func serveOn(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return NewClient(path)
}

func TestOtherDaemons(t *testing.T) {
	blob := strings.Repeat(" ", 1<<20)
	for _, tt := range []struct {
		name, want string
		answer     http.HandlerFunc
	}{
		{"older", "is older than this command", http.NotFound},
		{"method", "is older than this command",
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) }},
		{"failing", "503", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }},
		{"no JSON", "cannot be understood", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("time is an illusion")) }},
		{"another type", "cannot be understood", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`7`)) }},
		{"too long", "more than 16777216 octets", func(w http.ResponseWriter, _ *http.Request) {
			for range 17 {
				w.Write([]byte(blob))
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := serveOn(t, tt.answer)
			for name, err := range requests(c) {
				if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, ErrNoAnswer) || errors.Is(err, ErrNoSources) {
					t.Errorf("%s: %v, want %q", name, err, tt.want)
				}
			}
		})
	}
}

func TestNoDaemon(t *testing.T) {
	c := NewClient(filepath.Join(t.TempDir(), "none"))
	for name, err := range requests(c) {
		if !errors.Is(err, ErrNoAnswer) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "is ntsbridge running") ||
			strings.Contains(err.Error(), "http://") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSilentDaemon wants the client to give up.
func TestSilentDaemon(t *testing.T) {
	over := make(chan struct{})
	c := serveOn(t, func(http.ResponseWriter, *http.Request) { <-over })
	defer close(over)
	c.http.Timeout = 20 * time.Millisecond
	if _, err := c.Tracking(); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("%v", err)
	}
}

func TestTooLongAnswerIsNotSent(t *testing.T) {
	long := []Source{{Why: strings.Repeat("x", maxAnswerLen)}}
	c := heard(t, Sources{Sources: func() []Source { return long }})
	if _, err := c.Sources(); err == nil || !strings.Contains(err.Error(), "more than the") {
		t.Errorf("%v", err)
	}
}

// TestReportFieldsHaveNames wants every exported field of the reports to have
// a name of its own in JSON.
func TestReportFieldsHaveNames(t *testing.T) {
	for _, v := range []any{Tracking{}, Source{}, SourceStats{}, AuthData{}, SelectData{}, Options{}} {
		kind, seen := reflect.TypeOf(v), map[string]bool{}
		for i := range kind.NumField() {
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			if name == "" || seen[name] || strings.ToLower(name) != name {
				t.Errorf("%v.%s is %q in JSON", kind, kind.Field(i).Name, name)
			}
			seen[name] = true
		}
	}
}
