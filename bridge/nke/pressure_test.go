package nke_test

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ntsbridge/bridge/nke"
	"ntsbridge/nts"
)

// A full server puts out the one that was there longest.
func TestFullServerMakesRoom(t *testing.T) {
	files := selfSigned(t, loopback)
	config := testConfig(t, files)
	config.Limits = nke.Limits{Connections: 2, Rate: -1, Timeout: time.Hour}
	s, addr := listen(t, config)
	var silent []net.Conn
	for range 2 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// The kernel would keep one that says nothing at all for a second.
		if _, err := conn.Write([]byte{22}); err != nil {
			t.Fatal(err)
		}
		silent = append(silent, conn)
	}
	eventually(t, "two active", func() bool { return s.Counters().Active == 2 })
	request, _ := (&nts.KEClient{}).Request(nil)
	if _, _, err := talk(t, addr, clientTLS(t, files), request); err != nil {
		t.Errorf("third connection: %v", err)
	}
	if _, err := silent[0].Read(make([]byte, 1)); err == nil {
		t.Error("the first one is still there")
	}
	if n := s.Counters().Evicted; n != 1 {
		t.Errorf("%d put out", n)
	}
	eventually(t, "it counted as closed", func() bool { return s.Counters().HandshakeClosed == 1 })
}

// Two thousand connections from 256 addresses say nothing, and come again as
// soon as they are put out; who wants cookies still gets them.
func TestSilentConnections(t *testing.T) {
	connections := 2000
	if testing.Short() {
		connections = 600
	}
	files := selfSigned(t, loopback)
	config := testConfig(t, files)
	s, addr := listen(t, config)
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	defer wait.Wait()
	defer stop()
	var dialled atomic.Int64
	for i := range connections {
		wait.Go(func() {
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, 1, byte(i))}}
			for ctx.Err() == nil {
				conn, err := dialer.DialContext(ctx, "tcp", addr)
				if err != nil {
					continue
				}
				dialled.Add(1)
				end := context.AfterFunc(ctx, func() { conn.Close() })
				_, _ = conn.Read(make([]byte, 1)) // until it is put out
				end()
				conn.Close()
			}
		})
	}
	eventually(t, "pressure", func() bool { return s.Counters().Evicted > 0 && dialled.Load() > int64(connections) })
	config2 := clientTLS(t, files)
	done := 0
	const tries = 20
	for range tries {
		if getCookies(addr, config2) == nil {
			done++
		}
	}
	if done < tries*95/100 {
		t.Errorf("%d of %d exchanges were completed: %+v", done, tries, s.Counters())
	}
}

// getCookies gets cookies, as a client with some patience does.
func getCookies(addr string, config *tls.Config) error {
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: config}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	request, err := (&nts.KEClient{}).Request(nil)
	if err != nil {
		return err
	}
	if _, err := conn.Write(request); err != nil {
		return err
	}
	buf := make([]byte, 8192)
	n := 0
	for {
		if octets, err := nts.Complete(buf[:n], len(buf)); err != nil || octets > 0 {
			return err
		}
		m, err := conn.Read(buf[n:])
		if n += m; err != nil {
			return err
		}
	}
}
