package nke

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
)

// Server listens for NTS-KE.
type Server struct {
	config    atomic.Pointer[Config]
	certs     atomic.Pointer[Certificates]
	lastError atomic.Pointer[string] // of the last reload; empty when it went well
	loads     atomic.Pointer[loads]
	refusals  *refusals

	reload  sync.Mutex     // one reload at a time
	seen    []stamp        // of the last attempt to load; guarded by reload, as the next ones
	again   time.Time      // when a failed load is repeated
	told    map[string]int // index into warnDays of what the log was told of a certificate
	backOff time.Duration

	tls       *tls.Config
	gate      *gate
	tally     tally
	quiet     *quiet
	held      chan struct{} // of refused connections that are kept open
	listeners []*acceptor
	crew      *crew
	closer    closer

	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

// Listen loads the certificates, opens the sockets and serves until Close.
// It returns an error, and nothing is left open, if any of that fails.
func Listen(config Config) (*Server, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	s := &Server{gate: newGate(), quiet: newQuiet(config.Logger), refusals: newRefusals(), held: make(chan struct{}, holdRoom)}
	s.config.Store(&config)
	s.use(LoadCertificates(config.Certificates))
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.crew = newCrew(&s.wait, s.ctx.Done())
	s.tls = &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{nts.ALPN},
		SessionTicketsDisabled: true,
		// ntpsec reads the response in one go and so needs it in one record.
		DynamicRecordSizingDisabled: true,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if v, ok := hello.Conn.(visitor); ok {
				v.gate.greeted(v.visit)
			}
			return s.certs.Load().choose(hello)
		},
	}
	if err := s.open(config.Listen); err != nil {
		_ = s.Close()
		return nil, err
	}
	for _, l := range s.listeners {
		s.wait.Go(func() { s.accept(l) })
	}
	s.wait.Go(s.watch)
	s.announce()
	return s, nil
}

// announce says in the log where NTS-KE is served, with which certificates.
func (s *Server) announce() {
	log := s.config.Load().Logger
	for _, a := range s.Addrs() {
		log.Info("serving NTS-KE", "address", a.String())
	}
	s.tellCertificates()
	s.reload.Lock()
	defer s.reload.Unlock()
	s.warnAhead(time.Now())
}

// tellCertificates names the certificates in use in the log.
func (s *Server) tellCertificates() {
	for _, c := range s.certs.Load().Status(time.Now()) {
		s.config.Load().Logger.Info("certificate", "file", c.Files.Certificate, "names", c.Names, "issuer", c.Issuer, "key", c.Key,
			"days_left", c.DaysLeft)
	}
}

func (s *Server) open(addrs []netip.AddrPort) error {
	if len(addrs) == 0 {
		return errors.New("nke: no address to listen on")
	}
	for _, a := range addrs {
		a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		network := "tcp6"
		if a.Addr().Is4() {
			network = "tcp4"
		}
		if l := s.passed(a); l != nil {
			if err := s.add(l); err != nil {
				return err
			}
			continue
		}
		// Connections live for seconds: to keep them alive would be five calls each.
		l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(s.ctx, network, a.String())
		if s.config.Load().FreeBind && errors.Is(err, syscall.EADDRNOTAVAIL) {
			l, err = (&net.ListenConfig{KeepAlive: -1, Control: freeBind}).Listen(s.ctx, network, a.String())
		}
		if err != nil {
			return fmt.Errorf("nke: %w", err)
		}
		if err := s.add(l.(*net.TCPListener)); err != nil {
			return err
		}
	}
	return nil
}

// add takes connections from a socket, which is the server's from now on.
func (s *Server) add(l *net.TCPListener) error {
	a, err := newAcceptor(l)
	if err != nil {
		_ = l.Close()
		return fmt.Errorf("nke: %w", err)
	}
	s.listeners = append(s.listeners, a)
	return nil
}

// passed returns the socket that was passed for an address, nil: none.
func (s *Server) passed(a netip.AddrPort) *net.TCPListener {
	for _, l := range s.config.Load().Passed {
		if at := l.Addr().(*net.TCPAddr).AddrPort(); at == a {
			return l
		}
	}
	return nil
}

// freeBind allows to bind an address that no interface has yet.
func freeBind(network, _ string, c syscall.RawConn) error {
	level, option := unix.SOL_IPV6, unix.IPV6_FREEBIND
	if network == "tcp4" {
		level, option = unix.SOL_IP, unix.IP_FREEBIND
	}
	var failed error
	err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), level, option, 1) })
	return errors.Join(err, failed)
}

// Addrs returns the addresses that the server listens on.
func (s *Server) Addrs() []netip.AddrPort {
	var list []netip.AddrPort
	for _, l := range s.listeners {
		list = append(list, l.Addr().(*net.TCPAddr).AddrPort())
	}
	return list
}

// Apply replaces the whole configuration except Listen; connections that are
// being served are not touched. On an error nothing is changed.
func (s *Server) Apply(config Config) error {
	commit, err := s.Prepare(config)
	if err == nil {
		commit()
	}
	return err
}

// Prepare reads what another configuration needs, and changes nothing. What it
// returns puts the configuration in force, which cannot fail.
func (s *Server) Prepare(config Config) (commit func(), err error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	certs, broken := LoadCertificates(config.Certificates)
	return func() {
		s.reload.Lock()
		defer s.reload.Unlock()
		s.config.Store(&config)
		s.use(certs, broken)
	}, nil
}

// Close stops listening, ends the connections and waits until all is quiet.
func (s *Server) Close() error {
	s.cancel()
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	s.gate.clear()
	s.wait.Wait()
	s.closer.flush()
	return errors.Join(errs...)
}

// accept takes connections until the listener is closed.
func (s *Server) accept(l *acceptor) {
	for pause := time.Duration(0); ; {
		conn, err := l.next()
		if err == nil {
			pause = 0
			s.admit(conn)
			continue
		}
		if s.ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
			return
		}
		// Out of file descriptors or memory: others need the time.
		pause = min(max(2*pause, 10*time.Millisecond), time.Second)
		s.quiet.warn("cannot accept connections", "address", l.Addr().String(), "error", err)
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return
		}
	}
}

// visitor is a connection with its place in the gate.
type visitor struct {
	*stream
	gate  *gate
	visit *visit
}

// admit serves a connection in the background, or closes it.
func (s *Server) admit(conn *stream) {
	s.tally.accepted.Add(1)
	config := s.config.Load()
	from := conn.peer.Addr()
	if config.Allow != nil {
		if reason := config.Allow(from); reason != ntp.ReasonOK {
			s.tally.refusedAccess[min(int(reason), ntp.ReasonCount-1)].Add(1)
			config.observe(Observation{From: from, Ending: EndRefused})
			s.hold(conn)
			return
		}
	}
	visit, why := s.gate.enter(&config.Limits, from, time.Now(), func() {
		if s.ctx.Err() == nil {
			s.tally.evicted.Add(1)
		}
		go conn.Close()
	})
	if why != admitted {
		s.refuse(why, config.Limits.prefix(from))
		config.observe(Observation{From: from, Ending: EndRefused})
		_ = conn.Close()
		return
	}
	s.crew.do(func() {
		defer s.gate.leave(visit)
		s.serve(visitor{conn, s.gate, visit}, config, from)
	})
}

func (s *Server) refuse(why refusal, prefix netip.Prefix) {
	switch why {
	case tooMany:
		s.tally.refusedTotal.Add(1)
		s.quiet.warn("too many NTS-KE connections at once", "client", prefix.String())
	case tooManyOfOne:
		s.tally.refusedPerPrefix.Add(1)
		s.quiet.warn("too many NTS-KE connections of one client", "client", prefix.String())
	case tooFast:
		s.tally.refusedRate.Add(1)
		s.quiet.warn("client connects to NTS-KE too often", "client", prefix.String())
	}
}

// Status describes the server at time now.
func (s *Server) Status(now time.Time) Status {
	certs := s.certs.Load()
	st := Status{Listeners: s.Addrs(), Certificates: certs.Status(now), Broken: slices.Clone(certs.broken)}
	if e := s.lastError.Load(); e != nil {
		st.ReloadError = *e
	}
	if l := s.loads.Load(); l != nil {
		st.Loaded, st.Tried, st.Again = l.loaded, l.tried, l.again
	}
	st.Refusals, st.ManyRefuse = s.refusals.list(now)
	return st
}
