package bridge

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/config"
)

// What is the matter is in the status, and a fresh daemon has nothing.
func TestStatus(t *testing.T) {
	b := startBridge(t, testConfig(t, t.TempDir()))
	defer b.Close()
	s := b.status()
	if len(s.Problems) != 0 || s.Stratum != 10 || len(s.Addresses) != 1 || s.Addresses[0] != b.Addresses()[0] || len(s.KE) != 1 {
		t.Errorf("%+v", s)
	}
	if time.Since(s.Started) > time.Hour {
		t.Errorf("started %v", s.Started)
	}
	problem := "chronyd (process 1) has 127.0.0.1:123 too"
	b.sharers.Store(&[]string{problem})
	if s := b.status(); len(s.Problems) != 1 || s.Problems[0] != problem {
		t.Errorf("%+v", s)
	}
}

// A second daemon never gets a part of the requests of the first, not even
// while it starts, although the kernel would let sockets share the port.
func TestPortIsOurs(t *testing.T) {
	b := startBridge(t, testConfig(t, t.TempDir()))
	defer b.Close()
	cfg := testConfig(t, t.TempDir())
	cfg.Server.Listen = config.ListenOn(b.Addresses()...)
	if other, err := Start(cfg, nullLogger, Options{}); err == nil {
		other.Close()
		t.Fatal("two daemons share a port")
	} else if !strings.Contains(err.Error(), b.Addresses()[0].String()) {
		t.Errorf("%v", err)
	}
	// Whoever else has it keeps us from a start.
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	p, err := c.ListenPacket(context.Background(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	cfg.Server.Listen = config.ListenOn(p.LocalAddr().(*net.UDPAddr).AddrPort())
	if other, err := Start(cfg, nullLogger, Options{}); err == nil {
		other.Close()
		t.Error("started beside a socket that shares")
	}
}
