package remote

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Sessions of browsers, which are begun by a token. A session has the role of
// its token as the settings in force have it: a token that is gone takes its
// sessions along. They are kept in memory alone.
const (
	maxSessions = 256
	sessionIdle = 2 * time.Hour
	sessionLife = 12 * time.Hour
)

// The cookie of a session. With the prefix __Host- no other host, and no page
// without TLS, can set it.
const (
	cookieTLS   = "__Host-ntsbridge"
	cookiePlain = "ntsbridge"
)

// The paths of logins, where Protected.Logins is set.
const (
	PathLogin  = "/login"
	PathLogout = "/logout"
)

// maxForm bounds what is read of a form, octets.
const maxForm = 16 << 10

type sessions struct {
	key [32]byte // of form tokens

	mu   sync.Mutex
	list map[[sha256.Size]byte]*session // by the hash of the cookie
}

type session struct {
	token      [sha256.Size]byte
	began, was time.Time
}

func newSessions() *sessions {
	s := &sessions{list: make(map[[sha256.Size]byte]*session)}
	_, _ = rand.Read(s.key[:]) // it ends the program if it fails
	return s
}

// begin makes a session and returns its cookie's value.
func (s *sessions) begin(token [sha256.Size]byte, now time.Time) string {
	value := rand.Text() + rand.Text() // 260 bits
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if len(s.list) >= maxSessions {
		var oldest [sha256.Size]byte
		var was time.Time
		for id, e := range s.list {
			if was.IsZero() || e.was.Before(was) {
				oldest, was = id, e.was
			}
		}
		delete(s.list, oldest)
	}
	s.list[sha256.Sum256([]byte(value))] = &session{token, now, now}
	return value
}

func (s *sessions) expire(now time.Time) {
	for id, e := range s.list {
		if now.Sub(e.was) > sessionIdle || now.Sub(e.began) > sessionLife {
			delete(s.list, id)
		}
	}
}

// find returns whose a session is.
func (s *sessions) find(value string, now time.Time) (token [sha256.Size]byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	e := s.list[sha256.Sum256([]byte(value))]
	if e == nil {
		return token, false
	}
	e.was = now
	return e.token, true
}

func (s *sessions) end(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.list, sha256.Sum256([]byte(value)))
}

// form returns what forms of somebody carry, so that no other page can send
// them.
func (s *sessions) form(who string) string {
	m := hmac.New(sha256.New, s.key[:])
	m.Write([]byte(who))
	return hex.EncodeToString(m.Sum(nil))
}

func cookieName(r *http.Request) string {
	if r.TLS != nil {
		return cookieTLS
	}
	return cookiePlain
}

func cookieOf(r *http.Request) string {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return ""
	}
	return c.Value
}

func setCookie(w http.ResponseWriter, r *http.Request, value string) {
	c := &http.Cookie{Name: cookieName(r), Value: value, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

var (
	errOrigin = errors.New("a web page of another place asks for this: what changes something is for the page of this gateway and for programs")
	errForm   = errors.New("the form is not one of this page, or its session has ended: load the page again")
	errLogin  = errors.New("no such token: it is not in api.tokens, or the daemon has not read the file since")
	errHost   = errors.New("this address answers to localhost and to addresses of loopback alone: other names may be somebody's " +
		"who makes them point here (use http://localhost, or an address that is not of loopback, by TLS)")
)

// checkForm refuses what changes something and a page of another place sent.
func (g *guard) checkForm(r *http.Request) error {
	if err := g.origins.Check(r); err != nil {
		if g.protected.Logins {
			return errForm
		}
		return errOrigin
	}
	return nil
}

// CheckForm refuses a form without what Caller.Form gave it.
func CheckForm(r *http.Request) error {
	c := CallerOf(r.Context())
	if c == nil || c.Form == "" || !hmac.Equal([]byte(r.PostFormValue("form")), []byte(c.Form)) {
		return errForm
	}
	return nil
}

// login begins a session for who sends a token.
func (g *guard) login(w http.ResponseWriter, r *http.Request, from netip.Addr) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := errors.Join(g.checkForm(r), r.ParseForm()); err != nil {
		g.refuse(w, r, http.StatusForbidden, errForm)
		return
	}
	secret := strings.TrimSpace(r.PostForm.Get("token"))
	if _, role := g.settings.Load().Tokens.find(secret); role == Nobody {
		g.unknown(w, r, from, errLogin)
		return
	}
	g.sessions.end(cookieOf(r)) // so that nobody goes on in one that was put there
	setCookie(w, r, g.sessions.begin(sha256.Sum256([]byte(secret)), time.Now()))
	http.Redirect(w, r, localPath(r.PostForm.Get("next")), http.StatusSeeOther)
}

// localPath returns a path of this server.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(next, "//") ||
		strings.ContainsAny(next, "\\\r\n") {
		return "/"
	}
	return next
}

func (g *guard) logout(w http.ResponseWriter, r *http.Request) {
	if err := g.checkForm(r); err != nil {
		g.refuse(w, r, http.StatusForbidden, err)
		return
	}
	g.sessions.end(cookieOf(r))
	setCookie(w, r, "")
	http.Redirect(w, r, PathLogin, http.StatusSeeOther)
}

// localHost tells whether a request without TLS is for this host by a name that
// nobody else can make point here.
func localHost(host string) bool {
	u, err := url.Parse("http://" + host)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return err == nil && a.IsLoopback() || strings.EqualFold(u.Hostname(), "localhost")
}
