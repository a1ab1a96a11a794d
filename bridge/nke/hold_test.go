package nke_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// A client that an access rule refuses is held in silence, and never reset,
// whatever it sends; closing the server does not wait for it.
func TestRefusedIsHeld(t *testing.T) {
	c := testConfig(t, selfSigned(t, loopback))
	c.Allow = func(netip.Addr) ntp.Reason { return ntp.ReasonDenied }
	s, addr := listen(t, c)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(make([]byte, 600)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatalf("%v, want nothing for now", err)
	}
	if n := s.Counters().RefusedAccess[ntp.ReasonDenied]; n != 1 {
		t.Errorf("%d refusals counted", n)
	}
	begin := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the server closed after %v", took)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%v at the end, want an orderly one", err)
	}
}
