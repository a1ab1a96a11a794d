package source

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// NTSConfig says where keys for NTS are established (RFC 8915, section 4).
type NTSConfig struct {
	// Server is the host name or address of the NTS-KE server, with port
	// (default 4460). Required.
	Server string
	// TLS is the base of the TLS settings: root certificates, time, server
	// name. Version and protocol are set here, and certificates are always
	// verified. Default: those of the system.
	TLS *tls.Config
	// Trusted are PEM files and directories of them with the certificates of
	// trusted authorities, read again at each key establishment. They replace
	// TLS.RootCAs. Default: TLS.RootCAs, else the system's.
	Trusted []string
	// AEADs in order of preference. Default: those of package nts.
	AEADs []aead.ID
	// Timeout of a whole key establishment, all addresses together. Default: 5 s.
	Timeout time.Duration
	// Network restricts addresses: "ip4" or "ip6". Default: "ip", both.
	Network string
	// Local is the address to connect from. Default: the kernel's choice.
	Local netip.Addr
	// Port is the UDP port where the server names none. Default: 123.
	Port uint16
	// Refresh is the age of keys at which new ones are established, though the
	// old are good. Default: 4 weeks; negative: never.
	Refresh time.Duration
	// MaxRetry bounds the time between failed key establishments, 10 s to 5
	// days (RFC 8915, section 4.2). Default: 1 day.
	MaxRetry time.Duration
	// Store keeps keys and cookies over restarts. Default: they are not kept.
	Store Store
	// Name is that under which Store keeps them. Default: Server.
	Name string
	// MaxAge is how old kept keys may be. Default: 7 days.
	MaxAge time.Duration
	// Dates says how the dates of certificates are judged.
	Dates TimeCheck
	// Clock tells the uptime, by which waiting is measured. It must be that of
	// the association. Default: one of its own.
	Clock Clock
	// Resolver finds addresses. Default: net.DefaultResolver.
	Resolver *net.Resolver
	// OnNotice gets what an operator should know and what is no failed poll: one
	// sentence. It is called by the association's goroutine. May be nil.
	OnNotice func(string)
}

// NTS protects packets by NTS (RFC 8915, section 5), establishes keys anew
// when it must, and keeps them over restarts. It is made to outlive the
// association that uses it: its back-off is that of the server.
//
// Methods that say so are safe for concurrent use; all others belong to the
// association's goroutine.
type NTS struct {
	ctx  context.Context
	cfg  NTSConfig
	told netip.AddrPort // what Server has returned

	session *session // nil: no keys
	reserve *session // kept keys that are too old by a clock that may be wrong
	alone   aead.ID  // the one algorithm that is offered, to a server that breaks on lists; 0: all
	turn    int      // which address comes first: moved on by keys that were of no use
	issuer  string   // of the certificate at the last good key establishment

	backoff  time.Duration
	retry    time.Duration // no key establishment before, by uptime
	attempts int           // since the last good one

	requestLen int    // shortest request since the last good answer, octets
	err        error  // of the last one
	count      uint32 // good ones

	unconfirmed bool // the keys rest on a certificate whose dates were not judged by a clock that is right
	mustConfirm bool // and the time to do that has come
	floorTold   bool

	wantRetry, wantConfirm atomic.Bool
	status                 atomic.Pointer[NTSStatus]
}

// Defaults of NTSConfig.
const (
	defaultKETimeout = 5 * time.Second
	defaultRefresh   = 28 * 24 * time.Hour
	defaultMaxRetry  = 24 * time.Hour
	defaultMaxAge    = 7 * 24 * time.Hour
	portNTP          = 123
)

// NewNTS makes an authenticator, with the keys that Store has. It does not
// use the network. ctx ends all that the authenticator does later.
func NewNTS(ctx context.Context, cfg NTSConfig) (*NTS, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	n := &NTS{ctx: ctx, cfg: cfg}
	n.restore()
	n.publish()
	return n, nil
}

// DialNTS is NewNTS and Connect.
func DialNTS(ctx context.Context, cfg NTSConfig) (*NTS, netip.AddrPort, error) {
	n, err := NewNTS(ctx, cfg)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	server, err := n.Connect()
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	return n, server, nil
}

func (c *NTSConfig) complete() error {
	setDefault(&c.Name, c.Server)
	setDefault(&c.Timeout, defaultKETimeout)
	setDefault(&c.Network, "ip")
	setDefault(&c.Port, portNTP)
	setDefault(&c.Refresh, defaultRefresh)
	setDefault(&c.MaxRetry, defaultMaxRetry)
	setDefault(&c.MaxAge, defaultMaxAge)
	if c.Clock == nil {
		c.Clock = NewSystemClock(nil)
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	switch {
	case c.Server == "":
		return errors.New("source: no NTS-KE server")
	case c.host() == "":
		// An empty name would be the end of checking names.
		return fmt.Errorf("source: NTS-KE server %q: no host", c.Server)
	case c.Timeout < 0 || c.MaxAge < 0:
		return fmt.Errorf("source: NTS: timeout %v, age %v", c.Timeout, c.MaxAge)
	case c.MaxRetry < minRetry || c.MaxRetry > longestRetry:
		return fmt.Errorf("source: NTS: longest retry %v, must be within %v to %v", c.MaxRetry, minRetry, longestRetry)
	case c.Network != "ip" && c.Network != "ip4" && c.Network != "ip6":
		return fmt.Errorf("source: NTS: network %q, must be ip, ip4 or ip6", c.Network)
	}
	_, err := (&nts.KEClient{AEADs: c.AEADs}).Request(nil)
	return err
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Format hides the keys, whatever the verb.
func (n *NTS) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "nts(%q)", n.cfg.Server) }

// Kind implements Authenticator.
func (*NTS) Kind() ntp.Kind { return ntp.KindNTS }

// AEAD returns the algorithm in use, 0 without keys.
func (n *NTS) AEAD() aead.ID {
	if n.session == nil {
		return 0
	}
	return n.session.client.AEAD()
}

// Connect makes sure that there are keys and returns the address of the NTP
// server that they belong to. While key establishment has to wait, the error
// is a *RetryError.
func (n *NTS) Connect() (netip.AddrPort, error) {
	defer n.publish()
	if err := n.ready(n.cfg.Clock.Uptime()); err != nil {
		return netip.AddrPort{}, err
	}
	n.told = n.session.server
	return n.told, nil
}

// MovedError says that new keys belong to another NTP server than the one
// that Connect has returned: the association has to end and a new one to be
// made with the address that Connect returns then. Nothing is sent until.
type MovedError struct{ Server netip.AddrPort }

// Error implements error.
func (e *MovedError) Error() string { return fmt.Sprintf("the NTP server is %v now", e.Server) }

// Prepare implements Authenticator.
func (n *NTS) Prepare(m Moment, _ time.Duration) error {
	defer n.publish()
	if err := n.ready(m.Uptime); err != nil {
		return err
	}
	if n.told.IsValid() && n.session.server != n.told {
		return &MovedError{n.session.server}
	}
	return nil
}

// ready makes sure that there are keys that may be used.
func (n *NTS) ready(uptime time.Duration) error {
	if n.wantRetry.Swap(false) {
		n.retry, n.backoff = 0, 0
	}
	n.review(uptime)
	switch s := n.session; {
	case s == nil:
		return n.connect(uptime)
	case s.client.Cookies() == 0:
		n.err = ErrTimeout
		n.drop()
		return n.connect(uptime)
	case (s.renew || n.cfg.Refresh > 0 && uptime-s.since >= n.cfg.Refresh) && uptime >= n.retry:
		if err := n.connect(uptime); err != nil {
			n.notice("keys that are %v old could not be replaced and stay in use: %v", (uptime - s.since).Round(time.Hour), err)
		}
	}
	return nil
}

// Seal implements Authenticator.
func (n *NTS) Seal(p []byte) (int, error) {
	if n.session == nil {
		return 0, nts.ErrNoCookies
	}
	defer n.publish()
	octets, err := n.session.client.Request(p)
	n.session.nakked = false
	if n.requestLen == 0 || octets > 0 && octets < n.requestLen {
		n.requestLen = octets
	}
	return octets, err
}

// Open implements Authenticator.
func (n *NTS) Open(m Moment, p []byte) Judgement {
	s := n.session
	if s == nil {
		return Judgement{Err: errPacket}
	}
	defer n.publish()
	if err := s.client.Response(p); err != nil {
		return Judgement{Err: n.refused(p, err)}
	}
	if err := n.believable(p); err != nil {
		return Judgement{Err: err}
	}
	if !s.proven { // the key establishment is successful only now
		n.backoff, n.retry = 0, 0
	}
	s.naks, s.proven, n.requestLen = 0, true, 0
	n.putAside(m.Uptime)
	return Judgement{Usable: true}
}

// Negative acknowledgements, of different requests and in a row, after which
// keys are given up. One may be forged, so keys that were good survive it;
// those that never were are not worth as much.
const (
	naksOfGood = 3
	naksOfNew  = 1
)

// refused handles a packet that is no good answer.
func (n *NTS) refused(p []byte, err error) error {
	s := n.session
	switch {
	case errors.Is(err, nts.ErrUnprotected):
		var h ntp.Header
		h.Decode(p)
		e := &unprotectedError{}
		if h.Stratum == 0 {
			e.Kiss, _ = kissOf(&h)
		}
		return e
	case !errors.Is(err, nts.ErrNAK) || s.nakked:
		return err
	}
	s.nakked = true
	s.naks++
	s.nakTotal++
	limit := naksOfGood
	if !s.proven && (s.restored || s.alternative != nil) {
		limit = naksOfNew
	}
	switch {
	case s.naks < limit:
	case !s.proven && s.alternative != nil:
		// The server exports keys in the other way: see nts.Agreement.
		s.keys, s.alternative, s.naks = *s.alternative, nil, 0
		if err := s.client.SetKeys(&s.keys); err != nil {
			n.drop()
			return err
		}
	default:
		n.notice("the server does not know our keys any more: %d negative acknowledgements in a row", s.naks)
		n.err = err
		n.drop()
		n.forget()
	}
	return err
}

// drop gives the keys up.
func (n *NTS) drop() {
	if n.session != nil {
		if !n.session.proven || n.session.client.Cookies() == 0 {
			n.turn++ // another address may do better
		}
		n.session.keys.Clear()
		n.session = nil
	}
}

// Retry makes the next Prepare or Connect establish keys without waiting for
// the end of a back-off: an operator or a changed network asks for it. Safe for
// concurrent use.
func (n *NTS) Retry() { n.wantRetry.Store(true) }

func (n *NTS) notice(format string, args ...any) {
	if n.cfg.OnNotice != nil {
		n.cfg.OnNotice(fmt.Sprintf("NTS with "+n.cfg.Server+": "+format, args...))
	}
}
