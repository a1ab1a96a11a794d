package source

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// session is keys with all that belongs to them.
type session struct {
	client      *nts.Client
	keys        nts.Keys
	alternative *nts.Keys // see nts.KEResult.Alternative
	server      netip.AddrPort
	chain       []*x509.Certificate // that the server sent
	valid       validity            // of its certificate with all above it
	established time.Time           // by the clock at that time, right or wrong
	since       time.Duration       // the same by uptime

	provisional bool // see NTSStatus
	restored    bool // from an earlier run
	saved       *Saved
	renew       bool // new keys are wanted, though these are good
	proven      bool // an authentic answer came
	nakked      bool // the last request was answered by a NAK
	naks        int  // in a row
	nakTotal    int
	saveAt      time.Duration // uptime
}

// RetryError says that key establishment failed before and has to wait.
type RetryError struct {
	In  time.Duration
	Err error // why it failed; nil: the keys it made were refused
}

// Error implements error.
func (e *RetryError) Error() string {
	text := fmt.Sprintf("no NTS keys; they will be established again in %v", e.In.Round(time.Second))
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns why key establishment failed.
func (e *RetryError) Unwrap() error { return e.Err }

// Back-off of key establishment that fails, or whose keys are of no use. RFC
// 8915, section 4.2 proposes 10 s, a factor of at least 1.5, and at most 5 days.
// A server that is not even reached has no work by us, so that we come back
// sooner when it does.
const (
	minRetry        = 10 * time.Second
	maxRetryConnect = 2048 * time.Second
	longestRetry    = 5 * 24 * time.Hour
)

// connect establishes keys unless that has to wait.
func (n *NTS) connect(uptime time.Duration) error {
	if uptime < n.retry {
		return &RetryError{n.retry - uptime, n.err}
	}
	n.attempts++
	s, err := n.establish()
	n.wait(uptime, err)
	n.err = err
	if err != nil {
		return n.fallBack(uptime, err)
	}
	n.drop()
	n.session, n.attempts = s, 0
	n.count++
	s.since = uptime
	n.issuer = s.chain[0].Issuer.String()
	n.unconfirmed, n.mustConfirm, n.reserve = s.provisional, false, nil
	return nil
}

// wait sets when keys may be established again, whether it went well or not:
// only keys that prove good end the back-off.
func (n *NTS) wait(uptime time.Duration, err error) {
	longest := n.cfg.MaxRetry
	var ke *keError
	if errors.As(err, &ke) && ke.Stage < stageTLS {
		longest = min(longest, maxRetryConnect)
	}
	n.backoff = min(max(minRetry, 2*n.backoff), longest)
	n.retry = uptime + n.backoff + mathrand.N(n.backoff/2)
}

// fallBack uses kept keys that are too old by the clock, if the dates of the
// certificate are all that is wrong: then it may be the clock.
func (n *NTS) fallBack(uptime time.Duration, err error) error {
	var c *certificateError
	if n.reserve == nil || n.session != nil || !errors.As(err, &c) || !c.DatesOnly {
		return err
	}
	n.notice("the clock may be wrong: trying the keys of the last run (%v)", err)
	n.session, n.reserve = n.reserve, nil
	n.session.since = uptime
	return nil
}

// establish speaks NTS-KE with the addresses of the server in turn. The error
// is that of the address with which it came farthest.
func (n *NTS) establish() (*session, error) {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.Timeout)
	defer cancel()
	host, port := n.cfg.split()
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return nil, &keError{Server: n.cfg.Server, Stage: stageName, Err: fmt.Errorf("port %q is not a number within 1 to 65535", port)}
	}
	roots, err := n.cfg.roots()
	if err != nil {
		return nil, &keError{Server: n.cfg.Server, Stage: stageTrust, Err: err}
	}
	addrs, err := n.lookup(ctx, host)
	if err != nil {
		return nil, &keError{Server: n.cfg.Server, Stage: stageName, Err: err}
	}
	var worst *keError
	for i := range addrs {
		// After keys that were of no use, begin with the next address.
		addr := netip.AddrPortFrom(addrs[(i+n.turn)%len(addrs)], uint16(number))
		s, failed := n.tryOffers(ctx, addr, len(addrs)-i, roots)
		if failed == nil {
			return s, nil
		}
		if worst == nil || failed.Stage > worst.Stage {
			worst = failed
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, worst
}

// split returns host and port of the NTS-KE server.
func (c *NTSConfig) split() (host, port string) {
	host, port, err := net.SplitHostPort(c.Server)
	if err != nil {
		return strings.Trim(c.Server, "[]"), strconv.Itoa(kePort)
	}
	return host, port
}

// roots returns the certificates of trusted authorities.
func (c *NTSConfig) roots() (*x509.CertPool, error) {
	var known *x509.CertPool
	if c.TLS != nil {
		known = c.TLS.RootCAs
	}
	return trustedRoots(c.Trusted, known)
}

// host returns the name that the certificate must have.
func (c *NTSConfig) host() string {
	if c.TLS != nil && c.TLS.ServerName != "" {
		return c.TLS.ServerName
	}
	host, _ := c.split()
	host, _, _ = strings.Cut(host, "%") // zone of an IPv6 address
	return host
}

// tryOffers speaks NTS-KE with one address. There are servers that break on a
// list of algorithms, or choose one that is not in it: then it is tried once more
// with the one that every server must have, or the first, alone.
func (n *NTS) tryOffers(ctx context.Context, addr netip.AddrPort, left int, roots *x509.CertPool) (*session, *keError) {
	offer := n.cfg.AEADs
	if len(offer) == 0 {
		offer = nts.DefaultAEADs
	}
	if n.alone != 0 {
		offer = []aead.ID{n.alone}
	}
	s, failed := n.try(ctx, addr, left, roots, offer)
	if failed == nil || len(offer) == 1 || !breaksOnLists(failed) || ctx.Err() != nil {
		return s, failed
	}
	alone := offer[0]
	if slices.Contains(offer, aead.AESSIVCMAC256) {
		alone = aead.AESSIVCMAC256
	}
	s, again := n.try(ctx, addr, left, roots, []aead.ID{alone})
	if again != nil {
		return nil, failed
	}
	n.alone = alone
	n.notice("the server fails on a list of algorithms (%v) and takes %v alone; name it (query --aead %d, or the source's aeads) to spare it",
		failed.Err, alone, uint16(alone))
	return s, nil
}

// breaksOnLists reports whether a list of algorithms may be why it failed.
func breaksOnLists(e *keError) bool {
	if e.Stage != stageExchange {
		return false
	}
	switch e.cause() {
	case causeKEBadRequest, causeKEInternal, causeKERefused, CauseKEAEAD, causeKENotOffered, causeKEMalformed, causeKEClosed, causeTLSAlert:
		return true
	}
	return false
}

// try speaks NTS-KE with one address, in its share of the time, and offers
// algorithms.
func (n *NTS) try(ctx context.Context, addr netip.AddrPort, left int, roots *x509.CertPool, offer []aead.ID) (*session, *keError) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	failed := func(stage keStage, err error) (*session, *keError) {
		return nil, &keError{Server: n.cfg.Server, Address: addr, Stage: stage, Err: err}
	}
	d := net.Dialer{}
	if n.cfg.Local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(n.cfg.Local, 0))
	}
	raw, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return failed(stageConnect, err)
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })()
	s := &session{established: n.cfg.now()}
	conn := tls.Client(raw, n.tls(roots, s))
	if err := conn.HandshakeContext(ctx); err != nil {
		return failed(stageTLS, timely(ctx, err))
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != nts.ALPN {
		return failed(stageTLS, errALPN)
	}
	res, err := exchange(conn, offer)
	_ = conn.CloseWrite() // the goodbye that RFC 8915, section 4, demands
	if err != nil {
		return failed(stageExchange, timely(ctx, err))
	}
	if err := s.use(res, &state); err != nil {
		return failed(stageExchange, err)
	}
	s.server, err = n.ntpServer(ctx, res, addr.Addr())
	if err != nil {
		_, e := failed(stageServer, err)
		e.NTP = res.Server
		return nil, e
	}
	return s, nil
}

// timely returns the context's error in place of that of the deadline which
// its end sets.
func timely(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// exchange sends the request and reads the response.
func exchange(conn *tls.Conn, offer []aead.ID) (*nts.KEResult, error) {
	ke := nts.KEClient{AEADs: offer}
	request, err := ke.Request(nil)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	response, err := readKE(conn)
	if err != nil {
		return nil, err
	}
	return ke.Response(response)
}

// use makes the keys of an exchange the session's.
func (s *session) use(res *nts.KEResult, state *tls.ConnectionState) (err error) {
	if s.keys, err = res.Export(state.ExportKeyingMaterial); err != nil {
		return err
	}
	if a, ok := res.Alternative(); ok {
		other, err := a.Export(state.ExportKeyingMaterial)
		if err != nil {
			return err
		}
		s.alternative = &other
	}
	s.client, err = newNTSClient(&s.keys, res.Cookies)
	return err
}

func newNTSClient(keys *nts.Keys, cookies [][]byte) (*nts.Client, error) {
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, err
	}
	return nts.NewClient(keys, cookies, seed)
}

// ntpServer finds the NTP server of a negotiation: by default it has the
// address of the NTS-KE server (RFC 8915, sections 4.1.7 and 4.1.8).
func (n *NTS) ntpServer(ctx context.Context, res *nts.KEResult, peer netip.Addr) (netip.AddrPort, error) {
	port := n.cfg.Port
	if res.Port != 0 {
		port = res.Port
	}
	if res.Server == "" {
		return netip.AddrPortFrom(peer, port), nil
	}
	addrs, err := n.lookup(ctx, fullyQualified(res.Server))
	if err != nil {
		return netip.AddrPort{}, err
	}
	// Those of the family that is known to work come first.
	var first, second []netip.Addr
	for _, a := range addrs {
		if a.Is4() == peer.Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	all := append(first, second...)
	return netip.AddrPortFrom(all[n.turn%len(all)], port), nil
}

// fullyQualified returns a name that a server gave so that no search list is
// tried for it (RFC 8915, section 4.1.7); an address stays as it is.
func fullyQualified(name string) string {
	if _, err := netip.ParseAddr(name); err == nil || strings.HasSuffix(name, ".") {
		return name
	}
	return name + "."
}

// lookup finds the addresses of a host, at least one.
func (n *NTS) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	var found []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		found = []netip.Addr{a}
	} else if found, err = n.cfg.Resolver.LookupNetIP(ctx, n.cfg.Network, host); err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, a := range found {
		a = a.Unmap()
		if n.cfg.Network == "ip" || a.Is4() == (n.cfg.Network == "ip4") {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 {
		return nil, ErrFamily
	}
	return addrs, nil
}

// kePort is the TCP port of NTS-KE (RFC 8915, section 7.1).
const kePort = 4460

// readKE reads a message to its end.
func readKE(r io.Reader) ([]byte, error) {
	var message []byte
	buf := make([]byte, 2048)
	for {
		n, err := r.Read(buf)
		message = append(message, buf[:n]...)
		octets, tooLong := nts.Complete(message, nts.MaxResponse)
		switch {
		case tooLong != nil:
			return nil, tooLong
		case octets > 0:
			return message[:octets], nil
		case err != nil:
			return nil, err
		}
	}
}
