//go:build linux

package attack

import (
	"context"
	"net"
	"net/netip"
	"time"

	"ntsbridge/bridge/ntp"
	"ntsbridge/cmd/ntpload/internal/load"
	"ntsbridge/nts/aead"
)

// patience is how long a client waits for an answer.
const patience = time.Second

// client is a legitimate client of one kind at an address of its own.
type client struct {
	name string
	from netip.Addr
	// held tells that no flood may cost the kind more than one answer in
	// twenty, but for one that cannot be told from it.
	held bool
	// known tells that the host has proved itself by a key.
	known bool
	ask   func(ctx context.Context, c *client) bool
	// during counts for a client that asks in its own time, while a flood lasts.
	during func(ctx context.Context, over time.Duration) (answered, asked int)
}

// victims returns the clients, at the first addresses of a prefix.
func (c *Config) victims(ctx context.Context) ([]*client, error) {
	establish, err := load.Establish(ctx, c.ke(), c.TLS, aead.AES128GCMSIV, 1, 10*time.Second)
	if err != nil {
		return nil, err
	}
	list := []*client{
		{name: "none", ask: c.udp(load.Plain{})},
		{name: "key", held: true, ask: c.udp(load.NewSymmetric(c.Key))},
		{name: "nts", held: true, ask: c.udp(establish)},
		{name: "nts-ke", held: true, ask: c.handshake},
		{name: "ntpq", held: true, ask: c.query},
		{name: "autokey", held: true},
		{name: "newcomer", held: true, ask: c.newcomer()},
	}
	addr := c.From.Addr()
	for _, v := range list {
		addr = addr.Next()
		v.from = addr
		if v.ask == nil {
			if v.ask, err = c.cookie(ctx, addr); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

func (c *Config) ke() string { return netip.AddrPortFrom(c.Server.Addr(), 4460).String() }

// udp asks for the time once.
func (c *Config) udp(maker load.Maker) func(context.Context, *client) bool {
	transmit := ntp.Timestamp(1)
	return func(ctx context.Context, v *client) bool {
		transmit += 1 << 32
		request, err := maker.Request(transmit)
		if err != nil {
			return false
		}
		answer := exchange(ctx, v.from, c.Server, request)
		return len(answer) >= maker.MinAnswer() && answer[1] != 0 && maker.Verify(request, answer) == nil
	}
}

// query asks for the system variables, as ntpq does, from a host that is a
// client with a key, too.
func (c *Config) query(ctx context.Context, v *client) bool {
	if !v.known {
		v.known = c.udp(load.NewSymmetric(c.Key))(ctx, v)
	}
	answer := exchange(ctx, v.from, c.Server, []byte{0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	return len(answer) > 12
}

// handshake gets new cookies.
func (c *Config) handshake(ctx context.Context, v *client) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := load.EstablishFrom(ctx, v.from, c.ke(), c.TLS, aead.AES128GCMSIV)
	return err == nil
}

// exchange sends a datagram and returns the first answer, nil for none.
func exchange(ctx context.Context, from netip.Addr, to netip.AddrPort, request []byte) []byte {
	conn, err := dialFrom(ctx, from, to)
	if err != nil {
		return nil
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil || conn.SetReadDeadline(time.Now().Add(patience)) != nil {
		return nil
	}
	answer := make([]byte, 2048)
	n, err := conn.Read(answer)
	if err != nil {
		return nil
	}
	return answer[:n]
}

// dialFrom connects a socket from an address that only the route makes ours.
func dialFrom(ctx context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Control: load.FreeBind}
	return d.DialContext(ctx, "udp", to.String())
}
