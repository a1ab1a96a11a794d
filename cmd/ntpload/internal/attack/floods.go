//go:build linux

package attack

import (
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
	// like are the kinds of clients that cannot be told from it: they share its
	// limits.
	like string
}

// packet makes the packet of a flood, from an address, the i-th.
type packet func(c *Config, from netip.Addr, i int) []byte

// fromThere are clients that an address alone tells from others.
const fromThere = "none autokey ntpd ntpd-new"

// The rate at which signatures are asked for: several times what one core
// could make.
const signRate = 5000

var floods = []flood{
	{name: "calm", what: "no flood at all", run: func(context.Context, *Config, []*client) {}},
	{name: "forged-plain", what: "20 plain requests a second from each client's address", run: fromVictims(20, plainFrom),
		like: fromThere},
	{name: "forged-mac", what: "1,000 requests a second with a wrong MAC from each client's address", run: fromVictims(1000, wrongMAC),
		like: fromThere},
	{name: "forged-autokey", what: "20 ASSOC a second from each client's address", run: fromVictims(20, assoc), like: fromThere},
	{name: "macs", what: "wrong MACs at the full rate from 1,024 addresses", run: fromMany(wrongMAC)},
	{name: "plain", what: "plain requests at the full rate from 1,024 addresses", run: fromMany(plainFrom)},
	{name: "naks", what: "Autokey messages with a wrong MAC at the full rate from 1,024 addresses", run: fromMany(wrongAutokey)},
	{name: "assoc-one", what: "ASSOC at the full rate from one address", run: fromOne(assoc)},
	{name: "assoc", what: "ASSOC at the full rate from 1,024 addresses", run: fromMany(assoc), like: "newcomer ntpd-new"},
	{name: "sign", what: "5,000 SIGN a second, none like another, from 1,024 addresses", run: signatures},
	{name: "mode6-one", what: "mode 6 at the full rate from one address", run: fromOne(mode6)},
	{name: "mode6", what: "mode 6 at the full rate from 1,024 addresses that may ask", run: fromMany(mode6)},
	{name: "silent-tcp", what: "2,000 silent TCP connections from 256 addresses", run: silentTCP},
}

func plain() []byte {
	p := make([]byte, ntp.HeaderLen)
	(&ntp.Header{Version: 4, Mode: ntp.ModeClient, Transmit: 1 << 32}).Encode(p)
	return p
}

func plainFrom(*Config, netip.Addr, int) []byte { return plain() }

func mode6(*Config, netip.Addr, int) []byte { return []byte{0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0} }

func wrongMAC(c *Config, _ netip.Addr, _ int) []byte {
	p, err := load.NewSymmetric(c.Key).Request(1 << 32)
	if err != nil {
		return plain()
	}
	p[len(p)-1] ^= 1
	return p
}

func wrongAutokey(c *Config, from netip.Addr, i int) []byte {
	p := assoc(c, from, i)
	p[len(p)-1] ^= 1
	return p
}

// fromVictims floods from the address of each client.
func fromVictims(rate int, p packet) func(context.Context, *Config, []*client) {
	return func(ctx context.Context, c *Config, victims []*client) {
		var wait sync.WaitGroup
		for _, v := range victims {
			from := v.from
			wait.Go(func() { c.send(ctx, []netip.Addr{from}, rate, mostAlike, p) })
		}
		wait.Wait()
	}
}

// fromMany floods from the last addresses of the prefix, as fast as
// Config.Rate allows.
func fromMany(p packet) func(context.Context, *Config, []*client) {
	return func(ctx context.Context, c *Config, _ []*client) {
		c.send(ctx, c.strangers(1024), c.Rate, mostAlike, p)
	}
}

func fromOne(p packet) func(context.Context, *Config, []*client) {
	return func(ctx context.Context, c *Config, _ []*client) { c.send(ctx, c.strangers(1), c.Rate, mostAlike, p) }
}

func signatures(ctx context.Context, c *Config, _ []*client) {
	c.send(ctx, c.strangers(1024), signRate, 1, sign)
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

// mostAlike is how many packets one system call sends.
const mostAlike = 64

// send sends so many packets a second, in turn from each address, of which
// as many as alike are equal.
func (c *Config) send(ctx context.Context, from []netip.Addr, rate, alike int, p packet) {
	sockets := make([]int, 0, len(from))
	defer func() {
		for _, fd := range sockets {
			_ = unix.Close(fd)
		}
	}()
	for _, a := range from {
		fd, err := load.Dial(c.Server, a)
		if err != nil {
			break
		}
		sockets = append(sockets, fd)
	}
	if len(sockets) == 0 {
		return
	}
	out := mmsg.New(mmsg.Shape{Slots: alike, Size: 2048})
	const tick = 10 * time.Millisecond
	due, next, sent := 0.0, 0, 0
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for due += float64(rate) * tick.Seconds(); due >= 1; {
			n := min(int(due), alike)
			text := p(c, from[next], sent)
			for i := range n {
				out.SetLen(i, copy(out.Buffer(i), text))
			}
			_, _ = out.Send(sockets[next], 0, n)
			sent += n
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
