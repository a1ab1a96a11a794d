package measure

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"ntsbridge/autokey"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// authenticator makes the one for a server and finds the server's address.
func (c *Config) authenticator(ctx context.Context, name string, r *Result) (source.Authenticator, error) {
	if c.Kind == ntp.KindNTS {
		return c.dialNTS(ctx, name, r)
	}
	addr, err := c.resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	r.Address = netip.AddrPortFrom(addr, c.Port)
	switch c.Kind {
	case ntp.KindSymmetric:
		return source.NewSymmetric(c.Key)
	case ntp.KindAutokey:
		return c.associate(addr, r)
	}
	return source.None{}, nil
}

// dialNTS does the key establishment.
func (c *Config) dialNTS(ctx context.Context, name string, r *Result) (source.Authenticator, error) {
	n, server, err := source.DialNTS(ctx, source.NTSConfig{Server: net.JoinHostPort(name, strconv.Itoa(int(c.NTS.Port))),
		TLS: c.NTS.TLS, Port: c.Port, Network: c.Network, AEADs: c.NTS.AEADs})
	r.Address = server
	if err != nil {
		return nil, err
	}
	r.AEAD = n.AEAD().String()
	return n, nil
}

// associate makes an Autokey association. Its local address is known when the
// socket is there.
func (c *Config) associate(addr netip.Addr, r *Result) (source.Authenticator, error) {
	local := netip.IPv4Unspecified()
	if addr.Is6() {
		local = netip.IPv6Unspecified()
	}
	a := &c.Autokey
	client, err := autokey.NewClient(autokey.AssociationConfig{
		Credentials: a.Credentials, Digest: a.Digest, Local: local, Remote: addr.WithZone(""),
		Ident: a.Ident, Groups: a.Groups, AllowNoScheme: a.AllowNoScheme,
	})
	if err != nil {
		return nil, err
	}
	r.client = client
	return &source.Autokey{Client: client}, nil
}

// resolve finds the first address of a server.
func (c *Config) resolve(ctx context.Context, name string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		a = a.Unmap()
		if c.Network == "ip4" && !a.Is4() || c.Network == "ip6" && a.Is4() {
			return netip.Addr{}, fmt.Errorf("%s: %w", name, source.ErrFamily)
		}
		return a, nil
	}
	network := c.Network
	if network == "" {
		network = "ip"
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, name)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("name resolution: %w", err)
	}
	return addrs[0].Unmap(), nil
}
