package page

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/migration"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/steer"
)

// allPages are the pages that there are.
var allPages = []string{"/", "/clients", "/client?address=10.2.0.2", "/migration", "/sources", "/keys", "/history",
	"/migration/confirm?do=advance&group=frankfurt&means=symmetric", "/login"}

func get(p http.Handler, path string, role remote.Role) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r = r.WithContext(remote.WithCaller(r.Context(), &remote.Caller{Name: "token ops (192.0.2.7)", Role: role, Form: "form-token"}))
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

// inline returns what is in a page that the policy would not let run.
func inline(body string) string {
	plain := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(body, `""`)
	return regexp.MustCompile(`(?i)<script(?:>|[^>]*>[^<]+<)|<style|<[^>]*\s(?:style|on[a-z]+)=`).FindString(plain) +
		regexp.MustCompile(`(?i)(?:href|src|action)="(?:javascript|data|https?):`).FindString(body)
}

// Each page is whole HTML under the policy, and has nothing in it that the policy
// forbids.
func TestPages(t *testing.T) {
	p := newWorld(t, 2000).page()
	for _, path := range allPages {
		w := get(p, path, remote.Write)
		body := w.Body.String()
		if w.Code != http.StatusOK || !strings.HasSuffix(strings.TrimSpace(body), "</html>") {
			t.Errorf("%s: %d %s", path, w.Code, body)
		}
		h := w.Header()
		if h.Get("Content-Security-Policy") != policy || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, h)
		}
		if found := inline(body); found != "" {
			t.Errorf("%s: %q", path, found)
		}
		if strings.Contains(body, "ZgotmplZ") || strings.Contains(body, "<no value>") {
			t.Errorf("%s has a hole in it", path)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Error(policy)
	}
}

// A client's own page says which group decides on each of its legacy means, how
// far that is, and why it does not move.
func TestWhereAClientStands(t *testing.T) {
	p := newWorld(t, 400).page()
	text := func(address string) string {
		body := get(p, "/client?address="+address, remote.Read).Body.String()
		_, body, _ = strings.Cut(body, "Where it stands in the migration")
		body, _, _ = strings.Cut(body, "</section>")
		return strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, " ")), " ")
	}
	if got := text("10.2.0.2"); !strings.Contains(got, "laboratory") || !strings.Contains(got, "refuse") ||
		!strings.Contains(got, "exams until Friday") {
		t.Errorf("%q", got)
	}
	if got := text("10.0.0.2"); !strings.Contains(got, "frankfurt") || strings.Contains(got, "held") {
		t.Errorf("%q", got)
	}
}

// Clients that are new can be asked for.
func TestNewClients(t *testing.T) {
	w := newWorld(t, 400)
	total := func(query string) int {
		body := get(w.page(), "/clients.csv?"+query, remote.Read).Body.String()
		return strings.Count(body, "\n")
	}
	all, month, none := total(""), total("first_within=720h"), total("first_within=1ns")
	if all <= month || month <= none || none != 1 {
		t.Errorf("%d lines in all, %d of a month, %d of no time", all, month, none)
	}
	if body := get(w.page(), "/clients?first_within=720h", remote.Read).Body.String(); !strings.Contains(body,
		`<option value="720h" selected>30 days</option>`) {
		t.Error("the filter is not shown")
	}
}

// What clients and files tell is text, whatever it looks like.
func TestNamesAreEscaped(t *testing.T) {
	const evil = `<img src=x onerror=alert(1)>"'&`
	w := newWorld(t, 100)
	row := &report.Row{Address: "10.0.0.1", Names: []string{evil}, Label: report.Label{Owner: evil, Site: evil, Note: evil},
		Implementation: evil,
		Best:           "none", Worst: "none", Rank: evil, Means: []report.Means{{Kind: "symmetric", Key: 1, Digest: evil,
			Implementation: evil, Evidence: evil,
			Refused: map[string]uint32{evil: 1}}}, KE: report.KE{Last: 1, Result: evil, SNI: evil, Offered: []string{evil}}}
	w.src.Inventory.Page = func(_ context.Context, _ *report.Filter, _ string, _ int,
		emit func(*report.Row) error) (*report.Part, error) {
		return &report.Part{Total: 1, Next: evil}, emit(row)
	}
	w.src.Inventory.Stream = func(_ context.Context, _ *report.Filter, emit func(*report.Row) error) error { return emit(row) }
	w.src.Sources = func() []control.Source {
		return []control.Source{{Name: evil, Address: evil, Why: evil, State: control.StateUnusable}}
	}
	w.src.Fleet.History = func(see func(*history.Entry) error) (history.End, error) {
		return history.End{Lines: 1}, see(&history.Entry{Number: 1, Time: w.now.Add(-time.Minute), What: evil, Who: evil,
			Group: evil, Why: evil})
	}
	status := w.src.Status
	w.src.Status = func() *control.Status { s := status(); s.Problems = []string{evil}; return s }
	p := w.page()
	for _, path := range allPages[:7] {
		body := get(p, path, remote.Write).Body.String()
		if strings.Contains(body, "<img") || inline(body) != "" {
			t.Errorf("%s: %s", path, body)
		}
		if path != "/keys" && path != "/migration" && !strings.Contains(body, "&lt;img src=x onerror=alert(1)&gt;") {
			t.Errorf("%s does not show it", path)
		}
	}
	if body := get(p, "/%3Cimg%20src=x%20onerror=alert(1)%3E", remote.Read).Body.String(); strings.Contains(body, "<img") {
		t.Error(body)
	}
}

// A question that makes no sense gets an answer that says so.
func TestBadQueries(t *testing.T) {
	p := newWorld(t, 100).page()
	for path, want := range map[string]string{
		"/clients?kind=tls":             "is none of none, symmetric, autokey, nts",
		"/clients?prefix=10.0.0.0/40":   "prefix",
		"/clients?key=-1":               "no key identifier",
		"/clients?sort=name":            "is none of address",
		"/clients?since=yesterday":      "since",
		"/clients?limit=many":           "is no number",
		"/clients?cursor=x":             "the cursor is not of this list",
		"/clients?colour=red":           "is none of kind",
		"/clients.csv?kind=tls":         "is none of none",
		"/clients.json?colour=red":      "is none of kind",
		"/client?address=nobody":        "is no address",
		"/client":                       "is no address",
		"/client?address=hash:00":       "only its hash",
		"/history?before=0":             "is not the number of an entry",
		"/history?before=x":             "is not the number of an entry",
		"/?days=12":                     "is none of 30, 90 and 400",
		"/migration/confirm?do=stop":    "is none of advance",
		"/migration/confirm?do=advance": "which group?",
		"/migration/confirm?do=hold&reason=" + strings.Repeat("x", 1001): "at most 1000",
	} {
		w := get(p, path, remote.Write)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%.80s: %d, %q is not in %s", path, w.Code, want, w.Body)
		}
	}
	for path, status := range map[string]int{"/nothing": 404, "/client?address=192.0.2.1": 404, "/migration/act": 405,
		"/migration/confirm?do=hold&group=nobody": 404, "/static/page.js": 404} {
		if w := get(p, path, remote.Write); w.Code != status {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// A daemon without an inventory, sources or anything has pages, too.
func TestNothingToShow(t *testing.T) {
	p := newPage(&control.Sources{}, Options{})
	for path, status := range map[string]int{"/": 200, "/sources": 200, "/keys": 200, "/login": 200, "/clients": 404,
		"/client?address=10.0.0.1": 404,
		"/migration":               404, "/history": 404, "/clients.csv": 404, "/events": 404} {
		if w := get(p, path, remote.Write); w.Code != status || !strings.Contains(w.Body.String(), "</html>") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestExports(t *testing.T) {
	p := newWorld(t, 500).page()
	w := get(p, "/clients.csv?kind=nts", remote.Read)
	lines, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(lines) < 200 || !strings.HasPrefix(w.Header().Get("Content-Disposition"), `attachment; filename="clients-2026`) {
		t.Errorf("%d lines, %v, %v", len(lines), err, w.Header())
	}
	var rows []report.Row
	w = get(p, "/clients.json?legacy_only=1&kind=", remote.Read)
	if err := json.Unmarshal(w.Body.Bytes(), &rows); err != nil || len(rows) < 200 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// The table goes forth and back, in each order.
func TestTable(t *testing.T) {
	p := newWorld(t, 450).page()
	for _, sort := range report.SortWords() {
		seen, next := map[string]bool{}, "/clients?sort="+sort
		for parts := 1; next != ""; parts++ {
			body := get(p, next, remote.Read).Body.String()
			for _, m := range regexp.MustCompile(`<th scope="row"><a href="/client\?address=([^"]*)"`).FindAllStringSubmatch(body, -1) {
				if seen[m[1]] {
					t.Errorf("%s: %s twice", sort, m[1])
				}
				seen[m[1]] = true
			}
			next = ""
			if m := regexp.MustCompile(`rel="next" href="([^"]*)"`).FindStringSubmatch(body); m != nil {
				next = strings.ReplaceAll(m[1], "&amp;", "&")
			}
			if parts > 5 {
				t.Fatal(sort, "it has no end")
			}
		}
		if len(seen) != 450 {
			t.Errorf("%s: %d clients", sort, len(seen))
		}
	}
}

// A second look at a column puts it the other way round.
func TestSortingTurns(t *testing.T) {
	p := newWorld(t, 30).page()
	head := regexp.MustCompile(`<th scope="col"[^>]* aria-sort="([a-z]+)"><a href="([^"]+)">`)
	path := "/clients?kind=nts"
	for _, want := range []string{"ascending", "descending", "ascending"} {
		body := get(p, path, remote.Read).Body.String()
		m := head.FindStringSubmatch(body)
		if m == nil || m[1] != want {
			t.Fatalf("%s: %q", path, m)
		}
		first := regexp.MustCompile(`<th scope="row"><a href="[^"]*">([^<]*)`).FindStringSubmatch(body)[1]
		if low := first == "10.0.0.0" || first == "10.0.0.1"; low != (want == "ascending") {
			t.Errorf("%s begins with %s", path, first)
		}
		path = strings.ReplaceAll(m[2], "&amp;", "&")
		if !strings.Contains(path, "kind=nts") {
			t.Errorf("%s has lost the filter", path)
		}
	}
}

// What a step does to its clients is shown as of now, whatever is kept; what it
// costs a pass over all clients to know is kept until something moves.
func TestBoardIsFresh(t *testing.T) {
	w := newWorld(t, 200)
	whole, hurt := 0, 2
	status := w.src.Fleet.Status
	w.src.Fleet.Status = func(brief bool) *steer.Status {
		s := status(brief)
		if !brief {
			whole++
		}
		for i := range s.Places {
			if s.Places[i].Running != nil {
				s.Places[i].Running.Hurt = hurt
			}
		}
		return s
	}
	p := w.page()
	look := func() string { return get(p, "/migration", remote.Read).Body.String() }
	if body := look(); !strings.Contains(body, "2 hurt") || !strings.Contains(body, "better_means") || whole != 1 {
		t.Errorf("%d looks at all clients: %s", whole, body)
	}
	hurt = 3
	if body := look(); !strings.Contains(body, "3 hurt") || !strings.Contains(body, "better_means") || whole != 1 {
		t.Errorf("%d looks at all clients, or it shows what was", whole)
	}
	q := &migration.Request{Do: migration.Hold, Group: "frankfurt", Reason: "at a console"}
	if _, err := w.migration.Ask(w.now, "somebody", q); err != nil {
		t.Fatal(err)
	}
	if body := look(); !strings.Contains(body, "at a console") || whole != 2 {
		t.Errorf("%d looks at all clients, or it shows what was", whole)
	}
}

// browserClient follows nothing and keeps cookies.
type browserClient struct {
	*http.Client
	t    *testing.T
	base string
	form string // of the last page
}

func (b *browserClient) do(method, path string, values url.Values, headers ...string) (int, string) {
	b.t.Helper()
	var body io.Reader
	if values != nil {
		body = strings.NewReader(values.Encode())
	}
	r, err := http.NewRequest(method, b.base+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if values != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if m := regexp.MustCompile(`name="form" value="([^"]+)"`).FindSubmatch(text); m != nil {
		b.form = string(m[1])
	}
	return resp.StatusCode, string(text)
}

func newBrowser(t *testing.T, base string) *browserClient {
	jar := &oneJar{}
	return &browserClient{Client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request,
		[]*http.Request) error {
		return http.ErrUseLastResponse
	}},
		t: t, base: base}
}

// oneJar keeps cookies of one host.
type oneJar struct{ list []*http.Cookie }

func (j *oneJar) SetCookies(_ *url.URL, list []*http.Cookie) { j.list = list }
func (j *oneJar) Cookies(*url.URL) []*http.Cookie            { return j.list }

// Steps need a login that may write, a form of this page that was made for who
// sends it, and a browser that says that it is sent from here. They stand in
// the history.
func TestSteps(t *testing.T) {
	w := newWorld(t, 300)
	base, token := w.served()
	b := newBrowser(t, base)
	deed := func() url.Values {
		return url.Values{"do": {"advance"}, "group": {"frankfurt"}, "means": {"none"}, "reason": {"because <b>"}, "form": {b.form}}
	}
	if status, body := b.do("GET", "/migration", nil); status != 200 || strings.Contains(body, "/migration/confirm") {
		t.Errorf("a reader is shown what it may not do: %d", status)
	}
	if status, _ := b.do("GET", "/migration/confirm?do=hold", nil); status != 403 {
		t.Errorf("a reader: %d", status)
	}
	if status, _ := b.do("POST", "/migration/act", deed()); status != 403 {
		t.Errorf("a reader steps: %d", status)
	}
	if status, body := b.do("POST", "/login", url.Values{"token": {"ntsb_wrong"}}); status != 401 || !strings.Contains(body,
		"no such token") {
		t.Errorf("wrong token: %d %s", status, body)
	}
	if status, _ := b.do("POST", "/login", url.Values{"token": {token}}, "Sec-Fetch-Site", "cross-site"); status != 403 {
		t.Errorf("a login from elsewhere: %d", status)
	}
	if status, _ := b.do("POST", "/login", url.Values{"token": {token}, "next": {"//evil.example/"}}); status != 303 {
		t.Errorf("login: %d", status)
	}
	c := b.Jar.(*oneJar).list[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" {
		t.Errorf("%+v", c)
	}
	if status, body := b.do("GET", "/migration/confirm?do=advance&group=frankfurt&means=none", nil); status != 200 || b.form == "" {
		t.Fatalf("%d %s", status, body)
	}
	for name, headers := range map[string][]string{"another site": {"Sec-Fetch-Site", "cross-site"},
		"another origin": {"Origin", "https://evil.example"},
		"the same site":  {"Sec-Fetch-Site", "same-site"}} {
		if status, _ := b.do("POST", "/migration/act", deed(), headers...); status != 403 {
			t.Errorf("%s: %d", name, status)
		}
	}
	for name, form := range map[string]string{"no form": "", "a made-up form": strings.Repeat("0", 64)} {
		v := deed()
		v.Set("form", form)
		if status, _ := b.do("POST", "/migration/act", v); status != 403 {
			t.Errorf("%s: %d", name, status)
		}
	}
	good := b.form
	if status, body := b.do("POST", "/migration/act", deed(), "Origin", base, "Sec-Fetch-Site", "same-origin"); status != 303 {
		t.Fatalf("%d %s", status, body)
	}
	var last *history.Entry
	if _, err := w.migration.History(func(e *history.Entry) error { last = e; return nil }); err != nil {
		t.Fatal(err)
	}
	if last.Who != "token ops (127.0.0.1), on the page" || last.Why != "because <b>" || last.Group != "frankfurt" {
		t.Errorf("%+v", last)
	}
	v := deed()
	v.Set("means", "symmetric")
	v.Set("form", good)
	if status, body := b.do("POST", "/migration/act", v); status != 409 || !strings.Contains(body, "gate better_means: ") {
		t.Errorf("a shut gate: %d %s", status, body)
	}
	if status, _ := b.do("POST", "/logout", url.Values{}); status != 303 {
		t.Errorf("logout: %d", status)
	}
	b.Jar.(*oneJar).list = []*http.Cookie{c} // somebody kept it
	if status, _ := b.do("POST", "/migration/act", v); status != 403 {
		t.Errorf("after the logout: %d", status)
	}
}

// On loopback the page answers to names that nobody else can make point here.
func TestHosts(t *testing.T) {
	w := newWorld(t, 10)
	base, _ := w.served()
	b := newBrowser(t, base)
	for host, status := range map[string]int{"localhost:8123": 200, "127.0.0.1": 200, "[::1]:80": 200, "evil.example": 421,
		"127.0.0.1.evil.example": 421,
		"192.0.2.1:80":           421, "localhost.evil.example:80": 421} {
		if got, _ := b.do("GET", "/", nil, "Host", host); got != status {
			t.Errorf("%s: %d", host, got)
		}
	}
}

// What a pointer would have to guess stands in the page for everybody.
func TestPagesAreAccessible(t *testing.T) {
	p := newWorld(t, 500).page()
	for _, path := range allPages {
		body := get(p, path, remote.Write).Body.String()
		if n := strings.Count(body, "<h1"); n != 1 {
			t.Errorf("%s: %d first headings", path, n)
		}
		for _, want := range []string{`<html lang="en">`, `<main id="main"`, `class="skip"`, "<title>"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s has no %s", path, want)
			}
		}
		if strings.Count(body, "<table") != strings.Count(body, "<caption") {
			t.Errorf("%s: a table without a caption", path)
		}
		for _, m := range regexp.MustCompile(`<(?:input|select)[^>]*\sid="([^"]+)"`).FindAllStringSubmatch(body, -1) {
			if !strings.Contains(body, `<label for="`+m[1]+`"`) {
				t.Errorf("%s: the field %s has no label", path, m[1])
			}
		}
		ids := map[string]bool{}
		for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(body, -1) {
			if ids[m[1]] {
				t.Errorf("%s: two of id %s", path, m[1])
			}
			ids[m[1]] = true
		}
	}
}

// FuzzPage asks for anything. What comes is HTML without anything that runs, or a
// file; never a failure of the page.
func FuzzPage(f *testing.F) {
	for path := range newPage(&control.Sources{}, Options{}).routes {
		f.Add(path, "")
	}
	f.Add("/clients", "kind=nts&prefix=10.0.0.0/8&sort=last&limit=5&cursor=AQ")
	f.Add("/client", "address=2001:db8::/64&resolve=0")
	f.Add("/migration/confirm", "do=advance&group=frankfurt&means=symmetric&reason=%3Cb%3E&force=1")
	f.Add("/history", "before=3")
	f.Add("/", "days=30&<script>")
	w := newWorld(f, 60)
	w.src.Events = nil // the stream has no end
	p := w.page()
	f.Fuzz(func(t *testing.T, path, query string) {
		if strings.Contains(query, "resolve") {
			return // DNS is not asked here
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL = &url.URL{Path: path, RawQuery: query}
		r = r.WithContext(remote.WithCaller(r.Context(), &remote.Caller{Name: "x", Role: remote.Write, Form: "f"}))
		got := httptest.NewRecorder()
		p.ServeHTTP(got, r)
		if got.Code >= 500 {
			t.Fatalf("%q?%q: %d %s", path, query, got.Code, got.Body)
		}
		if strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") {
			if found := inline(got.Body.String()); found != "" || got.Header().Get("Content-Security-Policy") != policy {
				t.Fatalf("%q?%q: %s", path, query, found)
			}
		}
	})
}
