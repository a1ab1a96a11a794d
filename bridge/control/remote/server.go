package remote

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/nke"
)

// Limits of a connection.
const (
	headerTime = 5 * time.Second // for the handshake and the header of a request
	bodyTime   = 15 * time.Second
	idleTime   = time.Minute
	maxHeader  = 16 << 10 // octets
	pollTime   = 30 * time.Second
)

// Server serves the API. The zero value is not usable: see New.
type Server struct {
	guard *guard
	log   hclog.Logger
	http  *http.Server
	certs atomic.Pointer[nke.Certificates]
	limit atomic.Int64 // connections
	open  atomic.Int64
	stop  chan struct{}
	done  sync.WaitGroup

	mu        sync.Mutex
	listeners map[netip.AddrPort]net.Listener
	endWaits  context.CancelFunc // of what lasts under the settings in force
	broken    string             // why certificates cannot be read, as it was logged
}

// New returns a server that listens nowhere yet.
func New(p Protected, log hclog.Logger) (*Server, error) {
	g, err := newGuard(p, log)
	if err != nil {
		return nil, err
	}
	s := &Server{guard: g, log: log, listeners: map[netip.AddrPort]net.Listener{}, stop: make(chan struct{})}
	g.settings.Store(&Settings{})
	s.renew()
	var handler http.Handler = g
	if p.Watch != nil {
		handler = p.Watch(g)
	}
	handshakes := stdlog.New(handshakeLog{g}, "", 0)
	var only http.Protocols
	only.SetHTTP1(true)
	s.http = &http.Server{Handler: handler, Protocols: &only, TLSConfig: s.tls(), ReadHeaderTimeout: headerTime, ReadTimeout: bodyTime,
		WriteTimeout: bodyTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader, ErrorLog: handshakes}
	s.done.Go(s.poll)
	return s, nil
}

// tls asks for certificates and leaves it to the guard to judge them, whose
// answer says what is wrong.
func (s *Server) tls() *tls.Config {
	base := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}, GetCertificate: s.certificate}
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := base.Clone()
		c.GetConfigForClient = nil
		if pool := s.guard.settings.Load().Authorities; pool != nil {
			c.ClientAuth, c.ClientCAs = tls.RequestClientCert, pool
		}
		return c, nil
	}
	return base
}

func (s *Server) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c := s.certs.Load()
	if c == nil {
		return nil, errors.New("no certificate can be used")
	}
	return c.GetCertificate(hello)
}

// renew begins a time in which settings hold, and ends what lasts from before.
func (s *Server) renew() {
	ctx, cancel := context.WithCancel(context.Background())
	s.guard.closing.Store(&ctx)
	if s.endWaits != nil {
		s.endWaits()
	}
	s.endWaits = cancel
}

// Change is other settings, ready to be put in force.
type Change struct {
	server   *Server
	settings *Settings
	certs    *nke.Certificates
	opened   map[netip.AddrPort]net.Listener
	Failed   []error // addresses that could not be opened
}

// Prepare opens what other settings need, and touches nothing that runs.
func (s *Server) Prepare(next *Settings) *Change {
	c := &Change{server: s, settings: next, opened: map[netip.AddrPort]net.Listener{}}
	if len(next.Listen) == 0 {
		return c
	}
	if next.encrypts() {
		certs, err := nke.LoadCertificates(next.Files)
		if err != nil {
			s.log.Error("a certificate cannot be used", "error", err)
		}
		if certs != nil && len(certs.Chains()) > 0 {
			c.certs = certs
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range next.Listen {
		if s.listeners[a] != nil {
			continue
		}
		l, err := listenTCP(a)
		if err != nil {
			c.Failed = append(c.Failed, fmt.Errorf("%s[%d]: %w", cmp.Or(next.Option, "api.listen"), i, err))
			continue
		}
		c.opened[a] = l
	}
	return c
}

// listenTCP listens on an address; an unspecified IPv6 one is of IPv6 alone.
func listenTCP(a netip.AddrPort) (net.Listener, error) {
	network := "tcp6"
	if a.Addr().Is4() {
		network = "tcp4"
	}
	return net.Listen(network, a.String())
}

// Abort gives back what Prepare took.
func (c *Change) Abort() (err error) {
	if c == nil {
		return nil
	}
	for _, l := range c.opened {
		err = errors.Join(err, l.Close())
	}
	return err
}

// Commit puts a change in force. It cannot fail.
func (c *Change) Commit() {
	s := c.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.certs != nil || len(c.settings.Listen) == 0 {
		s.certs.Store(c.certs)
	}
	s.guard.settings.Store(c.settings)
	s.limit.Store(int64(c.settings.Connections))
	s.renew()
	for a, l := range s.listeners {
		if !slices.Contains(c.settings.Listen, a) {
			delete(s.listeners, a)
			_ = l.Close()
			s.log.Info("not served any more", "address", a.String())
		}
	}
	for a, l := range c.opened {
		s.listeners[a] = l
		plain := c.settings.plain(a)
		s.done.Go(func() { s.serve(l, plain) })
		s.log.Info("serving", "address", l.Addr().String(), "tls", !plain)
	}
}

func (s *Server) serve(l net.Listener, plain bool) {
	var err error
	if bounded := (&limited{Listener: l, server: s}); plain {
		err = s.http.Serve(bounded)
	} else {
		err = s.http.ServeTLS(bounded, "", "")
	}
	if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		s.log.Error("not served any more", "address", l.Addr().String(), "error", err)
	}
}

// plain tells whether an address is served without TLS.
func (s *Settings) plain(a netip.AddrPort) bool { return s.Plain && a.Addr().IsLoopback() }

// encrypts tells whether certificates are needed.
func (s *Settings) encrypts() bool {
	return slices.ContainsFunc(s.Listen, func(a netip.AddrPort) bool { return !s.plain(a) })
}

// Addresses returns where it is served.
func (s *Server) Addresses() (list []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		if a, err := netip.ParseAddrPort(l.Addr().String()); err == nil {
			list = append(list, a)
		}
	}
	return list
}

// poll reads certificates that are replaced without a reload, as ACME does.
func (s *Server) poll() {
	t := time.NewTicker(pollTime)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			s.Look()
		}
	}
}

// Look reads the certificates again. Where they cannot be used, those of
// before stay.
func (s *Server) Look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.guard.settings.Load()
	if !now.encrypts() {
		return
	}
	certs, err := nke.LoadCertificates(now.Files)
	if err == nil {
		s.certs.Store(certs)
		s.broken = ""
		return
	}
	if text := err.Error(); text != s.broken {
		s.broken = text
		s.log.Error("a certificate cannot be used; if there was an earlier one, it stays in use", "error", err)
	}
}

// Certificates describes those that are shown.
func (s *Server) Certificates(now time.Time) []nke.CertificateStatus {
	if c := s.certs.Load(); c != nil {
		return c.Status(now)
	}
	return nil
}

// Problem says why nobody can connect, empty if that is not so.
func (s *Server) Problem() string {
	if now := s.guard.settings.Load(); now.encrypts() && s.certs.Load() == nil {
		return cmp.Or(now.Option, "api.listen") + ": no certificate can be used; nobody can connect"
	}
	return ""
}

// Close ends it, requests included.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	close(s.stop)
	s.mu.Lock()
	s.endWaits()
	listeners := s.listeners
	s.listeners = map[netip.AddrPort]net.Listener{}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // who is slow is cut off
	}
	for _, l := range listeners {
		_ = l.Close()
	}
	s.done.Wait()
	return nil
}

// limited closes connections beyond the limit at once.
type limited struct {
	net.Listener
	server *Server
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.server.open.Add(1) <= l.server.limit.Load() {
			return &counted{Conn: c, server: l.server}, nil
		}
		l.server.open.Add(-1)
		l.server.guard.note("too many connections to the API", "from", c.RemoteAddr().String(), "at most", l.server.limit.Load())
		_ = c.Close()
	}
}

type counted struct {
	net.Conn
	server *Server
	once   sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.server.open.Add(-1) })
	return c.Conn.Close()
}

// handshakeLog takes what net/http tells of connections, such as handshakes
// that fail.
type handshakeLog struct{ guard *guard }

var _ io.Writer = handshakeLog{}

func (h handshakeLog) Write(p []byte) (int, error) {
	h.guard.note("a connection to the API failed", "reason", string(p[:max(len(p)-1, 0)]))
	return len(p), nil
}
