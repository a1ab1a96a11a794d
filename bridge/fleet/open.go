package fleet

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
)

// Open makes the inventory and reads its store. An error is one of the
// configuration; what is wrong with the store is logged.
func Open(cfg Config, names *report.Names, log hclog.Logger) (*Fleet, error) {
	var seed [16]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return nil, err
	}
	f := &Fleet{log: log, cfg: cfg, wake: make(chan struct{}, 1), stop: make(chan struct{}),
		refusals: newRefusalLog(log, cfg.Addresses)}
	if f.now = cfg.Now; f.now == nil {
		f.now = time.Now
	}
	f.feeds.seed = [2]uint64{binary.LittleEndian.Uint64(seed[:8]), binary.LittleEndian.Uint64(seed[8:])}
	f.names.Store(names)
	var err error
	f.inventory, err = inventory.New(inventory.Options{Capacity: cfg.Clients, Seed: f.feeds.seed, Addresses: cfg.Addresses})
	if err != nil {
		return nil, err
	}
	f.on.Store(cfg.Enabled)
	if cfg.Enabled && cfg.File != "" {
		f.openStore(f.now())
	}
	return f, nil
}

// Run starts collector and writer.
func (f *Fleet) Run() {
	f.wait.Go(f.collect)
	f.wait.Go(f.write)
}

// Close ends collector and writer; what was seen is written.
func (f *Fleet) Close() error {
	close(f.stop)
	f.wait.Wait()
	return f.disk.close()
}
