//go:build linux

package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"ntsbridge/bridge/ntp"
)

// probeInterval is the time between two looks whether a server is up.
const probeInterval = 20 * time.Millisecond

// Await returns when the server answers an unauthenticated request with time,
// or with an error when it does not within the time given.
func Await(ctx context.Context, server netip.AddrPort, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return err
	}
	defer conn.Close()
	last := "no answer"
	for ctx.Err() == nil {
		var ok bool
		if ok, last = probe(conn, last); ok {
			return nil
		}
		sleep(ctx, probeInterval)
	}
	return fmt.Errorf("the server at %s did not serve time within %v: %s", server, patience, last)
}

// probe asks once; what is the new last impression of the server.
func probe(conn *net.UDPConn, last string) (ok bool, what string) {
	transmit := ntp.Timestamp(rand.Uint64())
	if _, err := conn.Write(header(transmit)); err != nil {
		return false, err.Error()
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * probeInterval))
	var buf [maxPacket]byte
	for {
		n, err := conn.Read(buf[:])
		if err != nil {
			return false, last
		}
		var h ntp.Header
		if n >= ntp.HeaderLen {
			h.Decode(buf[:n])
		}
		if h.Origin == transmit { // and no late answer to an earlier one
			return h.Stratum > 0 && h.Leap != ntp.LeapUnknown, "it is not synchronised, or refuses to serve"
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
