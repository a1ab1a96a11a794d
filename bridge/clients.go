package bridge

import (
	"context"
	"net/netip"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
)

// clients is how the server tells the inventory.
func (b *Bridge) clients() server.Clients {
	if !b.parts.Load().cfg.Fleet.Enabled {
		return server.Clients{}
	}
	return server.Clients{Attach: b.fleet.Attach, Detach: b.fleet.Detach,
		Autokey: func(from netip.Addr, at ntp.Timestamp, host, group string) {
			b.fleet.Autokey(inventory.Autokey{Addr: from.As16(), At: at, Host: host, Group: group})
		}}
}

// inventoryAnswers are what the local API answers about clients.
func (b *Bridge) inventoryAnswers() control.Inventory {
	if !b.parts.Load().cfg.Fleet.Enabled {
		return control.Inventory{}
	}
	v := control.Inventory{Stream: b.fleet.Stream, Page: b.fleet.Page, Days: b.fleet.Days, Summary: b.fleet.Summary,
		Import: b.fleet.Import, Export: b.fleet.Export,
		Keys: func(ctx context.Context) ([]*report.Key, error) {
			return b.fleet.Keys(ctx, keysOf(b.parts.Load().state.Keys))
		}}
	if b.site != nil {
		v.Site = b.clientsOfSite()
	}
	return v
}

// mruClients is how many clients mrulist tells, those seen last.
const mruClients = 100_000

// recentClients are the clients as ntpq's mrulist shows them.
func (b *Bridge) recentClients() []control.MRUEntry {
	recent := b.fleet.Recent(mruClients)
	list := make([]control.MRUEntry, len(recent))
	for i, r := range recent {
		list[i] = control.MRUEntry{Addr: r.Addr, First: r.First, Last: r.Last, Count: r.Count, Mode: r.Mode, Version: r.Version}
	}
	return list
}
