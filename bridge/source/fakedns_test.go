package source

import (
	"context"
	"net"
	"net/netip"
	"testing"
)

// fakeDNS is a resolver whose only name server, on the loopback, answers with
// a response code of DNS and, of code 0, with addresses. A code below 0: it
// does not answer.
func fakeDNS(t testing.TB, code int, addrs ...netip.Addr) *net.Resolver {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := dnsAnswer(buf[:n], code, addrs); answer != nil {
				c.WriteTo(answer, from)
			}
		}
	}()
	return resolverAt(c.LocalAddr().String())
}

func resolverAt(address string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", address)
	}}
}

// dnsAnswer answers a query of one question (RFC 1035, section 4).
func dnsAnswer(request []byte, code int, addrs []netip.Addr) []byte {
	if code < 0 || len(request) < 12 {
		return nil
	}
	end := 12
	for end < len(request) && request[end] != 0 {
		end += 1 + int(request[end])
	}
	end += 5 // root label, type, class
	if end > len(request) {
		return nil
	}
	kind := request[end-3] // low octet of the type
	answer := append([]byte(nil), request[:end]...)
	answer[2], answer[3] = 0x81, 0x80|byte(code) // response, recursion desired and available
	copy(answer[6:12], make([]byte, 6))
	for _, a := range addrs {
		if kind == 1 && a.Is4() || kind == 28 && a.Is6() {
			answer[7]++
			answer = append(answer, 0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, byte(len(a.AsSlice())))
			answer = append(answer, a.AsSlice()...)
		}
	}
	return answer
}
