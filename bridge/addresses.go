package bridge

import (
	"slices"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/netif"
)

// followAddresses keeps the sockets at the addresses of the interfaces and
// networks that server.listen names, until Close.
func (b *Bridge) followAddresses() {
	changes, err := netif.Changes(b.stop)
	if err != nil {
		b.log.Error("server.listen: addresses that come and go are not followed", "error", err)
		return
	}
	for range changes {
		b.rebind()
		if b.fast != nil {
			b.fast.Attach()
		}
	}
}

// rebind listens where the configuration says by now.
func (b *Bridge) rebind() {
	b.changing.Lock()
	defer b.changing.Unlock()
	listen := b.parts.Load().cfg.Server.Listen
	if !slices.ContainsFunc(listen, func(l config.Listen) bool { return !l.Fixed() }) {
		return
	}
	addresses, err := netif.Addresses(listen)
	if err != nil {
		b.log.Error("server.listen", "error", err)
		return
	}
	ports, err := b.server.Prepare(addresses)
	if err != nil {
		b.log.Error("server.listen: the sockets stay as they are", "error", err)
		return
	}
	before := b.server.Addresses()
	if ports.Commit(); !slices.Equal(before, ports.Addresses()) {
		b.log.Info("listening on other addresses", "before", before, "now", ports.Addresses())
	}
}
