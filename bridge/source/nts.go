package source

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// NTSConfig says where keys for NTS are established (RFC 8915, section 4).
type NTSConfig struct {
	// Server is the host name or address of the NTS-KE server, with port.
	Server string
	// TLS is the base of the TLS settings: root certificates, time, server
	// name. Version and protocol are set here. Default: those of the system.
	TLS *tls.Config
	// AEADs in order of preference. Default: those of package nts.
	AEADs []aead.ID
	// Timeout of a whole exchange. Default: 5 s.
	Timeout time.Duration
}

// NTS protects packets by NTS (RFC 8915, section 5) and establishes keys anew
// when it must.
type NTS struct {
	ctx     context.Context
	cfg     NTSConfig
	client  *nts.Client
	retry   time.Duration // no key establishment before, by uptime
	backoff time.Duration
	naks    int
}

// Back-off of key establishment that fails.
const (
	minKEBackoff = 10 * time.Second
	maxKEBackoff = 2 * time.Hour
)

// DialNTS establishes keys and returns the authenticator and the address of
// the NTP server that goes with them. ctx ends all that the authenticator
// does later, too.
func DialNTS(ctx context.Context, cfg NTSConfig) (*NTS, netip.AddrPort, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Second
	}
	n := &NTS{ctx: ctx, cfg: cfg}
	server, err := n.establish()
	return n, server, err
}

// Format hides the keys, whatever the verb.
func (n *NTS) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "nts(%q)", n.cfg.Server) }

// Kind implements Authenticator.
func (*NTS) Kind() ntp.Kind { return ntp.KindNTS }

// AEAD returns the algorithm in use, 0 without keys.
func (n *NTS) AEAD() aead.ID {
	if n.client == nil {
		return 0
	}
	return n.client.AEAD()
}

// Prepare implements Authenticator.
func (n *NTS) Prepare(m Moment, _ time.Duration) error {
	if n.client != nil && n.client.Cookies() > 0 {
		return nil
	}
	if m.Uptime < n.retry {
		return fmt.Errorf("source: NTS: %w; keys will be established again in %v", nts.ErrNoCookies, (n.retry - m.Uptime).Round(time.Second))
	}
	n.backoff = min(max(minKEBackoff, 2*n.backoff), maxKEBackoff)
	n.retry = m.Uptime + n.backoff
	_, err := n.establish()
	return err
}

// Seal implements Authenticator.
func (n *NTS) Seal(p []byte) (int, error) {
	if n.client == nil {
		return 0, nts.ErrNoCookies
	}
	return n.client.Request(p)
}

// Open implements Authenticator.
func (n *NTS) Open(_ Moment, p []byte) Judgement {
	if n.client == nil {
		return Judgement{Err: ErrPacket}
	}
	err := n.client.Response(p)
	switch {
	case err == nil:
		n.naks, n.backoff = 0, 0
		return Judgement{Usable: true}
	case errors.Is(err, nts.ErrNAK):
		// A forged one must not make us give the keys up.
		if n.naks++; n.naks >= 3 {
			n.naks, n.client = 0, nil
		}
	}
	return Judgement{Err: err}
}

// establish speaks NTS-KE.
func (n *NTS) establish() (netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.Timeout)
	defer cancel()
	res, keys, peer, err := n.exchange(ctx)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("NTS-KE with %s: %w", n.cfg.Server, err)
	}
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return netip.AddrPort{}, err
	}
	if n.client, err = nts.NewClient(&keys, res.Cookies, seed); err != nil {
		return netip.AddrPort{}, err
	}
	server := netip.AddrPortFrom(peer, 123)
	if res.Port != 0 {
		server = netip.AddrPortFrom(peer, res.Port)
	}
	if res.Server != "" {
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", res.Server)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("NTS-KE with %s: NTP server %q: %w", n.cfg.Server, res.Server, err)
		}
		server = netip.AddrPortFrom(addrs[0].Unmap(), server.Port())
	}
	return server, nil
}

// exchange sends the request and reads the response. peer is the address of
// the NTS-KE server.
func (n *NTS) exchange(ctx context.Context) (res *nts.KEResult, keys nts.Keys, peer netip.Addr, err error) {
	cfg := &tls.Config{}
	if n.cfg.TLS != nil {
		cfg = n.cfg.TLS.Clone()
	}
	cfg.MinVersion, cfg.NextProtos = tls.VersionTLS13, []string{nts.ALPN}
	host, port, err := net.SplitHostPort(n.cfg.Server)
	if err != nil {
		host, port = n.cfg.Server, strconv.Itoa(kePort)
	}
	d := tls.Dialer{Config: cfg}
	raw, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, keys, peer, err
	}
	defer raw.Close()
	conn := raw.(*tls.Conn)
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != nts.ALPN {
		return nil, keys, peer, fmt.Errorf("the server does not speak %s", nts.ALPN)
	}
	ke := nts.KEClient{AEADs: n.cfg.AEADs}
	request, err := ke.Request(nil)
	if err != nil {
		return nil, keys, peer, err
	}
	if _, err := conn.Write(request); err != nil {
		return nil, keys, peer, err
	}
	response, err := readKE(conn)
	if err != nil {
		return nil, keys, peer, err
	}
	if res, err = ke.Response(response); err != nil {
		return nil, keys, peer, err
	}
	keys, err = res.Export(state.ExportKeyingMaterial)
	peer = conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	return res, keys, peer, err
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
		octets, tooLong := nts.Complete(message, nts.MaxMessage)
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
