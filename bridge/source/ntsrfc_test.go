package source

import (
	"crypto/tls"
	"errors"
	"io"
	"testing"
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
