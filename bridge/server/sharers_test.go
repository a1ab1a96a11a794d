package server

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ntsbridge/bridge/ntp"
)

// intrude binds a socket with SO_REUSEPORT to an address, in a process of its
// own: this test binary.
func intrude(t *testing.T, a netip.AddrPort) (stop func(), ok bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestIntruder$")
	cmd.Env = append(os.Environ(), "INTRUDER_ADDRESS="+a.String())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() { in.Close(); _ = cmd.Wait() }
	said := make([]byte, 64)
	n, _ := out.Read(said)
	return stop, strings.HasPrefix(string(said[:n]), "bound")
}

// TestIntruder is the process of intrude.
func TestIntruder(t *testing.T) {
	a, err := netip.ParseAddrPort(os.Getenv("INTRUDER_ADDRESS"))
	if err != nil {
		t.Skip("for other tests")
	}
	k, err := openSocket(a, SocketOptions{}, false)
	if err != nil {
		os.Stdout.WriteString("not bound\n")
		return
	}
	defer k.close()
	os.Stdout.WriteString("bound\n")
	_, _ = os.Stdin.Read(make([]byte, 1)) // until the test is over
}

// Another program on our port is found while we run, and keeps us from a start,
// although SO_REUSEPORT would let both have it.
func TestSharers(t *testing.T) {
	newServer := func() *Server {
		s, err := New(Options{Workers: 2}, &State{}, &ntp.ClockState{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	s := newServer()
	bound, err := s.Listen([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	if others := s.Sharers(); len(others) != 0 {
		t.Fatalf("our own sockets are others': %v", others)
	}
	stop, ok := intrude(t, bound[0])
	if !ok {
		t.Fatal("a program with SO_REUSEPORT could not bind: then nothing is to be feared")
	}
	others := s.Sharers()
	if len(others) != 1 || others[0].Local != bound[0] || !strings.Contains(others[0].String(), "process") {
		t.Errorf("others: %+v", others)
	}
	if _, err := newServer().Listen(bound); err == nil {
		t.Error("a second server listens where there are two already")
	}
	stop()
	if others := s.Sharers(); len(others) != 0 {
		t.Errorf("after it ended: %v", others)
	}
	// A listen set that overlaps itself is ours alone.
	wildcard := netip.AddrPortFrom(netip.IPv4Unspecified(), bound[0].Port())
	if _, err := s.Listen(append(bound, wildcard)); err != nil {
		t.Errorf("an address, and all: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	stop, _ = intrude(t, bound[0])
	defer stop()
	for _, a := range []netip.AddrPort{bound[0], wildcard} {
		if _, err := newServer().Listen([]netip.AddrPort{a}); err == nil {
			t.Errorf("%v beside another program on %v", a, bound[0])
		}
	}
}

func TestProcNet(t *testing.T) {
	table := "  sl  local_address rem_address   st\n" +
		" 1: 0100007F:007B 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0 0\n" +
		" 2: 00000000000000000000000001000000:007B 00000000000000000000000000000000:0000 07 0:0 00:0 0 0 0 12 2 0 0\n" +
		" 3: 0100:7 x\n"
	list := udpSockets(strings.NewReader(table))
	if len(list) != 2 || list[0].Local != netip.MustParseAddrPort("127.0.0.1:123") || list[0].Inode != 4711 ||
		list[1].Local != netip.MustParseAddrPort("[::1]:123") {
		t.Errorf("%+v", list)
	}
}
