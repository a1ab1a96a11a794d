package nke

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"ntsbridge/nts"
)

// drainTime is how long the server waits for the client's goodbye. Closing
// earlier, with something unread, would reset the connection and could cost
// the client the response.
const drainTime = time.Second

// maxDrain is how many records of a client that goes on talking are read.
const maxDrain = 8

// serve does the handshake and the exchange of one connection.
func (s *Server) serve(conn visitor, config *Config, from netip.Addr) {
	over := false
	defer func() {
		if over {
			s.closer.add(conn.stream)
		} else {
			_ = conn.Close()
		}
	}()
	// Close must not wait for slow clients: it puts out all that are in the gate.
	if s.ctx.Err() != nil {
		return
	}
	if err := conn.SetDeadline(time.Now().Add(config.Limits.Timeout)); err != nil {
		return
	}
	seen := Observation{From: from, Ending: EndHandshake}
	defer func() { config.observe(seen) }()
	session := tls.Server(conn, s.tls)
	// Without a context, which would cost a goroutine.
	if err := session.Handshake(); err != nil {
		s.handshakeFailed(err, from, conn.gate.saidHello(conn.visit))
		return
	}
	state := session.ConnectionState()
	seen.ServerName = state.ServerName != ""
	if state.NegotiatedProtocol != nts.ALPN {
		s.tally.handshakeNoALPN.Add(1)
		s.quiet.debug("client does not speak ntske/1", "client", from.String())
		return
	}
	seen.Ending = EndBroken
	request, err := readRequest(session, config.Limits.Request)
	if err != nil && !errors.Is(err, nts.ErrTooLong) {
		s.exchangeFailed(err, from)
		if isTimeout(err) || err == io.EOF {
			s.refuseRequest(session, conn)
		}
		return
	}
	seen.Offered = nts.Offered(request)
	response, outcome := s.answer(config, request, &state, from)
	if err := lastWords(session, conn, response); err != nil {
		s.exchangeFailed(err, from)
		return
	}
	seen.Ending = endingOf(outcome)
	conn.gate.completed(&config.Limits, conn.visit)
	s.refusals.agreed(from, time.Now())
	if conn.SetReadDeadline(time.Now().Add(drainTime)) == nil {
		drain(session, request)
	}
	over = true
}

// drain reads what the client still says, which is its goodbye, into a buffer.
func drain(session *tls.Conn, buf []byte) {
	buf = buf[:cap(buf)]
	for range maxDrain {
		if _, err := session.Read(buf); err != nil {
			return
		}
	}
}

// refuseRequest answers a client whose request did not become complete, in
// time or before it said goodbye, with error 1 (RFC 8915, section 4.1.3).
func (s *Server) refuseRequest(session *tls.Conn, conn visitor) {
	if conn.SetDeadline(time.Now().Add(drainTime)) != nil {
		return
	}
	bad := nts.Negotiation{Outcome: nts.BadRequest}
	if lastWords(session, conn, bad.Response(nil, nil)) == nil {
		s.tally.outcomes[nts.BadRequest].Add(1)
	}
}

// lastWords sends a response with the goodbye of TLS, in one segment.
func lastWords(session *tls.Conn, conn visitor, response []byte) error {
	conn.hold = true
	if _, err := session.Write(response); err != nil {
		return err
	}
	if err := session.CloseWrite(); err != nil {
		return err
	}
	return conn.flush()
}

// readRequest reads until the end of a message. What is too long is returned
// as far as it came, with nts.ErrTooLong.
func readRequest(r io.Reader, limit int) ([]byte, error) {
	buf := make([]byte, 0, 512)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):min(cap(buf), limit+1)])
		buf = buf[:len(buf)+n]
		octets, tooLong := nts.Complete(buf, limit)
		switch {
		case tooLong != nil:
			return buf, tooLong
		case octets > 0:
			return buf, nil
		case err != nil:
			return nil, err
		}
	}
}

// answer makes the response to a request.
func (s *Server) answer(config *Config, request []byte, state *tls.ConnectionState, from netip.Addr) ([]byte, nts.Outcome) {
	n, err := config.KE.Negotiate(request)
	if err != nil {
		s.quiet.debug("bad NTS-KE request", "client", from.String(), "error", err)
	}
	var cookies [][]byte
	if n.Outcome == nts.Agreed {
		if cookies, err = makeCookies(config.Ring(), n.Agreement, state); err != nil {
			s.quiet.warn("NTS-KE failed", "client", from.String(), "error", err)
			n.Fail()
		}
	}
	s.tally.outcomes[n.Outcome].Add(1)
	if n.Outcome == nts.Agreed {
		s.tally.issued(n.AEAD, len(cookies))
	}
	return n.Response(nil, cookies), n.Outcome
}

// makeCookies exports the keys and seals them into eight cookies.
func makeCookies(ring *nts.Ring, a nts.Agreement, state *tls.ConnectionState) ([][]byte, error) {
	if ring == nil {
		return nil, errors.New("nke: no cookie keys yet")
	}
	keys, err := a.Export(state.ExportKeyingMaterial)
	if err != nil {
		return nil, err
	}
	defer keys.Clear()
	cookies := make([][]byte, nts.MaxCookies)
	for i := range cookies {
		var nonce [nts.CookieNonceLen]byte
		_, _ = rand.Read(nonce[:]) // never fails
		cookies[i] = ring.AppendCookie(nil, &keys, &nonce)
	}
	return cookies, nil
}

func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, context.Canceled)
}

// handshakeFailed counts a handshake that did not come about; hello says that
// the client had begun it. Who then goes away has seen our certificate: chronyd
// closes without a word.
func (s *Server) handshakeFailed(err error, from netip.Addr, hello bool) {
	switch {
	case isTimeout(err):
		s.tally.handshakeTimeout.Add(1)
	case isClosed(err) && hello && s.ctx.Err() == nil:
		s.tally.handshakeLeft.Add(1)
		s.refusals.ended(from, "", time.Now())
		s.quiet.warn("client went away in the TLS handshake: it may not trust the certificate", "client", from.String())
	case isClosed(err):
		s.tally.handshakeClosed.Add(1)
	case isRemote(err):
		s.tally.handshakeAlert.Add(1)
		s.refusals.ended(from, alertText(err), time.Now())
		s.quiet.warn("client ended the TLS handshake: it may not trust the certificate", "client", from.String(), "error", err)
	default:
		s.tally.handshakeFailed.Add(1)
		s.quiet.debug("TLS handshake failed", "client", from.String(), "error", err)
	}
}

// alertText is what a client says by an alert.
func alertText(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	return err.Error()
}

// isRemote reports whether an alert came from the client.
func isRemote(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

func (s *Server) exchangeFailed(err error, from netip.Addr) {
	if isTimeout(err) {
		s.tally.exchangeTimeout.Add(1)
	} else {
		s.tally.exchangeClosed.Add(1)
	}
	s.quiet.debug("NTS-KE exchange not finished", "client", from.String(), "error", err)
}
