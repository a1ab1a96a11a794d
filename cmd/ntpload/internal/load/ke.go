//go:build linux

package load

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"ntsbridge/nts/aead"
)

// KEServer is a running server whose key establishments are measured.
type KEServer struct {
	Address string // host and TCP port
	PID     int    // on this machine
}

// KEConfig is how key establishments are measured.
type KEConfig struct {
	TLS      *tls.Config   // names, trust, key exchange
	Count    int           // establishments of a slice
	Slices   int           // turns of each server
	Patience time.Duration // until they listen
}

// KESlices returns the CPU time that an establishment costs each server, its
// process with all that it started, of each slice. The servers take turns
// (A B B A ...), one connection after the other, after a slice that does not
// count.
func KESlices(ctx context.Context, c KEConfig, servers []KEServer) ([][]time.Duration, error) {
	cpu := make([][]time.Duration, len(servers))
	for i := range servers {
		if _, err := c.slice(ctx, servers[i]); err != nil {
			return nil, err
		}
	}
	for turn := range c.Slices {
		for i := range servers {
			if turn%2 == 1 {
				i = len(servers) - 1 - i
			}
			used, err := c.slice(ctx, servers[i])
			if err != nil {
				return nil, err
			}
			cpu[i] = append(cpu[i], used)
		}
	}
	return cpu, nil
}

// slice loads a server once, and returns what an establishment cost it.
func (c *KEConfig) slice(ctx context.Context, s KEServer) (time.Duration, error) {
	if c.Count < 1 {
		return 0, errors.New("a slice without handshakes")
	}
	before, err := treeCPU(s.PID)
	if err != nil {
		return 0, err
	}
	for range c.Count {
		if _, err := Establish(ctx, s.Address, c.TLS, aead.AESSIVCMAC256, 1, c.Patience); err != nil {
			return 0, err
		}
	}
	after, err := treeCPU(s.PID)
	return (after - before) / time.Duration(c.Count), err
}
