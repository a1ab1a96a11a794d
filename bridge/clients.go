package bridge

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
	"ntsbridge/bridge/statedir"
	"ntsbridge/nts/aead"
	"ntsbridge/symkey"
)

// fleetConfig is what the inventory is made from.
func (p *parts) fleetConfig() fleet.Config {
	f := &p.cfg.Fleet
	c := fleet.Config{Enabled: f.Enabled, Clients: f.Clients, Retention: f.Retention, File: filepath.Join(p.cfg.StateDir, fleet.StoreFile),
		Addresses: inventory.Addresses{TemporaryPrefix: f.TemporaryPrefix, HashKey: p.hashKey}}
	if f.Privacy.Addresses == config.AddressesShort {
		c.Addresses.Shorten4, c.Addresses.Shorten6 = f.Privacy.IPv4Prefix, f.Privacy.IPv6Prefix
	}
	return c
}

// hashKeyLen is the length of the key that addresses are hashed under, octets.
const hashKeyLen = 32

// buildHashKey reads the key that addresses are hashed under, or makes it.
func (p *parts) buildHashKey(hclog.Logger, time.Time) (err error) {
	if !p.cfg.Fleet.Enabled || p.cfg.Fleet.Privacy.Addresses != config.AddressesHash {
		return nil
	}
	p.hashKey, _, err = p.set.Store.Load(statedir.File{What: "key that addresses are hashed under",
		Path: filepath.Join(p.cfg.StateDir, "inventory.key"),
		Mode: statedir.Secret, Loss: "clients of before are not found again under their hashes",
		Make: func() ([]byte, error) {
			key := make([]byte, hashKeyLen)
			_, err := rand.Read(key)
			return key, err
		}})
	if err == nil && len(p.hashKey) != hashKeyLen {
		err = fmt.Errorf("the key that addresses are hashed under has %d octets and not %d: restore inventory.key, or delete it and inventory.db",
			len(p.hashKey), hashKeyLen)
	}
	return err
}

// findNames makes what the inventory is told of names: labels and the digests of
// keys. A file of labels that is wrong leaves the labels of before.
func (p *parts) findNames(previous *parts) {
	n := &report.Names{AEAD: func(id uint16) string { return aead.ID(id).String() }}
	var all []label.Label
	good := true
	for i, path := range p.cfg.Fleet.Labels {
		text, err := os.ReadFile(path)
		var list []label.Label
		if err == nil {
			list, err = label.Parse(path, text)
		}
		if err != nil {
			p.set.Find(material.Warning, fmt.Sprintf("fleet.labels[%d]", i), fmt.Errorf("%w; its labels are not used", err))
			good = false
		}
		all = append(all, list...)
	}
	n.Labels = label.NewSet(all)
	if !good && previous != nil {
		n.Labels = previous.names.Labels
	}
	keys := p.state.Keys
	n.Digest = func(id uint32) string {
		if k := keys.Lookup(id); k != nil {
			return k.Algorithm()
		}
		return ""
	}
	p.names = n
}

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

// handshakeResults are the inventory's words for how NTS-KE ends.
var handshakeResults = map[nke.Ending]inventory.HandshakeResult{
	nke.EndAgreed: inventory.HandshakeAgreed, nke.EndRefused: inventory.HandshakeRefused, nke.EndHandshake: inventory.HandshakeTLS,
	nke.EndNotAgreed: inventory.HandshakeNoAEAD, nke.EndBroken: inventory.HandshakeBroken,
}

// handshake tells the inventory of an NTS-KE connection.
func (b *Bridge) handshake(o nke.Observation) {
	h := inventory.Handshake{Addr: o.From.As16(), At: ntp.TimestampFromTime(time.Now()), Result: handshakeResults[o.Ending],
		Name: o.ServerName, Told: o.Offered != nil}
	for _, id := range o.Offered {
		h.Offered = append(h.Offered, uint16(id))
	}
	b.fleet.Handshake(h)
}

// observed is a configuration of NTS-KE that tells the inventory.
func (b *Bridge) observed(c nke.Config) nke.Config {
	c.Observe = b.handshake
	return c
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

func keysOf(t *symkey.Table) map[uint32]string {
	have := make(map[uint32]string, t.Len())
	for k := range t.All() {
		have[k.ID()] = k.Algorithm()
	}
	return have
}
