package nke_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// reads is a connection that notes what each reading got.
type reads struct {
	net.Conn
	got [][]byte
}

func (r *reads) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	if n > 0 {
		r.got = append(r.got, append([]byte(nil), p[:n]...))
	}
	return n, err
}

// Response and goodbye come in one segment, each in a record of its own: the
// server writes twice in all.
func TestLastWords(t *testing.T) {
	file := selfSigned(t, loopback)
	_, addr := listen(t, testConfig(t, file))
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(5 * time.Second))
	conn := &reads{Conn: raw}
	session := tls.Client(conn, clientTLS(t, file))
	if err := session.Handshake(); err != nil {
		t.Fatal(err)
	}
	conn.got = nil
	client := nts.KEClient{AEADs: []aead.ID{aead.AESSIVCMAC256}}
	request, err := client.Request(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Write(request); err != nil {
		t.Fatal(err)
	}
	response := make([]byte, 4096)
	n, err := session.Read(response)
	if octets, bad := nts.Complete(response[:n], nts.MaxMessage); err != nil || bad != nil || octets == 0 {
		t.Fatalf("one record has %d octets, which is no response: %v, %v", n, err, bad)
	}
	if len(conn.got) != 1 {
		t.Fatalf("the response came by %d readings", len(conn.got))
	}
	segment := conn.got[0]
	first := 5 + int(binary.BigEndian.Uint16(segment[3:]))
	if first+5 > len(segment) || first+5+int(binary.BigEndian.Uint16(segment[first+3:])) != len(segment) {
		t.Errorf("a segment of %d octets begins with a record of %d, and does not end with another one", len(segment), first)
	}
	if _, err := session.Read(response); err != io.EOF {
		t.Errorf("after the response: %v, want the server's goodbye", err)
	}
}

// Connections that are over are closed soon, whether others come or not, and
// the goroutines that served them take the next ones.
func TestNothingIsLeftOpen(t *testing.T) {
	file := selfSigned(t, loopback)
	s, addr := listen(t, testConfig(t, file))
	request, _ := (&nts.KEClient{}).Request(nil)
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before, goroutines := open(), runtime.NumGoroutine()
	for range 70 {
		if _, _, err := talk(t, addr, clientTLS(t, file), request); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "as many files open as before", func() bool { return open() <= before })
	if n := runtime.NumGoroutine() - goroutines; n > 20 {
		t.Errorf("%d goroutines more than before", n)
	}
	if n := s.Counters().Active; n != 0 {
		t.Errorf("%d connections active", n)
	}
}

// A client that says nothing at all is no work, and ends without a word.
func TestSilentClientIsLeftToTheKernel(t *testing.T) {
	s, addr := listen(t, testConfig(t, selfSigned(t, loopback)))
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	eventually(t, "it came and went", func() bool { return s.Counters().HandshakeClosed == 1 })
}
