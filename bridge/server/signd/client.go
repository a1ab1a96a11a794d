package signd

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// Client speaks to one socket. It connects when there is something to sign,
// and keeps the connection. It is for one goroutine.
type Client struct {
	Socket  string        // path of the socket
	Timeout time.Duration // for each signature

	conn  net.Conn
	asked bool // the request went out
	out   []byte
	in    [maxReply]byte
}

// ErrUnavailable says that nobody signs: Samba is not there, or does not answer.
var ErrUnavailable = errors.New("ntp_signd is not available")

// Sign returns the signature for an answer of 48 octets, valid until the next
// call. Errors are ErrRefused and ErrUnavailable.
func (c *Client) Sign(identifier [4]byte, packet []byte) ([]byte, error) {
	reused := c.conn != nil
	signature, err := c.try(identifier, packet)
	if reused && gone(err) {
		// Samba was restarted, or closed the connection when it was idle.
		signature, err = c.try(identifier, packet)
	}
	switch {
	case err == nil, errors.Is(err, ErrRefused):
		return signature, err
	case c.asked && gone(err): // it was there, and closed on this account
		err = fmt.Errorf("%w: it closed the connection", ErrRefused)
	default:
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil, err
}

// gone tells whether the other end closed the connection.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// try asks once. On every error but a refusal the connection is given up: what
// might still come would be the answer to something else.
func (c *Client) try(identifier [4]byte, packet []byte) (signature []byte, err error) {
	defer func() {
		if err != nil && !errors.Is(err, ErrRefused) {
			c.Close()
		}
	}()
	c.asked = false
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("unix", c.Socket, c.Timeout); err != nil {
			c.conn = nil
			return nil, err
		}
	}
	if err := c.conn.SetDeadline(time.Now().Add(c.Timeout)); err != nil {
		return nil, err
	}
	c.out = AppendRequest(c.out[:0], identifier, packet)
	if _, err := c.conn.Write(c.out); err != nil {
		return nil, err
	}
	c.asked = true
	var length [lengthLen]byte
	if _, err := io.ReadFull(c.conn, length[:]); err != nil {
		return nil, err
	}
	n, err := ReplyLen(length)
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c.conn, c.in[:n]); err != nil {
		return nil, err
	}
	return ParseReply(c.in[:n], packet)
}

// Close gives the connection up; the next Sign makes another.
func (c *Client) Close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
