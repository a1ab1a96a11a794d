//go:build linux

package load

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// NTS makes requests of one or more NTS associations in turn. Cookies are used
// again and again, since no server remembers them; unique identifier and nonce
// are new in every request. No request asks for more than one cookie, as that
// of a client in its steady state.
type NTS struct {
	id       aead.ID
	sessions []*session
	next     int
}

type session struct {
	c2s, s2c aead.Key
	cookies  [][]byte
	next     int
}

// establishTimeout bounds one key establishment.
const establishTimeout = 5 * time.Second

// Establish makes the given number of associations with the NTS-KE server.
// config holds the server's name and the certificates to trust. A server that
// does not listen yet is tried again until patience ends.
func Establish(ctx context.Context, address string, config *tls.Config, id aead.ID, sessions int, patience time.Duration) (*NTS, error) {
	n := &NTS{id: id}
	end := time.Now().Add(patience)
	for range sessions {
		s, err := establish(ctx, address, config, id)
		for errors.Is(err, unix.ECONNREFUSED) && time.Now().Before(end) && ctx.Err() == nil {
			sleep(ctx, probeInterval)
			s, err = establish(ctx, address, config, id)
		}
		if err != nil {
			return nil, fmt.Errorf("key establishment with %s: %w", address, err)
		}
		n.sessions = append(n.sessions, s)
	}
	return n, nil
}

// EstablishFrom makes one association from an address that only a route makes
// the machine's.
func EstablishFrom(ctx context.Context, from netip.Addr, address string, config *tls.Config, id aead.ID) (*NTS, error) {
	local := net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	s, err := establishBy(ctx, &net.Dialer{LocalAddr: local, Control: FreeBind}, address, config, id)
	if err != nil {
		return nil, err
	}
	return &NTS{id: id, sessions: []*session{s}}, nil
}

func establish(ctx context.Context, address string, config *tls.Config, id aead.ID) (*session, error) {
	return establishBy(ctx, nil, address, config, id)
}

func establishBy(ctx context.Context, dialer *net.Dialer, address string, config *tls.Config, id aead.ID) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, establishTimeout)
	defer cancel()
	config = config.Clone()
	config.MinVersion = tls.VersionTLS13
	config.NextProtos = []string{nts.ALPN}
	conn, err := (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	client := nts.KEClient{AEADs: []aead.ID{id}}
	request, err := client.Request(nil)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	message, err := readMessage(conn)
	if err != nil {
		return nil, err
	}
	result, err := client.Response(message)
	if err != nil {
		return nil, err
	}
	if result.AEAD != id {
		return nil, fmt.Errorf("the server wants %v, not %v", result.AEAD, id)
	}
	state := conn.(*tls.Conn).ConnectionState()
	keys, err := result.Export(state.ExportKeyingMaterial)
	if err != nil {
		return nil, err
	}
	return newSession(&keys, result.Cookies)
}

func newSession(keys *nts.Keys, cookies [][]byte) (*session, error) {
	s := &session{}
	for _, c := range cookies {
		s.cookies = append(s.cookies, bytes.Clone(c))
	}
	if len(s.cookies) == 0 {
		return nil, nts.ErrNoCookies
	}
	return s, errors.Join(s.c2s.Init(keys.AEAD, keys.C2S()), s.s2c.Init(keys.AEAD, keys.S2C()))
}

// readMessage reads one whole NTS-KE message.
func readMessage(r io.Reader) ([]byte, error) {
	buf := make([]byte, 0, nts.MaxMessage)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		octets, bad := nts.Complete(buf, nts.MaxMessage)
		if bad != nil {
			return nil, bad
		}
		if octets > 0 {
			return buf[:octets], nil
		}
		if err != nil {
			if opErr := (*net.OpError)(nil); errors.As(err, &opErr) && opErr.Timeout() {
				return nil, errors.New("no whole answer in time")
			}
			return nil, err
		}
	}
}

// Name implements Maker.
func (n *NTS) Name() string { return fmt.Sprintf("nts-%d", n.id) }

// Request implements Maker.
func (n *NTS) Request(transmit ntp.Timestamp) ([]byte, error) {
	s := n.sessions[n.next]
	n.next = (n.next + 1) % len(n.sessions)
	cookie := s.cookies[s.next]
	s.next = (s.next + 1) % len(s.cookies)
	random := make([]byte, nts.MinUniqueIdentifierLen+n.id.NonceLen())
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	uid, nonce := random[:nts.MinUniqueIdentifierLen], random[nts.MinUniqueIdentifierLen:]
	p := ntp.AppendField(header(transmit), ntp.FieldUniqueIdentifier, uid, 0)
	p = ntp.AppendField(p, ntp.FieldCookie, cookie, 0)
	sealed := s.c2s.Seal(nil, nonce, nil, p)
	body := binary.BigEndian.AppendUint16(nil, uint16(len(nonce)))
	body = binary.BigEndian.AppendUint16(body, uint16(len(sealed)))
	body = append(append(body, nonce...), sealed...)
	return ntp.AppendField(p, ntp.FieldAuthenticator, body, 0), nil
}

// MinAnswer implements Maker: unique identifier and authenticator with one
// cookie of at least two keys.
func (n *NTS) MinAnswer() int {
	return ntp.HeaderLen + 4 + nts.MinUniqueIdentifierLen + 8 + aead.TagLen + 4 + 2*n.id.KeyLen()
}

// Verify implements Maker: same unique identifier, an authenticator that
// opens, and a new cookie inside.
func (n *NTS) Verify(request, answer []byte) error {
	q, a := ntp.Classify(request, noKeys{}), ntp.Classify(answer, noKeys{})
	if a.Defect != ntp.ReasonOK || a.Kind != ntp.KindNTS {
		return errors.New("not an NTS response")
	}
	if !bytes.Equal(q.UniqueIdentifier.Body(request), a.UniqueIdentifier.Body(answer)) {
		return errors.New("another unique identifier")
	}
	body := a.Authenticator.Body(answer)
	nonce, sealed, ok := splitAuthenticator(body)
	if !ok {
		return errors.New("malformed authenticator")
	}
	s := n.owner(q.Cookie.Body(request))
	if s == nil {
		return errors.New("unknown association")
	}
	plain, err := s.s2c.Open(nil, nonce, sealed, answer[:a.Authenticator.Offset])
	if err != nil {
		return err
	}
	if len(plain) < ntp.FieldHeaderLen || binary.BigEndian.Uint16(plain) != ntp.FieldCookie {
		return errors.New("no new cookie in the response")
	}
	return nil
}

// owner finds the association of a request by its cookie, which may be padded.
func (n *NTS) owner(cookie []byte) *session {
	for _, s := range n.sessions {
		for _, c := range s.cookies {
			if bytes.HasPrefix(cookie, c) {
				return s
			}
		}
	}
	return nil
}

// splitAuthenticator reads the body of an authenticator field (RFC 8915,
// section 5.6).
func splitAuthenticator(body []byte) (nonce, sealed []byte, ok bool) {
	if len(body) < 4 {
		return nil, nil, false
	}
	nonceLen, sealedLen := int(binary.BigEndian.Uint16(body)), int(binary.BigEndian.Uint16(body[2:]))
	start := 4 + (nonceLen+3)&^3
	if start+sealedLen > len(body) {
		return nil, nil, false
	}
	return body[4 : 4+nonceLen], body[start : start+sealedLen], true
}

type noKeys struct{}

func (noKeys) FullMACLen(uint32) (int, bool) { return 0, false }
