package nke

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
)

// DefaultPort is the TCP port of NTS-KE (RFC 8915, section 7.1).
const DefaultPort = 4460

// Config is what a Server needs. Zero values of the limits mean the default.
type Config struct {
	// Listen are the TCP addresses. An unspecified IPv6 address listens on
	// IPv6 only, so that it goes together with an unspecified IPv4 one.
	// Apply does not change them.
	Listen []netip.AddrPort
	// FreeBind listens on addresses that no interface has yet.
	FreeBind bool
	// Passed are sockets that somebody else opened (a service manager): those
	// of an address of Listen are used for it. They are closed at the latest
	// with the server.
	Passed []*net.TCPListener
	// Certificates, at least one. The first serves clients that ask for no
	// name, or for one that none has.
	Certificates []Files
	// KE decides about requests. Required.
	KE *nts.KEServer
	// Ring returns the current cookie keys; nil makes every exchange end with
	// error 2, internal server error. Required.
	Ring func() *nts.Ring
	// Allow tells whether a client may connect: ntp.ReasonOK, or why not.
	// Nil allows everybody.
	Allow func(netip.Addr) ntp.Reason
	// Limits of connections.
	Limits Limits
	// Observe is told how each connection ended; nil: nobody wants to know. It
	// must not block.
	Observe func(Observation)
	// PollInterval is how often the certificate files are looked at; default
	// 30 s, negative for never.
	PollInterval time.Duration
	// Logger; nil for none.
	Logger hclog.Logger
}

// minRequest is the length of a request in octets that every server must accept
// (RFC 8915, section 4).
const minRequest = 1024

// Limits bound what strangers can use up. Clients are counted by prefix.
type Limits struct {
	Connections          int           // at once; default 512
	ConnectionsPerPrefix int           // at once; default 32
	Rate                 float64       // new connections per second and prefix; default 10; negative for no limit
	Burst                int           // new connections of a prefix at a stroke; default 100
	IPv4Prefix           int           // bits, 1 to 32; default 32
	IPv6Prefix           int           // bits, 1 to 128; default 64
	Prefixes             int           // remembered; default 16384, at least Connections
	Timeout              time.Duration // for handshake and exchange together; default 5 s
	Request              int           // octets of a request; default 4096, at least 1024, at most nts.MaxMessage
}

func withDefault[T int | float64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// complete fills in the defaults and checks the ranges.
func (l *Limits) complete() error {
	withDefault(&l.Connections, 512)
	withDefault(&l.ConnectionsPerPrefix, 32)
	withDefault(&l.Rate, 10)
	withDefault(&l.Burst, 100)
	withDefault(&l.IPv4Prefix, 32)
	withDefault(&l.IPv6Prefix, 64)
	withDefault(&l.Prefixes, max(16384, l.Connections))
	withDefault(&l.Timeout, 5*time.Second)
	withDefault(&l.Request, 4096)
	switch {
	case l.Connections < 0, l.ConnectionsPerPrefix < 0, l.Burst < 0, l.Timeout < 0:
		return errors.New("nke: limits of connections, burst and time must be positive")
	case l.IPv4Prefix < 1 || l.IPv4Prefix > 32 || l.IPv6Prefix < 1 || l.IPv6Prefix > 128:
		return fmt.Errorf("nke: prefix lengths %d (IPv4, 1 to 32) and %d (IPv6, 1 to 128)", l.IPv4Prefix, l.IPv6Prefix)
	case l.Prefixes < l.Connections:
		return fmt.Errorf("nke: table of %d prefixes is smaller than the %d connections", l.Prefixes, l.Connections)
	case l.Request < minRequest || l.Request > nts.MaxMessage:
		return fmt.Errorf("nke: request limit of %d octets: must be %d to %d", l.Request, minRequest, nts.MaxMessage)
	}
	return nil
}

// complete checks the configuration and fills in defaults. It does not look
// at files.
func (c *Config) complete() error {
	switch {
	case c.KE == nil || c.Ring == nil:
		return errors.New("nke: configuration without KE or Ring")
	case len(c.Certificates) == 0:
		return errors.New("nke: no certificate configured: name a certificate and a key file")
	}
	withDefault(&c.PollInterval, 30*time.Second)
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	return c.Limits.complete()
}
