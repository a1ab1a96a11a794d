//go:build linux

package attack

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server/mmsg"
	"ntsbridge/cmd/ntpload/internal/load"
)

// flood is one attack.
type flood struct {
	name string
	what string
	run  func(ctx context.Context, c *Config, victims []*client)
}

var floods = []flood{
	{"calm", "no flood at all", func(context.Context, *Config, []*client) {}},
	{"forged-plain", "20 plain requests a second from each client's address", fromVictims(20, func(*Config) []byte { return plain() })},
	{"forged-mac", "1,000 requests a second with a wrong MAC from each client's address", fromVictims(1000, wrongMAC)},
	{"forged-autokey", "20 Autokey requests a second from each client's address",
		fromVictims(20, func(*Config) []byte { return autokeyRequest() })},
	{"macs", "wrong MACs at the full rate from 1,024 addresses", fromMany(wrongMAC)},
	{"plain", "plain requests at the full rate from 1,024 addresses", fromMany(func(*Config) []byte { return plain() })},
	{"autokey", "Autokey messages at the full rate from 1,024 addresses", fromMany(func(*Config) []byte { return autokeyRequest() })},
	{"mode6", "mode 6 at the full rate from 1,024 addresses", fromMany(func(*Config) []byte {
		return []byte{0x16, 2, 0, 1, 0, 0, 0, 0, 0,
			0, 0, 0}
	})},
	{"silent-tcp", "2,000 silent TCP connections from 256 addresses", silentTCP},
}

func plain() []byte {
	p := make([]byte, ntp.HeaderLen)
	(&ntp.Header{Version: 4, Mode: ntp.ModeClient, Transmit: 1 << 32}).Encode(p)
	return p
}

func wrongMAC(c *Config) []byte {
	p, err := load.NewSymmetric(c.Key).Request(1 << 32)
	if err != nil {
		return plain()
	}
	p[len(p)-1] ^= 1
	return p
}

// autokeyRequest is an ASSOC message with a MAC of the right length.
func autokeyRequest() []byte {
	p := append(plain(), 2, 1, 0, 24)
	p = append(p, make([]byte, 20)...)
	p = append(p, 0, 1, 0, 1) // a session key identifier
	return append(p, bytes.Repeat([]byte{7}, 16)...)
}

// fromVictims floods from the address of each client.
func fromVictims(rate int, packet func(*Config) []byte) func(context.Context, *Config, []*client) {
	return func(ctx context.Context, c *Config, victims []*client) {
		var wait sync.WaitGroup
		for _, v := range victims {
			wait.Go(func() { c.send(ctx, []netip.Addr{v.from}, rate, packet(c)) })
		}
		wait.Wait()
	}
}

// fromMany floods from the last addresses of the prefix, as fast as
// Config.Rate allows.
func fromMany(packet func(*Config) []byte) func(context.Context, *Config, []*client) {
	return func(ctx context.Context, c *Config, _ []*client) {
		c.send(ctx, c.strangers(1024), c.Rate, packet(c))
	}
}

// strangers returns addresses that no client has.
func (c *Config) strangers(n int) []netip.Addr {
	base := c.From.Addr().As4()
	list := make([]netip.Addr, n)
	for i := range list {
		list[i] = netip.AddrFrom4([4]byte{base[0], base[1], base[2] + 16 + byte(i>>8), byte(i)})
	}
	return list
}

// send sends so many packets a second, in turn from each address.
func (c *Config) send(ctx context.Context, from []netip.Addr, rate int, packet []byte) {
	sockets := make([]int, 0, len(from))
	defer func() {
		for _, fd := range sockets {
			_ = unix.Close(fd)
		}
	}()
	for _, a := range from {
		fd, err := load.Dial(c.Server, a)
		if err != nil {
			continue
		}
		sockets = append(sockets, fd)
	}
	if len(sockets) == 0 {
		return
	}
	const most = 64
	out := mmsg.New(mmsg.Shape{Slots: most, Size: 512})
	for i := range most {
		out.SetLen(i, copy(out.Buffer(i), packet))
	}
	const tick = 10 * time.Millisecond
	due, next := 0.0, 0
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for due += float64(rate) * tick.Seconds(); due >= 1; {
			n := min(int(due), most)
			_, _ = out.Send(sockets[next], 0, n)
			next = (next + 1) % len(sockets)
			due -= float64(n)
		}
	}
}

// silentTCP opens connections that say nothing, again and again.
func silentTCP(ctx context.Context, c *Config, _ []*client) {
	var wait sync.WaitGroup
	for i := range 2000 {
		from := c.strangers(256)[i%256]
		wait.Go(func() {
			d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Control: load.FreeBind}
			for ctx.Err() == nil {
				conn, err := d.DialContext(ctx, "tcp", c.ke())
				if err != nil {
					select {
					case <-ctx.Done():
					case <-time.After(10 * time.Millisecond):
					}
					continue
				}
				end := context.AfterFunc(ctx, func() { conn.Close() })
				_, _ = conn.Read(make([]byte, 1))
				end()
				conn.Close()
			}
		})
	}
	wait.Wait()
}
