package bridge

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/facebook/time/ntp/chrony"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
)

// A client of chrony's protocol finds the running daemon on its socket: this
// one is of facebook/time, which exporters use.
func TestChronyClient(t *testing.T) {
	t.Parallel()
	_, client, cfg := startFollowing(t)
	wait(t, "synchronised", func() bool { return client.snapshot().Tracking().Synchronised() })
	own := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "c"), Net: "unixgram"}
	conn, err := net.DialUnix("unixgram", own, &net.UnixAddr{Name: cfg.Chronyc.Socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	asker := chrony.Client{Connection: conn, Sequence: 1}
	reply, err := asker.Communicate(chrony.NewTrackingPacket())
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := reply.(*chrony.ReplyTracking); !ok || k.Stratum != 11 || k.LeapStatus != 0 || k.CurrentCorrection > 0.1 ||
		k.CurrentCorrection < -0.1 {
		t.Errorf("tracking %+v", reply)
	}
	if reply, err = asker.Communicate(chrony.NewSourcesPacket()); err != nil {
		t.Fatal(err)
	}
	if n, ok := reply.(*chrony.ReplySources); !ok || n.NSources != 3 {
		t.Fatalf("sources %+v", reply)
	}
	for i := range int32(3) {
		reply, err := asker.Communicate(chrony.NewSourceDataPacket(i))
		if err != nil {
			t.Fatal(err)
		}
		s, ok := reply.(*chrony.ReplySourceData)
		if !ok || s.Mode != chrony.SourceModeClient || s.IPAddr.String() != []string{"127.0.0.1", "127.0.0.2", "127.0.0.1"}[i] {
			t.Errorf("source %d: %+v", i, reply)
		}
	}
	if _, err = asker.Communicate(chrony.NewServerStatsPacket()); err != nil {
		t.Fatal(err)
	}
	if _, err := asker.Communicate(chrony.NewSourceDataPacket(3)); err == nil {
		t.Error("a fourth of three sources")
	}
}

// ask sends a request over a socket and returns the status of the reply.
func askChrony(t *testing.T, conn net.Conn, command uint16, data ...any) (status uint16) {
	t.Helper()
	var w bytes.Buffer
	for _, field := range append([]any{[4]byte{6, 1}, command, [14]byte{}}, data...) {
		if err := binary.Write(&w, binary.BigEndian, field); err != nil {
			t.Fatal(err)
		}
	}
	w.Write(make([]byte, 520-w.Len()))
	if _, err := conn.Write(w.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	reply := make([]byte, 600)
	n, err := conn.Read(reply)
	if err != nil || n < 28 {
		t.Fatalf("command %d: %d octets, %v", command, n, err)
	}
	return binary.BigEndian.Uint16(reply[8:])
}

// What chronyc tells over the socket is done, and not what it tells over UDP.
func TestChronyCommands(t *testing.T) {
	t.Parallel()
	server, cfg := followable(t)
	for i := range cfg.Sources { // as they are read from a file
		s := &cfg.Sources[i]
		s.Mode, s.MaxSources, s.MaxDelay, s.NTSPort = config.ModeClient, 4, 3*time.Second, max(s.NTSPort, 1)
	}
	cfg.Chronyc.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	cfg.Access.Rules = []config.AccessRule{config.DefaultRule()}
	cfg.Access.Rules[0].Prefixes = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	ended := make(chan bool, 1)
	client, err := Start(cfg, nullLogger, Options{NoClock: true, Shutdown: func() { ended <- true }})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	own := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "c"), Net: "unixgram"}
	local, err := net.DialUnix("unixgram", own, &net.UnixAddr{Name: cfg.Chronyc.Socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	remote, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(client.chronyc.Addresses()[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	address := func(a string) (b [20]byte) {
		ip := netip.MustParseAddr(a).As4()
		copy(b[:], ip[:])
		b[17] = 1
		return b
	}
	done := func(want, command uint16, data ...any) {
		t.Helper()
		if got := askChrony(t, local, command, data...); got != want {
			t.Errorf("command %d: status %d, want %d", command, got, want)
		}
		if got := askChrony(t, remote, command, data...); got != 2 {
			t.Errorf("command %d over UDP: status %d", command, got)
		}
	}
	wait(t, "synchronised", func() bool { return client.snapshot().Tracking().Synchronised() })
	const denied, allowed = 9, 8
	done(allowed, 25, address("10.1.2.3"))
	done(0, 19, address("10.1.0.0"), uint32(16)) // deny
	done(denied, 25, address("10.1.2.3"))
	done(allowed, 25, address("10.2.2.3"))
	done(0, 18, address("10.0.0.0"), uint32(8)) // allow all
	done(allowed, 25, address("10.1.2.3"))
	done(allowed, 26, address("127.0.0.1"))
	done(denied, 26, address("10.1.2.3"))
	done(0, 16) // rekey
	done(0, 66) // reset sources
	wait(t, "synchronised anew", func() bool { return client.snapshot().Tracking().Synchronised() })
	done(0, 5, address("127.0.0.2"), uint32(5)) // maxpoll
	if got := client.parts.Load().cfg.Sources[1].MaxPoll; got != 5 {
		t.Errorf("maxpoll %d", got)
	}
	done(0, 2, [40]byte{}) // offline
	wait(t, "offline", func() bool { return client.snapshot().Sources[0].Offline })
	done(0, 63) // onoffline
	wait(t, "online", func() bool { return !client.snapshot().Sources[0].Offline })
	wait(t, "its name resolved anew", func() bool { // it began again with its maxpoll
		return slices.ContainsFunc(client.sources.Snapshot(), func(s control.SourceSnapshot) bool {
			return s.Status != nil && s.Status.Server.Addr() == netip.MustParseAddr("127.0.0.2")
		})
	})
	done(0, 29, address("127.0.0.2")) // delete
	if got := len(client.parts.Load().cfg.Sources); got != 2 {
		t.Errorf("%d sources are left", got)
	}
	done(4, 29, address("127.0.0.9"))
	done(6, 70) // reload sources: nobody said how
	if askChrony(t, remote, 33) != 0 {
		t.Error("no tracking over UDP")
	}
	done(0, 62)
	<-ended
	_ = server
}

// Where a program answers already, the socket is left to it.
func TestChronySocketInUse(t *testing.T) {
	_, client, cfg := startFollowing(t)
	_, other := followable(t)
	other.Chronyc.Socket = cfg.Chronyc.Socket
	second, err := Start(other, nullLogger, Options{NoClock: true})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if problems := strings.Join(second.status().Problems, " "); !strings.Contains(problems, "answers on "+cfg.Chronyc.Socket) {
		t.Errorf("problems %q", problems)
	}
	if c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: cfg.Chronyc.Socket, Net: "unixgram"}); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	_ = client
}
