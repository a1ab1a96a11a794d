package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/remote"
)

//go:embed assets
var assets embed.FS

// Options are what a page is told beside the reports.
type Options struct {
	Name    string // of this host
	Version string
	Log     hclog.Logger
	Now     func() time.Time // nil: time.Now
}

// Page answers a browser.
type Page struct {
	src     *control.Sources
	options Options
	routes  map[string]*route
	files   map[string]*file // by their path
	style   string           // path of the style sheet
	script  string
	pages   *template.Template
	kept    kept
	notices notices
}

// route is a page.
type route struct {
	method string
	role   remote.Role
	serve  func(w http.ResponseWriter, r *http.Request) error
	lasts  bool // as long as the asker wants
}

// file is something that never changes under its path.
type file struct {
	kind string
	text []byte
	tag  string
}

// policy is the content security policy: what comes from here, and nothing that
// stands in the page.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// asset takes a file in under a path that has its hash.
func (p *Page) asset(name, kind string) string {
	text, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is built in
	}
	sum := sha256.Sum256(text)
	hash := hex.EncodeToString(sum[:6])
	ext := path.Ext(name)
	at := "/static/" + strings.TrimSuffix(name, ext) + "." + hash + ext
	p.files[at] = &file{kind, text, `"` + hash + `"`}
	return at
}

// navigation are the pages that each page links to.
var navigation = []struct{ Path, Title string }{
	{"/", "Overview"}, {"/clients", "Clients"}, {"/migration", "Migration"},
	{"/site", "Site"}, {"/sources", "Sources"}, {"/keys", "Keys"}, {"/history", "History"},
}

func (p *Page) needs(r *http.Request) remote.Role {
	if t := p.routes[r.URL.Path]; t != nil {
		return t.role
	}
	return remote.Read
}

// open tells what strangers may see: what a login looks like.
func (p *Page) open(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && (r.URL.Path == remote.PathLogin || p.files[r.URL.Path] != nil)
}

func (p *Page) known(r *http.Request) (string, bool) {
	switch t := p.routes[r.URL.Path]; {
	case t != nil:
		return r.URL.Path, t.lasts && r.URL.Path == "/events"
	case p.files[r.URL.Path] != nil:
		return "/static", false
	case r.URL.Path == remote.PathLogout:
		return r.URL.Path, false
	}
	return "", false
}

// secure sets the headers of everything.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cache-Control", "no-store")
}

// lastTime is for what may take longer than a page.
const lastTime = 5 * time.Minute

func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if f := p.files[r.URL.Path]; f != nil {
		p.serveFile(w, r, f)
		return
	}
	t := p.routes[r.URL.Path]
	if t == nil {
		p.refuse(w, r, http.StatusNotFound, fmt.Errorf("nothing is at %.100q", r.URL.Path))
		return
	}
	if r.Method != t.method && !(r.Method == http.MethodHead && t.method == http.MethodGet) {
		w.Header().Set("Allow", t.method)
		p.refuse(w, r, http.StatusMethodNotAllowed, fmt.Errorf("%s is for %s", r.URL.Path, t.method))
		return
	}
	if t.lasts {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(lastTime))
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := t.serve(w, r); err != nil {
		p.fail(w, r, err)
	}
}

// maxBody bounds what is read of a form, octets.
const maxBody = 16 << 10

func (p *Page) serveFile(w http.ResponseWriter, r *http.Request, f *file) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	if r.Header.Get("If-None-Match") == f.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(f.text)
}

// problem is an error that knows the status of its page.
type problem struct {
	error
	status int
}

func (p problem) Unwrap() error { return p.error }

func bad(format string, args ...any) error {
	return problem{fmt.Errorf(format, args...), http.StatusBadRequest}
}

func (p *Page) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	var known problem
	switch {
	case errors.As(err, &known):
		status = known.status
	case errors.Is(err, control.ErrNoInventory), errors.Is(err, control.ErrNoSources), errors.Is(err, control.ErrAlone):
		status = http.StatusNotFound
	}
	p.refuse(w, r, status, err)
}

// refuse shows an error; where a token is missing, the form for it.
func (p *Page) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	secure(w.Header())
	v := &errorView{Status: status, Title: http.StatusText(status), Text: err.Error()}
	v.layout = p.layout(r, v.Title)
	if status == http.StatusUnauthorized || status == http.StatusTooManyRequests || status == http.StatusForbidden && v.Who == "" {
		v.Login, v.Title = true, "Log in"
		v.layout.Title = v.Title
		if r.Method == http.MethodGet && r.URL.Path != remote.PathLogin {
			v.Next = r.URL.RequestURI()
		}
		if status == http.StatusUnauthorized && r.Method == http.MethodGet {
			v.Text = ""
		}
	}
	p.send(w, "error", status, v)
}

// errorView is a page about something that was not done.
type errorView struct {
	layout
	Status      int
	Title, Text string
	Login       bool
	Next        string
}

func (p *Page) login(w http.ResponseWriter, r *http.Request) error {
	v := &errorView{Title: "Log in", Login: true, Next: r.URL.Query().Get("next"), Status: http.StatusOK}
	v.layout = p.layout(r, v.Title)
	p.send(w, "error", http.StatusOK, v)
	return nil
}

// layout is what all pages have.
type layout struct {
	Title   string
	Host    string
	Version string
	Path    string
	Here    string // path and query
	Style   string
	Script  string
	At      time.Time
	Who     string // empty: nobody who is known
	Write   bool
	Session bool
	Form    string
	Nav     []navItem
	Clock   clockChip
	Known   bool // it may read
}

type navItem struct {
	Path, Title string
	Here        bool
}

// clockChip is the clock in the head of each page.
type clockChip struct{ Text, Class string }

func (p *Page) layout(r *http.Request, title string) layout {
	v := layout{Title: title, Host: p.options.Name, Version: p.options.Version, Path: r.URL.Path, Here: r.URL.RequestURI(),
		Style: p.style, Script: p.script,
		At: p.options.Now().UTC()}
	if c := remote.CallerOf(r.Context()); c != nil && c.Role >= remote.Read {
		v.Who, v.Write, v.Session, v.Form, v.Known = c.Name, c.Role >= remote.Write, c.Session, c.Form, true
		v.Clock = p.clockChip()
	}
	for _, n := range navigation {
		if n.Path == "/site" && p.src.Site.Status == nil {
			continue
		}
		here := n.Path == r.URL.Path || n.Path != "/" && strings.HasPrefix(r.URL.Path, n.Path+"/") || n.Path == "/clients" &&
			r.URL.Path == "/client"
		v.Nav = append(v.Nav, navItem{n.Path, n.Title, here})
	}
	return v
}

func (p *Page) clockChip() clockChip {
	if p.src.Status == nil {
		return clockChip{"clock not known", "warn"}
	}
	s := p.src.Status()
	if s.Stratum == 0 {
		return clockChip{"not synchronised", "bad"}
	}
	return clockChip{fmt.Sprintf("synchronised, stratum %d", s.Stratum), "good"}
}

// send makes a page whole before the first octet of it goes.
func (p *Page) send(w http.ResponseWriter, name string, status int, v any) {
	var b bytes.Buffer
	if err := p.pages.ExecuteTemplate(&b, name, v); err != nil {
		p.options.Log.Error("a page cannot be made", "page", name, "error", err)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "this page cannot be made: see the log of the daemon\n")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// events tells the script that something has happened.
func (p *Page) events(w http.ResponseWriter, r *http.Request) error {
	if p.src.Events == nil {
		return problem{errors.New("this daemon tells no events"), http.StatusNotFound}
	}
	if err := control.ServeEvents(p.src.Events, w, r); err != nil {
		return problem{err, http.StatusServiceUnavailable}
	}
	return nil
}
