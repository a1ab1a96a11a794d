package remote

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Sessions are few, end by themselves, and one is not found by another's name.
func TestSessions(t *testing.T) {
	s, now := newSessions(), time.Unix(1_800_000_000, 0)
	token := sha256.Sum256([]byte("a"))
	first := s.begin(token, now)
	if got, ok := s.find(first, now.Add(time.Hour)); !ok || got != token {
		t.Error("it is not found")
	}
	if _, ok := s.find(first[1:], now); ok {
		t.Error("a part of it is found")
	}
	if _, ok := s.find(first, now.Add(time.Hour+sessionIdle+time.Second)); ok {
		t.Error("nobody looked, and it goes on")
	}
	again := s.begin(token, now)
	for at := now; at.Before(now.Add(sessionLife)); at = at.Add(time.Hour) {
		if _, ok := s.find(again, at); !ok {
			t.Fatal("it ended", at.Sub(now))
		}
	}
	if _, ok := s.find(again, now.Add(sessionLife+time.Second)); ok {
		t.Error("it goes on for ever")
	}
	var all []string
	for n := range maxSessions + 10 {
		all = append(all, s.begin(token, now.Add(time.Duration(n)*time.Second)))
	}
	later := now.Add(10 * time.Minute)
	if _, ok := s.find(all[0], later); ok || len(s.list) != maxSessions {
		t.Errorf("%d sessions", len(s.list))
	}
	if _, ok := s.find(all[len(all)-1], later); !ok {
		t.Error("the newest one is gone")
	}
	s.end(all[len(all)-1])
	if _, ok := s.find(all[len(all)-1], later); ok || s.form("a") == s.form("b") {
		t.Error("it was ended")
	}
}

// By TLS the cookie is for this host and TLS alone; a token that is taken away
// takes its sessions along, and one that may read only makes no writers.
func TestLogins(t *testing.T) {
	secret, line, err := NewToken("ops", Write)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := ParseTokens([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	p := Protected{Logins: true, Needs: func(*http.Request) Role { return Read },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := CallerOf(r.Context())
			fmt.Fprintf(w, "%v %v %s", c.Role, c.Session, c.Name)
		}),
		Refuse: func(w http.ResponseWriter, _ *http.Request, status int, err error) {
			http.Error(w, err.Error(), status)
		}}
	g, err := newGuard(p, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{guard: g}
	s.renew()
	g.settings.Store(&Settings{Tokens: tokens})
	ask := func(method, path, body, cookie string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "https://gateway.example.net"+path, strings.NewReader(body))
		if body != "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if cookie != "" {
			r.AddCookie(&http.Cookie{Name: cookieTLS, Value: cookie})
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		return w
	}
	w := ask("POST", PathLogin, url.Values{"token": {secret}, "next": {"/clients?kind=nts"}}.Encode(), "")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/clients?kind=nts" {
		t.Fatal(w.Code, w.Header())
	}
	c := w.Result().Cookies()[0]
	if c.Name != "__Host-ntsbridge" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" ||
		c.Domain != "" {
		t.Errorf("%+v", c)
	}
	if w := ask("GET", "/", "", c.Value); w.Code != 200 || !strings.HasPrefix(w.Body.String(), "write true token ops") {
		t.Error(w.Code, w.Body)
	}
	if w := ask("GET", "/", "", ""); w.Code != http.StatusUnauthorized {
		t.Error(w.Code, w.Body)
	}
	fewer, err := ParseTokens([]byte(strings.Replace(line, " write ", " read ", 1)))
	if err != nil {
		t.Fatal(err)
	}
	g.settings.Store(&Settings{Tokens: fewer})
	if w := ask("GET", "/", "", c.Value); !strings.HasPrefix(w.Body.String(), "read ") {
		t.Error(w.Code, w.Body)
	}
	g.settings.Store(&Settings{})
	if w := ask("GET", "/", "", c.Value); w.Code != http.StatusUnauthorized {
		t.Error(w.Code, w.Body)
	}
}

func TestLocalPath(t *testing.T) {
	for next, want := range map[string]string{"": "/", "/clients?kind=nts": "/clients?kind=nts", "//evil.example/": "/",
		"https://evil.example/": "/",
		"/\\evil.example":       "/", "clients": "/", "/a\r\nSet-Cookie: x": "/", "/%0d%0a": "/%0d%0a", "javascript:alert(1)": "/"} {
		if got := localPath(next); got != want {
			t.Errorf("%q: %q", next, got)
		}
	}
}

// Only addresses of loopback are served without TLS, and those by what Local
// says.
func TestPlainAddresses(t *testing.T) {
	s := &Settings{Plain: true, Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("[::1]:1")}}
	if s.encrypts() || (&Settings{Listen: s.Listen}).plain(s.Listen[0]) {
		t.Error("loopback")
	}
	for _, a := range []string{"0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"} {
		if s.plain(netip.MustParseAddrPort(a)) {
			t.Errorf("%s is served without TLS", a)
		}
	}
}

func FuzzLocal(f *testing.F) {
	for _, seed := range []string{"/", "//x", "localhost:1", "[::1]:80", "127.0.0.1.example", "/\\x", "http://x/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		next := localPath(text)
		if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n") {
			t.Errorf("%q goes to %q", text, next)
		}
		if localHost(text) && !strings.Contains(strings.ToLower(text), "localhost") && !strings.Contains(text, "127.") &&
			!strings.Contains(text, ":") {
			t.Errorf("%q is this host", text)
		}
	})
}
