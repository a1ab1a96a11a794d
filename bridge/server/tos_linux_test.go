package server

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The type of service is told of each request while there are few, and for one
// second in sixteen while there are many.
func TestTypeOfServiceIsToldAtTimes(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	s := &socket{fd: fd, listen: netip.MustParseAddrPort("127.0.0.1:123")}
	s.tellTOS(true)
	w := tosWatch{wanted: true, on: true}
	told := func() bool {
		on, err := unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVTOS)
		if err != nil {
			t.Fatal(err)
		}
		return on == 1
	}
	seconds := func(from, to, rate int) (telling int) {
		for second := from; second < to; second++ {
			w.count(s, rate, int64(second)*int64(time.Second))
			if told() {
				telling++
			}
		}
		return telling
	}
	if n := seconds(1, 65, 10); n != 64 {
		t.Errorf("10 requests a second: told in %d of 64 seconds", n)
	}
	if n := seconds(65, 65+160, 50_000); n != 10 {
		t.Errorf("50,000 requests a second: told in %d of 160 seconds, want 10", n)
	}
	if seconds(225, 227, 10); !told() {
		t.Error("not told when requests are few again")
	}
	// A server that sleeps for an hour has few requests.
	w.count(s, 5000, 4000*int64(time.Second))
	if !told() {
		t.Error("5,000 requests in an hour are not many")
	}
}
