package bridge

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ntsbridge/bridge/fleet"
	"ntsbridge/bridge/fleet/inventory"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/statedir"
	"ntsbridge/nts/aead"
	"ntsbridge/symkey"
)

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

func keysOf(t *symkey.Table) map[uint32]string {
	have := make(map[uint32]string, t.Len())
	for k := range t.All() {
		have[k.ID()] = k.Algorithm()
	}
	return have
}

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
