package remote

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/convert/spell"
)

// Protected is what is asked once somebody is let in.
type Protected struct {
	http.Handler
	// Needs tells which role a request needs.
	Needs func(*http.Request) Role
	// Refuse answers who is not let in, with 401, 403 or 429.
	Refuse func(w http.ResponseWriter, r *http.Request, status int, err error)
	// Watch is around everything that is answered, who is refused too; nil: nobody
	// watches.
	Watch func(http.Handler) http.Handler
	// Logins lets browsers in: POST to PathLogin with a token begins a session,
	// POST to PathLogout ends it, and forms are checked to be of this server.
	Logins bool
	// Open tells what anybody may ask; nil: nothing.
	Open func(*http.Request) bool
}

// How often somebody may fail: an address (IPv6: a /64), and all of them as far
// as the log goes.
var (
	failures  = access.Bucket{Rate: 1.0 / 6, Burst: 10}
	logged    = access.Bucket{Rate: 1, Burst: 20}
	failedTry = 6 * time.Second // that gains one failure
)

// guard lets requests in.
type guard struct {
	protected Protected
	settings  atomic.Pointer[Settings]
	log       hclog.Logger
	limiter   *access.Limiter
	toLog     *access.Pool
	began     time.Time
	unlogged  atomic.Int64
	sessions  *sessions
	origins   *http.CrossOriginProtection
	closing   atomic.Pointer[context.Context] // ends what lasts when settings change
}

func newGuard(p Protected, log hclog.Logger) (*guard, error) {
	g := &guard{protected: p, log: log, began: time.Now(), sessions: newSessions(), origins: http.NewCrossOriginProtection()}
	var err error
	c := access.LimiterConfig{Clients: 4096, IPv4Prefix: 32, IPv6Prefix: 64}
	if _, err := rand.Read(c.Seed[:]); err != nil {
		return nil, err
	}
	if g.limiter, err = access.NewLimiter(c); err != nil {
		return nil, err
	}
	g.toLog, err = access.NewPool(logged)
	return g, err
}

// ServeHTTP lets in who may.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from := remoteAddr(r)
	if r.TLS == nil && !localHost(r.Host) {
		g.refuse(w, r, http.StatusMisdirectedRequest, errHost)
		return
	}
	if g.protected.Logins && r.Method == http.MethodPost {
		switch r.URL.Path {
		case PathLogin:
			g.login(w, r, from)
			return
		case PathLogout:
			g.logout(w, r)
			return
		}
	}
	// A browser shows its certificate to whatever page lets it ask.
	if err := g.checkForm(r); err != nil {
		g.refuse(w, r, http.StatusForbidden, err)
		return
	}
	caller, err := g.identify(r, from)
	if err != nil && g.protected.Open != nil && g.protected.Open(r) {
		g.protected.ServeHTTP(w, r.WithContext(WithCaller(r.Context(), &Caller{Name: "somebody"})))
		return
	}
	if err != nil {
		g.unknown(w, r, from, err)
		return
	}
	if needs := g.protected.Needs(r); caller.Role < needs {
		g.note("not allowed over the API", "path", r.URL.Path, "by", caller.Name, "needs", needs.String())
		g.refuse(w, r, http.StatusForbidden, fmt.Errorf("%s may %v, and this needs %v: use another token or certificate (api.tokens, api.writers)",
			caller.Name, caller.Role, needs))
		return
	}
	ctx, cancel := context.WithCancel(WithCaller(r.Context(), caller))
	defer cancel()
	stop := context.AfterFunc(*g.closing.Load(), cancel)
	defer stop()
	g.protected.ServeHTTP(w, r.WithContext(ctx))
}

// identify returns who asks. A token that is sent counts, whatever certificate
// there is.
func (g *guard) identify(r *http.Request, from netip.Addr) (*Caller, error) {
	s := g.settings.Load()
	kind, name, role := "certificate", "", Nobody
	if h := r.Header.Values("Authorization"); len(h) > 0 {
		scheme, secret, ok := strings.Cut(h[0], " ")
		if !ok || len(h) > 1 || !strings.EqualFold(scheme, "Bearer") {
			return nil, errScheme
		}
		kind = "token"
		if name, role = s.Tokens.find(strings.TrimSpace(secret)); role == Nobody {
			return nil, errUnknownToken
		}
	} else if c := g.ofSession(r, s, from); c != nil {
		return c, nil
	} else if r.TLS == nil {
		if s.Local == Nobody {
			return nil, errNoCredentials
		}
		return &Caller{Name: fmt.Sprintf("page of this host (%v)", from), Role: s.Local, Form: g.form("local")}, nil
	} else {
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
			return nil, errNoCredentials
		}
		var err error
		if name, role, err = s.certified(r.TLS, time.Now()); err != nil {
			return nil, err
		}
	}
	return &Caller{Name: callerName(kind, name, from), Role: role, Form: g.form(kind + " " + name)}, nil
}

func callerName(kind, name string, from netip.Addr) string {
	return fmt.Sprintf("%s %.100s (%v)", kind, spell.Printable(name), from)
}

// form is what forms of somebody carry; empty without logins.
func (g *guard) form(who string) string {
	if !g.protected.Logins {
		return ""
	}
	return g.sessions.form(who)
}

// ofSession returns whose session a request is of, nil if of none.
func (g *guard) ofSession(r *http.Request, s *Settings, from netip.Addr) *Caller {
	cookie := cookieOf(r)
	if !g.protected.Logins || cookie == "" {
		return nil
	}
	token, ok := g.sessions.find(cookie, time.Now())
	if !ok {
		return nil
	}
	name, role := s.Tokens.findHash(token)
	if role == Nobody {
		return nil
	}
	return &Caller{Name: callerName("token", name, from), Role: role, Form: g.form("session " + cookie), Session: true}
}

// unknown answers somebody who is not known.
func (g *guard) unknown(w http.ResponseWriter, r *http.Request, from netip.Addr, err error) {
	if !g.limiter.Spend(from, 0, int64(time.Since(g.began)), failures, 1) {
		w.Header().Set("Retry-After", fmt.Sprint(int(failedTry/time.Second)))
		w.Header().Set("Connection", "close")
		g.refuse(w, r, http.StatusTooManyRequests, fmt.Errorf("too many failures from %v: wait %v", from, failedTry))
		return
	}
	g.note("not let in over the API", "from", from.String(), "path", r.URL.Path, "reason", err.Error())
	w.Header().Set("WWW-Authenticate", `Bearer realm="ntsbridge"`)
	g.refuse(w, r, http.StatusUnauthorized, err)
}

func (g *guard) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	g.protected.Refuse(w, r, status, err)
}

// note logs, not more often than is read.
func (g *guard) note(what string, args ...any) {
	if !g.toLog.Spend(int64(time.Since(g.began)), 1, 0) {
		g.unlogged.Add(1)
		return
	}
	if n := g.unlogged.Swap(0); n > 0 {
		args = append(args, "not logged before", n)
	}
	g.log.Warn(what, args...)
}

func remoteAddr(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddrPort(r.RemoteAddr)
	return a.Addr().Unmap()
}
