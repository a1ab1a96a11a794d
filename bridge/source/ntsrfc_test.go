package source

import (
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"testing"

	"ntsbridge/nts"
)

// After the request the client says goodbye by close_notify (RFC 8915, section
// 4), whatever the answer is.
func TestNTSClientSaysGoodbye(t *testing.T) {
	s := newNTSSite(t)
	ends := make(chan error, 2)
	s.address = serveTLS(t, s.tls, func(c *tls.Conn) {
		s.establish(c)
		_, err := c.Read(make([]byte, 1))
		ends <- err
	})
	s.dial(s.config())
	if err := <-ends; !errors.Is(err, io.EOF) {
		t.Errorf("after keys: %v", err)
	}
	s.address = serveTLS(t, s.tls, func(c *tls.Conn) {
		if _, err := readKE(c); err != nil {
			t.Error(err)
		}
		c.Write([]byte{0x80, 2, 0, 2, 0, 2, 0x80, 0, 0, 0})
		_, err := c.Read(make([]byte, 1))
		ends <- err
	})
	if _, _, err := DialNTS(t.Context(), s.config()); causeOf(err) != causeKEInternal {
		t.Errorf("%v", err)
	}
	if err := <-ends; !errors.Is(err, io.EOF) {
		t.Errorf("after an error: %v", err)
	}
}

// No search list is tried for a name that a server gave (section 4.1.7).
func TestNTSServerNameIsFullyQualified(t *testing.T) {
	for name, want := range map[string]string{
		"ntp.example.net": "ntp.example.net.", "ntp.example.net.": "ntp.example.net.", "ntp": "ntp.",
		"192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1",
	} {
		if got := fullyQualified(name); got != want {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// A server that takes one algorithm only, and breaks on a list, is asked again
// with the one that every server has, and later with that at once.
func TestNTSServerThatBreaksOnLists(t *testing.T) {
	for name, breaks := range map[string]func(c *tls.Conn){
		"closes": func(*tls.Conn) {},
		"error":  func(c *tls.Conn) { c.Write([]byte{0x80, 2, 0, 2, 0, 1, 0x80, 0, 0, 0}) },
		"another algorithm": func(c *tls.Conn) {
			c.Write([]byte{0x80, 1, 0, 2, 0, 0, 0x80, 4, 0, 2, 0, 99, 0x80, 0, 0, 0})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newNTSSite(t)
			s.address = serveTLS(t, s.tls, func(c *tls.Conn) {
				request, err := readKE(c)
				if err != nil {
					return
				}
				if len(nts.Offered(request)) > 1 {
					breaks(c)
					return
				}
				s.answerKE(c, request)
			})
			var notices []string
			cfg := s.config()
			cfg.OnNotice = func(text string) { notices = append(notices, text) }
			n := s.dial(cfg)
			s.good(n, 2)
			if s.count.Load() != 2 || len(notices) != 1 || !strings.Contains(notices[0], "--aead 15") {
				t.Errorf("%d handshakes, %q", s.count.Load(), notices)
			}
			s.clock.step(defaultRefresh)
			s.good(n, 1)
			if s.count.Load() != 3 {
				t.Errorf("%d handshakes", s.count.Load())
			}
		})
	}
}
